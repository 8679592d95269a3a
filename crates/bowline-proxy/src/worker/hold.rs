//! Holding a client while an endpoint is dialled for it.

use super::Worker;
use super::connection::{Attempting, Flight, Open, Phase};
use crate::config::PoolId;
use crate::preface;
use crate::relay::{Readiness, Side};
use crate::report::{EndReason, Pause};
use crate::slab::Key;
use crate::stats::Moment;
use crate::token::{AttemptTag, Token};
use bowline_pool::{Attempt, ConnectionLease, DialInput, DialOutput, EndpointId, GiveUp, Snapshot};
use bowline_sansio::Machine;
use bowline_sys::epoll::{Event, Interest};
use bowline_sys::tcp;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// How a dial ended.
enum Over {
    Won(Attempt),
    GaveUp(GiveUp),
}

impl Worker {
    /// Does what the dial wants until it waits or is over.
    pub(super) fn drive(&mut self, key: Key) {
        // Outcomes that were known at once; a dial has few attempts in flight.
        let mut answers = Vec::new();
        let over = loop {
            let mut over = None;
            while let Some(output) = self.dial_output(key) {
                match output {
                    DialOutput::Connect { attempt, endpoint, address, lease } => {
                        answers.extend(self.attempt(key, attempt, endpoint, address, lease));
                    }
                    DialOutput::Abort { attempt } => self.abort(key, attempt),
                    DialOutput::Won { attempt, endpoint: _ } => over = Some(Over::Won(attempt)),
                    DialOutput::GiveUp(why) => over = Some(Over::GaveUp(why)),
                    DialOutput::Report { endpoint, evidence } => {
                        if let Some(connection) = self.connections.get_mut(key) {
                            let pool = connection.pool;
                            self.tell_pool(pool, endpoint, evidence);
                        }
                    }
                }
            }
            match (over, answers.pop()) {
                (Some(over), _) => break Some(over),
                (None, Some(answer)) => self.dial_input(key, answer),
                (None, None) => break None,
            }
        };
        match over {
            Some(Over::Won(attempt)) => self.won(key, attempt),
            Some(Over::GaveUp(why)) => self.end(key, EndReason::GaveUp(why)),
            None => self.arm_dial(key),
        }
    }

    fn dial_output(&mut self, key: Key) -> Option<DialOutput> {
        match &mut self.connections.get_mut(key)?.phase {
            Phase::Held(held) => held.dial.poll_output(),
            Phase::Open(_) => None,
        }
    }

    fn dial_input(&mut self, key: Key, input: DialInput) {
        let now = self.now;
        match self.connections.get_mut(key).map(|connection| &mut connection.phase) {
            Some(Phase::Held(held)) => held.dial.handle(input, now),
            Some(Phase::Open(_)) | None => {}
        }
    }

    fn arm_dial(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match &connection.phase {
            Phase::Held(held) => {
                let next = held.dial.poll_timeout();
                self.deadlines.set(key, &mut connection.deadline, next);
            }
            Phase::Open(_) => {}
        }
    }

    pub(super) fn dial_timeout(&mut self, key: Key) {
        self.dial_input(key, DialInput::Timeout);
        self.drive(key);
    }

    /// Shows a new snapshot to everybody who is held in its pool.
    pub(super) fn wake_held(&mut self, pool: PoolId, snapshot: &Arc<Snapshot>) {
        // Held clients are few and snapshots rare: looking at every connection is cheaper than keeping a list of the held ones.
        for key in self.connections.keys().collect::<Vec<_>>() {
            let waits = self.connections.get_mut(key).is_some_and(|connection| match connection.phase {
                Phase::Held(_) => connection.pool == pool,
                Phase::Open(_) => false,
            });
            if waits {
                self.dial_input(key, DialInput::Snapshot(Arc::clone(snapshot)));
                self.drive(key);
            }
        }
    }

