use super::*;
use crate::evidence::{Certificate, ProbeFailure, Stage, Status};
use crate::reason::Reason;
use crate::snapshot::Grade;
use crate::spec::{EndpointSpec, Policy};
use bowline_sansio::contract::Checked;

const fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn spec(names: &[&str]) -> PoolSpec {
    let endpoints = names
        .iter()
        .map(|name| EndpointSpec { name: (*name).to_owned(), address: "10.0.0.1:6443".parse().unwrap() })
        .collect();
    PoolSpec { policy: Policy::Preferred, endpoints, probed: usize::MAX, timers: Timers::default() }
}

fn ok(connect: Option<u64>) -> ProbeResult {
    ProbeResult::Answered {
        readyz: Status::Ok,
        livez: None,
        certificate: Certificate::Verified,
        connect: connect.map(Duration::from_millis),
    }
}

const REFUSED: ProbeResult = ProbeResult::Failed(ProbeFailure::Refused);

/// A pool, and the probes it wants that nobody answered yet.
struct Bench {
    pool: Checked<Pool>,
    open: Vec<(EndpointId, bool)>,
}

impl Bench {
    fn new(spec: PoolSpec) -> Self {
        let mut pool = Pool::new(spec, 1, ms(0));
        let first: Vec<_> = core::iter::from_fn(|| pool.poll_output()).collect();
        let mut bench = Self { pool: Checked::new(pool, OUTBOX_MAX), open: Vec::new() };
        bench.note(&first);
        bench
    }

    /// All endpoints answered their first probe.
    fn ready(names: &[&str]) -> Self {
        let mut bench = Self::new(spec(names));
        for (endpoint, _) in core::mem::take(&mut bench.open) {
            bench.at(1, Input::Probed { endpoint, result: ok(Some(1)) });
        }
        bench
    }

    fn note(&mut self, outputs: &[Output]) {
        for output in outputs {
            match output {
                Output::Probe { endpoint, fresh, .. } => self.open.push((*endpoint, *fresh)),
                Output::Forget { .. } | Output::Inquired { .. } | Output::Publish(_) | Output::Event(_) => {}
            }
        }
    }

    fn at(&mut self, millis: u64, input: Input) -> Vec<Output> {
        let outputs = self.pool.step(input, ms(millis));
        self.note(&outputs);
        outputs
    }

    fn report(&mut self, millis: u64, endpoint: u64, evidence: Evidence) -> Vec<Output> {
        self.at(millis, Input::Reported { endpoint: EndpointId(endpoint), evidence })
    }

    /// Answers the probe of `endpoint` that is in flight.
    fn answer(&mut self, millis: u64, endpoint: u64, result: ProbeResult) -> Vec<Output> {
        let endpoint = EndpointId(endpoint);
        let open = self.open.iter().position(|&(open, _)| open == endpoint).expect("a probe in flight");
        self.open.remove(open);
        self.at(millis, Input::Probed { endpoint, result })
    }

    fn timeout(&mut self) -> (Instant, Vec<Output>) {
        let (at, outputs) = self.pool.step_timeout(Input::Timeout).expect("an armed timer");
        self.note(&outputs);
        (at, outputs)
    }

    fn grades(&self) -> Vec<Grade> {
        self.pool.get().snapshot().endpoints.iter().map(|endpoint| endpoint.grade).collect()
    }

    fn ids(&self) -> Vec<u64> {
        self.pool.get().snapshot().endpoints.iter().map(|endpoint| endpoint.id.0).collect()
    }
}

fn event(output: &Output) -> Option<&Event> {
    match output {
        Output::Event(event) => Some(event),
        Output::Probe { .. } | Output::Forget { .. } | Output::Inquired { .. } | Output::Publish(_) => None,
    }
}

fn events(outputs: &[Output]) -> Vec<&Event> {
    outputs.iter().filter_map(event).collect()
}

fn publishes(outputs: &[Output]) -> bool {
    outputs.iter().any(|output| matches!(output, Output::Publish(_)))
}

