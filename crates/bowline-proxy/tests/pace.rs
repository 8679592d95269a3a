//! Peers that take their time: a reader of a few bytes at a time, a writer of one byte now and then, for as long as they like.
//!
//! `BOWLINE_SLOW_SECONDS=300 cargo test --release -p bowline-proxy --test pace -- --nocapture` is the long run; without the
//! variable it lasts two seconds.

mod common;
#[path = "common/process.rs"]
mod process;

use common::*;
use process::{resident_memory, run_child};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Of each kind.
const PEERS: usize = 40;

/// What is ready for a slow reader: more than sockets and pipes hold, so that the endpoint is held back.
const STREAM: usize = 16 << 20;

/// Between two reads, or two writes.
const PACE: Duration = Duration::from_millis(20);

/// What a slow reader reads at a time.
const SIP: usize = 700;

/// Beyond this the proxy would keep what it cannot deliver: a buffer for each reader is allowed, and some to spare.
const GROWTH_MAX: u64 = (PEERS as u64) * 128 * 1024 + (8 << 20);

fn seconds() -> u64 {
    std::env::var("BOWLINE_SLOW_SECONDS").map_or(2, |seconds| seconds.parse().expect("a number"))
}

/// Every stream, in memory once.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| (0..STREAM).map(|place| (place % 251) as u8).collect());

/// Said to the slow peers when the rest may be quick. They are slow until then, however long it took to start them all.
static OVER: AtomicBool = AtomicBool::new(false);

#[test]
fn slow_peers_are_served_whole_and_keep_nobody_else_waiting() {
    print!("{}", run_child("child_with_slow_peers"));
}

#[test]
#[ignore = "measures its whole process: started by a test above in a process of its own"]
fn child_with_slow_peers() {
    let (listener, endpoint) = endpoint();
    thread::spawn(move || serve(&listener));
    let (bench, address) = Bench::with_before(config(2, 1_000), &[endpoint]);
    assert_eq!(BYTES.len(), STREAM);
    let memory = resident_memory();
    let readers: Vec<_> = (0..PEERS).map(|_| thread::spawn(move || sip(address))).collect();
    let writers: Vec<_> = (0..PEERS).map(|_| thread::spawn(move || drip(address))).collect();
    wait_until("all of them are served", || bench.proxy.connections() == 2 * PEERS);

    let (mut most, mut quick) = (0, 0u32);
    let until = Instant::now() + Duration::from_secs(seconds());
    while Instant::now() < until {
        // Somebody else, who waits for no slow peer.
        let mut client = connect(address);
        client.write_all(b"e!").unwrap();
        assert_eq!(read(&mut client, 1), b"!");
        quick += 1;
        most = most.max(resident_memory());
    }
    OVER.store(true, Ordering::Relaxed);
    for peer in readers.into_iter().chain(writers) {
        peer.join().unwrap();
    }
    println!(
        "{PEERS} slow readers and {PEERS} slow writers for {} s beside {quick} others; resident memory {} KiB before, {} KiB at most",
        seconds(),
        memory / 1024,
        most / 1024
    );
    assert!(most <= memory + GROWTH_MAX, "{most} bytes after {memory}");
    wait_until("all are over", || bench.proxy.connections() == 0);
    assert_eq!(
        bench.memory.count(|report| matches!(
            report,
            bowline_proxy::Report::Event(bowline_proxy::Event::Ended { .. })
        )),
        0,
        "nobody was cut"
    );
}

/// The endpoint: `s` asks for a stream, `e` for an echo of what follows.
fn serve(listener: &TcpListener) {
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { return };
        thread::spawn(move || {
            let mut asked = [0];
            // A client that came for nothing, or left.
            if stream.read_exact(&mut asked).is_err() {
                return;
            }
            let _ = match asked {
                // It stays until the client has read all: the kernel resets what a process has closed and nobody reads.
                [b's'] => stream.write_all(&BYTES).and_then(|()| {
                    stream.shutdown(Shutdown::Write)?;
                    std::io::copy(&mut stream, &mut std::io::sink()).map(|_| ())
                }),
                _ => std::io::copy(&mut stream.try_clone().unwrap(), &mut stream).map(|_| ()),
            };
        });
    }
}

/// Reads a little at a time until it is over, and the rest at once.
fn sip(address: SocketAddr) {
    let mut stream = connect(address);
    stream.write_all(b"s").unwrap();
    let mut place = 0;
    let mut sip = [0; SIP];
    while !OVER.load(Ordering::Relaxed) && place + SIP < STREAM {
        stream.read_exact(&mut sip).unwrap();
        check(&sip, &mut place);
        thread::sleep(PACE);
    }
    let rest = read_all(&mut stream);
    check(&rest, &mut place);
    assert_eq!(place, STREAM, "the stream ended early");
}

/// Writes a byte at a time until it is over, each of which comes back.
fn drip(address: SocketAddr) {
    let mut stream: TcpStream = connect(address);
    stream.write_all(b"e").unwrap();
    let mut place = 0;
    while !OVER.load(Ordering::Relaxed) {
        stream.write_all(&[BYTES[place]]).unwrap();
        let mut back = [0];
        stream.read_exact(&mut back).unwrap();
        check(&back, &mut place);
        thread::sleep(PACE);
    }
}

fn check(bytes: &[u8], place: &mut usize) {
    assert!(BYTES[*place..].starts_with(bytes), "a byte was lost or changed after {place}");
    *place += bytes.len();
}
