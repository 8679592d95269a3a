//! The real binary as a virtual router, on a segment of namespaces: against hand-made packets, against keepalived and FRR, and as
//! its clients see it. Needs root; a test whose peer is not installed says so and does nothing else.
#![forbid(unsafe_code)]

mod bad_input;
mod churn;
mod coexistence;
mod conformance;
mod interop;
mod masters;
mod members;
mod outage;
mod refusals;
mod reload;
mod trouble;

use bowline_lab::lan::Lan;
use bowline_lab::peer::{Bowline, Daemon, Subject};
use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

/// Long enough for anything that works, on a machine that is busy with something else.
const PATIENCE: Duration = Duration::from_secs(20);

/// The binary in a group with other makes of routers.
fn among_others() -> Bowline {
    Bowline { binary: env!("CARGO_BIN_EXE_bowline").into(), foreign: true }
}

/// The binary in a group of its own.
fn among_its_own() -> Bowline {
    Bowline { foreign: false, ..among_others() }
}

/// Whether the test can do its work here; when not, it has said why.
fn possible(subjects: &[&dyn Subject]) -> bool {
    let reason = Lan::missing().or_else(|| subjects.iter().find_map(|subject| subject.missing()));
    match reason {
        Some(reason) => {
            skip(&reason);
            false
        }
        None => true,
    }
}

/// Says why the test cannot do its work here, also in the list that a run of all tests keeps.
fn skip(reason: &str) {
    eprintln!("SKIPPED: {reason}");
    if let Some(path) = std::env::var_os("BOWLINE_TEST_SKIPS") {
        let mut list =
            OpenOptions::new().create(true).append(true).open(path).expect("open the list of skipped tests");
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        writeln!(list, "{name}: {reason}").expect("note a skipped test");
    }
}

/// Asks again and again until there is an answer; fails the test with `what` when there is none.
fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The state of the daemon's virtual IP, as its status says it.
fn state(daemon: &Daemon) -> String {
    let status = daemon.virtual_ip("lab").expect("ask for the status");
    status["state"].as_str().expect("a state").to_owned()
}

/// The sum of a metric's samples whose labels contain `labels`.
fn metric(daemon: &Daemon, name: &str, labels: &str) -> f64 {
    let samples = daemon.metrics(name).expect("ask for the metrics");
    samples.iter().filter(|(name, _)| name.contains(labels)).map(|(_, value)| value).sum()
}
