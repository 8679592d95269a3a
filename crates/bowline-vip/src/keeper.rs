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
mod seat;
mod turn;

pub(crate) use hands::Hands;
pub(crate) use kept::Kept;

use crate::closer::Retired;
use crate::event::Event;
use crate::guard::Guard;
use crate::shared::{Shared, ToAdverts, ToKeeper, now};
use crate::wiring;
use bowline_sansio::Instant;
use bowline_sys::announce::Listener;
use bowline_sys::epoll::{Epoll, Events, Interest};
use bowline_sys::rtnetlink::{Change, Interfaces, Link, Watch};
use link::Seen;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use turn::Turn;

/// The guard is looked after at least this often.
const ROUND_EVERY: Duration = Duration::from_secs(1);

/// Changes read in one round: while others come and go by the thousand, there is more to be done in between.
const CHANGES_MAX: usize = 256;

/// Between two attempts to see everything: a list that changes all the time while it is read cannot be read.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Between two attempts to open an interface's sockets.
const OPEN_AGAIN_AFTER: Duration = Duration::from_secs(1);

const EVENTS_MAX: usize = 64;

const MAIL: u64 = 0;
const CHANGES: u64 = 1;
/// Neighbours speak: which, is looked for.
const NEIGHBOURS: u64 = 2;

pub(crate) struct Keeper {
    shared: Arc<Shared>,
    hands: Hands,
    guard: Guard,
    watch: Watch,
    epoll: Epoll,
    kept: Vec<Kept>,
    /// What was told does not suffice, or was not heard: to look at everything then, when all that waits has been heard. What was
    /// told before a look is older than what it sees.
    look_at: Option<Instant>,
    look_fails: bool,
    /// Nothing waits to be heard.
    heard_all: bool,
}

