//! The same faults before HAProxy and before bowline in one run. What counts here is that the comparison is made and printed;
//! the bound is that bowline is not worse. Needs root for the cut link.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bowline_lab::outage::{Client, Report, Settings};
use bowline_sys::netns::LinkState;

use crate::harness::{Cluster, Daemon, PATIENCE, Scratch, installed, loopback, root, skip};
use crate::kernel::{Family, Network, haproxy};

/// Long enough for HAProxy's default checks (three failures, 2 s apart, each timing out) to take a server out.
const OBSERVED: Duration = Duration::from_secs(9);

#[derive(Clone, Copy, Debug)]
enum Fault {
    Killed,
    LinkCut,
}

/// What clients of both saw of one fault, which hits both at once.
fn both(fault: Fault) -> (Report, Report) {
    let scratch = Scratch::alone(&format!("beside-{fault:?}"));
    let mut network = Network::enter(&scratch, Family::V4);
    let incumbent_address = SocketAddr::new(loopback(4, 1), 6443);
    let _incumbent = haproxy(&scratch, &network.fleet, incumbent_address);
    let daemon = Daemon::start(&scratch, Cluster::balancer(&network.fleet));
    daemon.wait_graded("ready", 3);
    let clients = [incumbent_address, daemon.address()].map(|address| {
        let mut settings = Settings::new(address, network.fleet.authority.pem());
        settings.server_name = "kubernetes".to_owned();
        // Two clients share the machine.
        settings.interval = Duration::from_millis(20);
        Client::start(settings).expect("start an outage client")
    });
    assert!(clients.iter().all(|client| client.wait_warm(PATIENCE)), "both serve before the fault");
    match fault {
        Fault::Killed => network.fleet.named("cp2").kill(),
        Fault::LinkCut => network.set_link(1, LinkState::Down),
    }
    let from = Instant::now();
    std::thread::sleep(OBSERVED);
    let [incumbent, own] = clients.map(|client| client.finish().expect("an observation").report(from));
    for (name, report) in [("HAProxy", &incumbent), ("bowline", &own)] {
        let figures = &report.figures;
        eprintln!(
            "{fault:?}, {name}: {} of {} requests failed, outage {:?}, slowest success {:?}",
            figures.failed, figures.requests, figures.outage, figures.extra
        );
    }
    (incumbent, own)
}

fn compare(fault: Fault) {
    if !root() {
        return skip("network namespaces need root");
    }
    if !installed("haproxy") {
        return skip("HAProxy is not installed");
    }
    let (incumbent, own) = both(fault);
    assert_eq!(own.figures.failed, 0, "{own:?}");
    assert!(own.figures.failed <= incumbent.figures.failed, "{own:?} {incumbent:?}");
}

#[test]
fn outage_killed_server_beside_haproxy() {
    compare(Fault::Killed);
}

#[test]
fn outage_link_cut_beside_haproxy() {
    compare(Fault::LinkCut);
}
