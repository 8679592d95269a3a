use super::*;
use crate::testing::{End, allocations, pair, readable, until};

fn open(end: &End, family: Family, membership: Membership) -> VrrpSocket {
    let link = end.link();
    end.inside(|| VrrpSocket::open(&link, family, membership)).unwrap()
}

fn link_local(end: &End) -> IpAddr {
    end.netlink.interfaces().unwrap().link_local(end.link().index).unwrap().into()
}

/// Sends from left to right and looks at what came.
fn exchange(sockets: (&VrrpSocket, &VrrpSocket), source: IpAddr, destination: IpAddr, message: &[u8]) {
    sockets.0.send(source, destination, message).unwrap();
    readable(sockets.1);
    let mut buffer = [0; ROOM];
    let received = sockets.1.receive(&mut buffer).unwrap();
    let expected = Received { source, destination, hop_limit: Some(255), message, is_cut: false };
    assert_eq!(received, expected);
    assert_eq!(sockets.1.receive(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    // Multicast is not heard by its sender.
    assert_eq!(sockets.0.receive(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
}

#[test]
fn multicast_and_unicast_go_over_ipv4_and_ipv6() {
    let Some((left, right)) = pair() else { return };
    let addresses: [(Family, IpAddr, IpAddr, IpAddr); 2] = [
        (Family::V4, "192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap(), GROUP_V4.into()),
        (Family::V6, link_local(&left), link_local(&right), GROUP_V6.into()),
    ];
    for (family, ours, theirs, group) in addresses {
        let sender = open(&left, family, Membership::Group);
        let receiver = open(&right, family, Membership::Group);
        // The longest message that there can be.
        for length in [0, 8, 20, 4088.min(if family == Family::V4 { 1036 } else { 4088 })] {
            let message: Vec<u8> = (0..length).map(|byte| byte as u8).collect();
            exchange((&sender, &receiver), ours, group, &message);
            exchange((&sender, &receiver), ours, theirs, &message);
        }
    }
}

#[test]
fn the_source_is_the_one_that_was_said() {
    let Some((left, right)) = pair() else { return };
    let other: IpAddr = "192.0.2.7".parse().unwrap();
    left.namespace.add_address("left0", other, 24).unwrap();
    let sender = open(&left, Family::V4, Membership::None);
    let receiver = open(&right, Family::V4, Membership::Group);
    exchange((&sender, &receiver), other, GROUP_V4.into(), b"from the second address");
    for nobody in ["192.0.2.99", "2001:db8::1"] {
        sender.send(nobody.parse().unwrap(), GROUP_V4.into(), b"x").expect_err("not ours, or not IPv4");
    }
    let six = open(&left, Family::V6, Membership::None);
    six.send("fe80::99".parse().unwrap(), GROUP_V6.into(), b"x").expect_err("not ours");
}

#[test]
fn a_message_that_is_too_long_is_cut_and_says_so() {
    let Some((left, right)) = pair() else { return };
    let ours = "192.0.2.1".parse().unwrap();
    let (sender, receiver) =
        (open(&left, Family::V4, Membership::Group), open(&right, Family::V4, Membership::Group));
    // It goes as fragments, which are one again when they arrive.
    sender.send(ours, GROUP_V4.into(), &[7; ROOM + 1]).unwrap();
    readable(&receiver);
    let mut buffer = [0; ROOM];
    let received = receiver.receive(&mut buffer).unwrap();
    assert!(received.is_cut && received.message == [7; ROOM - 20], "{} bytes", received.message.len());
}

#[test]
fn the_group_is_heard_by_its_members_only() {
    let Some((left, right)) = pair() else { return };
    for (family, ours, theirs, group) in [
        (Family::V4, "192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap(), IpAddr::from(GROUP_V4)),
        (Family::V6, link_local(&left), link_local(&right), GROUP_V6.into()),
    ] {
        let sender = open(&left, family, Membership::None);
        let receiver = open(&right, family, Membership::None);
        sender.send(ours, group, b"to the group").unwrap();
        sender.send(ours, theirs, b"to one host").unwrap();
        readable(&receiver);
        let mut buffer = [0; ROOM];
        // They would come in order.
        assert_eq!(receiver.receive(&mut buffer).unwrap().message, b"to one host");
    }
}

#[test]
fn only_its_own_interface_is_heard() {
    let Some((left, right)) = pair() else { return };
    left.namespace.join("other0", &right.namespace, "other1").unwrap();
    for (end, name, address) in [(&left, "other0", "198.51.100.1"), (&right, "other1", "198.51.100.2")] {
        end.namespace.add_address(name, address.parse().unwrap(), 24).unwrap();
        end.namespace.set_link(name, crate::netns::LinkState::Up).unwrap();
    }
    let other = left.netlink.interfaces().unwrap().by_name("other0").unwrap().clone();
    let elsewhere = left.inside(|| VrrpSocket::open(&other, Family::V4, Membership::Group)).unwrap();
    let here = open(&left, Family::V4, Membership::Group);
    let receiver = open(&right, Family::V4, Membership::Group);
    elsewhere.send("198.51.100.1".parse().unwrap(), GROUP_V4.into(), b"elsewhere").unwrap();
    here.send("192.0.2.1".parse().unwrap(), GROUP_V4.into(), b"here").unwrap();
    readable(&receiver);
    let mut buffer = [0; ROOM];
    assert_eq!(receiver.receive(&mut buffer).unwrap().message, b"here");
}

#[test]
fn a_link_that_is_down_or_gone_is_an_error() {
    let Some((left, right)) = pair() else { return };
    let socket = open(&left, Family::V4, Membership::Group);
    let send = || socket.send("192.0.2.1".parse().unwrap(), GROUP_V4.into(), b"x");
    send().unwrap();
    left.namespace.set_link("left0", crate::netns::LinkState::Down).unwrap();
    send().expect_err("it is down");
    left.namespace.set_link("left0", crate::netns::LinkState::Up).unwrap();
    send().expect("the same socket, after the link is back");
    // The membership has outlived it too.
    let other = open(&right, Family::V4, Membership::Group);
    until("running link", || left.link().running && right.link().running);
    other.send("192.0.2.2".parse().unwrap(), GROUP_V4.into(), b"after").unwrap();
    readable(&socket);
    assert_eq!(socket.receive(&mut [0; ROOM]).unwrap().message, b"after");
    let gone = Link { name: "gone0".into(), ..left.link() };
    left.inside(|| VrrpSocket::open(&gone, Family::V4, Membership::Group)).expect_err("no such link");
}

#[test]
fn sending_and_receiving_allocate_nothing() {
    let Some((left, right)) = pair() else { return };
    let four: IpAddr = "192.0.2.1".parse().unwrap();
    for (family, source, group) in
        [(Family::V4, four, IpAddr::from(GROUP_V4)), (Family::V6, link_local(&left), GROUP_V6.into())]
    {
        let sender = open(&left, family, Membership::Group);
        let receiver = open(&right, family, Membership::Group);
        let mut buffer = [0; ROOM];
        for round in 0..2 {
            let before = allocations();
            sender.send(source, group, b"adverts").unwrap();
            let sent = allocations();
            readable(&receiver);
            let waited = allocations();
            let received = receiver.receive(&mut buffer).is_ok();
            let none = receiver.receive(&mut buffer).is_err();
            assert_eq!((sent - before, allocations() - waited), (0, 0), "round {round}");
            assert!(received && none);
        }
    }
}
