//! Skew_Time and Active_Down_Interval, and every other length of time.
//!
//! All arithmetic is in whole nanoseconds of 128 bits: nothing overflows, nothing is rounded before the end, and hundredths
//! of a second have become a [`Duration`] before they come here.

use crate::config::Protocol;
use core::time::Duration;

/// The first wait of a Backup in the planned order over the one before it, so that two never take over at once. Above what
/// a thread of ordinary priority is late on a busy machine, below what a client notices.
pub const RANK_WAIT: Duration = Duration::from_millis(20);

/// A hand-over ends after this, successor or not.
pub const HAND_OVER_MAX: Duration = Duration::from_secs(2);

/// So long the kernel may take for the addresses. Its lock is held for hundreds of milliseconds while many interfaces come and
/// go; a router that stays Active without addresses for longer is worse than another move.
pub const ACQUIRE_MAX: Duration = Duration::from_secs(2);

/// A router that did not get its addresses takes part again after this.
pub const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A router that cannot serve and keeps the addresses where priorities have no bands offers them again so often.
pub const OFFER_EVERY: Duration = Duration::from_secs(10);

/// Between two adverts of one router, at least, whatever it answers to: the shortest interval there is.
pub const ADVERT_GAP: Duration = Duration::from_millis(10);

/// Between two announcements of one router, at least: no flood of adverts makes a flood of broadcasts.
pub const ANNOUNCE_GAP: Duration = Duration::from_millis(50);

/// Between two attempts to put a lost address back, at least: whoever removes it in a loop shall not keep the kernel busy.
pub const PUT_BACK_GAP: Duration = Duration::from_millis(100);

/// Adverts that a Backup misses before it believes the Active router to be gone (RFC 9568 section 6.1).
const ADVERTS_MISSED: u32 = 3;

/// Parts of an interval that Skew_Time is counted in (RFC 9568 section 6.1).
const SKEW_PARTS: u128 = 256;

/// What Skew_Time is a part of: the Active router's interval in version 3 (RFC 9568 section 6.1), one second in version 2
/// whatever its interval (RFC 3768 section 6.1).
pub const fn skew_base(protocol: &Protocol, active_interval: Duration) -> Duration {
    match protocol {
        Protocol::V2 { .. } => Duration::from_secs(1),
        Protocol::V3 { .. } => active_interval,
    }
}

/// Skew_Time: `((256 - priority) * base) / 256`, see [`skew_base`].
pub fn skew(priority: u8, base: Duration) -> Duration {
    let parts = SKEW_PARTS - u128::from(priority);
    let nanos = base.as_nanos() * parts / SKEW_PARTS;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// Active_Down_Interval: `3 * Active_Adver_Interval + Skew_Time` (RFC 9568 section 6.1).
pub fn active_down(interval: Duration, skew: Duration) -> Duration {
    interval.saturating_mul(ADVERTS_MISSED).saturating_add(skew)
}

/// After so long without an advert of ours, the quickest Backup has taken over.
pub fn replaced_after(interval: Duration) -> Duration {
    interval.saturating_mul(ADVERTS_MISSED)
}

/// What `places` in the planned order add to the wait.
pub fn rank_wait(places: u8) -> Duration {
    RANK_WAIT.saturating_mul(u32::from(places))
}

#[cfg(test)]
mod tests;
