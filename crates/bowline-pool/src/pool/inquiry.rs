//! A question whether clients that come from now on would be served, and the fresh evidence that answers it.
//!
//! Yes takes two good probes of any endpoints, the second begun a fast interval after the first was answered: one alone may
//! have waited for the end of a standstill that everybody shared, and who was taken for unable because of that has said so
//! meanwhile. No is when all that were asked have failed in one round.

use crate::message::InquiryId;
use crate::spec::EndpointId;
use bowline_sansio::Instant;
use core::time::Duration;
use std::collections::BTreeSet;

/// Good probes that it takes, each begun after the one before was answered.
const ROUNDS: u32 = 2;

/// One question.
#[derive(Clone, Debug)]
pub(super) struct Inquiry {
    id: InquiryId,
    /// Probes that began before say nothing.
    since: Instant,
    /// Good ones still needed.
    left: u32,
    asked: BTreeSet<EndpointId>,
    /// Of those, the ones that have not failed in this round.
    awaited: BTreeSet<EndpointId>,
}

impl Inquiry {
    pub(super) fn new(id: InquiryId, asked: BTreeSet<EndpointId>, now: Instant) -> Self {
        Self { id, since: now, left: ROUNDS, awaited: asked.clone(), asked }
    }

    pub(super) const fn id(&self) -> InquiryId {
        self.id
    }

    /// From when on it wants a probe of `endpoint`, the last of which was sent at `last`.
    pub(super) fn wants(&self, endpoint: EndpointId, last: Option<Instant>) -> Option<Instant> {
        let is_owed = self.awaited.contains(&endpoint) && last.is_none_or(|last| last < self.since);
        is_owed.then_some(self.since)
    }

    /// A probe of `endpoint` that was sent at `sent` has ended; `pause` is a fast interval.
    pub(super) fn heard(
        &mut self,
        endpoint: EndpointId,
        sent: Instant,
        good: bool,
        pause: Duration,
        now: Instant,
    ) {
        if sent < self.since || !self.awaited.contains(&endpoint) {
            return;
        }
        if good {
            self.left = self.left.saturating_sub(1);
            self.since = now + pause;
            self.awaited.clone_from(&self.asked);
        } else {
            self.awaited.remove(&endpoint);
        }
    }

    /// Endpoints that are gone cannot answer.
    pub(super) fn keep(&mut self, is_there: impl Fn(EndpointId) -> bool) {
        self.asked.retain(|&endpoint| is_there(endpoint));
        self.awaited.retain(|&endpoint| is_there(endpoint));
    }

    /// The answer, as soon as there is one.
    pub(super) fn answer(&self) -> Option<bool> {
        if self.left == 0 { Some(true) } else { self.awaited.is_empty().then_some(false) }
    }
}
