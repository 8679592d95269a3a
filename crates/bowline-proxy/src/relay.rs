//! Moving bytes both ways between two ends.
//!
//! ```text
//!              up:   client ──▶ shared buffer, or a pipe once it is bulky ──▶ endpoint
//!              down: client ◀── shared buffer, or a pipe once it is bulky ◀── endpoint
//!
//!  each direction:  Flowing ──end of stream read, all delivered──▶ Finished ──FIN passed on──▶ Ended
//! ```
//!
//! No socket is owned here: the two ends are behind [`Wire`], what moves the bytes is lent ([`Means`]), and readiness is told by
//! [`Duplex::notice`], because epoll tells each change once. What a sink refuses is kept and nothing more is read from the
//! source until it is gone: at most one buffer or one pipe for each direction, and back-pressure for the peer.
//!
//! A failure of either side is a failure of the connection: the caller resets both. Bytes that the failed side had sent before
//! are still passed on as far as the other side takes them at once, since they may be its last words (a TLS alert).

mod direction;
mod means;

use crate::first_flight::Kept;
use bowline_sys::pipe::Pipe;
use direction::{Direction, Fault, Phase, Pumped};
pub(crate) use means::{Means, Pipes};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// One end of a connection: a socket that never blocks, or a model of one.
pub(crate) trait Wire {
    /// Takes bytes from one end to the other without copying them.
    type Pipe;
    /// Reads what has arrived; zero is the end of the stream.
    fn receive(&self, into: &mut [u8]) -> io::Result<usize>;
    /// Like [`Wire::receive`], and leaves it there.
    fn peek(&self, into: &mut [u8]) -> io::Result<usize>;
    /// Drops up to as many received bytes as `scratch` is long.
    fn discard(&self, scratch: &mut [u8]) -> io::Result<usize>;
    /// Moves up to `most` received bytes into an empty pipe. That it moves none proves nothing.
    fn fill(&self, pipe: &Self::Pipe, most: usize) -> io::Result<usize>;
    /// Moves up to `most` bytes out of a pipe; no more room is told by `WouldBlock` alone.
    fn drain(&self, pipe: &Self::Pipe, most: usize) -> io::Result<usize>;
    /// Writes what there is room for.
    fn send(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Ends our direction.
    fn finish(&self) -> io::Result<()>;
    /// Much will come from here: what may lie here unread is bounded, where that costs no speed.
    fn bound_backlog(&self);
}

impl Wire for OwnedFd {
    type Pipe = Pipe;

    fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        bowline_sys::tcp::receive(self, into)
    }

    fn peek(&self, into: &mut [u8]) -> io::Result<usize> {
        bowline_sys::tcp::peek(self, into)
    }

    fn discard(&self, scratch: &mut [u8]) -> io::Result<usize> {
        bowline_sys::tcp::discard(self, scratch)
    }

    fn fill(&self, pipe: &Pipe, most: usize) -> io::Result<usize> {
        pipe.fill(self, most)
    }

    fn drain(&self, pipe: &Pipe, most: usize) -> io::Result<usize> {
        pipe.drain(self, most)
    }

    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        bowline_sys::tcp::send(self, bytes)
    }

    fn finish(&self) -> io::Result<()> {
        bowline_sys::tcp::finish(self)
    }

    fn bound_backlog(&self) {
        let round_trip = bowline_sys::tcp_info::round_trip(self);
        if round_trip.is_ok_and(|time| time <= SHORT_PATH) {
            // Without the bound all goes on, at the cost of memory.
            let _ = bowline_sys::tcp::set_receive_buffer(self, SHORT_PATH_BACKLOG);
        }
    }
}

/// A round trip within which [`SHORT_PATH_BACKLOG`] is more than 10 Gbit/s bring.
const SHORT_PATH: Duration = Duration::from_micros(200);

/// What the kernel queues for one of several bulky directions, on a short path. Left alone it lets each queue grow to `tcp_rmem`'s
/// maximum, 6 MiB or 32: bytes that have left the processor's cache before they are moved, and memory that clients hold which do
/// not read. Measured with 16 bulky connections on one core: 1.5 times the bytes for half the proxy's time. A connection that has
/// the worker to itself is left alone: there fewer, larger moves win.
const SHORT_PATH_BACKLOG: usize = 256 * 1024;

/// One of the two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Client,
    Endpoint,
}

/// What has become possible at one end.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Readiness {
    /// There may be something to receive.
    pub(crate) readable: bool,
    /// There may be room to send.
    pub(crate) writable: bool,
    /// The peer has sent its end of stream; bytes may lie before it.
    pub(crate) finished: bool,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Nothing can be done until an end is ready again.
    Waiting,
    /// The budget is used up; run again without waiting for an event, since none may come.
    Unfinished,
    /// The endpoint has ended before it said anything, and the client can still be moved to another one
    /// ([`Duplex::start_over`]); to pass the end on, [`Duplex::stay`] and run again.
    Unanswered,
    /// Both directions have ended and everything was delivered: close both ends.
    Closed,
    /// One end has failed: reset both.
    Failed(Side, io::Error),
}

/// Both directions of a connection.
#[derive(Debug)]
pub(crate) struct Duplex<P> {
    up: Direction<P>,
    down: Direction<P>,
    /// What the client has sent, until something comes back.
    kept: Kept,
}

impl<P> Duplex<P> {
    pub(crate) fn new() -> Self {
        Self { up: Direction::default(), down: Direction::default(), kept: Kept::new() }
    }

    /// Remembers what an event said.
    pub(crate) fn notice(&mut self, side: Side, readiness: Readiness) {
        let (source, sink) = match side {
            Side::Client => (&mut self.up, &mut self.down),
            Side::Endpoint => (&mut self.down, &mut self.up),
        };
        source.source_ready |= readiness.readable;
        source.source_finished |= readiness.finished;
        sink.sink_ready |= readiness.writable;
    }

