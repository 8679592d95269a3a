//! Adverts that come from another Ethernet address than the interface's: what stands before the message, for which the kernel would
//! put the interface's own.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::mac::Mac;
use crate::vrrp_socket::{Family, GROUP_V4, GROUP_V6, HOP_LIMIT, TRAFFIC_CLASS, VRRP};

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;

/// What Ethernet carries.
const TYPE_IPV4: [u8; 2] = [0x08, 0x00];
const TYPE_IPV6: [u8; 2] = [0x86, 0xdd];

/// IPv4: version 4 and five words of header; not to be fragmented, so that it needs no number of its own.
const VERSION_AND_LENGTH: u8 = 0x45;
const DO_NOT_FRAGMENT: u8 = 0x40;
const IPV4_LENGTH: usize = ETHERNET + 2;
const IPV4_CHECKSUM: usize = ETHERNET + 10;
/// IPv6: the version, and the traffic class from the fifth bit on.
const VERSION_AND_CLASS: [u8; 2] = [0x60 | TRAFFIC_CLASS >> 4, TRAFFIC_CLASS << 4];
const IPV6_LENGTH: usize = ETHERNET + 4;

/// What stands before every advert of a virtual router that is sent to the group from one address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Envelope {
    bytes: [u8; ETHERNET + IPV6],
    family: Family,
}

impl Envelope {
    /// For adverts from `source` that leave with the Ethernet address `mac`.
    pub fn of_adverts(mac: Mac, source: IpAddr) -> Self {
        match source {
            IpAddr::V4(source) => Self::v4(mac, source),
            IpAddr::V6(source) => Self::v6(mac, source),
        }
    }

    fn v4(mac: Mac, source: Ipv4Addr) -> Self {
        let mut envelope = Self { bytes: [0; ETHERNET + IPV6], family: Family::V4 };
        // RFC 1112 6.4: a multicast address ends with the last 23 bits of the group's.
        let [_, b, c, d] = GROUP_V4.octets();
        envelope.ethernet(Mac([0x01, 0x00, 0x5e, b & 0x7f, c, d]), mac, TYPE_IPV4);
        envelope.put(ETHERNET, &[VERSION_AND_LENGTH, TRAFFIC_CLASS]);
        envelope.put(ETHERNET + 6, &[DO_NOT_FRAGMENT, 0, HOP_LIMIT, VRRP]);
        envelope.put(ETHERNET + 12, &source.octets());
        envelope.put(ETHERNET + 16, &GROUP_V4.octets());
        envelope
    }

    fn v6(mac: Mac, source: Ipv6Addr) -> Self {
        let mut envelope = Self { bytes: [0; ETHERNET + IPV6], family: Family::V6 };
        // RFC 2464 7: a multicast address ends with the last four bytes of the group's.
        let [.., a, b, c, d] = GROUP_V6.octets();
        envelope.ethernet(Mac([0x33, 0x33, a, b, c, d]), mac, TYPE_IPV6);
        envelope.put(ETHERNET, &VERSION_AND_CLASS);
        envelope.put(ETHERNET + 6, &[VRRP, HOP_LIMIT]);
        envelope.put(ETHERNET + 8, &source.octets());
        envelope.put(ETHERNET + 24, &GROUP_V6.octets());
        envelope
    }

    /// The same for a message of `length` bytes.
    ///
    /// # Errors
    /// `InvalidInput` when a packet cannot be so long.
    pub(super) fn around(mut self, length: usize) -> io::Result<Self> {
        let counted = match self.family {
            Family::V4 => IPV4 + length,
            Family::V6 => length,
        };
        let counted = u16::try_from(counted).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        match self.family {
            Family::V4 => {
                self.put(IPV4_LENGTH, &counted.to_be_bytes());
                let sum = self.sum_of_ipv4();
                self.put(IPV4_CHECKSUM, &(!sum).to_be_bytes());
            }
            Family::V6 => self.put(IPV6_LENGTH, &counted.to_be_bytes()),
        }
        Ok(self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        let length = match self.family {
            Family::V4 => ETHERNET + IPV4,
            Family::V6 => ETHERNET + IPV6,
        };
        self.bytes.get(..length).unwrap_or(&self.bytes)
    }

    /// The one's complement sum of the IPv4 header (RFC 791 3.1).
    fn sum_of_ipv4(&self) -> u16 {
        let header = self.bytes.get(ETHERNET..ETHERNET + IPV4).unwrap_or_default();
        let words = header.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word)));
        let sum: u32 = words.sum();
        let folded = (sum & 0xffff) + (sum >> 16);
        ((folded & 0xffff) + (folded >> 16)) as u16
    }

    fn ethernet(&mut self, to: Mac, from: Mac, kind: [u8; 2]) {
        self.put(0, &to.0);
        self.put(6, &from.0);
        self.put(12, &kind);
    }

    fn put(&mut self, offset: usize, value: &[u8]) {
        if let Some(place) = self.bytes.get_mut(offset..offset + value.len()) {
            place.copy_from_slice(value);
        }
    }
}
