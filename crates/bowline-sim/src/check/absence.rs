//! A node that could have an address has it, or hears from somebody that does.

use super::{Grid, Seen, violation};
use crate::state::State;
use crate::world::Outcome;
use bowline_sansio::Instant;

/// Since when each node has been without.
#[derive(Debug)]
pub(super) struct Absence {
    since: Grid<Option<Instant>>,
}

impl Absence {
    pub(super) fn new(state: &State) -> Self {
        Self { since: Grid::new(state, None) }
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
            for node in 0..state.options.routers {
                self.judge(state, vip, node)?;
            }
        }
        Ok(())
    }

    fn judge(&mut self, state: &State, vip: usize, node: usize) -> Outcome {
        let bound = state.bounds.absence;
        let since = self.since.at(node, vip);
        if let Some(began) = *since {
            let lasts = state.now.since(began.max(state.calm_since));
            if lasts > bound && state.restless == 0 {
                return violation(
                    "absence",
                    format!(
                        "node {node} knows of nobody that has vip {vip} for {lasts:?}, {bound:?} is the most"
                    ),
                );
            }
        }
        let served = state.owners(vip).any(|owner| state.network.is_up(owner, node));
        let without = !served && state.is_eligible(node, vip);
        *since = without.then(|| since.unwrap_or(state.now));
        Ok(())
    }
}
