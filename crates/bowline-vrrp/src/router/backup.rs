//! What a Backup does (RFC 9568 section 6.4.2): it watches the Active router, and knows how long to wait for what.

use super::{Heard, Timer, VirtualRouter};
use crate::config::{Peers, Priority};
use crate::message::{Event, Reason, State};
use crate::receive::Advert;
use crate::timers::{HAND_OVER_MAX, active_down, rank_wait, replaced_after, skew, skew_base};
use bowline_sansio::Instant;
use core::time::Duration;

impl VirtualRouter {
    pub(super) fn become_backup(&mut self, reason: Reason, now: Instant) {
        self.transition(State::Backup, reason, now);
        self.wait_anew(now);
    }

    pub(super) fn heard_as_backup(&mut self, advert: &Advert, now: Instant) {
        self.note_neighbour(advert, now);
        if advert.priority == 0 {
            return self.heard_farewell(advert, now);
        }
        let fell = self.is_fall(advert);
        self.note_holder(advert, now);
        // There may be another one beside it that stays.
        if fell && self.holder.is_some_and(|holder| holder.source == advert.source) {
            self.inquire(advert.source, now);
        }
        // Section 6.4.2: a lower one that this router is to take over from is ignored, the timer runs on.
        if !self.is_preempting(advert.priority, now) {
            self.learn(advert);
            self.wait(now);
        }
        self.plan_take_over(now);
    }

    /// Section 6.4.2: Active_Down_Timer becomes Skew_Time. Only for the holder's own farewell: one for a router that is not Active any
    /// more (its guard sends it when the process dies) must not start a race against the router that is, nor may it shorten the
    /// first wait of a router that has not heard anybody yet.
    fn heard_farewell(&mut self, advert: &Advert, now: Instant) {
        let from_holder = self.holder.is_some_and(|holder| {
            holder.source == advert.source || !holder.is_heard(self.active_interval, now)
        });
        if !from_holder {
            self.beside = self.beside.filter(|(other, _)| other.source != advert.source);
            return;
        }
        self.predecessor = Some(advert.source);
        self.heard = Some(Heard { source: advert.source, priority: 0, at: now });
        if let Some(holder) = self.holder {
            self.forget_holder(holder.source);
        }
        self.timers.cancel(Timer::TakeOver);
        self.fall = None;
        // Its successor may have been heard before it: another sender's packets, another way. Nobody has to be raced.
        let beside = self.beside.take().filter(|(other, heard)| {
            other.source != advert.source && now.since(*heard) <= replaced_after(other.interval)
        });
        if let Some((successor, _)) = beside {
            return self.heard_as_backup(&successor, now);
        }
        // What waited while this router stood still is old: it may not have heard since who has followed.
        if self.stalled == Some(now) {
            return self.wait(now);
        }
        self.listening_since = None;
        if self.gives_way() {
            let wait = HAND_OVER_MAX.saturating_add(self.active_down_interval());
            self.timers.arm(Timer::ActiveDown, now + wait.saturating_add(self.rank_wait()));
        } else {
            self.follow_farewell(now);
        }
    }

    /// Skew_Time, and this router's place. However often a farewell is said: the first one counts.
    fn follow_farewell(&mut self, now: Instant) {
        let due = now + self.skew_time().saturating_add(self.rank_wait());
        let known = self.timers.deadline(Timer::ActiveDown).filter(|&known| known < due);
        self.timers.arm(Timer::ActiveDown, known.unwrap_or(due));
    }

    /// Whether a farewell is no invitation: where priorities have no bands, a router that cannot serve says priority 0 to
    /// find one that can, and goes on when there is none. Others that cannot serve give it the time for that.
    fn gives_way(&self) -> bool {
        !self.can_serve && !self.config.settings().bands
    }

    /// Whether an advert of priority `heard` does not hold this router back. Who cannot serve never preempts: all bad, nothing
    /// moves. An owner always does (RFC 9568 section 6.1, Preempt_Mode).
    fn is_preempting(&self, heard: u8, now: Instant) -> bool {
        let settings = self.config.settings();
        let watched = self.holder.and_then(|holder| holder.lower_since);
        let delay_over = watched.is_some_and(|since| now.since(since) >= settings.preempt_delay);
        heard < self.adverts.priority()
            && self.can_serve
            && (self.is_owner() || (settings.preempt && delay_over))
    }

    /// Section 6.4.2: Active_Adver_Interval, and with it Skew_Time and Active_Down_Interval, follow the holder.
    pub(super) fn learn(&mut self, advert: &Advert) {
        if self.holder.is_some_and(|holder| holder.source == advert.source) {
            self.active_interval = advert.interval;
        }
    }

