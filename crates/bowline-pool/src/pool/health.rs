//! What the evidence about one endpoint adds up to.
//!
//! ```text
//!                      fall x bad                        rise x good
//!   Ready <-> Alive ----------------> Dead ---------------------------------> Ready or Alive
//!        |   ^                         ^ |
//!        |   | rise x good             | | rise x answered, the last one not ready
//!        |   |            fall x bad   | v
//!        |   +------------------------ Draining
//!        +-- fall x not ready ----------^
//! ```
//!
//! *Bad* is a failed probe or what a worker reports, counted in a row until a good probe clears it. Three rules keep single
//! clients and stale answers from deciding:
//!
//! * An answer clears only what was known when its probe was sent; what came later stands until the next probe.
//! * That somebody could not connect is cleared only by a probe that connected anew.
//! * What a client can cause by itself (half a ClientHello, a lost SYN) takes an endpoint out only when the probe sent
//!   because of it stays silent as well; see [`Health::verdict_at`].

use crate::evidence::{Evidence, Usable, Verdict};
use crate::reason::Reason;
use crate::snapshot::Grade;
use crate::spec::Timers;
use bowline_sansio::Instant;
use core::time::Duration;

/// How many in a row it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thresholds {
    /// Bad ones, or not ready ones, at least 1.
    pub(super) fall: u32,
    /// Good ones, at least 1.
    pub(super) rise: u32,
}

impl Thresholds {
    /// One good probe is enough while no endpoint takes new connections.
    pub(super) fn new(timers: &Timers, some_usable: bool) -> Self {
        Self { fall: timers.fall.max(1), rise: if some_usable { timers.rise.max(1) } else { 1 } }
    }
}

/// Bad evidence in a row.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Suspicion {
    /// How much.
    pub(super) count: u32,
    /// Whether any of it is beyond a client's doing.
    pub(super) hard: bool,
    /// Whether only a probe that connects anew can clear it.
    pub(super) fresh: bool,
    /// When the first piece came.
    first: Option<Instant>,
}

impl Suspicion {
    const fn piece(hard: bool, fresh: bool, now: Instant) -> Self {
        Self { count: 1, hard, fresh, first: Some(now) }
    }

    /// Both; `self` is the older one.
    fn and(self, later: Self) -> Self {
        Self {
            count: self.count.saturating_add(later.count),
            hard: self.hard || later.hard,
            fresh: self.fresh || later.fresh,
            first: self.first.or(later.first),
        }
    }
}

/// The grade of one endpoint and all that may change it.
#[derive(Clone, Debug)]
pub(super) struct Health {
    grade: Grade,
    reason: Reason,
    /// Known when the probe in flight was sent, or since the last answer when none is.
    known: Suspicion,
    /// Came while a probe was in flight: its answer says nothing about this.
    later: Suspicion,
    /// Of the last bad evidence.
    bad_reason: Reason,
    /// Not ready in a row, while usable.
    not_ready: u32,
    /// Good in a row, while draining or dead.
    good: u32,
    /// Good or not ready in a row, while draining or dead.
    answered: u32,
    /// What the last answer spoke for, while `answered > 0`.
    candidate: (Grade, Reason),
    heard: Option<Instant>,
    last_run: u32,
}

impl Health {
    pub(super) const fn new() -> Self {
        const NOTHING: Suspicion = Suspicion { count: 0, hard: false, fresh: false, first: None };
        Self {
            grade: Grade::Alive,
            reason: Reason::NotProbed,
            known: NOTHING,
            later: NOTHING,
            bad_reason: Reason::NotProbed,
            not_ready: 0,
            good: 0,
            answered: 0,
            candidate: (Grade::Alive, Reason::NotProbed),
            heard: None,
            last_run: 0,
        }
    }

    pub(super) const fn grade(&self) -> Grade {
        self.grade
    }

    pub(super) const fn reason(&self) -> &Reason {
        &self.reason
    }

    pub(super) const fn bad_reason(&self) -> &Reason {
        &self.bad_reason
    }

    /// When the endpoint was last heard of.
    pub(super) const fn heard(&self) -> Option<Instant> {
        self.heard
    }

    /// How many pieces of evidence in a row led to the last change of grade.
    pub(super) const fn last_run(&self) -> u32 {
        self.last_run
    }

    /// All bad evidence that stands.
    pub(super) fn suspicion(&self) -> Suspicion {
        self.known.and(self.later)
    }

    /// Whether bad evidence stands against an endpoint that is not dead.
    pub(super) fn is_suspected(&self) -> bool {
        self.grade != Grade::Dead && self.suspicion().count > 0
    }

