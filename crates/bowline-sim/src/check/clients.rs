//! Clients learn who has an address from announcements alone; they know soon after it moved, and later after they were deaf.

use super::{Seen, violation};
use crate::state::State;
use crate::world::Outcome;
use bowline_sansio::Instant;

#[derive(Debug)]
pub(super) struct Clients;

impl Clients {
    pub(super) fn see(&mut self, seen: Seen, state: &State) -> Outcome {
        match seen {
            Seen::Disturbed | Seen::Ended => {}
            Seen::Changed
            | Seen::Took { .. }
            | Seen::Releasing { .. }
            | Seen::Held { .. }
            | Seen::Came { .. }
            | Seen::Went { .. }
            | Seen::Expired { .. }
            | Seen::Sent { .. }
            | Seen::Announced { .. }
            | Seen::Leaving { .. } => return Ok(()),
        }
        if state.network.lossless_since().is_none() {
            return Ok(());
        }
        for client in 0..state.options.clients {
            for vip in 0..state.options.virtual_ips {
                Self::judge(state, client, vip)?;
            }
        }
        Ok(())
    }

    pub(super) fn are_right(&self, state: &State) -> bool {
        (0..state.options.clients).all(|client| {
            (0..state.options.virtual_ips).all(|vip| {
                let believed = state.beliefs[client][vip].holder;
                sole_holder(state, client, vip).is_none_or(|holder| believed == Some(holder))
            })
        })
    }

    fn judge(state: &State, client: usize, vip: usize) -> Outcome {
        let Some(holder) = sole_holder(state, client, vip) else { return Ok(()) };
        // keepalived tells a client that was deaf nothing more.
        let Some(healthy) = state.healthy_since(holder, vip).filter(|_| !state.options.is_foreign(holder))
        else {
            return Ok(());
        };
        let station = state.options.routers + client;
        let believed = state.beliefs[client][vip].holder;
        let heard = state.network.since(holder, station);
        // What it was told before it could hear is told again by the schedule alone; so is what it was told wrongly by one
        // that did not know better.
        let came = state.router(holder, vip).address.map_or(healthy, |address| address.since);
        // Or another one gave way, which it is told.
        let loser = loser(state, holder, vip);
        let came = loser.filter(|loser| loser.reached).map_or(came, |loser| came.max(loser.at));
        // The holder did not hear that it was alone from then on. (keepalived believes any farewell, takes over for a moment, and
        // is silent when it gives way.)
        let unheard = loser.is_some_and(|loser| !loser.reached && loser.at > came)
            || state.options.foreign > 0 && state.contested[vip] > came;
        let at_the_change = heard < came && state.calm_since <= came && !unheard;
        let bounds = &state.bounds;
        let bound = if at_the_change { bounds.clients } else { bounds.clients_later };
        let lasts = state.calm().min(state.now.since(healthy.max(heard).max(state.contested[vip])));
        if believed != Some(holder) && lasts > bound {
            let message = format!(
                "client {client} believes that vip {vip} is at {believed:?}, {lasts:?} after node {holder} took it"
            );
            return violation("clients", message);
        }
        Ok(())
    }
}

/// The only node that answers this client for `vip`.
fn sole_holder(state: &State, client: usize, vip: usize) -> Option<usize> {
    let station = state.options.routers + client;
    let mut owners = state.owners(vip).filter(|&owner| state.network.is_up(owner, station));
    let (first, second) = (owners.next()?, owners.next());
    second.is_none().then_some(first)
}

/// One that was Active beside the holder, and gave way.
#[derive(Clone, Copy, Debug)]
struct Loser {
    at: Instant,
    /// Whether its advert about that reached the holder. One that stood still says nothing.
    reached: bool,
}

/// The last one.
fn loser(state: &State, holder: usize, vip: usize) -> Option<Loser> {
    let (loser, at) = state.yielded[vip].filter(|&(loser, _)| loser != holder)?;
    let reached = state.network.is_up(loser, holder) && state.network.since(loser, holder) < at;
    Some(Loser { at, reached })
}
