//! Every check between a packet and a virtual router (RFC 9568 section 7.1, RFC 3768 section 7.1, and what keepalived does
//! beyond them).

use crate::config::{ChecksumForm, Config, Family, Peers, Protocol, Transport, is_host};
use crate::packet::{AuthenticationFailure, Malformed, Packet, PacketInterval, authentication_is_right};
use core::net::IpAddr;
use core::time::Duration;

/// A packet of IP protocol 112 as it came.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Of the IP header.
    pub source: IpAddr,
    /// Of the IP header.
    pub destination: IpAddr,
    /// TTL or hop limit, when the socket says it.
    pub hop_limit: Option<u8>,
    /// What follows the IP header and its options, to the end of the packet.
    pub bytes: &'a [u8],
}

/// An advert that passed every check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advert {
    /// Whose.
    pub source: IpAddr,
    /// 0 when it leaves.
    pub priority: u8,
    /// Between two adverts of the sender; in version 2 always our own.
    pub interval: Duration,
    /// In version 3 over IPv4, what its checksum covers.
    pub checksum: Option<ChecksumForm>,
    /// Whether its addresses are the same set as ours.
    pub same_addresses: bool,
}

/// Why a packet was discarded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Discard {
    /// Source or destination is of the other family.
    Family,
    /// It comes from our own address.
    OwnSource,
    /// Shorter than it says.
    Truncated,
    /// Longer than it says.
    TrailingBytes,
    /// Another version than ours, or none.
    Version,
    /// No advertisement.
    Type,
    /// Another virtual router.
    OtherVrid,
    /// Unicast where multicast is expected, or the other way round, or for somebody else.
    Destination,
    /// Multicast from beyond this link: the hop limit is not 255, or not known.
    HopLimit,
    /// From no planned peer, or from an address that no host has.
    UnplannedPeer,
    /// The checksum is wrong.
    Checksum,
    /// Version 2 with another type of authentication than ours.
    AuthenticationType,
    /// Version 2 with another password.
    Password,
    /// An interval of zero, with which we would take over at once.
    IntervalZero,
    /// Version 2 with another interval than ours.
    IntervalDiffers,
    /// No addresses.
    NoAddresses,
    /// None of its addresses is ours: another virtual router with our number.
    OtherAddresses,
}

impl Discard {
    /// Every one.
    pub const ALL: [Self; 17] = [
        Self::Family,
        Self::OwnSource,
        Self::Truncated,
        Self::TrailingBytes,
        Self::Version,
        Self::Type,
        Self::OtherVrid,
        Self::Destination,
        Self::HopLimit,
        Self::UnplannedPeer,
        Self::Checksum,
        Self::AuthenticationType,
        Self::Password,
        Self::IntervalZero,
        Self::IntervalDiffers,
        Self::NoAddresses,
        Self::OtherAddresses,
    ];

    /// In metrics and log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Family => "family",
            Self::OwnSource => "own-source",
            Self::Truncated => "truncated",
            Self::TrailingBytes => "trailing-bytes",
            Self::Version => "version",
            Self::Type => "type",
            Self::OtherVrid => "other-vrid",
            Self::Destination => "destination",
            Self::HopLimit => "hop-limit",
            Self::UnplannedPeer => "unplanned-peer",
            Self::Checksum => "checksum",
            Self::AuthenticationType => "authentication-type",
            Self::Password => "password",
            Self::IntervalZero => "interval-zero",
            Self::IntervalDiffers => "interval-differs",
            Self::NoAddresses => "no-addresses",
            Self::OtherAddresses => "other-addresses",
        }
    }
}

impl From<Malformed> for Discard {
    fn from(malformed: Malformed) -> Self {
        match malformed {
            Malformed::Truncated => Self::Truncated,
            Malformed::TrailingBytes => Self::TrailingBytes,
            Malformed::Version => Self::Version,
            Malformed::Type => Self::Type,
            Malformed::Vrid => Self::OtherVrid,
            Malformed::NoAddresses => Self::NoAddresses,
            Malformed::IntervalZero => Self::IntervalZero,
        }
    }
}

