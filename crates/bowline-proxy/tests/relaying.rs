//! Bytes, ends and resets through the proxy, with real sockets.

mod common;

use bowline_pool::Evidence;
use bowline_proxy::EndReason;
use common::*;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A client and the endpoint's side of its connection.
fn connected(address: std::net::SocketAddr, listener: &TcpListener) -> (TcpStream, TcpStream) {
    (connect(address), accept(listener))
}

#[test]
fn the_client_ends_first() {
    let (listener, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    let (mut client, mut server) = connected(address, &listener);
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut server), b"question");
    // The other direction goes on.
    server.write_all(b"answer").unwrap();
    assert_eq!(read(&mut client, 6), b"answer");
    server.write_all(b", and more").unwrap();
    drop(server);
    assert_eq!(read_all(&mut client), b", and more");
    bench.wait_ended(EndReason::Closed);
    let stats = bench.stats();
    assert_eq!((stats.accepted, stats.held, stats.open, stats.bytes_up, stats.bytes_down), (1, 0, 0, 8, 16));
    assert_eq!(bench.proxy.connections(), 0);
}

#[test]
fn the_endpoint_speaks_and_ends_first() {
    let (listener, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    let (mut client, mut server) = connected(address, &listener);
    server.write_all(b"greeting").unwrap();
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut client), b"greeting");
    client.write_all(b"thanks").unwrap();
    drop(client);
    assert_eq!(read_all(&mut server), b"thanks");
    bench.wait_ended(EndReason::Closed);
}

#[test]
fn a_client_that_ends_before_it_has_sent_anything_is_served() {
    let (listener, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    let mut client = connect(address);
    client.shutdown(Shutdown::Write).unwrap();
    let mut server = accept(&listener);
    assert_eq!(read_all(&mut server), b"");
    server.write_all(b"still here").unwrap();
    drop(server);
    assert_eq!(read_all(&mut client), b"still here");
    bench.wait_ended(EndReason::Closed);
}

#[test]
fn a_reset_by_the_client_reaches_the_endpoint() {
    let (listener, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    let (mut client, mut server) = connected(address, &listener);
    client.write_all(b"x").unwrap();
    read(&mut server, 1);
    reset(client);
    assert_reset(&server);
    bench.memory.wait_for(ended(EndReason::ClientReset));
}

#[test]
fn a_reset_by_the_endpoint_reaches_the_client() {
    let (listener, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    let (mut client, mut server) = connected(address, &listener);
    server.write_all(b"x").unwrap();
    read(&mut client, 1);
    reset(server);
    assert_reset(&client);
    bench.memory.wait_for(ended(EndReason::EndpointReset));
}

#[test]
fn a_reset_after_an_end_of_stream_is_still_a_reset() {
    let (listener, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    let (mut client, server) = connected(address, &listener);
    server.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut client), b"");
    reset(server);
    assert_reset(&client);
    bench.memory.wait_for(ended(EndReason::EndpointReset));

    let (client, mut server) = connected(address, &listener);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut server), b"");
    reset(client);
    assert_reset(&server);
    bench.memory.wait_for(ended(EndReason::ClientReset));
}

