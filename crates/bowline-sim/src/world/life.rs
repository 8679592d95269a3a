//! Processes and hosts: how they start, stop, stand still and die.

use super::{Outcome, World};
use crate::bounds::GUARD_MAX;
use crate::bug::{Bug, Subject};
use crate::check::Seen;
use crate::event::Event;
use crate::state::{Host, Process};
use bowline_vrrp::{Fault, Input, State as RouterState, adverts};
use core::time::Duration;

impl World {
    pub(super) fn start_all(&mut self) -> Outcome {
        for node in 0..self.state.options.routers {
            self.start(node)?;
        }
        Ok(())
    }

    /// A new process on `node`: nothing is left of the one before but what is in the kernel.
    pub(super) fn start(&mut self, node: usize) -> Outcome {
        let now = self.state.now;
        let it = &mut self.state.nodes[node];
        it.life += 1;
        (it.process, it.host, it.since, it.leaving, it.guarded) =
            (Process::Running, Host::Up, now, false, false);
        it.busy_until = now;
        self.state.trace.line(now, format_args!("node {node} starts"));
        if self.state.options.is_foreign(node) {
            return self.start_foreign(node);
        }
        let local = self.state.local(node);
        let (bug, can_serve) = (self.state.bug, self.state.nodes[node].can_serve);
        for vip in 0..self.state.options.virtual_ips {
            let it = &mut self.state.nodes[node];
            let (link_down, wedged) = (it.link_down, it.wedged);
            let router = &mut it.routers[vip];
            router.subject = Some(Subject::new(router.config.clone(), local, bug));
            (router.wake, router.wanted, router.active_since) = (None, None, None);
            (router.stalled, router.died_active) = (false, false);
            self.step(node, vip, Input::CanServe(can_serve))?;
            for (fault, stands) in [(Fault::LinkDown, link_down), (Fault::NotServing, wedged)] {
                if stands {
                    self.step(node, vip, Input::Fault(fault))?;
                }
            }
            self.step(node, vip, Input::Start)?;
        }
        self.see(Seen::Changed)
    }

    /// The process is no more. Its connections end with it, its addresses do not.
    pub(super) fn end_process(&mut self, node: usize) {
        let it = &mut self.state.nodes[node];
        (it.process, it.since, it.leaving) = (Process::Dead, self.state.now, false);
        it.life += 1;
        it.pending.retain(|event| matches!(event, Event::LeaseOver { .. }));
        for router in &mut it.routers {
            router.died_active =
                matches!(router.state(), Some(RouterState::Active | RouterState::HandingOver));
            (router.subject, router.foreign) = (None, None);
            (router.wake, router.wanted) = (None, None);
            (router.connected, router.active_since, router.stalled) = (false, None, false);
        }
    }

    pub(super) fn crash(&mut self, node: usize, guarded: bool) -> Outcome {
        let guarded = guarded && !self.state.options.is_foreign(node);
        self.end_process(node);
        if guarded {
            self.state.nodes[node].guarded = true;
            let at = self.state.now + self.state.draw(GUARD_MAX);
            let life = self.state.nodes[node].life;
            if !self.has(Bug::GuardMissing) {
                self.state.queue.push(at, Event::Guard { node, life });
            }
        }
        self.see(Seen::Changed)
    }

    pub(super) fn power_off(&mut self, node: usize) -> Outcome {
        self.end_process(node);
        let it = &mut self.state.nodes[node];
        it.host = Host::Off;
        it.pending.clear();
        for vip in 0..self.state.options.virtual_ips {
            self.remove(node, vip)?;
        }
        self.see(Seen::Changed)
    }

    /// What outlives the process says that the holder is gone, and removes what it held.
    pub(super) fn guard(&mut self, node: usize, life: u32) -> Outcome {
        if self.state.nodes[node].life != life || self.state.nodes[node].host != Host::Up {
            return Ok(());
        }
        self.state.trace.line(self.state.now, format_args!("node {node}: the guard acts"));
        for vip in 0..self.state.options.virtual_ips {
            if self.state.router(node, vip).died_active {
                let farewell = adverts(&self.state.router(node, vip).config, 0);
                for transmission in farewell {
                    let to = self.station(transmission.destination);
                    self.send(node, vip, to, &transmission.bytes)?;
                }
            }
            self.remove(node, vip)?;
        }
        self.state.nodes[node].guarded = false;
        Ok(())
    }

