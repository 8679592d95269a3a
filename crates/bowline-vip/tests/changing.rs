//! What others do to a host's addresses and links, and what its operator changes.

mod common;

use bowline_sys::capability::Capability;
use bowline_sys::netns::LinkState;
use bowline_sys::rtnetlink::{Lease, Removal};
use bowline_vip::{Event, Router, Serving, Sink, StartError, VirtualIps};
use bowline_vrrp::{Conflict, Fault, Loss, Peers, Priority, State, Transport};
use common::*;
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use std::io::Write;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[test]
#[ignore = "the guard of the tests in this file"]
fn child_guard() {
    bowline_vip::watch_over().unwrap();
}

fn lease(host: &Host, vip: &str, seconds: u32) -> Lease {
    let valid = NonZeroU32::new(seconds).unwrap();
    Lease { interface: host.link_index(), address: ip(vip), valid }
}

fn ip_command(host: &Host, arguments: &str) {
    let mut command = Command::new("ip");
    command.args(arguments.split(' '));
    assert!(host.inside(|| command.status()).unwrap().success(), "ip {arguments}");
}

fn duplicate(event: &Event) -> Option<Conflict> {
    match event {
        Event::Router { event: bowline_vrrp::Event::DuplicateAddress(conflict), .. } => Some(*conflict),
        _ => None,
    }
}

#[test]
fn an_address_that_somebody_removes_is_put_back_and_who_was_connected_is_told() {
    let Some((a, b)) = two_hosts() else { return };
    for vips in [&[VIP][..], &["fe80::9:100"]] {
        let vip = vips[0];
        let first = Node::start(&a, settings(&a, vips));
        first.wait_held(&a, vip);
        let second = Node::start(&b, settings(&b, vips));
        assert_eq!(a.netlink().remove(&lease(&a, vip, 1)).unwrap(), Removal::Removed);
        first.memory.wait_for(|event| matches!(event, Event::LeaseLost { loss: Loss::Removed, .. }));
        first.wait_held(&a, vip);
        wait_until("they are told", || first.stand.evictions() > 0);
        // Nothing can be sent from an IPv4 address that is not here.
        assert!(ip(vip).is_ipv6() || first.stand.asked()[0] == (Asked::Evict, true));
        wait_until("clients come in again", || {
            first.stand.asked().last().is_some_and(|(asked, _)| *asked == Asked::Readmit)
        });
        assert_eq!((first.tally().leases_lost, second.state()), (1, State::Backup));
    }
}

#[test]
fn an_address_that_went_just_before_it_was_asked_for_again_counts_as_lost() {
    let Some((a, _b)) = two_hosts() else { return };
    let node = Node::start(&a, slow(settings(&a, &[VIP])));
    node.wait_held(&a, VIP);
    // Asked for again, because there is another one beside it; not renewed for long.
    node.stand.keeper_hangs.store(true, Ordering::Relaxed);
    reconfigure(&a, &node, vec![router(slow(settings(&a, &[VIP, "10.9.0.101"])))]).unwrap();
    // By the time when it was added, of which the kernel counts hundredths of a second, it is told from the one before.
    std::thread::sleep(Duration::from_millis(25));
    wait_until("the keeper is about to", || node.stand.keeper_waits.load(Ordering::Relaxed));
    assert_eq!(a.netlink().remove(&lease(&a, VIP, 1)).unwrap(), Removal::Removed);
    node.stand.keeper_hangs.store(false, Ordering::Relaxed);
    node.memory.wait_for(|event| matches!(event, Event::LeaseLost { loss: Loss::Removed, .. }));
    wait_until("they are told", || node.stand.asked().first() == Some(&(Asked::Evict, true)));
    assert!(a.has(VIP) && a.has("10.9.0.101"));
}

