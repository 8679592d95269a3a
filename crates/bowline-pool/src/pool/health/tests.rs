use super::*;
use crate::evidence::{Certificate, ProbeFailure, ProbeResult, Stage, Status};
use std::fmt::Write as _;

const BOTH: Thresholds = Thresholds { fall: 2, rise: 2 };

const fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn answered(readyz: Status, livez: Option<Status>, certificate: Certificate, anew: bool) -> ProbeResult {
    ProbeResult::Answered { readyz, livez, certificate, connect: anew.then_some(Duration::from_millis(1)) }
}

fn ok(anew: bool) -> ProbeResult {
    answered(Status::Ok, None, Certificate::Verified, anew)
}

fn not_ready() -> ProbeResult {
    answered(Status::Failing(500), Some(Status::Ok), Certificate::Verified, false)
}

fn refused() -> ProbeResult {
    ProbeResult::Failed(ProbeFailure::Refused)
}

fn probe(health: &mut Health, result: ProbeResult) {
    health.probe_sent();
    let anew = result.connect().is_some();
    health.probed(result.judge(), anew, ms(0), BOTH);
}

fn report(health: &mut Health, evidence: Evidence) {
    health.reported(evidence, false, ms(0), BOTH);
}

fn ready() -> Health {
    let mut health = Health::new();
    probe(&mut health, ok(true));
    health
}

fn draining() -> Health {
    let mut health = ready();
    probe(&mut health, not_ready());
    probe(&mut health, not_ready());
    health
}

fn dead() -> Health {
    let mut health = ready();
    probe(&mut health, refused());
    probe(&mut health, refused());
    health
}

fn dead_to_clients() -> Health {
    let mut health = ready();
    report(&mut health, Evidence::Refused);
    report(&mut health, Evidence::Refused);
    health
}

fn describe(health: &Health) -> String {
    health.check_invariants(BOTH);
    let mut text = format!("{}: {}", health.grade(), health.reason().as_str());
    for (count, what) in [
        (if health.is_suspected() { health.suspicion().count } else { 0 }, "suspicion"),
        (health.not_ready, "not ready"),
        (health.good, "good"),
        (health.answered - health.good, "answered"),
    ] {
        if count > 0 {
            write!(text, ", {count} {what}").unwrap();
        }
    }
    text
}

type Start = fn() -> Health;

