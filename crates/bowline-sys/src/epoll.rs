//! Waiting for many descriptors at once, and waking a waiting thread from another one.

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// What happened to a descriptor, or what one waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interest(EventFlags);

impl Interest {
    /// A connected or connecting stream, registered once for both directions: one event for each *change*
    /// (edge-triggered), so that the reader goes on until there is nothing left.
    pub const STREAM: Self =
        Self(EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET));
    /// Something to read or to accept, reported again and again until it is taken (level-triggered).
    pub const READABLE: Self = Self(EventFlags::IN);
    /// Nothing for now; the descriptor stays registered.
    pub const NOTHING: Self = Self(EventFlags::empty());
}

/// One event: whose, and what.
#[derive(Clone, Copy)]
pub struct Event(epoll::Event);

impl Event {
    /// The token the descriptor was registered with.
    pub fn token(self) -> u64 {
        self.0.data.u64()
    }

    /// There are bytes, an end of stream, or an error to be read.
    pub fn readable(self) -> bool {
        self.has(EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::HUP).union(EventFlags::ERR))
    }

    /// There is room to write, or an error to be told of.
    pub fn writable(self) -> bool {
        self.has(EventFlags::OUT.union(EventFlags::HUP).union(EventFlags::ERR))
    }

    /// The peer has ended its direction; bytes may still be unread.
    pub fn finished(self) -> bool {
        self.has(EventFlags::RDHUP.union(EventFlags::HUP))
    }

    /// The socket has failed; [`crate::tcp::take_error`] tells how.
    pub fn failed(self) -> bool {
        self.has(EventFlags::ERR)
    }

    fn has(self, flags: EventFlags) -> bool {
        let event = self.0.flags;
        event.intersects(flags)
    }
}

/// Room for the events of one wait.
pub struct Events(Vec<epoll::Event>);

impl Events {
    /// Room for `capacity` events.
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// How many the last wait brought.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the last wait ended by its timeout.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The event at `index`.
    pub fn get(&self, index: usize) -> Option<Event> {
        self.0.get(index).copied().map(Event)
    }
}

/// An epoll instance.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// A new instance, closed on exec.
    ///
    /// # Errors
    /// When descriptors or kernel memory are exhausted.
    pub fn new() -> io::Result<Self> {
        Ok(Self(epoll::create(CreateFlags::CLOEXEC)?))
    }

    /// Registers `source`; its events carry `token`. Closing the descriptor ends the registration.
    ///
    /// # Errors
    /// `ENOSPC` and `ENOMEM` when the kernel's limits are reached.
    pub fn add(&self, source: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.0, source, EventData::new_u64(token), interest.0)?)
    }

    /// Changes token and interest of a registered descriptor; what is ready now is reported anew.
    ///
    /// # Errors
    /// `ENOENT` when it is not registered.
    pub fn modify(&self, source: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.0, source, EventData::new_u64(token), interest.0)?)
    }

    /// Ends the registration of a descriptor that stays open.
    ///
    /// # Errors
    /// `ENOENT` when it is not registered.
    pub fn remove(&self, source: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.0, source)?)
    }

    /// Waits for events at most `timeout` (rounded up to milliseconds, so that a deadline has passed afterwards), for ever
    /// when there is none. A signal ends the wait early, with the events that are there: a process that was stopped is woken
    /// by one, and must not take its deadlines for missed before it has seen what came in meanwhile.
    ///
    /// # Errors
    /// None that a correct program meets.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        events.0.clear();
        let mut wait = |timeout: Option<&Timespec>| {
            epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events.0), timeout)
        };
        match wait(timeout.as_ref()) {
            Err(Errno::INTR) => wait(Some(&Timespec::default()))?,
            outcome => outcome?,
        };
        Ok(())
    }
}

/// Wakes a thread that waits in an [`Epoll`]; register it as [`Interest::READABLE`].
#[derive(Debug)]
pub struct Waker(OwnedFd);

impl Waker {
    /// A new waker (an eventfd), closed on exec.
    ///
    /// # Errors
    /// When descriptors are exhausted.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// Wakes the waiting thread; many calls before it looks count as one.
    pub fn wake(&self) {
        // The only failure of an open, non-blocking eventfd is a full counter, which wakes just as well.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    /// Forgets the wake-ups so far; called by the woken thread before it looks for its work.
    pub fn clear(&self) {
        // It fails only when there was no wake-up to forget.
        let _ = rustix::io::read(&self.0, &mut [0u8; 8]);
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests;
