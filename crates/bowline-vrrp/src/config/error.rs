//! What is wrong with settings.

use super::{ADDRESSES_MAX, CAN_SERVE_MIN, PEERS_MAX, Priority};
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

/// Why settings make no virtual router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ConfigError {
    /// Version 2 knows whole seconds from 1 to 255.
    IntervalNotInSeconds(Duration),
    /// Version 3 knows hundredths of a second from 10 ms to 40.95 s.
    IntervalNotInCentiseconds(Duration),
    /// A password has 1 to 8 bytes; this one has so many, or ends with a zero.
    PasswordLength(usize),
    /// There is nothing to move.
    NoAddress,
    /// More than [`ADDRESSES_MAX`].
    TooManyAddresses(usize),
    /// This one is of the other family.
    MixedFamilies(IpAddr),
    /// No host can have it.
    NotAHostAddress(IpAddr),
    /// It is there twice.
    AddressTwice(IpAddr),
    /// Addresses of IPv6 begin with a link-local one, and this is none.
    LinkLocalFirst(Ipv6Addr),
    /// The source is of the other family, or no host's.
    Source(IpAddr),
    /// Version 2 is for IPv4.
    Version2OverIpv6,
    /// More than [`PEERS_MAX`].
    TooManyPeers(usize),
    /// A peer that is of the other family, no host's, or this router itself.
    Peer(IpAddr),
    /// A peer that is there twice.
    PeerTwice(IpAddr),
    /// Unicast without a peer.
    NobodyToSendTo,
    /// With bands, a planned priority is at least [`CAN_SERVE_MIN`].
    PriorityBelowBand(Priority),
    /// The address could not be held for any time.
    NoLease,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IntervalNotInSeconds(interval) => {
                write!(f, "version 2 needs an interval of whole seconds from 1s to 255s, not {interval:?}")
            }
            Self::IntervalNotInCentiseconds(interval) => {
                write!(
                    f,
                    "version 3 needs an interval from 10ms to 40.95s in steps of 10ms, not {interval:?}"
                )
            }
            Self::PasswordLength(length) => {
                write!(f, "a password needs 1 to 8 bytes, the last of them not zero; this one has {length}")
            }
            Self::NoAddress => f.write_str("a virtual router needs an address"),
            Self::TooManyAddresses(count) => {
                write!(
                    f,
                    "{count} addresses are too many for one virtual router, {ADDRESSES_MAX} is the most"
                )
            }
            Self::MixedFamilies(address) => {
                write!(f, "{address} is of another family than the addresses before it")
            }
            Self::NotAHostAddress(address) => write!(f, "{address} cannot be the address of a host"),
            Self::AddressTwice(address) => write!(f, "{address} is there twice"),
            Self::LinkLocalFirst(address) => {
                write!(f, "addresses of IPv6 have to begin with a link-local one, and {address} is none")
            }
            Self::Source(address) => write!(f, "adverts cannot come from {address}"),
            Self::Version2OverIpv6 => f.write_str("version 2 is for IPv4; IPv6 needs version 3"),
            Self::TooManyPeers(count) => write!(f, "{count} peers are too many, {PEERS_MAX} is the most"),
            Self::Peer(address) => write!(f, "{address} cannot be a peer of this router"),
            Self::PeerTwice(address) => write!(f, "the peer {address} is there twice"),
            Self::NobodyToSendTo => f.write_str("unicast needs a peer"),
            Self::PriorityBelowBand(priority) => {
                write!(f, "with bands a priority is at least {CAN_SERVE_MIN}, and {} is less", priority.get())
            }
            Self::NoLease => f.write_str("the address needs a lease longer than nothing"),
        }
    }
}

impl core::error::Error for ConfigError {}
