//! When to tell the neighbours who has the addresses.

use crate::timers::ANNOUNCE_GAP;
use bowline_sansio::Instant;
use core::time::Duration;

/// After the addresses were taken, in milliseconds: neighbours may have been deaf to the first (a neighbour entry is locked for
/// a second, a switch port just came up, two routers were Active for a moment).
const AT: [u64; 7] = [0, 50, 200, 500, 1_000, 2_000, 5_000];

/// Afterwards, for whoever lost the entry or was told something else.
const EVERY: Duration = Duration::from_secs(30);

/// The schedule of one tenure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announcements {
    /// When the addresses were taken.
    began: Instant,
    /// The last one.
    last: Instant,
}

impl Announcements {
    /// The first one is now.
    pub(super) const fn begin(now: Instant) -> Self {
        Self { began: now, last: now }
    }

    /// The neighbours may have been told something else just now: they hear it as often as at the beginning, because one that
    /// has changed an entry may be deaf for a second.
    pub(super) const fn begin_again(&mut self, now: Instant) {
        self.began = now;
    }

    /// One was sent.
    pub(super) const fn sent(&mut self, now: Instant) {
        self.last = now;
    }

    /// When the schedule has the next one, later than `now`.
    pub(super) fn next(&self, now: Instant) -> Instant {
        let early = AT.iter().map(|&at| self.began + Duration::from_millis(at)).find(|&at| at > now);
        early.map_or(now + EVERY, |early| early.max(self.soonest()))
    }

    /// When one out of schedule may be sent.
    pub(super) fn soonest(&self) -> Instant {
        self.last + ANNOUNCE_GAP
    }
}

#[cfg(test)]
mod tests;
