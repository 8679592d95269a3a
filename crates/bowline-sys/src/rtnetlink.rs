//! Links and addresses of this network namespace: rtnetlink(7), without a runtime.
//!
//! A request returns when the kernel has done it, and waits for the kernel's one lock on network configuration meanwhile: under
//! heavy change of *other* links that takes long. No thread that must be on time may call anything here; [`Watch`] alone never waits.

mod interfaces;
mod lease;
mod links;
mod virtual_link;
mod watch;
mod wire;

pub use interfaces::{Interfaces, Reserved};
pub use lease::{Held, HoldError, Lease, OUR_MARK, Removal, Renewal};
pub use virtual_link::{Before, VirtualLinkError, VirtualMac};
pub use watch::{Change, Watch};

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use crate::mac::Mac;
use crate::netlink::{Encoder, Netlink};

/// A socket to the routing part of the kernel, for the namespace in which it was opened, wherever it is used.
#[derive(Debug)]
pub struct Rtnetlink {
    netlink: Netlink,
}

/// A network interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// The kernel's number for it; a number is not used again until all others have been.
    pub index: u32,
    /// Such as `eth0`; it can be changed.
    pub name: String,
    /// Its own Ethernet address; `None` for what is no Ethernet.
    pub mac: Option<Mac>,
    /// It is switched on (`IFF_UP`).
    pub up: bool,
    /// It is on and can carry packets: it has its carrier (`IFF_RUNNING`, RFC 2863's operational state).
    pub running: bool,
    /// It leads to this host only.
    pub loopback: bool,
    /// What its driver calls it, when it is not hardware: `veth`, `bond`, `vlan`, `bridge`, `macvlan`.
    pub kind: Option<String>,
}

/// An address of an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// Whose: [`Link::index`].
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
    /// How many leading bits its subnet has.
    pub prefix: u8,
    /// An address of the subnet: the same address, or that of the other end of a point-to-point link.
    pub subnet: IpAddr,
    /// How far it is valid.
    pub scope: Scope,
    /// What else is known of it.
    pub flags: AddressFlags,
    /// How much longer it is there, in whole seconds rounded up; `None` is for ever.
    pub valid: Option<Duration>,
    /// How much longer it is chosen as a source; `None` is for ever.
    pub preferred: Option<Duration>,
    /// When it was added, in hundredths of a second since the kernel started (they wrap): renewals keep it.
    pub created: u32,
    /// Who added it (`IFA_PROTO`, Linux 5.18); `None` when nobody said so, or the kernel is older.
    pub proto: Option<u8>,
}

/// `ifa_scope`: how far an address is valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Everywhere (`RT_SCOPE_UNIVERSE`).
    Global,
    /// On its link (`RT_SCOPE_LINK`).
    Link,
    /// On this host: never chosen as the source of a packet that leaves it (`RT_SCOPE_HOST`).
    Host,
    /// A number in between, of this site's own making.
    Other(u8),
}

/// `ifa_flags` of linux/if_addr.h.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressFlags(u32);

impl AddressFlags {
    /// IPv4: another address of the same subnet is the interface's first one.
    pub fn is_secondary(self) -> bool {
        self.has(wire::IFA_F_SECONDARY)
    }

    /// Never the source of a new connection if there is another (`preferred` is over).
    pub fn is_deprecated(self) -> bool {
        self.has(wire::IFA_F_DEPRECATED)
    }

    /// IPv6: not usable yet; the kernel still asks whether another host has it.
    pub fn is_tentative(self) -> bool {
        self.has(wire::IFA_F_TENTATIVE)
    }

    /// IPv6: another host has it, so it is not used.
    pub fn is_duplicate(self) -> bool {
        self.has(wire::IFA_F_DADFAILED)
    }

    /// It does not end by itself.
    pub fn is_permanent(self) -> bool {
        self.has(wire::IFA_F_PERMANENT)
    }

    /// IPv6: added without asking whether another host has it.
    pub fn is_unasked(self) -> bool {
        self.has(wire::IFA_F_NODAD)
    }

    /// IPv6: without a route to its subnet.
    pub fn is_without_route(self) -> bool {
        self.has(wire::IFA_F_NOPREFIXROUTE)
    }

    fn has(self, flag: u32) -> bool {
        self.0 & flag != 0
    }
}

impl Rtnetlink {
    /// For the namespace of the calling thread; needs no privilege. Reading does not either; changing needs `CAP_NET_ADMIN`.
    ///
    /// # Errors
    /// When descriptors or kernel memory are exhausted, or a seccomp profile forbids it.
    pub fn open() -> io::Result<Self> {
        Ok(Self { netlink: Netlink::open(None)? })
    }

    /// Every interface.
    ///
    /// # Errors
    /// When the kernel does not answer, or the list changes each of the few times it is read.
    pub fn links(&self) -> io::Result<Vec<Link>> {
        let mut request = Encoder::default();
        wire::link_header(&mut request, 0, 0, 0);
        self.netlink.dump(wire::RTM_GETLINK, &request, |message| wire::link(message.body))
    }

    /// Every address of every interface, of both families.
    ///
    /// # Errors
    /// As [`Self::links`].
    pub fn addresses(&self) -> io::Result<Vec<Address>> {
        let mut request = Encoder::default();
        wire::address_header(&mut request, wire::AF_UNSPEC, 0, 0, 0, 0);
        self.netlink.dump(wire::RTM_GETADDR, &request, |message| wire::address(message.body))
    }

    /// Links and addresses together, to look things up in.
    ///
    /// # Errors
    /// As [`Self::links`].
    pub fn interfaces(&self) -> io::Result<Interfaces> {
        Ok(Interfaces::new(self.links()?, self.addresses()?))
    }
}

impl AsFd for Rtnetlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.netlink.as_fd()
    }
}

#[cfg(test)]
mod tests;
