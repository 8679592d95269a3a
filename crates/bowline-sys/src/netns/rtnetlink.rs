//! The four requests to rtnetlink(7) that namespaces need. Names and numbers are those of the kernel's headers: `linux/netlink.h`,
//! `linux/rtnetlink.h`, `linux/if_link.h`, `linux/if_addr.h`, `linux/veth.h`. Everything is in host byte order.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// `struct nlmsghdr`: length, type, flags, sequence number, port.
const NLMSG_HDRLEN: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 0x01;
const NLM_F_ACK: u16 = 0x04;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

const RTM_NEWLINK: u16 = 16;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;

const IFLA_IFNAME: u16 = 3;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const VETH_INFO_PEER: u16 = 1;
const IFF_UP: u32 = 1;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_F_NODAD: u8 = 0x02;

const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// An acknowledgement repeats the request at most, and ours are far smaller than this.
const ANSWER_MAX: usize = 8192;

/// A socket to the routing part of the kernel, for the namespace in which it was opened.
#[derive(Debug)]
pub(super) struct Rtnetlink {
    socket: OwnedFd,
}

impl Rtnetlink {
    pub(super) fn open() -> io::Result<Self> {
        // No protocol is NETLINK_ROUTE. Unbound and unconnected: requests go to the kernel, which answers to the sender.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Self { socket })
    }

    pub(super) fn add_veth(
        &self,
        name: &str,
        peer_name: &str,
        peer_namespace: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let mut peer = Encoder::default();
        peer.ifinfomsg(0, 0);
        peer.attribute(IFLA_IFNAME, &c_string(peer_name));
        peer.attribute(IFLA_NET_NS_FD, &peer_namespace.as_raw_fd().to_ne_bytes());
        let mut data = Encoder::default();
        data.attribute(VETH_INFO_PEER, &peer.bytes);
        let mut info = Encoder::default();
        info.attribute(IFLA_INFO_KIND, b"veth");
        info.attribute(IFLA_INFO_DATA, &data.bytes);
        let mut request = Encoder::default();
        request.ifinfomsg(0, 0);
        request.attribute(IFLA_IFNAME, &c_string(name));
        request.attribute(IFLA_LINKINFO, &info.bytes);
        self.ask(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &request)
    }

    pub(super) fn set_link(&self, name: &str, is_up: bool) -> io::Result<()> {
        let mut request = Encoder::default();
        request.ifinfomsg(if is_up { IFF_UP } else { 0 }, IFF_UP);
        request.attribute(IFLA_IFNAME, &c_string(name));
        self.ask(RTM_SETLINK, 0, &request)
    }

    pub(super) fn add_address(&self, name: &str, address: IpAddr, prefix: u8) -> io::Result<()> {
        let index = name_to_index(&self.socket, name)?;
        let (family, octets) = match address {
            IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
            IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
        };
        let mut request = Encoder::default();
        // struct ifaddrmsg: family, prefix length, flags, scope, index.
        request.bytes.extend_from_slice(&[family, prefix, IFA_F_NODAD, 0]);
        request.bytes.extend_from_slice(&index.to_ne_bytes());
        request.attribute(IFA_LOCAL, &octets);
        request.attribute(IFA_ADDRESS, &octets);
        self.ask(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &request)
    }

    /// Sends a request and waits for its acknowledgement, which the kernel queues before `send` returns.
    fn ask(&self, kind: u16, flags: u16, request: &Encoder) -> io::Result<()> {
        let length = NLMSG_HDRLEN + request.bytes.len();
        let length = u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut message = Vec::with_capacity(NLMSG_HDRLEN + request.bytes.len());
        message.extend_from_slice(&length.to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(flags | NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
        // Sequence number and port: one request at a time on a socket of our own needs neither.
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(&request.bytes);
        send(&self.socket, &message, SendFlags::empty())?;
        let mut answer = [0; ANSWER_MAX];
        let (_, length) = recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
        acknowledgement(answer.get(..length).unwrap_or(&answer))
    }
}

/// Reads `struct nlmsgerr`: the header, then a negative error number, or 0.
fn acknowledgement(answer: &[u8]) -> io::Result<()> {
    let no_answer = || io::Error::new(io::ErrorKind::InvalidData, "rtnetlink answered something else");
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let code = answer.get(NLMSG_HDRLEN..NLMSG_HDRLEN + 4).and_then(|bytes| bytes.try_into().ok());
    match (kind, code.map(i32::from_ne_bytes)) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        (Some(_) | None, _) => Err(no_answer()),
    }
}

fn c_string(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// Message bodies and nested attributes.
#[derive(Debug, Default)]
struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// `struct ifinfomsg`: family, padding, type, index (0: by name), flags, and which flags are meant.
    fn ifinfomsg(&mut self, flags: u32, change: u32) {
        self.bytes.extend_from_slice(&[AF_UNSPEC, 0, 0, 0]);
        self.bytes.extend_from_slice(&0_i32.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&change.to_ne_bytes());
    }

    /// `struct rtattr`: length with this header, type, value, padding to a multiple of 4.
    fn attribute(&mut self, kind: u16, value: &[u8]) {
        const RTA_HDRLEN: usize = 4;
        const RTA_ALIGNTO: usize = 4;
        let length = u16::try_from(RTA_HDRLEN + value.len()).expect("attributes of a few dozen bytes");
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(RTA_ALIGNTO), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_to_four_and_their_length_is_not() {
        let mut encoder = Encoder::default();
        encoder.attribute(IFLA_IFNAME, b"lo\0");
        assert_eq!(encoder.bytes, [&7_u16.to_ne_bytes()[..], &3_u16.to_ne_bytes(), b"lo\0\0"].concat());
    }

    #[test]
    fn acknowledgements_are_read_and_anything_else_is_an_error() {
        let message = |kind: u16, code: i32| {
            let header = [&36_u32.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10]].concat();
            [&header[..], &code.to_ne_bytes(), &[0; 16]].concat()
        };
        assert!(acknowledgement(&message(NLMSG_ERROR, 0)).is_ok());
        let exists = acknowledgement(&message(NLMSG_ERROR, -17)).expect_err("EEXIST");
        assert_eq!(exists.kind(), io::ErrorKind::AlreadyExists);
        let other = acknowledgement(&message(RTM_NEWLINK, 0)).expect_err("no acknowledgement");
        assert_eq!(other.kind(), io::ErrorKind::InvalidData);
        let whole = message(NLMSG_ERROR, 0);
        for length in 0..NLMSG_HDRLEN + 4 {
            assert!(acknowledgement(&whole[..length]).is_err(), "{length} bytes");
        }
    }
}
