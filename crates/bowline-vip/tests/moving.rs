//! Addresses that come, stay and move between two hosts.

mod common;

use bowline_sys::announce::Announcer;
use bowline_sys::netns::LinkState;
use bowline_sys::rtnetlink::{OUR_MARK, Scope};
use bowline_sys::vrrp_socket::{Family, Membership, VrrpSocket};
use bowline_vip::Event;
use bowline_vrrp::{Peers, Reason, Settings, State};
use common::*;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
#[ignore = "the guard of the tests in this file"]
fn child_guard() {
    bowline_vip::watch_over().unwrap();
}

#[test]
fn the_first_takes_the_address_as_a_lease_and_the_second_waits() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let found = a.find(VIP).unwrap();
    assert_eq!((found.prefix, found.scope, found.proto), (32, Scope::Host, Some(OUR_MARK)));
    assert!(found.valid.is_some_and(|valid| valid <= Duration::from_secs(1)), "{found:?}");
    assert!(found.flags.is_deprecated() && !found.flags.is_permanent());

    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 10);
    assert_eq!((second.state(), b.has(VIP)), (State::Backup, false));
    let status = second.status();
    assert_eq!((status.vrrp.holder, status.vrrp.priority), (Some(a.v4()), 250));
    assert_eq!(first.status().vrrp.holder, Some(a.v4()));

    // Longer than the lease: it is renewed, without a break.
    let created = found.created;
    wait_until("it was renewed", || first.tally().renewals > 5);
    assert_eq!(a.find(VIP).unwrap().created, created);
    let tally = first.tally();
    assert_eq!((tally.leases_lost, tally.renewals_failed, tally.send_failures), (0, 0, 0));
    assert!(tally.announcements >= 3 && tally.adverts_sent > 10);
    assert!(first.memory.all().iter().any(|event| matches!(event, Event::Punctuality { .. })));
}

#[test]
fn ipv6_moves_in_the_same_way() {
    let Some((a, b)) = two_hosts() else { return };
    let vips = ["fe80::9:100", "2001:db8::100"];
    let first = Node::start(&a, settings(&a, &vips));
    vips.iter().for_each(|vip| first.wait_held(&a, vip));
    let found = a.find(vips[1]).unwrap();
    assert_eq!((found.prefix, found.proto), (128, Some(OUR_MARK)));
    assert!(found.flags.is_unasked() && found.flags.is_without_route() && found.flags.is_deprecated());
    let second = Node::start(&b, settings(&b, &vips));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    assert_eq!(second.state(), State::Backup);
    first.vips.leave();
    vips.iter().for_each(|vip| second.wait_held(&b, vip));
    assert!(vips.iter().all(|vip| !a.has(vip)));
}

#[test]
fn in_a_hand_over_the_address_is_served_until_the_successor_speaks() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);

    let (stand, memory) = (first.stand.clone(), first.memory.clone());
    first.vips.leave();
    // It was all done when it returned.
    assert!(!a.has(VIP));
    assert_eq!(second.state(), State::Active);
    second.wait_held(&b, VIP);
    // Whoever was there was told while the address was still there to tell it from, and nobody was let in before it was gone.
    assert_eq!(stand.asked(), [(Asked::Evict, true), (Asked::Readmit, false)]);
    let heard = |event: &Event| {
        matches!(event, Event::Router { event: bowline_vrrp::Event::SuccessorHeard { .. }, .. })
    };
    memory.wait_for(heard);
    let said = second.memory.wait_for(|event| {
        matches!(
            event,
            Event::Router { event: bowline_vrrp::Event::Transition { to: State::Active, .. }, .. }
        )
    });
    let Event::Router { event: bowline_vrrp::Event::Transition { reason, .. }, .. } = said else { panic!() };
    assert_eq!(reason, Reason::HolderLeft);
}

/// How long it took this node to have the address.
fn held_after(node: &Node) -> Duration {
    let held = |event: &Event| matches!(event, Event::Router { event: bowline_vrrp::Event::Held { .. }, .. });
    let said = node.memory.wait_for(held);
    let Event::Router { event: bowline_vrrp::Event::Held { after }, .. } = said else { panic!() };
    after
}

