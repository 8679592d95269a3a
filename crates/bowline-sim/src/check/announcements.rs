//! Whoever has taken addresses says so at once, and again and again in the first seconds.

use super::{Grid, Seen, violation};
use crate::state::State;
use crate::world::Outcome;
use bowline_sansio::Instant;
use core::time::Duration;

/// When announcements are due after the addresses came, in milliseconds: what the machine's schedule promises.
const DUE: [u64; 7] = [0, 50, 200, 500, 1_000, 2_000, 5_000];

/// One tenure's.
#[derive(Clone, Copy, Debug)]
struct Tenure {
    since: Instant,
    sent: usize,
}

/// One for each router that has its addresses.
#[derive(Debug)]
pub(super) struct Announcements {
    tenures: Grid<Option<Tenure>>,
}

impl Announcements {
    pub(super) fn new(state: &State) -> Self {
        Self { tenures: Grid::new(state, None) }
    }

    pub(super) fn see(&mut self, seen: Seen, state: &State) -> Outcome {
        match seen {
            Seen::Held { node, vip, announced } => {
                if !announced {
                    return violation("announcements", format!("node {node} took vip {vip} and told nobody"));
                }
                *self.tenures.at(node, vip) = Some(Tenure { since: state.now, sent: 1 });
                Ok(())
            }
            Seen::Announced { node, vip } => {
                if let Some(tenure) = self.tenures.at(node, vip) {
                    tenure.sent += 1;
                }
                Ok(())
            }
            Seen::Releasing { node, vip } => {
                self.judge(state, node, vip)?;
                *self.tenures.at(node, vip) = None;
                Ok(())
            }
            Seen::Disturbed | Seen::Ended => {
                for vip in 0..state.options.virtual_ips {
                    for node in 0..state.options.routers {
                        self.judge(state, node, vip)?;
                    }
                }
                Ok(())
            }
            Seen::Changed
            | Seen::Took { .. }
            | Seen::Came { .. }
            | Seen::Went { .. }
            | Seen::Expired { .. }
            | Seen::Sent { .. }
            | Seen::Leaving { .. } => Ok(()),
        }
    }

    /// Holds a tenure to the schedule, as long as it was one of health.
    fn judge(&mut self, state: &State, node: usize, vip: usize) -> Outcome {
        let Some(tenure) = *self.tenures.at(node, vip) else { return Ok(()) };
        // What the other said may still be on its way.
        let disputed = state.contested[vip] + state.bounds.detection;
        let healthy = state.healthy_since(node, vip).is_some_and(|since| since <= tenure.since);
        // While another one claims the address, whoever hears the other puts neighbours right; this one may have to wait.
        if !healthy || state.was_contested[vip] || disputed >= tenure.since {
            return Ok(());
        }
        let had = state.now.since(tenure.since);
        let slack = state.options.lateness * 2 + state.options.astray(had) + Duration::from_millis(1);
        let due = DUE.iter().filter(|&&at| Duration::from_millis(at) + slack < had).count();
        if tenure.sent < due {
            let message = format!(
                "node {node} has had vip {vip} for {had:?} and said so {} times, not {due}",
                tenure.sent
            );
            return violation("announcements", message);
        }
        Ok(())
    }
}
