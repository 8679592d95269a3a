//! Endpoints that are missing, silent, or worse, and what the pool is told of them.

mod common;

use bowline_pool::{Evidence, GiveUp, Grade};
use bowline_proxy::{EndReason, PoolId};
use common::*;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn a_refused_client_gets_the_next_endpoint() {
    let (bench, address) = Bench::before(&[nobody(), greeter("second")]);
    assert_eq!(read(&mut connect(address), 6), b"second");
    bench.memory.wait_for(evidence(0, Evidence::Refused));
}

/// An endpoint whose accept queue is full: the kernel drops every SYN, as a dead host would.
struct BlackHole {
    _listener: TcpListener,
    _queued: Vec<TcpStream>,
    address: SocketAddr,
}

impl BlackHole {
    fn new() -> Self {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        listener.bind(&any_port().into()).unwrap();
        listener.listen(0).unwrap();
        let listener = TcpListener::from(listener);
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queued.push(stream);
            assert!(queued.len() < 10, "the queue is never full");
        }
        Self { _listener: listener, _queued: queued, address }
    }
}

#[test]
fn beside_a_silent_endpoint_the_next_one_is_dialled() {
    let hole = BlackHole::new();
    let (bench, address) = Bench::before(&[hole.address, greeter("second")]);
    let start = Instant::now();
    assert_eq!(read(&mut connect(address), 6), b"second");
    // The stagger is 250 ms at most; the rest is for a busy machine.
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    bench.memory.wait_for(evidence(0, Evidence::ConnectTimeout));
}

#[test]
fn a_client_is_held_until_time_is_up_and_then_reset() {
    let bench = Bench::new(1, 100);
    let mut snapshot = pool(&[nobody(), nobody()]);
    snapshot.timers.hold = Duration::from_millis(300);
    bench.proxy.set_pool(POOL, Arc::new(snapshot));
    let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
    let start = Instant::now();
    let client = connect(address);
    assert_reset(&client);
    assert!(start.elapsed() >= Duration::from_millis(300), "given up after {:?}", start.elapsed());
    bench.memory.wait_for(ended(EndReason::GaveUp(GiveUp::AllRefused)));
    assert_eq!(bench.proxy.connections(), 0);
}

#[test]
fn an_empty_pool_and_a_missing_one_reset_at_once() {
    let bench = Bench::new(1, 100);
    bench.proxy.set_pool(POOL, Arc::new(pool(&[])));
    let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
    assert_reset(&connect(address));
    bench.memory.wait_for(ended(EndReason::GaveUp(GiveUp::NoEndpoints)));
    bench.proxy.retarget(LISTENER, PoolId(77));
    assert_reset(&connect(address));
    bench.memory.wait_for(ended(EndReason::NoPool));
}

#[test]
fn a_new_snapshot_wakes_those_who_are_held() {
    let (bench, address) = Bench::before(&[nobody()]);
    let clients: Vec<_> = (0..20).map(|_| connect(address)).collect();
    wait_until("all are held", || bench.stats().held == 20);
    bench.proxy.set_pool(POOL, Arc::new(pool(&[nobody(), greeter("at last")])));
    for mut client in clients {
        assert_eq!(read(&mut client, 7), b"at last");
    }
    assert_eq!(bench.stats().held, 0);
}

#[test]
fn a_client_that_leaves_while_it_is_held_is_forgotten() {
    let (bench, address) = Bench::before(&[nobody()]);
    let client = connect(address);
    wait_until("it is held", || bench.stats().held == 1);
    reset(client);
    bench.memory.wait_for(ended(EndReason::ClientLeft));
    assert_eq!((bench.proxy.connections(), bench.stats().held), (0, 0));
}

#[test]
fn bytes_sent_while_held_are_not_lost() {
    let (bench, address) = Bench::before(&[nobody()]);
    let mut client = connect(address);
    client.write_all(b"early").unwrap();
    wait_until("it is held", || bench.stats().held == 1);
    let (listener, at) = endpoint();
    bench.proxy.set_pool(POOL, Arc::new(pool(&[nobody(), at])));
    assert_eq!(read(&mut accept(&listener), 5), b"early");
}

