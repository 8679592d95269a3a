//! Addresses that no host can have on its link: only there is it known which they are, and nothing is changed for them.

use super::{among_its_own, metric, possible, state, wait_for};
use bowline_lab::conformance::Variant;
use bowline_lab::lan::{LINK, Lan};
use std::net::IpAddr;

#[test]
fn the_ends_of_the_interfaces_subnet_are_refused_before_anything_is_changed() {
    let subject = among_its_own();
    if !possible(&[&subject]) {
        return;
    }
    let lan = Lan::new(&["subject"]).expect("a segment");
    let host = lan.host("subject");
    let v6 = Variant::V3Ipv6.setup().addresses;
    for (variant, addresses, told) in [
        (Variant::V3, vec!["192.0.2.0"], "192.0.2.0 is the network address of its /24"),
        (Variant::V3, vec!["192.0.2.100", "192.0.2.255"], "192.0.2.255 is the broadcast address of its /24"),
        (Variant::V3Ipv6, vec!["2001:db8::"], "2001:db8:: is the anycast address of the routers of its /64"),
    ] {
        let mut setup = variant.setup();
        setup.addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
        if setup.is_v6() {
            setup.addresses.insert(0, v6[0]);
        }
        let error = subject.start_with(host, &subject.description(host, &setup), &[]);
        let error = error.expect_err("it starts").to_string();
        assert!(error.contains(told), "{error}");
        for address in setup.addresses {
            assert!(!host.has(address).expect("the host's addresses"), "{address} was added");
        }
    }
}

#[test]
fn every_address_is_to_be_on_the_interface_of_the_first_unless_one_is_named() {
    let subject = among_its_own();
    if !possible(&[&subject]) {
        return;
    }
    let lan = Lan::new(&["subject"]).expect("a segment");
    let host = lan.host("subject");
    let mut setup = Variant::V3.setup();
    setup.addresses =
        ["192.0.2.100", "198.51.100.7"].map(|address| address.parse().expect("an address")).into();
    let named = subject.description(host, &setup);
    let by_subnet = named.replace(&format!(", interface: {LINK}"), "");
    assert_ne!(named, by_subnet);
    let error = subject.start_with(host, &by_subnet, &[]).expect_err("it starts").to_string();
    assert!(error.contains("198.51.100.7 is in no subnet of"), "{error}");
    for address in &setup.addresses {
        assert!(!host.has(*address).expect("the host's addresses"), "{address} was added");
    }
    // Whoever names it knows it.
    let daemon = subject.start_with(host, &named, &[]).expect("a daemon");
    wait_for("an Active router", || (state(&daemon) == "active").then_some(()));
}

#[test]
fn a_reload_with_the_end_of_a_subnet_is_refused_and_nothing_moves() {
    let subject = among_its_own();
    if !possible(&[&subject]) {
        return;
    }
    let lan = Lan::new(&["subject"]).expect("a segment");
    let host = lan.host("subject");
    let good = subject.description(host, &Variant::V3.setup());
    let bad = good.replace("\"192.0.2.101\"", "\"192.0.2.255\"");
    assert_ne!(good, bad);
    let daemon = subject.start_with(host, &good, &[]).expect("a daemon");
    wait_for("an Active router", || (state(&daemon) == "active").then_some(()));
    let refused = || metric(&daemon, "bowline_reloads_total", "refused");
    let transitions = || metric(&daemon, "bowline_vrrp_transitions_total", "");
    let (before, moved) = (refused(), transitions());
    daemon.describe(&bad).expect("replace the description");
    wait_for("a refusal", || (refused() > before).then_some(()));
    let status = daemon.status().expect("ask for the status");
    let told = status["reloadRefused"].to_string();
    assert!(told.contains("192.0.2.255 is the broadcast address of its /24"), "{told}");
    assert_eq!((state(&daemon).as_str(), transitions()), ("active", moved));
    for (address, is_there) in [("192.0.2.101", true), ("192.0.2.255", false)] {
        let address: IpAddr = address.parse().expect("an address");
        assert_eq!(host.has(address).expect("the host's addresses"), is_there, "{address}");
    }
}
