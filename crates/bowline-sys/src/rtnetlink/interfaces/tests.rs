use super::*;
use crate::rtnetlink::{AddressFlags, OUR_MARK, wire};
use std::time::Duration;

fn link(index: u32, name: &str) -> Link {
    Link { index, name: name.into(), mac: None, up: true, running: true, loopback: name == "lo", kind: None }
}

fn address(interface: u32, text: &str) -> Address {
    let (address, prefix) = text.split_once('/').unwrap();
    let address: IpAddr = address.parse().unwrap();
    let is_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
    let scope = if is_local { Scope::Link } else { Scope::Global };
    Address {
        interface,
        address,
        prefix: prefix.parse().unwrap(),
        subnet: address,
        scope: if address.is_loopback() { Scope::Host } else { scope },
        flags: AddressFlags(wire::IFA_F_PERMANENT),
        valid: None,
        preferred: None,
        created: 0,
        proto: None,
    }
}

fn lease(interface: u32, text: &str) -> Address {
    Address {
        scope: Scope::Host,
        flags: AddressFlags(wire::IFA_F_DEPRECATED | wire::IFA_F_NODAD | wire::IFA_F_NOPREFIXROUTE),
        valid: Some(Duration::from_secs(1)),
        preferred: Some(Duration::ZERO),
        proto: Some(OUR_MARK),
        ..address(interface, text)
    }
}

/// A node with a wide and a narrow network, and a second link in the wide one.
fn node() -> Interfaces {
    let links = ["lo", "eth0", "eth1", "eth2"];
    let links = links.iter().enumerate().map(|(at, name)| link(at as u32 + 1, name)).collect();
    let addresses = [
        (1, "127.0.0.1/8"),
        (1, "::1/128"),
        (2, "10.0.0.5/8"),
        (2, "192.0.2.5/24"),
        (2, "192.0.2.6/24"),
        (2, "fe80::2/64"),
        (2, "2001:db8::2/64"),
        (3, "10.1.0.5/16"),
        (3, "fe80::3/64"),
        (4, "10.2.0.5/16"),
        (4, "10.2.0.200/32"),
    ];
    let mut addresses: Vec<_> = addresses.iter().map(|(index, text)| address(*index, text)).collect();
    addresses.insert(3, lease(2, "192.0.2.100/32"));
    Interfaces::new(links, addresses)
}

fn holding(interfaces: &Interfaces, address: &str) -> Vec<String> {
    interfaces.with_subnet_of(address.parse().unwrap()).iter().map(|link| link.name.clone()).collect()
}

#[test]
fn the_longest_prefix_that_holds_the_address_wins() {
    let node = node();
    for (address, expected) in [
        ("10.9.0.1", vec!["eth0"]),
        ("10.1.0.1", vec!["eth1"]),
        ("10.2.0.200", vec!["eth2"]),
        ("192.0.2.100", vec!["eth0"]),
        ("2001:db8::64", vec!["eth0"]),
        ("fe80::64", vec!["eth0", "eth1"]),
        ("198.51.100.1", vec![]),
        ("2001:db8:1::1", vec![]),
        // What is loopback's is on no link.
        ("127.0.0.1", vec![]),
        ("::1", vec![]),
    ] {
        assert_eq!(holding(&node, address), expected, "{address}");
    }
}

#[test]
fn a_single_address_or_a_lease_is_no_subnet() {
    let links = vec![link(1, "eth0")];
    let addresses =
        vec![address(1, "192.0.2.5/32"), lease(1, "192.0.2.100/32"), address(1, "2001:db8::1/128")];
    let interfaces = Interfaces::new(links, addresses);
    for address in ["192.0.2.5", "192.0.2.100", "2001:db8::1"] {
        assert!(holding(&interfaces, address).is_empty(), "{address}");
    }
}

#[test]
fn the_source_is_near_the_address_and_never_a_lease() {
    let node = node();
    let source = |interface, address: &str| {
        node.source_for(interface, address.parse().unwrap()).map(|source| source.to_string())
    };
    assert_eq!(source(2, "192.0.2.100").as_deref(), Some("192.0.2.5"), "the first of the subnet");
    assert_eq!(source(2, "10.0.0.100").as_deref(), Some("10.0.0.5"));
    assert_eq!(source(2, "203.0.113.1").as_deref(), Some("10.0.0.5"), "the first of the interface");
    assert_eq!(source(2, "2001:db8::64").as_deref(), Some("fe80::2"));
    assert_eq!(source(4, "2001:db8::64"), None, "no link-local address");
    assert_eq!(source(1, "192.0.2.100"), None, "loopback has none that leaves the host");
    let only = Interfaces::new(vec![link(1, "eth0")], vec![lease(1, "192.0.2.100/32")]);
    assert_eq!(only.source_for(1, "192.0.2.100".parse().unwrap()), None);
}

