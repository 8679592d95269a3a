//! What an Active router does (RFC 9568 section 6.4.3), and one that hands over.

use super::announcements::Announcements;
use super::{HandOver, Holding, LAST_RESORT, Timer, VirtualRouter};
use crate::message::{Event, Fault, Loss, Output, Reason, State, Tenure};
use crate::receive::Advert;
use crate::timers::{ACQUIRE_MAX, ADVERT_GAP, HAND_OVER_MAX, OFFER_EVERY, PUT_BACK_GAP, replaced_after};
use bowline_sansio::Instant;

impl VirtualRouter {
    /// Sections 6.4.1 (the owner) and 6.4.2: advert first, then the addresses, and announcements as soon as they are here.
    pub(super) fn take_over(&mut self, reason: Reason, now: Instant) {
        self.transition(State::Active, reason, now);
        if self.holder.take().is_some() {
            self.event(Event::HolderChanged { holder: None });
        }
        self.predecessor = None;
        self.active_interval = self.config.interval();
        let tenure = self.tenure.map_or(Tenure::FIRST, Tenure::next);
        self.tenure = Some(tenure);
        self.last_put_back = None;
        self.conflicts.begin_tenure();
        self.send_advert(now);
        self.acquire(now);
        if self.is_last_resort() {
            self.timers.arm(Timer::Offer, now + OFFER_EVERY);
        }
    }

    /// Whether this router would rather not be Active, and cannot say so by a band.
    fn is_last_resort(&self) -> bool {
        !self.can_serve && !self.config.settings().bands
    }

    fn send_advert(&mut self, now: Instant) {
        for transmission in self.adverts.present() {
            self.outbox.push(Output::Send(transmission));
        }
        self.last_advert = now;
        self.timers.arm(Timer::Advert, now + self.config.interval());
    }

    pub(super) fn send_farewell(&mut self) {
        for transmission in self.adverts.farewell() {
            self.outbox.push(Output::Send(transmission));
        }
    }

    /// An advert out of turn: now, or when the last one is long enough ago.
    fn send_advert_soon(&mut self, now: Instant) {
        let soonest = self.last_advert + ADVERT_GAP;
        if soonest <= now {
            self.send_advert(now);
        } else {
            let due = self.timers.deadline(Timer::Advert).map_or(soonest, |due| due.min(soonest));
            self.timers.arm(Timer::Advert, due);
        }
    }

    fn acquire(&mut self, now: Instant) {
        let Some(tenure) = self.tenure else { return };
        self.holding = Holding::Acquiring { since: now };
        self.timers.cancel(Timer::PutBack);
        self.timers.arm(Timer::Acquire, now + ACQUIRE_MAX);
        self.outbox.push(Output::Acquire(tenure));
    }

    pub(super) fn held(&mut self, tenure: Tenure, now: Instant) {
        if self.tenure != Some(tenure) || self.timers.deadline(Timer::Acquire).is_none() {
            return;
        }
        if let Holding::Acquiring { since } = self.holding {
            self.event(Event::Held { after: now.since(since) });
        }
        self.holding = Holding::Held;
        self.timers.cancel(Timer::Acquire);
        self.announcements = Announcements::begin(now);
        self.announce(now);
    }

    /// Tells the neighbours who has the addresses.
    fn say_where(&mut self, now: Instant) {
        if let Some(tenure) = self.tenure {
            self.outbox.push(Output::Announce(tenure));
        }
        self.announcements.sent(now);
    }

    fn announce(&mut self, now: Instant) {
        self.say_where(now);
        self.timers.arm(Timer::Announce, self.announcements.next(now));
    }

    /// An announcement out of turn, now or when the last one is long enough ago, and the schedule from its beginning.
    pub(super) fn announce_again(&mut self, now: Instant) {
        self.announcements.begin_again(now);
        let soonest = self.announcements.soonest();
        if soonest <= now {
            self.announce(now);
        } else {
            let due = self.timers.deadline(Timer::Announce).map_or(soonest, |due| due.min(soonest));
            self.timers.arm(Timer::Announce, due);
        }
    }

    /// The neighbours are told something else by somebody who may be right: nothing more until that has ended.
    pub(super) fn announce_later(&mut self, now: Instant) {
        let later = (now + replaced_after(self.config.interval())).max(self.announcements.soonest());
        self.announcements.begin_again(later);
        self.timers.arm(Timer::Announce, later);
    }

    /// Whether adverts of a lesser Active router come in.
    pub(super) fn hears_rival(&self, now: Instant) -> bool {
        self.rival.is_some_and(|heard| now.since(heard) <= replaced_after(self.config.interval()))
    }

