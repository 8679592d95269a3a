//! Random operations on one machine, its invariants after each (`handle` checks them itself under debug assertions, and the
//! tests once more), the contract of all machines around it.

use bowline_pool::*;
use bowline_sansio::contract::Checked;
use bowline_sansio::{Instant, Machine};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const NAMES: usize = 6;

fn spec(policy: Policy, members: &[usize], timers: Timers) -> PoolSpec {
    let endpoints = members
        .iter()
        .map(|n| EndpointSpec {
            name: format!("cp{n}"),
            address: format!("10.0.0.{n}:6443").parse().unwrap(),
        })
        .collect();
    PoolSpec { policy, endpoints, probed: members.len().div_ceil(2), timers }
}

fn policies() -> impl Strategy<Value = Policy> {
    prop_oneof![
        Just(Policy::LeastConnections),
        Just(Policy::RoundRobin),
        Just(Policy::RandomOfTwo),
        Just(Policy::Preferred),
        Just(Policy::Sticky),
    ]
}

fn timers() -> impl Strategy<Value = Timers> {
    let interval = prop_oneof![Just(0u64), Just(50), Just(1_000), Just(30_000)];
    (interval, 0u32..4, 0u32..4, prop_oneof![Just(0u64), Just(200), Just(9_000)]).prop_map(
        |(interval, fall, rise, timeout)| Timers {
            probe_interval: Duration::from_millis(interval),
            probe_timeout: Duration::from_millis(timeout),
            fall,
            rise,
            ..Timers::default()
        },
    )
}

fn specs() -> impl Strategy<Value = PoolSpec> {
    (policies(), prop::collection::vec(0..NAMES, 0..8), timers())
        .prop_map(|(policy, members, timers)| spec(policy, &members, timers))
}

fn statuses() -> impl Strategy<Value = Status> {
    prop_oneof![3 => Just(200u16), 1 => Just(401), 1 => Just(429), 2 => Just(500)].prop_map(Status::from)
}

fn results() -> impl Strategy<Value = ProbeResult> {
    let certificate = prop_oneof![
        4 => Just(Certificate::Verified),
        1 => Just(Certificate::Unverified),
        1 => Just(Certificate::Rejected("expired".to_owned())),
    ];
    let connect = prop::option::of((0u64..2_000).prop_map(Duration::from_millis));
    let answered = (statuses(), prop::option::of(statuses()), certificate, connect).prop_map(
        |(readyz, livez, certificate, connect)| ProbeResult::Answered { readyz, livez, certificate, connect },
    );
    let failed = prop_oneof![
        Just(ProbeFailure::Refused),
        Just(ProbeFailure::TimedOut(Stage::Handshake)),
        Just(ProbeFailure::Closed(Stage::Request)),
        Just(ProbeFailure::NotHttp("garbage".repeat(99))),
        Just(ProbeFailure::Local("EMFILE".to_owned())),
    ];
    prop_oneof![2 => answered, 1 => failed.prop_map(ProbeResult::Failed)]
}

#[derive(Clone, Debug)]
enum PoolOp {
    Reconcile(PoolSpec),
    /// The answer to one of the open probes.
    Answer(prop::sample::Index, ProbeResult),
    /// An answer that nobody waits for.
    Stray(u64, ProbeResult),
    Report(u64, Evidence, u16),
    Inquire,
    Wait(u64),
    Timeouts(u8),
}

fn pool_ops() -> impl Strategy<Value = PoolOp> {
    prop_oneof![
        1 => specs().prop_map(PoolOp::Reconcile),
        8 => (any::<prop::sample::Index>(), results()).prop_map(|(at, result)| PoolOp::Answer(at, result)),
        1 => (0u64..12, results()).prop_map(|(endpoint, result)| PoolOp::Stray(endpoint, result)),
        4 => (0u64..12, prop::sample::select(Evidence::ALL.to_vec()), 1u16..4)
            .prop_map(|(endpoint, evidence, times)| PoolOp::Report(endpoint, evidence, times)),
        1 => Just(PoolOp::Inquire),
        3 => (0u64..700).prop_map(PoolOp::Wait),
        4 => (1u8..6).prop_map(PoolOp::Timeouts),
    ]
}

