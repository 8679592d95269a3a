//! Connections without end: nothing may be left of any of them.
//!
//! `BOWLINE_CONNECTIONS=1000000 cargo test --release -p bowline-proxy --test endurance -- --nocapture` is the long run, of some
//! minutes; without the variable it is a short one.

mod common;
#[path = "common/crowd.rs"]
mod crowd;
#[path = "common/process.rs"]
mod process;

use common::*;
use crowd::{Crowd, End, Script};
use process::{descriptors, resident_memory, run_child};
use std::net::SocketAddr;

/// How many, when the environment does not say.
const CONNECTIONS: usize = 20_000;

/// At a time.
const CROWD: usize = 64;

/// Before the memory is measured: every list and pool has then been as long as it gets.
const WARM_UP: usize = 5_000;

fn connections() -> usize {
    std::env::var("BOWLINE_CONNECTIONS").map_or(CONNECTIONS, |count| count.parse().expect("a number"))
}

/// One in eight is a little bulky, one in sixteen each is reset by one side.
fn script(number: usize) -> Script {
    let end = match number % 16 {
        3 => End::ClientResets(10),
        7 => End::EndpointResets(10),
        11 => End::Last,
        _ => End::Well,
    };
    let bytes = if number.is_multiple_of(8) { 300_000 } else { 100 };
    Script { up: 100, down: bytes, gulp: 64 * 1024, end }
}

fn pass(crowd: &mut Crowd, address: SocketAddr, numbers: std::ops::Range<usize>) {
    for number in numbers {
        crowd.run("somebody leaves", |crowd| crowd.open < CROWD);
        crowd.connect(address, script(number));
    }
    crowd.run("all is over", |crowd| crowd.open == 0);
}

#[test]
fn nothing_is_left_of_connections_that_are_over() {
    print!("{}", run_child("child_with_connections_without_end"));
}

#[test]
#[ignore = "measures its whole process: started by a test above in a process of its own"]
fn child_with_connections_without_end() {
    let mut crowd = Crowd::new();
    let at = crowd.listen();
    let (bench, address) = Bench::with_before(config(2, 4_000), &[at]);
    pass(&mut crowd, address, 0..WARM_UP);
    crowd.forget();
    wait_until("all are over", || bench.proxy.connections() == 0);
    let (memory, open) = (resident_memory(), descriptors());

    let count = connections();
    let start = std::time::Instant::now();
    for from in (0..count).step_by(WARM_UP) {
        pass(&mut crowd, address, from..(from + WARM_UP).min(count));
        crowd.forget();
        bench.memory.forget();
    }
    let lasted = start.elapsed();
    wait_until("all are over", || bench.proxy.connections() == 0);
    crowd.run("nothing is parked", |crowd| crowd.sides == 0 && bench.proxy.stats().parked == 0);
    bench.memory.forget();
    let (memory_after, open_after) = (resident_memory(), descriptors());
    println!(
        "{count} connections in {lasted:?}; resident memory {} KiB before, {} KiB after; {open} descriptors before, {open_after} after",
        memory / 1024,
        memory_after / 1024
    );
    assert!(memory_after <= memory + memory / 20, "more than 5 %");
    // Pipes wait for the next bulky connection, a bounded number of them.
    let pipes = 2 * bench.proxy.stats().pipes as usize;
    assert!(open_after <= open.max(open + pipes), "{open_after} descriptors, {pipes} of them for pipes");
    assert_eq!(bench.stats().accepted, (WARM_UP + count) as u64);
}
