//! Adverts as bytes: a checked view over what came, and a plain value that is written out.
//!
//! ```text
//!  Version 2 (RFC 3768 section 5.1)               Version 3 (RFC 9568 section 5.1)
//!  0               1               2              3
//!  +-------+-------+---------------+---------------+---------------+
//!  |Version| Type  |     VRID      |   Priority    |  Count Addrs  |
//!  +-------+-------+---------------+---------------+---------------+
//!  |  Auth Type    |   Adver Int   |           Checksum            |   version 2: seconds
//!  |Reserve|   Max Advertise Int   |           Checksum            |   version 3: centiseconds
//!  +---------------+---------------+-------------------------------+
//!  |              addresses, 4 or 16 bytes each                    |
//!  +---------------------------------------------------------------+
//!  |              authentication data, 8 bytes                     |   version 2 only, always
//!  +---------------------------------------------------------------+
//! ```

use crate::checksum;
use crate::config::{Addresses, ChecksumForm, Family, Password, Protocol, Vrid};
use crate::interval::{Centiseconds, Seconds};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The only type of message there is (RFC 9568 section 5.2.2).
const ADVERTISEMENT: u8 = 1;
/// Up to the addresses.
const HEADER: usize = 8;
/// After the addresses of version 2.
const AUTHENTICATION: usize = 8;
/// Of the interval field of version 3; the other four bits are reserved, sent as zero and ignored.
const INTERVAL_BITS: u16 = 0x0fff;

/// No authentication (RFC 3768 section 5.3.6).
const NO_AUTHENTICATION: u8 = 0;
/// A password in clear text (RFC 2338 section 5.3.6).
const SIMPLE_PASSWORD: u8 = 1;

/// Why bytes are no advert that could be meant for anybody.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Malformed {
    /// Shorter than its header, or than its addresses.
    Truncated,
    /// Longer than its header, addresses and authentication data.
    TrailingBytes,
    /// Neither 2 nor 3, or 2 over IPv6.
    Version,
    /// Not an advertisement.
    Type,
    /// VRID 0.
    Vrid,
    /// No addresses.
    NoAddresses,
    /// Version 3's interval is zero, with which every Backup would take over at once (RFC 9568 erratum 8301), or version 2's.
    IntervalZero,
}

/// The VRID of what may be an advert; for handing packets of one socket to the router they are for.
pub fn peek_vrid(bytes: &[u8]) -> Option<Vrid> {
    bytes.get(1).copied().and_then(Vrid::new)
}

/// A view over bytes whose lengths agree: no accessor fails.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    header: &'a [u8; HEADER],
    addresses: &'a [u8],
    authentication: Option<[u8; AUTHENTICATION]>,
    whole: &'a [u8],
    vrid: Vrid,
    family: Family,
    interval: PacketInterval,
}

/// The interval in a packet, never zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PacketInterval {
    /// Of version 2.
    V2(Seconds),
    /// Of version 3.
    V3(Centiseconds),
}

impl<'a> Packet<'a> {
    /// Looks over `bytes`, which came after an IP header of `family`: everything but the checksum, for which
    /// [`Packet::checksum_form`] is.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, in the order of [`Malformed`]'s header fields.
    pub fn new_checked(bytes: &'a [u8], family: Family) -> Result<Self, Malformed> {
        let (header, body) = bytes.split_first_chunk::<HEADER>().ok_or(Malformed::Truncated)?;
        let [version_and_type, vrid, _, count, auth_or_high, interval_low, _, _] = *header;
        let (interval, trailer) = match (version_and_type >> 4, family) {
            (2, Family::V4) => (Seconds::new(interval_low).map(PacketInterval::V2), AUTHENTICATION),
            (3, Family::V4 | Family::V6) => {
                let centiseconds = u16::from_be_bytes([auth_or_high, interval_low]) & INTERVAL_BITS;
                (Centiseconds::new(centiseconds).map(PacketInterval::V3), 0)
            }
            (_, Family::V4 | Family::V6) => return Err(Malformed::Version),
        };
        if version_and_type & 0x0f != ADVERTISEMENT {
            return Err(Malformed::Type);
        }
        let vrid = Vrid::new(vrid).ok_or(Malformed::Vrid)?;
        if count == 0 {
            return Err(Malformed::NoAddresses);
        }
        let addresses_length = usize::from(count) * address_length(family);
        let (addresses, rest) = body.split_at_checked(addresses_length).ok_or(Malformed::Truncated)?;
        let authentication = match rest.len().cmp(&trailer) {
            core::cmp::Ordering::Less => return Err(Malformed::Truncated),
            core::cmp::Ordering::Greater => return Err(Malformed::TrailingBytes),
            core::cmp::Ordering::Equal => rest.first_chunk::<AUTHENTICATION>().copied(),
        };
        let interval = interval.ok_or(Malformed::IntervalZero)?;
        Ok(Self { header, addresses, authentication, whole: bytes, vrid, family, interval })
    }

    /// The virtual router's number.
    pub const fn vrid(&self) -> Vrid {
        self.vrid
    }

    /// 0 when the sender leaves, 255 when it owns the addresses.
    pub const fn priority(&self) -> u8 {
        let [_, _, priority, ..] = *self.header;
        priority
    }

    /// How many addresses there are, at least 1.
    pub const fn count(&self) -> u8 {
        let [_, _, _, count, ..] = *self.header;
        count
    }

    /// Between two adverts of the sender.
    pub const fn interval(&self) -> PacketInterval {
        self.interval
    }

