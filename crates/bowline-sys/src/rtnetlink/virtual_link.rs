//! Links that have the Ethernet address of a virtual router (RFC 9568 7.3): macvlans on the interface that the router lives on.
//!
//! ```text
//!   frames to 00:00:5e:00:01:33 ──▶ eth0 ──▶ bl-51-4   10.0.0.100/32, arp_ignore 1, rp_filter 2
//!   everything else           ──────▶ eth0             10.0.0.21/24,  arp_ignore 1, arp_announce 2
//! ```
//!
//! With an address on such a link the kernel would speak of it in four more ways, each of which a capture has shown:
//! * the parent answers ARP for any address of the host, with its own Ethernet address (`arp_ignore`);
//! * the link answers for the parent's addresses, with the virtual one (`arp_ignore`, too);
//! * the parent, by which replies leave, asks for a client's address as the virtual IP, which teaches the client the parent's
//!   Ethernet address (`arp_announce`);
//! * where `rp_filter` is strict, what comes in by the link is dropped, because replies leave by the parent.
//!
//! What has to be set on the parent for that is written on the link, as its alias, so that whoever removes the last one restores it,
//! and after a crash knows what to restore. Anybody can remove the link: whoever holds it remembers, too ([`Before`]). IPv6 needs none
//! of it: there each link speaks of its own addresses alone.

mod before;

pub use before::Before;

use std::fmt;
use std::io;

use rustix::io::Errno;

use super::lease::Removal;
use super::{Link, Rtnetlink, wire};
use crate::mac::Mac;
use crate::netlink::{Encoder, NLM_F_CREATE, NLM_F_EXCL, attributes, c_string, u32_at};
use crate::vrrp_socket::Family;
use before::Arp;

/// What the driver calls a link with an address of its own on another link.
const MACVLAN: &str = "macvlan";

/// Below the least that IPv6 works with (RFC 8200 section 5), so that the kernel has none of it on the link; only ARP is sent by it.
const MTU_WITHOUT_IPV6: u32 = 576;

/// The sender must be reachable, by whatever interface. Not zero: of the interface's value and that for all the larger counts.
const LOOSE: u32 = 2;

/// The virtual router that a link belongs to: its name, and its Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VirtualMac {
    /// The virtual router's number.
    pub vrid: u8,
    /// What it serves.
    pub family: Family,
}

impl VirtualMac {
    /// The Ethernet address (RFC 9568 7.3).
    pub const fn mac(self) -> Mac {
        match self.family {
            Family::V4 => Mac::of_ipv4_router(self.vrid),
            Family::V6 => Mac::of_ipv6_router(self.vrid),
        }
    }

    /// The name of the link, such as `bl-51-4`.
    pub fn link_name(self) -> String {
        let family = match self.family {
            Family::V4 => 4,
            Family::V6 => 6,
        };
        format!("bl-{}-{family}", self.vrid)
    }

    /// Whose link has this name.
    pub fn of_link_name(name: &str) -> Option<Self> {
        let (vrid, family) = name.strip_prefix("bl-")?.split_once('-')?;
        let family = match family {
            "4" => Family::V4,
            "6" => Family::V6,
            _ => return None,
        };
        let read = Self { vrid: vrid.parse().ok()?, family };
        // One spelling each.
        (read.link_name() == name).then_some(read)
    }
}

/// Why there is no link.
#[derive(Debug)]
pub enum VirtualLinkError {
    /// Somebody else's link has its name.
    Foreign {
        /// The name.
        name: String,
    },
    /// `EPERM` without `CAP_NET_ADMIN`; `EOPNOTSUPP` when the kernel has no macvlan; `EBUSY` when the parent is used otherwise
    /// already (as a port of a bridge), `EINVAL` when it is no Ethernet; `EROFS` where the kernel would take routers' IPv6
    /// advertisements on the link, and `/proc/sys`, by which alone that can be changed, is read-only.
    Kernel(io::Error),
}

