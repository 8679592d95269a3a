//! What a client sees of each fault, by the outage client. Alone on the machine; the bounds leave room for a busy one and are
//! several times what README promises, yet a balancer that only waits for timeouts breaks them.

use std::time::{Duration, Instant};

use bowline_lab::outage::{Client, Report, Run, Settings};

use crate::harness::{Api, Cluster, Daemon, Fleet, PATIENCE, Scratch, apart, skip, wait_for};

/// How long a fault is watched.
const OBSERVED: Duration = Duration::from_secs(4);

/// A client that was later than this with a request measured its own machine.
const LAG_MAX: Duration = Duration::from_millis(100);

/// Observations made until one is sound.
const ATTEMPTS: usize = 4;

/// The observation says nothing: the machine had no time for the client, this long at its worst.
#[derive(Debug)]
pub(crate) struct Unsound(Duration);

/// Observes, alone on the machine as far as other tests go, until an observation is sound.
pub(crate) fn observe(name: &str, observation: impl Fn(&Scratch) -> Result<(), Unsound> + Sync) {
    for attempt in 1..=ATTEMPTS {
        let scratch = Scratch::alone(&format!("{name}-{attempt}"));
        match apart(|| observation(&scratch)) {
            Ok(()) => return,
            Err(Unsound(lag)) => eprintln!("{name}: the client was {lag:?} late; observed again"),
        }
    }
    skip(&format!("{name}: the machine is too busy for a sound observation, {ATTEMPTS} were made"));
}

/// The outage client before this balancer, warm.
pub(crate) fn start_client(daemon: &Daemon, fleet: &Fleet) -> Result<Client, Unsound> {
    let mut settings = Settings::new(daemon.address(), fleet.authority.pem());
    settings.server_name = "kubernetes".to_owned();
    warm(Client::start(settings).expect("start the outage client"))
}

/// The client when it is served well.
pub(crate) fn warm(client: Client) -> Result<Client, Unsound> {
    if client.wait_warm(PATIENCE) {
        return Ok(client);
    }
    let run = sound(client)?;
    let last: Vec<_> = run.samples.iter().rev().take(10).collect();
    panic!("the client has no 25 good requests in a row, at last {last:?}");
}

/// Ends the observation.
pub(crate) fn sound(client: Client) -> Result<Run, Unsound> {
    let run = client.finish().expect("the client's observation");
    let lag = run.lags.iter().max().copied().unwrap_or_default();
    if lag > LAG_MAX { Err(Unsound(lag)) } else { Ok(run) }
}

/// Prints the figures: they are what a person looks for when a bound breaks.
pub(crate) fn told(name: &str, report: Report) -> Report {
    eprintln!("{name}: {}", serde_json::to_string(&report).expect("print the figures"));
    report
}

/// Three servers, a dedicated balancer and one fault.
fn fault(scratch: &Scratch, fault: impl FnOnce(&mut Fleet)) -> Result<(Report, Fleet, Daemon), Unsound> {
    fault_before(scratch, Cluster::round_robin, |fleet, _| fault(fleet))
}

/// Three servers, a balancer of this kind and one fault.
fn fault_before(
    scratch: &Scratch,
    balancer: impl FnOnce(&Fleet) -> Cluster,
    fault: impl FnOnce(&mut Fleet, &Daemon),
) -> Result<(Report, Fleet, Daemon), Unsound> {
    let mut fleet = Fleet::start(scratch, 3);
    let daemon = Daemon::start(scratch, balancer(&fleet));
    daemon.wait_graded("ready", 3);
    let client = start_client(&daemon, &fleet)?;
    let began = Instant::now();
    fault(&mut fleet, &daemon);
    let complete = Instant::now();
    std::thread::sleep(OBSERVED);
    let report = told("one fault", sound(client)?.report(began, complete));
    Ok((report, fleet, daemon))
}

#[test]
fn outage_killed_server_fails_no_new_request() {
    observe("killed", |scratch| {
        let (report, ..) = fault(scratch, |fleet| fleet.named("cp1").kill())?;
        assert_eq!(report.figures.failed, 0, "{report:?}");
        assert!(report.figures.requests > 200, "{report:?}");
        assert!(report.figures.extra < Duration::from_millis(600), "{report:?}");
        assert!(!report.figures.servers.contains_key("cp1"), "{report:?}");
        Ok(())
    });
}

