//! Raw sockets on which VRRP's messages come and go: IP protocol 112 on one interface, in one family (RFC 9568 5.1).
//!
//! Sending and receiving allocate nothing and never wait.
#![allow(unsafe_code)]

mod control;

use std::ffi::{c_int, c_void};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::{
    Domain, InterfaceIndexOrAddress, MaybeUninitSlice, MsgHdr, MsgHdrMut, Protocol, SockAddr, SockFilter,
    Socket, Type,
};

use crate::announce::solicited_node;
use crate::rtnetlink::Link;

/// Where VRRP is sent in IPv4 (RFC 9568 5.1.1.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where VRRP is sent in IPv6 (RFC 9568 5.1.2.2).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// The protocol's number (RFC 9568 5.1.1.4).
pub(crate) const VRRP: u8 = 112;
/// TTL and hop limit of what is sent: no router has passed it on (RFC 9568 5.1.1.3).
pub(crate) const HOP_LIMIT: u8 = 255;
/// Type of service and traffic class: CS6, network control.
pub(crate) const TRAFFIC_CLASS: u8 = 0xc0;
/// `TC_PRIO_CONTROL` of linux/pkt_sched.h: ahead of a full queue of relayed bytes, where the interface's queue knows bands.
const QUEUE_PRIORITY: u32 = 7;
/// Room for messages that are not read yet: some thousand, so that a burst from behind an unresolved neighbour is not lost.
const RECEIVE_BUFFER: usize = 1024 * 1024;
/// What may have come from other interfaces before the socket was bound to its own; the buffer holds no more.
const STRAY_MAX: usize = 65_536;

/// What [`VrrpSocket::receive`] needs room for: the longest IPv4 header (60 bytes) or none, and the longest message, which is 255
/// IPv6 addresses behind 8 bytes. Longer ones are cut.
pub const ROOM: usize = 4352;

/// Which Internet protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// That of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Whether the interface takes what is sent to the group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Membership {
    /// It joins [`GROUP_V4`] or [`GROUP_V6`].
    Group,
    /// It takes only what is sent to this host's own addresses.
    None,
}

/// A raw socket on one interface. It keeps to the interface it was opened on: when that is deleted, it must be opened anew.
#[derive(Debug)]
pub struct VrrpSocket {
    socket: Socket,
    family: Family,
    interface: u32,
}

/// What came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received<'a> {
    /// From which address.
    pub source: IpAddr,
    /// To which: the group, or one of this host's.
    pub destination: IpAddr,
    /// The packet's TTL or hop limit.
    pub hop_limit: Option<u8>,
    /// The message, without the IP header; at most what [`ROOM`] holds.
    pub message: &'a [u8],
    /// It was longer and is cut.
    pub is_cut: bool,
}

impl VrrpSocket {
    /// Opens the socket on `link`, in the namespace of the calling thread. Needs `CAP_NET_RAW`.
    ///
    /// # Errors
    /// `EPERM` without the capability, `ENODEV` without the interface, `EAFNOSUPPORT` without IPv6, `EADDRNOTAVAIL` for a
    /// membership on an interface without IPv6.
    pub fn open(link: &Link, family: Family, membership: Membership) -> io::Result<Self> {
        let domain = match family {
            Family::V4 => Domain::IPV4,
            Family::V6 => Domain::IPV6,
        };
        let socket = Socket::new(domain, Type::RAW, Some(Protocol::from(c_int::from(VRRP))))?;
        socket.set_nonblocking(true)?;
        // Nothing comes in until the socket is bound to its interface, and what came before that is thrown away.
        socket.attach_filter(&[SockFilter::new(BPF_RET, 0, 0, 0)])?;
        socket.bind_device(Some(link.name.as_bytes()))?;
        let opened = Self { socket, family, interface: link.index };
        opened.throw_away_strays()?;
        opened.configure(membership)?;
        opened.socket.detach_filter()?;
        Ok(opened)
    }

