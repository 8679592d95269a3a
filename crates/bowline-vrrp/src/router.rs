//! The virtual router: which state meets which input how. What a state does is in [`backup`] and [`active`].
//!
//! ```text
//!                      +---------------+
//!         +----------->|               |<-------------+
//!         |            |  Initialize   |              |
//!         |   +--------|               |----------+   |
//!         |   |        +---------------+          |   |        RFC 9568 section 6.4
//!         |   |                                   |   |
//!         |   V                                   V   |
//!     +---------------+                       +---------------+
//!     |               |---------------------->|               |
//!     |    Active     |                       |    Backup     |
//!     |               |<----------------------|               |
//!     +---------------+                       +---------------+
//! ```
//!
//! Two states more: *HandingOver* is an Active router that has said priority 0 and serves until its successor is heard; *Fault*
//! is where a router goes that cannot take part, from anywhere, and from which it comes back as a Backup.

use crate::config::{BAND, CAN_SERVE_MIN, Config, PEERS_MAX, Priority, Protocol, WhenAllBad};
use crate::message::{Event, Fault, Input, Inquiry, Output, Reason, State, Tenure};
use crate::receive::Advert;
use crate::timers::replaced_after;
use adverts::Adverts;
use announcements::Announcements;
use bowline_sansio::{Instant, Machine, Outbox, TimerTable};
use conflicts::Conflicts;
use core::net::IpAddr;
use core::time::Duration;
use fall::Fall;
use faults::Faults;
use holder::{Holder, Standing};
use neighbours::Neighbours;
use timer::{TIMERS, Timer};

mod active;
mod adverts;
mod announcements;
mod backup;
mod conflicts;
mod fall;
mod faults;
mod holder;
mod neighbours;
mod status;
mod timer;

pub use adverts::adverts;
pub use status::{Heard, Status};

/// The priority of a router that cannot serve, where priorities have no bands: any other goes before it, and one that can serve
/// takes over from it.
pub const LAST_RESORT: u8 = 1;

/// An owner that has heard another owner counts as this.
const NO_LONGER_OWNER: u8 = Priority::OWNER.get() - 1;

/// One input leads to at most a round of adverts, a round of farewells and a few outputs more.
const OUTBOX_MAX: usize = 2 * PEERS_MAX + 32;

/// What the kernel was last told about the addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Holding {
    /// Nothing, or it has done what it was told.
    None,
    /// To take them; not answered yet, or one was lost since.
    Acquiring {
        /// When it was told.
        since: Instant,
    },
    /// It has them.
    Held,
    /// To remove them; not answered yet.
    Releasing,
}

/// What a hand-over is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HandOver {
    /// This router stops.
    Leaving,
    /// It cannot serve.
    CannotServe,
}

/// One virtual router on one node.
#[derive(Clone, Debug)]
pub struct VirtualRouter {
    config: Config,
    state: State,
    reason: Reason,
    since: Instant,
    can_serve: bool,
    /// Since when it is so.
    can_serve_since: Instant,
    /// Whether it could serve once, and then could not.
    lapsed: bool,
    /// When it could serve again the last time after it could not.
    recovered: Option<Instant>,
    faults: Faults,
    /// Another owner was heard.
    rival_owner: bool,
    /// While handing over.
    hand_over: HandOver,
    tenure: Option<Tenure>,
    holding: Holding,
    adverts: Adverts,
    timers: TimerTable<Timer, TIMERS>,
    /// Active_Adver_Interval.
    active_interval: Duration,
    /// The last advert of this tenure.
    last_advert: Instant,
    announcements: Announcements,
    last_put_back: Option<Instant>,
    /// When another Active router was heard last that goes behind this one.
    rival: Option<Instant>,
    holder: Option<Holder>,
    /// Backup: what became of the holder's ability to serve, while this router asks or knows that it can.
    fall: Option<Fall>,
    /// The last question that was asked.
    inquiry: Option<Inquiry>,
    /// The last advert of another Active router, heard beside the holder's.
    beside: Option<(Advert, Instant)>,
    /// The holder since this router is Backup, also when it is gone; for the order among those that wait.
    predecessor: Option<IpAddr>,
    heard: Option<Heard>,
    /// Backup: since when it has waited for a whole Active_Down_Interval; `None` after a farewell, where it waits for less.
    listening_since: Option<Instant>,
    /// When it found out that it had stood still.
    stalled: Option<Instant>,
    neighbours: Neighbours,
    conflicts: Conflicts,
    now: Instant,
    outbox: Outbox<Output>,
}

