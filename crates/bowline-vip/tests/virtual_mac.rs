//! Virtual routers with an Ethernet address of their own.

mod common;
#[path = "common/process.rs"]
mod process;

use bowline_sys::announce::{Announcer, ClaimKind, Frame, Listener};
use bowline_sys::mac::Mac;
use bowline_sys::packet::{Direction, PacketSocket};
use bowline_sys::rtnetlink::{Link, VirtualMac};
use bowline_sys::vrrp_socket::Family;
use bowline_vip::{Event, Router, VirtualIps};
use bowline_vrrp::{Peers, Settings, State, Vrid};
use common::*;
use process::{Daemon, pid};
use rustix::process::{Signal, kill_process};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const V6: [&str; 2] = ["fe80::9:100", "2001:db8::100"];

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

/// Three machines on a switch, if the kernel has what is needed.
fn hosts() -> Option<([Host; 3], Switch)> {
    let (hosts, switch) = three_hosts()?;
    // As many distributions have it.
    let strict = || std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1");
    hosts.iter().for_each(|host| host.inside(strict).unwrap());
    let of = VirtualMac { vrid: 1, family: Family::V4 };
    match hosts[0].netlink().try_virtual_link(hosts[0].link_index(), of) {
        Err(error) if error.to_string().contains("not supported") => {
            println!("skipped: this kernel has no macvlan");
            None
        }
        result => {
            result.unwrap();
            Some((hosts, switch))
        }
    }
}

fn with_mac(settings: Settings) -> Router {
    Router { virtual_mac: true, ..router(settings) }
}

fn start(host: &Host, vips: &[&str]) -> Node {
    let node = Node::start_all(host, vec![with_mac(settings(host, vips))]);
    node.vips.set_can_serve("api", true);
    node
}

fn of(vips: &[&str]) -> VirtualMac {
    let family = if ip(vips[0]).is_ipv4() { Family::V4 } else { Family::V6 };
    VirtualMac { vrid: 51, family }
}

fn own_link(host: &Host, vips: &[&str]) -> Option<Link> {
    host.netlink().interfaces().unwrap().by_name(&of(vips).link_name()).cloned()
}

/// As an operator does it.
#[track_caller]
fn ip_command(host: &Host, arguments: &str) {
    let mut command = Command::new("ip");
    command.args(arguments.split(' '));
    assert!(host.inside(|| command.status()).unwrap().success(), "ip {arguments}");
}

/// How an interface speaks of addresses.
fn arp_settings(host: &Host) -> [String; 2] {
    let read = |setting| {
        let path = format!("/proc/sys/net/ipv4/conf/{LINK}/{setting}");
        host.inside(|| std::fs::read_to_string(path)).unwrap().trim().to_owned()
    };
    [read("arp_ignore"), read("arp_announce")]
}

fn as_it_was(host: &Host) -> bool {
    arp_settings(host) == ["0", "0"]
}

/// A machine that hears who says that they have an address.
struct Ear {
    listener: Listener,
    announcer: Announcer,
    question: Frame,
    heard: BTreeSet<Mac>,
}

impl Ear {
    fn of(host: &Host, vip: &str) -> Self {
        let interfaces = host.netlink().interfaces().unwrap();
        let link = interfaces.by_name(LINK).unwrap();
        let open = || (Listener::open(link.index, &[ip(vip)]), Announcer::open(link.index));
        let (listener, announcer) = host.inside(open);
        let question = Frame::probe(ip(vip), link.mac.unwrap());
        Self { listener: listener.unwrap(), announcer: announcer.unwrap(), question, heard: BTreeSet::new() }
    }

    /// Everybody who has said so until now.
    fn hear(&mut self) -> &BTreeSet<Mac> {
        while let Some(claim) = self.listener.next_claim().unwrap() {
            // Those that wait ask, too.
            if claim.kind == ClaimKind::Has {
                self.heard.insert(claim.mac);
            }
        }
        &self.heard
    }

