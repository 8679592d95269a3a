//! API servers that cannot be reached: by the holder alone, which moves its address, or by everybody, which moves nothing.

use super::outage::{STALL_MAX, observe, system};
use super::skip;
use bowline_lab::failover::{BALANCERS, Fault, PORT, Rig, SERVERS, System, VIP};
use bowline_lab::gauge::Gauge;
use bowline_lab::lan::Lan;
use bowline_lab::standin::Command;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Between two looks at who has the address, and between two clients.
const STEP: Duration = Duration::from_millis(10);
/// So long after the trouble of all everything is as it will be: probes that come seldom, and the longest wait of a Backup.
const AFTERWARDS: Duration = Duration::from_secs(3);

#[test]
fn outage_of_a_holder_that_alone_reaches_no_server_is_short() {
    let Some(seen) = observe(Fault::Unreachable, Duration::from_secs(4)) else { return };
    let report = &seen.report;
    // Less than two nodes can differ about one trouble: it was the answer that decided.
    assert!(report.figures.outage < Duration::from_millis(1_200), "{report:?}");
    assert_eq!((report.talking.hung, report.silent.hung), (0, 0), "{report:?}");
    assert_eq!(seen.holders.in_the_end, BTreeSet::from([BALANCERS[1].to_owned()]), "{:?}", seen.holders);
    assert_eq!(seen.holders.moves, 1, "{:?}", seen.holders);
}

/// Clients that come to the address every few milliseconds: what the holder's workers see of the servers is evidence, too.
struct Clients {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Clients {
    fn start(lan: &Lan) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let namespace = lan.host("client").namespace();
        let come = move || {
            let mut clients = std::collections::VecDeque::new();
            while !ended.load(Ordering::Relaxed) {
                let address = SocketAddr::new(IpAddr::V4(VIP), PORT);
                // Whether it is served is not the question here.
                clients.push_back(TcpStream::connect_timeout(&address, STEP));
                if clients.len() > 10 {
                    clients.pop_front();
                }
                std::thread::sleep(STEP);
            }
        };
        let thread = namespace.inside(|| std::thread::spawn(come)).expect("clients in their namespace");
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Watches the address for so long; who had it beside the first balancer.
fn others(rig: &Rig<'_>, watched: Duration) -> BTreeSet<String> {
    let end = Instant::now() + watched;
    let mut others = BTreeSet::new();
    while Instant::now() < end {
        others.extend(rig.lan().holders(VIP.into()).expect("look at the hosts"));
        std::thread::sleep(STEP);
    }
    others.remove(BALANCERS[0]);
    others
}

/// Troubles everybody for so long at a time, and looks whether anything moves then or afterwards.
fn nothing_moves(what: &str, troubled: &[Duration], trouble: impl Fn(&Rig<'_>, bool)) {
    let system = system();
    if let Some(reason) = Lan::missing().or_else(|| system.missing()) {
        return skip(&reason);
    }
    let rig = Rig::start(&system).expect("three balancers with a virtual IP");
    let _clients = Clients::start(rig.lan());
    // From then on every Backup is well for long enough to take over on an answer, each time.
    assert_eq!(others(&rig, AFTERWARDS), BTreeSet::new(), "before");
    for &length in troubled {
        let gauge = Gauge::start().expect("a gauge");
        let began = Instant::now();
        trouble(&rig, true);
        let mut moved = others(&rig, length);
        trouble(&rig, false);
        moved.extend(others(&rig, AFTERWARDS));
        let stall = gauge.worst_since(began);
        println!("{what} for {length:?}: moved to {moved:?}, stall {stall:?}");
        if stall > STALL_MAX && !moved.is_empty() {
            // Hosts that stood still themselves may have been replaced for that.
            skip(&format!("{what}: the machine stood still for {stall:?}"));
            return;
        }
        assert_eq!(moved, BTreeSet::new(), "{what} for {length:?}");
    }
}

fn millis(lengths: [u64; 4]) -> [Duration; 4] {
    lengths.map(Duration::from_millis)
}

#[test]
fn servers_that_nobody_reaches_move_nothing() {
    nothing_moves("all servers cut off", &millis([250, 300, 400, 4_000]), |rig, on| {
        rig.lan().cut_off(&SERVERS, on).expect("cut all servers off at once, or none");
    });
}

#[test]
fn servers_that_all_stand_still_move_nothing() {
    nothing_moves("all servers hang", &millis([500, 1_000, 2_000, 5_000]), |rig, on| {
        for server in rig.servers() {
            server.command(if on { Command::Hang } else { Command::Normal }).expect("told");
        }
    });
}

/// As in an election of etcd.
#[test]
fn servers_that_are_all_not_ready_move_nothing() {
    nothing_moves("no server is ready", &millis([500, 1_000, 2_000, 5_000]), |rig, on| {
        for server in rig.servers() {
            server.command(if on { Command::NotReady } else { Command::Ready }).expect("told");
        }
    });
}
