//! One worker: one thread, one epoll instance, its own listeners and connections.
//!
//! ```text
//!   accept ─▶ Held: a Dial picks, attempts race ──Won──▶ Open: Duplex relays ──▶ closed, or both sides reset
//!                          │                                    │
//!                          └─ GiveUp: client reset              └─ evidence: unanswered first flight, closed unanswered
//! ```
//!
//! This file has the loop, what is shared by all of it, and the end of a connection; `accept` lets clients in, `hold` dials for
//! them, `serve` relays.

mod accept;
mod connection;
mod hold;
mod pools;
mod redial;
mod serve;

use crate::admission::Admission;
use crate::config::{ListenerId, PoolId};
use crate::courtesy::Courtesy;
use crate::deadlines::Deadlines;
use crate::mailbox::{Command, Mailbox};
use crate::occupancy::Occupancy;
use crate::parked::Parking;
use crate::pulse::{Pulse, Rest};
use crate::rate::Rate;
use crate::relay::{Means, Pipes};
use crate::report::{EndReason, Event, Report, Sink};
use crate::slab::{Key, Slab};
use crate::stats::{Moment, WorkerCounters, WorkerMoment};
use crate::token::Token;
use accept::Door;
use bowline_pool::{EndpointId, Evidence};
use bowline_sansio::{Instant, Prng};
use bowline_sys::epoll::{self, Epoll, Events};
use bowline_sys::pipe::Pipe;
use bowline_sys::{clock, tcp};
use connection::{Connection, Origin, Phase};
use pools::Pools;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Events taken from the kernel at once; more stay there for the next round.
const EVENTS_MAX: usize = 256;

/// Full batches of events after each other before deadlines are judged all the same. Until then what came in goes first: after a
/// stall of this host thousands of answers can wait beside deadlines that passed only because nobody read them.
const FULL_BATCHES_MAX: u32 = 128;

/// The buffer through which a worker moves all bytes: large enough that a bulky connection needs few calls, small enough to stay
/// in the second-level cache.
const BUFFER_SIZE: usize = 64 * 1024;

/// What a pipe holds: as much as an unprivileged process may ask for (`fs.pipe-max-size`), so that a bulky direction needs few
/// calls.
const PIPE_SIZE: usize = 1 << 20;

/// Events an operator is told at once, and then how often: a burst shows what is happening, a storm is left to the counters.
const EVENTS_TOLD: (u32, Duration) = (20, Duration::from_millis(100));

/// What a worker is made of, before its thread runs.
pub(crate) struct Parts {
    pub(crate) index: usize,
    pub(crate) seed: u64,
    pub(crate) keep_alive: tcp::KeepAlive,
    /// What [`crate::Config::first_byte`] says.
    pub(crate) first_byte: Option<Duration>,
    pub(crate) loopback_congestion: Option<String>,
    /// Pipes that this worker may have at a time.
    pub(crate) pipes_max: usize,
    /// Bytes that this worker may keep at a time for peers that do not take them.
    pub(crate) unsent_max: usize,
    /// The mailbox's waker is registered already.
    pub(crate) epoll: Arc<Epoll>,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) counters: Arc<WorkerCounters>,
    pub(crate) occupancy: Arc<Occupancy>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) pulse: Arc<Pulse>,
    /// Of the thread that watches, which the first client disturbs.
    pub(crate) rest: Arc<Rest>,
    pub(crate) sink: Arc<dyn Sink>,
}

pub(crate) struct Worker {
    parts: Parts,
    door: Door,
    pools: Pools,
    connections: Slab<Connection>,
    deadlines: Deadlines,
    /// Connections that used up their budget and have more to do.
    unfinished: VecDeque<Key>,
    parking: Parking,
    means: Means<Pipe>,
    courtesy: Courtesy,
    prng: Prng,
    told: Rate,
    now: Instant,
    /// Waits so far.
    round: u64,
    /// Batches up to now that were full, so that more events may lie in the kernel.
    full_batches: u32,
    stopping: bool,
}

