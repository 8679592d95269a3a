//! Other interfaces that come and go by the hundred keep the kernel's lock on network configuration busy: no lease is lost to them,
//! and no advert is late.

mod common;

use bowline_sys::netns::Namespace;
use bowline_vrrp::State;
use common::*;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
#[ignore = "the guard of the tests in this file"]
fn child_guard() {
    bowline_vip::watch_over().unwrap();
}

/// As when a node starts and ends its pods: so many namespaces with so many links each, at a time.
const NAMESPACES: usize = 8;
const LINKS_EACH: usize = 40;
const LASTS: Duration = Duration::from_secs(4);

#[test]
fn no_lease_is_lost_while_hundreds_of_links_come_and_go() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP, "10.9.0.101", "10.9.0.102"]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP, "10.9.0.101", "10.9.0.102"]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);

    let (over, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (heard, start) = (second.tally().adverts_received, Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    made.fetch_add(come_and_go(&over), Ordering::Relaxed);
                }
            });
        }
        wait_until("time passes", || start.elapsed() >= LASTS);
        over.store(true, Ordering::Relaxed);
    });
    let (lasted, heard) = (start.elapsed(), second.tally().adverts_received - heard);
    let tally = first.tally();
    println!(
        "{} links in {lasted:?}: {heard} adverts, {} renewals, the longest of {:?}, {} lost",
        made.load(Ordering::Relaxed),
        tally.renewals,
        tally.renewal_longest,
        tally.leases_lost
    );
    assert_eq!((first.state(), second.state()), (State::Active, State::Backup));
    assert_eq!(tally.leases_lost, 0);
    assert!(a.has(VIP) && first.stand.evictions() == 0);
}

/// How many links were made. They go with their namespaces.
fn come_and_go(over: &AtomicBool) -> usize {
    let mut made = 0;
    let mut namespaces = Vec::new();
    for _ in 0..NAMESPACES {
        let namespace = Namespace::create().unwrap();
        let peer = Namespace::create().unwrap();
        for link in 0..LINKS_EACH {
            if over.load(Ordering::Relaxed) {
                return made;
            }
            namespace.join(&format!("pod{link}"), &peer, &format!("pod{link}")).unwrap();
            made += 1;
        }
        namespaces.push((namespace, peer));
    }
    made
}
