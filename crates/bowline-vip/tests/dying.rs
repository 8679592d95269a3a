//! A daemon that is killed, frozen or wedged does not keep its address.

mod common;
#[path = "common/process.rs"]
mod process;

use bowline_sys::rtnetlink::Lease;
use bowline_vip::Event;
use bowline_vrrp::{Fault, Loss, Reason, State};
use common::*;
use process::{Daemon, lives, pid};
use rustix::process::{Signal, kill_process};
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Instant;

#[test]
#[ignore = "the guard of the tests in this file"]
fn child_guard() {
    bowline_vip::watch_over().unwrap();
}

#[test]
#[ignore = "a daemon for the tests in this file"]
fn child_daemon() {
    process::run();
}

/// A daemon on the first host that has the address, and a node on the second that waits.
fn daemon_and_node(hosts: &(Host, Host), vips: &[&str]) -> (Daemon, Node) {
    let (a, b) = hosts;
    let daemon = Daemon::start(a, vips);
    wait_until("the address", || vips.iter().all(|vip| a.has(vip)));
    let node = Node::start(b, settings(b, vips));
    wait_until("adverts are heard", || node.tally().adverts_received > 5);
    assert_eq!(node.state(), State::Backup);
    (daemon, node)
}

#[test]
fn a_guard_takes_the_address_from_a_daemon_that_was_killed() {
    let Some((a, b)) = two_hosts() else { return };
    for vips in [&[VIP][..], &["fe80::9:100", "2001:db8::100"]] {
        // Its adverts are missed after three seconds, and its lease ends after a minute.
        let mut daemon = Daemon::start_with(&a, vips, true);
        wait_until("the address", || vips.iter().all(|vip| a.has(vip)));
        let node = Node::start(&b, slow(settings(&b, vips)));
        wait_until("adverts are heard", || node.tally().adverts_received > 1);
        let guard = daemon.guard();
        // What ends the whole group in order does not end the guard before the daemon.
        for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
            kill_process(pid(guard), signal).unwrap();
        }
        let start = Instant::now();
        daemon.kill();
        wait_until("nobody has it there", || vips.iter().all(|vip| !a.has(vip)));
        println!("{vips:?}: gone after {:?}", start.elapsed());
        let said = node.memory.wait_for(|event| {
            matches!(
                event,
                Event::Router { event: bowline_vrrp::Event::Transition { to: State::Active, .. }, .. }
            )
        });
        let Event::Router { event: bowline_vrrp::Event::Transition { reason, .. }, .. } = said else {
            panic!()
        };
        assert_eq!(reason, Reason::HolderLeft, "priority 0 was sent");
        node.wait_held(&b, vips[0]);
        wait_until("the guard has ended", || !lives(guard));
    }
}

#[test]
fn the_lease_takes_the_address_from_a_daemon_that_was_killed_with_its_guard() {
    let Some(hosts) = two_hosts() else { return };
    let (mut daemon, node) = daemon_and_node(&hosts, &[VIP]);
    kill_process(pid(daemon.guard()), Signal::KILL).unwrap();
    daemon.kill();
    node.wait_held(&hosts.1, VIP);
    wait_until("one holder", || holders(&[&hosts.0, &hosts.1], VIP) == 1);
    assert!(hosts.1.has(VIP));
}

#[test]
fn a_guard_that_was_killed_is_replaced_and_knows_what_the_first_one_knew() {
    let Some((a, _b)) = two_hosts() else { return };
    let mut daemon = Daemon::start_with(&a, &[VIP], true);
    wait_until("the address", || a.has(VIP));
    let first = daemon.guard();
    kill_process(pid(first), Signal::KILL).unwrap();
    wait_until("another guard", || daemon.guard() != first);
    let second = daemon.guard();
    // Until then it is a copy of the daemon, with all that it has open.
    let command = |process| std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
    wait_until("it is a guard", || command(second).contains("child_guard"));
    // It has been told when it has a socket for what it may have to say.
    wait_until("it was told", || raw_sockets(second) > 0);
    daemon.kill();
    wait_until("nobody has it there", || !a.has(VIP));
    wait_until("the guard has ended", || !lives(second));
}