    /// A router without its addresses must not keep others from having them.
    pub(super) fn not_held(&mut self, tenure: Tenure, now: Instant) {
        if self.tenure == Some(tenure) {
            self.event(Event::NotHeld);
            self.fault(Fault::NotHeld, now);
        }
    }

    /// Put back: this router has been Active all the time, or [`VirtualRouter::lateness`] would have found it late.
    pub(super) fn lost(&mut self, tenure: Tenure, loss: Loss, now: Instant) {
        if self.tenure != Some(tenure) {
            return;
        }
        self.event(Event::AddressLost { loss });
        self.timers.cancel(Timer::Announce);
        let soonest = self.last_put_back.map_or(now, |last| last + PUT_BACK_GAP);
        if soonest <= now {
            self.put_back(now);
        } else {
            self.holding = Holding::Acquiring { since: now };
            self.timers.cancel(Timer::Acquire);
            self.timers.arm(Timer::PutBack, soonest);
        }
    }

    fn put_back(&mut self, now: Instant) {
        self.last_put_back = Some(now);
        self.acquire(now);
    }

    pub(super) fn heard_as_active(&mut self, advert: &Advert, now: Instant) {
        let own = (self.adverts.priority(), self.config.settings().source);
        self.note_neighbour(advert, now);
        // What it learned may have ended its being Active.
        if self.state != State::Active {
            return;
        }
        // Section 6.4.3: somebody leaves; whoever waits for silence hears at once that this router is there. And it was Active: to
        // some of the neighbours it may have been the one that has the addresses.
        if advert.priority == 0 {
            return self.insist(now);
        }
        // Section 6.4.3: higher, or equal with a higher address.
        if (advert.priority, advert.source) > own {
            let higher = advert.priority > own.0;
            return self.yield_to(advert, if higher { Reason::HigherHeard } else { Reason::EqualHeard }, now);
        }
        // Section 6.4.3: discarded and answered at once; and what the neighbours believe is put right.
        self.note_rival(advert, now);
        self.insist(now);
    }

    /// Says out of turn that this router is Active: to the others, and to the neighbours if it has the addresses.
    fn insist(&mut self, now: Instant) {
        self.send_advert_soon(now);
        if self.holding == Holding::Held {
            self.announce_again(now);
        }
    }

    fn note_rival(&mut self, advert: &Advert, now: Instant) {
        let known = self.rival.is_some_and(|heard| now.since(heard) <= replaced_after(advert.interval));
        self.rival = Some(now);
        if !known {
            self.event(Event::OtherActive { peer: advert.source, priority: advert.priority });
        }
    }

    fn yield_to(&mut self, advert: &Advert, reason: Reason, now: Instant) {
        // The other one may not have heard that there were two: after a partition this one's neighbours would look for it here
        // until the next announcement of the schedule. A lower advert makes it tell them at once (`heard_as_active`).
        // It has the least priority there is: nobody gives way to a router that has just given way, perhaps to one that is gone
        // since (its packets may have waited while this host stood still).
        if self.last_advert < now {
            for transmission in self.adverts.parting() {
                self.outbox.push(Output::Send(transmission));
            }
        }
        self.release(reason);
        self.transition(State::Backup, reason, now);
        self.note_holder(advert, now);
        self.learn(advert);
        self.wait_anew(now);
    }

    pub(super) fn timeout_as_active(&mut self, now: Instant) {
        if self.timers.take_due(Timer::Acquire, now) {
            self.event(Event::NotHeld);
            return self.fault(Fault::NotHeld, now);
        }
        if self.timers.take_due(Timer::Offer, now) {
            return self.begin_hand_over(HandOver::CannotServe, now);
        }
        if self.timers.take_due(Timer::PutBack, now) {
            self.put_back(now);
        }
        let planned = self.timers.deadline(Timer::Advert);
        if self.timers.take_due(Timer::Advert, now) {
            self.send_advert(now);
            // The period is that of the timer, not of how late it is handled each time.
            let on_time = planned.map(|planned| planned + self.config.interval()).filter(|&next| next > now);
            if let Some(next) = on_time {
                self.timers.arm(Timer::Advert, next.max(now + ADVERT_GAP));
            }
        }
        if self.timers.take_due(Timer::Announce, now) {
            self.announce(now);
        }
    }

    /// Other adverts, and being able to serve or not.
    pub(super) fn settle_active(&mut self, other_adverts: bool, now: Instant) {
        let offered = self.timers.deadline(Timer::Offer).is_some();
        if self.is_unfit() || (self.is_last_resort() && !offered) {
            return self.begin_hand_over(HandOver::CannotServe, now);
        }
        if !self.is_last_resort() {
            self.timers.cancel(Timer::Offer);
        }
        if other_adverts {
            self.send_advert_soon(now);
        }
    }

