//! What is true of a virtual router after every input.

use super::{Holding, Timer, VirtualRouter, conflicts::Conflicts, effective_priority};
use crate::config::PEERS_MAX;
use crate::message::{Fault, State};

impl VirtualRouter {
    /// Panics where the router's state contradicts itself.
    pub fn check_invariants(&self) {
        let armed = |timer| self.timers.deadline(timer).is_some();
        let states = |timer| match timer {
            Timer::ActiveDown | Timer::TakeOver => State::Backup,
            Timer::Advert | Timer::Announce | Timer::Acquire | Timer::PutBack | Timer::Offer => State::Active,
            Timer::HandOver => State::HandingOver,
            Timer::Retry => State::Fault,
        };
        for timer in Timer::ALL {
            assert!(!armed(timer) || states(timer) == self.state, "{timer:?} is armed in {:?}", self.state);
        }
        match self.state {
            State::Initialize => {}
            State::Backup => assert!(armed(Timer::ActiveDown), "a Backup that waits for nothing"),
            State::Active => {
                assert!(armed(Timer::Advert), "an Active router that stays silent");
                assert!(!self.is_unfit(), "Active, and cannot serve");
                assert_eq!(armed(Timer::Offer), !self.can_serve && !self.config.settings().bands);
            }
            State::HandingOver => assert!(armed(Timer::HandOver), "a hand-over without end"),
            State::Fault => assert!(!self.faults.is_empty(), "a fault without one"),
        }
        assert_eq!(self.fall, self.standing_fall(), "a fall that is over");
        assert!(self.fall.is_none() || armed(Timer::TakeOver), "a fall that nobody waits after");
        let may_be_faulty = self.state == State::Initialize || self.state == State::Fault;
        assert!(may_be_faulty || self.faults.is_empty(), "{:?} with {:?}", self.state, self.faults.first());
        let fits = match (self.state, self.holding) {
            (State::Active, Holding::Acquiring { .. }) => {
                assert!(armed(Timer::Acquire) != armed(Timer::PutBack), "who waits for the addresses?");
                !armed(Timer::Announce)
            }
            (State::Active, Holding::Held) => armed(Timer::Announce) && !armed(Timer::PutBack),
            (State::HandingOver, Holding::Held) => true,
            (State::Active | State::HandingOver, Holding::None | Holding::Releasing) => false,
            (State::HandingOver, Holding::Acquiring { .. }) => false,
            (State::Initialize | State::Backup | State::Fault, Holding::None | Holding::Releasing) => true,
            (State::Initialize | State::Backup | State::Fault, Holding::Acquiring { .. } | Holding::Held) => {
                false
            }
        };
        assert!(fits, "{:?} in {:?}", self.holding, self.state);
        assert_eq!(armed(Timer::Retry), self.state == State::Fault && self.faults.contains(Fault::NotHeld));
        let priority = effective_priority(&self.config, self.can_serve, self.rival_owner);
        assert_eq!(self.adverts.priority(), priority, "adverts with another priority");
        assert!(priority > 0, "present with the priority of those that leave");
        assert!(!self.active_interval.is_zero(), "an interval of nothing");
        assert!(self.neighbours.len() <= PEERS_MAX && self.conflicts.len() <= Conflicts::limit());
        assert_eq!(self.outbox.dropped(), 0, "outputs were lost");
        assert!(self.since <= self.now && self.last_advert <= self.now);
    }
}