/// Raw sockets for IPv4 that a process has.
fn raw_sockets(process: u32) -> usize {
    let raw = std::fs::read_to_string(format!("/proc/{process}/net/raw")).unwrap_or_default();
    let inode = |line: &str| line.split_whitespace().nth(9).map(str::to_owned);
    let known: Vec<_> = raw.lines().skip(1).filter_map(inode).collect();
    let Ok(open) = std::fs::read_dir(format!("/proc/{process}/fd")) else { return 0 };
    let target = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
    let sockets = open.filter_map(target).map(|target| target.to_string_lossy().into_owned());
    sockets.filter(|socket| known.iter().any(|inode| *socket == format!("socket:[{inode}]"))).count()
}

#[test]
fn a_guard_ends_with_a_daemon_that_ends_in_order_and_does_nothing() {
    let Some(hosts) = two_hosts() else { return };
    let (mut daemon, node) = daemon_and_node(&hosts, &[VIP]);
    let guard = daemon.guard();
    daemon.end();
    node.wait_held(&hosts.1, VIP);
    assert!(!hosts.0.has(VIP) && !lives(guard));
}

#[test]
fn a_frozen_daemon_loses_the_address_and_says_nothing_when_it_thaws() {
    let Some(hosts) = two_hosts() else { return };
    for vips in [&[VIP][..], &["fe80::9:100", "2001:db8::100"]] {
        let (daemon, node) = daemon_and_node(&hosts, vips);
        let start = Instant::now();
        daemon.freeze();
        node.wait_held(&hosts.1, vips[0]);
        let taken = start.elapsed();
        wait_until("one holder", || !vips.iter().any(|vip| hosts.0.has(vip)));
        let (alone, heard) = (start.elapsed(), node.tally().adverts_received);
        println!("{vips:?}: taken after {taken:?}, alone after {alone:?}");
        daemon.thaw();
        let sent = node.tally().adverts_sent;
        wait_until("time passes", || node.tally().adverts_sent > sent + 20);
        assert_eq!(node.tally().adverts_received, heard, "it spoke");
        assert_eq!(node.state(), State::Active);
        assert!(!vips.iter().any(|vip| hosts.0.has(vip)), "it took it back");
        // It takes part again.
        node.vips.leave();
        wait_until("it has it again", || vips.iter().all(|vip| hosts.0.has(vip)));
    }
}

#[test]
fn a_daemon_that_was_frozen_for_less_than_its_lease_steps_back_too() {
    let Some(hosts) = two_hosts() else { return };
    let (daemon, node) = daemon_and_node(&hosts, &[VIP]);
    daemon.freeze();
    node.wait(State::Active);
    let heard = node.tally().adverts_received;
    daemon.thaw();
    wait_until("one holder", || holders(&[&hosts.0, &hosts.1], VIP) == 1);
    node.wait_held(&hosts.1, VIP);
    assert_eq!(node.tally().adverts_received, heard, "it spoke");
    assert_eq!(node.state(), State::Active);
}

#[test]
fn a_backup_that_was_frozen_does_not_take_over_from_a_holder_that_lives() {
    let Some(hosts) = two_hosts() else { return };
    let (a, b) = &hosts;
    let node = Node::start(a, settings(a, &[VIP]));
    node.wait_held(a, VIP);
    let daemon = Daemon::start(b, &[VIP]);
    let guard = daemon.guard();
    for _ in 0..3 {
        // Until it takes part it would know no holder, and be right to become one.
        let sent = node.tally().adverts_sent;
        wait_until("it has heard", || node.tally().adverts_sent > sent + 5);
        daemon.freeze();
        let sent = node.tally().adverts_sent;
        wait_until("time passes", || node.tally().adverts_sent > sent + 10);
        daemon.thaw();
    }
    let sent = node.tally().adverts_sent;
    wait_until("time passes", || node.tally().adverts_sent > sent + 10);
    assert_eq!((node.tally().adverts_received, node.state()), (0, State::Active));
    assert!(lives(guard) && !b.has(VIP));
}

