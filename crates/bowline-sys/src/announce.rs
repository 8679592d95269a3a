//! Telling a link who has an address, and hearing who else says so: gratuitous ARP and ARP probes (RFC 5227), unsolicited neighbour
//! advertisements and solicitations (RFC 4861, RFC 4862), as whole Ethernet frames.
//!
//! Frames are made beforehand; sending one allocates nothing and never waits. Adverts, too, are sent so where they come from another
//! Ethernet address than the interface's.

mod envelope;
mod filter;
mod frame;
mod packet_socket;

pub use envelope::Envelope;
pub(crate) use frame::solicited_node;
pub use frame::{Claim, ClaimKind, Frame, Role};

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::net::{RecvFlags, SendFlags};
use socket2::SockRef;

use crate::vrrp_socket::Family;
use packet_socket::{ETH_P_ARP, ETH_P_IPV6, NOTHING, PacketSocket};

/// `TC_PRIO_CONTROL` of linux/pkt_sched.h: ahead of a full queue of relayed bytes, where the interface's queue knows bands.
const QUEUE_PRIORITY: u32 = 7;

/// Sends frames on one interface, and receives nothing.
#[derive(Debug)]
pub struct Announcer {
    socket: PacketSocket,
}

impl Announcer {
    /// On the interface with this [`crate::rtnetlink::Link::index`] in the namespace of the calling thread. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// `EPERM` without the capability, `ENODEV` without the interface.
    pub fn open(interface: u32) -> io::Result<Self> {
        let socket = PacketSocket::open()?;
        SockRef::from(&socket).set_priority(QUEUE_PRIORITY)?;
        socket.bind(interface, NOTHING)?;
        Ok(Self { socket })
    }

    /// Sends the frame.
    ///
    /// # Errors
    /// `ENETDOWN` when the interface is down, `ENXIO` when it is gone (then open anew), `WouldBlock` or `ENOBUFS` when its
    /// queue is full.
    pub fn send(&self, frame: &Frame) -> io::Result<()> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        rustix::io::retry_on_intr(|| rustix::net::send(&self.socket, frame.bytes(), flags))?;
        Ok(())
    }

    /// Sends an advert to the group in its envelope. No packet filter of the host's own sees it leave.
    ///
    /// # Errors
    /// As [`Self::send`]; `EMSGSIZE` when it is longer than the interface takes at once, `InvalidInput` when no packet is so long.
    pub fn send_advert(&self, envelope: &Envelope, message: &[u8]) -> io::Result<()> {
        let envelope = envelope.around(message.len())?;
        let parts = [IoSlice::new(envelope.bytes()), IoSlice::new(message)];
        loop {
            match SockRef::from(&self.socket).send_vectored(&parts) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Hears on one interface what others say of some addresses of one family. The kernel passes on nothing else, however busy the
/// link is. What this host itself sends is not heard.
#[derive(Debug)]
pub struct Listener {
    socket: PacketSocket,
    family: Family,
    addresses: Vec<IpAddr>,
}

impl Listener {
    /// On the interface with this [`crate::rtnetlink::Link::index`] in the namespace of the calling thread. Needs `CAP_NET_RAW`.
    /// Registered with epoll it is readable when there is something.
    ///
    /// # Errors
    /// `InvalidInput` without addresses, with both families, or with more than 255; `EPERM` without the capability, `ENODEV`
    /// without the interface.
    pub fn open(interface: u32, addresses: &[IpAddr]) -> io::Result<Self> {
        let family = Family::of(*addresses.first().ok_or(io::ErrorKind::InvalidInput)?);
        let filter = filter::of(family, addresses).ok_or(io::ErrorKind::InvalidInput)?;
        let socket = PacketSocket::open()?;
        // Before the bind, which lets the first packet in.
        SockRef::from(&socket).attach_filter(&filter)?;
        let protocol = match family {
            Family::V4 => ETH_P_ARP,
            Family::V6 => ETH_P_IPV6,
        };
        socket.bind(interface, protocol)?;
        Ok(Self { socket, family, addresses: addresses.to_vec() })
    }

    /// The next claim; `None` when there is none for now, or none among the next 64 frames, behind which there may be more: the
    /// descriptor stays readable then. Never waits. It may be our own, sent back by the link: its [`Claim::mac`] tells.
    ///
    /// # Errors
    /// `ENETDOWN` once when the interface goes down; it hears again when that is up again.
    pub fn next_claim(&self) -> io::Result<Option<Claim>> {
        let mut buffer = [0; FRAME_ROOM];
        for _ in 0..FRAMES_MAX {
            let received = rustix::io::retry_on_intr(|| {
                rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT)
            });
            let length = match received {
                Ok((_, length)) => length,
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let claim = frame::claim(self.family, buffer.get(..length).unwrap_or(&buffer));
            if let Some(claim) = claim.filter(|claim| self.addresses.contains(&claim.address)) {
                return Ok(Some(claim));
            }
        }
        Ok(None)
    }
}

/// Frames looked at in one call: whoever floods the link with frames that look like claims must not keep anybody here.
const FRAMES_MAX: usize = 64;

/// Whether an IPv4 lease ([`crate::rtnetlink::Lease`]) on `interface` is found by those who ask for it: with some values of
/// `net.ipv4.conf.*.arp_ignore` (Documentation/networking/ip-sysctl.rst) the kernel is silent about addresses of scope host (3), or
/// about all (8). In the namespace of the calling thread; where there is no such file it is assumed.
pub fn answers_for_leases(interface: &str) -> bool {
    let value = |of: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{of}/arp_ignore"));
        text.ok().and_then(|text| text.trim().parse::<u32>().ok()).unwrap_or(0)
    };
    // The larger one counts.
    !matches!(value("all").max(value(interface)), 3 | 8)
}

/// Enough of a frame to know what it claims: a neighbour advertisement with its first options.
const FRAME_ROOM: usize = 256;

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;