#[test]
fn what_an_endpoint_says_before_it_resets_is_delivered() {
    let (listener, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    let (mut client, mut server) = connected(address, &listener);
    client.write_all(b"never read").unwrap();
    bench.wait_bytes_up(10);
    server.write_all(b"alert").unwrap();
    // Closing with unread bytes is a reset.
    drop(server);
    assert_eq!(read(&mut client, 5), b"alert");
    bench.memory.wait_for(ended(EndReason::EndpointReset));
}

impl Bench {
    fn wait_bytes_up(&self, count: u64) {
        wait_until("bytes from the client", || self.stats().bytes_up >= count);
    }
}

#[test]
fn a_byte_at_a_time_arrives_a_byte_at_a_time() {
    let at = greeter("hello");
    let (bench, address) = Bench::before(&[at]);
    let mut client = connect(address);
    assert_eq!(read(&mut client, 5), b"hello");
    for byte in 0..=255 {
        client.write_all(&[byte]).unwrap();
        assert_eq!(read(&mut client, 1), [byte]);
    }
    drop(client);
    bench.wait_ended(EndReason::Closed);
    assert_eq!(bench.stats().bytes_up, 256);
}

#[test]
fn a_client_that_says_nothing_is_no_evidence_against_its_endpoint() {
    let (listener, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    let (client, server) = connected(address, &listener);
    // Another one whose first flight stays unanswered shows that the time for it has passed.
    let (mut other, _server) = connected(address, &listener);
    other.write_all(b"x").unwrap();
    bench.memory.wait_for(evidence(0, Evidence::UnansweredFlight));
    assert_eq!(bench.memory.count(evidence(0, Evidence::UnansweredFlight)), 1);
    assert_eq!(bench.stats().open, 2);
    drop((client, server));
    bench.wait_ended(EndReason::Closed);
}

#[test]
fn ipv6_on_both_legs() {
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        println!("skipped: this host has no IPv6");
        return;
    };
    let bench = Bench::new(1, 100);
    bench.proxy.set_pool(POOL, Arc::new(pool(&[listener.local_addr().unwrap()])));
    let address = bench.proxy.open(LISTENER, (Ipv6Addr::LOCALHOST, 0).into(), POOL).unwrap();
    assert!(address.is_ipv6());
    let (mut client, mut server) = connected(address, &listener);
    client.write_all(b"six").unwrap();
    assert_eq!(read(&mut server, 3), b"six");
    server.write_all(b"vi").unwrap();
    assert_eq!(read(&mut client, 2), b"vi");
}

/// Resident memory of this process, in bytes.
fn resident() -> u64 {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm")
        .unwrap()
        .split_ascii_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    pages * 4096
}

/// A checksum that depends on the order (FNV-1a, 64 bits, over words).
fn digest(sum: u64, bytes: &[u8]) -> u64 {
    let word = |chunk: &[u8]| chunk.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    bytes.chunks(8).fold(sum, |sum, chunk| (sum ^ word(chunk)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn a_client_that_does_not_read_costs_no_memory_and_is_not_cut() {
    let total: u64 = if cfg!(debug_assertions) { 256 << 20 } else { 1 << 30 };
    let (listener, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    let mut client = connect(address);
    let mut server = accept(&listener);
    let before = resident();

    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let sender = std::thread::spawn(move || {
        let (mut sum, mut block) = (0, vec![0u8; 64 * 1024]);
        for number in 0..total / block.len() as u64 {
            block[..8].copy_from_slice(&number.to_be_bytes());
            server.write_all(&block).unwrap();
            sum = digest(sum, &block);
            counter.fetch_add(block.len() as u64, Ordering::Relaxed);
        }
        sum
    });
    // Until nothing moves any more: a stall as long as many times what moving takes.
    let (mut last, mut since) = (0, std::time::Instant::now());
    wait_until("back-pressure", || {
        let now = sent.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, std::time::Instant::now());
        }
        last > 0 && since.elapsed().as_millis() > 300
    });
    assert!(last < total / 4, "{last} bytes were taken for a client that reads nothing");
    let growth = resident().saturating_sub(before);
    assert!(growth < 16 << 20, "{growth} bytes for a client that reads nothing");

    let (mut sum, mut block, mut received) = (0, vec![0u8; 64 * 1024], 0);
    while received < total {
        client.read_exact(&mut block).unwrap();
        sum = digest(sum, &block);
        received += block.len() as u64;
    }
    assert_eq!(sum, sender.join().unwrap());
    assert_eq!(client.read(&mut block).unwrap(), 0);
    drop(client);
    bench.wait_ended(EndReason::Closed);
    assert_eq!(bench.stats().bytes_down, total);
}