    /// Skew_Time.
    fn skew_time(&self) -> Duration {
        let base = skew_base(&self.config.settings().protocol, self.active_interval);
        skew(self.adverts.priority(), base)
    }

    /// Active_Down_Interval.
    fn active_down_interval(&self) -> Duration {
        active_down(self.active_interval, self.skew_time())
    }

    /// What this router's place in the planned order adds, so that two never take over at once. The place of a holder that is
    /// gone is not counted: whoever comes after it does not wait for it.
    fn rank_wait(&self) -> Duration {
        let settings = self.config.settings();
        let place = match (&settings.peers, self.predecessor) {
            (Peers::Planned(peers), Some(gone)) => peers.iter().position(|&peer| peer == gone),
            (Peers::Planned(_), None) | (Peers::Any, _) => None,
        };
        let was_before = place.is_some_and(|place| place < usize::from(settings.rank));
        rank_wait(settings.rank.saturating_sub(u8::from(was_before)))
    }

    /// Arms Active_Down_Timer for a whole Active_Down_Interval.
    pub(super) fn wait(&mut self, now: Instant) {
        self.listening_since = Some(now);
        let wait = self.active_down_interval().saturating_add(self.rank_wait());
        self.timers.arm(Timer::ActiveDown, now + wait);
    }

    /// The same with nothing known of the holder any more.
    pub(super) fn wait_anew(&mut self, now: Instant) {
        if let Some(holder) = &mut self.holder {
            (holder.lower_since, holder.unable_since) = (None, None);
        }
        self.timers.cancel(Timer::TakeOver);
        self.fall = None;
        self.wait(now);
    }

    /// Another priority or another interval: the wait that has begun is as long as if that had been known.
    pub(super) fn refresh_wait(&mut self, now: Instant) {
        // Adverts that did not hold it back when they were heard do now.
        if let Some(holder) = self.holder
            && !self.is_preempting(holder.priority, now)
        {
            let since = self.listening_since.map_or(holder.heard, |since| since.max(holder.heard));
            self.listening_since = Some(since);
        }
        match self.listening_since {
            Some(since) => {
                let wait = self.active_down_interval().saturating_add(self.rank_wait());
                self.timers.arm(Timer::ActiveDown, (since + wait).max(now));
            }
            // It let others go first after a farewell, and need not any more.
            None if !self.gives_way() => self.follow_farewell(now),
            None => {}
        }
        self.plan_take_over(now);
    }

    /// Arms the timer for taking over from a holder that cannot serve: when evidence from after its fall shows that this
    /// router can, or when both have lasted long enough; and in the planned order of those that can.
    pub(super) fn plan_take_over(&mut self, now: Instant) {
        self.fall = self.standing_fall();
        let unable_since = self.holder.and_then(|holder| holder.unable_since).filter(|_| self.can_serve);
        let Some(unable_since) = unable_since else { return self.timers.cancel(Timer::TakeOver) };
        let stable = self.can_serve_since.max(unable_since) + self.config.settings().stability;
        let sure =
            self.fall.and_then(|fall| fall.confirmed).map_or(stable, |confirmed| confirmed.min(stable));
        let wait = self.skew_time().saturating_add(self.rank_wait());
        self.timers.arm(Timer::TakeOver, (sure + wait).max(now));
    }

    pub(super) fn timeout_as_backup(&mut self, now: Instant) {
        let heard = self.holder.is_some_and(|holder| holder.is_heard(self.active_interval, now));
        let left = self.listening_since.is_none();
        if self.timers.take_due(Timer::ActiveDown, now) {
            let reason = match (heard, left) {
                (true, true | false) => Reason::Preempting,
                (false, true) => Reason::HolderLeft,
                (false, false) => Reason::NobodyHeard,
            };
            self.take_over(reason, now);
        } else if self.timers.take_due(Timer::TakeOver, now) {
            self.take_over(Reason::HolderCannotServe, now);
        }
    }

    /// Says what is new about the sender. Two owners end up as one, by address, and neither claims to be one any more.
    pub(super) fn note_neighbour(&mut self, advert: &Advert, now: Instant) {
        for event in self.neighbours.note(advert).into_iter().flatten() {
            self.event(event);
        }
        let owner = Priority::OWNER.get();
        if self.config.settings().priority == Priority::OWNER && advert.priority == owner && !self.rival_owner
        {
            self.rival_owner = true;
            self.event(Event::TwoOwners { peer: advert.source });
            self.settle(false, now);
        }
    }
}