    fn ask(&self) {
        self.announcer.send(&self.question).unwrap();
    }
}

/// Where a host believes an address to be.
fn neighbour(host: &Host, address: &str) -> String {
    let mut command = Command::new("ip");
    command.args(["neighbour", "show", address, "dev", LINK]);
    let said = host.inside(|| command.output()).unwrap();
    let text = String::from_utf8(said.stdout).unwrap();
    let mac = text.split_whitespace().skip_while(|word| *word != "lladdr").nth(1);
    mac.unwrap_or_default().to_owned()
}

/// Whether a new connection from `from` is answered.
#[track_caller]
fn is_served(from: &Host, listener: &TcpListener, vip: IpAddr) {
    let port = listener.local_addr().unwrap().port();
    let mut client = from.inside(|| TcpStream::connect((vip, port))).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    server.write_all(b"y").unwrap();
    client.read_exact(&mut [0]).unwrap();
}

#[test]
fn the_address_moves_and_clients_see_one_ethernet_address_all_the_time() {
    let Some(([a, b, client], _switch)) = hosts() else { return };
    for vips in [&[VIP][..], &V6] {
        let (vip, mac) = (vips[vips.len() - 1], of(vips).mac());
        if ip(vip).is_ipv6() {
            client.namespace.add_address(LINK, ip("2001:db8::3"), 64).unwrap();
            for host in [&a, &b] {
                let own = format!("2001:db8::{}", host.number);
                host.namespace.add_address(LINK, ip(&own), 64).unwrap();
            }
        }
        let everywhere = if ip(vip).is_ipv4() { "0.0.0.0" } else { "::" };
        let listeners = [&a, &b].map(|host| host.inside(|| TcpListener::bind((everywhere, 0))).unwrap());
        let mut ear = Ear::of(&client, vip);
        let first = start(&a, vips);
        first.wait_held(&a, vip);
        let link = own_link(&a, vips).unwrap();
        assert!(link.up && link.mac == Some(mac));
        assert_eq!(a.find(vip).unwrap().interface, link.index);
        is_served(&client, &listeners[0], ip(vip));
        assert_eq!(neighbour(&client, vip), mac.to_string());

        let second = start(&b, vips);
        wait_until("adverts are heard", || second.tally().adverts_received > 5);
        assert_eq!((second.state(), own_link(&b, vips)), (State::Backup, None), "a Backup has none");
        ear.ask();
        wait_until("an answer", || !ear.hear().is_empty());
        first.vips.leave();
        assert_eq!((own_link(&a, vips), as_it_was(&a)), (None, true), "nothing is left");
        second.wait_held(&b, vip);
        assert_eq!(neighbour(&client, vip), mac.to_string(), "it has not changed");
        is_served(&client, &listeners[1], ip(vip));
        ear.ask();
        // The answer to what is asked later comes later, and whoever was to answer wrongly has by then.
        is_served(&client, &listeners[1], ip(vip));
        assert_eq!(*ear.hear(), BTreeSet::from([mac]), "nobody says anything else, or said so");
        assert_eq!(second.tally().duplicates, 0);
        second.vips.leave();
        assert_eq!((own_link(&b, vips), as_it_was(&b)), (None, true));
    }
}

#[test]
fn two_holders_hear_each_other_when_they_meet_again() {
    let Some((hosts, switch)) = hosts() else { return };
    let [a, b, _] = &hosts;
    let first = start(a, &[VIP]);
    first.wait_held(a, VIP);
    let second = start(b, &[VIP]);
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    for round in 1..=3 {
        switch.cut(a, true);
        second.wait_held(b, VIP);
        assert_eq!((first.state(), holders(&[a, b], VIP)), (State::Active, 2), "neither can know");
        switch.cut(a, false);
        second.wait(State::Backup);
        wait_until("one holder", || own_link(b, &[VIP]).is_none() && !b.has(VIP));
        assert_eq!((first.state(), first.stand.evictions()), (State::Active, 0));
        wait_until("they are told", || second.stand.evictions() == round);
    }
}

