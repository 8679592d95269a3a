//! Established connections that lost a race, kept for the next client of their endpoint: an API server is not left with half a
//! handshake, and the client gets a connection that is there already.

use crate::config::PoolId;
use bowline_pool::EndpointId;
use bowline_sansio::Instant;
use bowline_sys::tcp;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long one is kept: well below the time after which an API server closes a connection that says nothing.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// How many a worker keeps; beyond it the oldest is closed. Races are lost in small numbers, and each parked connection costs
/// a descriptor here and a slot there.
const KEPT_MAX: usize = 32;

#[derive(Debug)]
struct Parked {
    pool: PoolId,
    endpoint: EndpointId,
    socket: OwnedFd,
    until: Instant,
}

/// The parked connections of a worker, oldest first.
#[derive(Debug)]
pub(crate) struct Parking(VecDeque<Parked>);

impl Parking {
    pub(crate) const fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(crate) fn park(&mut self, pool: PoolId, endpoint: EndpointId, socket: OwnedFd, now: Instant) {
        if self.0.len() == KEPT_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Parked { pool, endpoint, socket, until: now + KEPT_FOR });
    }

    /// A connection to `endpoint` on which nothing has happened yet; those that their peer has closed or spoken on are closed.
    pub(crate) fn take(&mut self, pool: PoolId, endpoint: EndpointId) -> Option<OwnedFd> {
        loop {
            let wanted = |parked: &Parked| parked.pool == pool && parked.endpoint == endpoint;
            let at = self.0.iter().position(wanted)?;
            let socket = self.0.remove(at)?.socket;
            if tcp::is_untouched(&socket) {
                return Some(socket);
            }
        }
    }

    /// Closes those that were kept long enough.
    pub(crate) fn expire(&mut self, now: Instant) {
        while self.0.front().is_some_and(|oldest| oldest.until <= now) {
            self.0.pop_front();
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.front().map(|oldest| oldest.until)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests;
