//! When packets that are discarded are told: anybody on the link can send them, and some are sent for ever.

use bowline_sansio::Instant;
use bowline_vrrp::Discard;
use std::time::Duration;

/// At most so often, whatever the reasons are.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// And at most so rarely while the same goes on: another virtual router on the link is no trouble, and nobody makes it go away.
const TOLD_AGAIN: Duration = Duration::from_secs(60 * 60);

/// A reason that was not there for so long is news again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// One reason.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    at: Option<Instant>,
    /// Until it is told again; twice as long each time.
    pause: Duration,
    /// The last packet.
    seen: Option<Instant>,
}

/// What one router has told of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Discards {
    at: Option<Instant>,
    /// Since then.
    count: u64,
    reasons: [Told; Discard::ALL.len()],
}

impl Discards {
    /// One more; if it is to be told, how many were discarded since the last that was.
    pub(super) fn note(&mut self, why: Discard, now: Instant) -> Option<u64> {
        let before = self.count;
        self.count += 1;
        let told = self.reasons.get_mut(why as usize)?;
        let went_on = told.seen.replace(now).is_some_and(|seen| now.since(seen) < FORGOTTEN_AFTER);
        let over = |at: Option<Instant>, pause| at.is_none_or(|at| now.since(at) >= pause);
        if !over(self.at, TOLD_EVERY) || (went_on && !over(told.at, told.pause)) {
            return None;
        }
        told.pause = if went_on { (told.pause * 2).clamp(TOLD_EVERY, TOLD_AGAIN) } else { TOLD_EVERY };
        told.at = Some(now);
        (self.at, self.count) = (Some(now), 0);
        Some(before)
    }
}