#[test]
fn a_node_without_one_takes_part_in_the_same_group() {
    let Some(([a, b, client], _switch)) = hosts() else { return };
    let first = start(&a, &[VIP]);
    first.wait_held(&a, VIP);
    let second = Node::start(&b, settings(&b, &[VIP]));
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    let mut ear = Ear::of(&client, VIP);
    first.vips.leave();
    second.wait_held(&b, VIP);
    let third = start(&a, &[VIP]);
    wait_until("adverts are heard", || third.tally().adverts_received > 5);
    assert_eq!((third.state(), own_link(&a, &[VIP])), (State::Backup, None));
    let parent = b.netlink().interfaces().unwrap().by_name(LINK).unwrap().mac.unwrap();
    wait_until("an announcement", || ear.hear().contains(&parent));
    second.vips.leave();
    third.wait_held(&a, VIP);
    wait_until("another one", || ear.hear().len() == 2);
    assert_eq!(*ear.hear(), BTreeSet::from([parent, of(&[VIP]).mac()]));
}

#[test]
fn what_is_done_to_its_link_is_undone() {
    let Some(([a, ..], _switch)) = hosts() else { return };
    for vips in [&[VIP][..], &V6] {
        let node = start(&a, vips);
        node.wait_held(&a, vips[0]);
        let name = of(vips).link_name();
        let before = own_link(&a, vips).unwrap();
        ip_command(&a, &format!("link del {name}"));
        let is_another = || own_link(&a, vips).is_some_and(|link| link.index != before.index);
        wait_until("another link", is_another);
        vips.iter().for_each(|vip| node.wait_held(&a, vip));
        let lost = node.tally().leases_lost;
        assert!(lost > 0);
        a.namespace.set_link(&name, bowline_sys::netns::LinkState::Down).unwrap();
        wait_until("it is up again", || own_link(&a, vips).is_some_and(|link| link.up));
        vips.iter().for_each(|vip| node.wait_held(&a, vip));
        assert!(node.tally().leases_lost > lost, "connections may have been lost");
        assert_eq!(node.state(), State::Active);
        node.vips.leave();
        assert_eq!((own_link(&a, vips), as_it_was(&a)), (None, true));
    }
}

#[test]
fn the_interface_is_as_it_was_although_somebody_has_removed_the_link_that_tells() {
    let Some(([a, ..], _switch)) = hosts() else { return };
    let node = start(&a, &[VIP]);
    node.wait_held(&a, VIP);
    assert!(!as_it_was(&a));
    // So it is not made anew before its end.
    node.stand.keeper_hangs.store(true, Ordering::Relaxed);
    wait_until("the keeper hangs", || node.stand.keeper_waits.load(Ordering::Relaxed));
    ip_command(&a, &format!("link del {}", of(&[VIP]).link_name()));
    let Node { vips, stand, memory } = node;
    std::thread::scope(|scope| {
        scope.spawn(|| vips.leave());
        memory.wait_for(|event| {
            let Event::Router { event: bowline_vrrp::Event::Transition { to, .. }, .. } = event else {
                return false;
            };
            *to == State::Initialize
        });
        stand.keeper_hangs.store(false, Ordering::Relaxed);
    });
    assert_eq!((own_link(&a, &[VIP]), as_it_was(&a)), (None, true));
}

#[test]
fn so_it_is_when_the_daemon_is_killed_after_that() {
    let Some(([a, ..], _switch)) = hosts() else { return };
    let mut daemon = Daemon::start_virtual(&a, &[VIP]);
    wait_until("the address", || a.has(VIP));
    daemon.guard();
    daemon.freeze();
    ip_command(&a, &format!("link del {}", of(&[VIP]).link_name()));
    assert!(!as_it_was(&a));
    daemon.kill();
    wait_until("all is as it was", || as_it_was(&a));
    assert_eq!(own_link(&a, &[VIP]), None);
}

