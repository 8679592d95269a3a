//! Making and changing links.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::net::netdevice::name_to_index;

use super::wire::{self, Subject};
use super::{Rtnetlink, Scope};
use crate::netlink::{Encoder, NLM_F_CREATE, NLM_F_EXCL, c_string};

impl Rtnetlink {
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
