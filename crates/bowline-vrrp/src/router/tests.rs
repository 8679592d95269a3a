use super::*;
use crate::config::{
    Addresses, ChecksumForm, Peers, Priority, Protocol, Settings, Transport, Vrid, WhenAllBad,
};
use crate::interval::{Centiseconds, Seconds};
use crate::message::{Conflict, Loss};
use bowline_sansio::contract::Checked;

const fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

/// Node 2 of three (addresses 10.0.0.1 to 3, priorities 254, 250, 246), 100 ms, bands, stability 2 s, lease 1 s.
fn settings() -> Settings {
    Settings {
        vrid: Vrid::new(51).unwrap(),
        protocol: Protocol::V3 {
            interval: Centiseconds::new(10).unwrap(),
            checksum: ChecksumForm::PseudoHeader,
        },
        addresses: Addresses::new(vec![ip(100)]).unwrap(),
        source: ip(2),
        priority: Priority::new(250).unwrap(),
        rank: 1,
        preempt: false,
        preempt_delay: Duration::ZERO,
        peers: Peers::Planned([ip(1), ip(3)].into()),
        transport: Transport::Multicast,
        bands: true,
        when_all_bad: WhenAllBad::Keep,
        stability: Duration::from_secs(2),
        lease: Duration::from_secs(1),
    }
}

fn with(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = settings();
    change(&mut settings);
    settings
}

fn advert(source: u8, priority: u8) -> Advert {
    Advert {
        source: ip(source),
        priority,
        interval: Duration::from_millis(100),
        checksum: Some(ChecksumForm::PseudoHeader),
        same_addresses: true,
    }
}

fn heard(source: u8, priority: u8) -> Input {
    Input::Received(advert(source, priority))
}

/// A router under test, with what it said so far.
struct Subject {
    router: Checked<VirtualRouter>,
}

impl Subject {
    fn new(settings: Settings) -> Self {
        let router = VirtualRouter::new(Config::new(settings).unwrap(), Instant::ORIGIN);
        Self { router: Checked::new(router, OUTBOX_MAX) }
    }

    /// Started at the origin, able to serve.
    fn started(settings: Settings) -> Self {
        let mut subject = Self::new(settings);
        subject.step(Input::CanServe(true), ms(0));
        subject.step(Input::Start, ms(0));
        subject
    }

    /// A Backup that hears `source` with `priority` at 0 ms.
    fn backup(settings: Settings, source: u8, priority: u8) -> Self {
        let mut subject = Self::started(settings);
        subject.step(heard(source, priority), ms(0));
        assert_eq!(subject.state(), State::Backup);
        subject
    }

    /// Active with its addresses held; at which time is its `now`.
    fn active(settings: Settings) -> Self {
        let mut subject = Self::started(settings);
        if subject.state() == State::Backup {
            subject.timeout();
        }
        subject.hold();
        subject
    }

    fn hold(&mut self) {
        let held = Input::Held(self.tenure());
        self.step(held, self.now());
        assert_eq!((self.state(), self.status().held), (State::Active, true));
    }

    fn step(&mut self, input: Input, now: Instant) -> Vec<Said> {
        said(self.router.step(input, now))
    }

    /// Its next timeout, at the time it asked for.
    fn timeout(&mut self) -> (Instant, Vec<Said>) {
        let (due, outputs) = self.router.step_timeout(Input::Timeout).expect("a timeout");
        (due, said(outputs))
    }

    fn status(&self) -> Status {
        self.router.get().status()
    }

    fn state(&self) -> State {
        self.status().state
    }

    fn tenure(&self) -> Tenure {
        self.status().tenure.expect("a tenure")
    }

    fn now(&self) -> Instant {
        self.router.now()
    }

    /// Every timeout until it leaves its state, or until `end`; when it left, and what it said then.
    fn run_until_change(&mut self, end: Instant) -> Option<(Instant, Vec<Said>)> {
        let state = self.state();
        while self.router.get().poll_timeout().is_some_and(|due| due <= end) {
            let (due, said) = self.timeout();
            if self.state() != state {
                return Some((due, said));
            }
        }
        None
    }
}

/// An output without what is the same in all of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Said {
    /// An advert of this priority, to this address' last byte.
    Advert(u8),
    Acquire,
    Release(Reason),
    Announce,
    Inquire,
    Event(Event),
}

fn said(outputs: Vec<Output>) -> Vec<Said> {
    let said = |output| match output {
        Output::Send(transmission) => Said::Advert(transmission.bytes[2]),
        Output::Acquire(_) => Said::Acquire,
        Output::Release(_, reason) => Said::Release(reason),
        Output::Announce(_) => Said::Announce,
        Output::Inquire(_) => Said::Inquire,
        Output::Event(event) => Said::Event(event),
    };
    outputs.into_iter().map(said).collect()
}

/// What is done, without what is told.
fn done(said: Vec<Said>) -> Vec<Said> {
    said.into_iter().filter(|said| !matches!(said, Said::Event(_))).collect()
}

mod bands;
mod basics;
mod faults;
mod hand_over;
mod peers;
mod table;