impl VirtualRouter {
    /// A router that takes no part yet, and cannot serve as far as it knows.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut faults = Faults::default();
        if config.settings().when_all_bad == WhenAllBad::Release {
            faults.insert(Fault::CannotServe);
        }
        let priority = effective_priority(&config, false, false);
        Self {
            state: State::Initialize,
            reason: Reason::NotStarted,
            since: now,
            can_serve: false,
            can_serve_since: now,
            lapsed: false,
            recovered: None,
            faults,
            rival_owner: false,
            hand_over: HandOver::Leaving,
            tenure: None,
            holding: Holding::None,
            adverts: Adverts::new(&config, priority),
            timers: TimerTable::new(),
            active_interval: config.interval(),
            last_advert: now,
            announcements: Announcements::begin(now),
            last_put_back: None,
            rival: None,
            holder: None,
            fall: None,
            inquiry: None,
            beside: None,
            predecessor: None,
            heard: None,
            listening_since: None,
            stalled: None,
            neighbours: Neighbours::default(),
            conflicts: Conflicts::default(),
            now,
            outbox: Outbox::new(OUTBOX_MAX),
            config,
        }
    }

    /// The configuration in force; [`receive`](crate::receive) wants it.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    fn dispatch(&mut self, input: Input, now: Instant) {
        use State::{Active, Backup, Fault as Faulty, HandingOver, Initialize};
        match (self.state, input) {
            (Initialize, Input::Start) => self.enter(Reason::Started, now),
            (Backup | Active | HandingOver | Faulty, Input::Start) => {}

            (Initialize, Input::Received(_)) => {}
            (Backup, Input::Received(advert)) => self.heard_as_backup(&advert, now),
            (Active, Input::Received(advert)) => self.heard_as_active(&advert, now),
            (HandingOver, Input::Received(advert)) => self.heard_handing_over(&advert, now),
            (Faulty, Input::Received(advert)) => self.heard_in_fault(&advert, now),

            (Initialize | Backup | Active | HandingOver | Faulty, Input::CanServe(can)) => {
                self.set_can_serve(can, now);
            }
            (Backup, Input::Confirmed(inquiry)) => self.confirmed(inquiry, now),
            (Initialize | Active | HandingOver | Faulty, Input::Confirmed(_)) => {}

            (
                Initialize | Backup | Active | HandingOver | Faulty,
                Input::Fault(fault) | Input::Recovered(fault),
            ) if fault.is_own_finding() => {}
            (Initialize, Input::Fault(fault)) => self.faults.insert(fault),
            (Backup | Active | HandingOver | Faulty, Input::Fault(fault)) => self.fault(fault, now),
            (Initialize, Input::Recovered(fault)) => self.faults.remove(fault),
            (Backup | Active | HandingOver, Input::Recovered(_)) => {}
            (Faulty, Input::Recovered(fault)) => self.recover(fault, Reason::Recovered, now),

            (Active, Input::Held(tenure)) => self.held(tenure, now),
            (Initialize | Backup | HandingOver | Faulty, Input::Held(_)) => {}
            (Active | HandingOver, Input::NotHeld(tenure)) => self.not_held(tenure, now),
            (Initialize | Backup | Faulty, Input::NotHeld(_)) => {}
            (Active, Input::Lost(tenure, loss)) => self.lost(tenure, loss, now),
            (HandingOver, Input::Lost(tenure, _)) => self.lost_handing_over(tenure, now),
            (Initialize | Backup | Faulty, Input::Lost(_, _)) => {}
            (Initialize | Backup | Faulty, Input::Released(tenure)) => self.released(tenure),
            (Active | HandingOver, Input::Released(_)) => {}

            (Backup | Active | HandingOver, Input::Stalled) => self.stall(Duration::ZERO, now),
            (Initialize | Faulty, Input::Stalled) => {}
            (Initialize | Backup | Active | HandingOver | Faulty, Input::Conflict(conflict)) => {
                self.conflict(conflict, now);
            }

            (Backup, Input::TakeOver) => self.take_over(Reason::Group, now),
            (Initialize | Active | HandingOver | Faulty, Input::TakeOver) => {}

            (Initialize, Input::Leave) => {}
            // Section 6.4.2: a Backup that is shut down says nothing.
            (Backup | Faulty, Input::Leave) => self.transition(Initialize, Reason::Leaving, now),
            (Active, Input::Leave) => self.begin_hand_over(HandOver::Leaving, now),
            (HandingOver, Input::Leave) => self.hand_over = HandOver::Leaving,

            (Initialize | Backup | Active | HandingOver | Faulty, Input::Reconfigure(config)) => {
                self.reconfigure(*config, now);
            }

            (Initialize, Input::Timeout) => {}
            (Backup, Input::Timeout) => self.timeout_as_backup(now),
            (Active, Input::Timeout) => self.timeout_as_active(now),
            (HandingOver, Input::Timeout) => self.timeout_handing_over(now),
            (Faulty, Input::Timeout) => self.timeout_in_fault(now),
        }
    }

    /// From Initialize or Fault into the state that takes part (RFC 9568 section 6.4.1).
    fn enter(&mut self, reason: Reason, now: Instant) {
        if let Some(fault) = self.faults.first() {
            return self.transition(State::Fault, Reason::Fault(fault), now);
        }
        self.active_interval = self.config.interval();
        (self.holder, self.predecessor) = (None, None);
        // Section 6.4.1: the owner is Active at once, everybody else listens first.
        if self.is_owner() {
            self.take_over(Reason::Owner, now);
        } else {
            self.become_backup(reason, now);
        }
    }

    fn set_can_serve(&mut self, can_serve: bool, now: Instant) {
        if can_serve != self.can_serve {
            // What it is told first is how it was found.
            let lapsed = self.lapsed || !can_serve;
            self.recovered = (can_serve && lapsed).then_some(now);
            self.lapsed = lapsed;
            self.can_serve = can_serve;
            self.can_serve_since = now;
            self.settle(false, now);
        }
    }

    /// Whatever follows from another configuration, from being able to serve, or from not being the owner any more.
    fn settle(&mut self, reconfigured: bool, now: Instant) {
        let (from, to) =
            (self.adverts.priority(), effective_priority(&self.config, self.can_serve, self.rival_owner));
        if from != to || reconfigured {
            self.adverts = Adverts::new(&self.config, to);
        }
        if from != to {
            self.event(Event::PriorityChanged { from, to });
        }
        match (self.state, self.is_unfit()) {
            (State::Initialize, true) => self.faults.insert(Fault::CannotServe),
            (State::Initialize, false) => self.faults.remove(Fault::CannotServe),
            (State::Backup | State::Fault, true) => self.fault(Fault::CannotServe, now),
            // Section 6.4.1 again: an owner that learns only after its start that it can serve, and has heard nobody since.
            (State::Backup, false) if from != to && self.is_owner() && self.holder.is_none() => {
                self.take_over(Reason::Owner, now);
            }
            (State::Backup, false) => self.refresh_wait(now),
            (State::Fault, false) => self.recover(Fault::CannotServe, Reason::CanServe, now),
            (State::Active, true | false) => {
                self.settle_active(from != to || reconfigured, now);
            }
            (State::HandingOver, true | false) => self.settle_handing_over(now),
        }
    }

    fn released(&mut self, tenure: Tenure) {
        if self.tenure == Some(tenure) {
            self.holding = Holding::None;
        }
    }

    fn reconfigure(&mut self, config: Config, now: Instant) {
        if !self.config.can_become(&config) {
            return self.event(Event::ReconfigureRefused);
        }
        if config == self.config {
            return;
        }
        let (old, new) = (self.config.settings(), config.settings());
        let other_addresses = old.addresses != new.addresses;
        if old.priority != new.priority {
            self.rival_owner = false;
        }
        let own_interval = match (new.protocol, self.holder) {
            (Protocol::V2 { .. }, _) | (Protocol::V3 { .. }, None) => true,
            (Protocol::V3 { .. }, Some(_)) => false,
        };
        self.config = config;
        if own_interval {
            self.active_interval = self.config.interval();
        }
        self.settle(true, now);
        if other_addresses && self.state == State::Active {
            self.acquire_others(now);
        }
    }

    fn conflict(&mut self, conflict: crate::message::Conflict, now: Instant) {
        if self.conflicts.is_news(conflict, self.config.settings().lease, now) {
            self.event(Event::DuplicateAddress(conflict));
        }
        if self.state != State::Active || self.holding != Holding::Held {
            return;
        }
        // A peer that claims the address, and whose adverts do not come here, may hear ours and be the better of the two: to
        // answer each claim with another would take every client to and fro. Whoever hears the other tells the neighbours.
        if conflict.planned_peer && !self.hears_rival(now) {
            self.announce_later(now);
        } else {
            self.announce_again(now);
        }
    }

    /// How much too late `now` is for this router to believe that nothing has happened meanwhile: longer than the lease or than
    /// the quickest Backup waits.
    fn lateness(&self, now: Instant) -> Option<Duration> {
        let lease = self.config.settings().lease;
        let after = |timer| self.timers.deadline(timer).map_or(Duration::ZERO, |due| now.since(due));
        match self.state {
            State::Initialize | State::Fault | State::HandingOver => None,
            State::Backup => {
                let late = after(Timer::ActiveDown);
                (late > replaced_after(self.active_interval).min(lease)).then_some(late)
            }
            State::Active => {
                let (silent, late) = (now.since(self.last_advert), after(Timer::Advert));
                (silent > replaced_after(self.config.interval()) || late > lease).then_some(late)
            }
        }
    }

    /// Others may have taken over while this router stood still, and the kernel may have dropped the addresses: back to where
    /// nothing is claimed, without a word, and listen for a whole interval.
    fn stall(&mut self, gap: Duration, now: Instant) {
        self.event(Event::Stalled { gap });
        self.stalled = Some(now);
        match self.state {
            State::Initialize | State::Fault => {}
            State::Backup => self.wait_anew(now),
            State::Active => {
                self.release(Reason::Stalled);
                self.become_backup(Reason::Stalled, now);
            }
            State::HandingOver => self.end_hand_over(Reason::Stalled, now),
        }
    }

    fn note_holder(&mut self, advert: &Advert, now: Instant) {
        if !Holder::is_spoken_of(self.holder, advert, self.active_interval, now) {
            self.beside = Some((*advert, now));
            return;
        }
        // The holder may have less priority than before, and then the one beside it is the one that will stay.
        let stays = self.beside.filter(|(other, heard)| {
            other.source != advert.source
                && now.since(*heard) <= replaced_after(other.interval)
                && (other.priority, other.source) > (advert.priority, advert.source)
        });
        if stays.is_some() {
            self.beside = Some((*advert, now));
        }
        let (advert, heard) = stays.as_ref().map_or((advert, now), |(other, heard)| (other, *heard));
        let standing = Standing {
            lower: advert.priority < self.adverts.priority(),
            unable: self.says_unable(advert.priority),
        };
        let before = self.holder.map(|holder| holder.source);
        self.holder = Some(Holder::after(self.holder, advert, standing, heard));
        self.predecessor = Some(advert.source);
        self.heard = Some(Heard { source: advert.source, priority: advert.priority, at: heard });
        if before != Some(advert.source) {
            self.event(Event::HolderChanged { holder: Some(advert.source) });
        }
    }

    fn forget_holder(&mut self, source: IpAddr) {
        if self.holder.is_some_and(|holder| holder.source == source) {
            self.holder = None;
            self.event(Event::HolderChanged { holder: None });
        }
    }

    /// Whether this router may not hold the addresses because it cannot serve.
    fn is_unfit(&self) -> bool {
        !self.can_serve && self.config.settings().when_all_bad == WhenAllBad::Release
    }

    /// Whether `priority` says that its router cannot serve.
    const fn says_unable(&self, priority: u8) -> bool {
        if self.config.settings().bands { priority < CAN_SERVE_MIN } else { priority <= LAST_RESORT }
    }

    const fn is_owner(&self) -> bool {
        self.adverts.priority() == Priority::OWNER.get()
    }

    fn transition(&mut self, to: State, reason: Reason, now: Instant) {
        let from = self.state;
        debug_assert!(is_edge(from, to), "{from:?} to {to:?} because of {reason:?}");
        self.timers = TimerTable::new();
        self.fall = None;
        self.state = to;
        self.reason = reason;
        self.since = now;
        if to == State::Initialize {
            self.holder = None;
            self.faults.remove(Fault::NotHeld);
            if self.is_unfit() {
                self.faults.insert(Fault::CannotServe);
            }
        }
        self.plan_retry(now);
        self.event(Event::Transition { from, to, reason });
    }

    fn release(&mut self, reason: Reason) {
        if let Some(tenure) = self.tenure {
            self.holding = Holding::Releasing;
            self.outbox.push(Output::Release(tenure, reason));
        }
    }

    fn event(&mut self, event: Event) {
        self.outbox.push(Output::Event(event));
    }
}

