//! What the workers tell: evidence for the pools, and what an operator may want to know.

use crate::config::{ListenerId, PoolId};
use bowline_pool::{EndpointId, Evidence, GiveUp};
use bowline_sys::tcp::Shortage;
use core::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Takes the workers' reports; called on their threads, so it must neither wait nor take long.
pub trait Sink: Send + Sync + 'static {
    /// Takes `report`, or says `false` when there is no room; a dropped report is counted ([`crate::Stats::reports_dropped`]).
    fn report(&self, report: Report) -> bool;
}

/// What a worker tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// For the pool ([`bowline_pool::Input::Reported`]).
    Evidence {
        /// Which pool.
        pool: PoolId,
        /// About whom.
        endpoint: EndpointId,
        /// What was seen.
        evidence: Evidence,
    },
    /// For the log; at a bounded rate, beyond which events are counted only ([`crate::Stats::events_suppressed`]).
    Event(Event),
}

/// What an operator may want to know; normal ends are counted only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A connection ended in another way than by both sides closing it.
    Ended {
        /// Where the client came in.
        listener: ListenerId,
        /// Whose endpoint it got, or should have got.
        pool: PoolId,
        /// Which endpoint, when it got one.
        endpoint: Option<EndpointId>,
        /// The client.
        client: SocketAddr,
        /// How it ended.
        reason: EndReason,
        /// Bytes taken from the client.
        bytes_up: u64,
        /// Bytes taken from the endpoint.
        bytes_down: u64,
        /// From accept to end.
        lasted: Duration,
    },
    /// A worker accepts no clients for now; they wait in the kernel's queue.
    AcceptPaused {
        /// Which worker.
        worker: usize,
        /// Why.
        why: Pause,
    },
    /// The worker accepts clients again.
    AcceptResumed {
        /// Which worker.
        worker: usize,
        /// For how long it did not.
        paused: Duration,
    },
    /// A worker has not answered a ping in time: its connections stand still.
    WorkerStuck {
        /// Which worker.
        worker: usize,
        /// For how long it has not answered.
        silent: Duration,
    },
    /// The worker answers again.
    WorkerBack {
        /// Which worker.
        worker: usize,
        /// For how long it did not.
        silent: Duration,
    },
}

/// Why a worker accepts no clients.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pause {
    /// As many as [`crate::Config::connections_max`] are there.
    ConnectionLimit,
    /// This host is short of something.
    Shortage(Shortage),
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectionLimit => "the connection limit is reached",
            Self::Shortage(Shortage::Descriptors) => "no file descriptor is left",
            Self::Shortage(Shortage::Memory) => "the kernel has no memory for sockets",
        })
    }
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EndReason {
    /// Both sides ended their direction and everything was delivered.
    Closed,
    /// The client reset it; so was the endpoint's side.
    ClientReset,
    /// The endpoint reset it; so was the client's side.
    EndpointReset,
    /// The client's host answers no more (keep-alive or retransmission).
    ClientTimedOut,
    /// The endpoint's host answers no more (keep-alive or retransmission).
    EndpointTimedOut,
    /// The client reset it while it was held.
    ClientLeft,
    /// No endpoint could be had.
    GaveUp(GiveUp),
    /// The listener's pool is not known, or not any more.
    NoPool,
    /// The client's network is not among those that are served ([`crate::Config::clients`]).
    NotAllowed,
    /// Its source has as many connections as one may have.
    SourceConnections,
    /// Its source opens connections faster than one may.
    SourceRate,
    /// Neither side sent a byte for [`crate::Config::first_byte`].
    Silent,
    /// The kernel refused us something for it, such as room in the epoll set.
    LocalFailure,
    /// The address it came in through left this host ([`crate::Proxy::evict`]).
    Evicted,
    /// The proxy was stopped.
    Stopped,
}

impl EndReason {
    /// Every reason, for metrics.
    pub const ALL: [Self; 18] = [
        Self::Closed,
        Self::ClientReset,
        Self::EndpointReset,
        Self::ClientTimedOut,
        Self::EndpointTimedOut,
        Self::ClientLeft,
        Self::GaveUp(GiveUp::NoEndpoints),
        Self::GaveUp(GiveUp::AllRefused),
        Self::GaveUp(GiveUp::AllFailed),
        Self::GaveUp(GiveUp::LocalFailure),
        Self::NoPool,
        Self::LocalFailure,
        Self::Stopped,
        Self::NotAllowed,
        Self::SourceConnections,
        Self::SourceRate,
        Self::Silent,
        Self::Evicted,
    ];

    /// The reason's place in [`EndReason::ALL`].
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Closed => 0,
            Self::ClientReset => 1,
            Self::EndpointReset => 2,
            Self::ClientTimedOut => 3,
            Self::EndpointTimedOut => 4,
            Self::ClientLeft => 5,
            Self::GaveUp(GiveUp::NoEndpoints) => 6,
            Self::GaveUp(GiveUp::AllRefused) => 7,
            Self::GaveUp(GiveUp::AllFailed) => 8,
            Self::GaveUp(GiveUp::LocalFailure) => 9,
            Self::NoPool => 10,
            Self::LocalFailure => 11,
            Self::Stopped => 12,
            Self::NotAllowed => 13,
            Self::SourceConnections => 14,
            Self::SourceRate => 15,
            Self::Silent => 16,
            Self::Evicted => 17,
        }
    }

    /// The reason's word in metrics and logs; stable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::ClientReset => "client-reset",
            Self::EndpointReset => "endpoint-reset",
            Self::ClientTimedOut => "client-timed-out",
            Self::EndpointTimedOut => "endpoint-timed-out",
            Self::ClientLeft => "client-left",
            Self::GaveUp(GiveUp::NoEndpoints) => "gave-up-no-endpoints",
            Self::GaveUp(GiveUp::AllRefused) => "gave-up-all-refused",
            Self::GaveUp(GiveUp::AllFailed) => "gave-up-all-failed",
            Self::GaveUp(GiveUp::LocalFailure) => "gave-up-local-failure",
            Self::NoPool => "no-pool",
            Self::LocalFailure => "local-failure",
            Self::Evicted => "evicted",
            Self::Stopped => "stopped",
            Self::NotAllowed => "client-not-allowed",
            Self::SourceConnections => "source-connections",
            Self::SourceRate => "source-rate",
            Self::Silent => "silent",
        }
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_place_and_word() {
        for (index, reason) in EndReason::ALL.into_iter().enumerate() {
            assert_eq!(reason.index(), index);
        }
        let words: std::collections::BTreeSet<_> =
            EndReason::ALL.into_iter().map(EndReason::as_str).collect();
        assert_eq!(words.len(), EndReason::ALL.len());
        for why in GiveUp::ALL {
            assert!(EndReason::ALL.contains(&EndReason::GaveUp(why)));
        }
    }
}
