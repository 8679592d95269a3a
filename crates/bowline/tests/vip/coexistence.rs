//! Others on the segment: groups of other numbers, and somebody who has the same address.

use super::{among_its_own, metric, possible, state, wait_for};
use bowline_lab::conformance::Variant;
use bowline_lab::lan::{LINK, Lan};
use bowline_lab::peer::{Keepalived, Other, Subject};
use bowline_lab::wire::Tap;
use std::time::Duration;

#[test]
fn groups_of_other_numbers_do_not_touch_it() {
    let subject = among_its_own();
    if !possible(&[&subject, &Keepalived]) {
        return;
    }
    let lan = Lan::new(&["subject", "second", "third"]).expect("a segment");
    let setup = Variant::V3.setup();
    // Two foreign groups with numbers and addresses of their own, of both versions, each with a better priority.
    let mut foreign = Vec::new();
    for (name, version, vrid) in [("second", 2, 7), ("third", 3, 8)] {
        let mut other = setup.clone();
        (other.version, other.vrid, other.priority) = (version, vrid, 254);
        other.interval = Duration::from_secs(1);
        other.addresses = vec![format!("192.0.2.{}", 200 + vrid).parse().expect("an address")];
        foreign.push(Keepalived.start(lan.host(name), &other).expect("keepalived"));
    }
    let host = lan.host("subject");
    let tap = Tap::start(&lan).expect("a tap");
    let daemon = subject.start_with(host, &subject.description(host, &setup), &[]).expect("a daemon");
    wait_for("an Active router", || (state(&daemon) == "active").then_some(()));
    let mark = tap.mark();
    for vrid in [7, 8] {
        let heard = tap.wait(mark, super::PATIENCE, |captured| {
            captured.frame.advert().is_some_and(|advert| advert.vrid == vrid)
        });
        assert!(heard.is_some(), "group {vrid} does not advertise");
    }
    assert_eq!(state(&daemon), "active");
    let own = tap.select(mark, |captured| captured.host == "subject" && captured.frame.advert().is_some());
    assert!(
        own.iter().all(|captured| captured.frame.advert().is_some_and(|advert| advert.vrid == setup.vrid))
    );
    for keepalived in &mut foreign {
        assert_eq!(keepalived.complaints().expect("keepalived's counters"), []);
    }
    let address = setup.addresses[0];
    assert_eq!(lan.holders(address).expect("look").into_iter().collect::<Vec<_>>(), ["subject"]);
}

#[test]
fn a_foreign_holder_of_the_address_is_found_and_answered() {
    let subject = among_its_own();
    if !possible(&[&subject]) {
        return;
    }
    let lan = Lan::new(&["subject", "stranger"]).expect("a segment");
    let setup = Variant::V3.setup();
    let address = setup.addresses[0];
    let host = lan.host("subject");
    let tap = Tap::start(&lan).expect("a tap");
    let daemon = subject.start_with(host, &subject.description(host, &setup), &[]).expect("a daemon");
    wait_for("an Active router", || (state(&daemon) == "active").then_some(()));
    let duplicates = || metric(&daemon, "bowline_virtual_ip_duplicate_holders_total", "");
    assert_eq!(duplicates().total_cmp(&0.0), std::cmp::Ordering::Equal);
    let mark = tap.mark();
    lan.host("stranger").ip(&format!("address add {address}/32 dev {LINK}\n")).expect("add an address");
    wait_for("a count of duplicate holders", || (duplicates() >= 1.0).then_some(()));
    assert_eq!(state(&daemon), "active", "whoever plays by the rules keeps the address");
    let answer = tap.wait(mark, super::PATIENCE, |captured| {
        captured.host == "subject" && captured.frame.announces(address)
    });
    assert!(answer.is_some(), "clients were not told again who has the address");
}

/// A planned one has the time of its lease to let go; what is found after that is a mistake, and told.
#[test]
fn a_planned_peer_that_was_given_the_address_by_hand_is_found() {
    let subject = among_its_own();
    if !possible(&[&subject]) {
        return;
    }
    let lan = Lan::new(&["subject", "second"]).expect("a segment");
    let mut setup = Variant::V3.setup();
    setup.others = vec![Other {
        name: "second".to_owned(),
        addresses: Lan::planned_addresses(1).to_vec(),
        priority: 250,
    }];
    let address = setup.addresses[0];
    let host = lan.host("subject");
    let daemon = subject.start_with(host, &subject.description(host, &setup), &[]).expect("a daemon");
    wait_for("an Active router", || (state(&daemon) == "active").then_some(()));
    let begun = std::time::Instant::now();
    lan.host("second").ip(&format!("address add {address}/32 dev {LINK}\n")).expect("add an address");
    let duplicates = || metric(&daemon, "bowline_virtual_ip_duplicate_holders_total", "");
    wait_for("a count of duplicate holders", || (duplicates() >= 1.0).then_some(()));
    println!("found after {:?}", begun.elapsed());
    assert_eq!(state(&daemon), "active", "whoever plays by the rules keeps the address");
}