/// What must be true of a pool's outputs whatever happens.
struct PoolModel {
    pool: Checked<Pool>,
    open: BTreeSet<EndpointId>,
    known: BTreeMap<EndpointId, Grade>,
    fail_open: bool,
    version: u64,
    sent: BTreeMap<EndpointId, Vec<Instant>>,
    /// When each probe that is not answered was sent.
    open_since: BTreeMap<EndpointId, Instant>,
    /// Questions without an answer: when they were asked, and the good probes since.
    inquiries: BTreeMap<InquiryId, (Instant, u32)>,
    next_inquiry: u64,
}

impl PoolModel {
    fn step(&mut self, input: Input, now: Instant) {
        match &input {
            Input::Inquire(inquiry) => assert!(self.inquiries.insert(*inquiry, (now, 0)).is_none()),
            Input::Probed { endpoint, result: ProbeResult::Answered { readyz, .. } } => {
                let sent = self.open_since.get(endpoint).copied();
                for (asked, good) in self.inquiries.values_mut() {
                    let is_good = !matches!(readyz, Status::Failing(_));
                    *good += u32::from(is_good && sent.is_some_and(|sent| sent >= *asked));
                }
            }
            _ => {}
        }
        let outputs = self.pool.step(input, now);
        self.check(outputs, now);
    }

    fn check(&mut self, outputs: Vec<Output>, now: Instant) {
        for output in outputs {
            match output {
                Output::Probe { endpoint, .. } => {
                    assert!(self.known.contains_key(&endpoint), "a probe of a stranger");
                    assert!(self.open.insert(endpoint), "two probes of {endpoint:?} in flight");
                    self.sent.entry(endpoint).or_default().push(now);
                    self.open_since.insert(endpoint, now);
                }
                Output::Inquired { inquiry, served } => {
                    let (_, good) = self.inquiries.remove(&inquiry).expect("one answer to each question");
                    assert!(!served || good >= 2, "a yes after {good} good probes");
                }
                Output::Forget { endpoint } => {
                    assert!(self.known.remove(&endpoint).is_some());
                    self.open.remove(&endpoint);
                }
                Output::Publish(snapshot) => {
                    assert_eq!(snapshot.version, self.version + 1);
                    self.version = snapshot.version;
                    let seen: BTreeMap<_, _> =
                        snapshot.endpoints.iter().map(|seen| (seen.id, seen.grade)).collect();
                    assert_eq!(seen, self.known, "events and snapshot differ");
                }
                Output::Event(Event::EndpointAdded { endpoint, .. }) => {
                    assert_eq!(self.known.insert(endpoint, Grade::Alive), None);
                }
                Output::Event(Event::GradeChanged { endpoint, from, to, evidence, .. }) => {
                    assert_eq!(self.known.insert(endpoint, to), Some(from));
                    assert!(from != to && evidence > 0);
                }
                Output::Event(Event::ProbeLost { endpoint, .. }) => {
                    // The pool may have asked anew already.
                    if self.sent[&endpoint].last() != Some(&now) {
                        self.open.remove(&endpoint);
                    }
                }
                Output::Event(Event::FailOpen) => assert!(!std::mem::replace(&mut self.fail_open, true)),
                Output::Event(Event::FailOpenEnded) => assert!(std::mem::replace(&mut self.fail_open, false)),
                Output::Event(_) => {}
            }
        }
        self.pool.get().check_invariants();
        assert_eq!(self.pool.get().snapshot().version, self.version);
    }
}

