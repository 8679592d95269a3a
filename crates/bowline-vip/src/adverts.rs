//! The advert thread: every machine, every packet, every advert on time.
//!
//! ```text
//!   wake ─▶ read packets ─▶ (stood still? tell the machines) ─▶ faults, answers, wishes ─▶ timers ─▶ show ─▶ sleep
//! ```
//!
//! It waits in one place, its epoll instance. It never asks the kernel for what takes the lock on network configuration, takes no
//! lock that another thread may hold, and writes no log; after the start of a router it allocates for nothing that is on time.

use crate::cell::Faults;
use crate::closer::Retired;
use crate::event::Serving;
use crate::lane::{Lane, Round, Wiring};
use crate::liveness::Liveness;
use crate::shared::{Shared, ToAdverts, now};
use crate::teller::Said;
use bowline_sansio::Instant;
use bowline_sys::epoll::{Epoll, Events, Interest};
use bowline_sys::vrrp_socket::ROOM;
use bowline_vrrp::Fault;
use std::cell::Cell as Flag;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// A round at least this often: so often the keeper sees that this thread lives.
pub(crate) const ROUND_EVERY: Duration = Duration::from_millis(100);

/// Every socket is looked at in each round: events only end the wait.
const EVENTS_MAX: usize = 64;

/// Packets end the wait, whoever they are for.
const PACKETS: u64 = 1;
const MAIL: u64 = 0;

pub(crate) struct Adverts {
    shared: Arc<Shared>,
    serving: Arc<dyn Serving>,
    said: SyncSender<Said>,
    epoll: Epoll,
    lanes: Vec<Lane>,
    liveness: Liveness,
    buffer: Box<[u8; ROOM]>,
}

