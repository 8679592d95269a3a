//! An address lives exactly as long as its router: no lease runs out under one that is well, none outlives one that is not.

use super::{Seen, violation};
use crate::bounds::GUARD_MAX;
use crate::state::{Host, Process, State};
use crate::world::Outcome;

#[derive(Debug)]
pub(super) struct Leases;

impl Leases {
    pub(super) fn see(&mut self, seen: Seen, state: &State) -> Outcome {
        match seen {
            Seen::Expired { node, vip } => Self::expired(state, node, vip),
            Seen::Changed | Seen::Disturbed | Seen::Ended => Self::outlived(state),
            Seen::Took { .. }
            | Seen::Releasing { .. }
            | Seen::Held { .. }
            | Seen::Came { .. }
            | Seen::Went { .. }
            | Seen::Sent { .. }
            | Seen::Announced { .. }
            | Seen::Leaving { .. } => Ok(()),
        }
    }

    fn expired(state: &State, node: usize, vip: usize) -> Outcome {
        let Some(healthy) = state.healthy_since(node, vip) else { return Ok(()) };
        let it = &state.nodes[node];
        let well = state.now.since(healthy.max(it.slow_until).max(it.busy_until));
        if !it.slow && well >= state.options.lease {
            let message = format!("the lease of vip {vip} ran out on node {node}, well for {well:?}");
            return violation("leases", message);
        }
        Ok(())
    }

    fn outlived(state: &State) -> Outcome {
        for (number, node) in state.nodes.iter().enumerate() {
            let foreign = state.options.is_foreign(number);
            if node.process == Process::Running || node.host != Host::Up || foreign {
                continue;
            }
            let since = state.now.since(node.since);
            // Who overhears that the lease is about to be over is not late yet.
            let most = if node.guarded { GUARD_MAX } else { state.bounds.lease };
            let kept = node.routers.iter().position(|router| router.address.is_some());
            if let Some(vip) = kept.filter(|_| since > most) {
                let message =
                    format!("node {number} has vip {vip} {since:?} after its process, {most:?} is the most");
                return violation("leases", message);
            }
        }
        Ok(())
    }
}
