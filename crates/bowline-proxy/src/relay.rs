//! Moving bytes both ways between two ends.
//!
//! ```text
//!              up:   client ──receive──▶ shared buffer ──send──▶ endpoint
//!              down: client ◀──send── shared buffer ◀──receive── endpoint
//!
//!  each direction:  Flowing ──end of stream read, all delivered──▶ Finished ──FIN passed on──▶ Ended
//! ```
//!
//! No socket is owned here: the two ends are behind [`Wire`], and readiness is told by [`Duplex::notice`], because epoll tells
//! each change once. What a sink refuses is kept ([`Direction::refused`]) and nothing more is read from the source until it is
//! gone: at most one buffer of memory for each direction, and back-pressure for the peer.
//!
//! A failure of either side is a failure of the connection: the caller resets both. Bytes that the failed side had sent before
//! are still passed on as far as the other side takes them at once, since they may be its last words (a TLS alert).

use crate::first_flight::Kept;
use std::io;
use std::os::fd::OwnedFd;

/// One end of a connection: a socket that never blocks, or a model of one.
pub(crate) trait Wire {
    /// Reads what has arrived; zero is the end of the stream.
    fn receive(&self, into: &mut [u8]) -> io::Result<usize>;
    /// Writes what there is room for.
    fn send(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Ends our direction.
    fn finish(&self) -> io::Result<()>;
}

impl Wire for OwnedFd {
    fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        bowline_sys::tcp::receive(self, into)
    }

    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        bowline_sys::tcp::send(self, bytes)
    }

    fn finish(&self) -> io::Result<()> {
        bowline_sys::tcp::finish(self)
    }
}

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

/// Buffers that one direction may move in one run: keeps a bulky connection from starving the others, and is several, so that
/// coming back costs little beside copying.
const BUDGET: usize = 4;

/// Both directions of a connection.
#[derive(Debug)]
pub(crate) struct Duplex {
    up: Direction,
    down: Direction,
    /// What the client has sent, until something comes back.
    kept: Kept,
}

impl Duplex {
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

    /// Moves what can be moved, through `buffer`.
    pub(crate) fn run<W: Wire>(&mut self, client: &W, endpoint: &W, buffer: &mut [u8]) -> Verdict {
        let down = self.down.pump(endpoint, client, buffer, &mut Kept::never());
        if self.down.received > 0 {
            self.kept = Kept::never();
        }
        let up = self.up.pump(client, endpoint, buffer, &mut self.kept);
        match (down, up) {
            (Ok(_), Ok(_)) if self.closed_unanswered() && self.is_repeatable() => Verdict::Unanswered,
            (Ok(down), Ok(up)) => self.conclude(client, endpoint, down, up),
            (Err(Fault::Source(error)), _) => Verdict::Failed(Side::Endpoint, error),
            (Err(Fault::Sink(error)), _) => Verdict::Failed(Side::Client, error),
            (Ok(_), Err(Fault::Source(error))) => Verdict::Failed(Side::Client, error),
            (Ok(_), Err(Fault::Sink(error))) => self.fail(Side::Endpoint, error, client, endpoint, buffer),
        }
    }

    /// Ends the connection because `side` has failed, after passing on its last words.
    ///
    /// Never passes on an end of stream: a socket whose error was taken reads as if it had ended well.
    pub(crate) fn fail<W: Wire>(
        &mut self,
        side: Side,
        error: io::Error,
        client: &W,
        endpoint: &W,
        buffer: &mut [u8],
    ) -> Verdict {
        // What becomes of them changes nothing: the connection is over.
        let _ = match side {
            Side::Client => self.up.pump(client, endpoint, buffer, &mut Kept::never()),
            Side::Endpoint => self.down.pump(endpoint, client, buffer, &mut Kept::never()),
        };
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

    /// Bytes taken from the client and from the endpoint so far.
    pub(crate) const fn received(&self) -> Received {
        Received { up: self.up.received, down: self.down.received }
    }

    /// Whether another endpoint can be given all that the client has sent, as if this one had never been.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.down.received == 0 && self.up.phase == Phase::Flowing && self.kept.repeatable().is_some()
    }

