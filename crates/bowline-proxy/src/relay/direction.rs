//! One direction of a connection.
//!
//! ```text
//!             room for a buffer            no room: look at the bytes, send, and take only what was sent
//!   copy ───two full reads──▶ splice ──a wake-up brought little──▶ copy
//! ```
//!
//! A pipe is borrowed for one fill, and given back when it is empty, which is at once unless the sink refuses. So nothing is ever
//! read behind bytes that are still in a pipe, and at the end of a stream none is left in one.

use super::Wire;
use super::means::Means;
use crate::first_flight::Kept;
use std::io;

/// Buffers that one direction may move in one run: keeps a bulky connection from starving the others, and is several, so that
/// coming back costs little beside copying. A fill may go beyond it by what a pipe holds: it costs as much as copying a buffer.
const BUDGET: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Phase {
    #[default]
    Flowing,
    Finished,
    Ended,
}

/// How a direction came to rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pumped {
    /// Until an end is ready again, or for good.
    Blocked,
    /// Only because the budget is used up.
    Unfinished,
}

/// Which end failed.
#[derive(Debug)]
pub(super) enum Fault {
    Source(io::Error),
    Sink(io::Error),
}

#[derive(Debug)]
pub(super) struct Direction<P> {
    pub(super) waiting: Waiting<P>,
    pub(super) received: u64,
    /// After each other, up to what makes it bulky.
    full_reads: u8,
    /// It was bulky once, and is counted as such.
    was_bulky: bool,
    pub(super) source_ready: bool,
    pub(super) source_finished: bool,
    pub(super) sink_ready: bool,
    pub(super) phase: Phase,
}

/// What was taken from the source and not yet by the sink.
#[derive(Debug)]
pub(super) enum Waiting<P> {
    Nothing,
    /// From `start` on.
    Refused {
        bytes: Box<[u8]>,
        start: u32,
    },
    Piped {
        pipe: P,
        level: u32,
    },
}

impl<P> Default for Direction<P> {
    fn default() -> Self {
        Self {
            waiting: Waiting::Nothing,
            received: 0,
            full_reads: 0,
            was_bulky: false,
            source_ready: false,
            source_finished: false,
            sink_ready: false,
            phase: Phase::Flowing,
        }
    }
}

impl<P> Direction<P> {
    /// Moves what can be moved; what is taken from the source is added to `kept`.
    pub(super) fn pump<W: Wire<Pipe = P>>(
        &mut self,
        source: &W,
        sink: &W,
        means: &mut Means<P>,
        kept: &mut Kept,
    ) -> Result<Pumped, Fault> {
        let mut run = Run { moved: 0, in_doubt: false };
        while self.phase == Phase::Flowing {
            if !self.flush(sink, means)? || !self.source_ready || !self.sink_ready {
                return Ok(Pumped::Blocked);
            }
            if run.moved >= BUDGET * means.buffer.len() {
                return Ok(Pumped::Unfinished);
            }
            if means.room() < means.buffer.len() {
                *kept = Kept::never();
                self.look_and_send(source, sink, means, &mut run)?;
            } else if !Means::<P>::is_bulky(self.full_reads) || !kept.is_over() {
                self.copy(source, sink, means, kept, &mut run)?;
            } else if run.in_doubt {
                self.look(source, &mut run)?;
            } else if let Some(pipe) = means.pipes.borrow() {
                if !self.was_bulky {
                    self.was_bulky = true;
                    if means.another_is_bulky() {
                        source.bound_backlog();
                    }
                }
                self.fill(source, pipe, means, &mut run)?;
            } else {
                self.copy(source, sink, means, kept, &mut run)?;
            }
        }
        Ok(Pumped::Blocked)
    }

    /// Reads a buffer and sends it.
    fn copy<W: Wire>(
        &mut self,
        source: &W,
        sink: &W,
        means: &mut Means<P>,
        kept: &mut Kept,
        run: &mut Run,
    ) -> Result<(), Fault> {
        let size = means.buffer.len();
        let Some(received) = self.took(source.receive(&mut means.buffer))? else { return Ok(()) };
        // A short read has emptied the socket: what comes later is a new event. Only an end of stream that is there already would
        // not be told again.
        self.source_ready = received == size || self.source_finished;
        self.full_reads = if received == size { self.full_reads.saturating_add(1) } else { 0 };
        self.received += received as u64;
        run.moved += received;
        let bytes = means.buffer.get(..received).unwrap_or_default();
        // What is refused of them has to be kept too.
        kept.add(bytes, means.room() - size);
        let sent = self.send(sink, bytes)?;
        if sent < received {
            self.send_first(&bytes[sent..]);
        }
        Ok(())
    }

    /// Sends what the source has, and takes from it only what was sent: nothing has to be kept.
    fn look_and_send<W: Wire>(
        &mut self,
        source: &W,
        sink: &W,
        means: &mut Means<P>,
        run: &mut Run,
    ) -> Result<(), Fault> {
        let buffer = &mut means.buffer;
        let Some(there) = self.took(source.peek(buffer))? else { return Ok(()) };
        let sent = self.send(sink, &buffer[..there])?;
        self.source_ready = there == buffer.len() || sent < there || self.source_finished;
        let mut taken = 0;
        while taken < sent {
            match source.discard(&mut buffer[taken..sent]) {
                Ok(0) => return Err(Fault::Source(io::ErrorKind::UnexpectedEof.into())),
                Ok(more) => taken += more,
                Err(error) => return Err(Fault::Source(error)),
            }
        }
        self.received += sent as u64;
        run.moved += sent;
        Ok(())
    }

