//! What a virtual router is told: plain [`Settings`], and the [`Config`] they make when they fit together.

use crate::interval::{Centiseconds, Seconds};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU8;
use core::time::Duration;
use std::sync::Arc;

mod error;

pub use error::ConfigError;

/// Addresses of one virtual router, at most: an advert with so many fits the least MTU of IPv6 (1280 bytes), so that none is
/// ever sent in fragments.
pub const ADDRESSES_MAX: usize = 64;

/// Planned or unicast peers of one virtual router, at most; every advert goes to each of the latter.
pub const PEERS_MAX: usize = 64;

/// The least priority of a router that can serve, where priorities have bands.
pub const CAN_SERVE_MIN: u8 = 129;

/// By how much the priority of a router that cannot serve is lower, where priorities have bands.
pub const BAND: u8 = 128;

/// Which protocol, in 32 or 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// That of `address`.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Where multicast adverts go: 224.0.0.18 or ff02::12 (RFC 9568 sections 5.1.1.2 and 5.1.2.2).
    pub const fn group(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)),
            Self::V6 => IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12)),
        }
    }
}

/// A virtual router's number on its link, 1 to 255 (RFC 9568 section 5.2.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Vrid(NonZeroU8);

impl Vrid {
    /// `number` unless it is zero.
    pub const fn new(number: u8) -> Option<Self> {
        match NonZeroU8::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// As it stands in an advert.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The priority that was planned for a router, 1 to 255; what it advertises may be less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Priority(NonZeroU8);

impl Priority {
    /// The address owner's (RFC 9568 section 5.2.4).
    pub const OWNER: Self = Self(NonZeroU8::MAX);

    /// `priority` unless it is zero, which says that a router leaves.
    pub const fn new(priority: u8) -> Option<Self> {
        match NonZeroU8::new(priority) {
            Some(priority) => Some(Self(priority)),
            None => None,
        }
    }

    /// As it stands in an advert.
    pub const fn get(self) -> u8 {
        self.0.get()
    }
}

/// What version 2 sends as simple authentication: 1 to 8 bytes, filled up with zeros (RFC 2338 section 5.3.6).
///
/// It goes over the wire in clear text: a guard against a foreign virtual router with the same number, not against anybody.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Password([u8; 8]);

impl Password {
    /// `text` filled up with zeros.
    ///
    /// # Errors
    ///
    /// When it is empty, longer than 8 bytes, or ends with a zero byte (which would not be told from the filling).
    pub fn new(text: &[u8]) -> Result<Self, ConfigError> {
        let mut bytes = [0; 8];
        let fits = !text.is_empty() && text.last() != Some(&0);
        let place =
            bytes.get_mut(..text.len()).filter(|_| fits).ok_or(ConfigError::PasswordLength(text.len()))?;
        place.copy_from_slice(text);
        Ok(Self(bytes))
    }

    /// As it stands in an advert.
    pub const fn bytes(&self) -> [u8; 8] {
        self.0
    }

    /// Whether `other` is the same, in a time that does not depend on where it differs.
    pub fn matches(&self, other: [u8; 8]) -> bool {
        self.0.iter().zip(other).fold(0, |differs, (own, other)| differs | (own ^ other)) == 0
    }

    /// From an advert, where zeros are possible.
    pub(crate) const fn from_wire(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// What the checksum of version 3 over IPv4 covers. RFC 5798 was read both ways; both are accepted on reception.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ChecksumForm {
    /// A pseudo-header of addresses, protocol and length, then the message: what keepalived and FRR send and require.
    PseudoHeader,
    /// The message alone (RFC 9568 section 5.2.8).
    MessageOnly,
}

/// What differs between the versions of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// RFC 3768, for IPv4 alone; keepalived's default.
    V2 {
        /// Between two adverts; has to be the same on all routers.
        interval: Seconds,
        /// Simple authentication of RFC 2338, which RFC 3768 removed and keepalived kept.
        password: Option<Password>,
    },
    /// RFC 9568.
    V3 {
        /// Between two adverts of this router; a Backup learns the Active router's.
        interval: Centiseconds,
        /// What is sent over IPv4; IPv6 has one form only, with pseudo-header.
        checksum: ChecksumForm,
    },
}

impl Protocol {
    /// Between two adverts.
    pub const fn interval(&self) -> Duration {
        match self {
            Self::V2 { interval, .. } => interval.duration(),
            Self::V3 { interval, .. } => interval.duration(),
        }
    }
}

/// The addresses that move with a virtual router: of one family, each once, those of IPv6 with a link-local one first
/// (RFC 9568 section 5.2.9).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Addresses(Arc<[IpAddr]>);

impl Addresses {
    /// Checks `addresses`.
    ///
    /// # Errors
    ///
    /// What is wrong with them first.
    pub fn new(addresses: Vec<IpAddr>) -> Result<Self, ConfigError> {
        let Some(&first) = addresses.first() else { return Err(ConfigError::NoAddress) };
        if addresses.len() > ADDRESSES_MAX {
            return Err(ConfigError::TooManyAddresses(addresses.len()));
        }
        for (index, &address) in addresses.iter().enumerate() {
            if Family::of(address) != Family::of(first) {
                return Err(ConfigError::MixedFamilies(address));
            }
            if !is_host(address) {
                return Err(ConfigError::NotAHostAddress(address));
            }
            if addresses.iter().take(index).any(|&before| before == address) {
                return Err(ConfigError::AddressTwice(address));
            }
        }
        match first {
            IpAddr::V6(address) if !address.is_unicast_link_local() => {
                Err(ConfigError::LinkLocalFirst(address))
            }
            IpAddr::V4(_) | IpAddr::V6(_) => Ok(Self(addresses.into())),
        }
    }

    /// In the order of the advert.
    pub fn as_slice(&self) -> &[IpAddr] {
        &self.0
    }

    /// Of all of them.
    pub fn family(&self) -> Family {
        self.0.first().map_or(Family::V4, |&first| Family::of(first))
    }

    /// How many, 1 to [`ADDRESSES_MAX`].
    pub fn count(&self) -> u8 {
        u8::try_from(self.0.len()).unwrap_or(u8::MAX)
    }

    /// Whether it is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

/// Whether one host can have `address`.
pub(crate) fn is_host(address: IpAddr) -> bool {
    let is_broadcast = match address {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(_) => false,
    };
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || is_broadcast)
}

/// Whose adverts are accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Peers {
    /// Everybody's.
    Any,
    /// Those of these source addresses, which are the other routers' in the order of their ranks, this router left out.
    Planned(Arc<[IpAddr]>),
}

/// Where adverts go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transport {
    /// To the group of the family; the hop limit of what comes has to be 255.
    Multicast,
    /// To each of these; only what comes from one of them is accepted, with any hop limit (keepalived sends 64 over IPv6).
    Unicast(Arc<[IpAddr]>),
}

