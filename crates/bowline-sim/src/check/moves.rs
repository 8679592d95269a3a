//! Nothing moves without a reason: nobody takes over from a holder that is well, heard, and serves no worse.

use super::{Seen, violation};
use crate::state::State;
use crate::world::Outcome;
use bowline_vrrp::Priority;

#[derive(Debug)]
pub(super) struct Moves;

impl Moves {
    pub(super) fn see(&mut self, seen: Seen, state: &State) -> Outcome {
        match seen {
            Seen::Took { node, vip } => Self::judge(state, node, vip),
            Seen::Disturbed
            | Seen::Changed
            | Seen::Releasing { .. }
            | Seen::Held { .. }
            | Seen::Came { .. }
            | Seen::Went { .. }
            | Seen::Expired { .. }
            | Seen::Sent { .. }
            | Seen::Announced { .. }
            | Seen::Leaving { .. }
            | Seen::Ended => Ok(()),
        }
    }

    fn judge(state: &State, node: usize, vip: usize) -> Outcome {
        // A lost advert is as good as a dead holder.
        // keepalived preempts.
        if state.options.is_foreign(node) {
            return Ok(());
        }
        let Some(lossless) = state.network.lossless_since() else { return Ok(()) };
        for holder in (0..state.options.routers).filter(|&holder| holder != node) {
            let Some(healthy) = state.healthy_since(holder, vip) else { continue };
            if !state.network.is_up(holder, node) || is_entitled(state, node, holder, vip) {
                continue;
            }
            // While two are Active, whom a Backup hears is not plain.
            // And what it said a moment ago may still be on its way, or have been the reason.
            let says = state.nodes[holder].can_serve_since.max(state.router(holder, vip).configured);
            let healthy = healthy.max(state.contested[vip]).max(says);
            let heard =
                healthy.max(state.network.since(holder, node)).max(state.nodes[node].deceived).max(lossless);
            let well = state.now.since(heard);
            if well > state.bounds.detection {
                return violation(
                    "moves",
                    format!(
                        "node {node} takes vip {vip} from node {holder}, which it has heard for {well:?}"
                    ),
                );
            }
        }
        Ok(())
    }
}

/// Whether `node` may take over from a holder that is well.
fn is_entitled(state: &State, node: usize, holder: usize, vip: usize) -> bool {
    let options = &state.options;
    let serves = |node: usize| state.nodes[node].can_serve;
    let serves_better = serves(node) && !serves(holder);
    let planned = |node: usize| state.router(node, vip).config.settings().priority;
    let preempts = options.preempt || planned(node) == Priority::OWNER;
    let preempts = preempts && planned(node) > planned(holder) && serves(node);
    serves_better || preempts
}