impl Adverts {
    pub(crate) fn new(
        shared: Arc<Shared>,
        serving: Arc<dyn Serving>,
        said: SyncSender<Said>,
    ) -> std::io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(&shared.adverts_waker, MAIL, Interest::READABLE)?;
        let buffer = Box::new([0; ROOM]);
        Ok(Self { shared, serving, said, epoll, lanes: Vec::new(), liveness: Liveness::new(now()), buffer })
    }

    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        let mut due = now();
        self.shared.relief.begin();
        loop {
            let waits_from = now();
            let wakes_at = due.max(waits_from);
            self.shared.relief.waits(wakes_at);
            // It fails only when a descriptor or a pointer is wrong, which would be our bug.
            let waited = self.epoll.wait(&mut events, Some(due.since(waits_from)));
            waited.expect("epoll_wait on our own instance");
            self.shared.relief.works();
            let now = self.go_round(due, wakes_at);
            if self.shared.is_abandoned() || (self.shared.is_ending() && self.lanes.is_empty()) {
                break;
            }
            due = self.next_round(now);
        }
        self.shared.adverts_end();
    }

    fn next_round(&self, now: Instant) -> Instant {
        let latest = (now + ROUND_EVERY).min(self.liveness.due(now));
        self.lanes.iter().filter_map(Lane::due).chain([latest]).min().unwrap_or(latest)
    }

    /// When it began, which should have been at `due` at the latest, and at `wakes_at` had nobody but this thread been at work: a round
    /// takes long where a link is flooded.
    fn go_round(&mut self, due: Instant, wakes_at: Instant) -> Instant {
        self.shared.adverts_waker.clear();
        let (silent, starves) = (self.serving.silent_for(), self.serving.starves_for());
        // After the only calls of somebody else's code that may take time.
        let now = now();
        self.shared.set_beat(now);
        let late = now.since(due);
        let was_starved = self.liveness.is_starved();
        if self.liveness.look(silent, starves, now.since(wakes_at), now) {
            self.serving.ask();
        }
        let (alive, starved) = (self.liveness.is_alive(), self.liveness.is_starved());
        let (said, ordered) = (self.said.clone(), Flag::new(false));
        let spoke = Flag::new(false);
        let round = Round { now, late, alive, starved, said: &said, ordered: &ordered, spoke: &spoke };
        if starved != was_starved && said.try_send(Said::Starved(starved)).is_ok() {
            spoke.set(true);
        }
        for index in 0..self.lanes.len() {
            self.hear_link(index, round);
        }
        self.read_mail(round);
        for index in 0..self.lanes.len() {
            let faults = self.faults_of(index);
            let Some(lane) = self.lanes.get_mut(index) else { continue };
            lane.hear_shell(faults, round);
            lane.fire(round);
            lane.publish();
        }
        self.follow(round);
        while let Some(over) = self.lanes.iter().position(Lane::is_over) {
            let lane = self.lanes.remove(over);
            lane.cell.end();
            ordered.set(true);
            self.retire(lane.into_wiring());
        }
        if ordered.get() {
            self.shared.keeper_waker.wake();
        }
        if spoke.get() {
            self.shared.teller_waker.wake();
        }
        now
    }

    fn hear_link(&mut self, index: usize, round: Round<'_>) {
        let (before, rest) = self.lanes.split_at_mut(index);
        let Some((lane, after)) = rest.split_first_mut() else { return };
        let (interface, family, _) = lane.key();
        let others = |vrid| {
            let mut others = before.iter().chain(after.iter());
            others.any(|other| other.key() == (interface, family, vrid))
        };
        lane.hear_link(&mut self.buffer, others, round);
    }

    /// Those that somebody else than the router's machine has found.
    fn faults_of(&self, index: usize) -> Faults {
        let dead = self.liveness.is_dead();
        let Some(lane) = self.lanes.get(index) else { return Faults::default() };
        let of_group = self.companions(index).any(Lane::has_fault_of_its_own);
        let faults = lane.cell.faults();
        // The keeper says so where clients cannot be let in again on the addresses of this one.
        let not_serving = dead || faults.has(Fault::NotServing);
        faults.with(Fault::NotServing, not_serving).with(Fault::Group, of_group)
    }

    /// Those that move with it.
    fn companions(&self, index: usize) -> impl Iterator<Item = &Lane> {
        let lane = self.lanes.get(index);
        let group = lane.and_then(|lane| lane.cell.group.as_ref());
        let id = lane.map(|lane| lane.id);
        let is_one = move |other: &&Lane| {
            group.is_some() && other.cell.group.as_ref() == group && Some(other.id) != id
        };
        self.lanes.iter().filter(is_one)
    }

    /// Where one has taken over, the others of its group do so too.
    fn follow(&mut self, round: Round<'_>) {
        for index in 0..self.lanes.len() {
            let Some(lane) = self.lanes.get_mut(index) else { continue };
            if !lane.took_over() {
                continue;
            }
            let (id, group) = (lane.id, lane.cell.group.clone());
            for other in &mut self.lanes {
                if group.is_some() && other.cell.group == group && other.id != id {
                    other.take_over(round);
                }
            }
        }
    }

    fn read_mail(&mut self, round: Round<'_>) {
        for mail in self.shared.take_for_adverts() {
            match mail {
                ToAdverts::Add(lane) => {
                    self.watch(&lane);
                    self.lanes.push(*lane);
                    let faults = self.faults_of(self.lanes.len() - 1);
                    if let Some(lane) = self.lanes.last_mut() {
                        lane.start(faults, round);
                    }
                }
                ToAdverts::Reconfigure { id, config, alias, wiring } => {
                    let lane = self.lanes.iter_mut().find(|lane| lane.id == id);
                    // That of one that has gone meanwhile is closed with what others had.
                    let unused = match lane {
                        Some(lane) => lane.reconfigure(config, alias, *wiring, round),
                        None => *wiring,
                    };
                    self.retire(unused);
                    self.watch_again(id);
                }
                ToAdverts::Renumber { id, next } => {
                    if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.id == id) {
                        lane.go_by(next);
                    }
                }
                ToAdverts::Rewire { id, wiring } => {
                    let lane = self.lanes.iter_mut().find(|lane| lane.id == id);
                    let unused = match lane {
                        Some(lane) => lane.rewire(*wiring, round),
                        None => *wiring,
                    };
                    self.retire(unused);
                    self.watch_again(id);
                }
            }
        }
    }

    /// Another thread closes them: that waits for the lock on network configuration, and longer.
    fn retire(&self, wiring: Wiring) {
        // One that was never watched is none to be forgotten.
        let _ = self.epoll.remove(&wiring.socket);
        self.shared.retire(Retired::Wiring(wiring));
    }

    fn watch_again(&self, id: u32) {
        if let Some(lane) = self.lanes.iter().find(|lane| lane.id == id) {
            self.watch(lane);
        }
    }

    /// Without it packets are read at the next round, which is too late for a fast one and soon enough for the others. A socket
    /// that is watched already stays so.
    fn watch(&self, lane: &Lane) {
        let _ = self.epoll.add(lane.socket(), PACKETS, Interest::READABLE);
    }
}

#[cfg(test)]
mod tests;
