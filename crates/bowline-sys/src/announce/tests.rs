use super::*;
use crate::mac::Mac;
use crate::netlink::{Encoder, Netlink, attributes, u16_at, u32_at};
use crate::testing::{End, LIMIT, allocations, pair, readable, until};
use crate::vrrp_socket::{Membership, VrrpSocket};
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU32;

const ELSEWHERE: Mac = Mac([2, 0, 0, 0, 0, 0x0a]);

fn addresses() -> [IpAddr; 2] {
    ["192.0.2.100".parse().unwrap(), "2001:db8::100".parse().unwrap()]
}

fn announcer(end: &End) -> Announcer {
    let index = end.link().index;
    end.inside(|| Announcer::open(index)).unwrap()
}

fn listener(end: &End, address: IpAddr) -> Listener {
    let index = end.link().index;
    end.inside(|| Listener::open(index, &[address])).unwrap()
}

fn hear(listener: &Listener) -> Claim {
    readable(listener);
    listener.next_claim().unwrap().expect("what passed the filter is a claim")
}

fn hold(end: &End, address: IpAddr) {
    let lease =
        crate::rtnetlink::Lease { interface: end.link().index, address, valid: NonZeroU32::new(60).unwrap() };
    end.netlink.hold(&lease).unwrap();
}

/// Where a namespace believes `address` to be.
fn neighbour(end: &End, address: IpAddr) -> Option<Mac> {
    neighbour_entry(end, address).and_then(|(_, mac)| mac)
}

/// What a namespace knows of a neighbour, as state and address: RTM_GETNEIGH of linux/neighbour.h.
fn neighbour_entry(end: &End, address: IpAddr) -> Option<(u16, Option<Mac>)> {
    const RTM_GETNEIGH: u16 = 30;
    const NDMSG: usize = 12;
    let netlink = end.inside(|| Netlink::open(None)).unwrap();
    let mut request = Encoder::default();
    request.structure(&[0; NDMSG]);
    let wanted = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let index = end.link().index;
    let entries = netlink.dump(RTM_GETNEIGH, &request, |message| {
        let attribute = |wanted: u16| {
            attributes(message.body.get(NDMSG..)?).find(|(kind, _)| *kind == wanted).map(|(_, value)| value)
        };
        let mac = attribute(2).and_then(|mac| mac.try_into().ok()).map(Mac);
        let is_it = u32_at(message.body, 4) == Some(index) && attribute(1)? == wanted;
        is_it.then_some((u16_at(message.body, 8)?, mac))
    });
    entries.unwrap().into_iter().next()
}

/// Has the namespace look for the neighbour, by a datagram to it.
fn greet(end: &End, address: IpAddr) {
    let any: IpAddr = if address.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
    let socket = end.inside(|| UdpSocket::bind((any, 0))).unwrap();
    socket.send_to(b"x", SocketAddr::new(address, 9)).unwrap();
}

#[test]
fn an_announcement_moves_the_address_in_the_neighbours_cache() {
    let Some((left, right)) = pair() else { return };
    let (announcer, own) = (announcer(&left), left.link().mac.unwrap());
    for address in addresses() {
        hold(&left, address);
        greet(&right, address);
        until("neighbour", || neighbour(&right, address) == Some(own));
        // At once, again and back: there is no time in which it would be ignored.
        for mac in [ELSEWHERE, own, ELSEWHERE] {
            announcer.send(&Frame::announcement(address, mac, Role::Host)).unwrap();
            until("update", || neighbour(&right, address) == Some(mac));
        }
    }
}

#[test]
fn a_probe_is_answered_by_who_has_the_address_and_by_nobody_else() {
    let Some((left, right)) = pair() else { return };
    let announcer = announcer(&left);
    let (own, there) = (left.link().mac.unwrap(), right.link());
    for address in addresses() {
        // Without it an IPv6 address that was just added is sometimes not found yet.
        let open = || VrrpSocket::open(&there, Family::of(address), Membership::Group);
        let vrrp = right.inside(open).unwrap();
        vrrp.expect_solicitations(&[address, address]).unwrap();
        let listener = listener(&left, address);
        announcer.send(&Frame::probe(address, own)).unwrap();
        // Free: an answer would come before that to the second probe, of which there is exactly one.
        hold(&right, address);
        announcer.send(&Frame::probe(address, own)).unwrap();
        let holder = Claim { address, mac: right.link().mac.unwrap(), kind: ClaimKind::Has };
        assert_eq!(hear(&listener), holder);
        assert_eq!(listener.next_claim().unwrap(), None, "one answer, and nothing of our own");
    }
}

