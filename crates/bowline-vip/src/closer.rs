//! The thread that closes sockets. The kernel keeps whoever closes a packet socket waiting until no processor can see it any more,
//! which takes it tens of milliseconds, and whoever closes a member of a group for the lock on network configuration: no address
//! waits for that.

use crate::lane::Wiring;
use crate::shared::Shared;
use bowline_sys::announce::{Announcer, Listener};
use bowline_sys::epoll::{Epoll, Events, Interest};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

/// What may wait to be closed: what 255 routers have, all that a link can have in a family, when all are changed at once. Beyond
/// that it is closed by whoever has done with it.
pub(crate) const RETIRED_MAX: usize = 512;

/// Sockets that somebody has done with; dropping them closes them.
#[derive(Debug)]
pub(crate) enum Retired {
    /// The advert thread.
    Wiring(#[expect(dead_code, reason = "it is there to be dropped")] Wiring),
    /// The keeper, by which it listened to neighbours and asked them.
    Neighbours(#[expect(dead_code, reason = "they are there to be dropped")] (Listener, Announcer)),
}

pub(crate) struct Closer {
    shared: Arc<Shared>,
    epoll: Epoll,
    retired: Receiver<Retired>,
}

impl Closer {
    pub(crate) fn new(shared: Arc<Shared>, retired: Receiver<Retired>) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(&shared.closer_waker, 0, Interest::READABLE)?;
        Ok(Self { shared, epoll, retired })
    }

    /// Until nobody is left who has sockets.
    pub(crate) fn run(self) {
        let mut events = Events::with_capacity(1);
        loop {
            // It fails only when a descriptor or a pointer is wrong, which would be our bug.
            self.epoll.wait(&mut events, None).expect("epoll_wait on our own instance");
            self.shared.closer_waker.clear();
            let is_last = self.shared.has_ended();
            // Not waited for where they come from: to wait there takes a lock, which whoever retires something would wait for.
            self.retired.try_iter().for_each(drop);
            if is_last {
                return;
            }
        }
    }
}