    /// Forgets the endpoint: what the client has sent is sent to the next one.
    pub(crate) fn start_over(&mut self) {
        debug_assert!(self.is_repeatable(), "bytes are lost or sent twice");
        self.up.refused = self.kept.repeatable().unwrap_or_default().into();
        self.up.refused_start = 0;
        self.up.sink_ready = false;
        self.down = Direction { sink_ready: self.down.sink_ready, ..Direction::default() };
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

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Phase {
    #[default]
    Flowing,
    Finished,
    Ended,
}

/// One direction of a connection.
#[derive(Default, Debug)]
struct Direction {
    /// Read from the source and refused by the sink, from `refused_start` on; on the heap only while there is some.
    refused: Box<[u8]>,
    refused_start: usize,
    received: u64,
    source_ready: bool,
    source_finished: bool,
    sink_ready: bool,
    phase: Phase,
}

/// How a direction came to rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pumped {
    /// Until an end is ready again, or for good.
    Blocked,
    /// Only because the budget is used up.
    Unfinished,
}

/// Which end failed.
#[derive(Debug)]
enum Fault {
    Source(io::Error),
    Sink(io::Error),
}

impl Direction {
    /// Moves what can be moved; what is taken from the source is added to `kept`.
    fn pump<W: Wire>(
        &mut self,
        source: &W,
        sink: &W,
        buffer: &mut [u8],
        kept: &mut Kept,
    ) -> Result<Pumped, Fault> {
        let mut moved = 0;
        while self.phase == Phase::Flowing {
            if !self.flush(sink)? || !self.source_ready || !self.sink_ready {
                return Ok(Pumped::Blocked);
            }
            if moved >= BUDGET * buffer.len() {
                return Ok(Pumped::Unfinished);
            }
            match source.receive(buffer) {
                Ok(0) => self.phase = Phase::Finished,
                Ok(received) => {
                    // A short read has emptied the socket: what comes later is a new event. Only an end of stream that is
                    // there already would not be told again.
                    self.source_ready = received == buffer.len() || self.source_finished;
                    self.received += received as u64;
                    moved += received;
                    kept.add(&buffer[..received]);
                    self.deliver(sink, &buffer[..received])?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.source_ready = false,
                Err(error) => return Err(Fault::Source(error)),
            }
        }
        Ok(Pumped::Blocked)
    }

    /// Sends `bytes`, and keeps what is refused.
    fn deliver<W: Wire>(&mut self, sink: &W, bytes: &[u8]) -> Result<(), Fault> {
        debug_assert!(self.refused.is_empty(), "bytes would overtake those that were refused");
        let sent = self.send(sink, bytes)?;
        if sent < bytes.len() {
            self.refused = bytes[sent..].into();
            self.refused_start = 0;
        }
        Ok(())
    }

    /// Sends what was refused before; whether all of it is gone.
    fn flush<W: Wire>(&mut self, sink: &W) -> Result<bool, Fault> {
        if self.refused.is_empty() {
            return Ok(true);
        }
        if self.sink_ready {
            let refused = std::mem::take(&mut self.refused);
            self.refused_start += self.send(sink, &refused[self.refused_start..])?;
            if self.refused_start < refused.len() {
                self.refused = refused;
            }
        }
        Ok(self.refused.is_empty())
    }

    /// Sends what the sink takes; less than everything means that it has no room.
    fn send<W: Wire>(&mut self, sink: &W, bytes: &[u8]) -> Result<usize, Fault> {
        let sent = match sink.send(bytes) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(Fault::Sink(error)),
        };
        self.sink_ready = sent == bytes.len();
        Ok(sent)
    }
}

#[cfg(test)]
mod tests;
