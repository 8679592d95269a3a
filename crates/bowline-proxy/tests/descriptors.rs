//! Running out of file descriptors, in a process of its own.

mod common;
#[path = "common/process.rs"]
mod process;

use bowline_proxy::{Event, Pause, Report, Shortage};
use common::*;
use process::{CHILD, run_child};
use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

#[test]
fn accepting_pauses_says_so_costs_nothing_and_recovers() {
    run_child("child_without_a_descriptor_for_a_client");
}

#[test]
fn a_client_for_whom_no_socket_is_left_is_held() {
    run_child("child_without_a_descriptor_for_an_endpoint");
}

#[test]
fn a_bulky_connection_for_which_no_pipe_is_left_is_copied() {
    run_child("child_without_a_descriptor_for_a_pipe");
}

/// A proxy in a process with few descriptors, and files that hold all of them but `left`.
fn with_descriptors_left(left: usize) -> (Bench, SocketAddr, TcpStream, Vec<File>, ProcessorTime) {
    assert!(std::env::var_os(CHILD).is_some(), "to be started by its parent");
    bowline_sys::limits::lower_descriptors(1024).unwrap();
    let (bench, address) = Bench::before(&[greeter("hi")]);
    let mut first = connect(address);
    read(&mut first, 2);
    let processor_time = ProcessorTime::of_all_threads();
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    hoard.truncate(hoard.len() - left);
    (bench, address, first, hoard, processor_time)
}

fn out_of_descriptors(report: &Report) -> bool {
    let descriptors = Pause::Shortage(Shortage::Descriptors);
    matches!(report, Report::Event(Event::AcceptPaused { why, .. }) if *why == descriptors)
}

/// Processor time of all threads of this process, read through descriptors that are open already.
struct ProcessorTime(Vec<File>);

impl ProcessorTime {
    fn of_all_threads() -> Self {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        Self(threads.map(|thread| File::open(thread.unwrap().path().join("schedstat")).unwrap()).collect())
    }

    fn now(&self) -> Duration {
        let spent = |thread: &File| -> u64 {
            let mut text = [0; 128];
            let length = thread.read_at(&mut text, 0).unwrap();
            let text = std::str::from_utf8(&text[..length]).unwrap();
            text.split(' ').next().unwrap().parse().unwrap()
        };
        Duration::from_nanos(self.0.iter().map(spent).sum())
    }
}

#[test]
#[ignore = "changes a limit of the whole process: started by a test above in a process of its own"]
fn child_without_a_descriptor_for_a_client() {
    // One, for a client's own end.
    let (bench, address, mut first, hoard, processor_time) = with_descriptors_left(1);
    let mut waiting = connect(address);
    bench.memory.wait_for(out_of_descriptors);
    assert_eq!(bench.proxy.stats().accept_paused, 1);

    // No busy loop: a twentieth of a core at most. Time has to pass for that to mean something.
    let (start, before) = (Instant::now(), processor_time.now());
    std::thread::sleep(Duration::from_millis(400));
    let (lasted, spent) = (start.elapsed(), processor_time.now() - before);
    assert!(spent < lasted / 20, "{spent:?} of {lasted:?}");
    assert_eq!(bench.stats().open, 1, "who was there is still there");

    drop(hoard);
    assert_eq!(read(&mut waiting, 2), b"hi");
    bench.memory.wait_for(|report| matches!(report, Report::Event(Event::AcceptResumed { .. })));
    first.write_all(b"on").unwrap();
    assert_eq!(read(&mut first, 2), b"on");
    assert_eq!(read(&mut connect(address), 2), b"hi");
}

#[test]
#[ignore = "changes a limit of the whole process: started by a test above in a process of its own"]
fn child_without_a_descriptor_for_an_endpoint() {
    // Two: a client's own end, and the accepted one.
    let (bench, address, _first, hoard, _open) = with_descriptors_left(2);
    let mut held = connect(address);
    bench.memory.wait_for(out_of_descriptors);
    assert_eq!((bench.stats().open, bench.stats().held), (1, 1));
    drop(hoard);
    assert_eq!(read(&mut held, 2), b"hi");
    assert_eq!(read(&mut connect(address), 2), b"hi");
}

#[test]
#[ignore = "changes a limit of the whole process: started by a test above in a process of its own"]
fn child_without_a_descriptor_for_a_pipe() {
    let (bench, _address, mut first, hoard, _open) = with_descriptors_left(1);
    let mut sender = first.try_clone().unwrap();
    // The clone is the one that was left.
    assert!(File::open("/dev/null").is_err());
    let stream: Vec<u8> = (0..8u32 << 20).map(|place| (place * 31 % 251) as u8).collect();
    let mut there_and_back = |stream: &[u8]| {
        std::thread::scope(|scope| {
            scope.spawn(|| sender.write_all(stream).unwrap());
            assert!(read(&mut first, stream.len()) == stream, "other bytes came back");
        });
    };
    there_and_back(&stream);
    assert_eq!(bench.proxy.stats().pipes, 0);
    drop(hoard);
    let start = Instant::now();
    while bench.proxy.stats().pipes == 0 {
        assert!(start.elapsed() < PATIENCE, "descriptors are back, and no pipe is made");
        there_and_back(&stream);
    }
    there_and_back(&stream);
}
