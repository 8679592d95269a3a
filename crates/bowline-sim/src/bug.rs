//! Planted bugs: what other implementations did wrong, for trying the checkers.
//!
//! The machine is not touched: a wrapper changes what goes into it and what comes out, or the world plays a worse shell.

use bowline_sansio::{Instant, Machine};
use bowline_vrrp::{
    Advert, Config, Conflict, Discard, Fault, Input, Output, Priority, Received, State, VirtualRouter,
    receive,
};
use core::net::IpAddr;
use core::time::Duration;

/// A bug of a router or of its shell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Bug {
    /// All Backups wait equally long (Holo: the fraction of a second is cast to an integer, and ranks did not exist).
    SkewLost,
    /// The interval's unit is mistaken (Holo: a router of 100 centiseconds advertises every 100 s).
    CentisecondsForSeconds,
    /// Of two Active routers of one priority, none gives way.
    TieBreakMissing,
    /// A farewell is not heard.
    PriorityZeroIgnored,
    /// An advert with interval 0 makes a Backup take over at once (keepalived 2.2.7, FRR 8.4).
    IntervalZeroAccepted,
    /// A timeout that was handled stays armed.
    TimerLeftArmed,
    /// Adverts do not rearm Active_Down_Timer.
    TimerNotRearmed,
    /// The address is left to expire.
    LeaseNotRenewed,
    /// The address has no lease (keepalived).
    LeaseNeverExpires,
    /// Nobody is told who has the addresses.
    AnnounceMissing,
    /// The address goes before there is a successor (keepalived).
    ReleaseBeforeSuccessor,
    /// A router that stood still goes on as if it had not.
    StallIgnored,
    /// A preferred router takes the addresses back (keepalived's default).
    PreemptsAlways,
    /// A preferred router that is to take the addresses back does not.
    PreemptsNever,
    /// A router says that it can serve whatever is true.
    CannotServeIgnored,
    /// Connections outlive the address (the kernel's default).
    ConnectionsKept,
    /// Nobody is there when the process ends.
    GuardMissing,
    /// A peer that has not let go yet is taken for a stranger with the address.
    PeerTakenForStranger,
    /// That a node can serve is shown by what it knew before it was asked.
    EvidenceFromBefore,
}

impl Bug {
    /// Every one.
    pub const ALL: [Self; 19] = [
        Self::SkewLost,
        Self::CentisecondsForSeconds,
        Self::TieBreakMissing,
        Self::PriorityZeroIgnored,
        Self::IntervalZeroAccepted,
        Self::TimerLeftArmed,
        Self::TimerNotRearmed,
        Self::LeaseNotRenewed,
        Self::LeaseNeverExpires,
        Self::AnnounceMissing,
        Self::ReleaseBeforeSuccessor,
        Self::StallIgnored,
        Self::PreemptsAlways,
        Self::PreemptsNever,
        Self::CannotServeIgnored,
        Self::ConnectionsKept,
        Self::GuardMissing,
        Self::PeerTakenForStranger,
        Self::EvidenceFromBefore,
    ];

    /// What a router with this bug makes of its configuration.
    fn distort(self, config: Config) -> Config {
        let mut settings = config.settings().clone();
        match self {
            Self::SkewLost => (settings.priority, settings.rank) = (most(), 0),
            Self::TieBreakMissing => settings.priority = most(),
            Self::PreemptsAlways => (settings.preempt, settings.preempt_delay) = (true, Duration::ZERO),
            Self::PreemptsNever => settings.preempt = false,
            Self::CentisecondsForSeconds
            | Self::PriorityZeroIgnored
            | Self::IntervalZeroAccepted
            | Self::TimerLeftArmed
            | Self::TimerNotRearmed
            | Self::LeaseNotRenewed
            | Self::LeaseNeverExpires
            | Self::AnnounceMissing
            | Self::ReleaseBeforeSuccessor
            | Self::StallIgnored
            | Self::CannotServeIgnored
            | Self::ConnectionsKept
            | Self::GuardMissing
            | Self::PeerTakenForStranger
            | Self::EvidenceFromBefore => {}
        }
        Config::new(settings).unwrap_or(config)
    }
}

/// The greatest priority that is not an owner's.
const fn most() -> Priority {
    match Priority::new(254) {
        Some(priority) => priority,
        None => Priority::OWNER,
    }
}

/// Between seconds and centiseconds.
const HUNDRED: u64 = 100;

