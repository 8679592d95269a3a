//! How one held client is dialled.
//!
//! A *round* tries every endpoint once, best tier first, in the order of the policy; then comes a pause, and the next round,
//! until the client was held long enough. Within a round the next endpoint is dialled at once when one fails, and beside it
//! when one is silent; a better endpoint that nobody tried is never waited for.

use crate::evidence::Evidence;
use crate::snapshot::{Grade, Snapshot};
use crate::spec::EndpointId;
use bowline_sansio::{Instant, Machine, Outbox, Prng};
use core::time::Duration;
use pick::tier;
use std::sync::Arc;

mod message;
mod pick;

pub use message::{Attempt, Departure, DialInput, DialOutput, GiveUp, Ticket};

/// Connection attempts of one client in flight at once, at most: three silent endpoints do not keep a client from the fourth,
/// and one client can't flood a network with SYNs.
pub const MAX_RACING: usize = 4;

/// A silent attempt is dropped after this: the kernel repeats a SYN after 1 s, so a new attempt loses nothing. Doubled once
/// every endpoint was dropped so, for ways that are slower than that.
const ATTEMPT_MAX: Duration = Duration::from_secs(1);

/// Doublings of [`ATTEMPT_MAX`]: 1 s, 2 s and 4 s fit into the 8 s that a client is held.
const ATTEMPT_DOUBLINGS: u32 = 2;

/// Between the first two rounds; grows by itself up to [`PAUSE_MAX`].
const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// Between later rounds: with its jitter and a connect it lets a held client in within 145 ms after an endpoint is back.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Pauses differ by this part to either side, so that clients held by the same failure do not move in step.
const PAUSE_JITTER_DIVISOR: u32 = 5;

/// So many held clients of one worker dial at full pace; more slow each other down in proportion.
const CROWD: u32 = 64;

/// The longest pause of all.
const PAUSE_CROWD_MAX: Duration = Duration::from_secs(1);

/// One input leads to an abort, a report and a connect for each attempt, and one end.
const OUTBOX_MAX: usize = 8 * MAX_RACING;

/// An attempt in flight.
#[derive(Debug)]
struct Racer {
    attempt: Attempt,
    endpoint: EndpointId,
    /// Silent from then on, the next endpoint is dialled beside it.
    silent_at: Instant,
    silent: bool,
    expires_at: Instant,
}

/// Which kinds of failure this dial has met.
#[derive(Clone, Copy, Default, Debug)]
struct Failures {
    refused: bool,
    local: bool,
    other: bool,
}

/// One client being held while endpoints are tried.
#[derive(Debug)]
pub struct Dial {
    snapshot: Arc<Snapshot>,
    turn: u64,
    crowd: u32,
    prng: Prng,
    give_up_at: Instant,
    /// Oldest first.
    racing: Vec<Racer>,
    /// Failed in this round.
    tried: Vec<EndpointId>,
    pause_until: Option<Instant>,
    rounds: u32,
    attempts: u32,
    expired: u32,
    failures: Failures,
    done: bool,
    outbox: Outbox<DialOutput>,
}

impl Dial {
    /// Starts to dial; drain the outputs at once, the first attempt is among them.
    pub fn new(snapshot: Arc<Snapshot>, ticket: Ticket, now: Instant) -> Self {
        Self::start(snapshot, ticket, None, now)
    }

    /// Dials anew for a client that was connected and got no answer: the first round leaves out the endpoint it comes from,
    /// and attempts are numbered on from those it made before, so that their late outcomes are not taken for new ones.
    pub fn again(snapshot: Arc<Snapshot>, ticket: Ticket, from: Departure, now: Instant) -> Self {
        Self::start(snapshot, ticket, Some(from), now)
    }

