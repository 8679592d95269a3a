//! One router's turn.

use super::hands::Hands;
use super::kept::Kept;
use crate::guard::Guard;
use crate::shared::{Shared, now};
use bowline_sys::sock_diag::Side;
use std::net::IpAddr;
use std::sync::Arc;

/// What a router has while the keeper is its own. Whatever may take long is done in steps, between which the others are renewed:
/// a lease of a second cannot wait for the end of somebody else's thousand connections.
pub(crate) struct Turn<'a> {
    pub(crate) hands: &'a Hands,
    pub(crate) shared: &'a Shared,
    pub(crate) guard: &'a mut Guard,
    before: &'a mut [Kept],
    after: &'a mut [Kept],
}

impl<'a> Turn<'a> {
    /// The turn of the router at `index`, where there is one.
    pub(crate) fn of(
        kept: &'a mut [Kept],
        index: usize,
        hands: &'a Hands,
        shared: &'a Shared,
        guard: &'a mut Guard,
    ) -> Option<(&'a mut Kept, Self)> {
        let (before, rest) = kept.split_at_mut_checked(index)?;
        let (kept, after) = rest.split_first_mut()?;
        Some((kept, Self { hands, shared, guard, before, after }))
    }

    /// Renews the others where it is time.
    pub(crate) fn let_others_in(&mut self) {
        let now = now();
        for other in self.before.iter_mut().chain(self.after.iter_mut()) {
            other.renew_if_due(now, self.hands, self.shared);
        }
    }

    /// Resets everybody on `addresses`, who are connected to those who serve or to any other process.
    pub(crate) fn evict(&mut self, router: &Arc<str>, addresses: &[IpAddr]) {
        self.let_others_in();
        self.hands.serving.evict(addresses);
        self.end_connections(router, addresses);
    }

    /// Ends what is connected to `addresses` after everybody was evicted: connections of other processes, and of workers that
    /// hang.
    pub(crate) fn end_connections(&mut self, router: &Arc<str>, addresses: &[IpAddr]) {
        let hands = self.hands;
        hands.end(router, Side::Local, addresses, || self.let_others_in());
    }

    /// Ends connections of this host's own clients to `addresses`, which were elsewhere until now: the former holder cannot
    /// reach them any more, because what comes from an address that is here is not let in.
    pub(crate) fn end_dials(&mut self, router: &Arc<str>, addresses: &[IpAddr]) {
        let hands = self.hands;
        hands.end(router, Side::Remote, addresses, || self.let_others_in());
    }
}
