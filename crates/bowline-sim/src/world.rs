//! One world: what happens next, and what follows from it.

use crate::bug::Bug;
use crate::check::{Checkers, Seen};
use crate::event::{Event, Seat};
use crate::foreign::Foreign;
use crate::options::{Options, VRID_FIRST};
use crate::state::{Host, Process, State};
use bowline_sansio::Instant;
use bowline_vrrp::{
    ConfigError, Conflict, Family, Input, Received, State as RouterState, peek_vrid, receive,
};
use core::fmt;
use core::time::Duration;

mod foreign;
mod keeper;
mod life;
mod reach;
mod shell;
mod trouble;

/// What a checker found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which checker.
    pub checker: &'static str,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.checker, self.message)
    }
}

/// A world goes on, or has shown that something is wrong.
pub(crate) type Outcome = Result<(), Violation>;

/// Simulated time of one run, at most; far above what the faults of any seed need.
const LONGEST: Duration = Duration::from_secs(7_200);

/// Packets that wait for a node that stands still, at most.
const PENDING_MAX: usize = 256;

/// Two contests that are less apart may be one (`LET_GO_AFTER` of the machine's conflicts).
const LET_GO_AFTER: Duration = Duration::from_secs(12);

/// Clients with this option keep what they learned for so long (`locktime` of a Linux neighbour table).
const LOCKTIME: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) state: State,
    checkers: Checkers,
    /// Faults still to come.
    faults_left: usize,
    /// Troubles that stand.
    troubles: Vec<crate::fault::Trouble>,
}

impl World {
    pub(crate) fn new(options: Options, bug: Option<Bug>, traced: bool) -> Result<Self, ConfigError> {
        let faults_left = options.faults;
        let state = State::new(options, bug, traced)?;
        Ok(Self { checkers: Checkers::new(&state), state, faults_left, troubles: Vec::new() })
    }

    /// Both phases: faults under the eyes of the checkers, then health, in which everything has to come right.
    pub(crate) fn run(&mut self) -> Outcome {
        self.start_all()?;
        self.plan_fault();
        let end = Instant::ORIGIN + LONGEST;
        while self.faults_left > 0 {
            if !self.step_until(end)? {
                break;
            }
        }
        self.heal()?;
        self.run_for(self.state.bounds.settled() + self.state.bounds.service)?;
        if !self.checkers.clients_are_right(&self.state) {
            self.run_for(self.state.bounds.clients_later)?;
        }
        self.see(Seen::Ended)?;
        self.state.stats.time = self.state.now.since(Instant::ORIGIN);
        Ok(())
    }

    fn run_for(&mut self, time: Duration) -> Outcome {
        let end = self.state.now + time;
        while self.step_until(end)? {}
        self.state.now = end;
        Ok(())
    }

    /// The next thing that happens until `end`.
    fn step_until(&mut self, end: Instant) -> Result<bool, Violation> {
        let Some((at, event)) = self.state.queue.pop_until(end) else { return Ok(false) };
        self.state.now = at;
        self.state.stats.events += 1;
        self.state.trace.note(at.as_nanos());
        self.dispatch(event)?;
        Ok(true)
    }

    fn dispatch(&mut self, event: Event) -> Outcome {
        match event {
            Event::Wake(seat) => self.wake(seat),
            Event::Packet { from, to, bytes } => self.packet(from, to, bytes),
            Event::Learned { client, vip, from } => {
                self.learned(client, vip, from);
                Ok(())
            }
            Event::Overheard { node, vip, from } => self.overheard(node, vip, from),
            Event::Done(seat, operation) => self.done(seat, operation),
            Event::RenewalDue(seat, tenure) => {
                self.renewal_due(seat, tenure);
                Ok(())
            }
            Event::LeaseOver { node, vip } => self.lease_over(node, vip),
            Event::Noticed(seat, tenure, loss) => self.noticed(seat, tenure, loss),
            Event::Told { node, life, fault, stands } => self.told(node, life, fault, stands),
            Event::FindsOut { node, changes, reaches } => self.finds_out(node, changes, reaches),
            Event::Evidence { seat, inquiry, changes, left } => self.evidence(seat, inquiry, changes, left),
            Event::Guard { node, life } => self.guard(node, life),
            Event::NextFault => self.next_fault(),
            Event::End(trouble) => self.end_trouble(trouble),
        }
    }

    fn see(&mut self, seen: Seen) -> Outcome {
        if seen == Seen::Changed {
            self.note_contests();
        }
        self.checkers.see(seen, &self.state)?;
        if let Seen::Took { vip, .. } = seen {
            self.state.contested[vip] = self.state.now;
        }
        Ok(())
    }

    fn note_contests(&mut self) {
        for vip in 0..self.state.options.virtual_ips {
            let claims = |&node: &usize| {
                self.state.owns(node, vip)
                    || self.state.router(node, vip).state() == Some(RouterState::Active)
            };
            let contested = (0..self.state.options.routers).filter(claims).nth(1).is_some();
            if contested || self.state.was_contested[vip] {
                self.state.contested[vip] = self.state.now;
            }
            let apart = self.state.now.since(self.state.contested[vip]);
            if contested && !self.state.was_contested[vip] && apart > LET_GO_AFTER {
                self.state.contest_began[vip] = self.state.now;
            }
            self.state.was_contested[vip] = contested;
        }
    }