/// TTL or hop limit of what comes from this link and no further (RFC 9568 sections 5.1.1.3 and 5.1.2.3).
const HOP_LIMIT: u8 = 255;

/// What `packet` says to a router with `config`.
///
/// A list of addresses that is not ours but has some of ours is accepted: refused, every change of the list would make two
/// Active routers until it has reached all nodes. One that has none of ours is another virtual router with our number.
///
/// # Errors
///
/// The first check that it fails.
pub fn receive(config: &Config, packet: Received<'_>) -> Result<Advert, Discard> {
    let Received { source, destination, bytes, .. } = packet;
    let settings = config.settings();
    let family = config.family();
    if Family::of(source) != family || Family::of(destination) != family {
        return Err(Discard::Family);
    }
    // RFC 9568 section 7.1: what one sent oneself is none of one's business.
    if source == settings.source {
        return Err(Discard::OwnSource);
    }
    let view = Packet::new_checked(bytes, family)?;
    if view.vrid() != settings.vrid {
        return Err(Discard::OtherVrid);
    }
    check_way(config, &packet)?;
    check_peer(config, source)?;
    let form = view.checksum_form(source, destination).ok_or(Discard::Checksum)?;
    let (interval, checksum) = check_protocol(config, &view, form)?;
    let own = &settings.addresses;
    let ours = view.addresses().filter(|&address| own.contains(address)).count();
    if ours == 0 {
        return Err(Discard::OtherAddresses);
    }
    let same_addresses = ours == own.as_slice().len() && view.count() == own.count();
    Ok(Advert { source, priority: view.priority(), interval, checksum, same_addresses })
}

/// Destination and hop limit.
fn check_way(config: &Config, packet: &Received<'_>) -> Result<(), Discard> {
    match &config.settings().transport {
        Transport::Multicast if packet.destination != config.family().group() => Err(Discard::Destination),
        // RFC 9568 section 7.1: "MUST verify that the IPv4 TTL/IPv6 HL is 255".
        Transport::Multicast if packet.hop_limit != Some(HOP_LIMIT) => Err(Discard::HopLimit),
        Transport::Multicast => Ok(()),
        Transport::Unicast(_) if packet.destination != config.settings().source => Err(Discard::Destination),
        Transport::Unicast(_) => Ok(()),
    }
}

fn check_peer(config: &Config, source: IpAddr) -> Result<(), Discard> {
    let settings = config.settings();
    let planned = match &settings.peers {
        // Nobody has `::` or 0.0.0.0, which kernels let through.
        Peers::Any => is_host(source),
        Peers::Planned(peers) => peers.contains(&source),
    };
    let addressed = match &settings.transport {
        Transport::Multicast => true,
        Transport::Unicast(peers) => peers.contains(&source),
    };
    if planned && addressed { Ok(()) } else { Err(Discard::UnplannedPeer) }
}

/// What the version brings with it; in version 3 over IPv4 also what the checksum covers.
fn check_protocol(
    config: &Config,
    view: &Packet<'_>,
    form: ChecksumForm,
) -> Result<(Duration, Option<ChecksumForm>), Discard> {
    match (&config.settings().protocol, view.interval()) {
        (Protocol::V2 { interval, password }, PacketInterval::V2(received)) => {
            let authentication = view.authentication().ok_or(Discard::Truncated)?;
            authentication_is_right(password.as_ref(), authentication).map_err(|failure| match failure {
                AuthenticationFailure::Kind => Discard::AuthenticationType,
                AuthenticationFailure::Password => Discard::Password,
            })?;
            // RFC 3768 section 7.1: "MUST verify that the Adver Interval in the packet is the same".
            if received != *interval {
                return Err(Discard::IntervalDiffers);
            }
            Ok((received.duration(), None))
        }
        (Protocol::V3 { .. }, PacketInterval::V3(received)) => {
            let form = match config.family() {
                Family::V4 => Some(form),
                Family::V6 => None,
            };
            Ok((received.duration(), form))
        }
        (Protocol::V2 { .. }, PacketInterval::V3(_)) | (Protocol::V3 { .. }, PacketInterval::V2(_)) => {
            Err(Discard::Version)
        }
    }
}

#[cfg(test)]
mod tests;
