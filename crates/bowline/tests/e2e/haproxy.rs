//! The same faults before HAProxy and before bowline in one run. What counts here is that the comparison is made and printed;
//! the bound is that bowline is not worse. Both go round robin. Needs root for the cut link.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bowline_lab::outage::{Client, Report, Settings};

use crate::harness::{Cluster, Daemon, Scratch, installed, loopback, root, skip};
use crate::kernel::{Family, Network, haproxy};
use crate::outage::{Unsound, observe, sound, warm};

/// Long enough for HAProxy's default checks (three failures, 2 s apart, each timing out) to take a server out.
const OBSERVED: Duration = Duration::from_secs(9);

#[derive(Clone, Copy, Debug)]
enum Fault {
    Killed,
    LinkCut,
}

/// What clients of both saw of one fault, which hits both at once.
fn both(scratch: &Scratch, fault: Fault) -> Result<(Report, Report), Unsound> {
    let mut network = Network::enter(scratch, Family::V4);
    let incumbent_address = SocketAddr::new(loopback(4, 1), 6443);
    let _incumbent = haproxy(scratch, &network.fleet, incumbent_address);
    let daemon = Daemon::start(scratch, Cluster::round_robin(&network.fleet));
    daemon.wait_graded("ready", 3);
    let start = |address| {
        let mut settings = Settings::new(address, network.fleet.authority.pem());
        settings.server_name = "kubernetes".to_owned();
        // Two clients share the machine.
        settings.interval = Duration::from_millis(20);
        warm(Client::start(settings).expect("start an outage client"))
    };
    let (incumbent, own) = (start(incumbent_address)?, start(daemon.address())?);
    let began = Instant::now();
    match fault {
        Fault::Killed => network.fleet.named("cp2").kill(),
        Fault::LinkCut => network.cut(1),
    }
    let complete = Instant::now();
    std::thread::sleep(OBSERVED);
    let [incumbent, own] = [sound(incumbent)?, sound(own)?].map(|run| run.report(began, complete));
    for (name, report) in [("HAProxy", &incumbent), ("bowline", &own)] {
        let figures = &report.figures;
        eprintln!(
            "{fault:?}, {name}: {} of {} requests failed, outage {:?}, slowest success {:?}",
            figures.failed, figures.requests, figures.outage, figures.extra
        );
    }
    Ok((incumbent, own))
}

fn compare(fault: Fault) {
    if !root() {
        return skip("network namespaces need root");
    }
    if !installed("haproxy") {
        return skip("HAProxy is not installed");
    }
    observe(&format!("beside-{fault:?}"), |scratch| {
        let (incumbent, own) = both(scratch, fault)?;
        assert_eq!(own.figures.failed, 0, "{own:?}");
        assert!(own.figures.failed <= incumbent.figures.failed, "{own:?} {incumbent:?}");
        Ok(())
    });
}

#[test]
fn outage_killed_server_beside_haproxy() {
    compare(Fault::Killed);
}

#[test]
fn outage_link_cut_beside_haproxy() {
    compare(Fault::LinkCut);
}