#[test]
fn a_leftover_is_neither_renewed_nor_removed_while_somebody_else_is_active() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let held = Instant::now();
    b.netlink().hold(&lease(&b, VIP, 2)).unwrap();
    let second = Node::start(&b, settings(&b, &[VIP]));
    second.memory.wait_for(|event| matches!(event, Event::Leftover { .. }));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    assert!(b.has(VIP) || held.elapsed() > Duration::from_secs(1), "it was removed");
    wait_until("it has expired", || !b.has(VIP));
    assert_eq!((second.state(), second.stand.evictions()), (State::Backup, 0));
}

#[test]
fn a_leftover_of_a_router_that_becomes_active_goes_on() {
    let Some((a, _b)) = two_hosts() else { return };
    a.netlink().hold(&lease(&a, VIP, 60)).unwrap();
    let created = a.find(VIP).unwrap().created;
    let node = Node::start(&a, settings(&a, &[VIP]));
    node.wait_held(&a, VIP);
    let found = a.find(VIP).unwrap();
    assert_eq!(found.created, created, "it was there all the time");
    assert!(found.valid.unwrap() <= Duration::from_secs(1));
}

#[test]
fn a_host_without_its_link_gives_up_and_takes_part_again_when_it_is_back() {
    let Some((a, b)) = two_hosts() else { return };
    let node = Node::start(&a, settings(&a, &[VIP]));
    node.wait_held(&a, VIP);
    a.set_link(LinkState::Down);
    node.wait(State::Fault);
    assert_eq!(node.status().vrrp.fault, Some(Fault::LinkDown));
    wait_until("the address is gone", || !a.has(VIP));
    a.set_link(LinkState::Up);
    node.wait_held(&a, VIP);

    // The other end of the cable.
    b.set_link(LinkState::Down);
    node.wait(State::Fault);
    wait_until("the address is gone", || !a.has(VIP));
    b.set_link(LinkState::Up);
    node.wait_held(&a, VIP);
}

#[test]
fn a_source_that_gets_another_prefix_stays_one() {
    let Some((a, _b)) = two_hosts() else { return };
    let node = Node::start(&a, settings(&a, &[VIP]));
    node.wait_held(&a, VIP);
    ip_command(&a, &format!("address add {}/16 dev {LINK}", a.v4()));
    ip_command(&a, &format!("address delete {}/24 dev {LINK}", a.v4()));
    let sent = node.tally().adverts_sent;
    wait_until("it goes on", || node.tally().adverts_sent > sent + 5);
    assert_eq!((node.state(), node.tally().send_failures), (State::Active, 0));
}

#[test]
fn a_source_that_is_configured_anew_is_looked_for() {
    let Some((a, _b)) = two_hosts() else { return };
    let node = Node::start(&a, settings(&a, &[VIP]));
    node.wait_held(&a, VIP);
    ip_command(&a, &format!("address delete {}/24 dev {LINK}", a.v4()));
    node.wait(State::Fault);
    assert_eq!(node.status().vrrp.fault, Some(Fault::NoSource));
    a.namespace.add_address(LINK, ip("10.9.0.7"), 24).unwrap();
    let other = bowline_vrrp::Settings { source: ip("10.9.0.7"), ..settings(&a, &[VIP]) };
    reconfigure(&a, &node, vec![router(other)]).unwrap();
    node.wait_held(&a, VIP);
}

#[test]
fn a_link_local_address_that_is_asked_about_is_waited_for_while_others_are_served() {
    // A link as it is at boot: the kernel asks whether another host has its address, once a second and here for long.
    let Some((a, _b)) = two_hosts() else { return };
    for (setting, value) in [("accept_dad", "1"), ("dad_transmits", "5")] {
        a.inside(|| std::fs::write(format!("/proc/sys/net/ipv6/conf/{LINK}/{setting}"), value)).unwrap();
    }
    a.set_link(LinkState::Down);
    a.set_link(LinkState::Up);
    let mut source = None;
    wait_until("an address to come", || {
        let interfaces = a.netlink().interfaces().unwrap();
        source = interfaces.coming_link_local(a.link_index());
        source.is_some()
    });
    let source = source.unwrap().into();
    let v6 = Router {
        name: "v6".to_owned(),
        ..router(settings_of(a.number, source, &["fe80::9:100", "2001:db8::100"]))
    };
    let node = Node::start_all(&a, vec![router(settings(&a, &[VIP])), v6]);
    let of = |index: usize| node.vips.status().remove(index).vrrp;
    ["api", "v6"].iter().for_each(|name| node.vips.set_can_serve(name, true));
    node.wait_held(&a, VIP);
    assert_eq!((of(1).state, of(1).fault), (State::Fault, Some(Fault::NoSource)));
    wait_until("both are held", || of(1).held && a.has("2001:db8::100"));
    assert_eq!((node.tally().leases_lost, node.tally().send_failures), (0, 0));
}