#[test]
fn everything_new_is_published_and_probed_at_once() {
    let bench = Bench::new(spec(&["a", "b", "c"]));
    assert_eq!(bench.open.len(), 3);
    assert_eq!(bench.grades(), [Grade::Alive; 3]);
    assert_eq!(bench.pool.get().snapshot().version, 1);
}

#[test]
fn reconcile_keeps_what_stays() {
    let mut bench = Bench::ready(&["a", "b"]);
    let lease = bench.pool.get().snapshot().endpoints[1].connections.lease();
    let outputs = bench.at(10, Input::Reconcile(spec(&["c", "b"])));
    assert_eq!(bench.ids(), [2, 1]);
    assert_eq!(bench.grades(), [Grade::Alive, Grade::Ready]);
    assert_eq!(bench.pool.get().snapshot().endpoints[1].connections.get(), 1);
    drop(lease);
    assert_eq!(bench.pool.get().snapshot().endpoints[1].connections.get(), 0);
    assert!(outputs.iter().any(|output| matches!(output, Output::Forget { endpoint: EndpointId(0) })));
    assert_eq!(bench.open, [(EndpointId(2), false)], "only the new one is probed");
    // Nothing new, nothing said; and who comes back is somebody else.
    assert!(bench.at(11, Input::Reconcile(spec(&["c", "b"]))).is_empty());
    bench.at(12, Input::Reconcile(spec(&["a", "b"])));
    assert_eq!(bench.ids(), [3, 1]);
}

#[test]
fn answers_that_nobody_waits_for_change_nothing() {
    let mut bench = Bench::ready(&["a", "b"]);
    bench.at(10, Input::Reconcile(spec(&["b"])));
    assert!(bench.at(11, Input::Probed { endpoint: EndpointId(0), result: REFUSED }).is_empty());
    assert!(bench.report(11, 0, Evidence::Refused).is_empty());
    for at in 12..20 {
        assert!(bench.at(at, Input::Probed { endpoint: EndpointId(1), result: REFUSED }).is_empty());
    }
    assert_eq!(bench.grades(), [Grade::Ready]);
}

#[test]
fn endpoints_beyond_the_limit_and_twins_are_left_out() {
    let names: Vec<String> = (0..ENDPOINTS_MAX + 7).map(|n| n.to_string()).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.insert(0, names[0]);
    let mut pool = Pool::new(spec(&names), 1, ms(0));
    let outputs: Vec<_> = core::iter::from_fn(|| pool.poll_output()).collect();
    assert_eq!(pool.snapshot().endpoints.len(), ENDPOINTS_MAX);
    assert!(events(&outputs).contains(&&Event::EndpointsLeftOut { count: 8 }));
    let probes = outputs.iter().filter(|output| matches!(output, Output::Probe { .. })).count();
    assert_eq!(probes, PROBES_IN_FLIGHT_MAX);
    // Each answer makes room for the next one.
    pool.handle(Input::Probed { endpoint: EndpointId(0), result: ok(Some(1)) }, ms(1));
    let more =
        core::iter::from_fn(|| pool.poll_output()).filter(|output| matches!(output, Output::Probe { .. }));
    assert_eq!(more.count(), 1);
}

#[test]
fn a_probe_that_is_never_answered_counts_as_timed_out() {
    let mut bench = Bench::new(spec(&["a", "b"]));
    bench.answer(1, 1, ok(Some(1)));
    // Answered by nobody: lost after five seconds, asked again, and lost again.
    let mut lost = 0;
    while bench.pool.now() < ms(11_000) {
        let (_, outputs) = bench.timeout();
        lost += events(&outputs).iter().filter(|event| matches!(event, Event::ProbeLost { .. })).count();
        bench.open.dedup();
        if bench.open.contains(&(EndpointId(1), false)) {
            let now = bench.pool.now().as_nanos() / 1_000_000 + 1;
            bench.answer(now, 1, ok(None));
        }
    }
    assert_eq!(lost, 2);
    assert_eq!(bench.grades(), [Grade::Dead, Grade::Ready]);
    let reason = bench.pool.get().snapshot().endpoints[0].reason.clone();
    assert_eq!(reason, Reason::TimedOut(Stage::Request));
}

