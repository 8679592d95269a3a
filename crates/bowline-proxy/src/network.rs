//! Ranges of client addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses of one family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// This host's own loopback addresses.
    pub const LOOPBACK: [Self; 2] = [
        Self { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 },
        Self { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 },
    ];

    /// The addresses whose first `prefix` bits are those of `address`; `None` when the family has fewer bits.
    pub const fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let bits = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        if prefix <= bits { Some(Self { address, prefix }) } else { None }
    }

    /// Whether `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let shared = match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros(),
            (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros(),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        };
        shared >= u32::from(self.prefix)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_of_its_prefix() {
        let network = |text: &str, prefix| Network::new(text.parse().unwrap(), prefix).unwrap();
        let contains = |network: Network, text: &str| network.contains(text.parse().unwrap());
        let ten = network("10.1.2.3", 16);
        assert!(contains(ten, "10.1.0.0") && contains(ten, "10.1.255.255"));
        assert!(!contains(ten, "10.2.0.0") && !contains(ten, "::ffff:10.1.0.0"));
        assert!(contains(network("0.0.0.0", 0), "255.255.255.255"));
        let one = network("10.0.0.1", 32);
        assert!(contains(one, "10.0.0.1") && !contains(one, "10.0.0.0"));
        let six = network("2001:db8::", 33);
        assert!(contains(six, "2001:db8:7fff::1") && !contains(six, "2001:db8:8000::1"));
        assert_eq!(Network::new("10.0.0.0".parse().unwrap(), 33), None);
        assert!(contains(Network::LOOPBACK[0], "127.9.9.9") && contains(Network::LOOPBACK[1], "::1"));
    }
}
