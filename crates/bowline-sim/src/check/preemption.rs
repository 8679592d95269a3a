//! Where it is asked for, the router that goes before the holder takes over from it.

use super::{Seen, backup_for, violation};
use crate::state::State;
use crate::world::Outcome;
use bowline_vrrp::Priority;

#[derive(Debug)]
pub(super) struct Preemption;

impl Preemption {
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
        if state.calm() <= state.bounds.preemption {
            return Ok(());
        }
        for vip in 0..state.options.virtual_ips {
            Self::judge(state, vip)?;
        }
        Ok(())
    }

    fn judge(state: &State, vip: usize) -> Outcome {
        let mut owners = state.owners(vip);
        let (Some(holder), None) = (owners.next(), owners.next()) else { return Ok(()) };
        // Each holder is watched for a while first.
        let for_long = state
            .healthy_since(holder, vip)
            .is_some_and(|healthy| state.now.since(healthy) > state.bounds.preemption);
        if !for_long {
            return Ok(());
        }
        let planned = |node: usize| state.router(node, vip).config.settings().priority;
        let better = (0..state.options.routers).find(|&node| {
            let asked = state.options.preempt || planned(node) == Priority::OWNER;
            let fit = state.nodes[node].can_serve && state.is_eligible(node, vip);
            let hears = state.network.both_ways_since(node, holder).is_some();
            let goes_before = asked && planned(node) > planned(holder);
            goes_before && fit && hears && backup_for(state, node, vip) > state.bounds.preemption
        });
        match better {
            Some(better) => violation(
                "preemption",
                format!("node {holder} has vip {vip}, and node {better} that goes before it lets it"),
            ),
            None => Ok(()),
        }
    }
}
