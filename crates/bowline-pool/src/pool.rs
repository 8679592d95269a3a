//! The endpoints of a pool: control flow; what evidence means is in [`health`], when to probe in [`member`].

use crate::evidence::{Evidence, ProbeResult, Verdict};
use crate::message::{Event, Input, InquiryId, Output};
use crate::snapshot::Snapshot;
use crate::spec::{EndpointId, PoolSpec, Timers};
use bowline_sansio::{Instant, Machine, Outbox, Prng};
use core::net::SocketAddr;
use core::time::Duration;
use health::Thresholds;
use inquiry::Inquiry;
use member::{Before, Member};
use std::collections::BTreeMap;
use std::sync::Arc;

mod budget;
mod health;
mod inquiry;
mod member;

/// Endpoints of one pool, at most; far above the control planes there are, and every walk over a pool stays cheap.
pub const ENDPOINTS_MAX: usize = 1_024;

/// Probes of one pool in flight at once, at most: each may hold a file descriptor and a handshake.
pub const PROBES_IN_FLIGHT_MAX: usize = 64;

/// Questions of one pool that are open at once, at most: one for each virtual IP of a node, of which there are few.
pub const INQUIRIES_MAX: usize = 64;

/// One input leads to at most two outputs for each endpoint that goes, one for each that comes or changes, the probes, and a
/// few for the whole pool.
const OUTBOX_MAX: usize = 4 * ENDPOINTS_MAX;

/// A timeout that is handled so late shows that this host or thread stood still, and answers may be waiting behind it: verdicts
/// by silence are put off for another probe time-out.
const OWN_LAG_MAX: Duration = Duration::from_millis(50);

/// The endpoints of a pool with their health.
#[derive(Debug)]
pub struct Pool {
    spec: PoolSpec,
    /// In order of preference.
    members: Vec<Member>,
    next_id: u64,
    prng: Prng,
    now: Instant,
    /// No verdict by silence before this.
    grace: Instant,
    fail_open: bool,
    /// Not answered yet.
    inquiries: Vec<Inquiry>,
    /// Dials or status would see a difference.
    dirty: bool,
    snapshot: Arc<Snapshot>,
    outbox: Outbox<Output>,
}

impl Pool {
    /// A pool of endpoints of which nothing is known yet; drain its outputs at once, they publish it and probe every endpoint.
    pub fn new(spec: PoolSpec, seed: u64, now: Instant) -> Self {
        let nothing = PoolSpec { endpoints: Vec::new(), ..spec };
        let snapshot =
            Snapshot { version: 0, policy: spec.policy, timers: spec.timers, endpoints: Vec::new() };
        let mut pool = Self {
            spec: nothing,
            members: Vec::new(),
            next_id: 0,
            prng: Prng::new(seed),
            now,
            grace: now,
            fail_open: false,
            inquiries: Vec::new(),
            dirty: true,
            snapshot: Arc::new(snapshot),
            outbox: Outbox::new(OUTBOX_MAX),
        };
        pool.handle(Input::Reconcile(spec), now);
        pool
    }

    /// What was published last.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    /// How long ago the endpoint was last heard of, by probe or report; `None` before the first time and for unknown ones.
    pub fn evidence_age(&self, endpoint: EndpointId, now: Instant) -> Option<Duration> {
        let member = self.members.iter().find(|member| member.id == endpoint)?;
        member.health.heard().map(|heard| now.since(heard))
    }

    /// Panics where the pool's state contradicts itself.
    pub fn check_invariants(&self) {
        let thresholds = self.thresholds();
        for member in &self.members {
            member.check_invariants(thresholds, self.now);
            assert!(member.id.0 < self.next_id, "{:?} was never given", member.id);
        }
        let ids: std::collections::BTreeSet<_> = self.members.iter().map(|member| member.id).collect();
        assert_eq!(ids.len(), self.members.len(), "an id twice");
        assert!(self.members.len() <= ENDPOINTS_MAX);
        assert!(self.in_flight() <= PROBES_IN_FLIGHT_MAX, "{} probes in flight", self.in_flight());
        assert_eq!(self.fail_open, !self.members.is_empty() && !self.some_usable());
        assert!(self.inquiries.len() <= INQUIRIES_MAX);
        assert!(self.inquiries.iter().all(|inquiry| inquiry.answer().is_none()), "an answer was not given");
        assert_eq!(self.outbox.dropped(), 0, "outputs were lost");
        assert!(!self.dirty, "a change was not published");
        assert_eq!(self.snapshot.endpoints.len(), self.members.len());
        for (member, seen) in self.members.iter().zip(&self.snapshot.endpoints) {
            assert_eq!((member.id, member.address), (seen.id, seen.address));
            assert_eq!((member.health.grade(), member.health.reason()), (seen.grade, &seen.reason));
        }
    }

    fn some_usable(&self) -> bool {
        self.members.iter().any(|member| member.health.grade().is_usable())
    }

