//! The address keeper and the kernel beneath it: addresses are leases that run on whatever becomes of the process.

use super::{Outcome, World};
use crate::bounds::{LEASE_LAG, NOTICE};
use crate::bug::Bug;
use crate::check::Seen;
use crate::event::{Event, Operation, Seat};
use crate::state::{Address, Host};
use bowline_sansio::Instant;
use bowline_vrrp::{Input, Loss, Tenure};
use core::time::Duration;

/// A kernel whose lock is held elsewhere takes this long, at most.
pub(super) const SLOW_MAX: Duration = Duration::from_millis(3_000);

/// The lease is renewed so often within it.
const RENEWALS: u32 = 3;

const PER_MILLE: u64 = 1_000;

impl World {
    /// One thing after the other, whatever virtual IP it is for.
    pub(super) fn submit(&mut self, seat: Seat, operation: Operation) {
        let most = if self.state.nodes[seat.node].slow { SLOW_MAX } else { self.state.options.kernel };
        let takes = self.state.draw(most);
        let node = &mut self.state.nodes[seat.node];
        node.busy_until = node.busy_until.max(self.state.now) + takes;
        let at = node.busy_until;
        let now = self.state.now;
        self.state
            .trace
            .line(now, format_args!("node {} vip {}: {operation:?} until {at:?}", seat.node, seat.vip));
        self.state.queue.push(at, Event::Done(seat, operation));
    }

    pub(super) fn done(&mut self, seat: Seat, operation: Operation) -> Outcome {
        if self.can_happen(seat, Event::Done(seat, operation)).is_none() {
            return Ok(());
        }
        let Seat { node, vip, .. } = seat;
        let wanted = self.state.router(node, vip).wanted;
        match operation {
            // What has been given up meanwhile is not taken any more.
            Operation::Acquire(tenure) if wanted != Some(tenure) => Ok(()),
            Operation::Acquire(tenure) => self.acquire(seat, tenure),
            Operation::Renew(tenure) => {
                let expires = self.lease_end(seat);
                let router = self.state.router_mut(node, vip);
                if wanted == Some(tenure)
                    && let Some(address) = &mut router.address
                {
                    address.expires = expires;
                }
                Ok(())
            }
            Operation::Release(tenure) => {
                self.reset(node, vip)?;
                // Taken again meanwhile: the addresses stay, the connections do not.
                if wanted.is_none() {
                    self.remove(node, vip)?;
                }
                self.step(node, vip, Input::Released(tenure))?;
                self.leave_if_done(node);
                Ok(())
            }
        }
    }

    fn lease_end(&self, seat: Seat) -> Instant {
        self.state.local(seat.node) + self.state.options.lease + LEASE_LAG
    }

    fn acquire(&mut self, seat: Seat, tenure: Tenure) -> Outcome {
        let Seat { node, vip, .. } = seat;
        if self.state.prng.below(PER_MILLE) < self.state.options.refusals {
            self.disturb()?;
            self.state.trace.line(self.state.now, format_args!("node {node} vip {vip}: the kernel refuses"));
            return self.step(node, vip, Input::NotHeld(tenure));
        }
        let (now, expires) = (self.state.now, self.lease_end(seat));
        let router = self.state.router_mut(node, vip);
        let since = router.address.map_or(now, |address| address.since);
        let is_new = router.address.is_none();
        router.address = Some(Address { since, expires });
        router.connected = true;
        if is_new {
            self.arrived(node, vip)?;
        }
        self.watch_lease(node, vip);
        self.plan_renewal(seat, tenure);
        self.step(node, vip, Input::Held(tenure))
    }

    pub(super) fn arrived(&mut self, node: usize, vip: usize) -> Outcome {
        self.state.stats.acquisitions += 1;
        let last = self.state.last_owner[vip].replace(node);
        self.state.stats.failovers += u64::from(last.is_some_and(|last| last != node));
        self.state.trace.line(self.state.now, format_args!("node {node} vip {vip}: addresses are here"));
        self.see(Seen::Came { node, vip })?;
        self.see(Seen::Changed)
    }