#[test]
fn who_is_asked_knows_where_the_one_is_that_asks_also_after_looking_for_it_in_vain() {
    /// `NUD_INCOMPLETE`, `NUD_FAILED` of linux/neighbour.h.
    const IN_VAIN: [u16; 2] = [0x01, 0x20];
    let Some((left, right)) = pair() else { return };
    let (announcer, own) = (announcer(&left), left.link().mac.unwrap());
    let peers: [(IpAddr, IpAddr); 2] = [
        ("192.0.2.50".parse().unwrap(), "192.0.2.60".parse().unwrap()),
        ("2001:db8::50".parse().unwrap(), "2001:db8::60".parse().unwrap()),
    ];
    for (asked, asker) in peers {
        hold(&right, asked);
        greet(&right, asker);
        let state = || neighbour_entry(&right, asker).map(|(state, _)| state);
        assert!(state().is_some_and(|state| IN_VAIN.contains(&state)), "{:?}", state());
        // An IPv6 address that was just added is sometimes not found yet.
        until("an entry", || {
            announcer.send(&Frame::solicitation(asked, own, asker)).unwrap();
            neighbour(&right, asker) == Some(own)
        });
    }
}

#[test]
fn what_others_say_of_an_address_is_heard_and_all_else_is_not() {
    let Some((left, right)) = pair() else { return };
    let announcer = announcer(&right);
    let other: [IpAddr; 2] = ["192.0.2.101".parse().unwrap(), "2001:db8::101".parse().unwrap()];
    for (address, other) in addresses().into_iter().zip(other) {
        let listener = listener(&left, address);
        announcer.send(&Frame::announcement(other, ELSEWHERE, Role::Host)).unwrap();
        announcer.send(&Frame::probe(other, ELSEWHERE)).unwrap();
        greet(&left, other);
        announcer.send(&Frame::announcement(address, ELSEWHERE, Role::Host)).unwrap();
        announcer.send(&Frame::probe(address, ELSEWHERE)).unwrap();
        assert_eq!(hear(&listener), Claim { address, mac: ELSEWHERE, kind: ClaimKind::Has });
        assert_eq!(hear(&listener), Claim { address, mac: ELSEWHERE, kind: ClaimKind::Wants });
        // A client that asks for the address does not claim it.
        greet(&right, address);
        announcer.send(&Frame::announcement(address, ELSEWHERE, Role::Host)).unwrap();
        assert_eq!(hear(&listener).kind, ClaimKind::Has);
    }
}

#[test]
fn a_flood_of_what_is_no_claim_keeps_nobody_here() {
    let Some((left, right)) = pair() else { return };
    let announcer = announcer(&right);
    for address in addresses() {
        let listener = listener(&left, address);
        let good = Frame::announcement(address, ELSEWHERE, Role::Host);
        let mut bad = good.bytes().to_vec();
        // Another kind of hardware; another checksum. The kernel's filter looks at neither.
        bad[if address.is_ipv4() { 15 } else { 56 }] ^= 0xff;
        for _ in 0..FRAMES_MAX {
            rustix::net::send(&announcer.socket, &bad, SendFlags::empty()).unwrap();
        }
        announcer.send(&good).unwrap();
        readable(&listener);
        assert_eq!(listener.next_claim().unwrap(), None, "that was enough for once");
        let mut claim = None;
        until("the claim behind them", || {
            readable(&listener);
            claim = listener.next_claim().unwrap();
            claim.is_some()
        });
        assert_eq!(claim, Some(Claim { address, mac: ELSEWHERE, kind: ClaimKind::Has }));
    }
}

#[test]
fn every_address_of_a_listener_is_heard() {
    const COUNT: u8 = 20;
    let Some((left, right)) = pair() else { return };
    let announcer = announcer(&right);
    let index = left.link().index;
    let four = (1..=COUNT).map(|last| IpAddr::from([198, 51, 100, last])).collect::<Vec<_>>();
    let six = (1..=COUNT)
        .map(|last| IpAddr::from([0x2001, 0xdb8, last.into(), 0, 0, last.into(), 0, 7]))
        .collect::<Vec<_>>();
    for addresses in [four, six] {
        let listener = left.inside(|| Listener::open(index, &addresses)).unwrap();
        for address in &addresses {
            announcer.send(&Frame::announcement(*address, ELSEWHERE, Role::Host)).unwrap();
            announcer.send(&Frame::probe(*address, ELSEWHERE)).unwrap();
            for kind in [ClaimKind::Has, ClaimKind::Wants] {
                assert_eq!(hear(&listener), Claim { address: *address, mac: ELSEWHERE, kind });
            }
        }
    }
}

