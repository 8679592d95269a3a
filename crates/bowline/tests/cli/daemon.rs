//! A running daemon as operators and programs see it: status, metrics, health, log, reload and stop.

mod running;

use crate::harness::{assert_shown, occupied};
use bowline_lab::certs::{Authority, Validity};
use bowline_lab::standin::{Command, Options, Standin};
use running::{Description, Running, SERVERS, wait_for};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

/// Three stand-ins at one port of three loopback addresses, and their authority.
struct Servers {
    authority: Authority,
    port: u16,
    servers: Vec<Standin>,
}

impl Servers {
    fn start() -> Self {
        let authority = Authority::new("test").expect("an authority");
        let addresses: Vec<IpAddr> =
            SERVERS.iter().map(|address| address.parse().expect("an address")).collect();
        let identity = authority.server("api", &addresses, &[], Validity::Current).expect("a certificate");
        let start = |address: IpAddr, port| {
            Standin::start(Options {
                name: "api".into(),
                listen: SocketAddr::new(address, port),
                identity: identity.clone(),
                grace: std::time::Duration::from_secs(1),
            })
        };
        // The port is free on the first address; on the others somebody may have it.
        for _ in 0..20 {
            let first = start(addresses[0], 0).expect("a stand-in");
            let port = first.address().port();
            let others: Result<Vec<_>, _> =
                addresses[1..].iter().map(|address| start(*address, port)).collect();
            if let Ok(others) = others {
                let servers = std::iter::once(first).chain(others).collect();
                return Self { authority, port, servers };
            }
        }
        panic!("no port is free on three loopback addresses");
    }

    fn description(&self) -> Description {
        Description { server_port: self.port, ca: Some(self.authority.pem()), ..Description::default() }
    }
}

fn grades(status: &Value) -> Vec<&str> {
    let endpoints = status["endpoints"].as_array().expect("endpoints");
    endpoints.iter().map(|endpoint| endpoint["grade"].as_str().expect("a grade")).collect()
}

#[test]
fn status_metrics_and_health_of_a_good_daemon() {
    if TcpListener::bind("[::1]:0").is_err() {
        println!("skipped: what is compared has a listener on ::1, and this host has no IPv6");
        return;
    }
    let servers = Servers::start();
    let mut description = servers.description();
    // So long that a busy machine does not add a suspicion to what is compared.
    description.balancing = "{probeTimeout: 5s, handshakeTimeout: 5s}".into();
    let daemon = Running::start(description);
    daemon.wait_status("three ready endpoints", |status| grades(status) == ["ready"; 3]);
    assert_shown!("daemon-status-json", daemon.masked(&daemon.command(&["status", "--output", "json"])));
    assert_shown!("daemon-status-text", daemon.masked(&daemon.command(&["status"])));
    assert_shown!("daemon-metrics", daemon.masked(&daemon.metrics()));
    assert_eq!(daemon.get("/livez").expect("alive"), "ok\n");
    assert_eq!(daemon.get("/readyz").expect("ready"), "ok\n");
    assert!(daemon.get("/nothing").is_err());
}

#[test]
fn a_plan_is_compared_with_what_a_daemon_does() {
    let servers = Servers::start();
    let daemon = Running::start(servers.description());
    daemon.wait_status("three ready endpoints", |status| grades(status) == ["ready"; 3]);
    let diff = |file: &str| daemon.command(&["plan", "--config", file, "--diff"]);
    assert_eq!(diff("cluster.yaml"), "nothing changes\n");
    let path = daemon.bench.scratch.path().join("cluster.yaml");
    let now = std::fs::read_to_string(path).expect("the description");
    let fewer = now.lines().filter(|line| !line.contains("name: cp3")).collect::<Vec<_>>().join("\n");
    daemon.bench.write("fewer.yaml", &fewer);
    assert!(diff("fewer.yaml").starts_with("worker1:\n  change pool api-servers: preferred, cp"));
    daemon.bench.write("none.yaml", now.replace("mode: node-local", "mode: external, address: 192.0.2.9"));
    let none = diff("none.yaml");
    assert!(none.contains("  close listener 127.0.0.1:"), "{none}");
    assert!(none.ends_with("  remove pool api-servers\n"), "{none}");
    daemon.bench.write("other.yaml", now.replace("balancing: {}", "balancing: {policy: sticky}"));
    let changed = diff("other.yaml");
    assert!(changed.starts_with("worker1:\n  change pool api-servers: sticky, cp1 127.0.3.1:"), "{changed}");
    assert_eq!(changed.lines().count(), 2);
}

