//! One endpoint of a pool: its health and when it is probed.

use super::budget::{Budget, Urgency};
use super::health::{Health, Thresholds};
use crate::evidence::{Evidence, ProbeFailure, ProbeResult, Stage, Verdict};
use crate::message::Event;
use crate::reason::Reason;
use crate::snapshot::{ConnectionCount, Endpoint, Grade};
use crate::spec::{EndpointId, Timers};
use bowline_sansio::{Instant, Prng};
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

/// A probe that was not answered for so long is lost, so that a broken shell can't wedge an endpoint's health; or for twice the
/// probe's own time-outs, when those are longer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// The kernel repeats a SYN after 1 s (RFC 6298): a connect that took so long says nothing about the way.
const SYN_REPEATED: Duration = Duration::from_secs(1);

/// Regular probes are spread by this part of their interval to either side, so that nodes started together drift apart.
const JITTER_DIVISOR: u32 = 10;

/// A measured connect time is published alone only when it moves the stagger by so much.
const STAGGER_MOVED: Duration = Duration::from_millis(10);

/// When a spare that is well is probed without anybody asking: not while anybody remembers.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// No timers make a regular interval shorter.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, Debug)]
struct InFlight {
    sent: Instant,
    anew: bool,
}

/// One endpoint.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) id: EndpointId,
    pub(super) name: Arc<str>,
    pub(super) address: SocketAddr,
    connections: ConnectionCount,
    connect_rtt: Option<Duration>,
    pub(super) health: Health,
    budget: Budget,
    in_flight: Option<InFlight>,
    last_sent: Option<Instant>,
    /// When the next probe is wanted.
    due: Instant,
    /// A worker's report asked for it.
    asked: bool,
    /// An inquiry wants a probe that begins then or later.
    wanted: Option<Instant>,
    /// The last probe failed on our side.
    local_failure: bool,
    /// No endpoint takes new connections.
    pressed: bool,
    /// Not probed regularly while it is well.
    spare: bool,
    prng: Prng,
}

/// What is compared before and after an input.
pub(super) struct Before {
    grade: Grade,
    reason: Reason,
    suspected: bool,
}

impl Member {
    /// A new endpoint, to be probed at once.
    pub(super) fn new(
        id: EndpointId,
        (name, address): (Arc<str>, SocketAddr),
        timers: &Timers,
        seed: u64,
        now: Instant,
    ) -> Self {
        Self {
            id,
            name,
            address,
            connections: ConnectionCount::default(),
            connect_rtt: None,
            health: Health::new(),
            budget: Budget::new(timers.probe_interval, now),
            in_flight: None,
            last_sent: None,
            due: now,
            asked: false,
            wanted: None,
            local_failure: false,
            pressed: false,
            spare: false,
            prng: Prng::new(seed),
        }
    }

    /// Whether it is probed regularly from now on.
    pub(super) fn keep_as_spare(&mut self, spare: bool, timers: &Timers, now: Instant) {
        if self.spare && !spare {
            self.due = self.due.min(now + timers.probe_interval.max(INTERVAL_MIN));
        }
        self.spare = spare;
    }

    /// As dials see it.
    pub(super) fn publish(&self) -> Endpoint {
        Endpoint {
            id: self.id,
            name: Arc::clone(&self.name),
            address: self.address,
            grade: self.health.grade(),
            reason: self.health.reason().clone(),
            connect_rtt: self.connect_rtt,
            connections: self.connections.clone(),
        }
    }

    /// Whether a dial would wait noticeably longer or shorter for this endpoint than the published time makes it.
    pub(super) fn has_moved(&self, published: Option<Duration>, timers: &Timers) -> bool {
        timers.stagger(self.connect_rtt).abs_diff(timers.stagger(published)) >= STAGGER_MOVED
    }

    /// When the probe in flight was sent.
    pub(super) fn sent(&self) -> Option<Instant> {
        self.in_flight.map(|probe| probe.sent)
    }

    /// When the last probe was sent.
    pub(super) const fn last_sent(&self) -> Option<Instant> {
        self.last_sent
    }

    /// Whether it can bear witness for the pool: what is down cannot, and spares are left alone.
    pub(super) const fn is_asked(&self) -> bool {
        self.health.grade().is_usable() && !self.spare
    }

