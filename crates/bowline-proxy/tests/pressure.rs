//! Many connections at once, each of which has to arrive whole or be seen to fail by both sides.

mod common;
#[path = "common/crowd.rs"]
mod crowd;

use bowline_pool::Policy;
use bowline_proxy::{Config, ListenerId, PoolId};
use common::*;
use crowd::{Crowd, End, Script, Tally};
use std::net::SocketAddr;
use std::sync::Arc;

const WELL: Script = Script { up: 1_000, down: 1_000, gulp: 64 * 1024, end: End::Well };

/// Numbers that look random and are the same in every run (the linear congruential generator of POSIX' drand48).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(0x5_DEEC_E66D).wrapping_add(0xB) & ((1 << 48) - 1);
        ((self.0 >> 16) % u64::from(bound)) as u32
    }
}

/// Every client counted once, and nothing left of any of them.
#[track_caller]
fn assert_settled(bench: &Bench, clients: u64) {
    wait_until("all connections are over", || bench.proxy.connections() == 0);
    wait_until("nothing is kept", || bench.proxy.stats().unsent == 0);
    let stats = bench.proxy.stats();
    let listeners = stats.listeners.values();
    let sum = |of: fn(&bowline_proxy::ListenerStats) -> u64| listeners.clone().map(of).sum::<u64>();
    assert_eq!(sum(|listener| listener.accepted), clients);
    let ended = |listener: &bowline_proxy::ListenerStats| {
        bowline_proxy::EndReason::ALL.into_iter().map(|reason| listener.ended(reason)).sum()
    };
    assert_eq!(sum(ended), clients);
    assert_eq!((sum(|listener| listener.open), sum(|listener| listener.held)), (0, 0));
}

#[test]
fn a_reload_while_a_thousand_connections_stream_loses_no_byte() {
    const CLIENTS: usize = 1_000;
    let mut crowd = Crowd::new();
    let (first, second) = (crowd.listen(), crowd.listen());
    let bench = Bench::new(2, 4_000);
    let (old, new) = (PoolId(10), PoolId(11));
    bench.proxy.set_pool(old, Arc::new(pool(&[first])));
    let address = bench.proxy.open(ListenerId(1), any_port(), old).unwrap();
    crowd.hold_at = Some(64 * 1024);
    let script = Script { up: 150_000, down: 300_000, ..WELL };
    (0..CLIENTS).for_each(|_| crowd.connect(address, script));
    crowd.run("all stream", |crowd| crowd.received(64 * 1024) == 2 * CLIENTS);
    crowd.release();

    // As a reload does it: what is added comes first, and every step while bytes flow.
    let mut at = address;
    for round in 0..20u32 {
        (0..3).for_each(|_| crowd.turn());
        let target = if round % 2 == 0 { new } else { old };
        let endpoints: &[SocketAddr] = if round % 2 == 0 { &[second, first] } else { &[first] };
        bench.proxy.set_pool(target, Arc::new(pool(endpoints)));
        bench.proxy.retarget(ListenerId(round + 1), target);
        let next = bench.proxy.open(ListenerId(round + 2), any_port(), target).unwrap();
        // Some are on their way to the listener that is about to close.
        (0..5).for_each(|_| crowd.connect(at, WELL));
        bench.proxy.close(ListenerId(round + 1));
        bench.proxy.remove_pool(if round % 2 == 0 { old } else { new });
        at = next;
    }
    assert!(crowd.received(300_000) < CLIENTS, "the reloads were meant to meet streams");
    crowd.run("all arrives", |crowd| crowd.sides == 0);
    let all = Tally { whole: CLIENTS + 100, ..Tally::default() };
    assert_eq!((crowd.clients, crowd.endpoints), (all, all));
    assert_settled(&bench, CLIENTS as u64 + 100);
}

#[test]
fn whatever_a_peer_does_its_counterpart_gets_every_byte_or_a_reset() {
    let mut numbers = Numbers(3);
    let mut crowd = Crowd::new();
    let at = crowd.listen();
    // Little room for what is refused, so that every way of relaying is gone.
    let (bench, address) = Bench::with_before(Config { unsent_max: 4 << 20, ..config(2, 4_000) }, &[at]);
    let mut cut = 0;
    for _ in 0..600 {
        let size = |numbers: &mut Numbers| match numbers.below(4) {
            0 => 0,
            1 => numbers.below(2_000),
            2 => numbers.below(100_000),
            _ => numbers.below(1_500_000),
        };
        let (up, down) = (size(&mut numbers), size(&mut numbers));
        let gulp = [700, 4_000, 64 * 1024, 64 * 1024][numbers.below(4) as usize];
        let end = match numbers.below(6) {
            0 => End::ClientResets(numbers.below(down + 1)),
            1 => End::EndpointResets(numbers.below(up + 1)),
            2 => End::Last,
            _ => End::Well,
        };
        cut += usize::from(matches!(end, End::ClientResets(_) | End::EndpointResets(_)));
        crowd.connect(address, Script { up, down, gulp, end });
        (0..numbers.below(3)).for_each(|_| crowd.turn());
    }
    crowd.run("all is over", |crowd| crowd.open == 0);
    // What was made for clients that had left is kept for a while.
    crowd.run("nothing is left", |crowd| crowd.sides as u64 == bench.proxy.stats().parked);
    assert_eq!(crowd.clients.whole + crowd.clients.reset, 600);
    assert!(crowd.clients.whole >= 600 - cut, "{:?} with {cut} cut", crowd.clients);
    assert!(
        crowd.clients.reset > 0 && crowd.endpoints.reset > 0,
        "{:?} {:?}",
        crowd.clients,
        crowd.endpoints
    );
    assert!(bench.proxy.stats().pipes > 0, "nothing was spliced");
    assert_settled(&bench, 600);
}

#[test]
fn workers_share_the_clients() {
    const CLIENTS: usize = 2_000;
    let mut crowd = Crowd::new();
    let at = crowd.listen();
    let (bench, address) = Bench::with_before(config(4, 4_000), &[at]);
    crowd.hold_at = Some(0);
    for _ in 0..CLIENTS {
        crowd.connect(address, WELL);
        crowd.turn();
    }
    let shares = || bench.proxy.stats().by_worker;
    crowd.run("all are there", |_| shares().iter().sum::<u64>() == CLIENTS as u64);
    // A quarter each: five standard deviations of chance are 97.
    assert!(shares().iter().all(|share| (400..=600).contains(share)), "{:?}", shares());
    crowd.release();
    crowd.run("all is over", |crowd| crowd.sides == 0);
    assert_settled(&bench, CLIENTS as u64);
}

#[test]
fn least_connections_stay_even_while_clients_come_and_go() {
    let mut crowd = Crowd::new();
    let endpoints = [crowd.listen(), crowd.listen(), crowd.listen()];
    let bench = Bench::new(2, 4_000);
    let mut snapshot = pool(&endpoints);
    snapshot.policy = Policy::LeastConnections;
    let snapshot = Arc::new(snapshot);
    bench.proxy.set_pool(POOL, Arc::clone(&snapshot));
    let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
    crowd.hold_at = Some(0);
    for _ in 0..900 {
        crowd.connect(address, WELL);
        crowd.turn();
    }
    crowd.run("all are there", |_| bench.stats().open == 900);
    let shares: Vec<_> = snapshot.endpoints.iter().map(|endpoint| endpoint.connections.get()).collect();
    // Two workers that pick at the same moment may pick alike.
    assert!(shares.iter().all(|share| (297..=303).contains(share)), "{shares:?}");
    crowd.release();
    crowd.run("all is over", |crowd| crowd.sides == 0);
}