impl fmt::Display for VirtualLinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { name } => {
                write!(
                    f,
                    "{name} is another program's interface: rename it, or remove it: ip link del {name}"
                )
            }
            Self::Kernel(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => write!(
                f,
                "{error}: /proc/sys cannot be written here, so have the host set net.ipv6.conf.default.accept_ra to 0"
            ),
            Self::Kernel(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for VirtualLinkError {}

impl From<io::Error> for VirtualLinkError {
    fn from(error: io::Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<VirtualLinkError> for io::Error {
    fn from(error: VirtualLinkError) -> Self {
        match error {
            VirtualLinkError::Foreign { .. } => Self::new(io::ErrorKind::AlreadyExists, error.to_string()),
            VirtualLinkError::Kernel(error) => error,
        }
    }
}

impl Rtnetlink {
    /// How the interface numbered `parent` is without virtual links on it, as far as the link of `of` changes that; none for IPv6. To be
    /// asked before the link is made.
    ///
    /// # Errors
    /// `ENODEV` without the interface, and when the kernel does not list links.
    pub fn before_virtual_link(&self, parent: u32, of: VirtualMac) -> io::Result<Option<Before>> {
        match of.family {
            Family::V4 => self.arp_before(parent).map(|arp| Some(Before { parent, arp })),
            Family::V6 => Ok(None),
        }
    }

    /// Has the link of `of` on the interface numbered `parent`, up and ready for addresses; one that is there stays, also an earlier
    /// process's. `before` is what [`Self::before_virtual_link`] said when the link was made first: one that somebody has removed since
    /// is made anew while the interface is not as it was. Asked here when there is none, or one of another interface.
    ///
    /// Where `of` serves IPv6 the calling thread must be in the namespace of this socket.
    ///
    /// # Errors
    /// See [`VirtualLinkError`]; nothing half made stays.
    pub fn hold_virtual_link(
        &self,
        parent: u32,
        of: VirtualMac,
        before: Option<Before>,
    ) -> Result<Link, VirtualLinkError> {
        let found = self.add_virtual_link(parent, of)?;
        let finished = self.finish(parent, of, &found, before).and_then(|()| {
            let link = self.found(&of.link_name())?.map(|found| found.link);
            link.ok_or_else(|| io::Error::from(Errno::NODEV))
        });
        Ok(finished.inspect_err(|_| {
            // Why it failed matters more than that this does too.
            let _ = self.remove_virtual_link(of, before);
        })?)
    }

    /// Removes the link of `of`, in this process's or an earlier one's making, with its addresses; with the last one on its
    /// parent everything there is as it was, by what the link tells, or, where somebody has removed it, by `before`.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_ADMIN`. Another program's link of the name is none of ours, and stays.
    pub fn remove_virtual_link(&self, of: VirtualMac, before: Option<Before>) -> io::Result<Removal> {
        match self.found(&of.link_name())? {
            Some(found) if found.is_of(of) => self.remove_found(&found, before),
            Some(_) | None => {
                before.map_or(Ok(()), |before| self.restore(before))?;
                Ok(Removal::WasGone)
            }
        }
    }

    /// Makes the link and removes it again, to know whether that can be done; a leftover of its name goes, too.
    ///
    /// # Errors
    /// As [`Self::hold_virtual_link`].
    pub fn try_virtual_link(&self, parent: u32, of: VirtualMac) -> Result<(), VirtualLinkError> {
        self.remove_virtual_link(of, None)?;
        let found = self.add_virtual_link(parent, of)?;
        self.remove_found(&found, None)?;
        Ok(())
    }

    /// Removes what processes of ours have left that were killed: their virtual links that have no address any more, as all have
    /// whose process lives. Those that went.
    ///
    /// # Errors
    /// When the kernel does not list or remove them.
    pub fn remove_stale_virtual_links(&self) -> io::Result<Vec<VirtualMac>> {
        let is_ours = |found: &Found| found.owner().is_some();
        let mut removed = Vec::new();
        for found in self.all_found()?.iter().filter(|found| is_ours(found)) {
            let has_address = self.addresses()?.iter().any(|own| own.interface == found.link.index);
            if !has_address && self.remove_found(found, None)? == Removal::Removed {
                removed.extend(found.owner());
            }
        }
        Ok(removed)
    }

    /// The link, not ready yet when it is new.
    fn add_virtual_link(&self, parent: u32, of: VirtualMac) -> Result<Found, VirtualLinkError> {
        let name = of.link_name();
        match self.found(&name)? {
            Some(found) if !found.is_of(of) => return Err(VirtualLinkError::Foreign { name }),
            Some(found) if found.parent == Some(parent) => return Ok(found),
            Some(found) => {
                self.remove_found(&found, None)?;
            }
            None => {}
        }
        let mut data = Encoder::default();
        // In private mode the parent would not hear what others send from this address, such as their adverts.
        data.attribute(wire::IFLA_MACVLAN_MODE, &wire::MACVLAN_MODE_BRIDGE.to_ne_bytes());
        let mut info = Encoder::default();
        info.attribute(wire::IFLA_INFO_KIND, MACVLAN.as_bytes());
        info.attribute(wire::IFLA_INFO_DATA, &data.bytes);
        let mut request = Encoder::default();
        wire::link_header(&mut request, 0, 0, 0);
        request.attribute(wire::IFLA_IFNAME, &c_string(&name));
        request.attribute(wire::IFLA_LINK, &parent.to_ne_bytes());
        request.attribute(wire::IFLA_ADDRESS, &of.mac().0);
        match of.family {
            Family::V4 => request.attribute(wire::IFLA_MTU, &MTU_WITHOUT_IPV6.to_ne_bytes()),
            Family::V6 => {}
        }
        request.attribute(wire::IFLA_LINKINFO, &info.bytes);
        self.netlink.ask(wire::RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &request)?;
        Ok(self.found(&name)?.ok_or_else(|| io::Error::from(Errno::NODEV))?)
    }

    /// Everything but the link itself, in an order that lets nothing be said wrongly meanwhile.
    fn finish(&self, parent: u32, of: VirtualMac, found: &Found, before: Option<Before>) -> io::Result<()> {
        let index = found.link.index;
        match of.family {
            Family::V4 => {
                self.raise_parent(parent, found, before)?;
                self.set_arp(
                    index,
                    &[(wire::ARP_IGNORE, before::ANSWER_FOR_OWN), (wire::RP_FILTER, LOOSE)],
                    None,
                )?;
            }
            Family::V6 => {
                self.set_no_own_address(index)?;
                take_no_router_advertisements(&of.link_name())?;
            }
        }
        let mut request = Encoder::default();
        wire::link_header(&mut request, index, wire::IFF_UP, wire::IFF_UP);
        self.netlink.ask(wire::RTM_SETLINK, 0, &request)
    }

    /// Has the parent speak of its own addresses alone. How it was is written on the link first.
    fn raise_parent(&self, parent: u32, found: &Found, before: Option<Before>) -> io::Result<()> {
        if found.before().is_none() {
            let before = match before.filter(|before| before.parent == parent) {
                Some(before) => before.arp,
                None => self.arp_before(parent)?,
            };
            self.set_arp(found.link.index, &[], Some(before))?;
        }
        let now = self.arp_of(parent)?;
        let raised = now.raised();
        if now == raised { Ok(()) } else { self.set_arp(parent, &raised.settings(), None) }
    }

    fn arp_of(&self, interface: u32) -> io::Result<Arp> {
        let found = self.found_by(|request| wire::link_header(request, interface, 0, 0))?;
        found.and_then(|found| found.arp).ok_or_else(|| io::Error::from(Errno::NODEV))
    }

    fn arp_before(&self, parent: u32) -> io::Result<Arp> {
        let now = self.arp_of(parent)?;
        if now != now.raised() {
            return Ok(now);
        }
        // A link that is on it may have raised it, and knows how it was before.
        let all = self.all_found()?;
        let told = all.iter().filter(|link| link.parent == Some(parent)).find_map(Found::before);
        Ok(told.unwrap_or(now))
    }

    fn remove_found(&self, found: &Found, before: Option<Before>) -> io::Result<Removal> {
        let mut request = Encoder::default();
        wire::link_header(&mut request, found.link.index, 0, 0);
        let removal = match self.netlink.ask(wire::RTM_DELLINK, 0, &request) {
            Ok(()) => Removal::Removed,
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => Removal::WasGone,
            Err(error) => return Err(error),
        };
        let told = found.parent.zip(found.before()).map(|(parent, arp)| Before { parent, arp });
        told.or(before).map_or(Ok(()), |before| self.restore(before))?;
        Ok(removal)
    }

    /// Unless another virtual link is on it, or somebody has changed it since.
    fn restore(&self, Before { parent, arp: before }: Before) -> io::Result<()> {
        let all = self.all_found()?;
        if all.iter().any(|other| other.parent == Some(parent) && other.before().is_some()) {
            return Ok(());
        }
        let now = all.iter().find(|link| link.link.index == parent).and_then(|parent| parent.arp);
        if now != Some(before.raised()) || now == Some(before) {
            return Ok(());
        }
        match self.set_arp(parent, &before.settings(), None) {
            // It has gone meanwhile.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => Ok(()),
            result => result,
        }
    }

    /// Sets values of `net.ipv4.conf`, which needs no `/proc/sys`, and writes `before` on the link.
    fn set_arp(&self, index: u32, values: &[(u16, u32)], before: Option<Arp>) -> io::Result<()> {
        let mut request = Encoder::default();
        wire::link_header(&mut request, index, 0, 0);
        if let Some(before) = before {
            request.attribute(wire::IFLA_IFALIAS, before.to_alias().as_bytes());
        }
        if !values.is_empty() {
            let mut settings = Encoder::default();
            values.iter().for_each(|(setting, value)| settings.attribute(*setting, &value.to_ne_bytes()));
            let mut family = Encoder::default();
            family.attribute(wire::IFLA_INET_CONF, &settings.bytes);
            let mut families = Encoder::default();
            families.attribute(wire::AF_INET.into(), &family.bytes);
            request.attribute(wire::IFLA_AF_SPEC, &families.bytes);
        }
        self.netlink.ask(wire::RTM_SETLINK, 0, &request)
    }

    /// The kernel gives a link its IPv6 address when that goes up, and takes no order about it when the link is made.
    fn set_no_own_address(&self, index: u32) -> io::Result<()> {
        let mut mode = Encoder::default();
        mode.attribute(wire::IFLA_INET6_ADDR_GEN_MODE, &[wire::IN6_ADDR_GEN_MODE_NONE]);
        let mut family = Encoder::default();
        family.attribute(wire::AF_INET6.into(), &mode.bytes);
        let mut request = Encoder::default();
        wire::link_header(&mut request, index, 0, 0);
        request.attribute(wire::IFLA_AF_SPEC, &family.bytes);
        self.netlink.ask(wire::RTM_SETLINK, 0, &request)
    }

    fn found(&self, name: &str) -> io::Result<Option<Found>> {
        self.found_by(|request| {
            wire::link_header(request, 0, 0, 0);
            request.attribute(wire::IFLA_IFNAME, &c_string(name));
        })
    }

    /// The one link that is asked for.
    fn found_by(&self, ask: impl FnOnce(&mut Encoder)) -> io::Result<Option<Found>> {
        let mut request = Encoder::default();
        ask(&mut request);
        let mut found = None;
        let heard =
            self.netlink.ask_and_hear(wire::RTM_GETLINK, 0, &request, |message| found = read(message.body));
        match heard {
            Ok(()) => Ok(found),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn all_found(&self) -> io::Result<Vec<Found>> {
        let mut request = Encoder::default();
        wire::link_header(&mut request, 0, 0, 0);
        self.netlink.dump(wire::RTM_GETLINK, &request, |message| read(message.body))
    }
}

/// A link as it is needed here.
#[derive(Debug)]
struct Found {
    link: Link,
    /// On which other link it is.
    parent: Option<u32>,
    alias: Option<String>,
    arp: Option<Arp>,
}

impl Found {
    /// Whether it is what we make for `of`.
    fn is_of(&self, of: VirtualMac) -> bool {
        self.link.kind.as_deref() == Some(MACVLAN)
            && self.link.mac == Some(of.mac())
            && self.link.name == of.link_name()
    }

    fn owner(&self) -> Option<VirtualMac> {
        VirtualMac::of_link_name(&self.link.name).filter(|of| self.is_of(*of))
    }

    /// How its parent was before, where it is one of ours.
    fn before(&self) -> Option<Arp> {
        self.owner()?;
        Arp::of_alias(self.alias.as_deref()?)
    }
}

fn read(body: &[u8]) -> Option<Found> {
    let link = wire::link(body)?;
    let mut found = Found { link, parent: None, alias: None, arp: None };
    for (attribute, value) in attributes(body.get(wire::LINK_HEADER..)?) {
        match attribute {
            wire::IFLA_LINK => found.parent = u32_at(value, 0),
            wire::IFLA_IFALIAS => found.alias = Some(wire::text(value)),
            wire::IFLA_AF_SPEC => found.arp = arp(value),
            _ => {}
        }
    }
    Some(found)
}

fn arp(families: &[u8]) -> Option<Arp> {
    let inside = |bytes, wanted| attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    // A list of all values, the first of which has the number one.
    let values = inside(inside(families, wire::AF_INET.into())?, wire::IFLA_INET_CONF)?;
    let value = |setting: u16| u32_at(values, (usize::from(setting) - 1) * size_of::<u32>());
    Some(Arp { ignore: value(wire::ARP_IGNORE)?, announce: value(wire::ARP_ANNOUNCE)? })
}

/// Advertisements of routers would give the link addresses and routes of its own.
fn take_no_router_advertisements(name: &str) -> io::Result<()> {
    let value = |setting: &str| -> io::Result<i32> {
        let text = std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{name}/{setting}"))?;
        text.trim().parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
    };
    let takes_any = match value("accept_ra")? {
        0 => false,
        1 => value("forwarding")? == 0,
        _ => true,
    };
    if takes_any { std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/accept_ra"), "0") } else { Ok(()) }
}

#[cfg(test)]
mod tests;
