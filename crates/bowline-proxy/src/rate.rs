//! So much, and then so often.

use bowline_sansio::Instant;
use std::time::Duration;

/// A token bucket.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    burst: u32,
    every: Duration,
    tokens: u32,
    refilled: Instant,
}

impl Rate {
    /// `burst` at once, then one in `every`.
    pub(crate) const fn new(burst: u32, every: Duration, now: Instant) -> Self {
        Self { burst, every, tokens: burst, refilled: now }
    }

    /// Whether one more may pass at `now`.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        while self.tokens < self.burst && now.since(self.refilled) >= self.every {
            self.tokens += 1;
            self.refilled += self.every;
        }
        if self.tokens == self.burst {
            self.refilled = now;
        }
        let admitted = self.tokens > 0;
        self.tokens = self.tokens.saturating_sub(1);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let mut rate = Rate::new(2, Duration::from_millis(100), Instant::ORIGIN);
        let mut admitted = |millis| rate.admit(Instant::from_millis(millis));
        assert_eq!([admitted(0), admitted(0), admitted(0)], [true, true, false]);
        assert_eq!([admitted(99), admitted(100), admitted(150), admitted(200)], [false, true, false, true]);
        assert_eq!([admitted(60_000), admitted(60_000), admitted(60_000)], [true, true, false]);
    }
}