#[test]
fn a_change_of_the_option_is_a_hand_over() {
    let Some(([a, ..], _switch)) = hosts() else { return };
    let node = start(&a, &[VIP]);
    node.wait_held(&a, VIP);
    let parent = a.link_index();
    assert_ne!(a.find(VIP).unwrap().interface, parent);
    a.inside(|| node.vips.reconfigure(vec![router(settings(&a, &[VIP]))])).unwrap();
    node.vips.set_can_serve("api", true);
    node.wait_held(&a, VIP);
    assert_eq!((a.find(VIP).unwrap().interface, own_link(&a, &[VIP])), (parent, None));
    a.inside(|| node.vips.reconfigure(vec![with_mac(settings(&a, &[VIP]))])).unwrap();
    node.vips.set_can_serve("api", true);
    node.wait_held(&a, VIP);
    let link = own_link(&a, &[VIP]).unwrap();
    assert_eq!(a.find(VIP).unwrap().interface, link.index);
    // What is the same goes on undisturbed, and its link with it.
    a.inside(|| node.vips.reconfigure(vec![with_mac(settings(&a, &[VIP]))])).unwrap();
    assert_eq!(
        (node.state(), own_link(&a, &[VIP]).map(|link| link.index)),
        (State::Active, Some(link.index))
    );
}

#[test]
fn another_programs_link_of_the_name_is_refused_before_anything_is_changed() {
    let Some(([a, b, _], _switch)) = hosts() else { return };
    a.namespace.join(&of(&[VIP]).link_name(), &b.namespace, "other").unwrap();
    let started = a.inside(|| {
        let routers = vec![with_mac(settings(&a, &[VIP]))];
        VirtualIps::start(routers, Arc::new(Stand::default()), Arc::new(Memory::default()), guard_command())
    });
    let refused = started.unwrap_err().to_string();
    assert!(
        refused.starts_with("api: lan0 cannot have a virtual MAC: bl-51-4 is another program's"),
        "{refused}"
    );
    assert!(own_link(&a, &[VIP]).is_some() && as_it_was(&a));
}

#[test]
fn a_guard_takes_the_link_from_a_daemon_that_was_killed() {
    let Some(([a, b, _], _switch)) = hosts() else { return };
    for vips in [&[VIP][..], &V6] {
        let mut daemon = Daemon::start_virtual(&a, vips);
        wait_until("the address", || vips.iter().all(|vip| a.has(vip)));
        let node = start(&b, vips);
        wait_until("adverts are heard", || node.tally().adverts_received > 5);
        daemon.kill();
        node.wait_held(&b, vips[0]);
        wait_until("no link is left", || own_link(&a, vips).is_none());
        wait_until("all is as it was", || as_it_was(&a));
        node.vips.leave();
    }
}

/// The Ethernet address that the first advert of priority 0 on the link comes from.
fn farewell_comes_from(ear: &PacketSocket) -> Mac {
    let mut from = None;
    wait_until("a farewell", || {
        let mut frame = [0; 256];
        let Some(received) = ear.receive(&mut frame).unwrap() else { return false };
        // Version 4 with a header of five words and version 6; protocol 112, and the priority of a VRRP message.
        let (protocol, priority) = if frame[14] == 0x45 { (23, 34 + 2) } else { (20, 54 + 2) };
        let is_farewell = frame[protocol] == 112 && received.length > priority && frame[priority] == 0;
        from = is_farewell.then(|| Mac(frame[6..12].try_into().unwrap()));
        is_farewell
    });
    from.unwrap()
}

