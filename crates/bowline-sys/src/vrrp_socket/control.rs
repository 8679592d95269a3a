//! Control messages (cmsg(3)): what is said of a packet beside its bytes. `struct cmsghdr` is a length with this header, of the
//! machine's word size, then level and type; the next one begins at a multiple of the word size.

use std::ffi::c_int;
use std::net::{IpAddr, Ipv6Addr};

const LEVEL_IPV4: c_int = 0;
pub(super) const LEVEL_IPV6: c_int = 41;
/// `struct in_pktinfo`: interface, own address, the header's destination.
const IP_PKTINFO: c_int = 8;
/// `struct in6_pktinfo`: address, interface.
const IPV6_PKTINFO: c_int = 50;
const IPV6_HOPLIMIT: c_int = 52;

const WORD: usize = size_of::<usize>();
const HEADER: usize = (WORD + 2 * size_of::<c_int>()).next_multiple_of(WORD);
/// Room for the destination and the hop limit, and as much again.
pub(super) const ROOM: usize = 128;

/// One control message that says from which address a packet goes; with its padding it is as long as the array of its family, and
/// the shorter one is followed by nothing but an empty message.
pub(super) struct FromSource {
    bytes: [u8; HEADER + 24],
    length: usize,
}

impl std::ops::Deref for FromSource {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }
}

pub(super) fn from_source(source: IpAddr) -> FromSource {
    let mut info = [0; 24];
    // The interface stays 0: the socket is bound to one.
    let (level, kind, length) = match source {
        IpAddr::V4(source) => {
            info[4..8].copy_from_slice(&source.octets());
            (LEVEL_IPV4, IP_PKTINFO, 12)
        }
        IpAddr::V6(source) => {
            info[..16].copy_from_slice(&source.octets());
            (LEVEL_IPV6, IPV6_PKTINFO, 20)
        }
    };
    let mut bytes = [0; HEADER + 24];
    bytes[..WORD].copy_from_slice(&(HEADER + length).to_ne_bytes());
    bytes[WORD..WORD + 4].copy_from_slice(&level.to_ne_bytes());
    bytes[WORD + 4..WORD + 8].copy_from_slice(&kind.to_ne_bytes());
    bytes[HEADER..].copy_from_slice(&info);
    FromSource { bytes, length: (HEADER + length).next_multiple_of(WORD) }
}

/// What the kernel says of a received packet.
#[derive(Default, PartialEq, Eq, Debug)]
pub(super) struct Told {
    pub(super) destination: Option<Ipv6Addr>,
    pub(super) hop_limit: Option<u8>,
}

/// Reads control messages of IPv6; what is malformed ends them.
pub(super) fn told(control: &[u8]) -> Told {
    let mut told = Told::default();
    let mut rest = control;
    while let Some((level, kind, value, behind)) = split(rest) {
        match (level, kind) {
            (LEVEL_IPV6, IPV6_PKTINFO) => {
                told.destination = value.first_chunk::<16>().copied().map(Ipv6Addr::from);
            }
            (LEVEL_IPV6, IPV6_HOPLIMIT) => {
                let limit = value.first_chunk().copied().map(c_int::from_ne_bytes);
                told.hop_limit = limit.and_then(|limit| u8::try_from(limit).ok());
            }
            _ => {}
        }
        rest = behind;
    }
    told
}

fn split(control: &[u8]) -> Option<(c_int, c_int, &[u8], &[u8])> {
    let length = usize::from_ne_bytes(*control.first_chunk()?);
    let level = c_int::from_ne_bytes(*control.get(WORD..)?.first_chunk()?);
    let kind = c_int::from_ne_bytes(*control.get(WORD + 4..)?.first_chunk()?);
    let value = control.get(HEADER..length)?;
    Some((level, kind, value, control.get(length.checked_next_multiple_of(WORD)?..).unwrap_or(&[])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_every_prefix_is_safe() {
        let address: Ipv6Addr = "fe80::1".parse().unwrap();
        let one = from_source(address.into());
        let both = [&one[..], &hop_limit(255)].concat();
        assert_eq!(told(&both), Told { destination: Some(address), hop_limit: Some(255) });
        for length in 0..both.len() {
            let told = told(&both[..length]);
            assert_eq!(told.destination.is_some(), length >= HEADER + 20, "{length} bytes");
            assert_eq!(told.hop_limit.is_some(), length >= one.len() + HEADER + 4, "{length} bytes");
        }
        assert_eq!(told(&[0xff; 64]), Told::default(), "a length beyond everything");
        assert_eq!(told(&[0; 64]), Told::default(), "a length below the header's");
    }

    #[test]
    fn a_hop_limit_that_is_none_is_not_told() {
        assert_eq!(told(&hop_limit(256)).hop_limit, None);
        assert_eq!(told(&hop_limit(-1)).hop_limit, None);
    }

    fn hop_limit(limit: c_int) -> Vec<u8> {
        let mut bytes = (HEADER + 4).to_ne_bytes().to_vec();
        for word in [LEVEL_IPV6, IPV6_HOPLIMIT, limit] {
            bytes.extend_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}
