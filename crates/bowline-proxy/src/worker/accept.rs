//! Letting clients in.

use super::Worker;
use super::connection::{Connection, Held, Origin, Phase};
use crate::admission::{Refusal, Seat};
use crate::config::{ListenerId, PoolId};
use crate::relay::Duplex;
use crate::report::{EndReason, Event, Pause};
use crate::stats::{Moment, WorkerMoment};
use crate::token::Token;
use bowline_pool::Dial;
use bowline_sansio::Instant;
use bowline_sys::epoll::Interest;
use bowline_sys::tcp::{self, Shortage};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Clients taken from one listener in one round, so that a storm of new ones does not starve those that are there.
const BURST_MAX: u32 = 64;

/// Clients taken from the accept queue of a listener that closes: more than the kernel queues ([`tcp::listen`]), and an end to
/// it when they come faster than they are taken.
const FAREWELL_MAX: u32 = 8192;

/// How long accepting pauses before it is tried again, when no connection of this worker ends before: short beside the
/// seconds a client waits, and cheap.
const PAUSE: Duration = Duration::from_millis(50);

/// Least time between two pauses that an operator is told of: at the limit they follow each other without end.
const PAUSE_TOLD_EVERY: Duration = Duration::from_secs(1);

/// The listeners of a worker, and whether it takes clients from them.
#[derive(Debug)]
pub(super) struct Door {
    listeners: BTreeMap<ListenerId, Listener>,
    shut: Option<Shut>,
    told: Option<Instant>,
}

#[derive(Debug)]
struct Listener {
    /// Shared with the handle, which can end listening without this thread.
    socket: Arc<OwnedFd>,
    origin: Rc<Origin>,
    pool: PoolId,
    /// Clients to take at once. A call that finds nobody costs almost as much as one that finds somebody, so that one is taken
    /// at first, and twice as many whenever that was not enough.
    burst: u32,
    /// The round in which it was ready last.
    ready_in: u64,
}

/// Accepting pauses.
#[derive(Debug)]
struct Shut {
    since: Instant,
    retry_at: Instant,
    told: bool,
}

/// What became of an attempt to take a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Taken {
    /// Somebody was there.
    One,
    /// Nobody waits.
    Nobody,
    /// It is not the time for it.
    Not(Pause),
}

impl Door {
    pub(super) const fn new() -> Self {
        Self { listeners: BTreeMap::new(), shut: None, told: None }
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.shut.as_ref().map(|shut| shut.retry_at)
    }

    pub(super) fn retarget(&mut self, listener: ListenerId, pool: PoolId) {
        if let Some(listener) = self.listeners.get_mut(&listener) {
            listener.pool = pool;
        }
    }

    /// Closes the listeners on these addresses; who waits there is not served.
    pub(super) fn shut_out(&mut self, addresses: &[IpAddr]) {
        self.listeners.retain(|_, listener| !addresses.contains(&listener.origin.address.ip()));
    }
}

impl Worker {
    /// Takes over a listener whose socket is registered already.
    pub(super) fn open(&mut self, origin: Origin, socket: Arc<OwnedFd>, pool: PoolId) {
        let (listener, origin) = (origin.listener, Rc::new(origin));
        self.door.listeners.insert(listener, Listener { socket, origin, pool, burst: 1, ready_in: 0 });
        if self.door.shut.is_some() {
            self.poll_listeners(Interest::NOTHING);
        }
    }

    /// Serves those who wait in the accept queue, as far as there is room for them, and closes.
    pub(super) fn close(&mut self, listener: ListenerId) {
        for _ in 0..FAREWELL_MAX {
            match self.take_client(listener) {
                Taken::One => {}
                Taken::Nobody | Taken::Not(_) => break,
            }
        }
        self.door.listeners.remove(&listener);
    }

    pub(super) fn accept_ready(&mut self, listener: ListenerId) {
        let round = self.round;
        let Some(known) = self.door.listeners.get_mut(&listener) else { return };
        if self.door.shut.is_some() {
            return;
        }
        self.courtesy.served_others(self.now);
        let again = known.ready_in + 1 == round;
        known.burst = if again { (known.burst * 2).min(BURST_MAX) } else { 1 };
        known.ready_in = round;
        for _ in 0..known.burst {
            match self.take_client(listener) {
                Taken::One => {}
                Taken::Nobody => break,
                Taken::Not(why) => return self.pause(why),
            }
        }
    }

    fn take_client(&mut self, listener: ListenerId) -> Taken {
        let Some(known) = self.door.listeners.get(&listener) else { return Taken::Nobody };
        if !self.parts.occupancy.enter() {
            return Taken::Not(Pause::ConnectionLimit);
        }
        self.parts.rest.disturb();
        match tcp::accept(&known.socket) {
            Ok((client, address)) => {
                let (origin, pool) = (Rc::clone(&known.origin), known.pool);
                origin.counters.count(Moment::Accepted);
                match self.parts.admission.enter(address.ip(), self.now) {
                    Ok(seat) => self.admit(client, address, seat, origin, pool),
                    Err(refusal) => self.refuse(client, address, &origin, pool, refused(refusal)),
                }
                Taken::One
            }
            Err(error) => {
                self.parts.occupancy.leave();
                match tcp::shortage(&error) {
                    Some(shortage) => Taken::Not(Pause::Shortage(shortage)),
                    None if error.kind() == io::ErrorKind::WouldBlock => Taken::Nobody,
                    // It does not listen any more, and is about to be closed.
                    None if error.kind() == io::ErrorKind::InvalidInput => Taken::Nobody,
                    // That client failed before it was taken; the next one need not.
                    None => Taken::One,
                }
            }
        }
    }