#[test]
fn a_guard_says_farewell_from_the_address_that_the_adverts_came_from() {
    let Some(([a, _, client], _switch)) = hosts() else { return };
    let ear = client.inside(|| PacketSocket::open(LINK)).unwrap();
    for vips in [&[VIP][..], &V6] {
        let mut daemon = Daemon::start_virtual(&a, vips);
        wait_until("the address", || vips.iter().all(|vip| a.has(vip)));
        daemon.guard();
        daemon.kill();
        assert_eq!(farewell_comes_from(&ear), of(vips).mac());
        wait_until("no link is left", || own_link(&a, vips).is_none());
    }
}

#[test]
fn without_a_guard_the_link_falls_silent_and_the_next_start_removes_it() {
    let Some(([a, b, client], _switch)) = hosts() else { return };
    let mut daemon = Daemon::start_virtual(&a, &[VIP]);
    wait_until("the address", || a.has(VIP));
    kill_process(pid(daemon.guard()), Signal::KILL).unwrap();
    daemon.kill();
    wait_until("the lease has ended", || !a.has(VIP));
    assert!(own_link(&a, &[VIP]).is_some());
    // It answers nobody, and does nothing to the successor's clients.
    let node = start(&b, &[VIP]);
    node.wait_held(&b, VIP);
    let listener = b.inside(|| TcpListener::bind("0.0.0.0:0")).unwrap();
    is_served(&client, &listener, ip(VIP));
    // Another start on that host, of whatever router.
    let other = slow(Settings { vrid: bowline_vrrp::Vrid::new(9).unwrap(), ..settings(&a, &["10.9.0.101"]) });
    let next = Node::start_all(&a, vec![router(other)]);
    assert!(own_link(&a, &[VIP]).is_none() && as_it_was(&a));
    let told = next.memory.wait_for(|event| matches!(event, Event::VirtualLinkLeftover { .. }));
    assert_eq!(told, Event::VirtualLinkLeftover { link: "bl-51-4".to_owned() });
    assert_eq!(node.state(), State::Active);
}

#[test]
fn a_link_that_is_left_speaks_of_no_address_whatever_it_is_asked() {
    let Some(([a, b, client], _switch)) = hosts() else { return };
    client.namespace.add_address(LINK, ip("2001:db8::3"), 64).unwrap();
    // As on every node of Kubernetes: what is sent to that Ethernet address might be sent on.
    let forward = || std::fs::write("/proc/sys/net/ipv4/conf/all/forwarding", "1");
    a.inside(forward).unwrap();
    for vips in [&[VIP][..], &V6] {
        let (vip, mac) = (vips[vips.len() - 1], of(vips).mac());
        let mut daemon = Daemon::start_virtual(&a, vips);
        wait_until("the address", || vips.iter().all(|vip| a.has(vip)));
        kill_process(pid(daemon.guard()), Signal::KILL).unwrap();
        daemon.kill();
        wait_until("the lease has ended", || vips.iter().all(|vip| !a.has(vip)));
        assert!(own_link(&a, vips).is_some_and(|link| link.up));
        let heard = client.inside(|| PacketSocket::open(LINK)).unwrap();
        let own = if ip(vip).is_ipv4() { a.v4() } else { a.v6() };
        let ears = [vip, &own.to_string()].map(|address| Ear::of(&client, address));
        // Who still believes that it is there, and who asks everybody, also for what that host has.
        ip_command(&client, &format!("neighbour replace {vip} lladdr {mac} dev {LINK} nud permanent"));
        let ask = || std::net::UdpSocket::bind(if ip(vip).is_ipv4() { "0.0.0.0:0" } else { "[::]:0" });
        let asker = client.inside(ask).unwrap();
        for _ in 0..3 {
            asker.send_to(b"?", (ip(vip), 9)).unwrap();
            ears.iter().for_each(Ear::ask);
        }
        ip_command(&client, &format!("neighbour delete {vip} dev {LINK}"));
        // What the host says to that comes before what is said by a later holder, which has another Ethernet address here.
        let node = Node::start(&b, settings(&b, vips));
        node.wait_held(&b, vip);
        let later = b.netlink().interfaces().unwrap().by_name(LINK).unwrap().mac.unwrap();
        let mut said = false;
        let mut frame = [0; 256];
        wait_until("the later holder is heard", || {
            while let Some(received) = heard.receive(&mut frame).unwrap() {
                let from = Mac(frame[6..12].try_into().unwrap());
                let is_incoming = received.direction == Direction::Incoming;
                // The kernel takes its leave of the groups in which an IPv6 address was looked for, once (RFC 3810): a hop-by-hop
                // option, and a report.
                let is_leave = (&frame[12..14], frame[20], frame[62]) == (&[0x86, 0xdd], 0, 143);
                assert!(
                    !is_incoming || is_leave || from != mac,
                    "{:02x?}",
                    &frame[..received.length.min(256)]
                );
                said |= is_incoming && from == later;
            }
            said
        });
        assert_eq!(node.tally().duplicates, 0);
        node.vips.leave();
        a.inside(|| a.netlink().remove_virtual_link(of(vips), None)).unwrap();
    }
}

