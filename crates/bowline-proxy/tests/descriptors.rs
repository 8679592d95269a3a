//! Running out of file descriptors, in a process of its own.

mod common;

use bowline_proxy::{Event, Pause, Report, Shortage};
use common::*;
use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::{Duration, Instant};

const CHILD: &str = "BOWLINE_TEST_DESCRIPTORS_CHILD";

#[test]
fn accepting_pauses_says_so_costs_nothing_and_recovers() {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "in_a_child_with_few_descriptors", "--ignored", "--nocapture"]).env(CHILD, "1");
    bowline_sys::child::end_with_parent(&mut child);
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}\n{output:?}");
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
#[ignore = "changes a limit of the whole process: started by the test above in a process of its own"]
fn in_a_child_with_few_descriptors() {
    assert!(std::env::var_os(CHILD).is_some(), "to be started by its parent");
    bowline_sys::limits::lower_descriptors(1024).unwrap();
    let (bench, address) = Bench::before(&[greeter("hi")]);
    let mut first = connect(address);
    read(&mut first, 2);

    let processor_time = ProcessorTime::of_all_threads();
    // All that are left, but for one with which a client can be made that nobody can accept.
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }
    hoard.pop();
    let mut waiting = connect(address);
    let paused = Pause::Shortage(Shortage::Descriptors);
    bench.memory.wait_for(
        |report| matches!(report, Report::Event(Event::AcceptPaused { why, .. }) if *why == paused),
    );
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
    read_more(&mut first, address);
}

fn read_more(first: &mut TcpStream, address: SocketAddr) {
    use std::io::Write;
    first.write_all(b"on").unwrap();
    assert_eq!(read(first, 2), b"on");
    assert_eq!(read(&mut connect(address), 2), b"hi");
}
