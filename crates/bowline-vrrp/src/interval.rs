//! Advertisement intervals in the units of their protocol version.

use crate::ConfigError;
use core::num::{NonZeroU8, NonZeroU16};
use core::time::Duration;

/// Whole seconds, 1 to 255: the interval of version 2 (RFC 3768 section 5.3.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seconds(NonZeroU8);

impl Seconds {
    /// The protocol's default (RFC 3768 section 6.1).
    pub const DEFAULT: Self = Self(NonZeroU8::MIN);

    /// `seconds` unless it is zero.
    pub const fn new(seconds: u8) -> Option<Self> {
        match NonZeroU8::new(seconds) {
            Some(seconds) => Some(Self(seconds)),
            None => None,
        }
    }

    /// As it stands in an advert.
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    /// As a length of time.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0.get() as u64)
    }
}

impl TryFrom<Duration> for Seconds {
    type Error = ConfigError;

    fn try_from(interval: Duration) -> Result<Self, ConfigError> {
        let whole = interval.subsec_nanos() == 0;
        let seconds = u8::try_from(interval.as_secs()).ok().filter(|_| whole).and_then(Self::new);
        seconds.ok_or(ConfigError::IntervalNotInSeconds(interval))
    }
}

/// Hundredths of a second, 1 to 4095: the interval of version 3 (RFC 9568 section 5.2.7, erratum 8301 for the lower bound).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Centiseconds(NonZeroU16);

/// An advert has 12 bits for it.
const CENTISECONDS_MAX: u16 = 4_095;

/// The only place where hundredths of a second become anything else.
const MILLISECONDS_EACH: u64 = 10;

impl Centiseconds {
    /// The protocol's default (RFC 9568 section 6.1).
    pub const DEFAULT: Self = Self(NonZeroU16::MIN.saturating_add(99));

    /// `centiseconds` unless it is zero or needs more than 12 bits.
    pub const fn new(centiseconds: u16) -> Option<Self> {
        match NonZeroU16::new(centiseconds) {
            Some(centiseconds) if centiseconds.get() <= CENTISECONDS_MAX => Some(Self(centiseconds)),
            Some(_) | None => None,
        }
    }

    /// As it stands in an advert.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// As a length of time.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0.get() as u64 * MILLISECONDS_EACH)
    }
}

impl TryFrom<Duration> for Centiseconds {
    type Error = ConfigError;

    fn try_from(interval: Duration) -> Result<Self, ConfigError> {
        let nanos_each = Duration::from_millis(MILLISECONDS_EACH).as_nanos();
        let (count, rest) = (interval.as_nanos() / nanos_each, interval.as_nanos() % nanos_each);
        let centiseconds = u16::try_from(count).ok().filter(|_| rest == 0).and_then(Self::new);
        centiseconds.ok_or(ConfigError::IntervalNotInCentiseconds(interval))
    }
}

#[cfg(test)]
mod tests;