#[test]
fn outage_full_accept_queue_fails_no_new_request() {
    observe("full-queue", |scratch| {
        let (report, ..) = fault(scratch, |fleet| fleet.named("cp2").tell("fill-queue"))?;
        assert_eq!(report.figures.failed, 0, "{report:?}");
        assert!(report.figures.extra < Duration::from_millis(900), "{report:?}");
        Ok(())
    });
}

#[test]
fn outage_frozen_server_gets_no_new_connection() {
    observe("frozen", |scratch| {
        let (report, fleet, daemon) = fault(scratch, |fleet| fleet.named("cp3").freeze())?;
        let last = report.figures.last_failure.unwrap_or_default();
        assert!(last < Duration::from_millis(1_500), "connections went to it too long: {report:?}");
        assert_eq!(daemon.graded("dead"), ["cp3"]);
        fleet.apis[2].thaw();
        daemon.wait_graded("ready", 3);
        Ok(())
    });
}

#[test]
fn outage_unready_server_gets_no_new_connection_and_keeps_the_old_ones() {
    observe("not-ready", |scratch| {
        let (report, _fleet, daemon) = fault(scratch, |fleet| fleet.named("cp1").tell("notready"))?;
        assert_eq!(report.figures.failed, 0, "{report:?}");
        let last = report.figures.servers.get("cp1").map_or(Duration::ZERO, |served| served.last);
        assert!(last < Duration::from_millis(2_500), "it was served new connections too long: {report:?}");
        assert_eq!((report.talking.kept, report.silent.kept), (10, 10), "{report:?}");
        assert_eq!(daemon.graded("draining"), ["cp1"]);
        Ok(())
    });
}

#[test]
fn outage_graceful_stop_fails_no_request() {
    observe("graceful-stop", |scratch| {
        let (report, ..) = fault(scratch, |fleet| fleet.named("cp1").tell("stop"))?;
        assert_eq!(report.figures.failed, 0, "{report:?}");
        assert_eq!((report.talking.hung, report.silent.hung), (0, 0), "{report:?}");
        Ok(())
    });
}

/// The server that all clients of a node-local balancer are given while it is well.
fn preferred<'a>(fleet: &'a mut Fleet, daemon: &Daemon) -> &'a mut Api {
    let used = |api: &&mut Api| daemon.endpoint(&api.name)["connections"].as_u64() > Some(0);
    fleet.apis.iter_mut().find(used).expect("a server in use")
}

#[test]
fn outage_killed_server_behind_a_node_local_balancer_fails_no_new_request() {
    observe("node-local-killed", |scratch| {
        let (report, ..) =
            fault_before(scratch, Cluster::node_local, |fleet, daemon| preferred(fleet, daemon).kill())?;
        assert_eq!(report.figures.failed, 0, "{report:?}");
        assert!(report.figures.extra < Duration::from_millis(600), "{report:?}");
        Ok(())
    });
}

#[test]
fn outage_frozen_server_behind_a_node_local_balancer_is_found_by_its_clients() {
    observe("node-local-frozen", |scratch| {
        // Its next probe is due in half a minute: the clients' own connections tell.
        let (report, fleet, daemon) =
            fault_before(scratch, Cluster::node_local, |fleet, daemon| preferred(fleet, daemon).freeze())?;
        let last = report.figures.last_failure.unwrap_or_default();
        assert!(last < Duration::from_millis(1_500), "connections went to it too long: {report:?}");
        assert_eq!(daemon.graded("dead").len(), 1);
        fleet.apis.iter().for_each(Api::thaw);
        daemon.wait_graded("ready", 3);
        Ok(())
    });
}

#[test]
fn outage_all_down_and_back_is_served_soon() {
    observe("all-down", |scratch| {
        let mut fleet = Fleet::start(scratch, 3);
        let daemon = Daemon::start(scratch, Cluster::balancer(&fleet));
        daemon.wait_graded("ready", 3);
        let client = start_client(&daemon, &fleet)?;
        fleet.apis.iter_mut().for_each(|api| api.kill());
        daemon.wait_graded("dead", 3);
        // Long enough down that probing has settled at its slow pace.
        std::thread::sleep(Duration::from_secs(2));
        fleet.named("cp2").start();
        let back = Instant::now();
        wait_for("good service", PATIENCE, || client.is_warm().then_some(()));
        let run = sound(client)?;
        let first = run.first_answer_after(back).expect("an answer");
        eprintln!("first answer {first:?} after the first listener was back");
        assert!(first < Duration::from_millis(1_000), "{first:?}");
        Ok(())
    });
}