#[test]
fn a_frozen_daemon_holds_up_nobody_and_removes_its_link_when_it_thaws() {
    let Some(([a, b, client], _switch)) = hosts() else { return };
    let daemon = Daemon::start_virtual(&a, &[VIP]);
    wait_until("the address", || a.has(VIP));
    let node = start(&b, &[VIP]);
    wait_until("adverts are heard", || node.tally().adverts_received > 5);
    daemon.freeze();
    node.wait_held(&b, VIP);
    wait_until("one holder", || holders(&[&a, &b], VIP) == 1);
    let listener = b.inside(|| TcpListener::bind("0.0.0.0:0")).unwrap();
    is_served(&client, &listener, ip(VIP));
    let heard = node.tally().adverts_received;
    daemon.thaw();
    wait_until("its link is gone", || own_link(&a, &[VIP]).is_none());
    assert_eq!((node.tally().adverts_received, node.state()), (heard, State::Active), "it did not speak");
}

#[test]
fn another_number_brings_another_ethernet_address_and_the_former_one_is_no_strangers() {
    let Some(([a, b, client], _switch)) = hosts() else { return };
    let other = VirtualMac { vrid: 52, family: Family::V4 };
    let numbered = |host: &Host, vrid| {
        let peer = if host.number == a.number { b.v4() } else { a.v4() };
        let (vrid, peers) = (Vrid::new(vrid).unwrap(), Peers::Planned(Arc::from([peer])));
        vec![with_mac(Settings { vrid, peers, ..settings(host, &[VIP]) })]
    };
    let [first, second] = [&a, &b].map(|host| {
        let node = Node::start_all(host, numbered(host, 51));
        node.vips.set_can_serve("api", true);
        wait_until("the first has it", || a.has(VIP));
        node
    });
    wait_until("adverts are heard", || second.tally().adverts_received > 5);
    let renumber = |host: &Host, node: &Node| {
        host.inside(|| node.vips.reconfigure(numbered(host, other.vrid))).unwrap();
        node.vips.set_can_serve("api", true);
    };
    renumber(&b, &second);
    let mut ear = Ear::of(&client, VIP);
    // It asks who has the address, and half a second later again whom it does not know.
    wait_until("time passes", || second.tally().adverts_received > 15);
    assert_eq!((second.state(), second.tally().duplicates), (State::Backup, 0));
    renumber(&a, &first);
    second.wait_held(&b, VIP);
    ear.ask();
    wait_until("it is announced there", || ear.hear().contains(&other.mac()));
    let named =
        |host: &Host, of: VirtualMac| host.netlink().interfaces().unwrap().by_name(&of.link_name()).is_some();
    assert!(!named(&a, of(&[VIP])) && as_it_was(&a) && named(&b, other));
    second.vips.leave();
    first.wait_held(&a, VIP);
    first.vips.leave();
    assert!(as_it_was(&a) && as_it_was(&b));
}
