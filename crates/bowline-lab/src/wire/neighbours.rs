//! Who answers for an address: ARP and neighbour discovery, asked and announced by hand.

use std::io;
use std::net::IpAddr;

use bowline_sys::netns::Namespace;
use bowline_sys::packet::PacketSocket;

use super::{
    ETHERTYPE_ARP, ETHERTYPE_IPV6, ICMPV6, Mac, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION,
    ones_complement, pseudo_header,
};

/// Writes frames to a link.
#[derive(Debug)]
pub struct Injector {
    socket: PacketSocket,
}

impl Injector {
    /// Opens it on a link of a namespace.
    ///
    /// # Errors
    /// When there is no such link, or without privileges.
    pub fn open(namespace: &Namespace, link: &str) -> io::Result<Self> {
        Ok(Self { socket: namespace.inside(|| PacketSocket::open(link))?? })
    }

    /// Sends a frame as it stands.
    ///
    /// # Errors
    /// When the link is down.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.socket.send(frame)
    }
}

/// Asks everybody who has `address`, on behalf of the host with `source` and `mac` of the same family.
pub fn question(source: IpAddr, mac: Mac, address: IpAddr) -> Vec<u8> {
    match (source, address) {
        (IpAddr::V6(_), IpAddr::V6(target)) => {
            // The solicited-node group of the target (RFC 4291 section 2.7.1).
            let [.., a, b, c] = target.octets();
            let group = std::net::Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
            neighbour(NEIGHBOUR_SOLICITATION, 0, (source, group.into()), target.octets(), mac)
        }
        (IpAddr::V4(sender), IpAddr::V4(target)) => {
            arp(1, (mac, sender.octets()), (Mac([0; 6]), target.octets()))
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
    }
}

/// Announces to everybody that `address` is at `mac`: a gratuitous ARP, or an unsolicited advertisement that overrides.
pub fn announcement(address: IpAddr, mac: Mac) -> Vec<u8> {
    const OVERRIDE: u8 = 0x20;
    match address {
        IpAddr::V4(address) => arp(1, (mac, address.octets()), (Mac::BROADCAST, address.octets())),
        IpAddr::V6(target) => {
            let everybody = std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
            neighbour(NEIGHBOUR_ADVERTISEMENT, OVERRIDE, (address, everybody.into()), target.octets(), mac)
        }
    }
}

fn arp(operation: u16, sender: (Mac, [u8; 4]), target: (Mac, [u8; 4])) -> Vec<u8> {
    let ethernet = [&Mac::BROADCAST.0[..], &sender.0.0, &ETHERTYPE_ARP.to_be_bytes()].concat();
    let fixed = [&[0, 1, 8, 0, 6, 4][..], &operation.to_be_bytes()].concat();
    [&ethernet[..], &fixed, &sender.0.0, &sender.1, &target.0.0, &target.1].concat()
}

fn neighbour(
    kind: u8,
    flags: u8,
    (source, destination): (IpAddr, IpAddr),
    target: [u8; 16],
    mac: Mac,
) -> Vec<u8> {
    // Option 1 is the sender's own address, option 2 that of the target; length 1 means 8 bytes.
    let option = if kind == NEIGHBOUR_SOLICITATION { 1 } else { 2 };
    let mut message = [&[kind, 0, 0, 0, flags, 0, 0, 0][..], &target, &[option, 1], &mac.0].concat();
    let pseudo = pseudo_header(source, destination, ICMPV6, message.len());
    let sum = (!ones_complement(&[&pseudo, message.as_slice()].concat())).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    let (IpAddr::V6(from), IpAddr::V6(to)) = (source, destination) else { return Vec::new() };
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
    let header = [0x60, 0, 0, 0, length[0], length[1], ICMPV6, 255];
    let hardware = Mac::of_group(destination).unwrap_or(Mac::BROADCAST);
    let ethernet = [&hardware.0[..], &mac.0, &ETHERTYPE_IPV6.to_be_bytes()].concat();
    [&ethernet[..], &header, &from.octets(), &to.octets(), &message].concat()
}
