use super::*;
use crate::reason::Reason;
use crate::snapshot::{ConnectionCount, ConnectionLease, Endpoint};
use crate::spec::{Policy, Timers};
use bowline_sansio::contract::Checked;

const fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn snapshot_of(policy: Policy, grades: &[Grade]) -> Arc<Snapshot> {
    let endpoint = |(id, &grade): (u64, &Grade)| Endpoint {
        id: EndpointId(id),
        name: format!("cp{id}").into(),
        address: "10.0.0.1:6443".parse().unwrap(),
        grade,
        reason: Reason::NotProbed,
        connect_rtt: Some(Duration::from_millis(1)),
        connections: ConnectionCount::default(),
    };
    let endpoints = (0u64..).zip(grades).map(endpoint).collect();
    Arc::new(Snapshot { version: 1, policy, timers: Timers::default(), endpoints })
}

/// The same endpoints, with other grades; those beyond the list are gone.
fn regrade(snapshot: &Snapshot, grades: &[Grade]) -> Arc<Snapshot> {
    let mut snapshot = snapshot.clone();
    snapshot.endpoints.truncate(grades.len());
    for (endpoint, &grade) in snapshot.endpoints.iter_mut().zip(grades) {
        endpoint.grade = grade;
    }
    Arc::new(snapshot)
}

struct Bench {
    dial: Checked<Dial>,
    said: Vec<String>,
    leases: Vec<ConnectionLease>,
}

impl Bench {
    fn new(snapshot: &Arc<Snapshot>) -> Self {
        Self::of(Dial::new(Arc::clone(snapshot), Ticket { turn: 0, seed: 1, crowd: 0 }, ms(0)))
    }

    fn of(mut dial: Dial) -> Self {
        let first: Vec<_> = core::iter::from_fn(|| dial.poll_output()).collect();
        let mut bench = Self { dial: Checked::new(dial, 32), said: Vec::new(), leases: Vec::new() };
        bench.note(first);
        bench
    }

    fn note(&mut self, outputs: Vec<DialOutput>) {
        for output in outputs {
            self.said.push(match output {
                DialOutput::Connect { attempt, endpoint, lease, .. } => {
                    self.leases.push(lease);
                    format!("connect {} to {}", attempt.0, endpoint.0)
                }
                DialOutput::Abort { attempt } => format!("abort {}", attempt.0),
                DialOutput::Won { attempt, endpoint } => format!("won {} to {}", attempt.0, endpoint.0),
                DialOutput::GiveUp(reason) => format!("give up: {}", reason.as_str()),
                DialOutput::Report { endpoint, evidence } => format!("report {} {evidence:?}", endpoint.0),
            });
        }
    }

    /// What the dial says to `input`.
    fn at(&mut self, millis: u64, input: DialInput) -> Vec<String> {
        let outputs = self.dial.step(input, ms(millis));
        self.note(outputs);
        self.take()
    }

    fn take(&mut self) -> Vec<String> {
        core::mem::take(&mut self.said)
    }

    /// Handles the next timeout; when it was and what was said.
    fn timeout(&mut self) -> (Instant, Vec<String>) {
        let (at, outputs) = self.dial.step_timeout(DialInput::Timeout).unwrap();
        self.note(outputs);
        (at, self.take())
    }
}

#[test]
fn the_next_one_at_once_on_refusal() {
    let mut bench = Bench::new(&snapshot_of(Policy::Preferred, &[Grade::Ready; 3]));
    assert_eq!(bench.take(), ["connect 0 to 0"]);
    assert_eq!(bench.at(1, DialInput::Refused(Attempt(0))), ["report 0 Refused", "connect 1 to 1"]);
    assert_eq!(bench.at(2, DialInput::Unreachable(Attempt(1))), ["report 1 Unreachable", "connect 2 to 2"]);
    assert_eq!(bench.at(3, DialInput::Connected(Attempt(2))), ["won 2 to 2"]);
    assert_eq!(bench.dial.get().poll_timeout(), None);
    assert!(bench.at(4, DialInput::Timeout).is_empty());
}

