//! What all threads share.

use crate::cell::Cell;
use crate::closer::{RETIRED_MAX, Retired};
use crate::keeper::Kept;
use crate::lane::{Lane, Wiring};
use crate::relief::Relief;
use bowline_sansio::Instant;
use bowline_sys::clock;
use bowline_sys::epoll::Waker;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

/// For the advert thread.
#[derive(Debug)]
pub(crate) enum ToAdverts {
    /// One router more.
    Add(Box<Lane>),
    /// The configuration in force from now on, made of the one in the router's cell.
    Reconfigure {
        id: u32,
        config: Box<bowline_vrrp::Config>,
        /// The one before, where nodes with that do not understand the adverts of this one.
        alias: Option<Box<bowline_vrrp::Config>>,
        wiring: Box<Wiring>,
    },
    /// It is about to leave for one of another number, whose adverts are those of a successor.
    Renumber { id: u32, next: Box<bowline_vrrp::Config> },
    /// Its interface is another one now.
    Rewire { id: u32, wiring: Box<Wiring> },
}

/// For the keeper.
#[derive(Debug)]
pub(crate) enum ToKeeper {
    /// One router more.
    Add(Box<Kept>),
    /// The configuration in its cell has changed.
    Reconfigured { id: u32 },
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) keeper_waker: Waker,
    pub(crate) adverts_waker: Waker,
    pub(crate) teller_waker: Waker,
    pub(crate) closer_waker: Waker,
    pub(crate) relief: Relief,
    /// When the advert thread went round last.
    beat: AtomicU64,
    /// Both threads end: the one when no router is left, the other after it.
    ending: AtomicBool,
    /// They end now, whatever is left.
    abandoned: AtomicBool,
    adverts_ended: AtomicBool,
    /// All have ended who have sockets.
    ended: AtomicBool,
    to_adverts: Mutex<Vec<ToAdverts>>,
    to_keeper: Mutex<Vec<ToKeeper>>,
    retired: SyncSender<Retired>,
}

impl Shared {
    /// With the sockets that are to be closed.
    pub(crate) fn new() -> io::Result<(Self, Receiver<Retired>)> {
        let (retired, to_be_closed) = sync_channel(RETIRED_MAX);
        let this = Self {
            keeper_waker: Waker::new()?,
            adverts_waker: Waker::new()?,
            teller_waker: Waker::new()?,
            closer_waker: Waker::new()?,
            relief: Relief::new()?,
            beat: AtomicU64::new(clock::monotonic_nanos()),
            ending: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            adverts_ended: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            to_adverts: Mutex::new(Vec::new()),
            to_keeper: Mutex::new(Vec::new()),
            retired,
        };
        Ok((this, to_be_closed))
    }

    pub(crate) fn beat(&self) -> Instant {
        Instant::from_nanos(self.beat.load(Ordering::Acquire))
    }

    pub(crate) fn set_beat(&self, now: Instant) {
        self.beat.store(now.as_nanos(), Ordering::Release);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.adverts_waker.wake();
        self.keeper_waker.wake();
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
        self.end();
    }

    pub(crate) fn have_adverts_ended(&self) -> bool {
        self.adverts_ended.load(Ordering::Acquire)
    }

    pub(crate) fn adverts_end(&self) {
        self.adverts_ended.store(true, Ordering::Release);
        self.relief.end();
        self.keeper_waker.wake();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Nobody is left who has sockets.
    pub(crate) fn all_end(&self) {
        self.ended.store(true, Ordering::Release);
        self.closer_waker.wake();
    }

    /// Sockets on another interface take the place of those that were not taken over yet: while the advert thread hangs, an
    /// interface may come and go for ever.
    pub(crate) fn tell_adverts(&self, what: ToAdverts) {
        let mut replaced = Vec::new();
        {
            let mut waiting = locked(&self.to_adverts);
            if let ToAdverts::Rewire { id, .. } = &what {
                let is_older =
                    |other: &mut ToAdverts| matches!(other, ToAdverts::Rewire { id: of, .. } if of == id);
                replaced.extend(waiting.extract_if(.., is_older));
            }
            waiting.push(what);
        }
        self.adverts_waker.wake();
        // After the lock is given back, which the advert thread must never find taken for long.
        for older in replaced {
            if let ToAdverts::Rewire { wiring, .. } = older {
                self.retire(Retired::Wiring(*wiring));
            }
        }
    }

    pub(crate) fn tell_keeper(&self, what: ToKeeper) {
        locked(&self.to_keeper).push(what);
        self.keeper_waker.wake();
    }

    /// What there is for the advert thread; none while somebody adds to it, who wakes it afterwards. Never waits.
    pub(crate) fn take_for_adverts(&self) -> Vec<ToAdverts> {
        match self.to_adverts.try_lock() {
            Ok(mut mail) => std::mem::take(&mut *mail),
            Err(TryLockError::Poisoned(poisoned)) => std::mem::take(&mut *poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => Vec::new(),
        }
    }

    /// Leaves the closing to the thread that may wait for it. Never waits, and takes no memory: without room for them they are closed
    /// here.
    pub(crate) fn retire(&self, retired: Retired) {
        let _ = self.retired.try_send(retired);
        self.closer_waker.wake();
    }

    pub(crate) fn take_for_keeper(&self) -> Vec<ToKeeper> {
        std::mem::take(&mut *locked(&self.to_keeper))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whole values are pushed and taken: no panic leaves one half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By this host's monotonic clock.
pub(crate) fn now() -> Instant {
    Instant::from_nanos(clock::monotonic_nanos())
}

/// A router's cell, and the number by which both threads know it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) id: u32,
    pub(crate) cell: Arc<Cell>,
}
