//! Driving routers of another make: what they want is done at once, by a kernel that keeps addresses until told otherwise.

use super::{Outcome, World};
use crate::check::Seen;
use crate::foreign::{Action, Foreign, State};
use crate::state::Address;
use bowline_sansio::Instant;
use bowline_vrrp::adverts;

/// No lease.
const FOR_EVER: Instant = Instant::from_nanos(u64::MAX);

impl World {
    /// A new process of another make. It removes what the one before has left.
    pub(super) fn start_foreign(&mut self, node: usize) -> Outcome {
        let local = self.state.local(node);
        for vip in 0..self.state.options.virtual_ips {
            self.remove(node, vip)?;
            let router = self.state.router_mut(node, vip);
            router.foreign = Some(Foreign::new(router.config.clone(), local));
            (router.wake, router.active_since) = (None, None);
            self.plan_wake(node, vip);
        }
        self.see(Seen::Changed)
    }

    /// Lets a router of another make do something, and does what it wants.
    pub(super) fn foreign(
        &mut self,
        node: usize,
        vip: usize,
        step: impl FnOnce(&mut Foreign, Instant) -> Vec<Action>,
    ) -> Outcome {
        let (now, local) = (self.state.now, self.state.local(node));
        let router = self.state.router_mut(node, vip);
        let Some(foreign) = &mut router.foreign else { return Ok(()) };
        let actions = step(foreign, local);
        let active = foreign.state() == State::Active;
        router.active_since = active.then(|| router.active_since.unwrap_or(now));
        for action in actions {
            match action {
                Action::Send(priority) => {
                    for transmission in adverts(&self.state.router(node, vip).config, priority) {
                        let to = self.station(transmission.destination);
                        self.send(node, vip, to, &transmission.bytes)?;
                    }
                }
                Action::Take => self.take_foreign(node, vip)?,
                Action::Drop => self.remove(node, vip)?,
                Action::Announce => self.announce(node, vip)?,
            }
        }
        self.plan_wake(node, vip);
        Ok(())
    }

    fn take_foreign(&mut self, node: usize, vip: usize) -> Outcome {
        let now = self.state.now;
        self.see(Seen::Took { node, vip })?;
        self.state.router_mut(node, vip).address = Some(Address { since: now, expires: FOR_EVER });
        self.arrived(node, vip)
    }
}