    fn throw_away_strays(&self) -> io::Result<()> {
        let mut buffer = [0; 1];
        for _ in 0..STRAY_MAX {
            match rustix::net::recv(&self.socket, &mut buffer[..], rustix::net::RecvFlags::empty()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn configure(&self, membership: Membership) -> io::Result<()> {
        let (socket, interface) = (&self.socket, self.interface);
        socket.set_priority(QUEUE_PRIORITY)?;
        // Beyond the limit of the host with CAP_NET_ADMIN, else up to it.
        if sockopt::set_socket_recv_buffer_size_force(socket, RECEIVE_BUFFER).is_err() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        }
        match self.family {
            Family::V4 => {
                socket.set_ttl_v4(HOP_LIMIT.into())?;
                socket.set_multicast_ttl_v4(HOP_LIMIT.into())?;
                socket.set_multicast_loop_v4(false)?;
                socket.set_tos_v4(TRAFFIC_CLASS.into())?;
                if membership == Membership::Group {
                    socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(interface))?;
                }
            }
            Family::V6 => {
                socket.set_unicast_hops_v6(HOP_LIMIT.into())?;
                socket.set_multicast_hops_v6(HOP_LIMIT.into())?;
                socket.set_multicast_loop_v6(false)?;
                socket.set_tclass_v6(TRAFFIC_CLASS.into())?;
                socket.set_recv_hoplimit_v6(true)?;
                receive_packet_info(socket)?;
                if membership == Membership::Group {
                    socket.join_multicast_v6(&GROUP_V6, interface)?;
                }
            }
        }
        Ok(())
    }

    /// Joins the groups to which others send when they look for these addresses (RFC 9568 6.4.1), before this host has any of them.
    ///
    /// The kernel joins one for an address of its own only some time after the address was added, in the background and when it
    /// gets the lock on network configuration: a client that asks in between asks again a second later. And a switch that
    /// learns where groups are knows it beforehand. The memberships end with the socket. Of IPv4 addresses nothing is needed.
    ///
    /// # Errors
    /// `ENODEV` when the interface is gone; `ENOMEM`, `ENOBUFS` for more addresses than a socket may have memberships
    /// (`net.core.optmem_max`).
    pub fn expect_solicitations(&self, addresses: &[IpAddr]) -> io::Result<()> {
        for address in addresses {
            match address {
                IpAddr::V4(_) => {}
                IpAddr::V6(address) => {
                    match self.socket.join_multicast_v6(&solicited_node(*address), self.interface) {
                        // Two addresses can share a group.
                        Err(error) if error.kind() != io::ErrorKind::AddrInUse => return Err(error),
                        Ok(()) | Err(_) => {}
                    }
                }
            }
        }
        Ok(())
    }

    /// From now on nothing is received: for who only sends, and would leave the kernel to keep what comes.
    ///
    /// # Errors
    /// When kernel memory is exhausted.
    pub fn stop_receiving(&self) -> io::Result<()> {
        self.socket.attach_filter(&[SockFilter::new(BPF_RET, 0, 0, 0)])
    }

    /// Sends one message from `source`, which must be an address of this host that is usable, to `destination`, both of the
    /// socket's family.
    ///
    /// # Errors
    /// `InvalidInput` for an address of the other family; `EINVAL` or `EADDRNOTAVAIL` when `source` is not here (yet);
    /// `ENETDOWN`, `ENETUNREACH`, `ENODEV` when the interface is down or gone; `EPERM` when a packet filter forbids it;
    /// `WouldBlock`, `ENOBUFS` when the queue is full. Whatever it is: this message is lost, the next may not be.
    pub fn send(&self, source: IpAddr, destination: IpAddr, message: &[u8]) -> io::Result<()> {
        if Family::of(source) != self.family || Family::of(destination) != self.family {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let control = control::from_source(source);
        let destination = SockAddr::from(SocketAddr::new(destination, 0));
        let buffers = [IoSlice::new(message)];
        let header = MsgHdr::new().with_addr(&destination).with_buffers(&buffers).with_control(&control);
        loop {
            match self.socket.sendmsg(&header, 0) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next message; it lies in `buffer`.
    ///
    /// # Errors
    /// `WouldBlock` when there is none, `InvalidData` when the kernel's headers make no sense. That the interface is down or gone is no
    /// error here: nothing comes.
    pub fn receive<'a>(&self, buffer: &'a mut [u8; ROOM]) -> io::Result<Received<'a>> {
        let mut control = [MaybeUninit::new(0); control::ROOM];
        let mut from = SockAddr::from(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0));
        let (length, control_length, is_cut) = loop {
            // SAFETY: bytes may be viewed as possibly uninitialised ones as long as none is made uninitialised through the view;
            // recvmsg(2), which alone gets it, only writes bytes.
            let view = unsafe { &mut *(std::ptr::from_mut::<[u8]>(buffer) as *mut [MaybeUninit<u8>]) };
            let mut buffers = [MaybeUninitSlice::new(view)];
            let mut header =
                MsgHdrMut::new().with_addr(&mut from).with_buffers(&mut buffers).with_control(&mut control);
            match self.socket.recvmsg(&mut header, 0) {
                Ok(length) => break (length, header.control_len(), header.flags().is_truncated()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        let bytes = buffer.get(..length).ok_or_else(senseless)?;
        let received = match self.family {
            Family::V4 => of_ipv4(bytes, is_cut),
            Family::V6 => {
                // SAFETY: all of the array was initialised when it was made, and the kernel only writes bytes.
                let control = control.map(|byte| unsafe { byte.assume_init() });
                of_ipv6(bytes, is_cut, &from, control.get(..control_length).unwrap_or(&control))
            }
        };
        received.ok_or_else(senseless)
    }
}

/// Reads a packet with its header, which in IPv4 a raw socket gets; fragments are together again.
fn of_ipv4(packet: &[u8], is_cut: bool) -> Option<Received<'_>> {
    const IHL_MASK: u8 = 0x0f;
    const WORD: usize = 4;
    let header = usize::from(packet.first()? & IHL_MASK) * WORD;
    let address = |offset: usize| Some(Ipv4Addr::from(*packet.get(offset..)?.first_chunk::<4>()?));
    Some(Received {
        source: address(12)?.into(),
        destination: address(16)?.into(),
        hop_limit: Some(*packet.get(8)?),
        message: packet.get(header..)?,
        is_cut,
    })
}

/// Reads a message, whose header the kernel keeps and tells beside it.
fn of_ipv6<'a>(message: &'a [u8], is_cut: bool, from: &SockAddr, control: &[u8]) -> Option<Received<'a>> {
    let told = control::told(control);
    let source = from.as_socket_ipv6()?;
    Some(Received {
        source: (*source.ip()).into(),
        destination: told.destination?.into(),
        hop_limit: told.hop_limit,
        message,
        is_cut,
    })
}

fn senseless() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a raw socket's packet makes no sense")
}

/// `BPF_RET | BPF_K` of linux/bpf_common.h: how much of the packet is taken.
const BPF_RET: u16 = 0x06;

unsafe extern "C" {
    fn setsockopt(socket: c_int, level: c_int, name: c_int, value: *const c_void, length: u32) -> c_int;
}

/// Has the kernel tell the destination of what is received, for which our crates have no call.
fn receive_packet_info(socket: &Socket) -> io::Result<()> {
    /// Of linux/in6.h.
    const IPV6_RECVPKTINFO: c_int = 49;
    let on: c_int = 1;
    // SAFETY: `value` points to a live int and `length` is its size; the descriptor is open while `socket` is borrowed.
    let result = unsafe {
        setsockopt(
            socket.as_raw_fd(),
            control::LEVEL_IPV6,
            IPV6_RECVPKTINFO,
            std::ptr::from_ref(&on).cast(),
            size_of::<c_int>() as u32,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

impl AsFd for VrrpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests;