#[test]
fn a_link_local_address_that_comes_with_the_carrier_is_waited_for() {
    let Some((a, b)) = two_hosts() else { return };
    // A machine that starts before its switch: without a carrier there is no such address.
    a.set_link(LinkState::Down);
    b.set_link(LinkState::Down);
    a.set_link(LinkState::Up);
    let interfaces = a.netlink().interfaces().unwrap();
    assert_eq!(interfaces.coming_link_local(a.link_index()), None);
    let promised = a.inside(|| interfaces.promised_link_local(a.link_index())).unwrap();
    let node = Node::start(&a, settings_of(a.number, promised.into(), &["fe80::9:100", "2001:db8::100"]));
    node.wait(State::Fault);
    b.set_link(LinkState::Up);
    node.wait_held(&a, "2001:db8::100");
    assert_eq!(a.v6(), IpAddr::from(promised));
}

#[test]
fn changes_that_were_missed_are_looked_for_after_all_that_were_not() {
    let Some((a, _b)) = two_hosts() else { return };
    // Its source comes after everything else.
    let last = bowline_vrrp::Settings {
        vrid: bowline_vrrp::Vrid::new(7).unwrap(),
        ..settings_of(a.number, ip("10.9.0.7"), &["10.9.0.107"])
    };
    let last = Router { name: "last".to_owned(), ..router(last) };
    let node = Node::start_all(&a, vec![router(settings(&a, &[VIP])), last]);
    node.vips.set_can_serve("api", true);
    node.wait_held(&a, VIP);
    let source = format!("{}/24 dev {LINK}", a.v4());
    node.stand.keeper_hangs.store(true, Ordering::Relaxed);
    wait_until("the address has expired", || !a.has(VIP));
    ip_command(&a, &format!("address delete {source}"));
    ip_command(&a, &format!("address add {source}"));
    // More than there is room for, so that what follows is missed.
    let flood: String = (0..10_000).map(|at| format!("link set lo mtu {}\n", 2_000 + at)).collect();
    let mut command = Command::new("ip");
    command.args(["-batch", "-"]).stdin(Stdio::piped());
    let mut batch = a.inside(|| command.spawn()).unwrap();
    batch.stdin.take().unwrap().write_all(flood.as_bytes()).unwrap();
    assert!(batch.wait().unwrap().success());
    ip_command(&a, &format!("address delete {source}"));
    node.stand.keeper_hangs.store(false, Ordering::Relaxed);
    let of = |index: usize| node.vips.status().remove(index).vrrp;
    wait_until("it is seen", || of(0).fault == Some(Fault::NoSource));
    a.namespace.add_address(LINK, ip("10.9.0.7"), 24).unwrap();
    wait_until("that is heard, and everything before it", || of(1).state != State::Fault);
    assert_eq!(of(0).fault, Some(Fault::NoSource));
    ip_command(&a, &format!("address add {source}"));
    node.wait_held(&a, VIP);
}