    /// From when on an inquiry wants a probe.
    pub(super) const fn want(&mut self, wanted: Option<Instant>) {
        self.wanted = wanted;
    }

    pub(super) const fn is_in_flight(&self) -> bool {
        self.in_flight.is_some()
    }

    /// The timers changed.
    pub(super) fn retime(&mut self, timers: &Timers, thresholds: Thresholds, now: Instant) {
        self.budget.set_interval(timers.probe_interval, now);
        self.health.keep_below(thresholds);
        self.due = self.due.min(now + timers.probe_interval.max(INTERVAL_MIN));
    }

    /// A worker's report; news is probed at once, a fast interval after the last probe.
    pub(super) fn reported(
        &mut self,
        evidence: Evidence,
        timers: &Timers,
        thresholds: Thresholds,
        now: Instant,
    ) {
        self.health.reported(evidence, self.is_in_flight(), now, thresholds);
        let news = match evidence {
            Evidence::Refused
            | Evidence::Unreachable
            | Evidence::ConnectTimeout
            | Evidence::UnansweredFlight
            | Evidence::ClosedUnanswered => self.health.grade() != Grade::Dead,
            Evidence::Answered => !self.health.grade().is_usable(),
        };
        if news && !self.is_in_flight() {
            self.asked = true;
            self.due = self.due.min(spaced(self.last_sent, timers, now));
        }
    }

    /// An answer, ignored when none was asked for; returns what failed on our side, the first time in a row.
    pub(super) fn probed(
        &mut self,
        result: ProbeResult,
        timers: &Timers,
        thresholds: Thresholds,
        now: Instant,
    ) -> Option<String> {
        let sent = self.in_flight.take()?.sent;
        let connect = result.connect();
        if let Some(rtt) = connect.filter(|&rtt| rtt < SYN_REPEATED) {
            self.connect_rtt = Some(rtt);
        }
        let verdict = result.judge();
        let failure = match &verdict {
            Verdict::Local(why) => Some(why.clone()),
            Verdict::Good(..) | Verdict::NotReady(_) | Verdict::Bad(_) => None,
        };
        let repeated = core::mem::replace(&mut self.local_failure, failure.is_some());
        self.health.probed(verdict, connect.is_some(), now, thresholds);
        self.asked = false;
        self.due = if self.is_restless() {
            spaced(Some(sent), timers, now)
        } else if self.spare && self.health.grade().is_usable() {
            now + NEVER
        } else {
            let interval = timers.probe_interval.max(INTERVAL_MIN);
            now.max(sent + self.prng.jitter(interval, interval / JITTER_DIVISOR))
        };
        failure.filter(|_| !repeated)
    }

    /// The answer did not come in time: whether the probe is lost.
    pub(super) fn lose(&mut self, timers: &Timers, thresholds: Thresholds, now: Instant) -> bool {
        let lost = self.in_flight.is_some_and(|probe| probe.sent + answer_max(timers) <= now);
        if lost {
            let failure = ProbeResult::Failed(ProbeFailure::TimedOut(Stage::Request));
            self.probed(failure, timers, thresholds, now);
        }
        lost
    }

    /// When the silence of the probe in flight confirms a suspicion.
    pub(super) fn verdict_at(&self, timers: &Timers) -> Option<Instant> {
        self.in_flight
            .and_then(|probe| self.health.verdict_at(probe.sent, probe.anew, timers, self.connect_rtt))
    }

    /// Whether nobody takes new connections: then even what drains is probed often, and when it ends, what is still down is
    /// probed at once, because what brought one back may have brought back all.
    pub(super) fn press(&mut self, pressed: bool, timers: &Timers, now: Instant) {
        if pressed != self.pressed && !self.health.grade().is_usable() && !self.is_in_flight() {
            self.asked |= !pressed;
            self.due = self.due.min(spaced(self.last_sent, timers, now));
        }
        self.pressed = pressed;
    }

    /// Probed more often than a settled endpoint.
    fn is_restless(&self) -> bool {
        self.health.is_changing() || self.is_patient() || *self.health.reason() == Reason::NotProbed
    }

