//! Link-layer addresses of Ethernet.

use std::fmt;

/// An Ethernet (EUI-48) address, in the order it has on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Everyone on the link.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// The target of an ARP request that asks for it.
    pub const UNKNOWN: Self = Self([0; 6]);

    /// The address of a virtual router that serves IPv4 (RFC 9568 7.3).
    pub const fn of_ipv4_router(vrid: u8) -> Self {
        Self([0x00, 0x00, 0x5e, 0x00, 0x01, vrid])
    }

    /// The address of a virtual router that serves IPv6 (RFC 9568 7.3).
    pub const fn of_ipv6_router(vrid: u8) -> Self {
        Self([0x00, 0x00, 0x5e, 0x00, 0x02, vrid])
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_everywhere() {
        assert_eq!(Mac::of_ipv4_router(51).to_string(), "00:00:5e:00:01:33");
        assert_eq!(Mac::of_ipv6_router(255).to_string(), "00:00:5e:00:02:ff");
    }
}
