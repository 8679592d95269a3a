//! Addresses that leave this host: nobody is left behind on them, and nobody gets in again.

mod common;

use bowline_proxy::{BindError, EndReason, Event, Eviction, ListenerId, Report, Sink};
use bowline_sys::netns::Namespace;
use common::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// Loopback has the whole of 127.0.0.0/8, so that these come and go as far as the proxy is concerned only.
const VIRTUAL: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 7, 1));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 7, 2));

fn open(bench: &Bench, listener: ListenerId, address: IpAddr) -> SocketAddr {
    bench.proxy.open_virtual(listener, (address, 0).into(), POOL).unwrap()
}

#[test]
fn connections_of_the_address_are_reset_on_both_sides_and_no_others() {
    let (endpoint, at) = endpoint();
    let bench = Bench::new(2, 1_000);
    bench.proxy.set_pool(POOL, Arc::new(pool(&[at])));
    let (address, other) = (open(&bench, LISTENER, VIRTUAL), open(&bench, ListenerId(2), OTHER));
    let pair = |address| {
        let client = connect(address);
        (client, accept(&endpoint))
    };
    let gone: Vec<_> = (0..20).map(|_| pair(address)).collect();
    let (mut stays, mut served) = pair(other);
    wait_until("all are relayed", || bench.stats().open == 20);

    assert_eq!(bench.proxy.evict(&[VIRTUAL]), Eviction::Complete);
    // It was done when it returned, not some time later.
    assert_eq!((bench.stats().open, bench.stats().ended(EndReason::Evicted)), (0, 20));
    gone.iter().for_each(|(client, server)| {
        assert_reset(client);
        assert_reset(server);
    });
    bench.memory.wait_for(ended(EndReason::Evicted));
    stays.write_all(b"still").unwrap();
    assert_eq!(read(&mut served, 5), b"still");
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    connect(other);

    bench.proxy.readmit(&[VIRTUAL]).unwrap();
    connect(address);
    wait_until("it is counted where the others were", || bench.stats().accepted == 21);
}

#[test]
fn a_client_that_is_held_is_reset_too() {
    // A client is held while all refuse.
    let bench = Bench::new(1, 100);
    bench.proxy.set_pool(POOL, Arc::new(pool(&[nobody()])));
    let address = open(&bench, LISTENER, VIRTUAL);
    let client = connect(address);
    wait_until("it is held", || bench.stats().held == 1);
    assert_eq!(bench.proxy.evict(&[VIRTUAL]), Eviction::Complete);
    assert_reset(&client);
    assert_eq!((bench.stats().held, bench.stats().ended(EndReason::Evicted)), (0, 1));
    assert_eq!(bench.proxy.connections(), 0);
}

#[test]
fn those_who_wait_in_the_accept_queue_are_reset() {
    let bench = Bench::new(1, 1);
    bench.proxy.set_pool(POOL, Arc::new(pool(&[greeter("hi")])));
    let address = open(&bench, LISTENER, VIRTUAL);
    let mut served = connect(address);
    read(&mut served, 2);
    let waiting: Vec<_> = (0..10).map(|_| connect(address)).collect();
    wait_until("accepting pauses", || bench.proxy.stats().accept_paused == 1);
    assert_eq!(bench.proxy.evict(&[VIRTUAL]), Eviction::Complete);
    assert_reset(&served);
    waiting.iter().for_each(assert_reset);
    assert_eq!((bench.stats().accepted, bench.stats().ended(EndReason::Evicted)), (1, 1));
    bench.proxy.readmit(&[VIRTUAL]).unwrap();
    assert_eq!(read(&mut connect(address), 2), b"hi");
}

#[test]
fn clients_that_redial_at_once_get_in_nowhere() {
    const CLIENTS: usize = 8;
    let bench = Bench::new(2, 1_000);
    bench.proxy.set_pool(POOL, Arc::new(pool(&[greeter("hi")])));
    let address = open(&bench, LISTENER, VIRTUAL);
    let (served, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let Ok(mut client) = TcpStream::connect(address) else { continue };
                    client.set_read_timeout(Some(PATIENCE)).unwrap();
                    served.fetch_add(1, Ordering::Relaxed);
                    // Until it is reset; nobody who is left behind would ever be told anything.
                    let ended = client.read_to_end(&mut Vec::new()).unwrap_err().kind();
                    assert_eq!(ended, ErrorKind::ConnectionReset);
                }
            });
        }
        for round in 1..=20 {
            wait_until("all have dialled", || bench.stats().open == CLIENTS as u64);
            assert_eq!(bench.proxy.evict(&[VIRTUAL]), Eviction::Complete);
            let stats = bench.stats();
            assert_eq!((stats.open, stats.held, bench.proxy.connections()), (0, 0, 0), "round {round}");
            assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
            assert_eq!(bench.stats().accepted, stats.accepted, "somebody got in");
            over.store(round == 20, Ordering::Relaxed);
            bench.proxy.readmit(&[VIRTUAL]).unwrap();
        }
        // Those that dialled once more are reset with the proxy's end.
        wait_until("all are served or gone", || bench.stats().held == 0);
        let _ = bench.proxy.evict(&[VIRTUAL]);
    });
    assert!(served.load(Ordering::Relaxed) >= 20 * CLIENTS);
}

#[test]
fn a_listener_that_is_opened_while_others_are_evicted_listens() {
    let bench = Bench::new(2, 1_000);
    bench.proxy.set_pool(POOL, Arc::new(pool(&[greeter("hi")])));
    // As a reload does that gives the address another port. How it meets the eviction is left to chance.
    for number in 1..=300 {
        let both = Barrier::new(2);
        let address = std::thread::scope(|scope| {
            scope.spawn(|| {
                both.wait();
                // Complete or, on a busy machine, overdue.
                let _ = bench.proxy.evict(&[VIRTUAL]);
            });
            both.wait();
            open(&bench, ListenerId(number), VIRTUAL)
        });
        bench.proxy.readmit(&[VIRTUAL]).unwrap();
        assert_eq!(read(&mut connect(address), 2), b"hi");
        bench.proxy.close(ListenerId(number));
    }
}

