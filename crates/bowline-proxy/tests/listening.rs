//! Listeners that open, fill, move and close.

mod common;

use bowline_proxy::{BindError, EndReason, Event, ListenerId, Pause, PoolId, Proxy, Report, Sink};
use common::*;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

#[test]
fn every_worker_takes_its_share() {
    let bench = Bench::new(4, 1_000);
    bench.proxy.set_pool(POOL, Arc::new(pool(&[greeter("hi")])));
    let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
    let mut clients: Vec<_> = (0..200).map(|_| connect(address)).collect();
    for client in &mut clients {
        assert_eq!(read(client, 2), b"hi");
    }
    assert_eq!((bench.stats().accepted, bench.stats().open, bench.proxy.connections()), (200, 200, 200));
    drop(clients);
    wait_until("all are gone", || bench.proxy.connections() == 0);
    let stats = bench.proxy.stop();
    assert_eq!(listener(&stats).ended(EndReason::Closed), 200);
}

#[test]
fn a_taken_port_names_its_owner() {
    let bench = Bench::new(2, 100);
    bench.proxy.set_pool(POOL, Arc::new(pool(&[greeter("hi")])));
    let other = TcpListener::bind(any_port()).unwrap();
    let taken = other.local_addr().unwrap();
    let error = bench.proxy.open(LISTENER, taken, POOL).unwrap_err();
    assert!(matches!(&error, BindError::InUse { owner: Some(owner), .. } if owner.pid == std::process::id()));
    let text = error.to_string();
    assert!(text.starts_with(&format!("cannot listen on {taken}: ")), "{text}");
    assert!(text.contains(&format!("(pid {})", std::process::id())) && !text.contains('\n'), "{text}");
}

#[test]
fn two_proxies_do_not_share_a_port() {
    let (_first, address) = Bench::before(&[greeter("hi")]);
    let second = Bench::new(2, 100);
    assert!(matches!(second.proxy.open(LISTENER, address, POOL), Err(BindError::InUse { .. })));
}

#[test]
fn what_cannot_be_bound_says_so_and_an_open_listener_is_not_opened_twice() {
    let (bench, _) = Bench::before(&[greeter("hi")]);
    assert!(matches!(bench.proxy.open(LISTENER, any_port(), POOL), Err(BindError::Open { .. })));
    let foreign = "192.0.2.1:0".parse().unwrap();
    let error = bench.proxy.open(ListenerId(2), foreign, POOL).unwrap_err();
    assert!(matches!(error, BindError::Failed { .. }), "{error}");
}

#[test]
fn at_the_connection_limit_clients_wait_and_are_served_later() {
    let bench = Bench::new(1, 2);
    assert_eq!(bench.proxy.connections_max(), 2);
    bench.proxy.set_pool(POOL, Arc::new(pool(&[greeter("hi")])));
    let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
    let (mut a, mut b) = (connect(address), connect(address));
    read(&mut a, 2);
    read(&mut b, 2);
    let mut c = connect(address);
    c.write_all(b"waiting").unwrap();
    let paused = Report::Event(Event::AcceptPaused { worker: 0, why: Pause::ConnectionLimit });
    bench.memory.wait_for(|report| *report == paused);
    assert_eq!((bench.proxy.connections(), bench.proxy.stats().accept_paused), (2, 1));
    drop(a);
    assert_eq!(read(&mut c, 9), b"hiwaiting");
    assert_eq!(bench.proxy.stats().accept_paused, 1, "at the limit again");
    drop(b);
    bench.memory.wait_for(|report| matches!(report, Report::Event(Event::AcceptResumed { worker: 0, .. })));
    assert_eq!(bench.proxy.stats().accept_paused, 0);
    assert_eq!(bench.proxy.stats().accept_pauses, 1);
}

#[test]
fn closing_serves_everybody_who_was_connected_and_frees_the_port() {
    for _ in 0..10 {
        let bench = Bench::new(2, 1_000);
        bench.proxy.set_pool(POOL, Arc::new(pool(&[greeter("hi")])));
        let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
        let clients: Vec<_> = (0..100).map(|_| connect(address)).collect();
        bench.proxy.close(LISTENER);
        assert!(TcpStream::connect(address).is_err());
        for mut client in clients {
            assert_eq!(read(&mut client, 2), b"hi");
        }
        assert_eq!(bench.stats().accepted, 100);
        assert_eq!(bench.proxy.open(LISTENER, address, POOL).unwrap(), address, "the port is free");
    }
}