/// Rung 1: every grade, every kind of input, once and twice.
#[test]
fn table() {
    let all = |certificate: Certificate| answered(Status::Ok, None, certificate, false);
    let failed = ProbeResult::Failed;
    let text = || "why".to_owned();
    let failing = Some(Status::Failing(503));
    let probes = [
        ("probe ok, new connection", ok(true)),
        ("probe ok, kept connection", ok(false)),
        ("certificate unverified", all(Certificate::Unverified)),
        ("certificate name mismatch", all(Certificate::NameMismatch)),
        ("certificate rejected", all(Certificate::Rejected(text()))),
        ("401", answered(Status::Unauthorized, None, Certificate::Verified, false)),
        (
            "401, certificate rejected",
            answered(Status::Unauthorized, None, Certificate::Rejected(text()), false),
        ),
        ("429", answered(Status::TooManyRequests, None, Certificate::Verified, false)),
        ("readyz 500, livez ok", not_ready()),
        (
            "readyz 500, livez 401",
            answered(Status::Failing(500), Some(Status::Unauthorized), Certificate::Verified, false),
        ),
        ("readyz 500, livez unknown", answered(Status::Failing(500), None, Certificate::Verified, false)),
        ("readyz 500, livez 503", answered(Status::Failing(500), failing, Certificate::Verified, false)),
        ("probe refused", failed(ProbeFailure::Refused)),
        ("probe unreachable", failed(ProbeFailure::Unreachable)),
        ("probe timed out", failed(ProbeFailure::TimedOut(Stage::Request))),
        ("probe closed", failed(ProbeFailure::Closed(Stage::Handshake))),
        ("probe not TLS", failed(ProbeFailure::NotTls(text()))),
        ("probe not HTTP", failed(ProbeFailure::NotHttp(text()))),
        ("probe failed locally", failed(ProbeFailure::Local(text()))),
    ];
    let states: [(&str, Start); 6] = [
        ("not probed", Health::new),
        ("ready", ready),
        ("suspected", || {
            let mut health = ready();
            report(&mut health, Evidence::UnansweredFlight);
            health
        }),
        ("draining", draining),
        ("dead", dead),
        ("dead to clients", dead_to_clients),
    ];
    let mut table = String::new();
    for (name, state) in states {
        writeln!(table, "{name} = {}", describe(&state())).unwrap();
        for evidence in Evidence::ALL {
            let mut health = state();
            write!(table, "  {:<28}", format!("report {evidence:?}")).unwrap();
            report(&mut health, evidence);
            write!(table, "-> {:<42}", describe(&health)).unwrap();
            report(&mut health, evidence);
            writeln!(table, "-> {}", describe(&health)).unwrap();
        }
        for (label, result) in &probes {
            let mut health = state();
            write!(table, "  {label:<28}").unwrap();
            probe(&mut health, result.clone());
            write!(table, "-> {:<42}", describe(&health)).unwrap();
            probe(&mut health, result.clone());
            writeln!(table, "-> {}", describe(&health)).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn a_good_probe_sent_before_the_evidence_does_not_clear_it() {
    let mut health = ready();
    report(&mut health, Evidence::Refused);
    health.probe_sent();
    health.reported(Evidence::Refused, true, ms(1), Thresholds { fall: 3, rise: 2 });
    health.probed(ok(true).judge(), true, ms(2), BOTH);
    assert_eq!(health.suspicion().count, 1, "only the older one is cleared");
    probe(&mut health, ok(true));
    assert_eq!(health.suspicion(), Suspicion::default());
}

#[test]
fn a_dead_endpoint_does_not_rise_on_an_answer_sent_before_the_evidence() {
    let mut health = dead();
    health.probe_sent();
    health.reported(Evidence::Refused, true, ms(1), BOTH);
    health.probed(ok(true).judge(), true, ms(2), BOTH);
    assert_eq!((health.good, health.grade()), (0, Grade::Dead));
}

#[test]
fn silence_is_judged_after_what_an_answer_takes() {
    let timers = Timers::default();
    let at = |health: &Health, anew, rtt| health.verdict_at(ms(100), anew, &timers, rtt);
    let mut health = ready();
    assert_eq!(at(&health, false, None), None);
    report(&mut health, Evidence::UnansweredFlight);
    assert_eq!(at(&health, false, None), None, "one flight waits for the probe");
    report(&mut health, Evidence::UnansweredFlight);
    assert_eq!(at(&health, false, None), Some(ms(300)));
    assert_eq!(at(&health, true, None), Some(ms(500)), "connect and handshake take longer");
    assert_eq!(at(&health, false, Some(Duration::from_millis(150))), Some(ms(400)), "so does a long way");
    let mut health = ready();
    for _ in 0..2 {
        health.reported(Evidence::UnansweredFlight, true, ms(250), BOTH);
    }
    assert_eq!(at(&health, false, None), Some(ms(450)), "evidence after the probe was sent waits as long");
    let mut health = ready();
    probe(&mut health, ProbeResult::Failed(ProbeFailure::TimedOut(Stage::Request)));
    assert_eq!(at(&health, false, None), Some(ms(500)), "one time-out, and the next probe is silent too");
    assert_eq!(at(&dead(), false, None), None);
}

#[test]
fn a_run_is_broken_by_its_contrary() {
    let mut health = ready();
    for _ in 0..5 {
        probe(&mut health, not_ready());
        probe(&mut health, ok(false));
    }
    assert_eq!(health.grade(), Grade::Ready);
    for _ in 0..5 {
        probe(&mut health, refused());
        probe(&mut health, ok(true));
    }
    assert_eq!(health.grade(), Grade::Ready);
    let mut health = draining();
    for _ in 0..5 {
        probe(&mut health, ok(false));
        probe(&mut health, not_ready());
    }
    assert_eq!(health.grade(), Grade::Draining);
    let mut health = dead();
    for _ in 0..5 {
        probe(&mut health, ok(true));
        probe(&mut health, refused());
    }
    assert_eq!(health.grade(), Grade::Dead);
}

#[test]
fn thresholds_of_zero_are_one() {
    let timers = Timers { fall: 0, rise: 0, ..Timers::default() };
    let thresholds = Thresholds::new(&timers, true);
    assert_eq!((thresholds.fall, thresholds.rise), (1, 1));
    let mut health = Health::new();
    health.reported(Evidence::Refused, false, ms(0), thresholds);
    assert_eq!(health.grade(), Grade::Dead);
}

#[test]
fn lower_thresholds_decide_with_the_next_evidence() {
    let mut health = ready();
    for _ in 0..3 {
        health.reported(Evidence::Refused, false, ms(0), Thresholds { fall: 5, rise: 2 });
    }
    health.keep_below(BOTH);
    health.check_invariants(BOTH);
    assert_eq!(health.suspicion().count, 1);
    report(&mut health, Evidence::Refused);
    assert_eq!(health.grade(), Grade::Dead);
}
