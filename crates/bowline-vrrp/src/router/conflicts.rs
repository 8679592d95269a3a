//! Other hosts that answer for an address: which of them is worth a report.

use crate::message::Conflict;
use bowline_sansio::Instant;
use core::time::Duration;
use std::collections::BTreeMap;

/// Hosts remembered, at most; on a link with more of them the rest are not told apart and not reported.
const HOSTS_MAX: usize = 16;

/// A planned peer that gives an address up may answer for it until its lease is over, and this much longer.
const GRACE: Duration = Duration::from_millis(500);

/// A planned peer that did not answer for so long has let go: whoever has an address wrongly is asked every ten seconds. When it
/// answers again, it may have the address for another moment.
const LET_GO_AFTER: Duration = Duration::from_secs(12);

/// A host that did not answer for so long has stopped.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60);

/// What is known of one host.
#[derive(Clone, Copy, Debug)]
struct Episode {
    first: Instant,
    last: Instant,
    reported: bool,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Conflicts(BTreeMap<Conflict, Episode>);

impl Conflicts {
    /// Notes one answer; whether it is to be reported now.
    pub(super) fn is_news(&mut self, conflict: Conflict, lease: Duration, now: Instant) -> bool {
        self.0.retain(|_, episode| now.since(episode.last) <= FORGOTTEN_AFTER);
        if self.0.len() >= HOSTS_MAX && !self.0.contains_key(&conflict) {
            return false;
        }
        let fresh = Episode { first: now, last: now, reported: false };
        let episode = self.0.entry(conflict).or_insert(fresh);
        if conflict.planned_peer && now.since(episode.last) > LET_GO_AFTER {
            episode.first = now;
        }
        episode.last = now;
        let outlasts = now.since(episode.first) > lease.saturating_add(GRACE);
        let news = !episode.reported && (outlasts || !conflict.planned_peer);
        episode.reported |= news;
        news
    }

    /// This router has the addresses again: what planned peers had in the meantime was theirs.
    pub(super) fn begin_tenure(&mut self) {
        self.0.retain(|conflict, _| !conflict.planned_peer);
    }

    /// How many hosts are remembered.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The most there can be.
    pub(super) const fn limit() -> usize {
        HOSTS_MAX
    }
}

#[cfg(test)]
mod tests;
