//! The frames themselves, written and read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::mac::Mac;
use crate::vrrp_socket::Family;

/// Ethernet: destination, source, type.
const ETHERNET: usize = 14;
const SOURCE_MAC: usize = 6;

/// ARP for IPv4 over Ethernet (RFC 826).
const ARP: usize = 28;
const ARP_REQUEST: u8 = 1;
const ARP_SENDER_MAC: usize = ETHERNET + 8;
pub(super) const ARP_SENDER: usize = ETHERNET + 14;
pub(super) const ARP_TARGET: usize = ETHERNET + 24;
/// Hardware Ethernet, protocol IPv4, and the lengths of both kinds of address.
const ARP_KIND: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

/// IPv6 without extension headers (RFC 8200).
const IPV6: usize = 40;
pub(super) const NEXT_HEADER: usize = ETHERNET + 6;
const HOP_LIMIT: usize = ETHERNET + 7;
const IPV6_SOURCE: usize = ETHERNET + 8;
const IPV6_DESTINATION: usize = ETHERNET + 24;
/// The only one that is valid in neighbour discovery: no router has passed it on (RFC 4861 7.1).
const NO_HOPS: u8 = 255;
pub(super) const ICMPV6: u8 = 58;
pub(super) const ICMPV6_TYPE: usize = ETHERNET + IPV6;
const ICMPV6_CHECKSUM: usize = ETHERNET + IPV6 + 2;
pub(super) const NEIGHBOUR_SOLICITATION: u8 = 135;
pub(super) const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
/// Advertisement: the sender is a router; it overrides what is known.
const FLAG_ROUTER: u8 = 0x80;
const FLAG_OVERRIDE: u8 = 0x20;
const ND_FLAGS: usize = ETHERNET + IPV6 + 4;
pub(super) const ND_TARGET: usize = ETHERNET + IPV6 + 8;
const ND_OPTIONS: usize = ETHERNET + IPV6 + 24;
/// The option that holds the target's link-layer address: type, length in units of eight bytes, address.
const TARGET_LINK_LAYER: [u8; 2] = [2, 1];
/// The same of the sender.
const SOURCE_LINK_LAYER: [u8; 2] = [1, 1];
const OPTION: usize = 8;

/// The longest of our frames, a neighbour advertisement.
const LONGEST: usize = ND_OPTIONS + OPTION;

/// Every node of the link (RFC 4291 2.7.1).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A frame that is ready to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    bytes: [u8; LONGEST],
    length: usize,
}

/// Whether this host forwards packets, which an IPv6 advertisement says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// It does not.
    Host,
    /// It does, as Kubernetes nodes do.
    Router,
}

impl Role {
    /// That of an interface in IPv6 (`net.ipv6.conf.*.forwarding`), in the namespace of the calling thread. Without IPv6 a host.
    pub fn of(interface: &str) -> Self {
        let forwarding = std::fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{interface}/forwarding"));
        match forwarding.as_deref().map(str::trim) {
            Ok("0") | Err(_) => Self::Host,
            Ok(_) => Self::Router,
        }
    }
}

impl Frame {
    /// Says to everyone on the link that `address` is at `mac`, from which it is sent: in IPv4 a broadcast ARP request for the
    /// sender's own address (RFC 5227 3), in IPv6 an unsolicited neighbour advertisement to all nodes (RFC 4861 7.2.6).
    pub fn announcement(address: IpAddr, mac: Mac, role: Role) -> Self {
        match address {
            IpAddr::V4(address) => Self::arp(mac, address, Mac::BROADCAST, address),
            IpAddr::V6(address) => {
                let mut frame = Self::ipv6(mac, address, ALL_NODES, 24 + OPTION);
                frame.put(ICMPV6_TYPE, &[NEIGHBOUR_ADVERTISEMENT]);
                let router = match role {
                    Role::Host => 0,
                    Role::Router => FLAG_ROUTER,
                };
                frame.put(ND_FLAGS, &[FLAG_OVERRIDE | router]);
                frame.put(ND_TARGET, &address.octets());
                frame.put(ND_OPTIONS, &TARGET_LINK_LAYER);
                frame.put(ND_OPTIONS + TARGET_LINK_LAYER.len(), &mac.0);
                frame.with_checksum()
            }
        }
    }