/// A virtual router, with a bug or without.
#[derive(Debug)]
pub(crate) struct Subject {
    machine: VirtualRouter,
    bug: Option<Bug>,
    /// What [`Bug::StallIgnored`] has not noticed.
    missed: Duration,
    /// What [`Bug::TimerLeftArmed`] does not forget.
    armed: Option<Instant>,
    /// Whom [`Bug::TimerNotRearmed`] has heard since it is Backup.
    heard: Option<IpAddr>,
}

impl Subject {
    pub(crate) fn new(config: Config, now: Instant, bug: Option<Bug>) -> Self {
        let config = match bug {
            Some(bug) => bug.distort(config),
            None => config,
        };
        let mut subject = Self {
            machine: VirtualRouter::new(config.clone(), Instant::ORIGIN),
            bug,
            missed: Duration::ZERO,
            armed: None,
            heard: None,
        };
        subject.machine = VirtualRouter::new(config, subject.inward(now));
        subject
    }

    pub(crate) const fn machine(&self) -> &VirtualRouter {
        &self.machine
    }

    /// The machine's time for `now`.
    fn inward(&self, now: Instant) -> Instant {
        match self.bug {
            None => now,
            Some(Bug::CentisecondsForSeconds) => Instant::from_nanos(now.as_nanos() / HUNDRED),
            Some(_) => Instant::from_nanos(now.since(Instant::ORIGIN + self.missed).as_nanos() as u64),
        }
    }

    pub(crate) fn receive(&self, packet: Received<'_>) -> Result<Advert, Discard> {
        let result = receive(self.machine.config(), packet);
        match (self.bug, result) {
            (Some(Bug::IntervalZeroAccepted), Err(Discard::IntervalZero)) => Ok(Advert {
                source: packet.source,
                priority: packet.bytes.get(2).copied().unwrap_or(0),
                interval: Duration::from_nanos(1),
                checksum: None,
                same_addresses: true,
            }),
            (_, result) => result,
        }
    }

    pub(crate) fn handle(&mut self, input: Input, now: Instant) {
        let Some(bug) = self.bug else { return self.machine.handle(input, now) };
        let state = self.machine.status().state;
        if bug == Bug::StallIgnored
            && let Some(due) = self.poll_timeout()
        {
            let late = now.since(due);
            if late > self.machine.config().settings().protocol.interval() {
                self.missed += late;
            }
        }
        let is_timeout = input == Input::Timeout;
        if bug == Bug::TimerLeftArmed && is_timeout && self.armed.is_none() {
            self.armed = self.machine.poll_timeout();
        }
        let inward = self.inward(now);
        if let Some(input) = self.changed(bug, state, input) {
            let leaves = input == Input::Leave;
            self.machine.handle(input, inward);
            if bug == Bug::ReleaseBeforeSuccessor && leaves {
                self.machine.handle(Input::Fault(Fault::CannotSend), inward);
            }
        }
    }

    /// What is left of `input`.
    fn changed(&mut self, bug: Bug, state: State, input: Input) -> Option<Input> {
        match (bug, input) {
            (Bug::PriorityZeroIgnored, Input::Received(advert)) if advert.priority == 0 => None,
            (Bug::TieBreakMissing, Input::Received(advert))
                if state == State::Active && advert.priority == self.machine.status().priority =>
            {
                None
            }
            (Bug::TimerNotRearmed, Input::Received(advert)) if state == State::Backup => {
                let known = self.heard.replace(advert.source) == Some(advert.source);
                (!known || advert.priority == 0).then_some(Input::Received(advert))
            }
            (Bug::PeerTakenForStranger, Input::Conflict(conflict)) => {
                Some(Input::Conflict(Conflict { planned_peer: false, ..conflict }))
            }
            (Bug::CannotServeIgnored, Input::CanServe(_)) => Some(Input::CanServe(true)),
            (Bug::StallIgnored, Input::Stalled) => None,
            (_, input) => Some(input),
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        loop {
            match (self.bug, self.machine.poll_output()?) {
                (Some(Bug::AnnounceMissing), Output::Announce(_)) => {}
                (_, output) => return Some(output),
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let due = self.machine.poll_timeout()?;
        match self.bug {
            None => Some(due),
            Some(Bug::CentisecondsForSeconds) => Some(Instant::from_nanos(due.as_nanos() * HUNDRED)),
            Some(_) => Some(self.armed.unwrap_or(due + self.missed)),
        }
    }
}
