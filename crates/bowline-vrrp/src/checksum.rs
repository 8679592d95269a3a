//! The checksum of the message, with and without a pseudo-header.

use crate::config::ChecksumForm;
use core::net::IpAddr;

/// VRRP's number among the IP protocols.
pub const PROTOCOL: u8 = 112;

/// Where the checksum stands in the message.
pub(crate) const OFFSET: usize = 6;

/// The one's complement sum of `bytes` taken as 16-bit words, an odd byte filled up with zero (RFC 1071); 64 bits hold the
/// carries of any packet.
fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(2);
    let tail = words.remainder().first().map_or(0, |&last| u64::from(last) << 8);
    words.by_ref().fold(tail, |sum, word| match *word {
        [high, low] => sum + u64::from(u16::from_be_bytes([high, low])),
        _ => sum,
    })
}

fn fold(mut sum: u64) -> u16 {
    while sum > u64::from(u16::MAX) {
        sum = (sum & u64::from(u16::MAX)) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// Source, destination, length and protocol: RFC 8200 section 8.1, and the same for IPv4 as TCP has it (RFC 9293 section
/// 3.1); only the zeros between differ, which do not count.
fn pseudo_header(source: IpAddr, destination: IpAddr, length: usize) -> u64 {
    let address = |address| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    let length = u64::try_from(length).unwrap_or(u64::MAX >> 32);
    address(source) + address(destination) + length + u64::from(PROTOCOL)
}

fn total(message: &[u8], form: ChecksumForm, source: IpAddr, destination: IpAddr) -> u64 {
    match form {
        ChecksumForm::MessageOnly => sum(message),
        ChecksumForm::PseudoHeader => sum(message) + pseudo_header(source, destination, message.len()),
    }
}

/// What belongs into the field, which has to be zero in `message`.
pub(crate) fn compute(message: &[u8], form: ChecksumForm, source: IpAddr, destination: IpAddr) -> u16 {
    !fold(total(message, form, source, destination))
}

/// Whether the field is right for `form`.
pub(crate) fn is_right(message: &[u8], form: ChecksumForm, source: IpAddr, destination: IpAddr) -> bool {
    fold(total(message, form, source, destination)) == u16::MAX
}

#[cfg(test)]
mod tests;