    /// Fills a pipe, which [`Direction::flush`] empties.
    fn fill<W: Wire<Pipe = P>>(
        &mut self,
        source: &W,
        pipe: P,
        means: &mut Means<P>,
        run: &mut Run,
    ) -> Result<(), Fault> {
        let most = means.pipes.size().min(means.room());
        let filled = match source.fill(&pipe, most) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                means.pipes.give_back(pipe);
                return Err(Fault::Source(error));
            }
            filled => filled.unwrap_or(0),
        };
        if filled < means.thin() && run.moved == 0 {
            self.full_reads = 0;
        }
        if filled == 0 {
            // Whether there is nothing, only a read can say.
            self.full_reads = 0;
            means.pipes.give_back(pipe);
            return Ok(());
        }
        run.in_doubt = filled < most;
        run.moved += filled;
        self.received += filled as u64;
        self.waiting = Waiting::Piped { pipe, level: filled as u32 };
        Ok(())
    }

    /// Finds out whether a source that gave less than it was asked for is empty.
    fn look<W: Wire>(&mut self, source: &W, run: &mut Run) -> Result<(), Fault> {
        run.in_doubt = false;
        self.took(source.peek(&mut [0]))?;
        Ok(())
    }

    /// What a read from the source says, beside its bytes.
    fn took(&mut self, read: io::Result<usize>) -> Result<Option<usize>, Fault> {
        match read {
            Ok(0) => self.phase = Phase::Finished,
            Ok(received) => return Ok(Some(received)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.source_ready = false,
            Err(error) => return Err(Fault::Source(error)),
        }
        Ok(None)
    }

    /// Keeps `bytes`, to be sent before anything else.
    pub(super) fn send_first(&mut self, bytes: &[u8]) {
        debug_assert!(!matches!(self.waiting, Waiting::Piped { .. }), "bytes would overtake those in a pipe");
        self.waiting = if bytes.is_empty() {
            Waiting::Nothing
        } else {
            Waiting::Refused { bytes: bytes.into(), start: 0 }
        };
    }

    /// Puts `preface` before what waits, none of which the sink has seen.
    pub(super) fn put_before(&mut self, preface: &[u8]) {
        let waiting = match &self.waiting {
            Waiting::Nothing => &[][..],
            Waiting::Refused { bytes, .. } => bytes,
            Waiting::Piped { .. } => unreachable!("nothing is piped before an endpoint is there"),
        };
        let all = [preface, waiting].concat();
        self.send_first(&all);
    }

    /// Sends what was refused before; whether all of it is gone.
    fn flush<W: Wire<Pipe = P>>(&mut self, sink: &W, means: &mut Means<P>) -> Result<bool, Fault> {
        match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing => return Ok(true),
            Waiting::Refused { bytes, start } => {
                let rest = bytes.get(start as usize..).unwrap_or_default();
                let sent = if self.sink_ready { self.send(sink, rest)? } else { 0 };
                if sent < rest.len() {
                    self.waiting = Waiting::Refused { bytes, start: start + sent as u32 };
                }
            }
            Waiting::Piped { pipe, mut level } => {
                let drained = self.drain(sink, &pipe, &mut level);
                if level == 0 {
                    means.pipes.give_back(pipe);
                } else {
                    self.waiting = Waiting::Piped { pipe, level };
                }
                drained?;
            }
        }
        Ok(matches!(self.waiting, Waiting::Nothing))
    }

    fn drain<W: Wire<Pipe = P>>(&mut self, sink: &W, pipe: &P, level: &mut u32) -> Result<(), Fault> {
        while self.sink_ready && *level > 0 {
            match sink.drain(pipe, *level as usize) {
                Ok(0) => return Err(Fault::Sink(io::ErrorKind::WriteZero.into())),
                Ok(drained) => *level -= drained as u32,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.sink_ready = false,
                Err(error) => return Err(Fault::Sink(error)),
            }
        }
        Ok(())
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

    /// Whether the last reads brought all they could.
    pub(super) const fn is_bulky(&self) -> bool {
        Means::<P>::is_bulky(self.full_reads)
    }

    /// Bytes that wait for the sink.
    pub(super) fn waits(&self) -> usize {
        match &self.waiting {
            Waiting::Nothing => 0,
            // All of it, since all of it is in memory until the last byte is gone.
            Waiting::Refused { bytes, .. } => bytes.len(),
            Waiting::Piped { level, .. } => *level as usize,
        }
    }

    /// Gives back what it was lent.
    pub(super) fn dismantle(&mut self, means: &mut Means<P>) {
        if self.was_bulky {
            means.one_bulky_less();
        }
        match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing | Waiting::Refused { .. } => {}
            Waiting::Piped { pipe, .. } => means.pipes.close(pipe),
        }
    }
}

/// What one run of a direction knows.
struct Run {
    moved: usize,
    /// The last fill took less than it could: the source may be empty.
    in_doubt: bool,
}