impl Keeper {
    pub(crate) fn new(shared: Arc<Shared>, hands: Hands, guard: Guard, watch: Watch) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(&shared.keeper_waker, MAIL, Interest::READABLE)?;
        epoll.add(&watch, CHANGES, Interest::READABLE)?;
        let (kept, look_at, look_fails, heard_all) = (Vec::new(), None, false, true);
        Ok(Self { shared, hands, guard, watch, epoll, kept, look_at, look_fails, heard_all })
    }

    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        while !self.shared.have_adverts_ended() {
            let now = now();
            let more = (!self.heard_all).then_some(now);
            let due = self.kept.iter().map(Kept::due).chain(self.look_at).chain(more).min();
            let timeout = due.map_or(ROUND_EVERY, |due| due.since(now).min(ROUND_EVERY));
            // It fails only when a descriptor or a pointer is wrong, which would be our bug.
            self.epoll.wait(&mut events, Some(timeout)).expect("epoll_wait on our own instance");
            self.shared.keeper_waker.clear();
            self.go_round();
        }
        self.end();
    }

    /// Renewals come before everything, and between all that may wait for the kernel.
    fn go_round(&mut self) {
        self.renew_all();
        self.read_mail();
        self.take_turns();
        self.heard_all = self.hear_changes();
        if self.heard_all {
            self.look_if_due();
        }
        self.take_turns();
        for index in 0..self.kept.len() {
            if let Some(kept) = self.kept.get_mut(index) {
                kept.meet_neighbours(&self.hands, &self.shared, now());
            }
            self.renew_all();
        }
        if let Some(error) = self.guard.look_after(now()) {
            self.hands.voice.event(Event::GuardLost { error });
        }
        while let Some(over) = self.kept.iter().position(|kept| kept.cell.is_over()) {
            self.forget_neighbours(over);
            self.kept.remove(over);
        }
    }

    fn renew_all(&mut self) {
        let now = now();
        for kept in &mut self.kept {
            kept.renew_if_due(now, &self.hands, &self.shared);
        }
    }

    fn take_turns(&mut self) {
        for index in 0..self.kept.len() {
            let turn = Turn::of(&mut self.kept, index, &self.hands, &self.shared, &mut self.guard);
            if let Some((kept, turn)) = turn {
                kept.take_turn(turn);
            }
        }
    }

    fn read_mail(&mut self) {
        for mail in self.shared.take_for_keeper() {
            // What its faults were judged by may have changed before it was known here.
            self.look_soon();
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
            self.renew_all();
        }
    }

    /// Closed elsewhere, and no more waited for: it may be readable until then.
    fn forget_neighbours(&mut self, index: usize) {
        let Some(sockets) = self.kept.get_mut(index).and_then(Kept::take_neighbours) else { return };
        // One that was never watched is none to be forgotten.
        let _ = self.epoll.remove(&sockets.0);
        self.shared.retire(Retired::Neighbours(sockets));
    }

    fn listen_to_neighbours(&mut self, index: usize) {
        self.forget_neighbours(index);
        let Some(kept) = self.kept.get_mut(index) else { return };
        let add = |listener: &Listener| self.epoll.add(listener, NEIGHBOURS, Interest::READABLE);
        if let Err(error) = kept.listen_to_neighbours(add) {
            kept.interface_failed(&self.hands, &error);
        }
    }

    fn look_soon(&mut self) {
        self.look_at = Some(Instant::ORIGIN);
    }

    /// Whether that was all for now.
    fn hear_changes(&mut self) -> bool {
        for _ in 0..CHANGES_MAX {
            match self.watch.next_change() {
                Ok(None) => return true,
                // Or a message that makes no sense: what it was about is seen by looking.
                Ok(Some(Change::Overrun)) | Err(_) => self.look_soon(),
                Ok(Some(change)) => self.changed(&change),
            }
            self.renew_all();
        }
        false
    }

    fn changed(&mut self, change: &Change) {
        for index in 0..self.kept.len() {
            let Some(kept) = self.kept.get_mut(index) else { return };
            let seen = match change {
                Change::Link(link) if kept.is_its_link(link) && kept.needs_wiring(link) => {
                    self.wire_anew(index, link);
                    Seen::News
                }
                Change::Link(link) if kept.is_its_link(link) => kept.link_is(link),
                // Or it is what we did ourselves a while ago.
                Change::Link(link) if !link.up && kept.sits_on(link) => Seen::Doubt,
                Change::LinkGone(link) if link.index == kept.cell.interface() => kept.link_is_gone(),
                Change::Address(address) => kept.address_has_changed(address, true, &self.hands),
                Change::AddressGone(address) => kept.address_has_changed(address, false, &self.hands),
                Change::Link(_) | Change::LinkGone(_) | Change::Overrun => Seen::Nothing,
            };
            match seen {
                Seen::Nothing => {}
                Seen::News => self.shared.adverts_waker.wake(),
                Seen::Doubt => self.look_soon(),
            }
        }
    }

    /// The interface was made anew, or has another hardware address.
    fn wire_anew(&mut self, index: usize, link: &Link) {
        let Some(kept) = self.kept.get_mut(index) else { return };
        let config = kept.cell.config();
        match wiring::open(link, &config, kept.cell.virtual_link) {
            Ok(wiring) => {
                self.shared.tell_adverts(ToAdverts::Rewire { id: kept.id, wiring: Box::new(wiring) });
                kept.is_rewired(link, &self.hands);
                self.listen_to_neighbours(index);
                // Its addresses may be older than its name.
                self.look_soon();
            }
            Err(error) => {
                kept.interface_failed(&self.hands, &error);
                self.look_at.get_or_insert(now() + OPEN_AGAIN_AFTER);
            }
        }
    }

    /// Looks at everything, where that was found necessary; again and again until it can be seen.
    fn look_if_due(&mut self) {
        let now = now();
        if self.look_at.is_none_or(|at| at > now) {
            return;
        }
        self.look_at = None;
        match self.hands.rtnetlink.interfaces() {
            Ok(interfaces) => {
                self.look_fails = false;
                self.look_at_everything(&interfaces);
            }
            Err(error) => {
                self.look_at = Some(now + LOOK_AGAIN_AFTER);
                if !std::mem::replace(&mut self.look_fails, true) {
                    self.hands.voice.event(Event::LookFailed { error: error.to_string() });
                }
            }
        }
        self.renew_all();
    }

    fn look_at_everything(&mut self, interfaces: &Interfaces) {
        for index in 0..self.kept.len() {
            let Some(kept) = self.kept.get_mut(index) else { return };
            match interfaces.links().iter().find(|link| kept.is_its_link(link)) {
                Some(link) if kept.needs_wiring(link) => self.wire_anew(index, link),
                Some(link) => {
                    kept.link_is(link);
                }
                None => {
                    kept.link_is_gone();
                }
            }
            if let Some(kept) = self.kept.get_mut(index) {
                kept.look_at_addresses(interfaces, &self.hands, &self.shared);
            }
            self.renew_all();
        }
        self.shared.adverts_waker.wake();
    }

    /// The advert thread has ended: nobody wants anything any more.
    fn end(mut self) {
        for index in 0..self.kept.len() {
            let turn = Turn::of(&mut self.kept, index, &self.hands, &self.shared, &mut self.guard);
            if let Some((kept, turn)) = turn {
                kept.give_up(turn);
            }
        }
        self.guard.dismiss();
    }
}

/// The earliest of some moments.
pub(crate) fn earliest(moments: impl IntoIterator<Item = Option<Instant>>) -> Option<Instant> {
    moments.into_iter().flatten().min()
}
