//! Rung 3: random operations on one machine, its invariants after each, the contract of all machines around it, and what has to
//! be true of its outputs whatever happens.

use bowline_sansio::contract::Checked;
use bowline_sansio::{Instant, Machine};
use bowline_vrrp::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// Rounds of adverts to two peers, and what else one input leads to.
const OUTPUTS_MAX: usize = 32;

const STABILITY: Duration = Duration::from_secs(2);

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

prop_compose! {
    fn configs()(
        v2 in any::<bool>(),
        interval in prop_oneof![Just(1u16), Just(10), Just(100), Just(4_095)],
        priority in prop_oneof![Just(255u8), 129..=254u8],
        rank in 0u8..4,
        addresses in 1u8..4,
        unicast in any::<bool>(),
        (preempt, delay) in (any::<bool>(), 0u64..3_000),
        (bands, keep) in (any::<bool>(), any::<bool>()),
    ) -> Config {
        let protocol = if v2 {
            Protocol::V2 { interval: Seconds::new(interval.to_be_bytes()[1].max(1)).unwrap(), password: None }
        } else {
            let interval = Centiseconds::new(interval).unwrap();
            Protocol::V3 { interval, checksum: ChecksumForm::PseudoHeader }
        };
        let peers: std::sync::Arc<[IpAddr]> = [ip(1), ip(3)].into();
        Config::new(Settings {
            vrid: Vrid::new(51).unwrap(),
            protocol,
            addresses: Addresses::new((0..addresses).map(|host| ip(100 + host)).collect()).unwrap(),
            source: ip(2),
            priority: Priority::new(priority).unwrap(),
            rank,
            preempt,
            preempt_delay: Duration::from_millis(delay),
            peers: Peers::Planned(peers.clone()),
            transport: if unicast { Transport::Unicast(peers) } else { Transport::Multicast },
            bands,
            when_all_bad: if keep { WhenAllBad::Keep } else { WhenAllBad::Release },
            stability: STABILITY,
            lease: Duration::from_secs(1),
        })
        .unwrap()
    }
}

#[derive(Clone, Debug)]
enum Op {
    Start,
    Hear {
        source: u8,
        priority: u8,
        interval: u64,
    },
    CanServe(bool),
    /// The answer to the last question, or to an earlier one.
    Confirmed(bool),
    Fault(Fault),
    Recovered(Fault),
    /// The kernel's answer to the oldest order.
    Answer(bool),
    /// One that nobody waits for, of the tenure so far back.
    Stray(u64, u8),
    Lost(Loss),
    Stalled,
    Conflict(u8),
    TakeOver,
    Leave,
    Reconfigure(Config),
    Wait(u64),
    Timeouts(u8),
}

fn ops() -> impl Strategy<Value = Op> {
    let priority = prop_oneof![Just(0u8), Just(1), Just(122), Just(255), any::<u8>()];
    let source = prop_oneof![4 => Just(1u8), 4 => Just(3u8), 1 => 4u8..=255];
    let fault = prop::sample::select(Fault::ALL.to_vec());
    prop_oneof![
        2 => Just(Op::Start),
        8 => (source, priority, 1u64..300).prop_map(|(source, priority, interval)| Op::Hear { source, priority, interval }),
        3 => any::<bool>().prop_map(Op::CanServe),
        2 => prop::bool::weighted(0.8).prop_map(Op::Confirmed),
        1 => fault.clone().prop_map(Op::Fault),
        2 => fault.prop_map(Op::Recovered),
        6 => prop::bool::weighted(0.9).prop_map(Op::Answer),
        1 => (0u64..3, 0u8..4).prop_map(|(back, kind)| Op::Stray(back, kind)),
        2 => prop_oneof![Just(Loss::Removed), Just(Loss::Expired)].prop_map(Op::Lost),
        1 => Just(Op::Stalled),
        1 => any::<u8>().prop_map(Op::Conflict),
        1 => Just(Op::TakeOver),
        1 => Just(Op::Leave),
        1 => configs().prop_map(Op::Reconfigure),
        4 => (0u64..400).prop_map(Op::Wait),
        8 => (1u8..6).prop_map(Op::Timeouts),
    ]
}