#[test]
fn a_successor_that_was_just_changed_has_the_address_as_soon_as_it_speaks() {
    const ROUNDS: usize = 3;
    // On a busy machine all is late now and then.
    const ATTEMPTS: usize = 3;
    // The first in the order is the successor: it takes over at once.
    let Some((b, a)) = two_hosts() else { return };
    let start = |host: &Host| Node::start(host, slow(settings(host, &[VIP])));
    let mut first = start(&a);
    first.wait_held(&a, VIP);
    let is_good = |_attempt: usize| {
        let (mut changed, mut unchanged, mut closed) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let second = start(&b);
            wait_until("adverts are heard", || second.tally().adverts_received > 0);
            let other = Settings { stability: Duration::from_millis(300), ..slow(settings(&b, &[VIP])) };
            // With its sockets opened anew, of which the old ones are closed while the address comes here.
            b.inside(|| second.vips.reconfigure(vec![router(other)])).unwrap();
            std::mem::replace(&mut first, second).vips.leave();
            changed.push(held_after(&first));
            assert!(b.has(VIP) && !a.has(VIP));
            let second = start(&a);
            wait_until("adverts are heard", || second.tally().adverts_received > 0);
            std::mem::replace(&mut first, second).vips.leave();
            unchanged.push(held_after(&first));
            // As slow as this machine is now.
            let socket = b.inside(|| Announcer::open(b.link_index())).unwrap();
            let begun = Instant::now();
            drop(socket);
            closed.push(begun.elapsed());
        }
        println!("after a change {changed:?}, without {unchanged:?}, a socket is closed after {closed:?}");
        let median = |mut times: Vec<Duration>| {
            times.sort();
            times[ROUNDS / 2]
        };
        median(changed) < median(unchanged) + median(closed) / 2
    };
    assert!((0..ATTEMPTS).any(is_good), "it waits for sockets to be closed");
}

#[test]
fn without_a_successor_a_hand_over_ends_all_the_same() {
    let Some((a, _b)) = two_hosts() else { return };
    let only = Node::start(&a, settings(&a, &[VIP]));
    only.wait_held(&a, VIP);
    let stand = only.stand.clone();
    only.vips.leave();
    assert!(!a.has(VIP));
    assert_eq!(stand.asked(), [(Asked::Evict, true), (Asked::Readmit, false)]);
}

#[test]
fn whoever_can_serve_takes_over_from_whoever_cannot_and_nothing_moves_back() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    first.vips.set_can_serve("api", false);
    second.wait_held(&b, VIP);
    first.wait(State::Backup);
    wait_until("one holder", || holders(&[&a, &b], VIP) == 1);
    first.vips.set_can_serve("api", true);
    wait_until("it can serve", || first.status().vrrp.can_serve);
    let heard = first.tally().adverts_received;
    wait_until("time passes", || first.tally().adverts_received > heard + 10);
    assert_eq!((first.state(), second.state()), (State::Backup, State::Active));
}

#[test]
fn who_is_asked_after_the_holders_fall_may_answer() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    // So long it would wait without an answer, on the busiest machine.
    let stability = Duration::from_secs(3);
    let second = Node::start(&b, bowline_vrrp::Settings { stability, ..settings(&b, &[VIP]) });
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    assert!(second.memory.inquiries.lock().unwrap().is_empty(), "asked without a reason");
    first.vips.set_can_serve("api", false);
    wait_until("it asks", || !second.memory.inquiries.lock().unwrap().is_empty());
    let inquiry = *second.memory.inquiries.lock().unwrap().last().unwrap();
    second.vips.confirm("another", inquiry);
    second.vips.confirm("api", inquiry);
    second.wait_held(&b, VIP);
    let told = |wanted: fn(&bowline_vrrp::Event) -> bool| {
        second.memory.all().iter().any(|event| matches!(event, Event::Router { event, .. } if wanted(event)))
    };
    assert!(told(|event| matches!(event, bowline_vrrp::Event::HolderFell { .. })));
    assert!(told(|event| matches!(event, bowline_vrrp::Event::Confirmed { .. })));
}