    /// The process alone, or the host with it, stands still.
    pub(super) fn halt(&mut self, node: usize, host: bool) -> Outcome {
        let it = &mut self.state.nodes[node];
        it.since = self.state.now;
        if host {
            it.host = Host::Frozen;
        } else {
            it.process = Process::Hung;
        }
        self.see(Seen::Changed)
    }

    /// It goes on: the kernel first, then packets that wait, then the shell's own look at the clock, then everything else.
    pub(super) fn resume(&mut self, node: usize, clock_stopped: bool) -> Outcome {
        let now = self.state.now;
        let halted = self.state.nodes[node].since;
        let gap = now.since(halted);
        let it = &mut self.state.nodes[node];
        if clock_stopped {
            let missed = it.clock.local(now).since(it.clock.local(halted));
            it.clock.miss(missed);
            it.deceived = now;
            it.busy_until += gap;
        }
        (it.process, it.host, it.since) = (Process::Running, Host::Up, now);
        let pending = std::mem::take(&mut it.pending);
        let late = gap > self.state.bounds.noticed && !clock_stopped;
        let stalled = gap > self.state.bounds.stall && !clock_stopped;
        for router in &mut self.state.nodes[node].routers {
            router.stalled = stalled && router.state() == Some(RouterState::Active);
            router.wake = None;
        }
        self.see(Seen::Changed)?;
        let (kernel, rest): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|event| matches!(event, Event::LeaseOver { .. }));
        let (packets, rest): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|event| matches!(event, Event::Packet { .. }));
        for event in kernel.into_iter().chain(packets) {
            self.dispatch(event)?;
        }
        if late && !self.state.options.stalls_unnoticed {
            for vip in 0..self.state.options.virtual_ips {
                self.step(node, vip, Input::Stalled)?;
            }
        }
        for event in rest {
            self.dispatch(event)?;
        }
        // What it was not told meanwhile.
        let can_serve = self.state.nodes[node].can_serve;
        for vip in 0..self.state.options.virtual_ips {
            self.step(node, vip, Input::CanServe(can_serve))?;
            self.time_out(node, vip)?;
        }
        Ok(())
    }

    pub(super) fn told(&mut self, node: usize, life: u32, fault: Fault, stands: bool) -> Outcome {
        let seat = crate::event::Seat { node, vip: 0, life };
        if self.can_happen(seat, Event::Told { node, life, fault, stands }).is_none() {
            return Ok(());
        }
        for vip in 0..self.state.options.virtual_ips {
            let input = if stands { Input::Fault(fault) } else { Input::Recovered(fault) };
            self.step(node, vip, input)?;
            // It is not told about anything but its interface.
            if fault == Fault::LinkDown {
                self.foreign(node, vip, |foreign, now| {
                    if stands {
                        return foreign.give_up();
                    }
                    foreign.recover(now);
                    Vec::new()
                })?;
            }
        }
        self.see(Seen::Changed)
    }

    pub(super) fn tell_all(&mut self, node: usize, fault: Fault, stands: bool, after: Duration) {
        let life = self.state.nodes[node].life;
        self.state.queue.push(self.state.now + after, Event::Told { node, life, fault, stands });
    }

    pub(super) fn set_can_serve(&mut self, node: usize, can_serve: bool) -> Outcome {
        if self.state.nodes[node].can_serve != can_serve {
            self.state.nodes[node].can_serve_since = self.state.now;
        }
        self.state.nodes[node].can_serve = can_serve;
        if !self.state.nodes[node].runs() {
            return Ok(());
        }
        for vip in 0..self.state.options.virtual_ips {
            self.step(node, vip, Input::CanServe(can_serve))?;
        }
        Ok(())
    }
}