    /// Probed more often, without using the reserve.
    fn is_patient(&self) -> bool {
        self.local_failure
            || match self.health.grade() {
                Grade::Ready | Grade::Alive => false,
                Grade::Draining => self.pressed,
                Grade::Dead => true,
            }
    }

    fn urgency(&self) -> Urgency {
        if self.is_patient() && !self.asked && self.wanted.is_none() && !self.health.is_changing() {
            Urgency::Patient
        } else {
            Urgency::Urgent
        }
    }

    /// When the next probe may be sent, if none is in flight.
    pub(super) fn send_at(&self) -> Option<Instant> {
        let due = self.wanted.map_or(self.due, |wanted| self.due.min(wanted));
        (!self.is_in_flight()).then(|| due.max(self.budget.ready_at(self.urgency())))
    }

    /// Whether a regular probe that is due soon goes along with one that is sent now: three probes in one go wake the host
    /// once. Soon is the whole width of the jitter, so that endpoints that are in step stay in step.
    pub(super) fn joins(&self, timers: &Timers, now: Instant) -> bool {
        let soon = timers.probe_interval / JITTER_DIVISOR * 2;
        !self.is_in_flight()
            && !self.is_restless()
            && !self.asked
            && self.due <= now + soon
            && self.budget.ready_at(self.urgency()) <= now
    }

    /// When this endpoint wants a timeout while a probe is in flight.
    pub(super) fn wait_until(&self, timers: &Timers, grace: Instant) -> Option<Instant> {
        let lost = self.in_flight?.sent + answer_max(timers);
        Some(self.verdict_at(timers).map_or(lost, |verdict| lost.min(verdict.max(grace))))
    }

    /// A probe is sent now; whether it must connect anew.
    pub(super) fn send(&mut self, now: Instant) -> bool {
        debug_assert!(!self.is_in_flight(), "two probes of {:?}", self.id);
        self.budget.take(now);
        self.health.probe_sent();
        let anew = self.health.suspicion().fresh;
        self.in_flight = Some(InFlight { sent: now, anew });
        self.last_sent = Some(now);
        self.wanted = self.wanted.filter(|&wanted| wanted > now);
        anew
    }

    pub(super) fn before(&self) -> Before {
        Before {
            grade: self.health.grade(),
            reason: self.health.reason().clone(),
            suspected: self.health.is_suspected(),
        }
    }

    /// What to say about the change since `before`, and whether dials and status see it.
    pub(super) fn changes(&self, before: &Before) -> (Option<Event>, bool) {
        let (endpoint, name, address) = (self.id, Arc::clone(&self.name), self.address);
        let (grade, reason) = (self.health.grade(), self.health.reason());
        let suspected = self.health.is_suspected();
        if grade != before.grade {
            let (reason, evidence) = (reason.clone(), self.health.last_run());
            let from = before.grade;
            (Some(Event::GradeChanged { endpoint, name, address, from, to: grade, reason, evidence }), true)
        } else if *reason != before.reason {
            let reason = reason.clone();
            (Some(Event::ReasonChanged { endpoint, name, address, grade, reason }), true)
        } else if suspected && !before.suspected {
            let reason = self.health.bad_reason().clone();
            (Some(Event::Suspected { endpoint, name, address, reason }), false)
        } else if before.suspected && !suspected {
            (Some(Event::Cleared { endpoint, name, address }), false)
        } else {
            (None, false)
        }
    }

    /// Panics where the endpoint's state contradicts itself.
    pub(super) fn check_invariants(&self, thresholds: Thresholds, now: Instant) {
        self.health.check_invariants(thresholds);
        assert!(self.last_sent.is_none_or(|sent| sent <= now), "{self:?}");
        assert!(self.in_flight.is_none_or(|probe| Some(probe.sent) == self.last_sent), "{self:?}");
    }
}

/// A fast interval after `last`, or now.
fn spaced(last: Option<Instant>, timers: &Timers, now: Instant) -> Instant {
    let fast = timers.probe_interval_fast.min(timers.probe_interval);
    last.map_or(now, |last| now.max(last + fast))
}

fn answer_max(timers: &Timers) -> Duration {
    ANSWER_MAX.max(timers.probe_timeout.saturating_add(timers.probe_timeout_handshake).saturating_mul(2))
}
