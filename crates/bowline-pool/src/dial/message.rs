//! What goes into a dial and what comes out.

use crate::evidence::Evidence;
use crate::snapshot::{ConnectionLease, Snapshot};
use crate::spec::EndpointId;
use core::fmt;
use core::net::SocketAddr;
use std::sync::Arc;

/// What the worker knows about a client that is to be dialled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// Its place in the round robin: the worker counts up, per pool.
    pub turn: u64,
    /// Its randomness.
    pub seed: u64,
    /// How many other clients of the pool this worker holds at this moment: the more there are, the longer each pauses between
    /// its rounds, because the first of them to get through wakes the others.
    pub crowd: u32,
}

/// A connection attempt, numbered within its dial.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Attempt(pub u32);

/// Where a client comes from that is dialled for again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Departure {
    /// Who did not answer it.
    pub endpoint: EndpointId,
    /// [`Dial::attempts`](crate::Dial::attempts) of the dial before.
    pub attempts: u32,
}

/// What can happen to a dial. Attempts that are not in flight (aborted, ended) are ignored.
#[derive(Clone, Debug)]
pub enum DialInput {
    /// The attempt is an open connection.
    Connected(Attempt),
    /// The endpoint refused it.
    Refused(Attempt),
    /// ICMP errors, EHOSTUNREACH, ENETUNREACH.
    Unreachable(Attempt),
    /// The kernel gave up (ETIMEDOUT).
    TimedOut(Attempt),
    /// A failure on this side: no file descriptor, no port.
    LocalFailure(Attempt),
    /// The pool published this.
    Snapshot(Arc<Snapshot>),
    /// The moment of `poll_timeout` has come.
    Timeout,
}

/// What a dial wants done.
#[derive(Debug)]
pub enum DialOutput {
    /// Start to connect, and answer with how it ended unless it is aborted before.
    Connect {
        /// The number to answer with.
        attempt: Attempt,
        /// To whom.
        endpoint: EndpointId,
        /// Where.
        address: SocketAddr,
        /// Held by the attempt, then by the connection.
        lease: ConnectionLease,
    },
    /// Close it while it connects; when it is established meanwhile, park it for the next client of that endpoint.
    Abort {
        /// Which.
        attempt: Attempt,
    },
    /// Relay on this one; all others were aborted. The dial is over.
    Won {
        /// Which.
        attempt: Attempt,
        /// To whom.
        endpoint: EndpointId,
    },
    /// Reset the client; all attempts were aborted. The dial is over.
    GiveUp(GiveUp),
    /// For the pool.
    Report {
        /// About whom.
        endpoint: EndpointId,
        /// What was seen.
        evidence: Evidence,
    },
}

/// Why a dial was given up.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GiveUp {
    /// The pool is empty.
    NoEndpoints,
    /// Every endpoint refused until the client was held long enough.
    AllRefused,
    /// No endpoint could be connected to until the client was held long enough.
    AllFailed,
    /// This host had no file descriptor or port for any attempt until the client was held long enough.
    LocalFailure,
}

impl GiveUp {
    /// Every reason, for metrics.
    pub const ALL: [Self; 4] = [Self::NoEndpoints, Self::AllRefused, Self::AllFailed, Self::LocalFailure];

    /// The reason's word in metrics and logs; stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoEndpoints => "no-endpoints",
            Self::AllRefused => "all-refused",
            Self::AllFailed => "all-failed",
            Self::LocalFailure => "local-failure",
        }
    }
}

impl fmt::Display for GiveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEndpoints => "the pool has no endpoint",
            Self::AllRefused => "every endpoint refused",
            Self::AllFailed => "no endpoint could be connected to",
            Self::LocalFailure => "this host had no file descriptor or port left",
        })
    }
}