#[test]
fn a_daemon_whose_endpoints_are_all_down_says_so() {
    let servers = Servers::start();
    for server in &servers.servers {
        server.command(Command::NotReady).expect("not ready");
    }
    let mut description = servers.description();
    description.balancing = "{probeInterval: 100ms}".into();
    let daemon = Running::start(description);
    daemon.wait_status("three draining endpoints", |status| grades(status) == ["draining"; 3]);
    let unready = daemon.get("/readyz").expect_err("not ready").to_string();
    assert!(unready.contains("503"), "{unready}");
    assert_eq!(daemon.status()["pools"][0]["failOpen"], true);
    assert!(daemon.command(&["status"]).contains("every endpoint looks bad: all are tried"));
    servers.servers[0].command(Command::Ready).expect("ready");
    daemon.wait_status("an endpoint to be ready", |status| status["pools"][0]["failOpen"] == false);
    assert_eq!(daemon.get("/readyz").expect("ready"), "ok\n");
}

#[test]
fn a_reload_whose_listener_cannot_be_bound_changes_nothing() {
    let servers = Servers::start();
    let mut daemon = Running::start(servers.description());
    let before = daemon.status();
    let (_owner, taken) = occupied();
    let good = daemon.description.clone();
    let mut moved = good.clone();
    moved.port = taken.port();
    moved.balancing = "{policy: round-robin}".into();
    daemon.describe(&moved);
    let refused = daemon.wait_status("the refusal", |status| !status["reloadRefused"].is_null());
    let problems = refused["reloadRefused"].to_string();
    assert!(problems.contains(&taken.to_string()) && problems.contains("listens there"), "{problems}");
    for field in ["generation", "listeners", "pools"] {
        assert_eq!(refused[field], before[field], "{field}");
    }
    assert!(TcpStream::connect(("127.0.0.1", good.port)).is_ok(), "the old listener serves");
    daemon.describe(&good);
    daemon.wait_status("the refusal to be over", |status| status["reloadRefused"].is_null());
    assert_eq!(daemon.status()["generation"], 1, "what is in force was not put in force again");
}

#[test]
fn a_reload_with_a_missing_or_a_wrong_ca_file_is_refused() {
    let servers = Servers::start();
    let mut daemon = Running::start(servers.description());
    let good = daemon.description.clone();
    for ca in [None, Some("garbage".to_owned())] {
        daemon.bench.remove("other.pem");
        if let Some(ca) = &ca {
            daemon.bench.write("other.pem", ca);
        }
        let mut wrong = good.clone();
        wrong.ca_file = "other.pem";
        wrong.balancing = if ca.is_some() { "{fall: 3}" } else { "{fall: 4}" }.into();
        daemon.describe(&wrong);
        let told = if ca.is_some() { "holds no certificate" } else { "cannot read" };
        daemon.wait_status(told, |status| status["reloadRefused"].to_string().contains(told));
    }
    assert_eq!(daemon.status()["generation"], 1);
    daemon.wait_status("three ready endpoints", |status| grades(status) == ["ready"; 3]);
}

#[test]
fn the_admin_listener_moves_with_the_description() {
    let servers = Servers::start();
    let mut description = servers.description();
    description.admin_given = false;
    let mut daemon = Running::start(description);
    let socket = daemon.bench.scratch.path().join("admin.sock");
    let old = daemon.admin.clone();
    // Left behind by a daemon that was killed.
    drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket"));
    let mut moved = daemon.description.clone();
    moved.admin = format!("unix:{}", socket.display());
    daemon.describe(&moved);
    daemon.admin = bowline::admin::parse_listen(&moved.admin).expect("an admin address");
    daemon.wait_status("the second plan", |status| status["generation"] == 2);
    assert!(bowline::client::get(&old, "/livez").is_err(), "the old one is closed");
    daemon.signal("TERM");
    assert_eq!(daemon.wait_end().code(), Some(0));
    assert!(!socket.exists(), "the socket is gone with the daemon");
}

#[test]
fn a_node_with_nothing_to_serve_runs_the_admin_listener_alone() {
    let servers = Servers::start();
    let mut description = servers.description();
    description.port = servers.port;
    description.node = "cp1";
    let daemon = Running::start(description);
    let status = daemon.status();
    assert_eq!((&status["listeners"], &status["endpoints"]), (&Value::Array(vec![]), &Value::Array(vec![])));
    assert_eq!(daemon.get("/readyz").expect("ready"), "ok\n");
    assert!(daemon.command(&["status"]).ends_with("no listener\n"));
}

