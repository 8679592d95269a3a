//! Whether clients would be served here, as the advert thread judges it by asking the workers.
//!
//! ```text
//!   asked ──30 ms──▶ waits ──100 ms──▶ hangs             of the last second, in sum:
//!                    180 ms of it, but 100 ms of a single time at most: starved
//!                                     300 ms of it: dead
//! ```
//!
//! *Dead* is a fault: the addresses are given up, whoever takes them. *Starved* means that clients are served, and badly, again and
//! again: another host that can serve takes over, and where there is none, as when all of them are short of CPU, nothing moves.

use crate::silence::Silence;
use bowline_sansio::Instant;
use std::time::Duration;

/// Between two questions to a worker that answers. Far from the period of the kernel's CPU quotas (100 ms): a worker that runs at the
/// beginning of each would be asked then for long.
const ASK_EVERY: Duration = Duration::from_millis(70);

/// Between two looks at workers that let themselves be waited for lately.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A worker that is only one of many on its CPU answers sooner.
const WAITS_AFTER: Duration = Duration::from_millis(30);

/// A longer wait, of a worker or of this thread itself, counts no more: the whole host may have stood still, once.
const COUNTS_UNTIL: Duration = Duration::from_millis(130);

/// In several waits: three of 90 ms, as under a quota of the CPU that is used up.
const STARVED_AFTER: Duration = Duration::from_millis(180);

/// For so long after it was starved last a host says so. It is better off as soon as clients have gone elsewhere, and would take
/// them back.
const STARVED_FOR: Duration = Duration::from_secs(10);

/// A longer wait is more than a bad moment.
const HANGS_AFTER: Duration = Duration::from_millis(100);

/// With the time until it was asked half a second from when a worker began to hang.
const DEAD_AFTER: Duration = Duration::from_millis(300);

/// A worker that has not answered for so long serves nobody, and must not keep an address.
pub(crate) const ALIVE_WITHIN: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(crate) struct Liveness {
    waits: Silence,
    hangs: Silence,
    /// When workers are asked next.
    ask_at: Instant,
    /// What workers owed before is not held against them: this thread stood still as well.
    judged_from: Instant,
    starved_until: Option<Instant>,
    /// At the last look.
    silent: Duration,
    /// Until then a worker that let itself be waited for is asked again whenever it has answered: asked now and then, one that runs now
    /// and then might answer in step.
    suspicious_until: Instant,
}

impl Liveness {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            waits: Silence::between(WAITS_AFTER, COUNTS_UNTIL),
            hangs: Silence::between(HANGS_AFTER, Duration::MAX),
            ask_at: now,
            judged_from: now,
            starved_until: None,
            silent: Duration::ZERO,
            suspicious_until: now,
        }
    }

    /// At `now`, `late` after it should have been woken, the worker that has been silent longest has owed its answer for `silent`, and the one that is
    /// kept from running longest for `starves`. Whether the workers are to be asked.
    pub(crate) fn look(&mut self, silent: Duration, starves: Duration, late: Duration, now: Instant) -> bool {
        if late > WAITS_AFTER {
            self.judged_from = now;
        }
        let judged = now.since(self.judged_from);
        let (silent, starves) = (silent.min(judged), starves.min(judged));
        self.silent = silent;
        self.waits.look(starves, now);
        self.hangs.look(silent, now);
        // Without the right to be on time this thread is starved as the workers are.
        self.waits.add(late.min(COUNTS_UNTIL).saturating_sub(WAITS_AFTER));
        if self.waits.lately() >= STARVED_AFTER {
            self.starved_until = Some(now + STARVED_FOR);
        } else {
            self.starved_until = self.starved_until.filter(|until| *until > now);
        }
        if starves >= LOOK_EVERY || silent >= HANGS_AFTER || !self.waits.lately().is_zero() {
            self.suspicious_until = now + ASK_EVERY;
        }
        let asks = now >= self.ask_at || self.is_suspicious(now);
        if asks {
            self.ask_at = now + ASK_EVERY;
        }
        asks
    }

    /// When to look again, if nothing else happens.
    pub(crate) fn due(&self, now: Instant) -> Instant {
        let asked_now = self.ask_at == now + ASK_EVERY;
        match self.is_suspicious(now) {
            true => now + LOOK_EVERY,
            // Soon it is known whether that was too much.
            false if asked_now => now + WAITS_AFTER,
            false => self.ask_at,
        }
    }

    /// Whether the last answer came, or is not due yet.
    pub(crate) fn is_alive(&self) -> bool {
        self.silent <= ALIVE_WITHIN
    }

    /// Whether nobody would be served.
    pub(crate) fn is_dead(&self) -> bool {
        self.hangs.lately() >= DEAD_AFTER
    }

    /// Whether clients would be served better elsewhere.
    pub(crate) const fn is_starved(&self) -> bool {
        self.starved_until.is_some()
    }

    fn is_suspicious(&self, now: Instant) -> bool {
        now < self.suspicious_until
    }
}

#[cfg(test)]
mod tests;