/// A router, and what is known of it from its outputs alone.
struct Model {
    router: Checked<VirtualRouter>,
    destinations: usize,
    /// Orders not answered yet.
    orders: Vec<Output>,
    /// Of the orders about addresses.
    acquired: Option<Tenure>,
    tenures: BTreeSet<Tenure>,
    held: bool,
    asked: Vec<Inquiry>,
    /// Since when it has been told that it can serve.
    able_since: Option<Instant>,
    /// Whether it was told otherwise after that.
    lapsed: bool,
    /// The last question that was answered.
    confirmed: Option<Inquiry>,
    /// Since when each of the others has said that it cannot serve.
    unable_since: BTreeMap<IpAddr, Instant>,
    last_advert: Option<Instant>,
    last_announcement: Option<Instant>,
    /// Everything it said, for comparing two runs.
    said: Vec<Output>,
}

impl Model {
    fn new(config: Config) -> Self {
        let destinations = adverts(&config, 0).len();
        Self {
            router: Checked::new(VirtualRouter::new(config, Instant::ORIGIN), OUTPUTS_MAX),
            destinations,
            orders: Vec::new(),
            acquired: None,
            tenures: BTreeSet::new(),
            held: false,
            asked: Vec::new(),
            able_since: None,
            lapsed: false,
            confirmed: None,
            unable_since: BTreeMap::new(),
            last_advert: None,
            last_announcement: None,
            said: Vec::new(),
        }
    }

    fn status(&self) -> Status {
        self.router.get().status()
    }

    fn step(&mut self, input: Input, now: Instant) -> Result<(), TestCaseError> {
        let before = self.status().state;
        match &input {
            Input::CanServe(true) => self.able_since = self.able_since.or(Some(now)),
            Input::CanServe(false) => self.lapsed |= self.able_since.take().is_some(),
            Input::Confirmed(inquiry) => self.confirmed = Some(*inquiry),
            Input::Received(advert) if advert.priority < CAN_SERVE_MIN => {
                self.unable_since.entry(advert.source).or_insert(now);
            }
            Input::Received(advert) => drop(self.unable_since.remove(&advert.source)),
            _ => {}
        }
        let outputs = self.router.step(input.clone(), now);
        self.check(before, &input, outputs, now)
    }

    fn check(
        &mut self,
        before: State,
        input: &Input,
        outputs: Vec<Output>,
        now: Instant,
    ) -> Result<(), TestCaseError> {
        self.router.get().check_invariants();
        let after = self.status();
        let mut sent = Vec::new();
        for output in &outputs {
            match output {
                Output::Send(transmission) => sent.push(transmission.bytes[2]),
                Output::Acquire(tenure) => {
                    // The same again, or a new one when the last was given up.
                    prop_assert!(self.acquired == Some(*tenure) || self.acquired.is_none());
                    prop_assert!(self.acquired.is_some() || self.tenures.insert(*tenure));
                    self.acquired = Some(*tenure);
                    self.orders.push(output.clone());
                }
                Output::Release(tenure, _) => {
                    prop_assert_eq!(self.acquired.take(), Some(*tenure));
                    self.held = false;
                    self.orders.push(output.clone());
                }
                Output::Announce(tenure) => {
                    prop_assert_eq!(self.acquired, Some(*tenure));
                    prop_assert!(after.held, "announced, and not held");
                    let gap = self.last_announcement.map(|last| now.since(last));
                    let fresh = matches!(input, Input::Held(_));
                    prop_assert!(fresh || gap.is_none_or(|gap| gap >= timers::ANNOUNCE_GAP), "{gap:?}");
                    self.last_announcement = Some(now);
                }
                Output::Inquire(inquiry) => {
                    prop_assert!(matches!(input, Input::Received(_)), "asked because of {input:?}");
                    prop_assert!(self.asked.last().is_none_or(|last| last < inquiry), "a number twice");
                    // Whoever was well for long enough.
                    let well = self.able_since.map(|since| now.since(since));
                    let is_well = well.is_some_and(|well| well >= STABILITY || !self.lapsed);
                    prop_assert!(is_well, "asked after {well:?}");
                    prop_assert_eq!(after.state, State::Backup);
                    self.asked.push(*inquiry);
                }
                Output::Event(Event::Transition {
                    to: State::Active,
                    reason: Reason::HolderCannotServe,
                    ..
                }) => {
                    self.check_taken(now)?;
                }
                Output::Event(_) => {}
            }
        }
        let active = matches!(after.state, State::Active | State::HandingOver);
        prop_assert_eq!(self.acquired.is_some(), active, "addresses in {:?}", after.state);
        self.check_sent(before, &sent, now)?;
        self.said.extend(outputs);
        Ok(())
    }

