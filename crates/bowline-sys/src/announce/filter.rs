//! Programs for the kernel's packet filter (Documentation/networking/filter.rst) that pass only what is about certain addresses.

use std::net::IpAddr;

use socket2::SockFilter;

use super::frame::{self, ICMPV6, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION};
use crate::vrrp_socket::Family;

/// Load a word or a byte of the packet; jump if equal; take that much of the packet: linux/bpf_common.h.
const LOAD_WORD: u16 = 0x20;
const LOAD_BYTE: u16 = 0x30;
const IF_EQUAL: u16 = 0x15;
const TAKE: u16 = 0x06;
const ALL: u32 = u32::MAX;

/// As many addresses as a VRRP message can have; nine instructions each are fewer than the kernel's 4096.
const ADDRESSES_MAX: usize = 255;

/// `None` for addresses of the other family, or too many.
pub(super) fn of(family: Family, addresses: &[IpAddr]) -> Option<Vec<SockFilter>> {
    if addresses.len() > ADDRESSES_MAX || addresses.iter().any(|address| Family::of(*address) != family) {
        return None;
    }
    let mut program = Vec::new();
    match family {
        // A claim names the address as the sender's. A probe has no sender, and names it as the target.
        Family::V4 => {
            take_if_one_of(&mut program, frame::ARP_SENDER, addresses);
            program.push(load(LOAD_WORD, frame::ARP_SENDER));
            unless_equal_refuse(&mut program, 0);
            take_if_one_of(&mut program, frame::ARP_TARGET, addresses);
        }
        Family::V6 => {
            program.push(load(LOAD_BYTE, frame::NEXT_HEADER));
            unless_equal_refuse(&mut program, ICMPV6.into());
            program.push(load(LOAD_BYTE, frame::ICMPV6_TYPE));
            // Either of the two, else refused.
            program.push(SockFilter::new(IF_EQUAL, 2, 0, NEIGHBOUR_ADVERTISEMENT.into()));
            program.push(SockFilter::new(IF_EQUAL, 1, 0, NEIGHBOUR_SOLICITATION.into()));
            program.push(SockFilter::new(TAKE, 0, 0, 0));
            take_if_one_of(&mut program, frame::ND_TARGET, addresses);
        }
    }
    program.push(SockFilter::new(TAKE, 0, 0, 0));
    Some(program)
}

/// Takes the packet if at `offset` stands one of the addresses.
fn take_if_one_of(program: &mut Vec<SockFilter>, offset: usize, addresses: &[IpAddr]) {
    for address in addresses {
        let (words, count): ([u32; 4], usize) = match address {
            IpAddr::V4(address) => ([address.to_bits(), 0, 0, 0], 1),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                ([96, 64, 32, 0].map(|shift| (bits >> shift) as u32), 4)
            }
        };
        for (index, word) in words.into_iter().take(count).enumerate() {
            program.push(load(LOAD_WORD, offset + 4 * index));
            // When it differs: over the rest of this address, two instructions a word, and over the end that takes.
            let over = 2 * (count - 1 - index) + 1;
            program.push(SockFilter::new(IF_EQUAL, 0, u8::try_from(over).unwrap_or(u8::MAX), word));
        }
        program.push(SockFilter::new(TAKE, 0, 0, ALL));
    }
}

fn load(what: u16, offset: usize) -> SockFilter {
    SockFilter::new(what, 0, 0, u32::try_from(offset).unwrap_or(u32::MAX))
}

fn unless_equal_refuse(program: &mut Vec<SockFilter>, value: u32) {
    program.push(SockFilter::new(IF_EQUAL, 1, 0, value));
    program.push(SockFilter::new(TAKE, 0, 0, 0));
}
