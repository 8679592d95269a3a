//! Trouble that is everybody's moves nothing: whoever takes over because the holder cannot serve reached an API server when the
//! holder did not. (Without bands no priority says who can serve.)

use super::{Seen, violation};
use crate::state::State;
use crate::world::Outcome;
use bowline_vrrp::{LAST_RESORT, Reason};

#[derive(Debug)]
pub(super) struct Trouble;

impl Trouble {
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
        let Some(subject) = state.router(node, vip).subject.as_ref().filter(|_| state.options.bands) else {
            return Ok(());
        };
        let status = subject.machine().status();
        // The least priority of all is also what a router says that gives way.
        let heard = status.heard.filter(|heard| heard.priority > LAST_RESORT);
        let holder = heard.and_then(|heard| {
            (0..state.options.routers).find(|&other| state.options.source(other) == heard.source)
        });
        let Some(holder) = holder.filter(|_| status.reason == Reason::HolderCannotServe) else {
            return Ok(());
        };
        // One that did not hear everything, or stood still, may not have heard that the holder can serve again.
        let window = state.bounds.service;
        let Some(lossless) = state.network.lossless_since() else { return Ok(()) };
        let troubled = [state.nodes[node].since, state.nodes[holder].since, state.nodes[node].deceived]
            .into_iter()
            .chain([state.network.since(holder, node), lossless])
            .max();
        let heard_all = troubled.is_none_or(|troubled| state.now.since(troubled) > window);
        let is_there = state.network.is_up(holder, node) && state.healthy_since(holder, vip).is_some();
        if !heard_all || !is_there || state.options.is_foreign(holder) {
            return Ok(());
        }
        if state.differed(node, holder).is_some_and(|differed| state.now.since(differed) <= window) {
            return Ok(());
        }
        violation(
            "trouble",
            format!("node {node} takes vip {vip} from node {holder}, which reaches no less than it"),
        )
    }
}
