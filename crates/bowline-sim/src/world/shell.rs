//! Driving a machine: one input, all outputs, one timeout.

use super::{Outcome, Violation, World};
use crate::bug::Bug;
use crate::check::Seen;
use crate::event::{Event, Operation};
use crate::state::Process;
use bowline_vrrp::{Event as Told, Input, Output, Reason, State as RouterState};
use std::sync::Arc;

/// One input leads to fewer outputs than this, or the machine has run wild: a round of adverts for each of the few nodes here.
const OUTPUTS_MAX: usize = 32;

impl World {
    /// Hands `input` to a router and does what it wants.
    pub(super) fn step(&mut self, node: usize, vip: usize, input: Input) -> Outcome {
        let local = self.state.local(node);
        let now = self.state.now;
        let Some(subject) = &mut self.state.nodes[node].routers[vip].subject else { return Ok(()) };
        let (timed_out, held) = match input {
            Input::Timeout => (true, false),
            Input::Held(_) => (false, true),
            Input::Start
            | Input::Received(_)
            | Input::CanServe(_)
            | Input::Confirmed(_)
            | Input::Fault(_)
            | Input::Recovered(_)
            | Input::NotHeld(_)
            | Input::Lost(_, _)
            | Input::Released(_)
            | Input::Stalled
            | Input::Conflict(_)
            | Input::Leave
            | Input::TakeOver
            | Input::Reconfigure(_) => (false, false),
        };
        let before = subject.machine().status().state;
        subject.handle(input, local);
        let mut outputs = Vec::new();
        while let Some(output) = subject.poll_output() {
            outputs.push(output);
        }
        if outputs.len() > OUTPUTS_MAX {
            return Err(contract(format!("node {node} vip {vip}: {} outputs at once", outputs.len())));
        }
        subject.machine().check_invariants();
        let due = subject.poll_timeout();
        if timed_out && due.is_some_and(|due| due <= local) {
            return Err(contract(format!("node {node} vip {vip}: the timeout at {local:?} stays armed")));
        }
        let status = subject.machine().status();
        let router = &mut self.state.nodes[node].routers[vip];
        let active = status.state == RouterState::Active && status.held;
        let begins = active && router.active_since.is_none();
        router.active_since = active.then(|| router.active_since.unwrap_or(now));
        let announced = outputs.iter().any(|output| matches!(output, Output::Announce(_)));
        for output in outputs {
            self.execute(node, vip, output)?;
        }
        if held && begins {
            self.see(Seen::Held { node, vip, announced })?;
        }
        self.plan_wake(node, vip);
        self.leave_if_done(node);
        if status.state == before { Ok(()) } else { self.see(Seen::Changed) }
    }

    fn execute(&mut self, node: usize, vip: usize, output: Output) -> Outcome {
        let seat = self.state.seat(node, vip);
        match output {
            Output::Send(transmission) => {
                let to = self.station(transmission.destination);
                self.send(node, vip, to, &transmission.bytes)
            }
            Output::Acquire(tenure) => {
                let new = self.state.router_mut(node, vip).wanted.replace(tenure) != Some(tenure);
                self.submit(seat, Operation::Acquire(tenure));
                if new { self.see(Seen::Took { node, vip }) } else { Ok(()) }
            }
            Output::Release(tenure, reason) => {
                let out = self.state.nodes[node].answers();
                if out && matches!(reason, Reason::HigherHeard | Reason::EqualHeard) {
                    self.state.yielded[vip] = Some((node, self.state.now));
                }
                let router = self.state.router_mut(node, vip);
                (router.wanted, router.stalled) = (None, false);
                self.submit(seat, Operation::Release(tenure));
                self.see(Seen::Releasing { node, vip })
            }
            Output::Announce(_) => self.announce(node, vip),
            Output::Inquire(inquiry) => {
                self.inquire(seat, inquiry);
                Ok(())
            }
            Output::Event(event) => self.tell(node, vip, event),
        }
    }

    /// The node with `address`; `None` for the group.
    pub(super) fn station(&self, address: core::net::IpAddr) -> Option<usize> {
        (0..self.state.options.routers).find(|&node| self.state.options.source(node) == address)
    }

    /// An advert on its way, to one node or to all.
    pub(super) fn send(&mut self, from: usize, vip: usize, to: Option<usize>, bytes: &Arc<[u8]>) -> Outcome {
        let priority = bytes.get(2).copied().unwrap_or(0);
        self.state.stats.adverts += 1;
        self.state.trace.note(u64::from(priority) << 8 | from as u64);
        let (all, now) = (self.state.options.routers, self.state.now);
        let stations = to.map_or(0..all, |to| to..to + 1);
        if self.state.nodes[from].answers() {
            for to in stations.filter(|&to| to != from) {
                let state = &mut self.state;
                for at in state.network.send(from, to, now, &mut state.prng).into_iter().flatten() {
                    state.queue.push(at, Event::Packet { from, to, bytes: Arc::clone(bytes) });
                }
            }
        }
        self.see(Seen::Sent { node: from, vip, priority })
    }

    /// An announcement on its way to every client, and to whoever else is Active.
    pub(super) fn announce(&mut self, node: usize, vip: usize) -> Outcome {
        self.state.stats.announcements += 1;
        let (routers, now) = (self.state.options.routers, self.state.now);
        if self.state.nodes[node].answers() {
            for to in 0..self.state.network.stations() {
                let client = to.checked_sub(routers);
                let idle = client.is_none() && self.state.router(to, vip).wanted.is_none();
                if to == node || idle {
                    continue;
                }
                let event = match client {
                    Some(client) => Event::Learned { client, vip, from: node },
                    None => Event::Overheard { node: to, vip, from: node },
                };
                let state = &mut self.state;
                for at in state.network.send(node, to, now, &mut state.prng).into_iter().flatten() {
                    state.queue.push(at, event.clone());
                }
            }
        }
        self.see(Seen::Announced { node, vip })
    }

    fn tell(&mut self, node: usize, vip: usize, event: Told) -> Outcome {
        let now = self.state.now;
        if let Told::Transition { from, to, reason } = event {
            self.state.trace.note((to as u64) << 16 | (vip as u64) << 8 | node as u64);
            let (from, to, reason) = (from.as_str(), to.as_str(), reason.as_str());
            self.state.trace.line(now, format_args!("node {node} vip {vip}: {from} -> {to} ({reason})"));
        } else {
            self.state.trace.line(now, format_args!("node {node} vip {vip}: {event:?}"));
        }
        self.checkers.told(node, vip, event, &self.state)
    }

    /// A process that was told to stop ends when every router of it has handed over.
    pub(super) fn leave_if_done(&mut self, node: usize) {
        let it = &self.state.nodes[node];
        let done = |router: &crate::state::Router| {
            let over = router.state() == Some(RouterState::Initialize);
            over && router.address.is_none() && !router.connected
        };
        if it.leaving && it.process == Process::Running && it.routers.iter().all(done) {
            self.end_process(node);
            self.state.trace.line(self.state.now, format_args!("node {node} has left"));
        }
    }

    pub(super) const fn has(&self, bug: Bug) -> bool {
        match self.state.bug {
            Some(planted) => planted as u8 == bug as u8,
            None => false,
        }
    }
}

fn contract(message: String) -> Violation {
    Violation { checker: "contract", message }
}
