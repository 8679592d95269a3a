//! A virtual router that gets another number or another version, on one host after the other or on all at once.

mod common;

use bowline_vip::{Event, Router};
use bowline_vrrp::{Protocol, Reason, Seconds, Settings, State, Vrid};
use common::*;

const OTHER: u8 = 52;

#[test]
#[ignore = "the guard of the tests in this file"]
fn child_guard() {
    bowline_vip::watch_over().unwrap();
}

fn renumbered(settings: Settings) -> Router {
    router(Settings { vrid: Vrid::new(OTHER).unwrap(), ..settings })
}

/// Makes its router one with another number, and waits until that takes part.
#[track_caller]
fn renumber(host: &Host, node: &Node, settings: Settings) {
    host.inside(|| node.vips.reconfigure(vec![renumbered(settings)])).unwrap();
    node.vips.set_can_serve("api", true);
}

/// It let go of the address because another one had it. What is told comes some time after what is done.
#[track_caller]
fn hands_over(node: &Node) {
    wait_until("it tells of its release", || last_release(node).is_some());
    assert_eq!(last_release(node), Some((State::Initialize, Reason::SuccessorHeard)));
}

/// Why it let go of the address last, and where it went.
fn last_release(node: &Node) -> Option<(State, Reason)> {
    let transition = |event: &Event| match event {
        Event::Router { event: bowline_vrrp::Event::Transition { from, to, reason }, .. } => {
            (*from == State::HandingOver).then_some((*to, *reason))
        }
        _ => None,
    };
    node.memory.all().iter().filter_map(transition).next_back()
}

/// A new one has heard the holder for long enough to be sure that it stays what it is.
#[track_caller]
fn stays_backup(node: &Node) {
    wait_until("it has heard the holder", || node.tally().adverts_received > 5);
    assert_eq!(node.state(), State::Backup, "{:#?}", node.memory.all());
}

#[test]
fn the_address_moves_to_those_that_have_the_new_number_when_the_last_one_gets_it() {
    let Some((hosts, _switch)) = three_hosts() else { return };
    let [a, b, c] = &hosts;
    let of = |host: &Host| settings(host, &[VIP]);
    let [first, second, third] = nodes_on(&hosts);
    wait_until("adverts are heard", || {
        second.tally().adverts_received.min(third.tally().adverts_received) > 5
    });
    // The holder comes last.
    renumber(c, &third, of(c));
    stays_backup(&third);
    renumber(b, &second, of(b));
    stays_backup(&second);
    assert_eq!((first.state(), holders(&[a, b, c], VIP)), (State::Active, 1));
    renumber(a, &first, of(a));
    second.wait_held(b, VIP);
    hands_over(&first);
    stays_backup(&first);
    assert_eq!((third.state(), holders(&[a, b, c], VIP)), (State::Backup, 1));
    let told = third.memory.wait_for(|event| matches!(event, Event::Renumbered { .. }));
    assert_eq!(told, Event::Renumbered { router: "api".into(), before: 51, vrid: OTHER });
}

#[test]
fn a_holder_that_gets_it_first_hands_over_and_leaves_it_there_whatever_it_prefers() {
    let Some((hosts, _switch)) = three_hosts() else { return };
    let [a, b, _] = &hosts;
    let of = |host: &Host| Settings { preempt: true, ..settings(host, &[VIP]) };
    let first = Node::start(a, of(a));
    first.wait_held(a, VIP);
    let second = Node::start(b, of(b));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    renumber(a, &first, of(a));
    second.wait_held(b, VIP);
    hands_over(&first);
    // It would not be heard by the one that has the address.
    stays_backup(&first);
    assert_eq!((second.state(), holders(&[a, b], VIP)), (State::Active, 1));
    renumber(b, &second, of(b));
    first.wait_held(a, VIP);
    hands_over(&second);
    stays_backup(&second);
    assert_eq!(holders(&[a, b], VIP), 1);
}

#[test]
fn one_that_cannot_serve_is_replaced_although_it_does_not_hear_that() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    renumber(&b, &second, settings(&b, &[VIP]));
    stays_backup(&second);
    first.vips.set_can_serve("api", false);
    second.wait_held(&b, VIP);
    assert_eq!(first.state(), State::Active);
}

#[test]
fn all_at_once_the_holder_serves_until_a_successor_is_heard_under_the_new_number() {
    let Some((hosts, _switch)) = three_hosts() else { return };
    let nodes = nodes_on(&hosts);
    wait_until("adverts are heard", || nodes[1..].iter().all(|node| node.tally().adverts_received > 5));
    std::thread::scope(|scope| {
        for (host, node) in hosts.iter().zip(&nodes) {
            scope.spawn(|| renumber(host, node, settings(host, &[VIP])));
        }
    });
    hands_over(&nodes[0]);
    let active = || nodes.iter().filter(|node| node.state() == State::Active).count();
    wait_until("one holder", || active() == 1 && holders(&hosts.each_ref(), VIP) == 1);
}

/// With version 2, by which it is told every second.
fn of_version_2(host: &Host) -> Settings {
    let protocol = Protocol::V2 { interval: Seconds::new(1).unwrap(), password: None };
    Settings { protocol, ..settings(host, &[VIP]) }
}

/// Two nodes with version 2, of which the first has the address.
fn of_version_2_both(a: &Host, b: &Host) -> [Node; 2] {
    let first = Node::start(a, of_version_2(a));
    first.wait_held(a, VIP);
    let second = Node::start(b, of_version_2(b));
    wait_until("adverts are heard", || second.tally().adverts_received > 1);
    [first, second]
}

fn update(host: &Host, node: &Node) {
    host.inside(|| node.vips.reconfigure(vec![router(settings(host, &[VIP]))])).unwrap();
}

/// Until it has heard so many adverts more.
#[track_caller]
fn hears(node: &Node, more: u64) {
    let heard = node.tally().adverts_received + more;
    wait_until("adverts are heard", || node.tally().adverts_received >= heard);
}

#[test]
fn nothing_moves_when_the_holder_gets_another_version_last() {
    let Some((a, b)) = two_hosts() else { return };
    let [first, second] = of_version_2_both(&a, &b);
    update(&b, &second);
    // Longer than it would wait for adverts of its own version.
    hears(&second, 3);
    assert_eq!((second.state(), holders(&[&a, &b], VIP)), (State::Backup, 1));
    second.memory.wait_for(|event| matches!(event, Event::SpeaksAnew { .. }));
    update(&a, &first);
    hears(&second, 10);
    assert_eq!((first.state(), second.state()), (State::Active, State::Backup));
    assert_eq!((first.stand.evictions(), first.tally().leases_lost), (0, 0));
}

#[test]
fn a_holder_that_gets_another_version_first_gives_way_to_who_does_not_understand_it() {
    let Some((a, b)) = two_hosts() else { return };
    let [first, second] = of_version_2_both(&a, &b);
    update(&a, &first);
    second.wait_held(&b, VIP);
    first.wait(State::Backup);
    wait_until("one holder", || !a.has(VIP));
    hears(&first, 3);
    assert_eq!((first.state(), holders(&[&a, &b], VIP)), (State::Backup, 1));
    update(&b, &second);
    hears(&first, 10);
    assert_eq!((first.state(), second.state()), (State::Backup, State::Active));
    assert_eq!(second.stand.evictions(), 0);
}