    fn thresholds(&self) -> Thresholds {
        Thresholds::new(&self.spec.timers, self.some_usable())
    }

    fn in_flight(&self) -> usize {
        self.members.iter().filter(|member| member.is_in_flight()).count()
    }

    /// Makes the pool what `spec` says.
    fn reconcile(&mut self, spec: PoolSpec, now: Instant) {
        if spec == self.spec {
            return;
        }
        self.dirty = true;
        let retimed = spec.timers != self.spec.timers;
        self.spec = spec;
        let mut kept: BTreeMap<(Arc<str>, SocketAddr), Member> = BTreeMap::new();
        for member in self.members.drain(..) {
            kept.insert((Arc::clone(&member.name), member.address), member);
        }
        let mut seen = std::collections::BTreeSet::new();
        for (rank, wanted) in self.spec.endpoints.iter().enumerate() {
            let key: (Arc<str>, _) = (wanted.name.as_str().into(), wanted.address);
            if self.members.len() >= ENDPOINTS_MAX || !seen.insert(key.clone()) {
                continue;
            }
            let mut member = kept.remove(&key).unwrap_or_else(|| {
                let endpoint = EndpointId(self.next_id);
                self.next_id = self.next_id.saturating_add(1);
                let (name, address) = (Arc::clone(&key.0), key.1);
                self.outbox.push(Output::Event(Event::EndpointAdded { endpoint, name, address }));
                Member::new(endpoint, key, &self.spec.timers, self.prng.next_u64(), now)
            });
            member.keep_as_spare(rank >= self.spec.probed, &self.spec.timers, now);
            self.members.push(member);
        }
        for Member { id: endpoint, name, address, .. } in kept.into_values() {
            self.outbox.push(Output::Forget { endpoint });
            self.outbox.push(Output::Event(Event::EndpointRemoved { endpoint, name, address }));
        }
        let count = self.spec.endpoints.len().saturating_sub(self.members.len());
        if count > 0 {
            self.outbox.push(Output::Event(Event::EndpointsLeftOut { count }));
        }
        if retimed {
            let thresholds = self.thresholds();
            self.change_all(|member, timers| member.retime(timers, thresholds, now));
        }
    }

    /// Lets `change` work on every endpoint, and says what became of it.
    fn change_all(&mut self, mut change: impl FnMut(&mut Member, &Timers)) {
        for member in &mut self.members {
            let before = member.before();
            change(member, &self.spec.timers);
            self.dirty |= announce(&mut self.outbox, member, &before);
        }
    }

    fn probed(&mut self, endpoint: EndpointId, result: ProbeResult, now: Instant) {
        let thresholds = self.thresholds();
        let Some(at) = self.members.iter().position(|member| member.id == endpoint) else { return };
        let Some(member) = self.members.get_mut(at) else { return };
        let before = member.before();
        if let Some(sent) = member.sent() {
            let good = matches!(result.clone().judge(), Verdict::Good(..));
            note(&mut self.inquiries, (endpoint, sent), good, &self.spec.timers, now);
        }
        if let Some(why) = member.probed(result, &self.spec.timers, thresholds, now) {
            let (name, address) = (Arc::clone(&member.name), member.address);
            self.outbox.push(Output::Event(Event::ProbeFailedLocally { endpoint, name, address, why }));
        }
        self.dirty |= announce(&mut self.outbox, member, &before);
        let published = self.snapshot.endpoints.get(at).and_then(|seen| seen.connect_rtt);
        self.dirty |= member.has_moved(published, &self.spec.timers);
    }

    fn reported(&mut self, endpoint: EndpointId, evidence: Evidence, now: Instant) {
        let thresholds = self.thresholds();
        if let Some(member) = self.members.iter_mut().find(|member| member.id == endpoint) {
            let before = member.before();
            member.reported(evidence, &self.spec.timers, thresholds, now);
            self.dirty |= announce(&mut self.outbox, member, &before);
        }
    }

    /// Judges silence; `planned` is when this was to be done.
    fn judge_silence(&mut self, planned: Option<Instant>, now: Instant) {
        if planned.is_some_and(|planned| now.since(planned) > OWN_LAG_MAX) {
            self.grace = now + self.spec.timers.probe_timeout.max(OWN_LAG_MAX);
        }
        let (grace, thresholds) = (self.grace, self.thresholds());
        let mut lost = Vec::new();
        self.change_all(|member, timers| {
            let sent = member.sent();
            if member.lose(timers, thresholds, now) {
                lost.push((member.id, Arc::clone(&member.name), member.address, sent));
            } else if member.verdict_at(timers).is_some_and(|verdict| verdict.max(grace) <= now) {
                member.health.convict();
            }
        });
        for (endpoint, name, address, sent) in lost {
            let sent = sent.unwrap_or(now);
            note(&mut self.inquiries, (endpoint, sent), false, &self.spec.timers, now);
            self.outbox.push(Output::Event(Event::ProbeLost { endpoint, name, address }));
        }
    }

