//! The wire as a bystander sees it: frames read, made and written without any code of the daemon, so that the two can disagree.

mod advert;
mod capture;
mod forge;
mod neighbours;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use advert::{Advert, Checksum};
pub use capture::{Captured, Mark, Tap};
pub use forge::{Forge, Sum};
pub use neighbours::{Injector, announcement, question};

/// IP protocol number of VRRP (RFC 9568 section 5.1.1.4).
pub const VRRP: u8 = 112;
/// Where adverts go over IPv4 (RFC 9568 section 5.1.1.2).
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where adverts go over IPv6 (RFC 9568 section 5.1.2.2).
pub const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

const ETHERNET_HEADER: usize = 14;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;
const NEIGHBOUR_SOLICITATION: u8 = 135;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const TCP: u8 = 6;

/// A hardware address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// That of a virtual router (RFC 9568 section 7.3).
    pub fn of_router(v6: bool, vrid: u8) -> Self {
        Self([0, 0, 0x5e, 0, if v6 { 2 } else { 1 }, vrid])
    }

    /// Where frames for a multicast group go (RFC 1112 section 6.4, RFC 2464 section 7); that of a host must be asked for.
    pub fn of_group(group: IpAddr) -> Option<Self> {
        match group {
            IpAddr::V4(group) if group.is_multicast() => {
                let [_, a, b, c] = group.octets();
                Some(Self([1, 0, 0x5e, a & 0x7f, b, c]))
            }
            IpAddr::V6(group) if group.is_multicast() => {
                let [.., a, b, c, d] = group.octets();
                Some(Self([0x33, 0x33, a, b, c, d]))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub destination: Mac,
    pub source: Mac,
    pub content: Content,
}

/// What a frame carries, as far as virtual addresses go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// IP protocol 112, whatever is in it.
    Vrrp(Packet),
    Arp(Arp),
    /// A neighbour solicitation or advertisement (RFC 4861).
    Neighbour(Neighbour),
    /// Any other IP packet.
    Ip(Packet),
    /// Neither; the Ethernet protocol.
    Other(u16),
}

/// An IP packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// TOS or traffic class.
    pub traffic_class: u8,
    /// Of IPv4: bytes of options.
    pub options: usize,
    /// Of IPv4: the header's own checksum is right. Of IPv6: true.
    pub header_sound: bool,
    /// What follows the IP header, up to the length which that gives, as far as it was kept.
    pub body: Vec<u8>,
}

impl Packet {
    /// Whether it is a TCP segment with the RST bit.
    pub fn is_reset(&self) -> bool {
        const FLAGS: usize = 13;
        const RST: u8 = 0x04;
        self.protocol == TCP && self.body.get(FLAGS).is_some_and(|flags| flags & RST != 0)
    }
}

/// An ARP packet (RFC 826).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    /// 1 asks, 2 answers.
    pub operation: u16,
    pub sender_mac: Mac,
    pub sender: Ipv4Addr,
    pub target_mac: Mac,
    pub target: Ipv4Addr,
}

/// A neighbour solicitation or advertisement (RFC 4861 sections 4.3 and 4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Neighbour {
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub is_advertisement: bool,
    pub router: bool,
    pub solicited: bool,
    pub override_entry: bool,
    pub target: Ipv6Addr,
    /// Of the target in an advertisement, of the source in a solicitation.
    pub mac: Option<Mac>,
    pub hop_limit: u8,
}

impl Frame {
    /// Reads a frame; none when it is shorter than its headers are.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let destination = Mac(bytes.get(..6)?.try_into().ok()?);
        let source = Mac(bytes.get(6..12)?.try_into().ok()?);
        let payload = bytes.get(ETHERNET_HEADER..)?;
        let content = match u16_at(bytes, 12)? {
            ETHERTYPE_IPV4 => Content::of(ipv4(payload)?),
            ETHERTYPE_IPV6 => Content::of(ipv6(payload)?),
            ETHERTYPE_ARP => Content::Arp(arp(payload)?),
            other => Content::Other(other),
        };
        Some(Self { destination, source, content })
    }

    /// The hardware address that it announces for `address` or gives as an answer, none when it does neither.
    pub fn claims(&self, address: IpAddr) -> Option<Mac> {
        match (&self.content, address) {
            (Content::Arp(arp), IpAddr::V4(address)) => (arp.sender == address).then_some(arp.sender_mac),
            (Content::Neighbour(neighbour), IpAddr::V6(address)) => {
                (neighbour.is_advertisement && neighbour.target == address).then_some(neighbour.mac)?
            }
            (Content::Vrrp(_) | Content::Ip(_) | Content::Other(_), _)
            | (Content::Arp(_), IpAddr::V6(_))
            | (Content::Neighbour(_), IpAddr::V4(_)) => None,
        }
    }

    /// Whether it announces `address` to everybody: a gratuitous ARP (RFC 5227 section 3), an unsolicited advertisement (RFC 4861
    /// section 7.2.6).
    pub fn announces(&self, address: IpAddr) -> bool {
        self.claims(address).is_some()
            && match &self.content {
                Content::Arp(arp) => arp.sender == arp.target && self.destination == Mac::BROADCAST,
                Content::Neighbour(neighbour) => !neighbour.solicited && neighbour.destination.is_multicast(),
                Content::Vrrp(_) | Content::Ip(_) | Content::Other(_) => false,
            }
    }

    /// Its advert, when it carries something that looks like one.
    pub fn advert(&self) -> Option<Advert> {
        match &self.content {
            Content::Vrrp(packet) => Advert::read(packet),
            Content::Arp(_) | Content::Neighbour(_) | Content::Ip(_) | Content::Other(_) => None,
        }
    }

    /// The source address of its IP packet.
    pub fn ip_source(&self) -> Option<IpAddr> {
        match &self.content {
            Content::Vrrp(packet) | Content::Ip(packet) => Some(packet.source),
            Content::Neighbour(neighbour) => Some(neighbour.source.into()),
            Content::Arp(_) | Content::Other(_) => None,
        }
    }
}

