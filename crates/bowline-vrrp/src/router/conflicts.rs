//! Other hosts that answer for an address: which of them is worth a report.

use crate::message::Conflict;
use bowline_sansio::Instant;
use core::time::Duration;
use std::collections::BTreeMap;

/// Hosts remembered, at most; on a link with more of them the rest are not told apart and not reported.
const HOSTS_MAX: usize = 16;

/// A planned peer that gives an address up may answer for it until its lease is over, and this much longer.
const GRACE: Duration = Duration::from_millis(500);

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
        episode.last = now;
        let outlasts = now.since(episode.first) > lease.saturating_add(GRACE);
        let news = !episode.reported && (outlasts || !conflict.planned_peer);
        episode.reported |= news;
        news
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
