//! A link that comes back: for how long it still counts as down.

use super::Lane;
use crate::cell::Faults;
use bowline_sansio::Instant;
use bowline_vrrp::{Fault, Peers};
use std::time::Duration;

/// A switch may pass nothing on for a while when the link is up already (the kernel's bridge for up to 0.7 s). Who listens meanwhile
/// hears no holder, takes over, and wins by its priority when it is heard.
pub(super) const SETTLES_IN: Duration = Duration::from_millis(700);

impl Lane {
    /// `faults` as they count for this router at `now`: of a link that was down, the fault lasts until it can be relied on. A router
    /// without peers has nobody to hear.
    pub(super) fn settled(&mut self, faults: Faults, now: Instant) -> Faults {
        let is_alone = match &self.machine.config().settings().peers {
            Peers::Planned(peers) => peers.is_empty(),
            Peers::Any => false,
        };
        if faults.has(Fault::LinkDown) || !self.faults.has(Fault::LinkDown) || is_alone {
            self.link_up_at = None;
            return faults;
        }
        let up_at = *self.link_up_at.get_or_insert(now);
        faults.with(Fault::LinkDown, now.since(up_at) < SETTLES_IN)
    }
}