#[test]
fn failures_on_our_side_count_against_nobody() {
    let mut bench = Bench::ready(&["a", "b"]);
    let local = || ProbeResult::Failed(ProbeFailure::Local("EMFILE".to_owned()));
    let mut told = 0;
    for _ in 0..200 {
        let (at, outputs) = bench.timeout();
        told += events(&outputs).len();
        for (endpoint, _) in core::mem::take(&mut bench.open) {
            let outputs = bench.pool.step(Input::Probed { endpoint, result: local() }, at);
            told += events(&outputs).len();
            assert!(!publishes(&outputs));
        }
    }
    assert_eq!(bench.grades(), [Grade::Ready; 2]);
    assert_eq!(told, 2, "one event for each endpoint");
    let seconds = bench.pool.now().as_nanos() / 1_000_000_000;
    assert!(seconds >= 200 / 2 / 2 - 5, "{seconds} s: two probes a second each");
}

#[test]
fn regular_probes_are_spread_by_a_tenth() {
    let mut bench = Bench::ready(&["a"]);
    let mut last = ms(0);
    let mut apart = Vec::new();
    for _ in 0..500 {
        let (at, _) = bench.timeout();
        assert_eq!(core::mem::take(&mut bench.open).len(), 1);
        apart.push(at.since(last).as_millis());
        last = at;
        bench.pool.step(Input::Probed { endpoint: EndpointId(0), result: ok(None) }, at);
    }
    assert!(apart.iter().all(|apart| (900..=1_100).contains(apart)), "{apart:?}");
    assert!(apart.iter().any(|&apart| apart < 930) && apart.iter().any(|&apart| apart > 1_070));
}

#[test]
fn connect_evidence_is_cleared_by_a_new_connection_only() {
    let mut bench = Bench::ready(&["a", "b"]);
    bench.report(300, 0, Evidence::ConnectTimeout);
    assert_eq!(bench.open, [(EndpointId(0), true)]);
    bench.answer(301, 0, ok(None));
    bench.timeout();
    assert_eq!(bench.open, [(EndpointId(0), true)], "asked again");
    let outputs = bench.answer(402, 0, ok(Some(1)));
    assert!(matches!(events(&outputs)[..], [Event::Cleared { .. }]));
    // A silent flight needs no new connection.
    bench.report(600, 0, Evidence::UnansweredFlight);
    assert_eq!(bench.open, [(EndpointId(0), false)]);
    let outputs = bench.answer(601, 0, ok(None));
    assert!(matches!(events(&outputs)[..], [Event::Cleared { .. }]));
}

#[test]
fn a_late_timeout_gives_answers_time_to_come() {
    for (late, dead) in [(20, true), (500, false)] {
        let mut bench = Bench::ready(&["a", "b"]);
        bench.report(300, 0, Evidence::UnansweredFlight);
        bench.report(301, 0, Evidence::UnansweredFlight);
        assert_eq!(bench.pool.get().poll_timeout(), Some(ms(500)), "the probe's answer is waited for");
        bench.at(500 + late, Input::Timeout);
        assert_eq!(bench.grades()[0] == Grade::Dead, dead, "{late} ms late");
        if !dead {
            bench.answer(500 + late + 1, 0, ok(None));
            assert_eq!(bench.grades(), [Grade::Ready; 2]);
        }
    }
}

#[test]
fn one_good_probe_is_enough_while_nobody_is_usable() {
    let mut bench = Bench::ready(&["a", "b"]);
    bench.report(300, 0, Evidence::Refused);
    bench.report(300, 0, Evidence::Refused);
    bench.answer(301, 0, REFUSED);
    assert_eq!(bench.grades(), [Grade::Dead, Grade::Ready]);
    while !bench.open.contains(&(EndpointId(0), true)) {
        bench.timeout();
    }
    let now = bench.pool.now().as_nanos() / 1_000_000 + 1;
    bench.answer(now, 0, ok(Some(1)));
    assert_eq!(bench.grades(), [Grade::Dead, Grade::Ready], "two are wanted");
    // The last one falls: the good probe of before is enough now, and nobody fails open.
    bench.report(now, 1, Evidence::Refused);
    let outputs = bench.report(now, 1, Evidence::Refused);
    assert_eq!(bench.grades(), [Grade::Ready, Grade::Dead]);
    assert!(!events(&outputs).contains(&&Event::FailOpen));
}