#[test]
fn an_interface_that_is_made_anew_is_used_again() {
    let Some((a, b)) = two_hosts() else { return };
    let node = Node::start(&a, settings(&a, &[VIP]));
    node.wait_held(&a, VIP);
    ip_command(&a, &format!("link delete {LINK}"));
    node.wait(State::Fault);
    a.namespace.join(LINK, &b.namespace, LINK).unwrap();
    for host in [&a, &b] {
        host.namespace.add_address(LINK, host.v4(), 24).unwrap();
        host.set_link(LinkState::Up);
    }
    node.memory.wait_for(|event| matches!(event, Event::InterfaceBack { .. }));
    node.wait_held(&a, VIP);
    // It is heard on the new one, too.
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    assert_eq!(second.state(), State::Backup);
}

#[test]
fn a_group_moves_together() {
    let Some((a, _b)) = two_hosts() else { return };
    let of = |name: &str, vip: &str| Router {
        name: name.to_owned(),
        group: Some("api".to_owned()),
        ..router(settings(&a, &[vip]))
    };
    let node = Node::start_all(&a, vec![of("v4", VIP), of("v6", "fe80::9:100")]);
    let state = |index: usize| node.vips.status()[index].vrrp.state;
    wait_until("both are Active", || state(0) == State::Active && state(1) == State::Active);
    ip_command(&a, &format!("address delete {}/24 dev {LINK}", a.v4()));
    wait_until("neither is", || state(0) == State::Fault && state(1) == State::Fault);
    assert_eq!(node.vips.status()[1].vrrp.fault, Some(Fault::Group));
    a.namespace.add_address(LINK, a.v4(), 24).unwrap();
    wait_until("both are Active again", || state(0) == State::Active && state(1) == State::Active);
}

#[test]
fn another_host_that_has_the_address_is_found() {
    let Some((a, b)) = two_hosts() else { return };
    for (planned, vip) in [(true, VIP), (false, VIP), (true, "fe80::9:100")] {
        // Only the first one is planned, or anybody might be.
        let peers = if planned { Peers::Planned(Arc::from([])) } else { Peers::Any };
        let node = Node::start(&a, bowline_vrrp::Settings { peers, ..settings(&a, &[vip]) });
        node.wait_held(&a, vip);
        assert!(node.memory.all().iter().all(|event| duplicate(event).is_none()));
        ip_command(&b, &format!("address add {vip} dev {LINK} nodad"));
        let start = Instant::now();
        if !planned {
            // A planned peer that is late in giving it up would announce it once. This one does so again and again.
            wait_until("it is said again and again", || {
                ip_command(&b, &format!("neighbour flush dev {LINK}"));
                announce(&b, vip);
                node.memory.all().iter().any(|event| duplicate(event).is_some())
            });
            let grace = Duration::from_millis(1_500);
            assert!(start.elapsed() >= grace, "{:?}", start.elapsed());
        } else {
            announce(&b, vip);
        }
        let event = node.memory.wait_for(|event| duplicate(event).is_some());
        let conflict = duplicate(&event).unwrap();
        assert_eq!((conflict.address, conflict.planned_peer), (ip(vip), !planned));
        assert!(node.tally().duplicates > 0);
        assert_eq!(node.state(), State::Active);
        ip_command(&b, &format!("address delete {vip} dev {LINK}"));
    }
}

#[test]
fn an_address_that_somebody_gives_a_backup_is_told_there_once() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("the second hears the first", || second.tally().adverts_received > 0);
    let told = || {
        let events = second.memory.all();
        events
            .iter()
            .filter(|event| matches!(event, Event::Foreign { address, .. } if *address == ip(VIP)))
            .count()
    };
    assert_eq!(told(), 0);
    for time in 1..=2 {
        ip_command(&b, &format!("address add {VIP}/24 dev {LINK}"));
        wait_until("it is told", || told() == time);
        // The kernel tells of it again.
        ip_command(&b, &format!("address change {VIP}/24 dev {LINK} preferred_lft 600 valid_lft 600"));
        ip_command(&b, &format!("address delete {VIP}/24 dev {LINK}"));
    }
    assert_eq!((told(), second.state()), (2, State::Backup));
    assert!(first.memory.all().iter().all(|event| !matches!(event, Event::Foreign { .. })));
}