    fn start(snapshot: Arc<Snapshot>, ticket: Ticket, from: Option<Departure>, now: Instant) -> Self {
        let give_up_at = now + snapshot.timers.hold;
        let known = |id| snapshot.endpoints.iter().any(|endpoint| endpoint.id == id);
        let tried = from.map(|from| from.endpoint).filter(|&id| known(id)).into_iter().collect();
        let mut dial = Self {
            snapshot,
            turn: ticket.turn,
            crowd: ticket.crowd,
            prng: Prng::new(ticket.seed),
            give_up_at,
            racing: Vec::new(),
            tried,
            pause_until: None,
            rounds: 0,
            attempts: from.map_or(0, |from| from.attempts),
            expired: 0,
            failures: Failures::default(),
            done: false,
            outbox: Outbox::new(OUTBOX_MAX),
        };
        dial.advance(now);
        dial
    }

    /// Attempts numbered so far, those before a [`Departure`] among them.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether it has won or given up.
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// Panics where the dial's state contradicts itself.
    pub fn check_invariants(&self) {
        assert!(self.racing.len() <= MAX_RACING);
        assert_eq!(self.outbox.dropped(), 0, "outputs were lost");
        if self.done {
            assert!(self.racing.is_empty() && self.pause_until.is_none(), "{self:?}");
            return;
        }
        assert!(!self.racing.is_empty() || self.pause_until.is_some(), "nothing goes on: {self:?}");
        assert!(self.tried.len() <= self.snapshot.endpoints.len(), "{self:?}");
        for racer in &self.racing {
            assert!(self.grade(racer.endpoint).is_some(), "{:?} is gone", racer.endpoint);
            assert!(!self.tried.contains(&racer.endpoint), "{:?} failed and is in flight", racer.endpoint);
            let attempts = self.racing.iter().filter(|other| other.endpoint == racer.endpoint).count();
            assert_eq!(attempts, 1, "{:?} is raced against itself", racer.endpoint);
        }
        let best = self.untried().map(|endpoint| tier(endpoint.grade)).min();
        assert!(best.is_none_or(|best| !self.may_start(best)), "waits beside an untried endpoint: {self:?}");
    }

    fn grade(&self, endpoint: EndpointId) -> Option<Grade> {
        self.snapshot.endpoints.iter().find(|seen| seen.id == endpoint).map(|seen| seen.grade)
    }

    fn is_racing(&self, endpoint: EndpointId) -> bool {
        self.racing.iter().any(|racer| racer.endpoint == endpoint)
    }

    fn is_untried(&self, endpoint: EndpointId) -> bool {
        !self.tried.contains(&endpoint) && !self.is_racing(endpoint)
    }

    fn untried(&self) -> impl Iterator<Item = &crate::Endpoint> {
        self.snapshot.endpoints.iter().filter(|endpoint| self.is_untried(endpoint.id))
    }

    /// Whether an endpoint of that tier is dialled now: when all attempts are silent, or worse than it.
    fn may_start(&self, candidate: u8) -> bool {
        let tier_of = |racer: &Racer| self.grade(racer.endpoint).map_or(u8::MAX, tier);
        self.racing.iter().all(|racer| racer.silent || candidate < tier_of(racer))
    }

    /// Dials what may be dialled; ends or pauses the round when there is nothing left.
    fn advance(&mut self, now: Instant) {
        if self.snapshot.endpoints.is_empty() {
            return self.give_up(GiveUp::NoEndpoints);
        }
        let candidate = loop {
            // A pick that may not start yet draws nothing: a spurious timeout changes nothing.
            let mut prng = self.prng.clone();
            let candidate = pick::pick(&self.snapshot, |id| self.is_untried(id), self.turn, &mut prng);
            let Some((at, tier)) = candidate else { break None };
            if !self.may_start(tier) {
                break Some(at);
            }
            self.prng = prng;
            self.connect(at, now);
        };
        let retriable = self.snapshot.endpoints.len() > self.racing.len();
        if candidate.is_some() || !retriable {
            self.pause_until = None;
        } else if self.pause_until.is_none() && self.racing.iter().all(|racer| racer.silent) {
            self.pause_until = Some(now + self.pause());
        }
    }

