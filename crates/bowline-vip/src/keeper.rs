//! The keeper: the thread that asks the kernel for addresses, and waits for it as long as it takes.
//!
//! ```text
//!   orders of the advert thread ──▶ hold, renew, let go ──▶ answers
//!   changes of links and addresses ──▶ faults, losses ──▶ the advert thread
//! ```
//!
//! It decides nothing: an address is here while the advert thread wants it, and that thread lives, and clients are served.

mod hands;
mod kept;
mod link;
mod neighbours;

pub(crate) use hands::Hands;
pub(crate) use kept::Kept;

use crate::event::Event;
use crate::shared::{Shared, ToAdverts, ToKeeper, now};
use crate::wiring;
use bowline_sansio::Instant;
use bowline_sys::announce::Listener;
use bowline_sys::epoll::{Epoll, Events, Interest};
use bowline_sys::rtnetlink::{Change, Link, Watch};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The guard is looked after at least this often.
const ROUND_EVERY: Duration = Duration::from_secs(1);

/// Changes read in one round: while others come and go by the thousand, ours are renewed in between.
const CHANGES_MAX: usize = 256;

const EVENTS_MAX: usize = 64;

const MAIL: u64 = 0;
const CHANGES: u64 = 1;
/// Neighbours speak: which, is looked for.
const NEIGHBOURS: u64 = 2;

pub(crate) struct Keeper {
    shared: Arc<Shared>,
    hands: Hands,
    watch: Watch,
    epoll: Epoll,
    kept: Vec<Kept>,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>, hands: Hands, watch: Watch) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(&shared.keeper_waker, MAIL, Interest::READABLE)?;
        epoll.add(&watch, CHANGES, Interest::READABLE)?;
        Ok(Self { shared, hands, watch, epoll, kept: Vec::new() })
    }

    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.shared.have_adverts_ended() {
            let now = now();
            let due = self.kept.iter().map(Kept::due).chain([now + ROUND_EVERY]).min();
            let timeout = due.map_or(ROUND_EVERY, |due| due.since(now));
            // It fails only when a descriptor or a pointer is wrong, which would be our bug.
            self.epoll.wait(&mut events, Some(timeout)).expect("epoll_wait on our own instance");
            self.shared.keeper_waker.clear();
            self.go_round();
        }
        self.end();
    }

    fn go_round(&mut self) {
        self.read_mail();
        self.obey();
        self.hear_changes();
        // What is long is done one router at a time, and what is urgent in between.
        for index in 0..self.kept.len() {
            if let Some(kept) = self.kept.get_mut(index) {
                kept.readmit(&self.hands);
                kept.renew(&self.hands, &self.shared);
            }
            self.obey();
        }
        self.kept.iter_mut().for_each(|kept| kept.meet_neighbours(&self.hands, &self.shared, now()));
        if let Some(error) = self.hands.guard.look_after(now()) {
            self.hands.voice.event(Event::GuardLost { error });
        }
        self.kept.retain(|kept| !kept.cell.is_over());
        self.shared.bury_retired();
    }

    fn read_mail(&mut self) {
        for mail in self.shared.take_for_keeper() {
            match mail {
                ToKeeper::Add(kept) => {
                    self.kept.push(*kept);
                    self.listen_to_neighbours(self.kept.len() - 1);
                }
                ToKeeper::Reconfigured { id } => {
                    if let Some(index) = self.kept.iter().position(|kept| kept.id == id) {
                        self.listen_to_neighbours(index);
                    }
                }
            }
        }
    }

    fn listen_to_neighbours(&mut self, index: usize) {
        let Some(kept) = self.kept.get_mut(index) else { return };
        let add = |listener: &Listener| self.epoll.add(listener, NEIGHBOURS, Interest::READABLE);
        if let Err(error) = kept.listen_to_neighbours(add) {
            kept.interface_failed(&self.hands, &error);
        }
    }

    fn obey(&mut self) {
        for kept in &mut self.kept {
            if kept.obey(&mut self.hands, &self.shared, now()) {
                self.shared.adverts_waker.wake();
            }
        }
    }

    fn hear_changes(&mut self) {
        for _ in 0..CHANGES_MAX {
            match self.watch.next_change() {
                Ok(None) => return,
                Ok(Some(Change::Overrun)) => {
                    self.look_at_everything();
                    self.obey();
                }
                Ok(Some(change)) => self.changed(&change),
                // A message that makes no sense: what it was about is seen by looking.
                Err(_) => return self.look_at_everything(),
            }
        }
        // The rest waits in the kernel; the descriptor stays readable.
    }

    fn changed(&mut self, change: &Change) {
        let mut is_news = false;
        for index in 0..self.kept.len() {
            let Some(kept) = self.kept.get_mut(index) else { return };
            is_news |= match change {
                Change::Link(link) if kept.is_its_link(link) => {
                    if kept.needs_wiring(link) {
                        self.wire_anew(index, link);
                        true
                    } else {
                        kept.link_is(link)
                    }
                }
                Change::LinkGone(link) if link.index == kept.cell.interface() => kept.link_is_gone(),
                Change::Address(address) => kept.address_is(address),
                Change::AddressGone(address) => kept.address_is_gone(address, &self.hands, &self.shared),
                Change::Link(_) | Change::LinkGone(_) | Change::Overrun => false,
            };
        }
        if is_news {
            self.shared.adverts_waker.wake();
        }
    }

    /// The interface was made anew, or has another hardware address.
    fn wire_anew(&mut self, index: usize, link: &Link) {
        let Some(kept) = self.kept.get_mut(index) else { return };
        let config = kept.cell.config();
        match wiring::open(link, &config) {
            Ok(wiring) => {
                self.shared.tell_adverts(ToAdverts::Rewire { id: kept.id, wiring: Box::new(wiring) });
                kept.is_rewired(link, &self.hands);
                self.listen_to_neighbours(index);
            }
            Err(error) => kept.interface_failed(&self.hands, &error),
        }
    }

    /// After changes were missed.
    fn look_at_everything(&mut self) {
        let Ok(interfaces) = self.hands.rtnetlink.interfaces() else { return };
        for index in 0..self.kept.len() {
            let Some(kept) = self.kept.get_mut(index) else { return };
            let link = interfaces.links().iter().find(|link| kept.is_its_link(link)).cloned();
            match link {
                Some(link) if kept.needs_wiring(&link) => self.wire_anew(index, &link),
                Some(link) => {
                    kept.link_is(&link);
                }
                None => {
                    kept.link_is_gone();
                }
            }
            if let Some(kept) = self.kept.get_mut(index) {
                kept.look_at_addresses(&interfaces, &self.hands, &self.shared);
            }
        }
        self.shared.adverts_waker.wake();
    }

    /// The advert thread has ended: nobody wants anything any more.
    fn end(mut self) {
        for kept in &mut self.kept {
            kept.give_up(&mut self.hands, now());
        }
        self.hands.guard.dismiss();
    }
}

/// The earliest of some moments.
pub(crate) fn earliest(moments: impl IntoIterator<Item = Option<Instant>>) -> Option<Instant> {
    moments.into_iter().flatten().min()
}