#[test]
fn the_next_one_beside_a_silent_one() {
    let mut bench = Bench::new(&snapshot_of(Policy::Preferred, &[Grade::Ready; 3]));
    bench.take();
    let said = ["report 0 ConnectTimeout", "connect 1 to 1"].map(str::to_owned).to_vec();
    assert_eq!(bench.timeout(), (ms(50), said));
    let said = ["abort 0", "won 1 to 1"];
    assert_eq!(bench.at(51, DialInput::Connected(Attempt(1))), said);
    // The other way round: the silent one answers after all.
    let mut bench = Bench::new(&snapshot_of(Policy::Preferred, &[Grade::Ready; 3]));
    bench.take();
    bench.timeout();
    assert_eq!(bench.at(51, DialInput::Connected(Attempt(0))), ["abort 1", "won 0 to 0"]);
}

#[test]
fn the_stagger_follows_the_way() {
    for (rtt, stagger) in [(Some(1), 50), (Some(20), 80), (Some(100), 250), (None, 250)] {
        let mut snapshot = (*snapshot_of(Policy::Preferred, &[Grade::Ready])).clone();
        snapshot.endpoints[0].connect_rtt = rtt.map(Duration::from_millis);
        let bench = Bench::new(&Arc::new(snapshot));
        assert_eq!(bench.dial.get().poll_timeout(), Some(ms(stagger)));
    }
    let mut snapshot = (*snapshot_of(Policy::Preferred, &[Grade::Ready; 2])).clone();
    snapshot.endpoints[0].connect_rtt = None;
    let bench = Bench::new(&Arc::new(snapshot));
    assert_eq!(bench.dial.get().poll_timeout(), Some(ms(50)), "never measured: what the others take");
}

#[test]
fn at_most_four_race() {
    let mut bench = Bench::new(&snapshot_of(Policy::Preferred, &[Grade::Ready; 6]));
    bench.take();
    let mut said = Vec::new();
    for _ in 0..5 {
        said.extend(bench.timeout().1.into_iter().filter(|line| !line.starts_with("report")));
    }
    let expected = [
        "connect 1 to 1",
        "connect 2 to 2",
        "connect 3 to 3",
        "abort 0",
        "connect 4 to 4",
        "abort 1",
        "connect 5 to 5",
    ];
    assert_eq!(said, expected);
    assert_eq!(bench.dial.now(), ms(250));
}

#[test]
fn a_local_failure_is_nobodys_fault() {
    let mut bench = Bench::new(&snapshot_of(Policy::Preferred, &[Grade::Ready; 2]));
    bench.take();
    assert_eq!(bench.at(0, DialInput::LocalFailure(Attempt(0))), ["connect 1 to 1"]);
    assert!(bench.at(0, DialInput::LocalFailure(Attempt(1))).is_empty());
    let mut last = Vec::new();
    while bench.dial.get().poll_timeout().is_some() {
        last = bench.timeout().1;
        for line in last.clone() {
            if let Some(attempt) = line.strip_prefix("connect ") {
                let attempt = Attempt(attempt.split(' ').next().unwrap().parse().unwrap());
                let mut more =
                    bench.at(bench.dial.now().as_nanos() / 1_000_000 + 1, DialInput::LocalFailure(attempt));
                while let Some(attempt) = more.first().and_then(|line| line.strip_prefix("connect ")) {
                    let attempt = Attempt(attempt.split(' ').next().unwrap().parse().unwrap());
                    let now = bench.dial.now().as_nanos() / 1_000_000 + 1;
                    more = bench.at(now, DialInput::LocalFailure(attempt));
                }
            }
        }
    }
    assert_eq!(last, ["give up: local-failure"]);
}

