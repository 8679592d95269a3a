//! The faults that stand, and what a router with one does.

use super::{Timer, VirtualRouter};
use crate::message::{Fault, Reason, State};
use crate::receive::Advert;
use crate::timers::RETRY_AFTER;
use bowline_sansio::Instant;

/// A set of [`Fault`]s.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Faults(u8);

const fn bit(fault: Fault) -> u8 {
    1 << fault as u8
}

impl Faults {
    pub(super) const fn insert(&mut self, fault: Fault) {
        self.0 |= bit(fault);
    }

    pub(super) const fn remove(&mut self, fault: Fault) {
        self.0 &= !bit(fault);
    }

    pub(super) const fn contains(self, fault: Fault) -> bool {
        self.0 & bit(fault) != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The gravest.
    pub(super) fn first(self) -> Option<Fault> {
        Fault::ALL.into_iter().find(|&fault| self.contains(fault))
    }
}

impl VirtualRouter {
    pub(super) fn fault(&mut self, fault: Fault, now: Instant) {
        self.faults.insert(fault);
        let reason = Reason::Fault(fault);
        match self.state {
            State::Initialize | State::Fault => {}
            State::Backup => self.transition(State::Fault, reason, now),
            State::Active => {
                // Section 6.4.3 has it at a shutdown: priority 0 on the way out, so that nobody waits for silence.
                self.send_farewell();
                self.release(reason);
                self.transition(State::Fault, reason, now);
            }
            State::HandingOver => self.end_hand_over(reason, now),
        }
        // In Fault already, or one of the same again.
        self.plan_retry(now);
    }

    /// What the kernel refused it may take later; nobody else says when.
    pub(super) fn plan_retry(&mut self, now: Instant) {
        let planned = self.timers.deadline(Timer::Retry).is_some();
        if self.state == State::Fault && self.faults.contains(Fault::NotHeld) && !planned {
            self.timers.arm(Timer::Retry, now + RETRY_AFTER);
        }
    }

    pub(super) fn recover(&mut self, fault: Fault, reason: Reason, now: Instant) {
        self.faults.remove(fault);
        if fault == Fault::NotHeld {
            self.timers.cancel(Timer::Retry);
        }
        if self.faults.is_empty() {
            self.enter(reason, now);
        }
    }

    pub(super) fn heard_in_fault(&mut self, advert: &Advert, now: Instant) {
        if advert.priority == 0 {
            self.forget_holder(advert.source);
        } else {
            self.note_holder(advert, now);
        }
    }

    pub(super) fn timeout_in_fault(&mut self, now: Instant) {
        if self.timers.take_due(Timer::Retry, now) {
            self.recover(Fault::NotHeld, Reason::Recovered, now);
        }
    }
}