#[test]
fn a_second_signal_ends_the_drain_at_once() {
    let servers = Servers::start();
    let mut daemon = Running::start(servers.description());
    let listener = ("127.0.0.1", daemon.description.port);
    let _held = TcpStream::connect(listener).expect("connect");
    daemon.wait_status("the connection", |status| status["listeners"][0]["connections"] == 1);
    daemon.signal("TERM");
    daemon.wait_status("the drain", |status| status["draining"] == true);
    assert!(daemon.get("/readyz").is_err(), "a daemon that stops is not ready");
    assert!(TcpStream::connect(listener).is_err(), "nobody is let in any more");
    daemon.signal("INT");
    assert_eq!(daemon.wait_end().code(), Some(0));
    assert!(daemon.log().contains("reset=1"), "{}", daemon.log());
}

#[test]
fn log_lines_can_be_json() {
    let servers = Servers::start();
    let mut description = servers.description();
    description.log_format = "json";
    let mut daemon = Running::start(description);
    daemon.wait_status("three ready endpoints", |status| grades(status) == ["ready"; 3]);
    daemon.signal("TERM");
    daemon.wait_end();
    let log = daemon.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let listening =
        lines.iter().find(|line| line["message"] == "listening").expect("a line about the listener");
    assert_eq!(
        (&listening["level"], &listening["address"], &listening["pool"]),
        (&"INFO".into(), &format!("127.0.0.1:{}", daemon.description.port).into(), &"api-servers".into())
    );
    assert!(lines.iter().any(|line| line["message"] == "stopped"), "{log}");
}

#[test]
fn a_daemon_outlives_the_reader_of_its_log() {
    let servers = Servers::start();
    let mut description = servers.description();
    description.is_log_unread = true;
    let mut daemon = Running::start(description);
    daemon.wait_status("three ready endpoints, each with a line", |status| grades(status) == ["ready"; 3]);
    daemon.signal("TERM");
    assert_eq!(daemon.wait_end().code(), Some(0));
}

#[test]
fn a_changed_ca_bundle_is_used_without_a_reload() {
    let servers = Servers::start();
    let mut description = servers.description();
    description.balancing = "{probeInterval: 100ms}".into();
    let daemon = Running::start(description);
    daemon.wait_status("three ready endpoints", |status| grades(status) == ["ready"; 3]);
    let other = Authority::new("other").expect("an authority");
    daemon.bench.write("ca.pem", other.pem());
    let status = daemon.wait_status("three alive endpoints", |status| grades(status) == ["alive"; 3]);
    let reason = "certificate rejected: certificate not signed by the CA in caFile";
    assert_eq!((&status["endpoints"][0]["reason"], &status["generation"]), (&reason.into(), &1.into()));
    wait_for("the log to say so", || daemon.log().contains("probe credentials have changed").then_some(()));
}

#[test]
fn no_port_is_left_taken() {
    let servers = Servers::start();
    let mut daemon = Running::start(servers.description());
    daemon.signal("TERM");
    assert_eq!(daemon.wait_end().code(), Some(0));
    assert!(TcpListener::bind(("127.0.0.1", daemon.description.port)).is_ok());
}

#[test]
fn kernel_a_host_without_ipv6_is_one_warning() {
    let Ok(namespace) = bowline_sys::netns::Namespace::create() else {
        println!("skipped: making a network namespace needs root");
        return;
    };
    let run = || {
        for link in ["all", "lo"] {
            // Where there is no such file, there is no IPv6 to begin with.
            let _off = std::fs::write(format!("/proc/sys/net/ipv6/conf/{link}/disable_ipv6"), "1");
        }
        if TcpListener::bind("[::1]:0").is_ok() {
            println!("skipped: IPv6 cannot be turned off here");
            return;
        }
        let servers = Servers::start();
        let daemon = Running::start(servers.description());
        let status = daemon.status();
        let listeners = status["listeners"].as_array().expect("listeners");
        assert_eq!(listeners.len(), 1, "{status:#}");
        assert_eq!(listeners[0]["address"], "127.0.0.1");
        let log = daemon.log();
        let warnings: Vec<_> = log.lines().filter(|line| line.contains("this host has no IPv6")).collect();
        assert!(matches!(warnings[..], [line] if line.contains(" WARN ")), "{log}");
    };
    namespace.inside(run).expect("enter the namespace");
}