    fn admit(
        &mut self,
        client: OwnedFd,
        client_address: SocketAddr,
        seat: Seat,
        origin: Rc<Origin>,
        pool: PoolId,
    ) {
        let Some((snapshot, ticket)) = self.pools.admit(pool, self.prng.next_u64()) else {
            self.parts.admission.leave(client_address.ip(), seat, self.now);
            return self.refuse(client, client_address, &origin, pool, EndReason::NoPool);
        };
        let dial = Dial::new(snapshot, ticket, self.now);
        let key = self.connections.insert(Connection {
            client,
            client_address,
            seat,
            origin,
            pool,
            since: self.now,
            deadline: None,
            queued: false,
            duplex: Duplex::new(),
            redials: 0,
            phase: Phase::Held(Box::new(Held { dial, attempts: Vec::new() })),
        });
        // Before the endpoint's socket: what the client has sent already is then known when the endpoint is won.
        let registered = self.connections.get_mut(key).is_some_and(|connection| {
            self.parts.epoll.add(&connection.client, Token::Client(key).to_bits(), Interest::STREAM).is_ok()
        });
        if registered {
            self.drive(key);
        } else {
            self.end(key, EndReason::LocalFailure);
        }
    }

    /// Resets a client that cannot or may not be served.
    fn refuse(
        &mut self,
        client: OwnedFd,
        client_address: SocketAddr,
        origin: &Origin,
        pool: PoolId,
        reason: EndReason,
    ) {
        tcp::reset(client);
        self.parts.occupancy.leave();
        origin.counters.count(Moment::Ended { reason, was_open: false });
        self.tell(Event::Ended {
            listener: origin.listener,
            pool,
            endpoint: None,
            client: client_address,
            reason,
            bytes_up: 0,
            bytes_down: 0,
            lasted: Duration::ZERO,
        });
    }

    /// Stops taking clients: they wait in the kernel's queue, which costs nothing here.
    pub(super) fn pause(&mut self, why: Pause) {
        if self.door.shut.is_some() {
            return;
        }
        self.poll_listeners(Interest::NOTHING);
        self.parts.counters.count(WorkerMoment::AcceptPaused);
        let told = self.door.told.is_none_or(|told| self.now.since(told) >= PAUSE_TOLD_EVERY);
        if told {
            self.door.told = Some(self.now);
            self.tell(Event::AcceptPaused { worker: self.parts.index, why });
        }
        let spared = why == Pause::Shortage(Shortage::Descriptors) && self.means.spare_descriptors();
        let retry_at = if spared { self.now } else { self.now + PAUSE };
        self.door.shut = Some(Shut { since: self.now, retry_at, told });
    }

    /// A connection has ended: whoever waits is tried at the end of this round.
    pub(super) fn hasten_accepting(&mut self) {
        if let Some(shut) = &mut self.door.shut {
            shut.retry_at = self.now;
        }
    }

    /// Takes those who wait, when a pause is due to end; it goes on when there are more of them than can be taken.
    pub(super) fn retry_accepting(&mut self) {
        if self.door.shut.as_ref().is_none_or(|shut| shut.retry_at > self.now) {
            return;
        }
        let again = self.take_waiting();
        let now = self.now;
        let Some(shut) = &mut self.door.shut else { return };
        shut.retry_at = now + PAUSE;
        if again {
            return;
        }
        let (since, told) = (shut.since, shut.told);
        self.door.shut = None;
        self.poll_listeners(Interest::READABLE);
        self.parts.counters.count(WorkerMoment::AcceptResumed);
        if told {
            self.tell(Event::AcceptResumed { worker: self.parts.index, paused: now.since(since) });
        }
    }

    /// Whether some still wait.
    fn take_waiting(&mut self) -> bool {
        for listener in self.door.listeners.keys().copied().collect::<Vec<_>>() {
            for _ in 0..BURST_MAX {
                match self.take_client(listener) {
                    Taken::One => {}
                    Taken::Nobody => break,
                    Taken::Not(_) => return true,
                }
            }
        }
        false
    }

    fn poll_listeners(&self, interest: Interest) {
        for (listener, known) in &self.door.listeners {
            // They were registered when they were opened; changing that needs no memory.
            let _ = self.parts.epoll.modify(&known.socket, Token::Listener(listener.0).to_bits(), interest);
        }
    }
}

const fn refused(refusal: Refusal) -> EndReason {
    match refusal {
        Refusal::Network => EndReason::NotAllowed,
        Refusal::Connections => EndReason::SourceConnections,
        Refusal::Rate => EndReason::SourceRate,
    }
}