#[test]
fn with_a_wedged_worker_the_address_moves_and_comes_to_nobody_while_it_hangs() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    let start = Instant::now();
    first.stand.alive.store(false, Ordering::Relaxed);
    second.wait_held(&b, VIP);
    println!("moved after {:?}", start.elapsed());
    first.wait(State::Fault);
    assert_eq!(first.status().vrrp.fault, Some(Fault::NotServing));
    wait_until("one holder", || !a.has(VIP));
    wait_until("clients may come in again", || first.stand.asked().len() == 2);
    assert_eq!(first.stand.evictions(), 1);
    first.stand.alive.store(true, Ordering::Relaxed);
    first.wait(State::Backup);
    assert_eq!(second.state(), State::Active);
    // Nobody else is left, and it hangs again: rather nobody than somebody who does not serve.
    first.stand.alive.store(false, Ordering::Relaxed);
    first.wait(State::Fault);
    second.vips.leave();
    assert_eq!(holders(&[&a, &b], VIP), 0);
    first.stand.alive.store(true, Ordering::Relaxed);
    first.wait_held(&a, VIP);
}

#[test]
fn a_starved_holder_hands_over_to_whoever_is_not_and_keeps_the_address_where_nobody_is() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    let starves = |node: &Node, starved: bool| {
        node.stand.starved.store(starved, Ordering::Relaxed);
        node.memory.wait_for(|event| *event == Event::Starved { starved });
    };
    starves(&second, true);
    starves(&first, true);
    let heard = second.tally().adverts_received;
    wait_until("adverts are heard", || second.tally().adverts_received > heard + 15);
    assert_eq!((first.state(), second.state()), (State::Active, State::Backup), "it is no better there");
    starves(&second, false);
    second.wait_held(&b, VIP);
    first.wait(State::Backup);
    assert_eq!(first.status().vrrp.fault, None, "it serves whoever comes");
    wait_until("one holder", || !a.has(VIP));
    assert_eq!(first.stand.evictions(), 1);
}

#[test]
fn a_short_stall_of_a_worker_moves_nothing() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    first.stand.stalls.store(true, Ordering::Relaxed);
    wait_until("an advert is withheld", || first.tally().adverts_withheld > 0);
    let heard = second.tally().adverts_received;
    wait_until("adverts are heard", || second.tally().adverts_received > heard + 5);
    assert_eq!((first.state(), second.state()), (State::Active, State::Backup));
    assert_eq!(first.stand.evictions(), 0);
}

#[test]
fn an_advert_thread_that_hangs_keeps_no_address() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    first.stand.hangs.store(true, Ordering::Relaxed);
    second.wait_held(&b, VIP);
    wait_until("one holder", || !a.has(VIP));
    let heard = second.tally().adverts_received;
    first.stand.hangs.store(false, Ordering::Relaxed);
    first.wait(State::Backup);
    assert_eq!((second.state(), second.tally().adverts_received), (State::Active, heard));
    wait_until("who was connected is told", || first.stand.evictions() > 0);
    assert!(!a.has(VIP));
}

#[test]
fn a_keeper_that_hangs_moves_the_address() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    first.stand.keeper_hangs.store(true, Ordering::Relaxed);
    a.netlink().remove(&lease(&a)).unwrap();
    second.wait_held(&b, VIP);
    assert!(!a.has(VIP));
    first.stand.keeper_hangs.store(false, Ordering::Relaxed);
    first.wait(State::Backup);
    assert_eq!((second.state(), holders(&[&a, &b], VIP)), (State::Active, 1));
}

#[test]
fn a_log_that_nobody_reads_moves_nothing() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    first.memory.hangs.store(true, Ordering::Relaxed);
    let renewals = first.tally().renewals;
    a.netlink().remove(&lease(&a)).unwrap();
    wait_until("it is back, and renewed", || first.tally().renewals > renewals + 4);
    assert_eq!((first.tally().leases_lost, second.state()), (1, State::Backup));
    first.memory.hangs.store(false, Ordering::Relaxed);
    first.memory.wait_for(|event| matches!(event, Event::LeaseLost { .. }));
}

