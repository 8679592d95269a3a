//! Endpoints that misbehave, and certificates that do not verify: reasons on the endpoint, never a crash or a lost request.

use std::net::{SocketAddr, TcpListener};

use bowline_lab::certs::{Authority, Validity};
use bowline_lab::standin::{Options, Standin};

use crate::harness::{
    Cluster, Daemon, Endpoint, Fleet, PATIENCE, Scratch, Tls, free_port, loopback, wait_for,
};

/// Waits until the endpoint has this grade, and returns its reason.
fn graded(daemon: &Daemon, name: &str, grade: &str) -> String {
    wait_for(&format!("{name} being {grade}"), PATIENCE, || {
        let endpoint = daemon.endpoint(name);
        let reason = endpoint["reason"].as_str().unwrap_or_default().to_owned();
        // What nobody has looked at yet is alive.
        (endpoint["grade"] == grade && reason != "not probed yet").then_some(reason)
    })
}

/// Every one of some new connections is served by another server than `bad`.
fn served_by_others(daemon: &Daemon, ca: &str, bad: &str) {
    for _ in 0..20 {
        let mut client = Tls::connect(daemon.address(), ca).expect("connect");
        let (status, server) = client.get("/version").expect("an answer");
        assert_eq!(status, 200);
        assert!(!server.contains(bad), "{server}");
    }
}

#[test]
fn garbage_instead_of_tls_or_http_takes_an_endpoint_out_and_it_comes_back() {
    let scratch = Scratch::new("garbage");
    let mut fleet = Fleet::start(&scratch, 3);
    let ca = fleet.authority.pem();
    let daemon = Daemon::start(&scratch, Cluster::balancer(&fleet));
    daemon.wait_graded("ready", 3);
    for word in ["garbage", "garbage-http"] {
        fleet.named("cp2").tell(word);
        let reason = graded(&daemon, "cp2", "dead");
        assert!(!reason.is_empty());
        served_by_others(&daemon, &ca, "cp2");
        fleet.named("cp2").tell("normal");
        daemon.wait_graded("ready", 3);
    }
}

#[test]
fn refused_and_timed_out_are_different_reasons() {
    let scratch = Scratch::new("reasons");
    let mut fleet = Fleet::start(&scratch, 3);
    let daemon = Daemon::start(&scratch, Cluster::balancer(&fleet));
    daemon.wait_graded("ready", 3);
    fleet.named("cp1").kill();
    fleet.named("cp2").freeze();
    let (refused, silent) = (graded(&daemon, "cp1", "dead"), graded(&daemon, "cp2", "dead"));
    assert_ne!(refused, silent);
    assert!(refused.contains("refused"), "{refused}");
    fleet.named("cp2").thaw();
    fleet.named("cp1").start();
    daemon.wait_graded("ready", 3);
}

#[test]
fn a_server_that_wants_credentials_is_alive_and_serves() {
    let scratch = Scratch::new("unauthorized");
    let mut fleet = Fleet::start(&scratch, 1);
    let ca = fleet.authority.pem();
    let daemon = Daemon::start(&scratch, Cluster::balancer(&fleet));
    daemon.wait_graded("ready", 1);
    fleet.named("cp1").tell("unauthorized");
    let reason = graded(&daemon, "cp1", "alive");
    assert!(reason.contains("401") || reason.contains("unauthorized"), "{reason}");
    let mut client = Tls::connect(daemon.address(), &ca).expect("connect");
    assert_eq!(client.get("/version").expect("an answer").0, 401);
}

#[test]
fn a_certificate_that_does_not_verify_is_a_reason_and_serves() {
    for (name, validity, foreign) in
        [("foreign", Validity::Current, true), ("expired", Validity::Expired, false)]
    {
        let scratch = Scratch::new(name);
        let fleet = Fleet::start_with(&scratch, 1, validity);
        let mut cluster = Cluster::balancer(&fleet);
        if foreign {
            let other = Authority::new("somebody else").expect("make a certificate authority");
            cluster.ca_file = Some(scratch.file("other.crt", &other.pem()));
        }
        let daemon = Daemon::start(&scratch, cluster);
        let reason = graded(&daemon, "cp1", "alive");
        eprintln!("{name}: {reason}");
        assert!(reason.contains("certificate"), "{name}: {reason}");
        if foreign {
            let mut client = Tls::connect(daemon.address(), &fleet.authority.pem()).expect("connect");
            assert_eq!(client.get("/version").expect("an answer").0, 200);
        } else {
            assert!(reason.contains("expired"), "{reason}");
        }
    }
}

#[test]
fn an_endpoint_that_accepts_and_closes_is_taken_out() {
    let scratch = Scratch::new("closes");
    let fleet = Fleet::start(&scratch, 2);
    let ca = fleet.authority.pem();
    let mut cluster = Cluster::balancer(&fleet);
    let address = loopback(1, 200);
    let closing = TcpListener::bind((address, fleet.port)).expect("take the closing endpoint's address");
    std::thread::spawn(move || closing.incoming().for_each(drop));
    cluster.servers.push(("closing".to_owned(), address));
    let daemon = Daemon::start(&scratch, cluster);
    graded(&daemon, "closing", "dead");
    daemon.wait_graded("ready", 2);
    served_by_others(&daemon, &ca, "closing");
}

/// A balancer before one endpoint of the test's own making.
pub(crate) fn before(
    scratch: &Scratch,
    balancing: &str,
    serve: impl Fn(std::net::TcpStream) + Send + Sync + 'static,
) -> (Daemon, Standin) {
    let authority = Authority::new("test").expect("make a certificate authority");
    let address = loopback(5, 1);
    let identity =
        authority.server("own", &[address], &["kubernetes"], Validity::Current).expect("a certificate");
    let options = Options {
        name: "own".to_owned(),
        listen: SocketAddr::new(loopback(0, 1), 0),
        identity,
        grace: std::time::Duration::ZERO,
    };
    let api = Standin::start(options).expect("start a stand-in");
    let listener = TcpListener::bind((address, 0)).expect("listen");
    let port = listener.local_addr().expect("ask for a bound address").port();
    Endpoint::start(listener, api.address(), serve);
    let listen = loopback(2, 1);
    let cluster = Cluster {
        servers: vec![("own".to_owned(), address)],
        server_port: port,
        balancers: vec![("lb1".to_owned(), listen)],
        listen: SocketAddr::new(listen, free_port(&[listen])),
        admin: SocketAddr::new(loopback(0, 1), free_port(&[loopback(0, 1)])),
        ca_file: Some(scratch.file("own-ca.crt", &authority.pem())),
        balancing: balancing.to_owned(),
    };
    let daemon = Daemon::start(scratch, cluster);
    daemon.wait_graded("ready", 1);
    (daemon, api)
}
