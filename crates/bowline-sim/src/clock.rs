//! A host's own clock.

use bowline_sansio::Instant;
use core::time::Duration;

const MILLION: i128 = 1_000_000;

/// Shows a host's time for the world's. It runs a little fast or slow, and can stand still while its host does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    /// Parts per million by which it is fast.
    drift: i64,
    /// What it showed when the world began, in nanoseconds; less what it has missed since.
    offset: i64,
}

impl Clock {
    pub(crate) const fn new(drift: i64, offset: i64) -> Self {
        Self { drift, offset }
    }

    /// What it shows at `world`.
    pub(crate) fn local(&self, world: Instant) -> Instant {
        let nanos = i128::from(world.as_nanos());
        let gained = if self.drift == 0 { 0 } else { nanos * i128::from(self.drift) / MILLION };
        let shown = nanos + gained + i128::from(self.offset);
        Instant::from_nanos(u64::try_from(shown).unwrap_or(0))
    }

    /// The first moment at which it shows `local` or more.
    pub(crate) fn world(&self, local: Instant) -> Instant {
        let nanos = i128::from(local.as_nanos()) - i128::from(self.offset);
        let at = if self.drift == 0 { nanos } else { nanos * MILLION / (MILLION + i128::from(self.drift)) };
        let mut at = Instant::from_nanos(u64::try_from(at).unwrap_or(0));
        while self.local(at) < local {
            at += Duration::from_nanos(1);
        }
        at
    }

    /// It stood still for `missed`.
    pub(crate) fn miss(&mut self, missed: Duration) {
        self.offset -= i64::try_from(missed.as_nanos()).unwrap_or(i64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_is_the_first_moment() {
        for drift in [-500, -1, 0, 1, 500] {
            let clock = Clock::new(drift, 123_456_789);
            for nanos in [0, 1, 999, 1_000_000_007, 77_777_777_777] {
                let local = clock.local(Instant::from_nanos(nanos));
                let back = clock.world(local);
                assert!(clock.local(back) >= local && back.as_nanos() <= nanos, "{drift} {nanos}");
            }
        }
    }

    #[test]
    fn what_it_missed_it_does_not_show() {
        let mut clock = Clock::new(0, 0);
        clock.miss(Duration::from_secs(2));
        assert_eq!(clock.local(Instant::from_millis(5_000)), Instant::from_millis(3_000));
    }
}