#[test]
fn a_frozen_endpoint_leaves_the_first_flight_unanswered() {
    // It completes handshakes, as the kernel of a frozen process does, and never accepts.
    let (_frozen, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    let mut client = connect(address);
    client.write_all(b"hello").unwrap();
    bench.memory.wait_for(evidence(0, Evidence::UnansweredFlight));
    client.write_all(b"hello?").unwrap();
    let mut other = connect(address);
    other.write_all(b"hello").unwrap();
    wait_until("the other's flight", || bench.memory.count(evidence(0, Evidence::UnansweredFlight)) == 2);
    assert_eq!(bench.stats().open, 2, "evidence is no verdict: nobody is cut");
}

#[test]
fn a_flight_that_starts_late_is_watched_too() {
    let (_frozen, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    let mut late = connect(address);
    // Once this one's flight is overdue, the late one is older than any first flight may be.
    let mut early = connect(address);
    early.write_all(b"x").unwrap();
    bench.memory.wait_for(evidence(0, Evidence::UnansweredFlight));
    late.write_all(b"x").unwrap();
    wait_until("the late flight", || bench.memory.count(evidence(0, Evidence::UnansweredFlight)) == 2);
}

#[test]
fn an_answered_flight_is_no_evidence() {
    let (bench, address) = Bench::before(&[greeter("")]);
    let mut client = connect(address);
    client.write_all(b"x").unwrap();
    read(&mut client, 1);
    let mut snapshot = pool(&[endpoint().1]);
    let (_frozen, at) = endpoint();
    snapshot.endpoints[0].address = at;
    snapshot.endpoints[0].id = bowline_pool::EndpointId(9);
    bench.proxy.set_pool(POOL, Arc::new(snapshot));
    let mut other = connect(address);
    other.write_all(b"x").unwrap();
    bench.memory.wait_for(evidence(9, Evidence::UnansweredFlight));
    assert_eq!(bench.memory.count(evidence(0, Evidence::UnansweredFlight)), 0);
}

#[test]
fn an_endpoint_that_accepts_and_closes_is_told_of() {
    let (listener, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    let mut client = connect(address);
    client.write_all(b"x").unwrap();
    let mut server = accept(&listener);
    read(&mut server, 1);
    drop(server);
    bench.memory.wait_for(evidence(0, Evidence::ClosedUnanswered));
    assert_eq!(read_all(&mut client), b"");

    let mut client = connect(address);
    client.write_all(b"x").unwrap();
    let mut server = accept(&listener);
    read(&mut server, 1);
    reset(server);
    assert_reset(&client);
    wait_until("the reset", || bench.memory.count(evidence(0, Evidence::ClosedUnanswered)) == 2);
}

#[test]
fn a_doubted_endpoint_that_answers_is_told_of_but_not_often() {
    let bench = Bench::new(1, 100);
    let mut snapshot = pool(&[greeter("alive")]);
    snapshot.endpoints[0].grade = Grade::Dead;
    bench.proxy.set_pool(POOL, Arc::new(snapshot));
    let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
    let start = Instant::now();
    for _ in 0..50 {
        assert_eq!(read(&mut connect(address), 5), b"alive");
    }
    bench.memory.wait_for(evidence(0, Evidence::Answered));
    let most = 1 + start.elapsed().as_millis() as usize / 100;
    let told = bench.memory.count(evidence(0, Evidence::Answered));
    assert!(told <= most, "{told} reports where {most} were allowed");
}

#[test]
fn the_lease_counts_a_connection_as_long_as_it_lives() {
    let bench = Bench::new(1, 100);
    let snapshot = Arc::new(pool(&[greeter("x")]));
    bench.proxy.set_pool(POOL, Arc::clone(&snapshot));
    let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
    let count = &snapshot.endpoints[0].connections;
    let mut client = connect(address);
    read(&mut client, 1);
    assert_eq!(count.get(), 1);
    drop(client);
    wait_until("the count falls", || count.get() == 0);
}

#[test]
fn a_connection_made_for_a_client_that_left_serves_the_next_one() {
    let (listener, at) = endpoint();
    listener.set_nonblocking(true).unwrap();
    let (bench, address) = Bench::before(&[at]);
    // Some leave so early that their endpoint's connection is made for nobody.
    let mut left = 0;
    wait_until("one is parked", || {
        reset(connect(address));
        left += 1;
        wait_until("it is gone", || bench.stats().accepted == left && bench.proxy.connections() == 0);
        bench.proxy.stats().parked > 0
    });
    let mut made: Vec<TcpStream> =
        std::iter::from_fn(|| listener.accept().ok()).map(|(made, _)| made).collect();
    let mut client = connect(address);
    client.write_all(b"mine").unwrap();
    wait_until("it is relayed", || bench.stats().bytes_up == 4);
    assert_eq!(bench.proxy.stats().parked, 0);
    assert!(listener.accept().is_err(), "another connection was made");
    let mut server = made.pop().unwrap();
    server.set_nonblocking(false).unwrap();
    assert_eq!(read(&mut server, 4), b"mine");
    server.write_all(b"yours").unwrap();
    assert_eq!(read(&mut client, 5), b"yours");
}