/// What a router does about the address while no router can serve.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum WhenAllBad {
    /// The holder keeps it, and nothing moves.
    Keep,
    /// A router that cannot serve never holds it.
    Release,
}

/// What a virtual router is told. Any values; [`Config::new`] says whether they fit together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Its number on the link.
    pub vrid: Vrid,
    /// Version, interval, authentication, checksum.
    pub protocol: Protocol,
    /// What moves.
    pub addresses: Addresses,
    /// Where this router's adverts come from: its primary IPv4 address on the link, or its link-local one. Of two Active
    /// routers with one priority, the one with the higher address stays.
    pub source: IpAddr,
    /// As planned; with [`Settings::bands`] at least [`CAN_SERVE_MIN`].
    pub priority: Priority,
    /// Its place in the planned order, 0 first: so many times 20 ms more it waits as a Backup, unless the silent holder was
    /// before it in the order.
    pub rank: u8,
    /// Whether it takes over from an Active router of less priority that can serve just as well.
    pub preempt: bool,
    /// How long it watches such a router first.
    pub preempt_delay: Duration,
    /// Who else takes part.
    pub peers: Peers,
    /// Where adverts go.
    pub transport: Transport,
    /// Whether every router of the group is one of these, so that priorities say who can serve: 129 to 255 can, 1 to 127
    /// cannot. To be off with any other implementation in the group.
    pub bands: bool,
    /// What to do while no router can serve.
    pub when_all_bad: WhenAllBad,
    /// By how much two routers can differ in when they see one and the same outage. "I can serve, the holder cannot" has to
    /// last for so long before a Backup takes over, unless evidence from after the holder's fall shows it before; and a router
    /// that could not serve itself asks for such evidence only when it has been able again for so long.
    pub stability: Duration,
    /// How long the kernel keeps the address without a renewal.
    pub lease: Duration,
}

/// Settings that fit together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config(Settings);

impl Config {
    /// Checks `settings`.
    ///
    /// # Errors
    ///
    /// What does not fit, first.
    pub fn new(settings: Settings) -> Result<Self, ConfigError> {
        let family = settings.addresses.family();
        if Family::of(settings.source) != family || !is_host(settings.source) {
            return Err(ConfigError::Source(settings.source));
        }
        match (&settings.protocol, family) {
            (Protocol::V2 { .. }, Family::V6) => return Err(ConfigError::Version2OverIpv6),
            (Protocol::V2 { .. }, Family::V4) | (Protocol::V3 { .. }, Family::V4 | Family::V6) => {}
        }
        match &settings.peers {
            Peers::Any => {}
            Peers::Planned(peers) => check_peers(peers, &settings)?,
        }
        match &settings.transport {
            Transport::Multicast => {}
            Transport::Unicast(peers) if peers.is_empty() => return Err(ConfigError::NobodyToSendTo),
            Transport::Unicast(peers) => check_peers(peers, &settings)?,
        }
        if settings.bands && settings.priority.get() < CAN_SERVE_MIN {
            return Err(ConfigError::PriorityBelowBand(settings.priority));
        }
        if settings.lease.is_zero() {
            return Err(ConfigError::NoLease);
        }
        Ok(Self(settings))
    }

    /// What it was made of.
    pub const fn settings(&self) -> &Settings {
        &self.0
    }

    /// Of addresses and adverts.
    pub fn family(&self) -> Family {
        self.0.addresses.family()
    }

    /// Between two adverts of this router.
    pub const fn interval(&self) -> Duration {
        self.0.protocol.interval()
    }

    /// Whether a machine with this configuration can go on with `next`; with another number or family it is another virtual
    /// router.
    pub fn can_become(&self, next: &Self) -> bool {
        self.0.vrid == next.0.vrid && self.family() == next.family()
    }
}

fn check_peers(peers: &[IpAddr], settings: &Settings) -> Result<(), ConfigError> {
    if peers.len() > PEERS_MAX {
        return Err(ConfigError::TooManyPeers(peers.len()));
    }
    for (index, &peer) in peers.iter().enumerate() {
        let fits = Family::of(peer) == settings.addresses.family() && is_host(peer);
        if !fits || peer == settings.source {
            return Err(ConfigError::Peer(peer));
        }
        if peers.iter().take(index).any(|&before| before == peer) {
            return Err(ConfigError::PeerTwice(peer));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
