//! A planned stop: a successor within Skew_Time, and nobody without service meanwhile.

use super::{Seen, settled_holder, violation};
use crate::state::State;
use crate::world::Outcome;
use bowline_sansio::Instant;

/// A hand-over that is going on.
#[derive(Clone, Copy, Debug)]
struct Pending {
    from: usize,
    began: Instant,
    /// When the leaving node gave the addresses up.
    gone: Option<Instant>,
}

/// One for each virtual IP.
#[derive(Debug)]
pub(super) struct HandOver {
    pending: Vec<Option<Pending>>,
    /// The holder of a settled group, as the last disturbance found it.
    settled: Vec<Option<usize>>,
}

impl HandOver {
    pub(super) fn new(state: &State) -> Self {
        let vips = state.options.virtual_ips;
        Self { pending: vec![None; vips], settled: vec![None; vips] }
    }

    pub(super) fn see(&mut self, seen: Seen, state: &State) -> Outcome {
        match seen {
            Seen::Leaving { node } => {
                for vip in 0..state.options.virtual_ips {
                    self.begin(state, node, vip);
                }
                Ok(())
            }
            Seen::Went { node, vip } => {
                if let Some(pending) = self.pending[vip].as_mut().filter(|pending| pending.from == node) {
                    pending.gone = Some(state.now);
                }
                Ok(())
            }
            Seen::Came { vip, .. } => {
                self.pending[vip].take().map_or(Ok(()), |pending| judge(state, vip, pending))
            }
            Seen::Disturbed | Seen::Ended => {
                for vip in 0..state.options.virtual_ips {
                    self.settled[vip] = settled_holder(state, vip);
                    if let Some(pending) = self.pending[vip].take() {
                        judge_time(state, vip, pending)?;
                    }
                }
                Ok(())
            }
            Seen::Changed
            | Seen::Took { .. }
            | Seen::Releasing { .. }
            | Seen::Held { .. }
            | Seen::Expired { .. }
            | Seen::Sent { .. }
            | Seen::Announced { .. } => Ok(()),
        }
    }

    /// It counts when the group was settled and somebody is there to take over.
    fn begin(&mut self, state: &State, node: usize, vip: usize) {
        let settled = self.settled[vip] == Some(node);
        let heir = (0..state.options.routers).any(|heir| {
            let hears = state.network.both_ways_since(heir, node).is_some();
            heir != node && hears && state.nodes[heir].can_serve && state.is_eligible(heir, vip)
        });
        // keepalived lets go first, and knows no ranks: near priorities race. A farewell that its own advert overtakes is none.
        let options = &state.options;
        let plain = settled && heir && !options.overlap && !options.reorder && options.foreign == 0;
        self.pending[vip] = plain.then_some(Pending { from: node, began: state.now, gone: None });
    }
}

fn judge(state: &State, vip: usize, pending: Pending) -> Outcome {
    judge_time(state, vip, pending)?;
    let gap = pending.gone.map_or(core::time::Duration::ZERO, |gone| state.now.since(gone));
    if gap > state.bounds.gap {
        let message = format!("nobody had vip {vip} for {gap:?}, {:?} is the most", state.bounds.gap);
        return violation("hand-over", message);
    }
    Ok(())
}

fn judge_time(state: &State, vip: usize, pending: Pending) -> Outcome {
    let took = state.now.since(pending.began);
    if took > state.bounds.hand_over {
        let message =
            format!("no successor has vip {vip} after {took:?}, {:?} is the most", state.bounds.hand_over);
        return violation("hand-over", message);
    }
    Ok(())
}
