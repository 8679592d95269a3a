//! What a failover may cost: one router takes over, and nobody floods the link. Without this, Backups that all race pass
//! every other check.

use super::{Grid, Seen, settled_holder, violation};
use crate::state::State;
use crate::world::Outcome;
use bowline_sansio::Instant;
use bowline_vrrp::timers::RANK_WAIT;

/// Adverts of one router in one interval for each other one: its own, and answers while the link is split and all may be Active.
const ADVERTS_AN_INTERVAL: u64 = 3;

/// Adverts beside them: farewells, the first of a tenure, answers that were on their way.
const ADVERTS_MORE: u64 = 12;

/// Since the last disturbance.
#[derive(Debug)]
pub(super) struct Economy {
    since: Instant,
    /// Each virtual IP that was settled then, with how many routers took over since.
    takes: Vec<Option<u32>>,
    adverts: Grid<u64>,
}

impl Economy {
    pub(super) fn new(state: &State) -> Self {
        Self {
            since: Instant::ORIGIN,
            takes: vec![None; state.options.virtual_ips],
            adverts: Grid::new(state, 0),
        }
    }

    pub(super) fn see(&mut self, seen: Seen, state: &State) -> Outcome {
        match seen {
            Seen::Sent { node, vip, .. } => {
                *self.adverts.at(node, vip) += 1;
                Ok(())
            }
            Seen::Took { vip, .. } => self.took(state, vip),
            Seen::Disturbed | Seen::Ended => self.turn(state),
            Seen::Changed
            | Seen::Releasing { .. }
            | Seen::Held { .. }
            | Seen::Came { .. }
            | Seen::Went { .. }
            | Seen::Expired { .. }
            | Seen::Announced { .. }
            | Seen::Leaving { .. } => Ok(()),
        }
    }

    fn took(&mut self, state: &State, vip: usize) -> Outcome {
        let Some(takes) = &mut self.takes[vip] else { return Ok(()) };
        *takes += 1;
        if *takes > 1 && state.restless == 0 {
            let message = format!("{takes} routers took vip {vip} after one fault in a settled group");
            return violation("economy", message);
        }
        Ok(())
    }

    /// Judges what is over, and looks whether the next fault finds a settled group.
    fn turn(&mut self, state: &State) -> Outcome {
        let options = &state.options;
        let lasted = state.now.since(self.since);
        let intervals = lasted.as_nanos() / state.bounds.interval_min.as_nanos();
        let copies = if options.unicast { options.routers as u64 } else { 1 };
        let others = u64::try_from(options.routers).unwrap_or(1).saturating_sub(1).max(1);
        let most = copies
            * (others * ADVERTS_AN_INTERVAL * u64::try_from(intervals).unwrap_or(u64::MAX) + ADVERTS_MORE);
        for vip in 0..options.virtual_ips {
            for node in 0..options.routers {
                let sent = std::mem::take(self.adverts.at(node, vip));
                // One of another make answers every advert that waited for it while it stood still.
                if sent > most && !options.is_foreign(node) {
                    let message = format!("node {node} sent {sent} adverts for vip {vip} in {lasted:?}");
                    return violation("economy", message);
                }
            }
        }
        self.since = state.now;
        // What ranks keep apart, late packets and late threads do not bring together again.
        let apart = (options.delay + options.jitter + options.lateness) * 2 < RANK_WAIT;
        let still = !options.preempt && !options.owner;
        let plain = apart && still && !options.overlap && options.foreign == 0 && !options.reorder;
        for vip in 0..options.virtual_ips {
            let holder = settled_holder(state, vip).filter(|_| plain);
            self.takes[vip] = holder.map(|_| 0);
        }
        Ok(())
    }
}