#[test]
fn draining_endpoints_are_asked_often_when_they_are_the_last() {
    let mut long = spec(&["a", "b"]);
    long.timers.probe_interval = Duration::from_secs(30);
    let mut bench = Bench::new(long);
    let not_ready = || ProbeResult::Answered {
        readyz: Status::Failing(500),
        livez: Some(Status::Ok),
        certificate: Certificate::Verified,
        connect: None,
    };
    bench.answer(1, 0, not_ready());
    bench.answer(1, 1, ok(Some(1)));
    bench.timeout();
    bench.answer(101, 0, not_ready());
    assert_eq!(bench.grades(), [Grade::Draining, Grade::Ready]);
    assert!(bench.pool.get().poll_timeout().unwrap() > ms(20_000), "it is settled");
    bench.report(1_000, 1, Evidence::Refused);
    bench.report(1_000, 1, Evidence::Refused);
    assert_eq!(bench.grades(), [Grade::Draining, Grade::Dead]);
    assert!(bench.open.contains(&(EndpointId(0), false)), "it may be ready by now");
    bench.answer(1_001, 0, not_ready());
    assert!(bench.pool.get().poll_timeout().unwrap() <= ms(1_500));
}

#[test]
fn who_is_still_down_is_asked_when_somebody_is_back() {
    let mut bench = Bench::ready(&["a", "b"]);
    for endpoint in [0, 0, 1, 1] {
        bench.report(300, endpoint, Evidence::Refused);
    }
    // Down for long: patient, two probes a second each, a and b in turn.
    for _ in 0..40 {
        let (at, _) = bench.timeout();
        for (endpoint, _) in core::mem::take(&mut bench.open) {
            bench.at(at.as_nanos() / 1_000_000 + 1, Input::Probed { endpoint, result: REFUSED });
        }
    }
    let now = bench.pool.now().as_nanos() / 1_000_000 + 200;
    assert!(bench.open.is_empty() && bench.pool.get().poll_timeout().unwrap() > ms(now));
    bench.report(now, 0, Evidence::Answered);
    assert_eq!(bench.open, [(EndpointId(0), true)]);
    bench.answer(now + 1, 0, ok(Some(1)));
    assert_eq!(bench.open, [(EndpointId(1), true)], "what brought a back may have brought back b");
}

#[test]
fn bytes_from_a_dead_endpoint_are_worth_a_probe() {
    let mut bench = Bench::ready(&["a"]);
    bench.report(300, 0, Evidence::Refused);
    bench.report(300, 0, Evidence::Refused);
    // Down for long: patient, two probes a second.
    for _ in 0..20 {
        if bench.open.is_empty() {
            bench.timeout();
        }
        let now = bench.pool.now().as_nanos() / 1_000_000 + 1;
        bench.answer(now, 0, REFUSED);
    }
    let now = bench.pool.now().as_nanos() / 1_000_000 + 150;
    assert!(bench.pool.get().poll_timeout().unwrap() > ms(now));
    bench.report(now, 0, Evidence::Answered);
    assert_eq!(bench.open, [(EndpointId(0), true)]);
    bench.answer(now + 1, 0, ok(Some(1)));
    assert_eq!(bench.grades(), [Grade::Ready]);
    assert!(bench.report(now + 2, 0, Evidence::Answered).is_empty(), "no news from a ready one");
}