    fn connect(&mut self, at: usize, now: Instant) {
        if self.racing.len() >= MAX_RACING {
            let silent = self.racing.iter().position(|racer| racer.silent);
            let racer = self.racing.remove(silent.unwrap_or(0));
            self.outbox.push(DialOutput::Abort { attempt: racer.attempt });
            if racer.silent {
                self.tried.push(racer.endpoint);
                self.failures.other = true;
            }
        }
        let Some(endpoint) = self.snapshot.endpoints.get(at) else { return };
        let attempt = Attempt(self.attempts);
        self.attempts = self.attempts.saturating_add(1);
        self.pause_until = None;
        let rtts = self.snapshot.endpoints.iter().filter_map(|endpoint| endpoint.connect_rtt);
        // Of an endpoint never connected to we expect what the farthest of the others takes.
        let stagger = self.snapshot.timers.stagger(endpoint.connect_rtt.or_else(|| rtts.max()));
        let all = u32::try_from(self.snapshot.endpoints.len()).unwrap_or(u32::MAX).max(1);
        let doublings = (self.expired / all).min(ATTEMPT_DOUBLINGS);
        self.racing.push(Racer {
            attempt,
            endpoint: endpoint.id,
            silent_at: now + stagger,
            silent: false,
            expires_at: now + stagger.max(ATTEMPT_MAX.saturating_mul(1 << doublings)),
        });
        self.outbox.push(DialOutput::Connect {
            attempt,
            endpoint: endpoint.id,
            address: endpoint.address,
            lease: endpoint.connections.lease(),
        });
    }

    fn pause(&mut self) -> Duration {
        let grown = PAUSE_FIRST.saturating_mul(self.rounds.saturating_add(1)).min(PAUSE_MAX);
        let pause = (grown.saturating_mul(self.crowd.max(CROWD)) / CROWD).min(PAUSE_CROWD_MAX);
        self.prng.jitter(pause, pause / PAUSE_JITTER_DIVISOR)
    }

    fn take(&mut self, attempt: Attempt) -> Option<Racer> {
        let at = self.racing.iter().position(|racer| racer.attempt == attempt)?;
        Some(self.racing.remove(at))
    }

    /// Tells the pool, unless it knows that this one is dead.
    fn report(&mut self, endpoint: EndpointId, evidence: Evidence) {
        if self.grade(endpoint).is_some_and(|grade| grade != Grade::Dead) {
            self.outbox.push(DialOutput::Report { endpoint, evidence });
        }
    }

    fn won(&mut self, attempt: Attempt) {
        let Some(winner) = self.take(attempt) else { return };
        self.abort_all();
        self.outbox.push(DialOutput::Won { attempt, endpoint: winner.endpoint });
    }

    /// The attempt ended without a connection.
    fn failed(&mut self, attempt: Attempt, evidence: Option<Evidence>, now: Instant) {
        let Some(racer) = self.take(attempt) else { return };
        self.tried.push(racer.endpoint);
        match evidence {
            Some(Evidence::Refused) => self.failures.refused = true,
            None => self.failures.local = true,
            Some(
                Evidence::Unreachable
                | Evidence::ConnectTimeout
                | Evidence::UnansweredFlight
                | Evidence::ClosedUnanswered
                | Evidence::Answered,
            ) => self.failures.other = true,
        }
        // Its silence was reported when it began.
        let known = racer.silent && evidence == Some(Evidence::ConnectTimeout);
        if let Some(evidence) = evidence.filter(|_| !known) {
            self.report(racer.endpoint, evidence);
        }
        self.advance(now);
    }

