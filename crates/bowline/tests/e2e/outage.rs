//! What a client sees of each fault, by the outage client. Alone on the machine; the bounds leave room for a busy one and are
//! several times what README promises, yet a balancer that only waits for timeouts breaks them.

use std::time::{Duration, Instant};

use bowline_lab::outage::{Client, Report, Settings};

use crate::harness::{Cluster, Daemon, Fleet, PATIENCE, Scratch, wait_for};

/// How long a fault is watched.
const OBSERVED: Duration = Duration::from_secs(4);

/// Three servers, a balancer, and the client's observation of one fault. `fault` returns the moment from which it held.
fn observe(
    name: &str,
    fault: impl FnOnce(&mut Fleet, &Daemon) -> Instant,
) -> (Report, Fleet, Daemon, Scratch) {
    let scratch = Scratch::alone(name);
    let mut fleet = Fleet::start(&scratch, 3);
    let daemon = Daemon::start(&scratch, Cluster::balancer(&fleet));
    daemon.wait_graded("ready", 3);
    let client = start_client(&daemon, &fleet);
    let from = fault(&mut fleet, &daemon);
    std::thread::sleep(OBSERVED.saturating_sub(from.elapsed()));
    let report = client.finish().expect("the client's observation").report(from);
    eprintln!("{name}: {}", serde_json::to_string(&report).expect("print the figures"));
    (report, fleet, daemon, scratch)
}

/// The outage client, warm.
pub(crate) fn start_client(daemon: &Daemon, fleet: &Fleet) -> Client {
    let mut settings = Settings::new(daemon.address(), fleet.authority.pem());
    settings.server_name = "kubernetes".to_owned();
    let client = Client::start(settings).expect("start the outage client");
    assert!(client.wait_warm(PATIENCE), "the client has no 25 good requests in a row");
    client
}

#[test]
fn outage_killed_server_fails_no_new_request() {
    let (report, ..) = observe("outage-killed", |fleet, _| {
        fleet.named("cp1").kill();
        Instant::now()
    });
    assert_eq!(report.figures.failed, 0, "{report:?}");
    assert!(report.figures.requests > 200, "{report:?}");
    assert!(report.figures.extra < Duration::from_millis(600), "{report:?}");
    assert!(!report.figures.servers.contains_key("cp1"), "{report:?}");
}

#[test]
fn outage_full_accept_queue_fails_no_new_request() {
    let (report, ..) = observe("outage-queue", |fleet, _| {
        fleet.named("cp2").tell("fill-queue");
        Instant::now()
    });
    assert_eq!(report.figures.failed, 0, "{report:?}");
    assert!(report.figures.extra < Duration::from_millis(900), "{report:?}");
}

#[test]
fn outage_frozen_server_gets_no_new_connection() {
    let (report, fleet, daemon, _scratch) = observe("outage-frozen", |fleet, _| {
        fleet.named("cp3").freeze();
        Instant::now()
    });
    let last = report.figures.last_failure.unwrap_or_default();
    assert!(last < Duration::from_millis(1_500), "connections went to it too long: {report:?}");
    assert_eq!(daemon.graded("dead"), ["cp3"]);
    fleet.apis[2].thaw();
    daemon.wait_graded("ready", 3);
}

#[test]
fn outage_unready_server_gets_no_new_connection_and_keeps_the_old_ones() {
    let (report, _fleet, daemon, _scratch) = observe("outage-not-ready", |fleet, _| {
        fleet.named("cp1").tell("notready");
        Instant::now()
    });
    assert_eq!(report.figures.failed, 0, "{report:?}");
    let last = report.figures.servers.get("cp1").map_or(Duration::ZERO, |served| served.last);
    assert!(last < Duration::from_millis(2_500), "it was served new connections too long: {report:?}");
    assert_eq!((report.talking.kept, report.silent.kept), (10, 10), "{report:?}");
    assert_eq!(daemon.graded("draining"), ["cp1"]);
}

#[test]
fn outage_graceful_stop_fails_no_request() {
    let (report, ..) = observe("outage-stop", |fleet, _| {
        fleet.named("cp1").tell("stop");
        Instant::now()
    });
    assert_eq!(report.figures.failed, 0, "{report:?}");
    assert_eq!((report.talking.hung, report.silent.hung), (0, 0), "{report:?}");
}

#[test]
fn outage_all_down_and_back_is_served_soon() {
    let scratch = Scratch::alone("outage-all");
    let mut fleet = Fleet::start(&scratch, 3);
    let daemon = Daemon::start(&scratch, Cluster::balancer(&fleet));
    daemon.wait_graded("ready", 3);
    let client = start_client(&daemon, &fleet);
    fleet.apis.iter_mut().for_each(|api| api.kill());
    daemon.wait_graded("dead", 3);
    // Long enough down that probing has settled at its slow pace.
    std::thread::sleep(Duration::from_secs(2));
    fleet.named("cp2").start();
    let back = Instant::now();
    wait_for("good service", PATIENCE, || client.is_warm().then_some(()));
    let run = client.finish().expect("the client's observation");
    let first = run.first_answer_after(back).expect("an answer");
    eprintln!("outage-all: first answer {first:?} after the first listener was back");
    assert!(first < Duration::from_millis(1_000), "{first:?}");
    let after = run.report(back + first);
    assert_eq!(after.figures.failed, 0, "{after:?}");
}