    /// Whether the next answers may change the grade.
    pub(super) fn is_changing(&self) -> bool {
        self.is_suspected() || self.not_ready > 0 || self.good > 0 || self.answered > 0
    }

    /// A probe is on its way: it will speak about all that is known now.
    pub(super) fn probe_sent(&mut self) {
        self.gather();
    }

    fn gather(&mut self) {
        self.known = self.suspicion();
        self.later = Suspicion::default();
    }

    /// A worker's report; `in_flight` while a probe is.
    pub(super) fn reported(
        &mut self,
        evidence: Evidence,
        in_flight: bool,
        now: Instant,
        thresholds: Thresholds,
    ) {
        self.heard = Some(now);
        let (reason, hard, fresh) = match evidence {
            Evidence::Refused => (Reason::Refused, true, true),
            Evidence::Unreachable => (Reason::Unreachable, true, true),
            Evidence::ConnectTimeout => (Reason::ConnectTimeout, false, true),
            Evidence::UnansweredFlight => (Reason::UnansweredFlight, false, false),
            Evidence::ClosedUnanswered => (Reason::ClosedUnanswered, false, true),
            // Worth a probe, and the probe decides.
            Evidence::Answered => return,
        };
        let piece = Suspicion::piece(hard, fresh, now);
        if in_flight {
            self.later = self.later.and(piece);
        } else {
            self.known = self.known.and(piece);
        }
        self.bad(reason, thresholds);
    }

    /// A probe's result; `anew` when it made a connection for itself.
    pub(super) fn probed(&mut self, verdict: Verdict, anew: bool, now: Instant, thresholds: Thresholds) {
        match verdict {
            Verdict::Local(_) => {
                self.gather();
                return;
            }
            Verdict::Bad(reason) => {
                self.gather();
                self.known = self.known.and(Suspicion::piece(true, false, now));
                self.bad(reason, thresholds);
                // Reports may come by the thousand and differ, so only probes tell of a new reason.
                if self.grade == Grade::Dead {
                    self.reason = self.bad_reason.clone();
                }
            }
            Verdict::NotReady(reason) => {
                let clear = self.clear(anew);
                self.not_ready(reason, clear, thresholds);
            }
            Verdict::Good(usable, reason) => {
                let clear = self.clear(anew);
                self.good(usable, reason, clear, thresholds);
            }
        }
        self.heard = Some(now);
    }

    /// An answer came: drops the bad evidence that it disproves; whether none is left.
    fn clear(&mut self, anew: bool) -> bool {
        self.known = if self.known.fresh && !anew { self.suspicion() } else { self.later };
        self.later = Suspicion::default();
        self.known.count == 0
    }

    /// Bad evidence was added.
    fn bad(&mut self, reason: Reason, thresholds: Thresholds) {
        self.good = 0;
        self.answered = 0;
        self.bad_reason = reason;
        let suspicion = self.suspicion();
        match self.grade {
            Grade::Ready | Grade::Alive | Grade::Draining => {
                if suspicion.hard && suspicion.count >= thresholds.fall {
                    self.convict();
                }
            }
            Grade::Dead => {}
        }
    }

    /// The bad evidence is enough.
    pub(super) fn convict(&mut self) {
        self.turn(Grade::Dead, self.bad_reason.clone(), self.suspicion().count);
    }

    fn not_ready(&mut self, reason: Reason, clear: bool, thresholds: Thresholds) {
        self.good = 0;
        match self.grade {
            Grade::Ready | Grade::Alive => {
                self.not_ready = self.not_ready.saturating_add(1);
                if self.not_ready >= thresholds.fall {
                    self.turn(Grade::Draining, reason, self.not_ready);
                }
            }
            Grade::Draining => {
                self.answered = 0;
                self.reason = reason;
            }
            Grade::Dead => {
                self.answered = if clear { self.answered.saturating_add(1) } else { 0 };
                self.candidate = (Grade::Draining, reason);
                self.rise(thresholds);
            }
        }
    }

    fn good(&mut self, usable: Usable, reason: Reason, clear: bool, thresholds: Thresholds) {
        let to = usable.grade();
        match self.grade {
            Grade::Ready | Grade::Alive => {
                self.not_ready = 0;
                if to == self.grade {
                    self.reason = reason;
                } else {
                    self.turn(to, reason, 1);
                }
            }
            Grade::Draining | Grade::Dead => {
                self.good = if clear { self.good.saturating_add(1) } else { 0 };
                self.answered = if clear { self.answered.saturating_add(1) } else { 0 };
                self.candidate = (to, reason);
                self.rise(thresholds);
            }
        }
    }