/// Holds up the worker that reports the end of a connection.
#[derive(Default)]
struct Obstacle {
    there: AtomicBool,
    met: AtomicBool,
}

impl Sink for Obstacle {
    fn report(&self, report: Report) -> bool {
        if matches!(report, Report::Event(Event::Ended { .. })) {
            self.met.store(true, Ordering::Relaxed);
            wait_until("the obstacle goes away", || !self.there.load(Ordering::Relaxed));
        }
        true
    }
}

#[test]
fn a_worker_that_is_stuck_lets_nobody_in_any_more() {
    let obstacle = Arc::new(Obstacle::default());
    let sink = Arc::clone(&obstacle) as Arc<dyn Sink>;
    let proxy = bowline_proxy::Proxy::start(config(1, 100), sink).unwrap();
    let address = proxy.open_virtual(LISTENER, (VIRTUAL, 0).into(), POOL).unwrap();
    obstacle.there.store(true, Ordering::Relaxed);
    // There is no pool, so that the first client is reset, which is reported.
    let _first = connect(address);
    wait_until("the worker is stuck", || obstacle.met.load(Ordering::Relaxed));
    let waiting = connect(address);
    assert_eq!(proxy.evict(&[VIRTUAL]), Eviction::Overdue);
    assert_reset(&waiting);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    proxy.readmit(&[VIRTUAL]).unwrap();
    obstacle.there.store(false, Ordering::Relaxed);
    assert_reset(&connect(address));
}

#[test]
fn an_eviction_does_not_wait_for_a_worker_that_is_known_to_be_stuck() {
    let obstacle = Arc::new(Obstacle::default());
    let sink = Arc::clone(&obstacle) as Arc<dyn Sink>;
    let proxy = bowline_proxy::Proxy::start(config(2, 100), sink).unwrap();
    let address = proxy.open_virtual(LISTENER, (VIRTUAL, 0).into(), POOL).unwrap();
    obstacle.there.store(true, Ordering::Relaxed);
    let _first = connect(address);
    wait_until("a worker is found to be stuck", || proxy.stats().workers_stuck == 1);
    // It would be a quarter of a second each time.
    let waits = (0..5).map(|_| {
        let begun = Instant::now();
        assert_eq!(proxy.evict(&[VIRTUAL]), Eviction::Overdue);
        begun.elapsed()
    });
    let waited = waits.min().unwrap();
    assert!(waited < Duration::from_millis(125), "{waited:?}");
    obstacle.there.store(false, Ordering::Relaxed);
    wait_until("it is back", || proxy.stats().workers_stuck == 0);
    wait_until("it is waited for again", || proxy.evict(&[VIRTUAL]) == Eviction::Complete);
}

#[test]
fn an_evicted_listener_is_still_known() {
    let bench = Bench::new(1, 100);
    bench.proxy.set_pool(POOL, Arc::new(pool(&[greeter("old")])));
    let address = open(&bench, LISTENER, VIRTUAL);
    let _ = bench.proxy.evict(&[VIRTUAL, OTHER]);
    assert!(matches!(bench.proxy.open_virtual(LISTENER, address, POOL), Err(BindError::Open { .. })));
    let other = bowline_proxy::PoolId(2);
    bench.proxy.set_pool(other, Arc::new(pool(&[greeter("new")])));
    bench.proxy.retarget(LISTENER, other);
    bench.proxy.readmit(&[VIRTUAL]).unwrap();
    bench.proxy.readmit(&[VIRTUAL]).expect("nothing to do");
    assert_eq!(read(&mut connect(address), 3), b"new");
    bench.proxy.close(LISTENER);
    let _ = bench.proxy.evict(&[VIRTUAL]);
    bench.proxy.readmit(&[VIRTUAL]).unwrap();
    assert!(TcpStream::connect(address).is_err(), "it was closed");
}

#[test]
fn an_address_that_is_not_here_is_listened_on_and_served_when_it_comes() {
    let namespace = match Namespace::create() {
        Ok(namespace) => namespace,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return println!("skipped: making a network namespace needs root");
        }
        Err(error) => panic!("making a namespace: {error}"),
    };
    // The workers, too, live in the namespace.
    let inside = move || {
        namespace.enter().unwrap();
        for (address, prefix) in [("192.0.2.9", 32), ("2001:db8::9", 128)] {
            let virtual_ip: IpAddr = address.parse().unwrap();
            let bench = Bench::new(2, 100);
            bench.proxy.set_pool(POOL, Arc::new(pool(&[greeter("hi")])));
            assert!(bench.proxy.open(LISTENER, (virtual_ip, 6443).into(), POOL).is_err(), "it is here");
            let address = bench.proxy.open_virtual(LISTENER, (virtual_ip, 6443).into(), POOL).unwrap();
            assert_eq!(bench.proxy.evict(&[virtual_ip]), Eviction::Complete);
            bench.proxy.readmit(&[virtual_ip]).unwrap();
            assert!(TcpStream::connect(address).is_err());
            namespace.add_address("lo", virtual_ip, prefix).unwrap();
            // The kernel makes an IPv6 address's route in its own time.
            let mut client = None;
            wait_until("there is a route", || {
                client = TcpStream::connect(address).ok();
                client.is_some()
            });
            assert_eq!(read(&mut client.unwrap(), 2), b"hi");
        }
    };
    std::thread::spawn(inside).join().unwrap();
}