#[test]
fn lists_that_make_no_filter_are_refused() {
    let [four, six] = addresses();
    for list in [&[][..], &[four, six], &[four; 256]] {
        assert_eq!(Listener::open(1, list).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
    let Some((left, right)) = pair() else { return };
    // The longest that there can be is one that the kernel takes.
    for (address, other) in
        addresses().into_iter().zip(["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()])
    {
        let index = left.link().index;
        let list = [&[other; 254][..], &[address]].concat();
        let listener = left.inside(|| Listener::open(index, &list)).unwrap();
        announcer(&right).send(&Frame::announcement(address, ELSEWHERE, Role::Host)).unwrap();
        assert_eq!(hear(&listener).address, address);
    }
}

#[test]
fn a_link_that_is_down_is_an_error_and_serves_again_when_it_is_up() {
    let Some((left, right)) = pair() else { return };
    let [address, _] = addresses();
    let frame = Frame::announcement(address, ELSEWHERE, Role::Host);
    let (announcer, listener) = (announcer(&right), listener(&left, address));
    for name in ["left0", "right0"] {
        let end = if name == "left0" { &left } else { &right };
        end.namespace.set_link(name, crate::netns::LinkState::Down).unwrap();
    }
    announcer.send(&frame).expect_err("it is down");
    assert!(listener.next_claim().is_err(), "told once");
    assert_eq!(listener.next_claim().unwrap(), None);
    for (end, name) in [(&left, "left0"), (&right, "right0")] {
        end.namespace.set_link(name, crate::netns::LinkState::Up).unwrap();
    }
    let started = std::time::Instant::now();
    until("claim after the link is back", || {
        assert!(started.elapsed() < LIMIT);
        // What is sent before both ends have their carrier is lost.
        let _ = announcer.send(&frame);
        listener.next_claim().unwrap().is_some()
    });
}

#[test]
fn sending_allocates_nothing() {
    let Some((left, _right)) = pair() else { return };
    let announcer = announcer(&left);
    let frames = addresses().map(|address| Frame::announcement(address, ELSEWHERE, Role::Host));
    let before = allocations();
    for frame in &frames {
        announcer.send(frame).unwrap();
    }
    assert_eq!(allocations(), before);
}

#[test]
fn the_role_is_what_the_interface_forwards() {
    let Some((left, _right)) = pair() else { return };
    let forward = |value: &str| {
        std::fs::write("/proc/sys/net/ipv6/conf/left0/forwarding", value).unwrap();
        Role::of("left0")
    };
    assert_eq!(left.inside(|| forward("1")), Role::Router);
    assert_eq!(left.inside(|| forward("0")), Role::Host);
    assert_eq!(Role::of("nothing0"), Role::Host);
}

#[test]
fn a_lease_is_found_with_the_settings_that_are_said_to_allow_it_and_no_others() {
    const FAILED: u16 = 0x20;
    let Some((left, right)) = pair() else { return };
    let [address, _] = addresses();
    hold(&left, address);
    let set = |end: &End, name: String, value: &str| {
        end.inside(|| std::fs::write(format!("/proc/sys/net/ipv4/{name}"), value)).unwrap();
    };
    // Asks three times, and gives up after that.
    set(&right, "neigh/right0/retrans_time_ms".into(), "50");
    for (all, own, expected) in [
        ("0", "0", true),
        ("0", "1", true),
        ("1", "0", true),
        ("2", "0", true),
        ("3", "0", false),
        ("0", "8", false),
    ] {
        set(&left, "conf/all/arp_ignore".into(), all);
        set(&left, "conf/left0/arp_ignore".into(), own);
        // An entry of before would be used on.
        for state in [crate::netns::LinkState::Down, crate::netns::LinkState::Up] {
            right.namespace.set_link("right0", state).unwrap();
        }
        until("running link", || left.link().running && right.link().running);
        let mut found = None;
        until("answer, or none", || {
            found = match neighbour_entry(&right, address) {
                Some((_, Some(_))) => Some(true),
                Some((FAILED, None)) => Some(false),
                Some((_, None)) => None,
                // Once: whoever greets again makes of what has failed what is tried.
                None => {
                    greet(&right, address);
                    None
                }
            };
            found.is_some()
        });
        assert_eq!(found, Some(expected), "all {all}, own {own}");
        assert_eq!(left.inside(|| answers_for_leases("left0")), expected, "all {all}, own {own}");
    }
}