    /// Other addresses than before; what the kernel has stays in use until it has those.
    pub(super) fn acquire_others(&mut self, now: Instant) {
        if let (Some(tenure), Holding::Held) = (self.tenure, self.holding) {
            self.timers.arm(Timer::Acquire, now + ACQUIRE_MAX);
            self.outbox.push(Output::Acquire(tenure));
        } else {
            self.acquire(now);
        }
    }

    /// Says priority 0 and serves on, if there is anything to serve.
    pub(super) fn begin_hand_over(&mut self, hand_over: HandOver, now: Instant) {
        self.hand_over = hand_over;
        let reason = match hand_over {
            HandOver::Leaving => Reason::Leaving,
            HandOver::CannotServe => Reason::CannotServe,
        };
        let has_addresses = self.holding == Holding::Held;
        self.send_farewell();
        if has_addresses {
            self.transition(State::HandingOver, reason, now);
            self.timers.arm(Timer::HandOver, now + HAND_OVER_MAX);
        } else {
            self.end_hand_over(reason, now);
        }
    }

    /// Whoever is heard as Active is the successor, unless it is of no use as one.
    pub(super) fn heard_handing_over(&mut self, advert: &Advert, now: Instant) {
        self.note_neighbour(advert, now);
        if advert.priority == 0 || self.state != State::HandingOver {
            return;
        }
        if self.is_no_better(advert) {
            // It was Active as well, and this router goes on when there is no successor.
            if self.hand_over == HandOver::CannotServe && self.announcements.soonest() <= now {
                self.say_where(now);
            }
            return;
        }
        self.event(Event::SuccessorHeard { peer: advert.source, after: now.since(self.since) });
        self.end_hand_over(Reason::SuccessorHeard, now);
        if self.state == State::Backup {
            self.heard_as_backup(advert, now);
        }
    }

    /// Whether `advert` is of the last resort and goes behind this router. Either its sender has just given way, and is Active no
    /// more; or it cannot serve, and has been Active beside this router without hearing it: it would not learn that it is alone
    /// from now on, and would not tell the neighbours.
    fn is_no_better(&self, advert: &Advert) -> bool {
        let own = (self.adverts.priority(), self.config.settings().source);
        // Of one that stops for good, whoever is Active is the successor; with bands, that is nobody of the last resort.
        let counts = self.hand_over == HandOver::CannotServe || self.config.settings().bands;
        counts && advert.priority <= LAST_RESORT && (advert.priority, advert.source) < own
    }

    pub(super) fn lost_handing_over(&mut self, tenure: Tenure, now: Instant) {
        if self.tenure == Some(tenure) {
            self.end_hand_over(Reason::AddressLost, now);
        }
    }

    pub(super) fn settle_handing_over(&mut self, now: Instant) {
        match self.hand_over {
            HandOver::Leaving => {}
            HandOver::CannotServe if self.can_serve => self.resume(Reason::CanServe, now),
            HandOver::CannotServe => {}
        }
    }

    pub(super) fn timeout_handing_over(&mut self, now: Instant) {
        if !self.timers.take_due(Timer::HandOver, now) {
            return;
        }
        match self.hand_over {
            HandOver::CannotServe if !self.is_unfit() => self.resume(Reason::NoSuccessor, now),
            HandOver::CannotServe | HandOver::Leaving => self.end_hand_over(Reason::NoSuccessor, now),
        }
    }

    /// Active again in the same tenure: the addresses have been here all the time. Neighbours may have been told something else
    /// before and during the offer, and this router said nothing.
    fn resume(&mut self, reason: Reason, now: Instant) {
        self.transition(State::Active, reason, now);
        self.send_advert(now);
        self.announce_again(now);
        if self.is_last_resort() {
            self.timers.arm(Timer::Offer, now + OFFER_EVERY);
        }
    }

    /// Gives the addresses up, and goes where this router belongs.
    pub(super) fn end_hand_over(&mut self, reason: Reason, now: Instant) {
        self.release(reason);
        match self.hand_over {
            HandOver::Leaving => return self.transition(State::Initialize, reason, now),
            HandOver::CannotServe if self.is_unfit() => self.faults.insert(Fault::CannotServe),
            HandOver::CannotServe => {}
        }
        if self.faults.is_empty() {
            self.become_backup(reason, now);
        } else {
            self.transition(State::Fault, reason, now);
        }
    }
}
