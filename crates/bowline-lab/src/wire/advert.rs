//! Adverts read leniently: what is there is shown, right or wrong.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Packet, VRRP, ones_complement, pseudo_header, u16_at};

/// The fixed part of a VRRP message.
const HEADER: usize = 8;
/// Authentication data at the end of every version 2 message (RFC 2338 section 5.3.10).
const AUTHENTICATION: usize = 8;

/// Which sum the checksum is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// Over the message alone.
    MessageOnly,
    /// Over the message and the pseudo-header.
    PseudoHeader,
    /// Neither.
    Wrong,
}

/// A VRRP message, field by field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    pub version: u8,
    /// 1 is ADVERTISEMENT.
    pub kind: u8,
    pub vrid: u8,
    pub priority: u8,
    /// As the header gives it.
    pub count: u8,
    /// Version 2: authentication type. Version 3: the four reserved bits.
    pub fifth_byte: u8,
    /// Version 2: seconds. Version 3: centiseconds.
    pub interval: u16,
    pub checksum: Checksum,
    pub addresses: Vec<IpAddr>,
    /// Version 2: the authentication data.
    pub authentication: Vec<u8>,
    /// Bytes after what the header announces.
    pub trailing: usize,
    /// Of the whole message.
    pub length: usize,
}

impl Advert {
    pub(super) fn read(packet: &Packet) -> Option<Self> {
        let body = &packet.body;
        let (first, fifth) = (*body.first()?, *body.get(4)?);
        let (version, kind) = (first >> 4, first & 0x0f);
        let (fifth_byte, interval) = if version == 2 {
            (fifth, u16::from(*body.get(5)?))
        } else {
            (fifth >> 4, u16_at(body, 4)? & 0x0fff)
        };
        let count = *body.get(3)?;
        let size = if packet.source.is_ipv4() { 4 } else { 16 };
        let addresses_end = HEADER + usize::from(count) * size;
        let listed = body.get(HEADER..addresses_end.min(body.len()))?;
        let end = addresses_end + if version == 2 { AUTHENTICATION } else { 0 };
        Some(Self {
            version,
            kind,
            vrid: *body.get(1)?,
            priority: *body.get(2)?,
            count,
            fifth_byte,
            interval,
            checksum: checksum(packet),
            addresses: listed.chunks_exact(size).filter_map(address).collect(),
            authentication: body.get(addresses_end..end).unwrap_or_default().to_vec(),
            trailing: body.len().saturating_sub(end),
            length: body.len(),
        })
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(|octets| Ipv4Addr::from(octets).into());
    let v6 = <[u8; 16]>::try_from(octets).map(|octets| Ipv6Addr::from(octets).into());
    v4.or(v6).ok()
}

fn checksum(packet: &Packet) -> Checksum {
    let pseudo = pseudo_header(packet.source, packet.destination, VRRP, packet.body.len());
    if ones_complement(&[&pseudo, packet.body.as_slice()].concat()) == 0xffff {
        Checksum::PseudoHeader
    } else if ones_complement(&packet.body) == 0xffff {
        Checksum::MessageOnly
    } else {
        Checksum::Wrong
    }
}
