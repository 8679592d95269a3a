//! How many probes an endpoint may see.

use bowline_sansio::Instant;
use core::time::Duration;

/// Probes that may follow each other at once after a quiet time: a suspicion is settled by two or three.
pub(super) const BURST: u32 = 5;

/// Kept back from patient probing of an endpoint that stays down, so that news about it is probed at once.
const RESERVE: u32 = 2;

/// Sustained, a probe may be sent this often; more would load API servers that are in trouble already. A shorter regular
/// interval, which somebody asked for, is granted.
const REFILL: Duration = Duration::from_millis(500);

/// No timers make it send more often than this.
const REFILL_MIN: Duration = Duration::from_millis(10);

/// Whether the reserve may be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Urgency {
    /// For news and changes.
    Urgent,
    /// For what is down and stays so.
    Patient,
}

impl Urgency {
    const fn tokens(self) -> u32 {
        match self {
            Self::Urgent => 1,
            Self::Patient => 1 + RESERVE,
        }
    }
}

/// A token bucket whose content is kept as time, so that nothing is rounded.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    refill: Duration,
    credit: Duration,
    at: Instant,
}

impl Budget {
    /// A full one.
    pub(super) fn new(probe_interval: Duration, now: Instant) -> Self {
        let refill = refill(probe_interval);
        Self { refill, credit: refill.saturating_mul(BURST), at: now }
    }

    /// From now on for another regular interval.
    pub(super) fn set_interval(&mut self, probe_interval: Duration, now: Instant) {
        self.credit = self.credit(now);
        self.at = now;
        self.refill = refill(probe_interval);
        self.credit = self.credit.min(self.refill.saturating_mul(BURST));
    }

    /// When a probe of this urgency may be sent, at the earliest.
    pub(super) fn ready_at(&self, urgency: Urgency) -> Instant {
        self.at + self.refill.saturating_mul(urgency.tokens()).saturating_sub(self.credit)
    }

    /// A probe is sent now.
    pub(super) fn take(&mut self, now: Instant) {
        self.credit = self.credit(now).saturating_sub(self.refill);
        self.at = now;
    }

    fn credit(&self, now: Instant) -> Duration {
        self.credit.saturating_add(now.since(self.at)).min(self.refill.saturating_mul(BURST))
    }
}

fn refill(probe_interval: Duration) -> Duration {
    probe_interval.min(REFILL).max(REFILL_MIN)
}

#[cfg(test)]
mod tests;