#[test]
fn another_interface_of_this_host_on_the_same_link_is_not_another_host() {
    let Some(([a, b, _], switch)) = three_hosts() else { return };
    let node = Node::start(&a, settings(&a, &[VIP]));
    node.wait_held(&a, VIP);
    // The kernel answers there for all addresses of the host.
    switch.join(&a, "lan1");
    let of_lan1 = |node: &Node| {
        announce_from(&a, "lan1", VIP);
        let sent = node.tally().adverts_sent;
        wait_until("time passes", || node.tally().adverts_sent > sent + 5);
        node.tally().duplicates
    };
    assert_eq!(of_lan1(&node), 0);
    announce(&b, VIP);
    wait_until("another host is", || node.tally().duplicates > 0);
}

/// What keepalived does when it takes an address.
fn announce(host: &Host, vip: &str) {
    announce_from(host, LINK, vip);
}

fn announce_from(host: &Host, link: &str, vip: &str) {
    use bowline_sys::announce::{Announcer, Frame, Role};
    let interfaces = host.netlink().interfaces().unwrap();
    let link = interfaces.by_name(link).unwrap();
    let announcer = host.inside(|| Announcer::open(link.index)).unwrap();
    announcer.send(&Frame::announcement(ip(vip), link.mac.unwrap(), Role::Host)).unwrap();
}

#[test]
fn what_is_wrong_is_said_before_anything_is_changed() {
    let Some((a, _b)) = two_hosts() else { return };
    let start = |routers: Vec<Router>| {
        let serving = Arc::new(Stand::default()) as Arc<dyn Serving>;
        let sink = Arc::new(Memory::default()) as Arc<dyn Sink>;
        a.inside(|| VirtualIps::start(routers, serving, sink, guard_command()))
    };
    let good = || router(settings(&a, &[VIP]));
    let nowhere = Router { interface: "lan1".to_owned(), ..good() };
    let error = start(vec![nowhere]).unwrap_err();
    assert_eq!(error.to_string(), "api: this machine has no interface lan1: correct `interface`");
    let twice = Router { name: "other".to_owned(), ..good() };
    assert!(matches!(start(vec![good(), twice]), Err(StartError::VridTwice { .. })));

    a.namespace.add_address(LINK, ip(VIP), 32).unwrap();
    let error = start(vec![good()]).unwrap_err();
    assert!(error.to_string().contains("ip address del 10.9.0.100 dev lan0"), "{error}");
    assert!(a.find(VIP).unwrap().flags.is_permanent(), "it was left as it is");
    ip_command(&a, &format!("address delete {VIP}/32 dev {LINK}"));

    let error = std::thread::scope(|scope| {
        let unprivileged = || {
            let mut sets = capabilities(None).unwrap();
            sets.effective = sets.effective.difference(CapabilitySet::NET_RAW);
            a.namespace.enter().unwrap();
            set_capabilities(None, sets).unwrap();
            let sink = Arc::new(Memory::default());
            VirtualIps::start(vec![good()], Arc::new(Stand::default()), sink, guard_command()).unwrap_err()
        };
        scope.spawn(unprivileged).join().unwrap()
    });
    let StartError::Capabilities { missing } = &error else { panic!("{error}") };
    assert_eq!(missing, &[Capability::NetRaw]);
    let text = error.to_string();
    assert!(text.contains("CAP_NET_RAW") && text.contains("AmbientCapabilities="), "{text}");
}

/// From within the host, where its sockets belong.
fn reconfigure(host: &Host, node: &Node, routers: Vec<Router>) -> Result<(), StartError> {
    host.namespace.inside(|| node.vips.reconfigure(routers)).unwrap()
}

