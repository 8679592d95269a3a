//! Sockets and frames for one router on one interface.

use crate::lane::Wiring;
use bowline_sys::announce::{Announcer, Envelope, Frame, Role};
use bowline_sys::rtnetlink::{Link, VirtualMac};
use bowline_sys::vrrp_socket::{Family, Membership, VrrpSocket};
use bowline_vrrp::{Config, Transport};
use std::io;

/// Opens everything in the network namespace of the calling thread.
///
/// # Errors
/// `EPERM` without `CAP_NET_RAW`, `ENODEV` without the interface, `EAFNOSUPPORT` without IPv6.
pub(crate) fn open(link: &Link, config: &Config, virtual_link: Option<VirtualMac>) -> io::Result<Wiring> {
    let settings = config.settings();
    let membership = match settings.transport {
        Transport::Multicast => Membership::Group,
        Transport::Unicast(_) => Membership::None,
    };
    let role = Role::of(&link.name);
    // On what is no Ethernet there are no neighbours to be told.
    let mac = virtual_link.map(VirtualMac::mac).or(link.mac);
    let frames = settings.addresses.as_slice().iter();
    let frames = frames.filter_map(|address| Some(Frame::announcement(*address, mac?, role))).collect();
    let socket = VrrpSocket::open(link, Family::of(settings.source), membership)?;
    socket.expect_solicitations(settings.addresses.as_slice())?;
    let envelope = match settings.transport {
        Transport::Multicast => virtual_link.map(|of| Envelope::of_adverts(of.mac(), settings.source)),
        // Where a peer is on the link, only the kernel finds out. Switches learn from announcements where the address is.
        Transport::Unicast(_) => None,
    };
    Ok(Wiring { interface: link.index, socket, announcer: Announcer::open(link.index)?, envelope, frames })
}