    /// Something is about to change that nobody in the group changes: what had to be right by now is held to it.
    fn disturb(&mut self) -> Outcome {
        self.see(Seen::Disturbed)?;
        self.state.calm_since = self.state.now;
        Ok(())
    }

    /// Whether what is meant for `seat` can happen now; kept for later when its process stands still.
    fn can_happen(&mut self, seat: Seat, event: Event) -> Option<Event> {
        let node = &mut self.state.nodes[seat.node];
        if node.life != seat.life || node.process == Process::Dead || node.host == Host::Off {
            return None;
        }
        if node.runs() {
            return Some(event);
        }
        node.pending.push(event);
        None
    }

    /// A router's timeout, if it is due. Its thread is a little late each time.
    fn wake(&mut self, seat: Seat) -> Outcome {
        let now = self.state.now;
        let node = &mut self.state.nodes[seat.node];
        let router = &mut node.routers[seat.vip];
        if node.life != seat.life || router.wake != Some(now) {
            return Ok(());
        }
        router.wake = None;
        if node.process == Process::Running && node.host == Host::Up {
            self.time_out(seat.node, seat.vip)?;
        }
        Ok(())
    }

    /// Hands the timeout in if it is due, and plans the next look.
    fn time_out(&mut self, node: usize, vip: usize) -> Outcome {
        let local = self.state.local(node);
        let router = self.state.router(node, vip);
        let foreign = router.foreign.is_some();
        match router.due() {
            Some(due) if due <= local && foreign => self.foreign(node, vip, Foreign::timed_out),
            Some(due) if due <= local => self.step(node, vip, Input::Timeout),
            Some(_) | None => {
                self.plan_wake(node, vip);
                Ok(())
            }
        }
    }

    fn plan_wake(&mut self, node: usize, vip: usize) {
        let router = self.state.router(node, vip);
        let Some(due) = router.due() else { return };
        let at = self.state.nodes[node].clock.world(due).max(self.state.now);
        // An earlier look finds out that the deadline has moved.
        if router.wake.is_some_and(|planned| planned <= at) {
            return;
        }
        let at = at + self.state.draw(self.state.options.lateness);
        if router_wake_is_sooner(self.state.router(node, vip).wake, at) {
            return;
        }
        self.state.router_mut(node, vip).wake = Some(at);
        let seat = self.state.seat(node, vip);
        self.state.queue.push(at, Event::Wake(seat));
    }

    fn packet(&mut self, from: usize, to: usize, bytes: std::sync::Arc<[u8]>) -> Outcome {
        let node = &mut self.state.nodes[to];
        if node.host == Host::Off || node.process == Process::Dead {
            return Ok(());
        }
        if !node.runs() {
            if node.pending.len() < PENDING_MAX {
                node.pending.push(Event::Packet { from, to, bytes });
            }
            return Ok(());
        }
        let Some(vip) = peek_vrid(&bytes).and_then(|vrid| vrid.get().checked_sub(VRID_FIRST)) else {
            self.state.stats.discards += 1;
            return Ok(());
        };
        let vip = usize::from(vip);
        if vip >= self.state.options.virtual_ips {
            return Ok(());
        }
        let options = &self.state.options;
        let destination = if options.unicast { options.source(to) } else { Family::group(options.family) };
        let received =
            Received { source: options.source(from), destination, hop_limit: Some(255), bytes: &bytes };
        let router = self.state.router(to, vip);
        let heard = match (&router.subject, &router.foreign) {
            (Some(subject), _) => subject.receive(received),
            (None, Some(foreign)) => receive(foreign.config(), received),
            (None, None) => return Ok(()),
        };
        match heard {
            Ok(advert) if router.foreign.is_some() => {
                self.foreign(to, vip, |foreign, now| foreign.received(&advert, now))
            }
            Ok(advert) => self.step(to, vip, Input::Received(advert)),
            Err(_) => {
                self.state.stats.discards += 1;
                Ok(())
            }
        }
    }

    fn learned(&mut self, client: usize, vip: usize, from: usize) {
        let (now, locktime) = (self.state.now, self.state.options.locktime);
        let belief = &mut self.state.beliefs[client][vip];
        if locktime && belief.holder.is_some() && now.since(belief.changed) < LOCKTIME {
            return;
        }
        if belief.holder != Some(from) {
            belief.holder = Some(from);
            belief.changed = now;
            self.state.trace.line(now, format_args!("client {client} learns: vip {vip} is at node {from}"));
        }
    }

    fn overheard(&mut self, node: usize, vip: usize, from: usize) -> Outcome {
        let it = &self.state.nodes[node];
        if !it.runs() || it.routers[vip].state() != Some(RouterState::Active) {
            return Ok(());
        }
        let Some(&address) = it.routers[vip].config.settings().addresses.as_slice().first() else {
            return Ok(());
        };
        let last = u8::try_from(from).unwrap_or(u8::MAX);
        let conflict = Conflict { address, hardware: [2, 0, 0, 0, 0, last], planned_peer: true };
        self.step(node, vip, Input::Conflict(conflict))
    }
}

fn router_wake_is_sooner(planned: Option<Instant>, at: Instant) -> bool {
    planned.is_some_and(|planned| planned <= at)
}
