//! Who can serve goes before who cannot.

use super::{Seen, backup_for, violation};
use crate::state::State;
use crate::world::Outcome;
use bowline_vrrp::WhenAllBad;
use bowline_vrrp::timers::HAND_OVER_MAX;

#[derive(Debug)]
pub(super) struct Service;

impl Service {
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
        for vip in 0..state.options.virtual_ips {
            for holder in state.owners(vip).filter(|&holder| !state.nodes[holder].can_serve) {
                // One of another make is not asked.
                if state.options.is_foreign(holder) {
                    continue;
                }
                Self::judge(state, vip, holder)?;
            }
        }
        Ok(())
    }

    /// `holder` cannot serve, and has it; for how long may that be?
    fn judge(state: &State, vip: usize, holder: usize) -> Outcome {
        let calm = state.calm();
        let Some(healthy) = state.healthy_since(holder, vip) else { return Ok(()) };
        let lasts = calm.min(state.now.since(healthy));
        if state.options.when_all_bad == WhenAllBad::Release && lasts > HAND_OVER_MAX + state.bounds.conflict
        {
            let message = format!("node {holder} keeps vip {vip} for {lasts:?} though it cannot serve");
            return violation("service", message);
        }
        let better = (0..state.options.routers).find(|&node| {
            let fit = state.nodes[node].can_serve && state.is_eligible(node, vip);
            let hears = state.network.both_ways_since(node, holder).is_some();
            // Not long ago it may have been out of sorts itself.
            fit && hears && backup_for(state, node, vip) > state.bounds.service
        });
        let sole = state.owners(vip).count() == 1;
        match better {
            Some(better) if sole && lasts > state.bounds.service => violation(
                "service",
                format!("node {holder} has vip {vip} for {lasts:?} and cannot serve, node {better} could"),
            ),
            Some(_) | None => Ok(()),
        }
    }
}
