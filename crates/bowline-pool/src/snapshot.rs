//! What the pool publishes and every dial reads.

use crate::reason::Reason;
use crate::spec::{EndpointId, Policy, Timers};
use core::fmt;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::sync::Arc;

/// How good an endpoint is, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Grade {
    /// Answers `/readyz` with success.
    Ready,
    /// Alive as far as we can tell, with a [`Reason`] why not more is known; as usable as a ready one.
    Alive,
    /// `/readyz` fails and `/livez` does not: keeps its connections, gets no new ones.
    Draining,
    /// Gets no new connections unless every endpoint looks bad.
    Dead,
}

impl Grade {
    /// Every grade, best first.
    pub const ALL: [Self; 4] = [Self::Ready, Self::Alive, Self::Draining, Self::Dead];

    /// Whether new connections go there while all is well; the others are tried only when these are exhausted.
    pub const fn is_usable(self) -> bool {
        match self {
            Self::Ready | Self::Alive => true,
            Self::Draining | Self::Dead => false,
        }
    }

    /// The grade's word in logs, metrics and documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Alive => "alive",
            Self::Draining => "draining",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Open connections of one endpoint, over all workers and all snapshots that name it.
#[derive(Clone, Default, Debug)]
pub struct ConnectionCount(Arc<AtomicU32>);

impl ConnectionCount {
    /// How many are open now.
    pub fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// Counts one more until the lease is dropped.
    pub fn lease(&self) -> ConnectionLease {
        self.0.fetch_add(1, Ordering::Relaxed);
        ConnectionLease(Arc::clone(&self.0))
    }
}

/// One counted connection.
#[derive(Debug)]
pub struct ConnectionLease(Arc<AtomicU32>);

impl Drop for ConnectionLease {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One endpoint as a dial sees it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its identity, kept across snapshots.
    pub id: EndpointId,
    /// The node's name.
    pub name: Arc<str>,
    /// Where it listens.
    pub address: SocketAddr,
    /// How good it is.
    pub grade: Grade,
    /// Why it has that grade.
    pub reason: Reason,
    /// The last measured time of a TCP connect.
    pub connect_rtt: Option<Duration>,
    /// Its open connections.
    pub connections: ConnectionCount,
}

/// The immutable state of a pool.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Grows with every publication of its pool.
    pub version: u64,
    /// Who gets the next connection.
    pub policy: Policy,
    /// Bounds of dialling and of the first flight.
    pub timers: Timers,
    /// In order of preference.
    pub endpoints: Vec<Endpoint>,
}