impl Content {
    fn of(packet: Packet) -> Self {
        match packet.protocol {
            VRRP => Self::Vrrp(packet),
            ICMPV6 => neighbour(&packet).map_or(Self::Ip(packet), Self::Neighbour),
            _ => Self::Ip(packet),
        }
    }
}

fn ipv4(bytes: &[u8]) -> Option<Packet> {
    const HEADER: usize = 20;
    let header = usize::from(bytes.first()? & 0x0f) * 4;
    let length = usize::from(u16_at(bytes, 2)?);
    let octets = |at: usize| -> Option<[u8; 4]> { bytes.get(at..at + 4)?.try_into().ok() };
    Some(Packet {
        source: Ipv4Addr::from(octets(12)?).into(),
        destination: Ipv4Addr::from(octets(16)?).into(),
        protocol: *bytes.get(9)?,
        hop_limit: *bytes.get(8)?,
        traffic_class: *bytes.get(1)?,
        options: header.checked_sub(HEADER)?,
        header_sound: ones_complement(bytes.get(..header)?) == 0xffff,
        body: bytes.get(header..length.min(bytes.len()))?.to_vec(),
    })
}

fn ipv6(bytes: &[u8]) -> Option<Packet> {
    const HEADER: usize = 40;
    let octets = |at: usize| -> Option<[u8; 16]> { bytes.get(at..at + 16)?.try_into().ok() };
    let length = usize::from(u16_at(bytes, 4)?);
    Some(Packet {
        source: Ipv6Addr::from(octets(8)?).into(),
        destination: Ipv6Addr::from(octets(24)?).into(),
        protocol: *bytes.get(6)?,
        hop_limit: *bytes.get(7)?,
        // Four bits of each of the first two bytes.
        traffic_class: u8::try_from(u16_at(bytes, 0)? >> 4 & 0xff).ok()?,
        options: 0,
        header_sound: true,
        body: bytes.get(HEADER..(HEADER + length).min(bytes.len()))?.to_vec(),
    })
}

fn arp(bytes: &[u8]) -> Option<Arp> {
    // Ethernet and IPv4, with addresses of 6 and 4 bytes.
    if bytes.get(..6)? != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let mac = |at: usize| -> Option<Mac> { Some(Mac(bytes.get(at..at + 6)?.try_into().ok()?)) };
    let address = |at: usize| -> Option<Ipv4Addr> {
        let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(octets.into())
    };
    Some(Arp {
        operation: u16_at(bytes, 6)?,
        sender_mac: mac(8)?,
        sender: address(14)?,
        target_mac: mac(18)?,
        target: address(24)?,
    })
}

fn neighbour(packet: &Packet) -> Option<Neighbour> {
    let (IpAddr::V6(source), IpAddr::V6(destination)) = (packet.source, packet.destination) else {
        return None;
    };
    let body = &packet.body;
    let is_advertisement = match *body.first()? {
        NEIGHBOUR_SOLICITATION => false,
        NEIGHBOUR_ADVERTISEMENT => true,
        _ => return None,
    };
    let flags = body.get(4)?;
    let target: [u8; 16] = body.get(8..24)?.try_into().ok()?;
    // One option, a link-layer address: type, length 1 (of 8 bytes), the address.
    let mac = body.get(26..32).and_then(|bytes| bytes.try_into().ok()).map(Mac);
    Some(Neighbour {
        source,
        destination,
        is_advertisement,
        router: flags & 0x80 != 0,
        solicited: flags & 0x40 != 0,
        override_entry: flags & 0x20 != 0,
        target: target.into(),
        mac,
        hop_limit: packet.hop_limit,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// The one's complement sum of 16-bit words (RFC 1071): 0xffff over anything that contains its own right checksum.
fn ones_complement(bytes: &[u8]) -> u16 {
    let mut sum: u64 = 0;
    for pair in bytes.chunks(2) {
        sum += u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// What both IP versions add to the sum of a VRRP message (RFC 9568 section 5.2.8), the fields in the order in which they sum alike.
fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for address in [source, destination] {
        match address {
            IpAddr::V4(address) => bytes.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => bytes.extend_from_slice(&address.octets()),
        }
    }
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, protocol]);
    bytes
}

#[cfg(test)]
mod tests;
