//! Pipes through which bytes go from one socket to another without being copied (splice(2)).
//!
//! A pipe here never blocks. It holds as many *pages* as its size says, and a small packet takes a page of its own: it can be
//! full with far fewer bytes. So a caller empties it before it fills it again, and a fill that would block never says that the
//! pipe is full.

use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Two descriptors, and the kernel's list of pages between them.
#[derive(Debug)]
pub struct Pipe {
    outlet: OwnedFd,
    inlet: OwnedFd,
}

impl Pipe {
    /// An empty pipe that holds up to `size` bytes, closed on exec.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE` when descriptors are exhausted; `EPERM` without `CAP_SYS_RESOURCE` when `size` is above
    /// `fs.pipe-max-size` or this user's pipes hold more pages than `fs.pipe-user-pages-soft` (pipe(7)); `ENOMEM`.
    pub fn new(size: usize) -> io::Result<Self> {
        let (outlet, inlet) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?;
        fcntl_setpipe_size(&inlet, size)?;
        Ok(Self { outlet, inlet })
    }

    /// Moves up to `most` received bytes of `source` into the pipe, which must be empty.
    ///
    /// That nothing was moved proves nothing, be it told by zero or by `WouldBlock`: before out-of-band data the kernel says one
    /// or the other, although there is more behind (`tcp_splice_read` in net/ipv4/tcp.c). Only a read tells whether the stream
    /// has ended, or nothing has arrived.
    ///
    /// # Errors
    /// `WouldBlock` as said; else the connection has failed.
    pub fn fill(&self, source: impl AsFd, most: usize) -> io::Result<usize> {
        transfer(&source, &self.inlet, most)
    }

    /// Moves up to `most` bytes from the pipe to `sink`. Fewer than there are does not say that `sink` has no more room: only
    /// `WouldBlock` does, and only then there will be an event when it has.
    ///
    /// A connection that has failed raises `SIGPIPE`, for which there is no flag here: it must be ignored in this process, as
    /// the Rust runtime does before `main`.
    ///
    /// # Errors
    /// `WouldBlock` when there is no room; else the connection has failed.
    pub fn drain(&self, sink: impl AsFd, most: usize) -> io::Result<usize> {
        transfer(&self.outlet, &sink, most)
    }
}

fn transfer(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    let moved: Result<usize, Errno> = retry_on_intr(|| splice(&from, None, &to, None, most, flags));
    Ok(moved?)
}

#[cfg(test)]
mod tests;