    fn plan_renewal(&mut self, seat: Seat, tenure: Tenure) {
        let at = self.state.local(seat.node) + self.state.options.lease / RENEWALS;
        let at = self.state.nodes[seat.node].clock.world(at);
        self.state.queue.push(at, Event::RenewalDue(seat, tenure));
    }

    pub(super) fn renewal_due(&mut self, seat: Seat, tenure: Tenure) {
        if self.can_happen(seat, Event::RenewalDue(seat, tenure)).is_none() {
            return;
        }
        let router = self.state.router(seat.node, seat.vip);
        // An address that is gone is not put back by renewing it: the machine decides.
        if router.wanted != Some(tenure) || router.address.is_none() || self.has(Bug::LeaseNotRenewed) {
            return;
        }
        self.submit(seat, Operation::Renew(tenure));
        self.plan_renewal(seat, tenure);
    }

    fn watch_lease(&mut self, node: usize, vip: usize) {
        let router = self.state.router(node, vip);
        let Some(address) = router.address.filter(|_| !router.lease_watched) else { return };
        let at = self.state.nodes[node].clock.world(address.expires).max(self.state.now);
        self.state.router_mut(node, vip).lease_watched = true;
        self.state.queue.push(at, Event::LeaseOver { node, vip });
    }

    pub(super) fn lease_over(&mut self, node: usize, vip: usize) -> Outcome {
        let local = self.state.local(node);
        let it = &mut self.state.nodes[node];
        match it.host {
            Host::Up => {}
            Host::Frozen => {
                it.pending.push(Event::LeaseOver { node, vip });
                return Ok(());
            }
            Host::Off => {
                it.routers[vip].lease_watched = false;
                return Ok(());
            }
        }
        let router = &mut it.routers[vip];
        router.lease_watched = false;
        let Some(address) = router.address else { return Ok(()) };
        if address.expires > local || self.has(Bug::LeaseNeverExpires) {
            if !self.has(Bug::LeaseNeverExpires) {
                self.watch_lease(node, vip);
            }
            return Ok(());
        }
        self.state.trace.line(self.state.now, format_args!("node {node} vip {vip}: the lease is over"));
        self.see(Seen::Expired { node, vip })?;
        self.lose(node, vip, Loss::Expired)
    }

    /// The addresses go without the process having asked for it; it hears of that.
    pub(super) fn lose(&mut self, node: usize, vip: usize, loss: Loss) -> Outcome {
        let tenure = self.state.router(node, vip).wanted;
        let seat = self.state.seat(node, vip);
        self.remove(node, vip)?;
        let noticed = tenure.or_else(|| {
            let subject = self.state.router(node, vip).subject.as_ref()?;
            subject.machine().status().tenure
        });
        if let Some(tenure) = noticed {
            self.state.queue.push(self.state.now + NOTICE, Event::Noticed(seat, tenure, loss));
        }
        Ok(())
    }

    pub(super) fn noticed(&mut self, seat: Seat, tenure: Tenure, loss: Loss) -> Outcome {
        if self.can_happen(seat, Event::Noticed(seat, tenure, loss)).is_none() {
            return Ok(());
        }
        if self.state.router(seat.node, seat.vip).address.is_none() {
            self.reset(seat.node, seat.vip)?;
        }
        self.step(seat.node, seat.vip, Input::Lost(tenure, loss))
    }

    /// Every connection through the addresses ends.
    fn reset(&mut self, node: usize, vip: usize) -> Outcome {
        if !self.has(Bug::ConnectionsKept) {
            self.state.router_mut(node, vip).connected = false;
        }
        self.see(Seen::Changed)
    }

    pub(super) fn remove(&mut self, node: usize, vip: usize) -> Outcome {
        if self.state.router_mut(node, vip).address.take().is_none() {
            return Ok(());
        }
        self.state.trace.line(self.state.now, format_args!("node {node} vip {vip}: addresses are gone"));
        self.see(Seen::Went { node, vip })?;
        self.see(Seen::Changed)
    }
}