    /// Begins to connect; the answer, when it is known at once.
    fn attempt(
        &mut self,
        key: Key,
        attempt: Attempt,
        endpoint: EndpointId,
        address: SocketAddr,
        lease: ConnectionLease,
    ) -> Option<DialInput> {
        let connection = self.connections.get_mut(key)?;
        let Phase::Held(held) = &mut connection.phase else { return None };
        let parked =
            if self.parking.is_empty() { None } else { self.parking.take(connection.pool, endpoint) };
        let at_once = parked.is_some();
        let socket = match parked.map_or_else(|| tcp::connect(address), Ok) {
            Ok(socket) => socket,
            Err(error) => {
                if let Some(shortage) = tcp::shortage(&error) {
                    self.pause(Pause::Shortage(shortage));
                }
                return Some(failure(attempt, &error));
            }
        };
        if let Some(congestion) = &self.parts.loopback_congestion
            && address.ip().is_loopback()
        {
            // Without it the connection is slower, not worse.
            let _ = tcp::set_congestion(&socket, congestion);
        }
        let token = Token::Endpoint(key, AttemptTag::from(attempt)).to_bits();
        if self.parts.epoll.add(&socket, token, Interest::STREAM).is_err() {
            return Some(DialInput::LocalFailure(attempt));
        }
        let readiness = Readiness { writable: at_once, ..Readiness::default() };
        held.attempts.push(Attempting { attempt, endpoint, socket, lease, readiness });
        if at_once {
            self.count_parking();
        }
        at_once.then_some(DialInput::Connected(attempt))
    }

    /// What became of an attempt.
    pub(super) fn attempt_event(&mut self, key: Key, tag: AttemptTag, event: Event) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Held(held) = &mut connection.phase else { return };
        let Some(at) = held.attempts.iter().position(|a| AttemptTag::from(a.attempt) == tag) else { return };
        let Some(attempting) = held.attempts.get_mut(at) else { return };
        let attempt = attempting.attempt;
        let answer = if event.failed() {
            let error = tcp::take_error(&attempting.socket);
            held.attempts.swap_remove(at);
            failure(attempt, &error.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into()))
        } else {
            attempting.readiness = event.into();
            DialInput::Connected(attempt)
        };
        self.dial_input(key, answer);
        self.drive(key);
    }

    fn abort(&mut self, key: Key, attempt: Attempt) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Held(held) = &mut connection.phase else { return };
        let Some(at) = held.attempts.iter().position(|a| a.attempt == attempt) else { return };
        let (pool, attempting) = (connection.pool, held.attempts.swap_remove(at));
        self.abandon(pool, attempting);
    }

    /// Closes an attempt, or parks it when it is a connection by now.
    pub(super) fn abandon(&mut self, pool: PoolId, attempting: Attempting) {
        let Attempting { endpoint, socket, .. } = attempting;
        // What is parked is not registered, so that no event can find its way to a connection that it is no part of.
        if !self.stopping && tcp::is_untouched(&socket) && self.parts.epoll.remove(&socket).is_ok() {
            self.parking.park(pool, endpoint, socket, self.now);
            self.count_parking();
        }
    }

    /// The client is held no more: from now on bytes are relayed.
    fn won(&mut self, key: Key, attempt: Attempt) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Held(held) = &mut connection.phase else { return };
        let Some(at) = held.attempts.iter().position(|a| a.attempt == attempt) else { return };
        let Attempting { attempt, endpoint, socket, lease, readiness } = held.attempts.swap_remove(at);
        let losers = std::mem::take(&mut held.attempts);
        let open = Open {
            socket,
            tag: AttemptTag::from(attempt),
            attempts: held.dial.attempts(),
            endpoint,
            _lease: lease,
            flight: Flight::Grounded,
            settled: false,
        };
        connection.phase = Phase::Open(open);
        connection.duplex.notice(Side::Endpoint, readiness);
        if self.pools.introduces(connection.pool)
            && let Ok(local) = tcp::local_address(&connection.client)
        {
            let header = preface::header(connection.client_address, local);
            connection.duplex.precede(&header, &mut self.means);
        }
        connection.origin.counters.count(Moment::Opened);
        let pool = connection.pool;
        let settle_at = now + self.pools.first_flight(pool);
        self.deadlines.set(key, &mut connection.deadline, Some(settle_at));
        self.pools.released(pool);
        for loser in losers {
            self.abandon(pool, loser);
        }
        self.serve(key);
    }
}

/// What an error says about an endpoint.
fn failure(attempt: Attempt, error: &io::Error) -> DialInput {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => DialInput::Refused(attempt),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => DialInput::Unreachable(attempt),
        io::ErrorKind::TimedOut => DialInput::TimedOut(attempt),
        // Everything else is trouble of this host: descriptors, ports, permissions.
        _ => DialInput::LocalFailure(attempt),
    }
}
