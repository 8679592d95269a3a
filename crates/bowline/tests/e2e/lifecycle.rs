//! Start, reload and stop of the daemon, with clients connected.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::harness::{Cluster, Daemon, Fleet, PATIENCE, Scratch, Tls, free_port, wait_for};
use crate::outage::{observe, sound, start_client, told};

fn balancer(scratch: &Scratch) -> (Fleet, Daemon) {
    balancer_with(scratch, "")
}

fn balancer_with(scratch: &Scratch, balancing: &str) -> (Fleet, Daemon) {
    let fleet = Fleet::start(scratch, 3);
    let mut cluster = Cluster::balancer(&fleet);
    cluster.balancing = balancing.to_owned();
    let daemon = Daemon::start(scratch, cluster);
    daemon.wait_graded("ready", 3);
    (fleet, daemon)
}

#[test]
fn reload_under_load_drops_no_request_and_no_connection() {
    observe("reload", |scratch| {
        let (fleet, mut daemon) = balancer(scratch);
        let client = start_client(&daemon, &fleet)?;
        let from = std::time::Instant::now();
        let whole = daemon.cluster.clone();
        let mut fewer = whole.clone();
        fewer.servers.pop();
        fewer.balancing = "policy: round-robin".to_owned();
        daemon.describe(fewer);
        daemon.wait_generation(2);
        assert_eq!(daemon.status()["endpoints"].as_array().map(Vec::len), Some(2));
        daemon.describe(whole.clone());
        daemon.wait_generation(3);
        daemon.wait_graded("ready", 3);
        for number in 0..5 {
            let mut changed = whole.clone();
            changed.balancing = format!("fall: {}", number + 3);
            daemon.describe(changed);
            daemon.wait_generation(4 + number);
        }
        let report = told("reload", sound(client)?.report(from, from));
        assert_eq!(report.figures.failed, 0, "{report:?}");
        assert_eq!((report.talking.kept, report.silent.kept), (10, 10), "{report:?}");
        Ok(())
    });
}

#[test]
fn a_listener_that_moves_lets_its_connections_live_on() {
    let scratch = Scratch::new("move");
    let (fleet, mut daemon) = balancer(&scratch);
    let mut old = Tls::connect(daemon.address(), &fleet.authority.pem()).expect("connect");
    let (_, server) = old.get("/version").expect("an answer");
    let before = daemon.address();
    let mut moved = daemon.cluster.clone();
    moved.listen.set_port(free_port(&[moved.listen.ip()]));
    daemon.describe(moved);
    daemon.wait_generation(2);
    let mut new = Tls::connect(daemon.address(), &fleet.authority.pem()).expect("connect to the new port");
    assert_eq!(new.get("/version").expect("an answer at the new port").0, 200);
    wait_for("the old port being closed", PATIENCE, || TcpStream::connect(before).is_err().then_some(()));
    assert_eq!(old.get("/version").expect("an answer on the old connection").1, server);
}

#[test]
fn sighup_reloads_and_a_file_that_is_as_before_changes_nothing() {
    let scratch = Scratch::new("sighup");
    let (_fleet, mut daemon) = balancer(&scratch);
    daemon.process.signal("HUP");
    let mut fewer = daemon.cluster.clone();
    fewer.servers.pop();
    daemon.describe(fewer);
    daemon.process.signal("HUP");
    wait_for("two endpoints", PATIENCE, || {
        daemon.process.must_run();
        (daemon.status()["endpoints"].as_array().map(Vec::len) == Some(2)).then_some(())
    });
    // The write and the signal are one change: a plan that is in force already is not put in force again.
    assert!(daemon.status()["generation"].as_u64() <= Some(3), "{:#}", daemon.status());
}

#[test]
fn a_bad_description_is_refused_and_the_old_plan_stays() {
    let scratch = Scratch::new("bad-reload");
    let (fleet, mut daemon) = balancer(&scratch);
    let good = daemon.cluster.clone();
    daemon.write_config("spec: {nodes: [}");
    wait_for("the refusal", PATIENCE, || (!daemon.status()["reloadRefused"].is_null()).then_some(()));
    daemon.wait_logged(&["lb1.yaml"]);
    assert_eq!(daemon.status()["generation"], 1);
    let mut client = Tls::connect(daemon.address(), &fleet.authority.pem()).expect("connect");
    assert_eq!(client.get("/version").expect("an answer").0, 200);
    let mut fixed = good;
    fixed.servers.pop();
    daemon.describe(fixed);
    wait_for("the good one", PATIENCE, || daemon.status()["reloadRefused"].is_null().then_some(()));
    assert_eq!(daemon.status()["endpoints"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_its_owner() {
    let scratch = Scratch::new("taken");
    let fleet = Fleet::start(&scratch, 1);
    let cluster = Cluster::balancer(&fleet);
    let _owner = TcpListener::bind(cluster.listen).expect("take the port");
    let (status, printed) = Daemon::fails(&scratch, &cluster);
    assert_eq!(status.code(), Some(3), "{printed}");
    assert!(printed.contains(&cluster.listen.to_string()), "{printed}");
    assert!(printed.contains(&std::process::id().to_string()), "the owner's process id: {printed}");
}

#[test]
fn sigterm_drains_what_is_open_and_accepts_nothing_new() {
    let scratch = Scratch::new("drain");
    let (fleet, mut daemon) = balancer(&scratch);
    let mut watch = Tls::connect(daemon.address(), &fleet.authority.pem()).expect("connect");
    watch.begin("/api/v1/pods?watch=1").expect("begin a watch");
    assert!(watch.more().expect("the watch's first bytes") > 0);
    daemon.process.signal("TERM");
    wait_for("refused connections", PATIENCE, || TcpStream::connect(daemon.address()).is_err().then_some(()));
    for _ in 0..5 {
        assert!(watch.more().expect("the watch goes on") > 0);
    }
    daemon.process.must_run();
    drop(watch);
    let status = daemon.process.wait(PATIENCE);
    assert!(status.success(), "{status}: {}", daemon.process.log());
}

#[test]
fn the_drain_ends_with_its_grace() {
    let scratch = Scratch::new("grace");
    let (fleet, mut daemon) = balancer_with(&scratch, "drainGrace: 1s");
    let mut watch = Tls::connect(daemon.address(), &fleet.authority.pem()).expect("connect");
    watch.begin("/api/v1/pods?watch=1").expect("begin a watch");
    assert!(watch.more().expect("the watch's first bytes") > 0);
    daemon.process.signal("TERM");
    let asked = std::time::Instant::now();
    let status = daemon.process.wait(PATIENCE);
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() >= Duration::from_millis(900), "{:?}", asked.elapsed());
    wait_for("the end of the watch", PATIENCE, || match watch.more() {
        Ok(1..) => None,
        Ok(0) | Err(_) => Some(()),
    });
}

#[test]
fn a_killed_balancer_is_replaced_at_once_on_its_port() {
    let scratch = Scratch::new("restart");
    let (fleet, mut daemon) = balancer(&scratch);
    // A connection that the killed process had open must not keep its successor from the port.
    let mut open = TcpStream::connect(daemon.address()).expect("connect");
    open.write_all(b"\x16").expect("send the first byte of a handshake");
    daemon.process.kill();
    let again = Daemon::start(&scratch, daemon.cluster.clone());
    let mut client = Tls::connect(again.address(), &fleet.authority.pem()).expect("connect");
    assert_eq!(client.get("/version").expect("an answer").0, 200);
    assert!(matches!(open.read(&mut [0]), Ok(0) | Err(_)));
}