    /// Takes a newer view: drops attempts on endpoints that are gone, and tries again at once what became better.
    fn renew(&mut self, snapshot: Arc<Snapshot>, now: Instant) {
        let old = core::mem::replace(&mut self.snapshot, snapshot);
        let new = Arc::clone(&self.snapshot);
        let find = |snapshot: &Snapshot, id| {
            snapshot.endpoints.iter().find(|endpoint| endpoint.id == id).map(|endpoint| tier(endpoint.grade))
        };
        let is_better = |id| match (find(&old, id), find(&new, id)) {
            (Some(before), Some(after)) => after < before,
            (None, Some(_)) => true,
            (Some(_) | None, None) => false,
        };
        let is_gone = |id| find(&new, id).is_none();
        self.tried.retain(|&id| !is_gone(id) && !is_better(id));
        let outbox = &mut self.outbox;
        self.racing.retain(|racer| {
            // Its SYN went to an endpoint that was worse then: nobody knows when the kernel repeats it.
            let stale = racer.silent && is_better(racer.endpoint);
            let keep = !is_gone(racer.endpoint) && !stale;
            if !keep {
                outbox.push(DialOutput::Abort { attempt: racer.attempt });
            }
            keep
        });
        self.advance(now);
    }

    fn timeout(&mut self, now: Instant) {
        if self.give_up_at <= now {
            let reason = self.reason();
            return self.give_up(reason);
        }
        while let Some(at) = self.racing.iter().position(|racer| !racer.silent && racer.silent_at <= now) {
            let Some(racer) = self.racing.get_mut(at) else { break };
            racer.silent = true;
            let endpoint = racer.endpoint;
            self.report(endpoint, Evidence::ConnectTimeout);
        }
        while let Some(at) = self.racing.iter().position(|racer| racer.expires_at <= now) {
            let racer = self.racing.remove(at);
            self.outbox.push(DialOutput::Abort { attempt: racer.attempt });
            self.tried.push(racer.endpoint);
            self.expired = self.expired.saturating_add(1);
            self.failures.other = true;
        }
        if self.pause_until.is_some_and(|until| until <= now) {
            self.pause_until = None;
            self.rounds = self.rounds.saturating_add(1);
            self.tried.clear();
        }
        self.advance(now);
    }

    fn reason(&self) -> GiveUp {
        match (self.failures.refused, self.failures.local, self.failures.other || !self.racing.is_empty()) {
            (true, false, false) => GiveUp::AllRefused,
            (false, true, false) => GiveUp::LocalFailure,
            (true | false, true | false, true) | (true, true, false) | (false, false, false) => {
                GiveUp::AllFailed
            }
        }
    }

    fn give_up(&mut self, reason: GiveUp) {
        self.abort_all();
        self.outbox.push(DialOutput::GiveUp(reason));
    }

    /// Ends the dial.
    fn abort_all(&mut self) {
        for racer in self.racing.drain(..) {
            self.outbox.push(DialOutput::Abort { attempt: racer.attempt });
        }
        self.pause_until = None;
        self.done = true;
    }
}

impl Machine for Dial {
    type Input = DialInput;
    type Output = DialOutput;

    fn handle(&mut self, input: DialInput, now: Instant) {
        if !self.done {
            match input {
                DialInput::Connected(attempt) => self.won(attempt),
                DialInput::Refused(attempt) => self.failed(attempt, Some(Evidence::Refused), now),
                DialInput::Unreachable(attempt) => self.failed(attempt, Some(Evidence::Unreachable), now),
                DialInput::TimedOut(attempt) => self.failed(attempt, Some(Evidence::ConnectTimeout), now),
                DialInput::LocalFailure(attempt) => self.failed(attempt, None, now),
                DialInput::Snapshot(snapshot) => self.renew(snapshot, now),
                DialInput::Timeout => self.timeout(now),
            }
        }
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
    }

    fn poll_output(&mut self) -> Option<DialOutput> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let racing = self
            .racing
            .iter()
            .map(|racer| if racer.silent { racer.expires_at } else { racer.silent_at.min(racer.expires_at) });
        let next = racing.chain(self.pause_until).chain([self.give_up_at]).min();
        next.filter(|_| !self.done)
    }
}

#[cfg(test)]
mod tests;