#[test]
fn an_active_router_is_changed_without_a_move() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);

    let lower = bowline_vrrp::Settings { priority: Priority::new(200).unwrap(), ..settings(&a, &[VIP]) };
    reconfigure(&a, &first, vec![router(lower.clone())]).unwrap();
    wait_until("it is heard", || second.status().vrrp.heard.is_some_and(|heard| heard.priority == 200));

    let more =
        bowline_vrrp::Settings { addresses: settings(&a, &[VIP, "10.9.0.101"]).addresses, ..lower.clone() };
    reconfigure(&a, &first, vec![router(more)]).unwrap();
    wait_until("both are there", || a.has(VIP) && a.has("10.9.0.101"));
    assert_eq!(first.stand.evictions(), 0);

    // An address that the host has by other means is refused before it costs those that are held.
    ip_command(&a, "address add 10.9.0.102/24 dev lan0");
    let taken = settings(&a, &[VIP, "10.9.0.101", "10.9.0.102"]).addresses;
    let taken = router(bowline_vrrp::Settings { addresses: taken, ..lower.clone() });
    assert!(matches!(reconfigure(&a, &first, vec![taken]), Err(StartError::Taken { .. })));
    assert!(first.state() == State::Active && a.has("10.9.0.101"));

    let wrong = Router { interface: "lan1".to_owned(), ..router(lower.clone()) };
    assert!(matches!(reconfigure(&a, &first, vec![wrong]), Err(StartError::NoInterface { .. })));
    reconfigure(&a, &first, vec![router(lower)]).unwrap();
    wait_until("the second is gone", || !a.has("10.9.0.101"));
    assert_eq!(first.stand.asked()[0], (Asked::Evict, true));
    wait_until("adverts are heard", || second.tally().adverts_received > 30);
    assert_eq!((first.state(), second.state()), (State::Active, State::Backup));
    assert!(a.has(VIP) && first.tally().leases_lost == 0);
}

#[test]
fn routers_come_and_go_beside_one_that_stays() {
    let Some((a, _b)) = two_hosts() else { return };
    let other = |vrid: u8, vip: &str| Router {
        name: format!("other-{vrid}"),
        ..router(bowline_vrrp::Settings {
            vrid: bowline_vrrp::Vrid::new(vrid).unwrap(),
            ..settings(&a, &[vip])
        })
    };
    let stays = || router(settings(&a, &[VIP]));
    let node = Node::start(&a, settings(&a, &[VIP]));
    node.wait_held(&a, VIP);
    reconfigure(&a, &node, vec![stays(), other(7, "10.9.0.107")]).unwrap();
    node.vips.set_can_serve("other-7", true);
    wait_until("it is there", || a.has("10.9.0.107"));
    assert_eq!(node.vips.status().len(), 2);
    // Its number changes, so that it has to leave first.
    let renumbered = Router { name: "other-7".to_owned(), ..other(8, "10.9.0.107") };
    reconfigure(&a, &node, vec![stays(), renumbered]).unwrap();
    node.vips.set_can_serve("other-7", true);
    wait_until("it is there", || {
        let status = node.vips.status().pop().unwrap();
        status.vrrp.held && a.has("10.9.0.107")
    });
    reconfigure(&a, &node, vec![stays()]).unwrap();
    wait_until("it is gone", || !a.has("10.9.0.107") && node.vips.status().len() == 1);
    assert_eq!((node.state(), node.tally().leases_lost), (State::Active, 0));
    let evicted = node.stand.evictions();
    assert_eq!(evicted, 2, "each time it left");
}

#[test]
fn unicast_moves_an_address_too() {
    let Some((a, b)) = two_hosts() else { return };
    let to = |peer: &Host| Transport::Unicast(Arc::from([peer.v4()]));
    let first = Node::start(&a, bowline_vrrp::Settings { transport: to(&b), ..settings(&a, &[VIP]) });
    first.wait_held(&a, VIP);
    let second = Node::start(&b, bowline_vrrp::Settings { transport: to(&a), ..settings(&b, &[VIP]) });
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    assert_eq!(second.state(), State::Backup);
    first.vips.leave();
    second.wait_held(&b, VIP);
}