    /// The type of authentication and its data; `None` in version 3.
    pub fn authentication(&self) -> Option<(u8, [u8; AUTHENTICATION])> {
        let [_, _, _, _, kind, ..] = *self.header;
        self.authentication.map(|data| (kind, data))
    }

    /// The addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let family = self.family;
        self.addresses.chunks_exact(address_length(family)).filter_map(move |bytes| address(bytes, family))
    }

    /// What the checksum covers, `None` when it is wrong either way. Over IPv6 and in version 2 there is one way only.
    pub fn checksum_form(&self, source: IpAddr, destination: IpAddr) -> Option<ChecksumForm> {
        let forms: &[ChecksumForm] = match (self.interval, self.family) {
            (PacketInterval::V2(_), Family::V4 | Family::V6) => &[ChecksumForm::MessageOnly],
            (PacketInterval::V3(_), Family::V4) => &[ChecksumForm::PseudoHeader, ChecksumForm::MessageOnly],
            (PacketInterval::V3(_), Family::V6) => &[ChecksumForm::PseudoHeader],
        };
        forms.iter().copied().find(|&form| checksum::is_right(self.whole, form, source, destination))
    }
}

const fn address_length(family: Family) -> usize {
    match family {
        Family::V4 => 4,
        Family::V6 => 16,
    }
}

fn address(bytes: &[u8], family: Family) -> Option<IpAddr> {
    match family {
        Family::V4 => bytes.first_chunk::<4>().map(|&bytes| Ipv4Addr::from(bytes).into()),
        Family::V6 => bytes.first_chunk::<16>().map(|&bytes| Ipv6Addr::from(bytes).into()),
    }
}

/// An advert as a value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repr {
    /// The virtual router's number.
    pub vrid: Vrid,
    /// 0 when the sender leaves.
    pub priority: u8,
    /// What moves.
    pub addresses: Addresses,
    /// Version, interval, authentication, checksum.
    pub protocol: Protocol,
}

impl Repr {
    /// What `packet` says; `None` when its checksum is wrong, its addresses make no virtual router, or its authentication is
    /// neither none nor a password.
    pub fn parse(packet: &Packet<'_>, source: IpAddr, destination: IpAddr) -> Option<Self> {
        let checksum = packet.checksum_form(source, destination)?;
        let protocol = match (packet.interval(), packet.authentication()) {
            (PacketInterval::V2(interval), Some((NO_AUTHENTICATION, _))) => {
                Protocol::V2 { interval, password: None }
            }
            (PacketInterval::V2(interval), Some((SIMPLE_PASSWORD, data))) => {
                Protocol::V2 { interval, password: Some(Password::from_wire(data)) }
            }
            (PacketInterval::V2(_), Some(_) | None) => return None,
            (PacketInterval::V3(interval), _) => Protocol::V3 { interval, checksum },
        };
        let addresses = Addresses::new(packet.addresses().collect()).ok()?;
        Some(Self { vrid: packet.vrid(), priority: packet.priority(), addresses, protocol })
    }

    /// The message, from its first byte to its last.
    pub fn emit(&self, source: IpAddr, destination: IpAddr) -> Vec<u8> {
        let (version, [high, low], form) = match (&self.protocol, self.addresses.family()) {
            (Protocol::V2 { interval, password }, Family::V4 | Family::V6) => {
                let kind = password.map_or(NO_AUTHENTICATION, |_| SIMPLE_PASSWORD);
                (2, [kind, interval.get()], ChecksumForm::MessageOnly)
            }
            (Protocol::V3 { interval, checksum }, Family::V4) => (3, interval.get().to_be_bytes(), *checksum),
            (Protocol::V3 { interval, .. }, Family::V6) => {
                (3, interval.get().to_be_bytes(), ChecksumForm::PseudoHeader)
            }
        };
        let first = version << 4 | ADVERTISEMENT;
        let mut bytes = vec![first, self.vrid.get(), self.priority, self.addresses.count(), high, low, 0, 0];
        for address in self.addresses.as_slice() {
            match address {
                IpAddr::V4(address) => bytes.extend(address.octets()),
                IpAddr::V6(address) => bytes.extend(address.octets()),
            }
        }
        match &self.protocol {
            Protocol::V2 { password, .. } => {
                bytes.extend(password.map_or([0; AUTHENTICATION], |password| password.bytes()));
            }
            Protocol::V3 { .. } => {}
        }
        let checksum = checksum::compute(&bytes, form, source, destination).to_be_bytes();
        if let Some(field) = bytes.get_mut(checksum::OFFSET..checksum::OFFSET + checksum.len()) {
            field.copy_from_slice(&checksum);
        }
        bytes
    }
}

/// Whether authentication of type `kind` with `data` is what `password` asks for (RFC 3768 section 7.1: the type has to be
/// known and the configured one; without a password the data is ignored).
pub(crate) fn authentication_is_right(
    password: Option<&Password>,
    (kind, data): (u8, [u8; AUTHENTICATION]),
) -> Result<(), AuthenticationFailure> {
    match (password, kind) {
        (None, NO_AUTHENTICATION) => Ok(()),
        (Some(password), SIMPLE_PASSWORD) if password.matches(data) => Ok(()),
        (Some(_), SIMPLE_PASSWORD) => Err(AuthenticationFailure::Password),
        (None | Some(_), _) => Err(AuthenticationFailure::Kind),
    }
}

/// What is wrong with the authentication of version 2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AuthenticationFailure {
    /// Another type than configured.
    Kind,
    /// Another password.
    Password,
}
