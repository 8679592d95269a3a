use super::*;
use crate::reason::Reason;
use crate::snapshot::{ConnectionCount, ConnectionLease};
use crate::spec::Timers;

fn snapshot(policy: Policy, grades: &[Grade]) -> Snapshot {
    let endpoint = |(id, &grade): (u64, &Grade)| Endpoint {
        id: EndpointId(id),
        name: format!("cp{id}").into(),
        address: "10.0.0.1:6443".parse().unwrap(),
        grade,
        reason: Reason::NotProbed,
        connect_rtt: None,
        connections: ConnectionCount::default(),
    };
    let endpoints = (0u64..).zip(grades).map(endpoint).collect();
    Snapshot { version: 1, policy, timers: Timers::default(), endpoints }
}

/// The whole order in which one dial would try the endpoints.
fn order(snapshot: &Snapshot, turn: u64, seed: u64) -> Vec<usize> {
    let mut prng = Prng::new(seed);
    let mut tried = Vec::new();
    while let Some((at, _)) = pick(snapshot, |id| !tried.contains(&(id.0 as usize)), turn, &mut prng) {
        tried.push(at);
    }
    tried
}

/// How often each endpoint is the first choice of `dials` that keep their connections.
fn shares(snapshot: &Snapshot, dials: u64) -> (Vec<u32>, Vec<ConnectionLease>) {
    let mut leases = Vec::new();
    let mut shares = vec![0; snapshot.endpoints.len()];
    for n in 0..dials {
        let (at, _) = pick(snapshot, |_| true, n, &mut Prng::new(n)).unwrap();
        shares[at] += 1;
        leases.push(snapshot.endpoints[at].connections.lease());
    }
    (shares, leases)
}

#[test]
fn tiers_come_first_whatever_the_policy() {
    let grades = [Grade::Dead, Grade::Draining, Grade::Ready, Grade::Alive];
    for policy in [Policy::Preferred, Policy::Sticky] {
        assert_eq!(order(&snapshot(policy, &grades), 7, 7), [2, 3, 1, 0]);
    }
    for policy in [Policy::LeastConnections, Policy::RoundRobin, Policy::RandomOfTwo] {
        for seed in 0..100 {
            let order = order(&snapshot(policy, &grades), seed, seed);
            assert_eq!(order[2..], [1, 0], "{policy:?}");
        }
    }
}

#[test]
fn preferred_and_sticky_take_the_first_usable_one() {
    for policy in [Policy::Preferred, Policy::Sticky] {
        assert_eq!(shares(&snapshot(policy, &[Grade::Ready; 3]), 100).0, [100, 0, 0]);
        assert_eq!(shares(&snapshot(policy, &[Grade::Dead, Grade::Alive, Grade::Ready]), 100).0, [0, 100, 0]);
    }
}

#[test]
fn round_robin_goes_around_and_on() {
    let pool = snapshot(Policy::RoundRobin, &[Grade::Ready; 3]);
    assert_eq!(order(&pool, 0, 0), [0, 1, 2]);
    assert_eq!(order(&pool, 1, 0), [1, 2, 0]);
    assert_eq!(order(&pool, u64::MAX, 0), [0, 1, 2], "2^64 - 1 is a multiple of 3");
    assert_eq!(shares(&pool, 300).0, [100, 100, 100]);
    let holed = snapshot(Policy::RoundRobin, &[Grade::Ready, Grade::Dead, Grade::Ready]);
    assert_eq!(shares(&holed, 300).0, [150, 0, 150], "a dead one does not double its neighbour's share");
}

#[test]
fn least_connections_are_even_and_ties_are_drawn() {
    let pool = snapshot(Policy::LeastConnections, &[Grade::Ready; 3]);
    assert_eq!(shares(&pool, 300).0, [100, 100, 100]);
    // Without connections every dial sees a tie.
    let mut first = [0u32; 3];
    for seed in 0..30_000 {
        first[order(&pool, 0, seed)[0]] += 1;
    }
    assert!(first.iter().all(|share| (9_500..10_500).contains(share)), "{first:?}");
}

#[test]
fn hung_connections_keep_least_connections_away() {
    let pool = snapshot(Policy::LeastConnections, &[Grade::Ready; 3]);
    let _hung: Vec<_> = (0..50).map(|_| pool.endpoints[1].connections.lease()).collect();
    assert_eq!(shares(&pool, 60).0[1], 0);
}

#[test]
fn random_of_two_spreads_by_load() {
    let pool = snapshot(Policy::RandomOfTwo, &[Grade::Ready; 4]);
    let (shares, _leases) = shares(&pool, 4_000);
    assert!(shares.iter().all(|share| (980..1_020).contains(share)), "{shares:?}");
    // The busiest one loses every pair.
    let pool = snapshot(Policy::RandomOfTwo, &[Grade::Ready; 4]);
    let _hung: Vec<_> = (0..50).map(|_| pool.endpoints[1].connections.lease()).collect();
    for seed in 0..1_000 {
        assert_ne!(order(&pool, 0, seed)[0], 1);
    }
    assert_eq!(order(&snapshot(Policy::RandomOfTwo, &[Grade::Ready]), 0, 0), [0], "one is a pair of its own");
}

#[test]
fn nothing_comes_of_nothing() {
    for policy in [Policy::RoundRobin, Policy::RandomOfTwo, Policy::LeastConnections, Policy::Preferred] {
        assert_eq!(pick(&snapshot(policy, &[]), |_| true, 3, &mut Prng::new(0)), None);
        assert_eq!(pick(&snapshot(policy, &[Grade::Ready]), |_| false, 3, &mut Prng::new(0)), None);
    }
}