fn run_pool(first: PoolSpec, seed: u64, ops: &[PoolOp]) -> Vec<(EndpointId, Vec<Instant>)> {
    let mut now = Instant::from_millis(1);
    let mut pool = Pool::new(first, seed, now);
    let outputs: Vec<_> = std::iter::from_fn(|| pool.poll_output()).collect();
    let mut model = PoolModel {
        pool: Checked::new(pool, 1_000),
        open: BTreeSet::new(),
        known: BTreeMap::new(),
        fail_open: false,
        version: 0,
        sent: BTreeMap::new(),
        open_since: BTreeMap::new(),
        inquiries: BTreeMap::new(),
        next_inquiry: 0,
    };
    model.check(outputs, now);
    for op in ops {
        match op.clone() {
            PoolOp::Reconcile(spec) => model.step(Input::Reconcile(spec), now),
            PoolOp::Answer(at, result) => {
                if !model.open.is_empty() {
                    let endpoint = *model.open.iter().nth(at.index(model.open.len())).unwrap();
                    model.open.remove(&endpoint);
                    model.step(Input::Probed { endpoint, result }, now);
                }
            }
            PoolOp::Stray(endpoint, result) => {
                let endpoint = EndpointId(endpoint);
                if !model.open.contains(&endpoint) {
                    let before = model.version;
                    model.step(Input::Probed { endpoint, result }, now);
                    assert_eq!(model.version, before, "a stray answer changed something");
                }
            }
            PoolOp::Report(endpoint, evidence, times) => {
                for _ in 0..times {
                    model.step(Input::Reported { endpoint: EndpointId(endpoint), evidence }, now);
                }
            }
            PoolOp::Inquire => {
                let inquiry = InquiryId(model.next_inquiry);
                model.next_inquiry += 1;
                model.step(Input::Inquire(inquiry), now);
            }
            PoolOp::Wait(millis) => {
                now += Duration::from_millis(millis);
                model.step(Input::Timeout, now);
            }
            PoolOp::Timeouts(times) => {
                for _ in 0..times {
                    let due = model.pool.get().poll_timeout().map(|due| due.max(now));
                    let Some((at, outputs)) = model.pool.step_timeout(Input::Timeout) else { break };
                    assert_eq!(Some(at), due);
                    now = at;
                    model.check(outputs, now);
                }
            }
        }
    }
    model.sent.into_iter().collect()
}

#[derive(Clone, Debug)]
enum DialOp {
    End(prop::sample::Index, u8),
    Stray(u32, u8),
    Regrade(Vec<Grade>),
    Wait(u64),
    Timeout,
}

fn dial_ops() -> impl Strategy<Value = DialOp> {
    let grades = prop::collection::vec(prop::sample::select(Grade::ALL.to_vec()), 0..8);
    prop_oneof![
        6 => (any::<prop::sample::Index>(), 0u8..12).prop_map(|(at, how)| DialOp::End(at, how)),
        1 => (0u32..9, 0u8..5).prop_map(|(attempt, how)| DialOp::Stray(attempt, how)),
        2 => grades.prop_map(DialOp::Regrade),
        2 => (0u64..300).prop_map(DialOp::Wait),
        6 => Just(DialOp::Timeout),
    ]
}

/// Winning is rare, so that dials live long.
fn ended(attempt: Attempt, how: u8) -> DialInput {
    match how {
        0 => DialInput::Connected(attempt),
        1 => DialInput::Unreachable(attempt),
        2 => DialInput::TimedOut(attempt),
        3 => DialInput::LocalFailure(attempt),
        _ => DialInput::Refused(attempt),
    }
}

fn graded(policy: Policy, timers: Timers, grades: &[Grade]) -> Arc<Snapshot> {
    let endpoint = |(id, &grade): (u64, &Grade)| Endpoint {
        id: EndpointId(id),
        name: "cp".into(),
        address: "10.0.0.1:6443".parse().unwrap(),
        grade,
        reason: Reason::NotProbed,
        connect_rtt: (id % 2 == 0).then_some(Duration::from_millis(20 * id)),
        connections: ConnectionCount::default(),
    };
    Arc::new(Snapshot { version: 1, policy, timers, endpoints: (0u64..).zip(grades).map(endpoint).collect() })
}

/// What must be true of a dial's outputs whatever happens.
struct DialModel {
    racing: BTreeMap<Attempt, (EndpointId, ConnectionLease)>,
    over: bool,
    connects: usize,
}

