//! What must hold, one file each. A checker sees what happens and the world as it is then; it changes nothing.
//!
//! Faults are pushed apart from what follows from them by [`Seen::Disturbed`]: it comes before anything is done to the group,
//! and whatever had time to come right by then must have.

use crate::state::State;
use crate::world::{Outcome, Violation};
use bowline_vrrp::State::Backup;
use bowline_vrrp::{Event, Fault};
use core::fmt::Display;
use core::time::Duration;

mod absence;
mod announcements;
mod clients;
mod economy;
mod errors;
mod hand_over;
mod leases;
mod moves;
mod owners;
mod preemption;
mod service;
mod silence;
mod trouble;

/// What happens in a world.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// Something is about to change that the group does not change itself.
    Disturbed,
    /// Who has an address, who runs or who hears whom is not as before.
    Changed,
    /// A router has become Active.
    Took { node: usize, vip: usize },
    /// A router gives its addresses up.
    Releasing { node: usize, vip: usize },
    /// A router knows for the first time in a tenure that it has its addresses; whether it said so at once.
    Held { node: usize, vip: usize, announced: bool },
    /// Addresses are in a kernel that had them not.
    Came { node: usize, vip: usize },
    /// Addresses are in a kernel no more.
    Went { node: usize, vip: usize },
    /// A lease is over; the address is about to go.
    Expired { node: usize, vip: usize },
    /// An advert was sent.
    Sent { node: usize, vip: usize, priority: u8 },
    /// An announcement was sent.
    Announced { node: usize, vip: usize },
    /// A planned stop is about to begin.
    Leaving { node: usize },
    /// The end, after health has lasted for longer than anything may take.
    Ended,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Checkers {
    absence: absence::Absence,
    announcements: announcements::Announcements,
    clients: clients::Clients,
    economy: economy::Economy,
    hand_over: hand_over::HandOver,
    leases: leases::Leases,
    moves: moves::Moves,
    owners: owners::Owners,
    preemption: preemption::Preemption,
    service: service::Service,
    silence: silence::Silence,
    trouble: trouble::Trouble,
}

impl Checkers {
    pub(crate) fn new(state: &State) -> Self {
        Self {
            absence: absence::Absence::new(state),
            announcements: announcements::Announcements::new(state),
            clients: clients::Clients,
            economy: economy::Economy::new(state),
            hand_over: hand_over::HandOver::new(state),
            leases: leases::Leases,
            moves: moves::Moves,
            owners: owners::Owners::new(state),
            preemption: preemption::Preemption,
            service: service::Service,
            silence: silence::Silence::new(state),
            trouble: trouble::Trouble,
        }
    }

    pub(crate) fn see(&mut self, seen: Seen, state: &State) -> Outcome {
        self.economy.see(seen, state)?;
        self.silence.see(seen, state)?;
        self.announcements.see(seen, state)?;
        // The two above are all that adverts and announcements matter to.
        if matches!(seen, Seen::Sent { .. } | Seen::Announced { .. }) {
            return Ok(());
        }
        self.moves.see(seen, state)?;
        self.trouble.see(seen, state)?;
        self.owners.see(seen, state)?;
        self.absence.see(seen, state)?;
        self.hand_over.see(seen, state)?;
        self.leases.see(seen, state)?;
        self.service.see(seen, state)?;
        self.preemption.see(seen, state)?;
        self.clients.see(seen, state)
    }

    /// Something is told about a router.
    pub(crate) fn told(&self, node: usize, vip: usize, event: Event, state: &State) -> Outcome {
        errors::judge(state, node, vip, event)
    }

    /// Whether every client knows where to go; for a world that is at its end otherwise.
    pub(crate) fn clients_are_right(&self, state: &State) -> bool {
        self.clients.are_right(state)
    }
}

/// A checker's verdict.
fn violation(checker: &'static str, message: impl Display) -> Outcome {
    Err(Violation { checker, message: message.to_string() })
}

/// A value for each virtual IP on each node.
#[derive(Debug)]
struct Grid<T> {
    routers: usize,
    cells: Vec<T>,
}

impl<T: Clone> Grid<T> {
    fn new(state: &State, value: T) -> Self {
        let routers = state.options.routers;
        Self { routers, cells: vec![value; routers * state.options.virtual_ips] }
    }

    fn at(&mut self, node: usize, vip: usize) -> &mut T {
        &mut self.cells[vip * self.routers + node]
    }
}

/// Whether nothing has been done to the group for so long that everything is as it will be: one holder for `vip`, in health.
fn settled_holder(state: &State, vip: usize) -> Option<usize> {
    let mut owners = state.owners(vip);
    let (first, second) = (owners.next()?, owners.next());
    let settled = state.calm() > state.bounds.settled() && state.network.lossless_since().is_some();
    let healthy = state.healthy_since(first, vip).is_some();
    (second.is_none() && settled && healthy && all_know(state, vip)).then_some(first)
}

/// Whether every Backup has listened for long enough to know whose place it is to come after; one that tried in vain to have
/// the addresses comes back later, and knows less.
fn all_know(state: &State, vip: usize) -> bool {
    (0..state.options.routers).all(|node| {
        let Some(subject) = &state.router(node, vip).subject else { return true };
        let status = subject.machine().status();
        let for_long = state.local(node).since(status.since) > state.bounds.detection;
        for_long && status.fault != Some(Fault::NotHeld)
    })
}

/// For how long `node` has been Backup of `vip`.
fn backup_for(state: &State, node: usize, vip: usize) -> Duration {
    let status = state.router(node, vip).subject.as_ref().map(|subject| subject.machine().status());
    let backup = status.filter(|status| status.state == Backup);
    backup.map_or(Duration::ZERO, |status| state.local(node).since(status.since))
}