    /// Whoever takes over from a holder that cannot serve has fresh evidence, or has been able for long enough.
    fn check_taken(&self, now: Instant) -> Result<(), TestCaseError> {
        let able = self.able_since.map(|since| now.since(since));
        let is_well = able.is_some_and(|able| able >= STABILITY || !self.lapsed);
        prop_assert!(is_well, "took over, able for {able:?}");
        let is_fresh = self.confirmed.is_some() && self.asked.last() == self.confirmed.as_ref();
        let both_for =
            |since: &Instant| able.is_some_and(|able| able >= STABILITY) && now.since(*since) >= STABILITY;
        let lasted = self.unable_since.values().any(both_for);
        prop_assert!(is_fresh || lasted, "took over without evidence: {:?}", self.unable_since);
        Ok(())
    }

    fn check_sent(&mut self, before: State, sent: &[u8], now: Instant) -> Result<(), TestCaseError> {
        let after = self.status();
        prop_assert_eq!(sent.len() % self.destinations, 0);
        let (farewells, present): (Vec<u8>, Vec<u8>) = sent.iter().partition(|&&priority| priority == 0);
        prop_assert!(farewells.len() <= self.destinations && present.len() <= self.destinations);
        if !farewells.is_empty() {
            prop_assert_eq!(before, State::Active, "a farewell of one that was not there");
            prop_assert_ne!(after.state, State::Active);
        }
        if !present.is_empty() {
            prop_assert!(before == State::Active || after.state == State::Active);
            let gap = self.last_advert.map(|last| now.since(last));
            let begins = before != State::Active;
            // One that gives way says so once, whenever its last advert was.
            let yields = before == State::Active && after.state == State::Backup;
            let in_time = gap.is_none_or(|gap| gap >= timers::ADVERT_GAP);
            prop_assert!(begins || yields || in_time, "{gap:?}");
            self.last_advert = Some(now);
        }
        if before != State::Active && after.state == State::Active {
            prop_assert!(!present.is_empty(), "Active without a word");
        }
        Ok(())
    }

    fn answer(&mut self, good: bool, now: Instant) -> Result<(), TestCaseError> {
        if self.orders.is_empty() {
            return Ok(());
        }
        match self.orders.remove(0) {
            Output::Acquire(tenure) if good => self.step(Input::Held(tenure), now),
            Output::Acquire(tenure) => self.step(Input::NotHeld(tenure), now),
            Output::Release(tenure, _) => self.step(Input::Released(tenure), now),
            Output::Send(_) | Output::Announce(_) | Output::Inquire(_) | Output::Event(_) => Ok(()),
        }
    }

