//! Adverts made by hand, right by default, wrong wherever a test wants it.

use std::net::IpAddr;

use super::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, GROUP, GROUP6, Mac, VRRP, ones_complement, pseudo_header};

/// Network control, the class of routing protocols (RFC 2474 section 4.2.2.2): CS6.
const CS6: u8 = 0xc0;
/// Where an IPv4 header has its checksum.
const HEADER_CHECKSUM: usize = 10;
/// Where a VRRP message has its checksum.
const CHECKSUM: usize = 6;

/// What is put into the checksum field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// The sum over the message alone.
    MessageOnly,
    /// The sum over the message and the pseudo-header.
    PseudoHeader,
    /// This value.
    Value(u16),
    /// The right one for the version and family, with these bits flipped.
    Flipped(u16),
}

/// An advert in the making.
#[derive(Debug, Clone)]
pub struct Forge {
    pub ethernet_source: Mac,
    /// The group's own when the destination is one.
    pub ethernet_destination: Option<Mac>,
    pub source: IpAddr,
    pub destination: IpAddr,
    pub hop_limit: u8,
    pub traffic_class: u8,
    pub protocol: u8,
    /// IPv4 options, a multiple of 4 bytes.
    pub options: Vec<u8>,
    /// IPv4: the more-fragments bit is set.
    pub fragment: bool,
    pub version: u8,
    pub kind: u8,
    pub vrid: u8,
    pub priority: u8,
    pub addresses: Vec<IpAddr>,
    /// What the header says instead of the number of addresses.
    pub count: Option<u8>,
    /// Version 2: authentication type. Version 3: the four reserved bits.
    pub fifth_byte: u8,
    /// Version 2: seconds. Version 3: centiseconds.
    pub interval: u16,
    pub authentication: [u8; 8],
    pub sum: Option<Sum>,
    /// The message is cut to this many bytes after the checksum was made for what remains.
    pub keep: Option<usize>,
    /// Bytes after the message, covered by the checksum.
    pub tail: Vec<u8>,
}

impl Forge {
    /// An advert to the group, from the host with these addresses.
    pub fn new(version: u8, vrid: u8, priority: u8, source: IpAddr, mac: Mac, addresses: &[IpAddr]) -> Self {
        Self {
            ethernet_source: mac,
            ethernet_destination: None,
            source,
            destination: if source.is_ipv4() { GROUP.into() } else { GROUP6.into() },
            hop_limit: 255,
            traffic_class: CS6,
            protocol: VRRP,
            options: Vec::new(),
            fragment: false,
            version,
            kind: 1,
            vrid,
            priority,
            addresses: addresses.to_vec(),
            count: None,
            fifth_byte: 0,
            interval: if version == 2 { 1 } else { 100 },
            authentication: [0; 8],
            sum: None,
            keep: None,
            tail: Vec::new(),
        }
    }

    /// With simple authentication (RFC 2338 section 5.3.6.2): at most 8 bytes, padded with zeros.
    pub fn with_password(mut self, password: &str) -> Self {
        self.fifth_byte = 1;
        for (field, byte) in self.authentication.iter_mut().zip(password.bytes()) {
            *field = byte;
        }
        self
    }

    /// The whole frame.
    pub fn frame(&self) -> Vec<u8> {
        let message = self.message();
        let group = Mac::of_group(self.destination);
        let destination = self.ethernet_destination.or(group).unwrap_or(Mac::BROADCAST);
        let kind = if self.source.is_ipv4() { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
        [&destination.0[..], &self.ethernet_source.0, &kind.to_be_bytes(), &self.packet(&message)].concat()
    }

    fn message(&self) -> Vec<u8> {
        let count = self.count.unwrap_or(u8::try_from(self.addresses.len()).unwrap_or(u8::MAX));
        let [high, low] = self.interval.to_be_bytes();
        let (fifth, sixth) = if self.version == 2 {
            (self.fifth_byte, low)
        } else {
            (self.fifth_byte << 4 | high & 0x0f, low)
        };
        let mut message =
            vec![self.version << 4 | self.kind, self.vrid, self.priority, count, fifth, sixth, 0, 0];
        for address in &self.addresses {
            match address {
                IpAddr::V4(address) => message.extend_from_slice(&address.octets()),
                IpAddr::V6(address) => message.extend_from_slice(&address.octets()),
            }
        }
        if self.version == 2 {
            message.extend_from_slice(&self.authentication);
        }
        message.extend_from_slice(&self.tail);
        message.truncate(self.keep.unwrap_or(message.len()));
        let sum = self.sum(&message).to_be_bytes();
        for (field, byte) in message.iter_mut().skip(CHECKSUM).zip(sum) {
            *field = byte;
        }
        message
    }

    fn sum(&self, message: &[u8]) -> u16 {
        let pseudo = pseudo_header(self.source, self.destination, self.protocol, message.len());
        let alone = !ones_complement(message);
        let with_pseudo = !ones_complement(&[&pseudo, message].concat());
        let right = if self.version == 2 { alone } else { with_pseudo };
        match self.sum {
            None => right,
            Some(Sum::MessageOnly) => alone,
            Some(Sum::PseudoHeader) => with_pseudo,
            Some(Sum::Value(value)) => value,
            Some(Sum::Flipped(bits)) => right ^ bits,
        }
    }

    fn packet(&self, message: &[u8]) -> Vec<u8> {
        match (self.source, self.destination) {
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
                let first = 0x6000_0000 | u32::from(self.traffic_class) << 20;
                let header =
                    [&first.to_be_bytes()[..], &length.to_be_bytes(), &[self.protocol, self.hop_limit]];
                [&header.concat()[..], &source.octets(), &destination.octets(), message].concat()
            }
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let words = u8::try_from(5 + self.options.len() / 4).unwrap_or(15);
                let length = usize::from(words) * 4 + message.len();
                let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
                let flags = if self.fragment { 0x20 } else { 0 };
                let mut header = vec![0x40 | words, self.traffic_class, length[0], length[1], 0, 0, flags, 0];
                header.extend_from_slice(&[self.hop_limit, self.protocol, 0, 0]);
                header.extend_from_slice(&[source.octets(), destination.octets()].concat());
                header.extend_from_slice(&self.options);
                let sum = (!ones_complement(&header)).to_be_bytes();
                for (field, byte) in header.iter_mut().skip(HEADER_CHECKSUM).zip(sum) {
                    *field = byte;
                }
                [&header[..], message].concat()
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
        }
    }
}