#[test]
fn rounds_pause_longer_and_then_evenly() {
    let mut bench = Bench::new(&snapshot_of(Policy::Preferred, &[Grade::Dead]));
    let mut pauses = Vec::new();
    for attempt in 0..20 {
        assert_eq!(bench.take(), [format!("connect {attempt} to 0")]);
        let now = bench.dial.now().as_nanos();
        let said = bench.dial.step(DialInput::Refused(Attempt(attempt)), Instant::from_nanos(now));
        assert!(said.is_empty(), "the pool knows: {said:?}");
        let (at, outputs) = bench.dial.step_timeout(DialInput::Timeout).unwrap();
        bench.note(outputs);
        pauses.push(at.since(Instant::from_nanos(now)).as_millis());
    }
    assert!((40..=60).contains(&pauses[0]), "{pauses:?}");
    assert!(pauses[1..].iter().all(|pause| (80..=120).contains(pause)), "{pauses:?}");
}

#[test]
fn a_crowd_pauses_longer() {
    let snapshot = snapshot_of(Policy::Preferred, &[Grade::Dead]);
    for (crowd, longest) in [(0, 60), (64, 60), (640, 600), (u32::MAX, 1_200)] {
        let mut dial = Dial::new(Arc::clone(&snapshot), Ticket { turn: 0, seed: 3, crowd }, ms(0));
        dial.handle(DialInput::Refused(Attempt(0)), ms(0));
        let pause = dial.poll_timeout().unwrap();
        assert!(pause > ms(longest / 2) && pause <= ms(longest), "{crowd}: {pause:?}");
    }
}

#[test]
fn a_better_endpoint_is_never_waited_for() {
    let snapshot = snapshot_of(Policy::Preferred, &[Grade::Dead, Grade::Dead, Grade::Dead]);
    // While an attempt on a dead one is still within its stagger.
    let mut bench = Bench::new(&snapshot);
    bench.take();
    let better = regrade(&snapshot, &[Grade::Dead, Grade::Dead, Grade::Alive]);
    assert_eq!(bench.at(5, DialInput::Snapshot(better)), ["connect 1 to 2"]);
    // In a pause, also for one that failed before.
    let mut bench = Bench::new(&snapshot);
    for attempt in 0..3 {
        bench.at(1, DialInput::Refused(Attempt(attempt)));
    }
    let better = regrade(&snapshot, &[Grade::Dead, Grade::Draining, Grade::Dead]);
    assert_eq!(bench.at(2, DialInput::Snapshot(better)), ["connect 3 to 1"]);
    // A silent attempt on it is renewed.
    let mut bench = Bench::new(&snapshot);
    bench.timeout();
    bench.take();
    let better = regrade(&snapshot, &[Grade::Ready, Grade::Dead, Grade::Dead]);
    assert_eq!(bench.at(60, DialInput::Snapshot(better)), ["abort 0", "connect 2 to 0"]);
}

#[test]
fn an_unchanged_snapshot_changes_nothing() {
    let snapshot = snapshot_of(Policy::RandomOfTwo, &[Grade::Ready; 3]);
    let mut bench = Bench::new(&snapshot);
    let before = bench.dial.get().poll_timeout();
    bench.take();
    assert!(bench.at(5, DialInput::Snapshot(Arc::clone(&snapshot))).is_empty());
    assert!(bench.at(6, DialInput::Timeout).is_empty(), "a spurious timeout neither");
    assert_eq!(bench.dial.get().poll_timeout(), before);
}

#[test]
fn attempts_on_removed_endpoints_are_dropped() {
    let snapshot = snapshot_of(Policy::Preferred, &[Grade::Ready; 2]);
    let mut bench = Bench::new(&snapshot);
    bench.timeout();
    bench.take();
    assert_eq!(bench.at(60, DialInput::Snapshot(regrade(&snapshot, &[Grade::Ready]))), ["abort 1"]);
    assert_eq!(
        bench.at(61, DialInput::Snapshot(regrade(&snapshot, &[]))),
        ["abort 0", "give up: no-endpoints"]
    );
    let mut empty = Bench::new(&regrade(&snapshot, &[]));
    assert_eq!(empty.take(), ["give up: no-endpoints"]);
}