#[test]
fn connections_that_others_have_on_the_address_end_with_it() {
    let Some(([a, b, client], _switch)) = three_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    // An API server that listens on everything.
    let listener = a.inside(|| TcpListener::bind(("0.0.0.0", 0))).unwrap();
    let port = listener.local_addr().unwrap().port();
    let dial = |from: &Host, to: IpAddr| {
        let client = from.inside(|| TcpStream::connect((to, port))).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    };
    let mut accepted_client = dial(&client, ip(VIP));
    let (mut accepted, _) = listener.accept().unwrap();
    let mut queued = dial(&client, ip(VIP));
    let mut of_successor = dial(&b, ip(VIP));
    let mut over_node = dial(&client, a.v4());
    let memory = first.memory.clone();
    first.vips.leave();
    for end in [&mut accepted_client, &mut queued] {
        assert_eq!(end.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
    for end in [&mut accepted, &mut of_successor] {
        assert_eq!(end.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionAborted);
    }
    memory.wait_for(|event| matches!(event, Event::ConnectionsEnded { count: 3, .. }));
    over_node.set_read_timeout(Some(A_WHILE)).unwrap();
    assert_eq!(over_node.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock, "not concerned");
}

#[test]
fn of_two_that_wait_the_first_in_the_order_takes_over() {
    let Some((hosts, _switch)) = three_hosts() else { return };
    let nodes = nodes_on(&hosts);
    let [first, second, third] = &nodes;
    wait_until("adverts are heard", || third.tally().adverts_received > 5);
    hosts[0].set_link(LinkState::Down);
    second.wait_held(&hosts[1], VIP);
    first.wait(State::Fault);
    wait_until("one holder", || holders(&hosts.each_ref(), VIP) == 1);
    hosts[0].set_link(LinkState::Up);
    first.wait(State::Backup);
    let heard = first.tally().adverts_received;
    wait_until("time passes", || first.tally().adverts_received > heard + 10);
    let times_active = |node: &Node| {
        node.tally().transitions.iter().find(|(to, _)| *to == State::Active).map(|(_, count)| *count)
    };
    assert_eq!(nodes.each_ref().map(times_active), [Some(1), Some(1), Some(0)]);
}

#[test]
fn a_split_ends_with_one_holder_and_who_gives_way_tells_its_clients() {
    let Some((hosts, switch)) = three_hosts() else { return };
    let [a, b, _] = &hosts;
    let first = Node::start(a, settings(a, &[VIP]));
    first.wait_held(a, VIP);
    let second = Node::start(b, settings(b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    for round in 1..=3 {
        switch.cut(a, true);
        second.wait_held(b, VIP);
        assert_eq!((first.state(), holders(&[a, b], VIP)), (State::Active, 2), "neither can know");
        switch.cut(a, false);
        second.wait(State::Backup);
        wait_until("one holder", || !b.has(VIP));
        assert_eq!((first.state(), first.stand.evictions()), (State::Active, 0));
        wait_until("they are told", || second.stand.evictions() == round);
    }
    assert_eq!(first.tally().leases_lost, 0);
}

#[test]
fn nonsense_is_counted_told_now_and_then_and_changes_nothing() {
    let Some((a, b)) = two_hosts() else { return };
    let node = Node::start(&a, settings(&a, &[VIP]));
    node.wait_held(&a, VIP);
    let interfaces = b.netlink().interfaces().unwrap();
    let link = interfaces.by_name(LINK).unwrap();
    let socket = b.inside(|| VrrpSocket::open(link, Family::V4, Membership::None)).unwrap();
    let group = ip("224.0.0.18");
    for length in 0..1_000 {
        let noise: Vec<u8> = (0..length % 64).map(|at| (at * 37 + length) as u8).collect();
        socket.send(b.v4(), group, &noise).unwrap();
    }
    let discarded = || node.tally().discarded.iter().map(|(_, count)| count).sum::<u64>();
    wait_until("all are counted", || discarded() >= 1_000);
    let told = node.memory.wait_for(|event| matches!(event, Event::Discarded { .. }));
    assert!(matches!(told, Event::Discarded { source, .. } if source == b.v4()), "{told:?}");
    assert_eq!((node.state(), node.tally().adverts_received), (State::Active, 0));
    let times = node.memory.all().iter().filter(|event| matches!(event, Event::Discarded { .. })).count();
    assert!(times < 100, "{times} of 1000");
}

#[test]
fn one_whose_link_comes_back_listens_until_that_can_be_relied_on() {
    let Some((a, b)) = two_hosts() else { return };
    let alone = Settings { peers: Peers::Planned(Arc::from([])), ..settings(&a, &[VIP]) };
    for (settings, listens) in [(settings(&a, &[VIP]), true), (alone, false)] {
        let node = Node::start(&a, settings);
        node.wait_held(&a, VIP);
        b.set_link(LinkState::Down);
        node.wait(State::Fault);
        let start = Instant::now();
        b.set_link(LinkState::Up);
        node.wait_held(&a, VIP);
        let after = start.elapsed();
        println!("it has the address after {after:?}");
        // What a bridge may take, and three intervals in which nobody is heard.
        assert!(!listens || after >= Duration::from_millis(1_000), "{after:?}");
        node.vips.leave();
    }
}
