//! The ways in which two routers can speak to each other.

use std::net::IpAddr;
use std::time::Duration;

use super::NAMES;
use crate::conformance::VRID;
use crate::lan::Lan;
use crate::peer::{Other, Setup};

/// How a pair speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    V2,
    V2Password,
    V2Unicast,
    /// Version 3 with adverts every second.
    V3,
    /// ... every 100 ms.
    V3Fast,
    V3Ipv6,
    V3Unicast,
    /// ... every 100 ms, from the Ethernet address of the virtual router.
    V3VirtualMac,
    V3VirtualMacIpv6,
    V3VirtualMacUnicast,
}

impl Dialect {
    pub const ALL: [Self; 10] = [
        Self::V2,
        Self::V2Password,
        Self::V2Unicast,
        Self::V3,
        Self::V3Fast,
        Self::V3Ipv6,
        Self::V3Unicast,
        Self::V3VirtualMac,
        Self::V3VirtualMacIpv6,
        Self::V3VirtualMacUnicast,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::V2Password => "v2-pass",
            Self::V2Unicast => "v2-unicast",
            Self::V3 => "v3",
            Self::V3Fast => "v3-100ms",
            Self::V3Ipv6 => "v3-ipv6",
            Self::V3Unicast => "v3-unicast",
            Self::V3VirtualMac => "v3-virtual-mac",
            Self::V3VirtualMacIpv6 => "v3-virtual-mac-ipv6",
            Self::V3VirtualMacUnicast => "v3-virtual-mac-unicast",
        }
    }

    fn is_v2(self) -> bool {
        matches!(self, Self::V2 | Self::V2Password | Self::V2Unicast)
    }

    fn is_v6(self) -> bool {
        matches!(self, Self::V3Ipv6 | Self::V3VirtualMacIpv6)
    }

    fn has_virtual_mac(self) -> bool {
        matches!(self, Self::V3VirtualMac | Self::V3VirtualMacIpv6 | Self::V3VirtualMacUnicast)
    }

    fn is_unicast(self) -> bool {
        matches!(self, Self::V2Unicast | Self::V3Unicast | Self::V3VirtualMacUnicast)
    }

    fn addresses(self) -> Vec<IpAddr> {
        let texts: &[&str] = if self.is_v6() { &["fe80::100", "2001:db8::100"] } else { &["192.0.2.100"] };
        texts.iter().filter_map(|text| text.parse().ok()).collect()
    }

    /// The setup of the router at `place` (0 or 1 in the order of addresses), when the two have these priorities.
    pub(super) fn setup(self, place: usize, priorities: [u8; 2], preempt: bool) -> Setup {
        let other = 1 - place;
        let index = if other == 0 { 0 } else { 1 };
        let address = Lan::planned_addresses(index)[usize::from(self.is_v6())];
        let slow = self.is_v2() || self == Self::V3;
        Setup {
            version: if self.is_v2() { 2 } else { 3 },
            vrid: VRID,
            priority: priorities[place],
            interval: if slow { Duration::from_secs(1) } else { Duration::from_millis(100) },
            preempt,
            password: (self == Self::V2Password).then(|| "sesame".to_owned()),
            addresses: self.addresses(),
            virtual_mac: self.has_virtual_mac(),
            unicast: if self.is_unicast() { vec![address] } else { Vec::new() },
            others: vec![Other {
                name: NAMES[other].to_owned(),
                addresses: Lan::planned_addresses(index).to_vec(),
                priority: priorities[other],
            }],
        }
    }
}