#[test]
fn an_address_that_expired_while_the_keeper_hung_comes_back_without_its_connections() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    first.stand.keeper_hangs.store(true, Ordering::Relaxed);
    wait_until("the address has expired", || !a.has(VIP));
    first.stand.keeper_hangs.store(false, Ordering::Relaxed);
    first.memory.wait_for(|event| matches!(event, Event::LeaseLost { loss: Loss::Expired, .. }));
    wait_until("there is one holder", || holders(&[&a, &b], VIP) == 1);
    wait_until("who was connected is told", || first.stand.evictions() > 0);
    assert_eq!(first.tally().leases_lost, 1);
}

fn lease(host: &Host) -> Lease {
    Lease { interface: host.link_index(), address: ip(VIP), valid: NonZeroU32::MIN }
}

#[test]
fn where_nobody_can_be_let_in_again_it_is_tried_until_it_is_done() {
    let Some((a, b)) = two_hosts() else { return };
    let first = Node::start(&a, settings(&a, &[VIP]));
    first.wait_held(&a, VIP);
    let _second = Node::start(&b, settings(&b, &[VIP]));
    first.stand.stays_shut.store(true, Ordering::Relaxed);
    first.stand.alive.store(false, Ordering::Relaxed);
    first.wait(State::Fault);
    let attempts = || first.stand.asked().iter().filter(|(asked, _)| *asked == Asked::Readmit).count();
    wait_until("several attempts", || attempts() > 3);
    first.stand.stays_shut.store(false, Ordering::Relaxed);
    let before = attempts();
    wait_until("the one that succeeds", || attempts() > before);
    let last = attempts();
    // The keeper goes round for other reasons: the guard alone is looked after every second.
    first.stand.alive.store(true, Ordering::Relaxed);
    first.wait(State::Backup);
    assert_eq!(attempts(), last);
}

/// Where a host believes an address to be, as it finds when it sends something there.
fn believes(host: &Host, vip: &str) -> String {
    let socket = host.inside(|| std::net::UdpSocket::bind("0.0.0.0:0")).unwrap();
    // What cannot be delivered is said later, or not at all.
    let _ = socket.send_to(b"?", (ip(vip), 9));
    let mut command = std::process::Command::new("ip");
    command.args(["neighbour", "show", vip, "dev", LINK]);
    let said = host.inside(|| command.output()).unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    text.split_whitespace().skip_while(|word| *word != "lladdr").nth(1).unwrap_or_default().to_owned()
}

#[test]
fn of_two_that_do_not_hear_each_others_adverts_the_one_that_stays_tells_where_it_is() {
    let Some(([a, b, client], _switch)) = three_hosts() else { return };
    let macs = [&a, &b].map(|host| {
        let interfaces = host.netlink().interfaces().unwrap();
        interfaces.by_name(LINK).unwrap().mac.unwrap().to_string()
    });
    // With numbers of their own they are deaf to each other's adverts, and not to what is said of addresses.
    let mut daemon = Daemon::start(&a, &[VIP]);
    wait_until("the address", || a.has(VIP));
    let deaf = bowline_vrrp::Settings { vrid: bowline_vrrp::Vrid::new(52).unwrap(), ..settings(&b, &[VIP]) };
    let node = Node::start(&b, deaf);
    node.wait_held(&b, VIP);
    // Seven are those of a takeover, after which there is one every half a minute.
    wait_until("it speaks up when the first one has", || node.tally().announcements > 7);
    wait_until("the client is at the first one", || believes(&client, VIP) == macs[0]);
    daemon.kill();
    wait_until("the address is gone there", || !a.has(VIP));
    // It notices that the other one has fallen silent; its next announcement in the order of things is far away.
    wait_until("the client is at the other one", || believes(&client, VIP) == macs[1]);
}
