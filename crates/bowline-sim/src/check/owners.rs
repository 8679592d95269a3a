//! Two nodes that hear each other do not both answer for an address for longer than it takes to find out.

use super::{Seen, violation};
use crate::state::State;
use crate::world::Outcome;
use bowline_sansio::Instant;
use bowline_vrrp::State::HandingOver;

/// Since when each pair of nodes has been in conflict about each virtual IP.
#[derive(Debug)]
pub(super) struct Owners {
    since: Vec<Option<Instant>>,
    /// Whether one of them handed over at the last look.
    silent: Vec<bool>,
    nodes: usize,
}

impl Owners {
    pub(super) fn new(state: &State) -> Self {
        let nodes = state.options.routers;
        let pairs = nodes * nodes * state.options.virtual_ips;
        Self { since: vec![None; pairs], silent: vec![false; pairs], nodes }
    }

    pub(super) fn see(&mut self, seen: Seen, state: &State) -> Outcome {
        match seen {
            Seen::Changed | Seen::Disturbed | Seen::Ended => {}
            Seen::Took { .. }
            | Seen::Releasing { .. }
            | Seen::Held { .. }
            | Seen::Came { .. }
            | Seen::Went { .. }
            | Seen::Expired { .. }
            | Seen::Sent { .. }
            | Seen::Announced { .. }
            | Seen::Leaving { .. } => return Ok(()),
        }
        for vip in 0..state.options.virtual_ips {
            for one in 0..self.nodes {
                for other in one + 1..self.nodes {
                    self.judge(state, vip, one, other)?;
                }
            }
        }
        Ok(())
    }

    fn judge(&mut self, state: &State, vip: usize, one: usize, other: usize) -> Outcome {
        let place = (vip * self.nodes + one) * self.nodes + other;
        // Who hands over is silent for as long as that may take, and both may.
        let silent = [one, other].iter().any(|&node| state.router(node, vip).state() == Some(HandingOver));
        let was_silent = std::mem::replace(&mut self.silent[place], silent);
        let since = &mut self.since[place];
        if (silent || was_silent) && since.is_some() {
            *since = Some(state.now);
        }
        let both = state.owns(one, vip) && state.owns(other, vip);
        // One of another make that does not run keeps what it has, and neither knows nor says so.
        let left =
            [one, other].iter().any(|&node| state.options.is_foreign(node) && !state.nodes[node].runs());
        let hear = !left && state.network.both_ways_since(one, other).is_some();
        if let Some(began) = *since {
            // What is done to the group meanwhile may make it last: an advert lost, a thread that stands still.
            let lasts = state.now.since(began.max(state.calm_since));
            let most = state.bounds.conflict;
            if lasts > most && state.restless == 0 {
                let message = format!(
                    "nodes {one} and {other} both have vip {vip} for {lasts:?}, {most:?} is the most"
                );
                return violation("owners", message);
            }
        }
        *since = (both && hear).then(|| since.unwrap_or(state.now));
        Ok(())
    }
}