impl DialModel {
    fn check(&mut self, outputs: Vec<DialOutput>, dial: &Dial) {
        for output in outputs {
            assert!(!self.over, "{output:?} after the end");
            match output {
                DialOutput::Connect { attempt, endpoint, lease, .. } => {
                    assert!(self.racing.values().all(|(racing, _)| *racing != endpoint));
                    assert!(self.racing.insert(attempt, (endpoint, lease)).is_none(), "a number twice");
                    self.connects += 1;
                }
                DialOutput::Abort { attempt } => assert!(self.racing.remove(&attempt).is_some()),
                DialOutput::Won { attempt, endpoint } => {
                    assert_eq!(
                        self.racing.len(),
                        0,
                        "all others are aborted before {attempt:?} to {endpoint:?}"
                    );
                    self.over = true;
                }
                DialOutput::GiveUp(_) => {
                    assert_eq!(self.racing.len(), 0);
                    self.over = true;
                }
                DialOutput::Report { evidence, .. } => assert!(matches!(
                    evidence,
                    Evidence::Refused | Evidence::Unreachable | Evidence::ConnectTimeout
                )),
            }
        }
        dial.check_invariants();
        assert_eq!(self.over, dial.is_done());
        assert_eq!(self.over, dial.poll_timeout().is_none());
        assert!(self.racing.len() <= MAX_RACING);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_pool_stays_sound(first in specs(), seed in any::<u64>(), ops in prop::collection::vec(pool_ops(), 1..120)) {
        let sent = run_pool(first.clone(), seed, &ops);
        prop_assert_eq!(&sent, &run_pool(first, seed, &ops), "the same inputs, other outputs");
    }

    #[test]
    fn probes_stay_within_their_budget(
        members in prop::collection::vec(0..NAMES, 1..5),
        seed in any::<u64>(),
        ops in prop::collection::vec(pool_ops().prop_filter("other timers", |op| !matches!(op, PoolOp::Reconcile(_))), 1..200),
    ) {
        for (endpoint, sent) in run_pool(spec(Policy::Preferred, &members, Timers::default()), seed, &ops) {
            for (at, first) in sent.iter().enumerate() {
                for (more, last) in sent.iter().enumerate().skip(at) {
                    let allowed = 5 + (last.since(*first).as_millis() / 500) as usize;
                    prop_assert!(more - at < allowed, "{:?}: {} in {:?}", endpoint, more - at + 1, last.since(*first));
                }
            }
        }
    }

    #[test]
    fn a_dial_stays_sound_and_ends(
        policy in policies(),
        grades in prop::collection::vec(prop::sample::select(Grade::ALL.to_vec()), 0..8),
        seed in any::<u64>(),
        crowd in prop_oneof![Just(0u32), Just(1_000), Just(u32::MAX)],
        ops in prop::collection::vec(dial_ops(), 1..150),
    ) {
        let timers = Timers::default();
        let start = Instant::from_millis(1);
        let mut now = start;
        let mut dial = Dial::new(graded(policy, timers, &grades), Ticket { turn: seed, seed, crowd }, now);
        let outputs: Vec<_> = std::iter::from_fn(|| dial.poll_output()).collect();
        let mut model = DialModel { racing: BTreeMap::new(), over: false, connects: 0 };
        model.check(outputs, &dial);
        let mut dial = Checked::new(dial, 40);
        for op in ops {
            let input = match op {
                DialOp::End(at, how) => {
                    if model.racing.is_empty() {
                        continue;
                    }
                    let attempt = *model.racing.keys().nth(at.index(model.racing.len())).unwrap();
                    model.racing.remove(&attempt);
                    ended(attempt, how)
                }
                DialOp::Stray(attempt, how) => {
                    if model.racing.contains_key(&Attempt(attempt)) {
                        continue;
                    }
                    ended(Attempt(attempt), how)
                }
                DialOp::Regrade(grades) => DialInput::Snapshot(graded(policy, timers, &grades)),
                DialOp::Wait(millis) => {
                    now += Duration::from_millis(millis);
                    DialInput::Timeout
                }
                DialOp::Timeout => {
                    if let Some((at, outputs)) = dial.step_timeout(DialInput::Timeout) {
                        now = at;
                        model.check(outputs, dial.get());
                    }
                    continue;
                }
            };
            let outputs = dial.step(input, now);
            model.check(outputs, dial.get());
        }
        // Left alone it ends when the client was held long enough, after a bounded number of attempts.
        for _ in 0..1_000 {
            let Some((_, outputs)) = dial.step_timeout(DialInput::Timeout) else { break };
            model.check(outputs, dial.get());
        }
        prop_assert!(model.over);
        prop_assert!(dial.now().max(now) >= now && dial.now() <= now.max(start + timers.hold));
    }
}