#[test]
fn an_address_that_is_not_usable_is_not_there_yet() {
    for flag in [wire::IFA_F_TENTATIVE, wire::IFA_F_DADFAILED] {
        let tentative = Address { flags: AddressFlags(flag), ..address(1, "fe80::1/64") };
        let interfaces = Interfaces::new(vec![link(1, "eth0")], vec![tentative.clone()]);
        assert!(!interfaces.can_send_from(1, tentative.address));
        assert_eq!(interfaces.coming_link_local(1).map(IpAddr::from), Some(tentative.address));
        assert_eq!(interfaces.link_local(1), None);
        let both = Interfaces::new(vec![link(1, "eth0")], vec![tentative, address(1, "fe80::7/64")]);
        assert_eq!(both.coming_link_local(1), both.link_local(1));
        assert!(both.can_send_from(1, both.link_local(1).unwrap().into()));
        assert_eq!(both.link_local(1), Some("fe80::7".parse().unwrap()));
    }
}

#[test]
fn a_link_local_address_is_promised_where_the_kernel_makes_it_of_the_hardware_address() {
    let Some((left, _right)) = crate::testing::pair() else { return };
    let interfaces = left.netlink.interfaces().unwrap();
    let index = left.link().index;
    let promised = || left.inside(|| interfaces.promised_link_local(index));
    assert_eq!(promised(), interfaces.link_local(index));
    for (setting, there) in [("addr_gen_mode", false), ("addr_gen_mode", true), ("disable_ipv6", false)] {
        let value = if there { "0" } else { "1" };
        left.inside(|| std::fs::write(format!("/proc/sys/net/ipv6/conf/left0/{setting}"), value)).unwrap();
        assert_eq!(promised().is_some(), there, "{setting}");
    }
}

#[test]
fn links_and_addresses_are_found() {
    let node = node();
    assert_eq!(node.by_name("eth1").unwrap().index, 3);
    assert_eq!(node.by_index(3).unwrap().name, "eth1");
    assert!(node.by_name("eth9").is_none() && node.by_index(9).is_none());
    let having: Vec<_> = node.having("192.0.2.100".parse().unwrap()).map(|own| own.interface).collect();
    assert_eq!(having, [2]);
    assert_eq!((node.links().len(), node.addresses().len()), (4, 12));
}

#[test]
fn a_subnet_covers_what_begins_like_it() {
    let covers = |own: &str, other: &str| address(1, own).covers(other.parse().unwrap());
    assert!(covers("0.0.0.0/0", "203.0.113.1") && covers("::/0", "2001:db8::1"));
    assert!(covers("10.0.0.5/31", "10.0.0.4") && !covers("10.0.0.5/31", "10.0.0.6"));
    assert!(covers("10.0.0.5/32", "10.0.0.5") && !covers("10.0.0.5/32", "10.0.0.4"));
    assert!(covers("2001:db8::/33", "2001:db8:7fff::1") && !covers("2001:db8::/33", "2001:db8:8000::1"));
    assert!(!covers("0.0.0.0/0", "2001:db8::1"), "another family");
    assert!(!covers("10.0.0.5/33", "10.0.0.5"), "no such prefix");
}

#[test]
fn the_ends_of_a_subnet_belong_to_no_host() {
    let here = |own: &str| Interfaces::new(vec![link(2, "eth0")], vec![address(2, own)]);
    for (own, asked, expected) in [
        ("10.0.0.5/24", "10.0.0.0", Some((Reserved::Network, 24))),
        ("10.0.0.5/24", "10.0.0.255", Some((Reserved::Broadcast, 24))),
        ("10.0.0.5/24", "10.0.0.1", None),
        ("10.0.0.5/24", "10.0.0.254", None),
        ("10.0.0.5/16", "10.0.1.0", None),
        ("10.0.0.5/16", "10.0.0.255", None),
        ("10.0.0.5/30", "10.0.0.4", Some((Reserved::Network, 30))),
        ("10.0.0.5/30", "10.0.0.7", Some((Reserved::Broadcast, 30))),
        ("10.0.0.5/31", "10.0.0.4", None),
        ("10.0.0.5/32", "10.0.0.5", None),
        ("10.0.0.5/24", "10.0.1.0", None),
        ("2001:db8::2/64", "2001:db8::", Some((Reserved::RouterAnycast, 64))),
        ("2001:db8::2/64", "2001:db8::ffff:ffff:ffff:ffff", None),
        ("2001:db8::3/127", "2001:db8::2", None),
    ] {
        assert_eq!(here(own).reserved(2, asked.parse().unwrap()), expected, "{asked} beside {own}");
    }
    assert_eq!(here("10.0.0.5/24").reserved(3, "10.0.0.0".parse().unwrap()), None, "of another interface");
}