    /// Moves what can be moved, with `means`.
    pub(crate) fn run<W: Wire<Pipe = P>>(
        &mut self,
        client: &W,
        endpoint: &W,
        means: &mut Means<P>,
    ) -> Verdict {
        let holds = self.holds();
        let down = self.down.pump(endpoint, client, means, &mut Kept::never());
        if self.down.received > 0 {
            self.kept = Kept::never();
        }
        let settled = self.holds();
        means.settle(holds, settled);
        let up = self.up.pump(client, endpoint, means, &mut self.kept);
        means.settle(settled, self.holds());
        match (down, up) {
            (Ok(_), Ok(_)) if self.closed_unanswered() && self.is_repeatable() => Verdict::Unanswered,
            (Ok(down), Ok(up)) => self.conclude(client, endpoint, down, up),
            (Err(Fault::Source(error)), _) => Verdict::Failed(Side::Endpoint, error),
            (Err(Fault::Sink(error)), _) => Verdict::Failed(Side::Client, error),
            (Ok(_), Err(Fault::Source(error))) => Verdict::Failed(Side::Client, error),
            (Ok(_), Err(Fault::Sink(error))) => self.fail(Side::Endpoint, error, client, endpoint, means),
        }
    }

    /// Ends the connection because `side` has failed, after passing on its last words.
    ///
    /// Never passes on an end of stream: a socket whose error was taken reads as if it had ended well.
    pub(crate) fn fail<W: Wire<Pipe = P>>(
        &mut self,
        side: Side,
        error: io::Error,
        client: &W,
        endpoint: &W,
        means: &mut Means<P>,
    ) -> Verdict {
        let holds = self.holds();
        // What becomes of them changes nothing: the connection is over.
        let _ = match side {
            Side::Client => self.up.pump(client, endpoint, means, &mut Kept::never()),
            Side::Endpoint => self.down.pump(endpoint, client, means, &mut Kept::never()),
        };
        means.settle(holds, self.holds());
        Verdict::Failed(side, error)
    }

    fn conclude<W: Wire>(&mut self, client: &W, endpoint: &W, down: Pumped, up: Pumped) -> Verdict {
        match (self.down.phase, self.up.phase) {
            // The closing of both sockets passes on what was not yet passed on.
            (Phase::Finished | Phase::Ended, Phase::Finished | Phase::Ended) => return Verdict::Closed,
            (Phase::Finished, Phase::Flowing) => {
                if let Err(error) = client.finish() {
                    return Verdict::Failed(Side::Client, error);
                }
                self.down.phase = Phase::Ended;
            }
            (Phase::Flowing, Phase::Finished) => {
                if let Err(error) = endpoint.finish() {
                    return Verdict::Failed(Side::Endpoint, error);
                }
                self.up.phase = Phase::Ended;
            }
            (Phase::Flowing | Phase::Ended, Phase::Flowing) | (Phase::Flowing, Phase::Ended) => {}
        }
        match (down, up) {
            (Pumped::Blocked, Pumped::Blocked) => Verdict::Waiting,
            (Pumped::Unfinished, Pumped::Blocked | Pumped::Unfinished)
            | (Pumped::Blocked, Pumped::Unfinished) => Verdict::Unfinished,
        }
    }

    /// The connection is over: gives back what it was lent, with the bytes that are still in it.
    pub(crate) fn dismantle(mut self, means: &mut Means<P>) {
        let holds = self.holds();
        self.up.dismantle(means);
        self.down.dismantle(means);
        means.settle(holds, 0);
    }

    /// Bytes that are kept for it.
    fn holds(&self) -> usize {
        self.up.waits() + self.down.waits() + self.kept.len()
    }

    /// Bytes taken from the client and from the endpoint so far.
    pub(crate) const fn received(&self) -> Received {
        Received { up: self.up.received, down: self.down.received }
    }

    /// Whether much is coming in one of the directions.
    pub(crate) const fn is_bulky(&self) -> bool {
        self.up.is_bulky() || self.down.is_bulky()
    }

    /// Whether another endpoint can be given all that the client has sent, as if this one had never been.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.down.received == 0 && self.up.phase == Phase::Flowing && self.kept.repeatable().is_some()
    }

    /// Forgets the endpoint: what the client has sent is sent to the next one.
    pub(crate) fn start_over(&mut self, means: &mut Means<P>) {
        debug_assert!(self.is_repeatable(), "bytes are lost or sent twice");
        let holds = self.holds();
        self.up.send_first(self.kept.repeatable().unwrap_or_default());
        self.up.sink_ready = false;
        let client_ready = self.down.sink_ready;
        self.down = Direction::default();
        self.down.sink_ready = client_ready;
        means.settle(holds, self.holds());
    }

    /// Sends `preface` to the endpoint before anything of the client's; it is no part of what was received.
    pub(crate) fn precede(&mut self, preface: &[u8], means: &mut Means<P>) {
        let holds = self.holds();
        self.up.put_before(preface);
        means.settle(holds, self.holds());
    }

    /// The client stays with its endpoint, whatever comes.
    pub(crate) fn stay(&mut self) {
        self.kept = Kept::never();
    }

    /// The endpoint has ended its direction before it sent a byte, although the client sent some and has not ended.
    pub(crate) fn closed_unanswered(&self) -> bool {
        self.down.phase != Phase::Flowing
            && self.up.phase == Phase::Flowing
            && self.down.received == 0
            && self.up.received > 0
    }
}

/// Bytes taken from each side.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Received {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

impl Received {
    pub(crate) const fn all(self) -> u64 {
        self.up + self.down
    }
}

#[cfg(test)]
mod tests;