    fn stray(&mut self, back: u64, kind: u8, now: Instant) -> Result<(), TestCaseError> {
        let Some(&tenure) = self.tenures.iter().rev().nth(usize::try_from(back).unwrap() + 1) else {
            return Ok(());
        };
        let before = self.status();
        let input = match kind {
            0 => Input::Held(tenure),
            1 => Input::NotHeld(tenure),
            2 => Input::Lost(tenure, Loss::Removed),
            _ => Input::Released(tenure),
        };
        let said = self.said.len();
        self.step(input, now)?;
        // Unless it found out that it had stood still.
        let stalled =
            self.said[said..].iter().any(|said| matches!(said, Output::Event(Event::Stalled { .. })));
        prop_assert!(stalled || self.status() == before, "an answer of another tenure counted");
        Ok(())
    }

    fn timeouts(&mut self, count: u8) -> Result<(), TestCaseError> {
        for _ in 0..count {
            let before = self.status().state;
            let Some((now, outputs)) = self.router.step_timeout(Input::Timeout) else { return Ok(()) };
            self.check(before, &Input::Timeout, outputs, now)?;
            // Spurious ones are no-ops.
            let outputs = self.router.step(Input::Timeout, now);
            prop_assert!(outputs.is_empty(), "{outputs:?}");
        }
        Ok(())
    }

    fn apply(&mut self, op: Op) -> Result<(), TestCaseError> {
        let now = self.router.now();
        let tenure = self.status().tenure;
        match op {
            Op::Start => self.step(Input::Start, now),
            Op::Hear { source, priority, interval } => {
                let advert = Advert {
                    source: ip(source),
                    priority,
                    interval: Duration::from_millis(10 * interval),
                    checksum: Some(ChecksumForm::PseudoHeader),
                    same_addresses: source != 4,
                };
                self.step(Input::Received(advert), now)
            }
            Op::CanServe(can) => self.step(Input::CanServe(can), now),
            Op::Confirmed(last) => {
                let place = self.asked.len().checked_sub(if last { 1 } else { 2 });
                match place.and_then(|place| self.asked.get(place)) {
                    Some(&inquiry) => self.step(Input::Confirmed(inquiry), now),
                    None => Ok(()),
                }
            }
            Op::Fault(fault) => self.step(Input::Fault(fault), now),
            Op::Recovered(fault) => self.step(Input::Recovered(fault), now),
            Op::Answer(good) => self.answer(good, now),
            Op::Stray(back, kind) => self.stray(back, kind, now),
            Op::Lost(loss) => match tenure {
                Some(tenure) => self.step(Input::Lost(tenure, loss), now),
                None => Ok(()),
            },
            Op::Stalled => {
                self.step(Input::Stalled, now)?;
                prop_assert!(!matches!(self.status().state, State::Active | State::HandingOver));
                Ok(())
            }
            Op::Conflict(host) => {
                let hardware = [2, 0, 0, 0, 0, host];
                let conflict = Conflict { address: ip(100), hardware, planned_peer: host % 2 == 0 };
                self.step(Input::Conflict(conflict), now)
            }
            Op::TakeOver => self.step(Input::TakeOver, now),
            Op::Leave => self.step(Input::Leave, now),
            Op::Reconfigure(config) => {
                self.destinations = adverts(&config, 0).len();
                self.step(Input::Reconfigure(Box::new(config)), now)
            }
            Op::Wait(millis) => {
                // As a shell would: every timeout in its time.
                let end = now + Duration::from_millis(millis);
                for _ in 0..1_000 {
                    if self.router.get().poll_timeout().is_none_or(|due| due > end) {
                        break;
                    }
                    self.timeouts(1)?;
                }
                self.step(Input::Timeout, end.max(self.router.now()))
            }
            Op::Timeouts(count) => self.timeouts(count),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_operations_keep_the_rules(config in configs(), ops in prop::collection::vec(ops(), 0..80)) {
        let mut model = Model::new(config.clone());
        for op in ops.clone() {
            model.apply(op)?;
        }
        // The same once more, bit for bit.
        let mut again = Model::new(config);
        for op in ops {
            again.apply(op)?;
        }
        prop_assert_eq!(model.said, again.said);
    }
}
