//! What a worker knows of one connection.

use crate::admission::Seat;
use crate::config::{ListenerId, PoolId};
use crate::relay::{Duplex, Readiness};
use crate::stats::ListenerCounters;
use crate::token::AttemptTag;
use bowline_pool::{Attempt, ConnectionLease, Dial, EndpointId};
use bowline_sansio::Instant;
use bowline_sys::epoll;
use bowline_sys::pipe::Pipe;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

/// Where clients came in.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) listener: ListenerId,
    /// Where the listener is bound: no listener is a wildcard, so this is the clients' side of the connection too.
    pub(super) address: SocketAddr,
    pub(super) counters: Arc<ListenerCounters>,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: OwnedFd,
    pub(super) client_address: SocketAddr,
    pub(super) seat: Seat,
    pub(super) origin: Rc<Origin>,
    pub(super) pool: PoolId,
    pub(super) since: Instant,
    /// What stands in the worker's `Deadlines`.
    pub(super) deadline: Option<Instant>,
    /// Whether it stands in the worker's queue of unfinished ones.
    pub(super) queued: bool,
    pub(super) duplex: Duplex<Pipe>,
    /// How often it was moved from one endpoint to another.
    pub(super) redials: u8,
    pub(super) phase: Phase,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Boxed: a client is held for moments, and relayed for hours.
    Held(Box<Held>),
    Open(Open),
}

/// While an endpoint is dialled.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) dial: Dial,
    /// Those in flight, at most `bowline_pool::MAX_RACING`.
    pub(super) attempts: Vec<Attempting>,
}

/// An attempt in flight.
#[derive(Debug)]
pub(super) struct Attempting {
    pub(super) attempt: Attempt,
    pub(super) endpoint: EndpointId,
    pub(super) socket: OwnedFd,
    pub(super) lease: ConnectionLease,
    /// What its events said so far; the kernel tells each change once.
    pub(super) readiness: Readiness,
}

/// While bytes are relayed.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) socket: OwnedFd,
    pub(super) tag: AttemptTag,
    /// Attempts made for this client so far.
    pub(super) attempts: u32,
    pub(super) endpoint: EndpointId,
    /// Counts the connection while it lives.
    pub(super) _lease: ConnectionLease,
    pub(super) flight: Flight,
    /// Whether the endpoint's socket has its keep-alive: set at the first deadline, which spares short connections four calls.
    pub(super) settled: bool,
}

/// The client's first bytes, and whether anything came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flight {
    /// The client has sent nothing yet.
    Grounded,
    /// It has, and nothing has come back.
    Since(Instant),
    /// Answered, or reported: nothing more is learned from it.
    Over,
}

impl From<epoll::Event> for Readiness {
    fn from(event: epoll::Event) -> Self {
        Self { readable: event.readable(), writable: event.writable(), finished: event.finished() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an idle connection may cost in memory of this process: the entry itself, and an entry in the two lists it can stand in.
    const BUDGET: usize = 400;

    #[test]
    fn an_idle_connection_is_small() {
        let size = size_of::<Option<Connection>>() + size_of::<(Instant, crate::slab::Key)>();
        assert!(size <= BUDGET, "{size} bytes");
        println!("{} bytes, of which {} for relaying", size, size_of::<Duplex<Pipe>>());
    }
}