    fn inquire(&mut self, id: InquiryId, now: Instant) {
        let usable = self.members.iter().filter(|member| member.is_asked());
        let inquiry = Inquiry::new(id, usable.map(|member| member.id).collect(), now);
        if self.inquiries.len() < INQUIRIES_MAX {
            self.inquiries.push(inquiry);
        } else {
            self.outbox.push(Output::Inquired { inquiry: id, served: false });
        }
    }

    /// Answers what can be answered, and lets endpoints know what is still wanted of them.
    fn settle_inquiries(&mut self) {
        let (members, outbox) = (&mut self.members, &mut self.outbox);
        self.inquiries.retain_mut(|inquiry| {
            inquiry.keep(|endpoint| members.iter().any(|member| member.id == endpoint));
            let Some(served) = inquiry.answer() else { return true };
            outbox.push(Output::Inquired { inquiry: inquiry.id(), served });
            false
        });
        for member in members {
            let wants =
                self.inquiries.iter().filter_map(|inquiry| inquiry.wants(member.id, member.last_sent()));
            member.want(wants.min());
        }
    }

    /// While nobody takes new connections, one good probe is enough, also one that came before.
    fn settle(&mut self, now: Instant) {
        if !self.some_usable() {
            let thresholds = self.thresholds();
            self.change_all(|member, _| member.health.rise(thresholds));
        }
        let fail_open = !self.members.is_empty() && !self.some_usable();
        if fail_open != self.fail_open {
            self.fail_open = fail_open;
            self.outbox.push(Output::Event(if fail_open { Event::FailOpen } else { Event::FailOpenEnded }));
        }
        for member in &mut self.members {
            member.press(fail_open, &self.spec.timers, now);
        }
    }

    /// Sends the probes that are due, the longest due first, and the regular ones that would be due soon.
    fn send_probes(&mut self, now: Instant) {
        let free = PROBES_IN_FLIGHT_MAX.saturating_sub(self.in_flight());
        let mut due: Vec<(Instant, usize)> = (0..)
            .zip(&self.members)
            .filter_map(|(at, member)| member.send_at().map(|send_at| (send_at, at)))
            .filter(|&(send_at, _)| send_at <= now)
            .collect();
        if due.is_empty() {
            return;
        }
        due.sort_unstable();
        let timers = &self.spec.timers;
        let soon = (0..).zip(&self.members).filter_map(|(at, member)| {
            let send_at = member.send_at().filter(|_| member.joins(timers, now))?;
            (send_at > now).then_some((send_at, at))
        });
        due.extend(soon);
        for (_, at) in due.into_iter().take(free) {
            let Some(member) = self.members.get_mut(at) else { continue };
            let fresh = member.send(now);
            let (endpoint, name, address) = (member.id, Arc::clone(&member.name), member.address);
            self.outbox.push(Output::Probe { endpoint, name, address, fresh });
        }
    }

    fn publish(&mut self) {
        if core::mem::take(&mut self.dirty) {
            self.snapshot = Arc::new(Snapshot {
                version: self.snapshot.version.saturating_add(1),
                policy: self.spec.policy,
                timers: self.spec.timers,
                endpoints: self.members.iter().map(Member::publish).collect(),
            });
            self.outbox.push(Output::Publish(Arc::clone(&self.snapshot)));
        }
    }
}

/// Lets those who asked know how the probe that was sent then ended.
fn note(
    inquiries: &mut [Inquiry],
    (endpoint, sent): (EndpointId, Instant),
    good: bool,
    timers: &Timers,
    now: Instant,
) {
    let pause = timers.probe_interval_fast.min(timers.probe_interval);
    for inquiry in inquiries {
        inquiry.heard(endpoint, sent, good, pause, now);
    }
}

/// Says what changed about `member`; whether dials or status see it.
fn announce(outbox: &mut Outbox<Output>, member: &Member, before: &Before) -> bool {
    let (event, visible) = member.changes(before);
    if let Some(event) = event {
        outbox.push(Output::Event(event));
    }
    visible
}

impl Machine for Pool {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, input: Input, now: Instant) {
        self.now = self.now.max(now);
        let now = self.now;
        match input {
            Input::Reconcile(spec) => self.reconcile(spec, now),
            Input::Probed { endpoint, result } => self.probed(endpoint, result, now),
            Input::Reported { endpoint, evidence } => self.reported(endpoint, evidence, now),
            Input::Inquire(inquiry) => self.inquire(inquiry, now),
            Input::Timeout => self.judge_silence(self.poll_timeout(), now),
        }
        self.settle(now);
        self.settle_inquiries();
        self.send_probes(now);
        self.publish();
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let may_send = self.in_flight() < PROBES_IN_FLIGHT_MAX;
        let send_at = self.members.iter().filter_map(|member| member.send_at().filter(|_| may_send));
        let timers = &self.spec.timers;
        let wait_until = self.members.iter().filter_map(|member| member.wait_until(timers, self.grace));
        send_at.chain(wait_until).min()
    }
}

#[cfg(test)]
mod tests;