#[test]
fn retargeting_moves_new_clients_and_leaves_those_that_stream() {
    let (bench, address) = Bench::before(&[greeter("old")]);
    let other = PoolId(2);
    bench.proxy.set_pool(other, Arc::new(pool(&[greeter("new")])));
    let mut streaming = connect(address);
    assert_eq!(read(&mut streaming, 3), b"old");
    let mut writer = streaming.try_clone().unwrap();
    let total = 8 << 20;
    let sender = std::thread::spawn(move || {
        let block: Vec<u8> = (0..=255).cycle().take(64 * 1024).collect();
        for _ in 0..total / block.len() {
            writer.write_all(&block).unwrap();
        }
    });
    let mut block = vec![0; 1 << 20];
    streaming.read_exact(&mut block).unwrap();
    bench.proxy.retarget(LISTENER, other);
    bench.proxy.remove_pool(POOL);
    assert_eq!(read(&mut connect(address), 3), b"new");
    let mut received = block.len();
    while received < total {
        assert!(block.iter().enumerate().all(|(at, byte)| *byte == (at % 256) as u8));
        streaming.read_exact(&mut block).unwrap();
        received += block.len();
    }
    sender.join().unwrap();
}

#[test]
fn draining_closes_every_listener_and_keeps_connections() {
    let (bench, first) = Bench::before(&[greeter("hi")]);
    let second = bench.proxy.open(ListenerId(2), any_port(), POOL).unwrap();
    let mut client = connect(second);
    read(&mut client, 2);
    bench.proxy.drain();
    assert!(TcpStream::connect(first).is_err() && TcpStream::connect(second).is_err());
    client.write_all(b"still").unwrap();
    assert_eq!(read(&mut client, 5), b"still");
    assert_eq!(bench.proxy.connections(), 1);
    drop(client);
    wait_until("it ends", || bench.proxy.connections() == 0);
}

#[test]
fn stopping_resets_what_is_left() {
    let (bench, address) = Bench::before(&[greeter("hi")]);
    let mut client = connect(address);
    read(&mut client, 2);
    let stats = bench.proxy.stop();
    assert_reset(&client);
    assert_eq!(listener(&stats).ended(EndReason::Stopped), 1);
    assert_eq!((listener(&stats).open, listener(&stats).held), (0, 0));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_client_storm_is_served_whole() {
    let bench = Bench::new(2, 10_000);
    let (endpoint, at) = endpoint();
    std::thread::spawn(move || {
        for stream in endpoint.incoming() {
            let mut stream = stream.unwrap();
            let mut byte = [0];
            if stream.read_exact(&mut byte).is_ok() {
                let _ = stream.write_all(&byte);
            }
        }
    });
    bench.proxy.set_pool(POOL, Arc::new(pool(&[at])));
    let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
    let threads: Vec<_> = (0..8)
        .map(|_| {
            std::thread::spawn(move || {
                for number in 0..200u8 {
                    let mut client = connect(address);
                    client.write_all(&[number]).unwrap();
                    assert_eq!(read_all(&mut client), [number]);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    wait_until("all are gone", || bench.proxy.connections() == 0);
    assert_eq!(bench.stats().ended(EndReason::Closed), 1_600);
}

/// Has no room, ever.
struct Full;

impl Sink for Full {
    fn report(&self, _: Report) -> bool {
        false
    }
}

#[test]
fn reports_without_room_are_dropped_and_counted() {
    let proxy = Proxy::start(config(1, 10), Arc::new(Full)).unwrap();
    let address = proxy.open(LISTENER, any_port(), POOL).unwrap();
    assert_reset(&connect(address));
    wait_until("it is counted", || proxy.stats().reports_dropped == 1);
}

#[test]
fn a_storm_of_events_is_told_in_part_and_counted_whole() {
    let bench = Bench::new(1, 1_000);
    let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
    let start = Instant::now();
    (0..300).for_each(|_| assert_reset(&connect(address)));
    bench.wait_ended(EndReason::NoPool);
    // Twenty at once and ten a second.
    let most = 20 + 1 + start.elapsed().as_millis() as usize / 100;
    let told = bench.memory.count(ended(EndReason::NoPool));
    assert!((20..=most).contains(&told), "{told} of at most {most}");
    wait_until("all are counted", || bench.stats().ended(EndReason::NoPool) == 300);
    assert_eq!(bench.proxy.stats().events_suppressed, 300 - told as u64);
}
