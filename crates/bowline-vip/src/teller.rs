//! The thread that tells the sink: whoever writes logs may be kept waiting by whoever reads them, and no address waits for that.

use crate::cell::Cell;
use crate::event::{Event, Sink};
use crate::shared::{Shared, now};
use bowline_sansio::Instant;
use bowline_sys::epoll::{Epoll, Events, Interest};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};

/// What may wait for the sink. Beyond that it is dropped, and counted where it has a router.
pub(crate) const SAID_MAX: usize = 1024;

/// What is on its way to the sink.
#[derive(Debug)]
pub(crate) enum Said {
    /// By a machine, at that time.
    ByMachine(Arc<Cell>, Instant, bowline_vrrp::Event),
    /// Packets were discarded, this one and so many before it.
    Discarded(Arc<Cell>, bowline_vrrp::Discard, std::net::IpAddr, u64),
    /// A machine asks whether clients would be served here.
    Inquires(Arc<Cell>, bowline_vrrp::Inquiry),
    /// Workers get too little of the CPU, or enough again.
    Starved(bool),
    /// By the keeper.
    ByKeeper(Event),
}

/// The keeper's end.
#[derive(Debug)]
pub(crate) struct Voice {
    pub(crate) said: SyncSender<Said>,
    pub(crate) shared: Arc<Shared>,
}

impl Voice {
    /// Never waits; without room for it, it is dropped.
    pub(crate) fn event(&self, event: Event) {
        let _ = self.said.try_send(Said::ByKeeper(event));
        self.shared.teller_waker.wake();
    }
}

pub(crate) struct Teller {
    shared: Arc<Shared>,
    epoll: Epoll,
    said: Receiver<Said>,
    sink: Arc<dyn Sink>,
}

impl Teller {
    pub(crate) fn new(shared: Arc<Shared>, said: Receiver<Said>, sink: Arc<dyn Sink>) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(&shared.teller_waker, 0, Interest::READABLE)?;
        Ok(Self { shared, epoll, said, sink })
    }

    /// Until both threads that speak have ended.
    pub(crate) fn run(self) {
        let mut events = Events::with_capacity(1);
        loop {
            // It fails only when a descriptor or a pointer is wrong, which would be our bug.
            self.epoll.wait(&mut events, None).expect("epoll_wait on our own instance");
            self.shared.teller_waker.clear();
            if self.tell_all() == TryRecvError::Disconnected {
                return;
            }
        }
    }

    fn tell_all(&self) -> TryRecvError {
        loop {
            let said = match self.said.try_recv() {
                Ok(said) => said,
                Err(why) => return why,
            };
            let event = match said {
                Said::ByMachine(cell, at, event) => {
                    Event::Router { router: Arc::clone(&cell.name), age: now().since(at), event }
                }
                Said::Discarded(cell, why, source, before) => {
                    Event::Discarded { router: Arc::clone(&cell.name), why, source, before }
                }
                Said::Inquires(cell, inquiry) => {
                    self.sink.inquire(&cell.name, inquiry);
                    continue;
                }
                Said::Starved(starved) => Event::Starved { starved },
                Said::ByKeeper(event) => event,
            };
            self.sink.event(event);
        }
    }
}