#[test]
fn reports_about_a_dead_endpoint_make_no_noise() {
    let mut bench = Bench::ready(&["a", "b"]);
    bench.report(300, 0, Evidence::Refused);
    bench.report(300, 0, Evidence::Refused);
    for n in 0..1_000 {
        let evidence = if n % 2 == 0 { Evidence::ConnectTimeout } else { Evidence::Unreachable };
        let outputs = bench.report(301, 0, evidence);
        assert!(outputs.is_empty(), "{outputs:?}");
    }
    assert_eq!(bench.pool.get().snapshot().endpoints[0].reason, Reason::Refused);
}

#[test]
fn connect_times_are_published_when_they_matter() {
    let mut bench = Bench::ready(&["a"]);
    let rtt = |bench: &Bench| bench.pool.get().snapshot().endpoints[0].connect_rtt.unwrap().as_millis();
    for (connect, published) in [(2, 1), (12, 1), (20, 20), (21, 20), (1_500, 20), (100, 100), (1, 1)] {
        bench.timeout();
        let now = bench.pool.now().as_nanos() / 1_000_000 + 1;
        bench.answer(now, 0, ok(Some(connect)));
        assert_eq!(rtt(&bench), published, "{connect} ms");
    }
}

#[test]
fn ages_are_told() {
    let mut bench = Bench::new(spec(&["a"]));
    assert_eq!(bench.pool.get().evidence_age(EndpointId(0), ms(5)), None);
    bench.answer(10, 0, ok(Some(1)));
    assert_eq!(bench.pool.get().evidence_age(EndpointId(0), ms(25)), Some(Duration::from_millis(15)));
    assert_eq!(bench.pool.get().evidence_age(EndpointId(9), ms(25)), None);
}

#[test]
fn settled_endpoints_are_probed_in_one_go() {
    let mut bench = Bench::ready(&["cp1", "cp2", "cp3"]);
    let mut last = ms(0);
    for _ in 0..100 {
        let (sent, _) = bench.timeout();
        let asked = core::mem::take(&mut bench.open);
        assert_eq!(asked.len(), 3, "at {sent:?}");
        let rest = sent.since(last).as_millis();
        assert!((890..=1_110).contains(&rest), "{rest} ms between two rounds");
        last = sent;
        for (endpoint, _) in asked {
            let at = u64::try_from((sent + Duration::from_millis(1)).since(ms(0)).as_millis()).unwrap() + 1;
            bench.at(at, Input::Probed { endpoint, result: ok(None) });
        }
    }
}

#[test]
fn a_spare_that_is_well_is_left_alone_until_somebody_reports_it() {
    let mut bench = Bench::new(PoolSpec { probed: 1, ..spec(&["a", "b"]) });
    let open = core::mem::take(&mut bench.open);
    assert_eq!(open.len(), 2, "each is probed once");
    let spare = open[1].0;
    for (endpoint, _) in open {
        bench.at(1, Input::Probed { endpoint, result: ok(Some(1)) });
    }
    let mut probed = BTreeMap::new();
    for second in 2..100 {
        bench.at(second * 1_000, Input::Timeout);
        for (endpoint, _) in core::mem::take(&mut bench.open) {
            *probed.entry(endpoint).or_insert(0) += 1;
            bench.at(second * 1_000 + 1, Input::Probed { endpoint, result: ok(None) });
        }
    }
    assert!(!probed.contains_key(&spare) && probed.len() == 1, "{probed:?}");
    // What is heard of it is looked into, and what is not well is looked at until it is.
    bench.at(100_000, Input::Reported { endpoint: spare, evidence: Evidence::Refused });
    assert_eq!(core::mem::take(&mut bench.open).iter().filter(|(id, _)| *id == spare).count(), 1);
    // A pool with other endpoints before it makes it one that is probed.
    let mut bench = Bench::new(PoolSpec { probed: 1, ..spec(&["a", "b"]) });
    for (endpoint, _) in core::mem::take(&mut bench.open) {
        bench.at(1, Input::Probed { endpoint, result: ok(Some(1)) });
    }
    bench.at(2, Input::Reconcile(PoolSpec { probed: 1, ..spec(&["b", "a"]) }));
    bench.at(1_500, Input::Timeout);
    assert!(bench.open.iter().any(|(id, _)| *id == spare), "{:?}", bench.open);
}

mod inquiries;