    /// Asks the link who has `address`, without saying that we do: in IPv4 an ARP probe (RFC 5227 2.1.1), in IPv6 the
    /// solicitation of duplicate address detection (RFC 4862 5.4.2). A host that has it answers to `mac`, or to everyone.
    pub fn probe(address: IpAddr, mac: Mac) -> Self {
        match address {
            IpAddr::V4(address) => Self::arp(mac, Ipv4Addr::UNSPECIFIED, Mac::UNKNOWN, address),
            IpAddr::V6(address) => {
                let mut frame = Self::ipv6(mac, Ipv6Addr::UNSPECIFIED, solicited_node(address), 24);
                frame.put(ICMPV6_TYPE, &[NEIGHBOUR_SOLICITATION]);
                frame.put(ND_TARGET, &address.octets());
                frame.with_checksum()
            }
        }
    }

    /// Asks the link who has `address`, and tells whoever answers that `source` is at `mac` (RFC 826; RFC 4861 7.2.2, 7.2.3): it
    /// knows from then on where to send to, also when it has looked for `source` in vain.
    ///
    /// # Panics
    /// With addresses of two families.
    pub fn solicitation(address: IpAddr, mac: Mac, source: IpAddr) -> Self {
        match (address, source) {
            (IpAddr::V4(address), IpAddr::V4(source)) => Self::arp(mac, source, Mac::UNKNOWN, address),
            (IpAddr::V6(address), IpAddr::V6(source)) => {
                let mut frame = Self::ipv6(mac, source, solicited_node(address), 24 + OPTION);
                frame.put(ICMPV6_TYPE, &[NEIGHBOUR_SOLICITATION]);
                frame.put(ND_TARGET, &address.octets());
                frame.put(ND_OPTIONS, &SOURCE_LINK_LAYER);
                frame.put(ND_OPTIONS + SOURCE_LINK_LAYER.len(), &mac.0);
                frame.with_checksum()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                panic!("{source} does not ask for {address}")
            }
        }
    }

    /// The frame from its destination to the end of what it carries; the interface pads it.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    fn arp(from: Mac, sender: Ipv4Addr, target_mac: Mac, target: Ipv4Addr) -> Self {
        let mut frame = Self { bytes: [0; LONGEST], length: ETHERNET + ARP };
        frame.ethernet(Mac::BROADCAST, from, [0x08, 0x06]);
        frame.put(ETHERNET, &ARP_KIND);
        frame.put(ETHERNET + 6, &[0, ARP_REQUEST]);
        frame.put(ARP_SENDER_MAC, &from.0);
        frame.put(ARP_SENDER, &sender.octets());
        frame.put(ETHERNET + 18, &target_mac.0);
        frame.put(ARP_TARGET, &target.octets());
        frame
    }

    /// An ICMPv6 message of `length` bytes, all of which are zero.
    fn ipv6(from: Mac, source: Ipv6Addr, destination: Ipv6Addr, length: usize) -> Self {
        let mut frame = Self { bytes: [0; LONGEST], length: ETHERNET + IPV6 + length };
        // RFC 2464 7: a multicast address ends with the last four bytes of the group's.
        let [.., a, b, c, d] = destination.octets();
        frame.ethernet(Mac([0x33, 0x33, a, b, c, d]), from, [0x86, 0xdd]);
        frame.put(ETHERNET, &[0x60, 0, 0, 0, 0, length as u8, ICMPV6, NO_HOPS]);
        frame.put(IPV6_SOURCE, &source.octets());
        frame.put(IPV6_DESTINATION, &destination.octets());
        frame
    }

    fn ethernet(&mut self, to: Mac, from: Mac, kind: [u8; 2]) {
        self.put(0, &to.0);
        self.put(SOURCE_MAC, &from.0);
        self.put(2 * SOURCE_MAC, &kind);
    }

    fn put(&mut self, offset: usize, bytes: &[u8]) {
        let place = self.bytes.get_mut(offset..offset + bytes.len());
        place.expect("each field lies inside the longest frame").copy_from_slice(bytes);
    }

    /// Puts the checksum of ICMPv6 in its place, which was zero (RFC 4443 2.3).
    fn with_checksum(mut self) -> Self {
        let checksum = !sum_of_ipv6(self.bytes());
        self.put(ICMPV6_CHECKSUM, &checksum.to_be_bytes());
        self
    }
}

