//! Making and changing links.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::netdevice::name_to_index;

use super::wire::{self, Subject};
use super::{Link, Rtnetlink, Scope};
use crate::mac::Mac;
use crate::netlink::{Encoder, NLM_F_CREATE, NLM_F_EXCL, c_string};

/// What the driver calls a link with an address of its own on another link.
const MACVLAN: &str = "macvlan";

/// The addresses of virtual routers begin like this (RFC 9568 7.3).
const VIRTUAL_ROUTERS: [u8; 4] = [0x00, 0x00, 0x5e, 0x00];

impl Rtnetlink {
    /// Adds a link called `name` that is up and has the Ethernet address `mac` on `parent`: what leaves by it comes from that
    /// address, and what is sent there comes in by it. The kernel gives it no IPv6 address by itself.
    ///
    /// With an address on it `parent` would answer ARP for it too, with its own Ethernet address, unless
    /// `net.ipv4.conf.<parent>.arp_ignore` is 1 or more.
    ///
    /// # Errors
    /// `EEXIST` when the name is taken, as by an earlier process of ours; `EBUSY` when `parent` is used otherwise already (as a port of
    /// a bridge); `EPERM` without `CAP_NET_ADMIN`; `EOPNOTSUPP` when the kernel has no macvlan.
    pub fn add_virtual_link(&self, parent: &Link, name: &str, mac: Mac) -> io::Result<()> {
        let mut data = Encoder::default();
        data.attribute(wire::IFLA_MACVLAN_MODE, &wire::MACVLAN_MODE_PRIVATE.to_ne_bytes());
        let mut info = Encoder::default();
        info.attribute(wire::IFLA_INFO_KIND, MACVLAN.as_bytes());
        info.attribute(wire::IFLA_INFO_DATA, &data.bytes);
        let mut request = Encoder::default();
        wire::link_header(&mut request, 0, 0, 0);
        request.attribute(wire::IFLA_IFNAME, &c_string(name));
        request.attribute(wire::IFLA_LINK, &parent.index.to_ne_bytes());
        request.attribute(wire::IFLA_ADDRESS, &mac.0);
        request.attribute(wire::IFLA_LINKINFO, &info.bytes);
        self.netlink.ask(wire::RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &request)?;
        let finished = self.set_no_own_address(name).and_then(|()| self.set_link(name, true));
        finished.inspect_err(|_| {
            // Nothing half made stays; why it failed matters more than that this does too.
            let _ = self.remove_virtual_link(name);
        })
    }

    /// The kernel gives a link its IPv6 address when that goes up, and takes no order about it when the link is made.
    fn set_no_own_address(&self, name: &str) -> io::Result<()> {
        let mut mode = Encoder::default();
        mode.attribute(wire::IFLA_INET6_ADDR_GEN_MODE, &[wire::IN6_ADDR_GEN_MODE_NONE]);
        let mut family = Encoder::default();
        family.attribute(wire::AF_INET6.into(), &mode.bytes);
        let mut request = Encoder::default();
        wire::link_header(&mut request, 0, 0, 0);
        request.attribute(wire::IFLA_IFNAME, &c_string(name));
        request.attribute(wire::IFLA_AF_SPEC, &family.bytes);
        match self.netlink.ask(wire::RTM_SETLINK, 0, &request) {
            // This host has no IPv6 at all.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::AFNOSUPPORT) => Ok(()),
            result => result,
        }
    }

    /// Removes a link that [`Self::add_virtual_link`] added, in this process or an earlier one, with its addresses.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name; `InvalidInput` when it is anything but a macvlan with the address of a virtual
    /// router; `EPERM` without `CAP_NET_ADMIN`.
    pub fn remove_virtual_link(&self, name: &str) -> io::Result<()> {
        let interfaces = self.interfaces()?;
        let link = interfaces.by_name(name).ok_or(io::ErrorKind::NotFound)?;
        let is_virtual = link.mac.is_some_and(|mac| mac.0.starts_with(&VIRTUAL_ROUTERS));
        if link.kind.as_deref() != Some(MACVLAN) || !is_virtual {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut request = Encoder::default();
        wire::link_header(&mut request, link.index, 0, 0);
        self.netlink.ask(wire::RTM_DELLINK, 0, &request)
    }

    pub(crate) fn add_veth(
        &self,
        name: &str,
        peer_name: &str,
        peer_namespace: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let mut peer = Encoder::default();
        wire::link_header(&mut peer, 0, 0, 0);
        peer.attribute(wire::IFLA_IFNAME, &c_string(peer_name));
        peer.attribute(wire::IFLA_NET_NS_FD, &peer_namespace.as_raw_fd().to_ne_bytes());
        let mut data = Encoder::default();
        data.attribute(wire::VETH_INFO_PEER, &peer.bytes);
        let mut info = Encoder::default();
        info.attribute(wire::IFLA_INFO_KIND, b"veth");
        info.attribute(wire::IFLA_INFO_DATA, &data.bytes);
        let mut request = Encoder::default();
        wire::link_header(&mut request, 0, 0, 0);
        request.attribute(wire::IFLA_IFNAME, &c_string(name));
        request.attribute(wire::IFLA_LINKINFO, &info.bytes);
        self.netlink.ask(wire::RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &request)
    }

    pub(crate) fn set_link(&self, name: &str, is_up: bool) -> io::Result<()> {
        let mut request = Encoder::default();
        wire::link_header(&mut request, 0, if is_up { wire::IFF_UP } else { 0 }, wire::IFF_UP);
        request.attribute(wire::IFLA_IFNAME, &c_string(name));
        self.netlink.ask(wire::RTM_SETLINK, 0, &request)
    }

    /// An address that stays, usable at once.
    pub(crate) fn add_address(&self, name: &str, address: IpAddr, prefix: u8) -> io::Result<()> {
        let interface = name_to_index(self, name)?;
        let subject = Subject { interface, address, prefix, flags: wire::IFA_F_NODAD, scope: Scope::Global };
        self.netlink.ask(wire::RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &subject.encode())
    }
}