impl Worker {
    pub(crate) fn new(parts: Parts) -> Self {
        let now = Instant::from_nanos(clock::monotonic_nanos());
        Self {
            door: Door::new(),
            pools: Pools::new(),
            connections: Slab::new(),
            deadlines: Deadlines::new(),
            unfinished: VecDeque::new(),
            parking: Parking::new(),
            means: Means::new(
                BUFFER_SIZE,
                Pipes::new(parts.pipes_max, PIPE_SIZE, Pipe::new),
                parts.unsent_max,
            ),
            courtesy: Courtesy::new(now),
            prng: Prng::new(parts.seed),
            told: Rate::new(EVENTS_TOLD.0, EVENTS_TOLD.1, now),
            now,
            round: 0,
            full_batches: 0,
            stopping: false,
            parts,
        }
    }

    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.stopping {
            // What had come in until then has been handled when this round is over, and not what came in later: this thread may be
            // stopped at any point, and must not take for overdue what it has not looked for.
            let judged = self.now;
            let timeout = self.timeout();
            self.parts.pulse.rest();
            // It fails only when a descriptor or a pointer is wrong, which would be our bug.
            self.parts.epoll.wait(&mut events, timeout).expect("epoll_wait on our own instance");
            self.now = Instant::from_nanos(clock::monotonic_nanos());
            self.parts.pulse.work(self.now);
            self.round += 1;
            // Only those that were unfinished before this round: what they leave unfinished again waits for the next one.
            for _ in 0..self.unfinished.len() {
                if let Some(key) = self.unfinished.pop_front() {
                    self.resume(key);
                }
            }
            for event in (0..events.len()).filter_map(|index| events.get(index)) {
                self.dispatch(event);
            }
            self.full_batches = if events.len() < EVENTS_MAX { 0 } else { self.full_batches + 1 };
            if self.full_batches.is_multiple_of(FULL_BATCHES_MAX) {
                self.fire_deadlines(judged);
            }
            let (clients, unsent, pipes) = (self.connections.len(), self.means.unsent(), self.means.pipes());
            self.parts.counters.count(WorkerMoment::Holding { clients, unsent, pipes });
        }
        self.end_all();
    }

    fn timeout(&self) -> Option<Duration> {
        if !self.unfinished.is_empty() {
            return Some(Duration::ZERO);
        }
        let deadlines = [self.deadlines.next(), self.door.next(), self.parking.next()];
        // The clock was read before this round's work; by as much as that took, the wait ends late.
        deadlines.into_iter().flatten().min().map(|deadline| deadline.since(self.now))
    }

    fn dispatch(&mut self, event: epoll::Event) {
        match Token::from_bits(event.token()) {
            Token::Mailbox => self.obey(),
            Token::Listener(number) => self.accept_ready(ListenerId(number)),
            Token::Client(key) => self.client_event(key, event),
            Token::Endpoint(key, tag) => self.endpoint_event(key, tag, event),
        }
    }

    /// Fires what was due at `judged`.
    fn fire_deadlines(&mut self, judged: Instant) {
        while let Some(key) = self.deadlines.take_due(judged) {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            connection.deadline = None;
            match connection.phase {
                Phase::Held(_) => self.dial_timeout(key),
                Phase::Open(_) => self.serve_timeout(key),
            }
        }
        self.retry_accepting();
        if self.parking.next().is_some_and(|until| until <= self.now) {
            self.parking.expire(self.now);
            self.count_parking();
        }
    }

    fn obey(&mut self) {
        let commands = self.parts.mailbox.take();
        self.parts.pulse.answer(self.now, clock::thread_ran());
        for command in commands {
            match command {
                Command::SetPool { pool, snapshot } => {
                    self.pools.set(pool, Arc::clone(&snapshot));
                    self.wake_held(pool, &snapshot);
                }
                Command::RemovePool { pool } => self.pools.remove(pool),
                Command::Introduce { pool, on } => self.pools.introduce(pool, on),
                Command::Open { listener, address, socket, pool, counters } => {
                    self.open(Origin { listener, address, counters }, socket, pool);
                }
                Command::Retarget { listener, pool } => self.door.retarget(listener, pool),
                Command::Close { listener, done } => {
                    self.close(listener);
                    drop(done);
                }
                Command::Evict { addresses, done } => {
                    self.evict(&addresses);
                    drop(done);
                }
                Command::Stop => self.stopping = true,
            }
        }
    }

    /// Lets go of everybody who came in through one of `addresses`, and takes nobody else there.
    fn evict(&mut self, addresses: &[IpAddr]) {
        self.door.shut_out(addresses);
        let came_there = |(key, connection): (Key, &Connection)| {
            addresses.contains(&connection.origin.address.ip()).then_some(key)
        };
        for key in self.connections.iter().filter_map(came_there).collect::<Vec<_>>() {
            self.end(key, EndReason::Evicted);
        }
    }

    /// Resets every connection.
    fn end_all(&mut self) {
        for key in self.connections.keys().collect::<Vec<_>>() {
            self.end(key, EndReason::Stopped);
        }
    }

    /// Ends a connection: a good end closes both sides, any other resets them, so that neither peer waits or takes a part of a
    /// stream for the whole.
    fn end(&mut self, key: Key, reason: EndReason) {
        let Some(mut connection) = self.connections.remove(key) else { return };
        self.deadlines.set(key, &mut connection.deadline, None);
        let received = connection.duplex.received();
        connection.duplex.dismantle(&mut self.means);
        let (endpoint, was_open) = match connection.phase {
            Phase::Held(held) => {
                for attempt in held.attempts {
                    self.abandon(connection.pool, attempt);
                }
                (None, false)
            }
            Phase::Open(open) => {
                let id = open.endpoint;
                close(open.socket, reason);
                (Some(id), true)
            }
        };
        close(connection.client, reason);
        connection.origin.counters.count(Moment::Ended { reason, was_open });
        if !was_open {
            self.pools.released(connection.pool);
        }
        self.parts.occupancy.leave();
        self.parts.admission.leave(connection.client_address.ip(), connection.seat, self.now);
        if reason != EndReason::Closed {
            self.tell(Event::Ended {
                listener: connection.origin.listener,
                pool: connection.pool,
                endpoint,
                client: connection.client_address,
                reason,
                bytes_up: received.up,
                bytes_down: received.down,
                lasted: self.now.since(connection.since),
            });
        }
        self.hasten_accepting();
    }

    /// Tells an operator, at a bounded rate.
    fn tell(&mut self, event: Event) {
        if self.told.admit(self.now) {
            self.report(Report::Event(event));
        } else {
            self.parts.counters.count(WorkerMoment::EventSuppressed);
        }
    }

    fn tell_pool(&self, pool: PoolId, endpoint: EndpointId, evidence: Evidence) {
        self.report(Report::Evidence { pool, endpoint, evidence });
    }

    fn report(&self, report: Report) {
        if !self.parts.sink.report(report) {
            self.parts.counters.count(WorkerMoment::ReportDropped);
        }
    }

    fn count_parking(&self) {
        self.parts.counters.count(WorkerMoment::Parking(self.parking.len()));
    }
}

fn close(socket: std::os::fd::OwnedFd, reason: EndReason) {
    match reason {
        EndReason::Closed => drop(socket),
        EndReason::ClientReset
        | EndReason::EndpointReset
        | EndReason::ClientTimedOut
        | EndReason::EndpointTimedOut
        | EndReason::ClientLeft
        | EndReason::GaveUp(_)
        | EndReason::NoPool
        | EndReason::NotAllowed
        | EndReason::SourceConnections
        | EndReason::SourceRate
        | EndReason::Silent
        | EndReason::LocalFailure
        | EndReason::Evicted
        | EndReason::Stopped => tcp::reset(socket),
    }
}