    /// Takes the grade that the last answer spoke for, if there were enough of its kind in a row.
    pub(super) fn rise(&mut self, thresholds: Thresholds) {
        let (to, reason) = self.candidate.clone();
        let run = match to {
            Grade::Ready | Grade::Alive => self.good,
            Grade::Draining => self.answered,
            Grade::Dead => 0,
        };
        if run >= thresholds.rise && self.answered > 0 {
            self.turn(to, reason, run);
        }
    }

    /// The one place where the grade changes; every run starts anew.
    fn turn(&mut self, to: Grade, reason: Reason, run: u32) {
        debug_assert!(self.grade != to, "a change from {to} to {to}");
        self.grade = to;
        self.reason = reason;
        self.last_run = run;
        self.not_ready = 0;
        self.good = 0;
        self.answered = 0;
    }

    /// When the bad evidence is enough if the probe sent at `sent` stays silent.
    ///
    /// Enough that is not hard waits for the time that a living endpoint needs to answer; one piece less than enough, and hard,
    /// does not wait for a whole handshake time-out.
    pub(super) fn verdict_at(
        &self,
        sent: Instant,
        anew: bool,
        timers: &Timers,
        rtt: Option<Duration>,
    ) -> Option<Instant> {
        let suspicion = self.suspicion();
        let fall = timers.fall.max(1);
        let first = suspicion.first.filter(|_| self.grade != Grade::Dead)?;
        let enough = suspicion.count >= fall;
        let almost = suspicion.hard && suspicion.count.saturating_add(1) >= fall;
        (enough || almost).then(|| sent.max(first) + patience(timers, rtt, anew || !enough))
    }

    /// The thresholds changed: runs already seen stay just below them, new evidence decides.
    pub(super) fn keep_below(&mut self, thresholds: Thresholds) {
        if self.grade != Grade::Dead {
            self.gather();
            self.known.count = self.known.count.min(thresholds.fall - 1);
            if self.known.count == 0 {
                self.known = Suspicion::default();
            }
        }
        self.not_ready = self.not_ready.min(thresholds.fall - 1);
        self.good = self.good.min(thresholds.rise - 1);
        self.answered = self.answered.min(thresholds.rise - 1).max(self.good);
    }

    /// Panics where the counters contradict the grade.
    pub(super) fn check_invariants(&self, thresholds: Thresholds) {
        let suspicion = self.suspicion();
        assert_eq!(suspicion.count == 0, suspicion.first.is_none(), "{self:?}");
        match self.grade {
            Grade::Ready | Grade::Alive => {
                assert!(self.not_ready < thresholds.fall, "{self:?}");
                assert!(self.good == 0 && self.answered == 0, "{self:?}");
                assert!(suspicion.count < thresholds.fall || !suspicion.hard, "{self:?}");
            }
            Grade::Draining => {
                assert!(self.not_ready == 0 && self.good == self.answered, "{self:?}");
                assert!(self.good < thresholds.rise, "{self:?}");
                assert!(suspicion.count < thresholds.fall || !suspicion.hard, "{self:?}");
            }
            Grade::Dead => {
                assert!(self.not_ready == 0 && self.good <= self.answered, "{self:?}");
                assert!(self.good < thresholds.rise, "{self:?}");
                assert!(self.answered - self.good < thresholds.rise, "{self:?}");
                assert!(self.answered == 0 || suspicion.count == 0, "{self:?}");
            }
        }
    }
}

/// How long a probe may stay silent before that confirms a suspicion: on an open connection its time-out; with connect and
/// handshake (three round trips instead of one) twice that; and never less than two such exchanges take on this path.
fn patience(timers: &Timers, rtt: Option<Duration>, anew: bool) -> Duration {
    let (timeout, exchanges) =
        if anew { (timers.probe_timeout.saturating_mul(2), 6) } else { (timers.probe_timeout, 2) };
    timeout.max(rtt.unwrap_or_default().saturating_mul(exchanges)).max(PATIENCE_MIN)
}

/// Keeps a verdict behind its evidence whatever the timers are.
const PATIENCE_MIN: Duration = Duration::from_millis(1);

impl Usable {
    const fn grade(self) -> Grade {
        match self {
            Self::Ready => Grade::Ready,
            Self::Alive => Grade::Alive,
        }
    }
}

#[cfg(test)]
mod tests;
