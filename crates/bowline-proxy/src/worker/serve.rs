//! Relaying for an open connection, and learning from it.

use super::connection::{Flight, Phase};
use super::{BUFFER_SIZE, Worker};
use crate::relay::{Received, Side, Verdict};
use crate::report::EndReason;
use crate::slab::Key;
use crate::stats::Moment;
use crate::token::AttemptTag;
use bowline_pool::Evidence;
use bowline_sys::epoll::Event;
use bowline_sys::{clock, tcp};
use std::io;
use std::time::Duration;

impl Worker {
    pub(super) fn client_event(&mut self, key: Key, event: Event) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.duplex.notice(Side::Client, event.into());
        match (&connection.phase, event.failed()) {
            (Phase::Held(_), true) => self.end(key, EndReason::ClientLeft),
            // What it sends or ends while it is held is dealt with when it has an endpoint.
            (Phase::Held(_), false) => {}
            (Phase::Open(_), true) => self.fail(key, Side::Client),
            (Phase::Open(_), false) => self.serve(key),
        }
    }

    pub(super) fn endpoint_event(&mut self, key: Key, tag: AttemptTag, event: Event) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match &connection.phase {
            Phase::Held(_) => self.attempt_event(key, tag, event),
            Phase::Open(open) if open.tag == tag => {
                connection.duplex.notice(Side::Endpoint, event.into());
                if event.failed() { self.fail(key, Side::Endpoint) } else { self.serve(key) }
            }
            // An attempt that lost, in the same batch of events.
            Phase::Open(_) => {}
        }
    }

    /// Goes on with a connection that has used up its budget.
    pub(super) fn resume(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.queued = false;
            self.serve(key);
        }
    }

    /// Moves what can be moved.
    pub(super) fn serve(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Open(open) = &connection.phase else { return };
        let before = connection.duplex.received();
        let verdict = connection.duplex.run(&connection.client, &open.socket, &mut self.means);
        let (received, is_bulky) = (connection.duplex.received(), connection.duplex.is_bulky());
        self.learn(key, before, &verdict);
        self.conclude(key, verdict);
        self.share_cpu(received.all() - before.all(), is_bulky);
    }

    /// Gives way after a bulky move, if that is of use to the clients and a burden to nobody.
    fn share_cpu(&mut self, moved: u64, is_bulky: bool) {
        let is_much = moved >= BUFFER_SIZE as u64;
        if moved > 0 && !is_much && !is_bulky {
            self.courtesy.served_others(self.now);
        }
        if !is_much || !self.means.are_several_bulky() || !self.courtesy.is_due(self.now) {
            return;
        }
        let before = clock::monotonic_nanos();
        std::thread::yield_now();
        let took = Duration::from_nanos(clock::monotonic_nanos().saturating_sub(before));
        self.courtesy.gave_way(took, self.now);
    }

    /// One side's socket says that it has failed.
    fn fail(&mut self, key: Key, side: Side) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Open(open) = &connection.phase else { return };
        let before = connection.duplex.received();
        let error = match side {
            Side::Client => tcp::take_error(&connection.client),
            Side::Endpoint => tcp::take_error(&open.socket),
        };
        let error = error.unwrap_or_else(|| io::ErrorKind::ConnectionReset.into());
        let verdict = connection.duplex.fail(side, error, &connection.client, &open.socket, &mut self.means);
        self.learn(key, before, &verdict);
        self.conclude(key, verdict);
    }

    /// Counts bytes, and tells the pool what they, or their absence, say about the endpoint.
    fn learn(&mut self, key: Key, before: Received, verdict: &Verdict) {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Open(open) = &mut connection.phase else { return };
        let received = connection.duplex.received();
        let moved = Received { up: received.up - before.up, down: received.down - before.down };
        if moved != Received::default() {
            connection.origin.counters.count(Moment::Moved { up: moved.up, down: moved.down });
        }
        if open.flight == Flight::Grounded && received.up > 0 {
            open.flight = Flight::Since(now);
            let due = now + self.pools.first_flight(connection.pool);
            if connection.deadline.is_none_or(|deadline| deadline > due) {
                self.deadlines.set(key, &mut connection.deadline, Some(due));
            }
        }
        let (pool, endpoint) = (connection.pool, open.endpoint);
        if received.down > 0 {
            open.flight = Flight::Over;
        } else if open.flight != Flight::Over
            && received.up > 0
            && (connection.duplex.closed_unanswered()
                || matches!(verdict, Verdict::Failed(Side::Endpoint, _)))
        {
            open.flight = Flight::Over;
            self.tell_pool(pool, endpoint, Evidence::ClosedUnanswered);
        }
        if moved.down > 0 && self.pools.is_news(pool, endpoint, now) {
            self.tell_pool(pool, endpoint, Evidence::Answered);
        }
    }

    fn conclude(&mut self, key: Key, verdict: Verdict) {
        match verdict {
            Verdict::Waiting => {}
            Verdict::Unfinished => {
                if let Some(connection) = self.connections.get_mut(key)
                    && !connection.queued
                {
                    connection.queued = true;
                    self.unfinished.push_back(key);
                }
            }
            Verdict::Unanswered => {
                if !self.redial(key) {
                    self.pass_on_end(key);
                }
            }
            Verdict::Closed => self.end(key, EndReason::Closed),
            Verdict::Failed(Side::Endpoint, error) => {
                if !self.redial(key) {
                    self.end(key, end_reason(Side::Endpoint, &error));
                }
            }
            Verdict::Failed(Side::Client, error) => self.end(key, end_reason(Side::Client, &error)),
        }
    }

    /// The connection is as old as a first flight may stay unanswered, or its first flight is; or it has been silent for long.
    pub(super) fn serve_timeout(&mut self, key: Key) {
        let (now, keep_alive) = (self.now, self.parts.keep_alive);
        let Some(connection) = self.connections.get_mut(key) else { return };
        let Phase::Open(open) = &mut connection.phase else { return };
        if !open.settled {
            open.settled = true;
            // It fails only on a connection that has failed, of which there is an event to come.
            let _ = tcp::set_keep_alive(&open.socket, keep_alive);
        }
        let sent = match open.flight {
            Flight::Since(sent) => sent,
            Flight::Over => return,
            Flight::Grounded => {
                let Some(first_byte) = self.parts.first_byte else { return };
                let due = connection.since + first_byte;
                if due > now {
                    return self.deadlines.set(key, &mut connection.deadline, Some(due));
                }
                return self.end(key, EndReason::Silent);
            }
        };
        let due = sent + self.pools.first_flight(connection.pool);
        if due > now {
            return self.deadlines.set(key, &mut connection.deadline, Some(due));
        }
        open.flight = Flight::Over;
        let (pool, endpoint) = (connection.pool, open.endpoint);
        self.tell_pool(pool, endpoint, Evidence::UnansweredFlight);
        self.redial(key);
    }
}

fn end_reason(side: Side, error: &io::Error) -> EndReason {
    let vanished = matches!(
        error.kind(),
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable
    );
    match (side, vanished) {
        (Side::Client, false) => EndReason::ClientReset,
        (Side::Client, true) => EndReason::ClientTimedOut,
        (Side::Endpoint, false) => EndReason::EndpointReset,
        (Side::Endpoint, true) => EndReason::EndpointTimedOut,
    }
}
