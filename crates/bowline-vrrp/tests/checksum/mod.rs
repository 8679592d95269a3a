//! RFC 1071, a second time: written for the tests alone.

use bowline_vrrp::PROTOCOL;
use std::net::IpAddr;

/// Where a message has its checksum.
const FIELD: std::ops::Range<usize> = 6..8;

/// Puts the checksum of `bytes` right, if they are long enough to have one.
pub(crate) fn repair(bytes: &mut [u8], source: IpAddr, destination: IpAddr, pseudo_header: bool) {
    let Some(field) = bytes.get_mut(FIELD) else { return };
    field.fill(0);
    let mut all = bytes.to_vec();
    if all.len() % 2 == 1 {
        all.push(0);
    }
    if pseudo_header {
        for address in [source, destination] {
            match address {
                IpAddr::V4(address) => all.extend(address.octets()),
                IpAddr::V6(address) => all.extend(address.octets()),
            }
        }
        all.extend(u16::try_from(bytes.len()).unwrap().to_be_bytes());
        all.extend([0, PROTOCOL]);
    }
    let mut sum: u32 = all.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    bytes[FIELD].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
}