/// The one's complement sum over both addresses, length and protocol (RFC 8200 8.1), and what the packet carries.
fn sum_of_ipv6(frame: &[u8]) -> u16 {
    let carried = frame.get(ETHERNET + IPV6..).unwrap_or(&[]);
    let addresses = frame.get(IPV6_SOURCE..ETHERNET + IPV6).unwrap_or(&[]);
    let words = addresses.chunks(2).chain(carried.chunks(2)).map(|pair| match *pair {
        [high, low] => u64::from(u16::from_be_bytes([high, low])),
        [high] => u64::from(high) << 8,
        _ => 0,
    });
    let mut sum = words.sum::<u64>() + carried.len() as u64 + u64::from(ICMPV6);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The group of those whose address ends like this one (RFC 4291 2.7.1).
pub(crate) fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    const GROUP: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
    Ipv6Addr::from_bits(GROUP | (address.to_bits() & 0x00ff_ffff))
}

/// What somebody says of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The address.
    pub address: IpAddr,
    /// Who says so.
    pub mac: Mac,
    /// What.
    pub kind: ClaimKind,
}

/// What is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClaimKind {
    /// That it has the address: an answer, an announcement, or a question that comes from it.
    Has,
    /// That it is about to take it, and asks whether it is free (a probe).
    Wants,
}

/// Reads a received frame; `None` for what claims nothing, or is not valid (RFC 4861 7.1).
pub(super) fn claim(family: Family, frame: &[u8]) -> Option<Claim> {
    match family {
        Family::V4 => arp_claim(frame),
        Family::V6 => neighbour_claim(frame),
    }
}

fn arp_claim(frame: &[u8]) -> Option<Claim> {
    if frame.get(ETHERNET..)?.first_chunk() != Some(&ARP_KIND) {
        return None;
    }
    let sender = Ipv4Addr::from(at::<4>(frame, ARP_SENDER)?);
    let target = Ipv4Addr::from(at::<4>(frame, ARP_TARGET)?);
    let mac = Mac(at(frame, ARP_SENDER_MAC)?);
    if !sender.is_unspecified() {
        return Some(Claim { address: sender.into(), mac, kind: ClaimKind::Has });
    }
    let is_request = at::<2>(frame, ETHERNET + 6)? == [0, ARP_REQUEST];
    is_request.then_some(Claim { address: target.into(), mac, kind: ClaimKind::Wants })
}

fn neighbour_claim(frame: &[u8]) -> Option<Claim> {
    let carried = usize::from(u16::from_be_bytes(at(frame, ETHERNET + 4)?));
    let frame = frame.get(..ETHERNET + IPV6 + carried)?;
    let is_valid = at(frame, NEXT_HEADER)? == [ICMPV6]
        && at(frame, HOP_LIMIT)? == [NO_HOPS]
        && sum_of_ipv6(frame) == u16::MAX;
    if !is_valid {
        return None;
    }
    let address = Ipv6Addr::from(at::<16>(frame, ND_TARGET)?).into();
    let source = Mac(at(frame, SOURCE_MAC)?);
    match at(frame, ICMPV6_TYPE)? {
        [NEIGHBOUR_ADVERTISEMENT] => {
            let mac = target_link_layer(frame.get(ND_OPTIONS..)?).unwrap_or(source);
            Some(Claim { address, mac, kind: ClaimKind::Has })
        }
        [NEIGHBOUR_SOLICITATION] => {
            let is_probe = Ipv6Addr::from(at::<16>(frame, IPV6_SOURCE)?).is_unspecified();
            is_probe.then_some(Claim { address, mac: source, kind: ClaimKind::Wants })
        }
        _ => None,
    }
}

fn target_link_layer(options: &[u8]) -> Option<Mac> {
    let mut rest = options;
    loop {
        let length = usize::from(*rest.get(1)?) * OPTION;
        let option = rest.get(..length).filter(|option| !option.is_empty())?;
        if option.first_chunk() == Some(&TARGET_LINK_LAYER) {
            return at(option, TARGET_LINK_LAYER.len()).map(Mac);
        }
        rest = rest.get(length..)?;
    }
}

fn at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests;
