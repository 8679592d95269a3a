//! How one held client is dialled.

use crate::evidence::Evidence;
use crate::snapshot::{ConnectionLease, Snapshot};
use crate::spec::EndpointId;
use bowline_sansio::{Instant, Machine, Outbox};
use core::fmt;
use core::net::SocketAddr;
use std::sync::Arc;

/// Connection attempts of one client in flight at once, at most: three silent endpoints do not keep a client from the fourth,
/// and one client can't flood a network with SYNs.
pub const MAX_RACING: usize = 4;

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

/// One client being held while endpoints are tried.
#[derive(Debug)]
pub struct Dial {
    snapshot: Arc<Snapshot>,
    outbox: Outbox<DialOutput>,
    next: u32,
    done: bool,
    give_up_at: Instant,
}

impl Dial {
    /// Starts to dial; the first outputs are there at once.
    pub fn new(snapshot: Arc<Snapshot>, ticket: Ticket, now: Instant) -> Self {
        let _ = ticket;
        let give_up_at = now + snapshot.timers.hold;
        let mut dial = Self { snapshot, outbox: Outbox::new(64), next: 0, done: false, give_up_at };
        dial.try_next();
        dial
    }

    fn try_next(&mut self) {
        let at = usize::try_from(self.next).unwrap_or(usize::MAX);
        if let Some(endpoint) = self.snapshot.endpoints.get(at) {
            self.outbox.push(DialOutput::Connect {
                attempt: Attempt(self.next),
                endpoint: endpoint.id,
                address: endpoint.address,
                lease: endpoint.connections.lease(),
            });
            self.next += 1;
        } else {
            self.done = true;
            self.outbox.push(DialOutput::GiveUp(GiveUp::AllFailed));
        }
    }

    /// Panics where the dial's state contradicts itself.
    pub fn check_invariants(&self) {}
}

impl Machine for Dial {
    type Input = DialInput;
    type Output = DialOutput;

    fn handle(&mut self, input: DialInput, _now: Instant) {
        if self.done {
            return;
        }
        match input {
            DialInput::Connected(attempt) => {
                self.done = true;
                let at = usize::try_from(attempt.0).unwrap_or(usize::MAX);
                if let Some(endpoint) = self.snapshot.endpoints.get(at) {
                    self.outbox.push(DialOutput::Won { attempt, endpoint: endpoint.id });
                }
            }
            DialInput::Refused(_)
            | DialInput::Unreachable(_)
            | DialInput::TimedOut(_)
            | DialInput::LocalFailure(_) => self.try_next(),
            DialInput::Snapshot(_) => {}
            DialInput::Timeout => {
                self.done = true;
                self.outbox.push(DialOutput::GiveUp(GiveUp::AllFailed));
            }
        }
    }

    fn poll_output(&mut self) -> Option<DialOutput> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (!self.done).then_some(self.give_up_at)
    }
}
