//! Many routers on one host, and many packets: what is long for one of them is no other's loss.

mod common;

use bowline_sys::announce::{Announcer, Frame};
use bowline_sys::rtnetlink::Lease;
use bowline_sys::vrrp_socket::{Family, Membership, VrrpSocket};
use bowline_vip::Router;
use bowline_vrrp::{Fault, Settings, State, Vrid};
use common::*;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[test]
#[ignore = "the guard of the tests in this file"]
fn child_guard() {
    bowline_vip::watch_over().unwrap();
}

/// Those that stay send from the host's own address, those that go from another one.
const STAYING: u8 = 3;
const GOING: u8 = 6;
const ANOTHER: &str = "10.9.0.3";

/// So that all evictions together take far longer than the lease, and one of them, with a third of the lease before it, far
/// shorter: also on a machine that is busy.
const LEASE: Duration = Duration::from_secs(3);
const EVICTION: Duration = Duration::from_millis(700);

fn numbered(host: &Host, number: u8, source: IpAddr) -> Router {
    let settings = Settings {
        vrid: Vrid::new(number).unwrap(),
        lease: LEASE,
        ..settings_of(host.number, source, &[&vip(number)])
    };
    Router { name: format!("vip-{number}"), ..router(settings) }
}

fn vip(number: u8) -> String {
    format!("10.9.0.{}", 100 + number)
}

#[test]
fn the_long_end_of_many_costs_no_other_its_lease() {
    let Some((a, _b)) = two_hosts() else { return };
    a.namespace.add_address(LINK, ip(ANOTHER), 24).unwrap();
    let staying = (1..=STAYING).map(|number| numbered(&a, number, a.v4()));
    // Before and behind those that stay, in the order in which they are looked after.
    let mut going = (STAYING + 1..=STAYING + GOING).map(|number| numbered(&a, number, ip(ANOTHER)));
    let first = going.by_ref().take(usize::from(GOING / 2)).collect::<Vec<_>>();
    let routers: Vec<_> = first.into_iter().chain(staying).chain(going).collect();
    let names: Vec<_> = routers.iter().map(|router| router.name.clone()).collect();
    let node = Node::start_all(&a, routers);
    names.iter().for_each(|name| node.vips.set_can_serve(name, true));
    wait_until("all are held", || node.vips.status().iter().all(|status| status.vrrp.held));
    let created: Vec<_> = (1..=STAYING).map(|number| a.find(&vip(number)).unwrap().created).collect();

    node.stand.eviction_takes.store(EVICTION.as_millis() as u64, Ordering::Relaxed);
    let start = Instant::now();
    let mut command = Command::new("ip");
    command.args(["address", "delete", &format!("{ANOTHER}/24"), "dev", LINK]);
    assert!(a.inside(|| command.status()).unwrap().success());
    let gone = || (STAYING + 1..=STAYING + GOING).all(|number| !a.has(&vip(number)));
    wait_until("they have gone", || node.stand.evictions() == usize::from(GOING) && gone());
    assert!(start.elapsed() > LEASE, "it took no longer than a lease");
    for (number, created) in (1..=STAYING).zip(created) {
        assert_eq!(a.find(&vip(number)).map(|found| found.created), Some(created), "there without a break");
        let status = node.vips.status().into_iter().find(|status| *status.name == *format!("vip-{number}"));
        assert_eq!(status.unwrap().vrrp.state, State::Active);
    }
    assert!(node.vips.counters().iter().all(|(_, tally)| tally.leases_lost == 0));
}

