//! Who has lost an address says nothing in its name: neither over connections that outlived it, nor by adverts after a stall.

use super::{Grid, Seen, violation};
use crate::state::State;
use crate::world::Outcome;
use bowline_sansio::Instant;

/// Since when there have been connections without an address.
#[derive(Debug)]
pub(super) struct Silence {
    since: Grid<Option<Instant>>,
}

impl Silence {
    pub(super) fn new(state: &State) -> Self {
        Self { since: Grid::new(state, None) }
    }

    pub(super) fn see(&mut self, seen: Seen, state: &State) -> Outcome {
        match seen {
            Seen::Sent { node, vip, priority } => {
                if state.router(node, vip).stalled && priority > 0 {
                    let message = format!("node {node} advertises vip {vip} after it stood still");
                    return violation("silence", message);
                }
                Ok(())
            }
            Seen::Changed | Seen::Disturbed | Seen::Ended => self.connections(state),
            Seen::Took { .. }
            | Seen::Releasing { .. }
            | Seen::Held { .. }
            | Seen::Came { .. }
            | Seen::Went { .. }
            | Seen::Expired { .. }
            | Seen::Announced { .. }
            | Seen::Leaving { .. } => Ok(()),
        }
    }

    fn connections(&mut self, state: &State) -> Outcome {
        for vip in 0..state.options.virtual_ips {
            for node in 0..state.options.routers {
                let router = state.router(node, vip);
                let it = &state.nodes[node];
                let orphaned = router.connected && router.address.is_none() && it.runs();
                let since = self.since.at(node, vip);
                if let Some(began) = *since {
                    let lasts = state.now.since(began.max(it.since));
                    if lasts > state.bounds.silence {
                        let message =
                            format!("node {node} talks as vip {vip} for {lasts:?} without having it");
                        return violation("silence", message);
                    }
                }
                *since = orphaned.then(|| since.unwrap_or(state.now));
            }
        }
        Ok(())
    }
}
