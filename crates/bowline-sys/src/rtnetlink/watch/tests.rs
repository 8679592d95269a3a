use super::*;
use crate::netns::LinkState;
use crate::rtnetlink::{Lease, OUR_MARK};
use crate::testing::{End, pair, readable};
use std::net::IpAddr;
use std::num::NonZeroU32;

fn watch(end: &End) -> Watch {
    end.inside(Watch::open).unwrap()
}

/// The first change of which `is_it` says something; the others are passed over.
fn find<T>(watch: &mut Watch, mut is_it: impl FnMut(Change) -> Option<T>) -> T {
    loop {
        match watch.next_change().unwrap() {
            Some(change) => {
                if let Some(found) = is_it(change) {
                    return found;
                }
            }
            None => readable(&*watch),
        }
    }
}

fn lease(end: &End, address: IpAddr, seconds: u32) -> Lease {
    Lease { interface: end.link().index, address, valid: NonZeroU32::new(seconds).unwrap() }
}

#[test]
fn addresses_are_told_when_they_come_are_renewed_removed_and_end() {
    let Some((left, _right)) = pair() else { return };
    let mut watch = watch(&left);
    for address in ["192.0.2.100", "2001:db8::100"] {
        let address: IpAddr = address.parse().unwrap();
        let came = |change| match change {
            Change::Address(told) if told.address == address => Some(told),
            _ => None,
        };
        let went = |change| match change {
            Change::AddressGone(told) if told.address == address => Some(told),
            _ => None,
        };
        let long = lease(&left, address, 60);
        let held = left.netlink.hold(&long).unwrap();
        let told = find(&mut watch, came);
        assert_eq!((told.interface, told.proto), (long.interface, Some(OUR_MARK)));
        left.netlink.renew(&long, &held).unwrap();
        assert!(find(&mut watch, came).is_ours(), "renewed");
        left.netlink.remove(&long).unwrap();
        find(&mut watch, went);
        left.netlink.hold(&lease(&left, address, 1)).unwrap();
        assert_eq!(find(&mut watch, went).interface, long.interface, "it ended by itself");
    }
}

#[test]
fn links_are_told_when_they_lose_their_carrier_go_down_and_go_away() {
    let Some((left, right)) = pair() else { return };
    let mut watch = watch(&left);
    let is = |up, running| {
        move |change| match change {
            Change::Link(link) if link.name == "left0" => {
                (link.up == up && link.running == running).then_some(())
            }
            _ => None,
        }
    };
    right.namespace.set_link("right0", LinkState::Down).unwrap();
    find(&mut watch, is(true, false));
    right.namespace.set_link("right0", LinkState::Up).unwrap();
    find(&mut watch, is(true, true));
    left.namespace.set_link("left0", LinkState::Down).unwrap();
    find(&mut watch, is(false, false));
    // A namespace takes its links with it, and they their other ends.
    drop(right);
    find(&mut watch, |change| match change {
        Change::LinkGone(link) if link.name == "left0" => Some(()),
        _ => None,
    });
}

#[test]
fn nothing_is_told_when_nothing_changes() {
    let Some((left, _right)) = pair() else { return };
    let mut watch = watch(&left);
    let is_quiet = |watch: &mut Watch| watch.next_change().unwrap().is_none();
    assert!(is_quiet(&mut watch), "what was there before is no change");
}

#[test]
fn what_was_missed_is_told_as_such() {
    let Some((left, _right)) = pair() else { return };
    let mut watch = watch(&left);
    // The kernel makes the least it allows of it: room for a few.
    set_socket_recv_buffer_size_force(&watch.socket, 0).unwrap();
    let lease = lease(&left, "192.0.2.100".parse().unwrap(), 60);
    for _ in 0..200 {
        left.netlink.hold(&lease).unwrap();
    }
    find(&mut watch, |change| (change == Change::Overrun).then_some(()));
    // It goes on behind it, once there is room again.
    while watch.next_change().unwrap().is_some() {}
    left.netlink.remove(&lease).unwrap();
    find(&mut watch, |change| matches!(change, Change::AddressGone(_)).then_some(()));
}