#[test]
fn where_nobody_can_be_let_in_again_it_is_that_routers_fault_and_no_others() {
    let Some((a, _b)) = two_hosts() else { return };
    let node = Node::start_all(&a, vec![numbered(&a, 1, a.v4()), numbered(&a, 2, a.v4())]);
    ["vip-1", "vip-2"].iter().for_each(|name| node.vips.set_can_serve(name, true));
    let of = |index: usize| node.vips.status().remove(index).vrrp;
    wait_until("both are held", || of(0).held && of(1).held);
    *node.stand.shut_at.lock().unwrap() = Some(ip(&vip(1)));
    // Both are put back, and those who were connected are told.
    let remove = |number: u8| {
        let lease = Lease { interface: a.link_index(), address: ip(&vip(number)), valid: NonZeroU32::MIN };
        a.netlink().remove(&lease).unwrap();
    };
    remove(1);
    wait_until("it takes no part", || of(0).fault == Some(Fault::NotServing) && !a.has(&vip(1)));
    remove(2);
    wait_until("the other one was evicted, too", || node.stand.evictions() >= 3);
    wait_until("it is held again", || of(1).held && a.has(&vip(2)));
    assert_eq!((of(0).state, of(0).fault), (State::Fault, Some(Fault::NotServing)));
    let transitions = &node.vips.counters()[1].1.transitions;
    assert!(transitions.contains(&(State::Active, 1)) && transitions.contains(&(State::Fault, 0)));
    *node.stand.shut_at.lock().unwrap() = None;
    wait_until("it takes part again", || of(0).held && a.has(&vip(1)));
}

const FLOODED: u8 = 6;
const FLOOD_LASTS: Duration = Duration::from_secs(3);

#[test]
fn a_flood_of_nonsense_moves_nothing_and_adverts_go_on() {
    let Some(([a, b, c], _switch)) = three_hosts() else { return };
    let of = |host: &Host| {
        let numbered = |number| {
            let settings = Settings {
                vrid: Vrid::new(number).unwrap(),
                ..settings_of(host.number, host.v4(), &[&vip(number)])
            };
            Router { name: format!("vip-{number}"), ..router(settings) }
        };
        let node = Node::start_all(host, (1..=FLOODED).map(numbered).collect());
        (1..=FLOODED).for_each(|number| node.vips.set_can_serve(&format!("vip-{number}"), true));
        node
    };
    let first = of(&a);
    wait_until("all are held", || first.vips.status().iter().all(|status| status.vrrp.held));
    let second = of(&b);
    wait_until("adverts are heard", || second.tally().adverts_received > 5);

    let sent = |node: &Node| node.vips.counters().iter().map(|(_, tally)| tally.adverts_sent).sum::<u64>();
    let (before, start) = (sent(&first), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| flood(&c, start));
        }
    });
    let (sent, lasted) = (sent(&first) - before, start.elapsed());
    let tallies: Vec<_> = first.vips.counters().into_iter().map(|(_, tally)| tally).collect();
    let discarded = tallies.iter().flat_map(|tally| &tally.discarded).map(|(_, count)| count).sum::<u64>();
    let due = lasted.as_millis() as u64 / 100 * u64::from(FLOODED);
    println!("{discarded} discarded, {sent} of {due} adverts in {lasted:?}");
    assert!(discarded > 1_000 * u64::from(FLOODED), "that was no flood");
    assert!(sent * 2 > due, "{sent} of {due} adverts");
    for (node, state) in [(&first, State::Active), (&second, State::Backup)] {
        assert!(node.vips.status().iter().all(|status| status.vrrp.state == state), "{:#?}", node.vips);
        assert_eq!(node.stand.evictions(), 0);
    }
    assert!(tallies.iter().all(|tally| tally.leases_lost == 0));
}

/// Noise for every router of the link, and frames that say nothing of an address of theirs.
fn flood(host: &Host, start: Instant) {
    let interfaces = host.netlink().interfaces().unwrap();
    let link = interfaces.by_name(LINK).unwrap();
    let socket = host.inside(|| VrrpSocket::open(link, Family::V4, Membership::None)).unwrap();
    let announcer = host.inside(|| Announcer::open(link.index)).unwrap();
    let probe = Frame::probe(ip(&vip(1)), link.mac.unwrap());
    while start.elapsed() < FLOOD_LASTS {
        // Of what the link has no room for nothing is expected.
        let _ = socket.send(host.v4(), ip("224.0.0.18"), b"noise");
        let _ = announcer.send(&probe);
    }
}
