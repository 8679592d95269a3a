//! A proxy that stood still for a while, as on a host that was suspended or starved: what came in meanwhile counts before what
//! is overdue.

mod common;

use bowline_pool::Evidence;
use common::*;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const CHILD: &str = "BOWLINE_TEST_STALLING_CHILD";

/// What the child answers with, apart from what the test harness prints.
const ANSWER: &str = "answer ";

/// More than a worker takes from the kernel at once, on either side.
const CLIENTS: usize = 400;

const FIRST_FLIGHT: Duration = Duration::from_secs(1);

/// The proxy in a process of its own, killed with the test.
struct Stallable(Child);

impl Drop for Stallable {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stallable {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

#[test]
fn answers_that_came_during_a_stall_are_no_evidence() {
    bowline_sys::limits::raise_descriptors().unwrap();
    let (listener, at) = endpoint();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child_that_stalls", "--ignored", "--nocapture"]).env(CHILD, at.to_string());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    bowline_sys::child::end_with_parent(&mut command);
    let mut child = Stallable(command.spawn().unwrap());
    let mut asks = child.0.stdin.take().unwrap();
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut answers = lines.filter_map(|line| Some(line.strip_prefix(ANSWER)?.to_owned()));
    let address = answers.next().unwrap().parse().unwrap();

    let mut connections: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = connect(address);
            client.write_all(b"x").unwrap();
            (client, accept(&listener))
        })
        .collect();
    let start = Instant::now();
    connections.iter_mut().for_each(|(_, server)| drop(read(server, 1)));
    child.signal(Signal::STOP);
    connections.iter_mut().for_each(|(_, server)| server.write_all(b"y").unwrap());
    // The stall itself: all first flights are overdue at its end.
    std::thread::sleep((FIRST_FLIGHT + Duration::from_millis(100)).saturating_sub(start.elapsed()));
    child.signal(Signal::CONT);
    connections.iter_mut().for_each(|(client, _)| drop(read(client, 1)));
    asks.write_all(b"\n").unwrap();
    assert_eq!(answers.next().unwrap(), "0 unanswered");
}

#[test]
#[ignore = "is stopped for a while: started by the test above in a process of its own"]
fn child_that_stalls() {
    bowline_sys::limits::raise_descriptors().unwrap();
    let endpoint = std::env::var(CHILD).expect("to be started by its parent").parse().unwrap();
    let bench = Bench::new(1, 10_000);
    let mut snapshot = pool(&[endpoint]);
    snapshot.timers.first_flight = FIRST_FLIGHT;
    bench.proxy.set_pool(POOL, Arc::new(snapshot));
    let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
    // After the harness's own words on the line.
    println!("\n{ANSWER}{address}");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    println!("{ANSWER}{} unanswered", bench.memory.count(evidence(0, Evidence::UnansweredFlight)));
}
