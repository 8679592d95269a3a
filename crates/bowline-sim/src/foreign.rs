//! A router of another make: what RFC 9568 section 6.4 says and keepalived does by default, and nothing of what bowline adds. It
//! knows neither ranks nor bands nor leases, preempts, and gives the address up before there is a successor.

use bowline_sansio::Instant;
use bowline_vrrp::timers::{active_down, skew, skew_base};
use bowline_vrrp::{Advert, Config};
use core::time::Duration;

/// It announces once more after this (`garp_master_delay`).
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Fault,
    Backup,
    Active,
}

/// What it wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// An advert of this priority.
    Send(u8),
    Take,
    Drop,
    Announce,
}

#[derive(Debug)]
pub(crate) struct Foreign {
    config: Config,
    state: State,
    /// Active_Adver_Interval.
    active_interval: Duration,
    /// Adver_Timer or Active_Down_Timer.
    due: Instant,
    announce_again: Option<Instant>,
}

impl Foreign {
    pub(crate) fn new(config: Config, now: Instant) -> Self {
        let active_interval = config.interval();
        let mut foreign =
            Self { config, state: State::Backup, active_interval, due: now, announce_again: None };
        foreign.wait(now);
        foreign
    }

    pub(crate) const fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) const fn state(&self) -> State {
        self.state
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Fault => None,
            State::Backup | State::Active => {
                Some(self.announce_again.map_or(self.due, |at| at.min(self.due)))
            }
        }
    }

    fn priority(&self) -> u8 {
        self.config.settings().priority.get()
    }

    fn skew(&self) -> Duration {
        skew(self.priority(), skew_base(&self.config.settings().protocol, self.active_interval))
    }

    fn wait(&mut self, now: Instant) {
        self.due = now + active_down(self.active_interval, self.skew());
    }

    pub(crate) fn received(&mut self, advert: &Advert, now: Instant) -> Vec<Action> {
        let own = (self.priority(), self.config.settings().source);
        match self.state {
            State::Fault => Vec::new(),
            State::Backup if advert.priority == 0 => {
                self.due = now + self.skew();
                Vec::new()
            }
            State::Backup => {
                // Preempt_Mode: a lower one does not hold it back.
                if advert.priority >= own.0 {
                    self.active_interval = advert.interval;
                    self.wait(now);
                }
                Vec::new()
            }
            State::Active if advert.priority == 0 => self.advertise(now),
            State::Active if (advert.priority, advert.source) > own => {
                self.state = State::Backup;
                self.announce_again = None;
                self.active_interval = advert.interval;
                self.wait(now);
                vec![Action::Drop]
            }
            State::Active => {
                let mut actions = self.advertise(now);
                actions.push(Action::Announce);
                actions
            }
        }
    }

    fn advertise(&mut self, now: Instant) -> Vec<Action> {
        self.due = now + self.config.interval();
        vec![Action::Send(self.priority())]
    }

    pub(crate) fn timed_out(&mut self, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.announce_again.is_some_and(|at| at <= now) {
            self.announce_again = None;
            actions.push(Action::Announce);
        }
        if self.due > now {
            return actions;
        }
        match self.state {
            State::Fault => {}
            State::Backup => {
                self.state = State::Active;
                self.active_interval = self.config.interval();
                self.announce_again = Some(now + ANNOUNCE_AGAIN);
                actions.extend(self.advertise(now));
                actions.extend([Action::Take, Action::Announce]);
            }
            State::Active => actions.extend(self.advertise(now)),
        }
        actions
    }

    /// A planned stop, or a fault.
    pub(crate) fn give_up(&mut self) -> Vec<Action> {
        let active = self.state == State::Active;
        self.state = State::Fault;
        self.announce_again = None;
        if active { vec![Action::Send(0), Action::Drop] } else { Vec::new() }
    }

    pub(crate) fn recover(&mut self, now: Instant) {
        self.state = State::Backup;
        self.active_interval = self.config.interval();
        self.wait(now);
    }
}
