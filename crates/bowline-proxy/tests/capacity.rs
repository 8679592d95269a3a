//! As many connections as the descriptors allow, and what they cost.

mod common;
#[path = "common/crowd.rs"]
mod crowd;
#[path = "common/process.rs"]
mod process;

use bowline_proxy::{Event, Pause, Report};
use common::*;
use crowd::{Crowd, End, Script};
use process::{CHILD, anonymous_memory, child, descriptors, run_child};
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// User memory for ten thousand idle connections, in bytes.
const MEMORY_MAX: u64 = 4 << 20;

/// Above the limit by so many, so that some have to wait.
const TOO_MANY: usize = 20;

#[test]
fn every_descriptor_is_used_and_idle_connections_cost_little() {
    print!("{}", run_child("child_with_the_proxy"));
}

/// The other ends of all connections, in a process with descriptors of its own.
struct Others {
    process: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Others {
    fn start() -> Self {
        let mut child = child("child_with_the_crowd");
        let mut process = child.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
        Self { process, stdin, lines: BufReader::new(stdout).lines() }
    }

    fn tell(&mut self, what: impl std::fmt::Display) {
        writeln!(self.stdin, "{what}").unwrap();
    }

    /// What stands behind `word` in the next line that has it; the test's own name may stand before it.
    #[track_caller]
    fn hear(&mut self, word: &str) -> String {
        let lines = self.lines.by_ref().map(Result::unwrap);
        let mut found = lines.filter_map(|line| Some(line.split_once(&format!("{word}: "))?.1.to_owned()));
        found.next().unwrap_or_else(|| panic!("the crowd ended before it said {word}"))
    }
}

#[test]
#[ignore = "wants all descriptors of a process: started by a test above in a process of its own"]
fn child_with_the_proxy() {
    assert!(std::env::var_os(CHILD).is_some(), "to be started by its parent");
    bowline_sys::limits::raise_descriptors().unwrap();
    let mut others = Others::start();
    let endpoint: SocketAddr = others.hear("endpoint").parse().unwrap();
    let (bench, address) = Bench::with_before(config(2, 1_000_000), &[endpoint]);
    let max = bench.proxy.connections_max();
    let limit = bowline_sys::limits::descriptors() as usize;
    assert!(max >= limit / 2 * 97 / 100 || limit < 20_000, "{max} of {limit} descriptors");

    // Something to warm up, so that what is measured is what a connection costs.
    others.tell(format!("{address} 100 100"));
    others.hear("done");
    wait_until("they are gone", || bench.proxy.connections() == 0);
    let (memory, open) = (anonymous_memory(), descriptors());

    // The crowd has two descriptors for each of them too.
    let crowd_max = (limit - 100) / 2;
    let (count, full) = (crowd_max.min(max + TOO_MANY), crowd_max >= max + TOO_MANY);
    let served = count.min(max);
    others.tell(format!("{address} {count} {served}"));
    others.hear("idle");
    assert_eq!(bench.proxy.connections(), served);
    if full {
        let limited = |report: &Report| {
            matches!(report, Report::Event(Event::AcceptPaused { why: Pause::ConnectionLimit, .. }))
        };
        bench.memory.wait_for(limited);
    }
    let growth = anonymous_memory().saturating_sub(memory);
    let scaled = growth * 10_000 / served as u64;
    println!("{served} idle connections: {growth} bytes of user memory, {scaled} for ten thousand");
    assert!(scaled <= MEMORY_MAX, "{scaled} bytes");

    others.tell("go on");
    others.hear("done");
    wait_until("all are over", || bench.proxy.connections() == 0 && bench.proxy.stats().parked == 0);
    assert_eq!(bench.stats().accepted, 100 + count as u64, "those who waited were served too");
    wait_until("descriptors are back", || descriptors() <= open);
    others.tell("end");
    assert!(others.process.wait().unwrap().success());
}

#[test]
#[ignore = "wants all descriptors of a process: started by a test above in a process of its own"]
fn child_with_the_crowd() {
    assert!(std::env::var_os(CHILD).is_some(), "to be started by its parent");
    bowline_sys::limits::raise_descriptors().unwrap();
    let mut crowd = Crowd::new();
    println!("endpoint: {}", crowd.listen());
    let mut orders = std::io::stdin().lines().map(Result::unwrap);
    while let Some(order) = orders.next().filter(|order| order != "end") {
        let mut words = order.split(' ');
        let address: SocketAddr = words.next().unwrap().parse().unwrap();
        let [count, served] = [(); 2].map(|()| words.next().unwrap().parse::<usize>().unwrap());
        // A byte each way, and then nothing.
        crowd.hold_at = Some(1);
        for number in 0..count {
            crowd.connect(address, Script { up: 2, down: 2, gulp: 16, end: End::Well });
            if number.is_multiple_of(16) {
                crowd.turn();
            }
        }
        crowd.run("a byte each way", |crowd| crowd.received(1) == 2 * served);
        println!("idle: {served}");
        if count > 100 {
            assert_eq!(orders.next().as_deref(), Some("go on"));
        }
        crowd.release();
        crowd.run("all is over", |crowd| crowd.sides == 0);
        println!("done: {count}");
    }
}