#[test]
fn silent_attempts_are_renewed_after_one_two_and_four_seconds() {
    let mut bench = Bench::new(&snapshot_of(Policy::Preferred, &[Grade::Ready]));
    bench.take();
    let mut connects = vec![ms(0)];
    let mut last = Vec::new();
    while bench.dial.get().poll_timeout().is_some() {
        let (at, said) = bench.timeout();
        connects.extend(said.iter().filter(|line| line.starts_with("connect")).map(|_| at));
        last = said;
    }
    assert_eq!(bench.dial.now(), ms(8_000));
    assert_eq!(last, ["abort 3", "give up: all-failed"]);
    let apart: Vec<_> = connects.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
    assert_eq!(apart, [1, 2, 4]);
}

#[test]
fn ended_attempts_are_ignored_and_leases_count() {
    let snapshot = snapshot_of(Policy::Preferred, &[Grade::Ready; 2]);
    let mut bench = Bench::new(&snapshot);
    bench.at(1, DialInput::Refused(Attempt(0)));
    assert!(bench.at(2, DialInput::Connected(Attempt(0))).is_empty());
    assert!(bench.at(2, DialInput::Connected(Attempt(77))).is_empty());
    assert_eq!(snapshot.endpoints[1].connections.get(), 1);
    bench.leases.clear();
    assert_eq!(snapshot.endpoints[1].connections.get(), 0);
}

#[test]
fn a_client_that_departs_goes_elsewhere_first_and_back_at_last() {
    let snapshot = snapshot_of(Policy::Sticky, &[Grade::Ready; 3]);
    let ticket = Ticket { turn: 0, seed: 1, crowd: 0 };
    let from = Departure { endpoint: EndpointId(0), attempts: 7 };
    let mut bench = Bench::of(Dial::again(Arc::clone(&snapshot), ticket, from, ms(0)));
    assert_eq!(bench.take(), ["connect 7 to 1"]);
    // A late outcome of an attempt made before changes nothing.
    assert!(bench.at(0, DialInput::Connected(Attempt(6))).is_empty());
    assert_eq!(bench.at(0, DialInput::Refused(Attempt(7))), ["report 1 Refused", "connect 8 to 2"]);
    assert_eq!(bench.at(0, DialInput::Refused(Attempt(8))), ["report 2 Refused"]);
    assert_eq!(bench.timeout().1, ["connect 9 to 0"], "the next round leaves nobody out");

    let gone = Departure { endpoint: EndpointId(9), attempts: 1 };
    let mut bench = Bench::of(Dial::again(snapshot, ticket, gone, ms(0)));
    assert_eq!(bench.take(), ["connect 1 to 0"]);
}

#[test]
fn held_clients_woken_together_spread_by_policy() {
    for policy in [Policy::LeastConnections, Policy::RandomOfTwo, Policy::RoundRobin] {
        let snapshot = snapshot_of(policy, &[Grade::Dead; 3]);
        let mut held: Vec<_> = (0..300)
            .map(|n| {
                let mut dial =
                    Dial::new(Arc::clone(&snapshot), Ticket { turn: n, seed: n, crowd: 300 }, ms(0));
                for attempt in 0..3 {
                    while dial.poll_output().is_some() {}
                    dial.handle(DialInput::Refused(Attempt(attempt)), ms(1));
                }
                dial
            })
            .collect();
        let better = regrade(&snapshot, &[Grade::Ready; 3]);
        let mut shares = [0i32; 3];
        let mut leases = Vec::new();
        for dial in &mut held {
            dial.handle(DialInput::Snapshot(Arc::clone(&better)), ms(2));
            while let Some(output) = dial.poll_output() {
                if let DialOutput::Connect { endpoint, lease, .. } = output {
                    shares[endpoint.0 as usize] += 1;
                    leases.push(lease);
                }
            }
        }
        assert!(shares.iter().all(|share| (share - 100).abs() <= 5), "{policy:?}: {shares:?}");
    }
}