/// The priority that a router advertises.
fn effective_priority(config: &Config, can_serve: bool, rival_owner: bool) -> u8 {
    let settings = config.settings();
    let planned = settings.priority.get();
    let planned = if rival_owner { planned.min(NO_LONGER_OWNER) } else { planned };
    match (can_serve, settings.bands) {
        (true, true | false) => planned,
        (false, true) => planned.saturating_sub(BAND).max(LAST_RESORT),
        (false, false) => LAST_RESORT,
    }
}

/// Whether a router may go from one state straight to the other.
const fn is_edge(from: State, to: State) -> bool {
    use State::{Active, Backup, Fault, HandingOver, Initialize};
    match (from, to) {
        (Initialize, Backup | Active | Fault) => true,
        (Backup, Active | Initialize | Fault) => true,
        (Active, Backup | HandingOver | Initialize | Fault) => true,
        (HandingOver, Backup | Active | Initialize | Fault) => true,
        (Fault, Backup | Active | Initialize) => true,
        (Initialize, Initialize | HandingOver) => false,
        (Backup | Fault, HandingOver) => false,
        (Backup, Backup) | (Active, Active) | (HandingOver, HandingOver) | (Fault, Fault) => false,
    }
}

impl Machine for VirtualRouter {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, input: Input, now: Instant) {
        self.now = self.now.max(now);
        let now = self.now;
        if let Some(gap) = self.lateness(now) {
            self.stall(gap, now);
        }
        self.dispatch(input, now);
        if cfg!(debug_assertions) {
            self.check_invariants();
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }
}

mod invariants;
#[cfg(test)]
mod tests;
