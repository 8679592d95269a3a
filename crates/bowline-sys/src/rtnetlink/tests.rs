use super::*;
use crate::netlink::c_string;
use crate::netns::LinkState;
use crate::testing::{create, pair, until};

#[test]
fn links_and_addresses_are_listed_as_they_are() {
    let Some((left, right)) = pair() else { return };
    let interfaces = left.netlink.interfaces().unwrap();
    let mut names: Vec<_> = interfaces.links().iter().map(|link| link.name.as_str()).collect();
    names.sort_unstable();
    // Kernels with tunnels built in give each namespace one of each kind.
    assert!(names.contains(&"left0") && names.contains(&"lo") && !names.contains(&"right0"), "{names:?}");
    let link = interfaces.by_name("left0").unwrap();
    assert!(link.up && link.running && !link.loopback);
    assert!(link.mac.is_some() && link.mac != right.link().mac);
    assert_eq!(link.kind.as_deref(), Some("veth"));
    let text = left.inside(|| std::fs::read_to_string("/proc/thread-self/net/dev")).unwrap();
    assert_eq!(text.lines().count() - 2, interfaces.links().len(), "{text}");
    let loopback = interfaces.by_name("lo").unwrap();
    assert!(loopback.loopback && loopback.up && loopback.mac.is_none());

    let found = interfaces.having("192.0.2.1".parse().unwrap()).next().unwrap();
    assert_eq!((found.interface, found.prefix, found.scope), (link.index, 24, Scope::Global));
    assert!(found.flags.is_permanent() && found.valid.is_none() && found.preferred.is_none());
    assert!(found.proto.is_none() && !found.is_ours());
    let host = interfaces.having("127.0.0.1".parse().unwrap()).next().unwrap();
    assert_eq!((host.scope, host.prefix), (Scope::Host, 8));
    assert_eq!(interfaces.with_subnet_of("192.0.2.77".parse().unwrap()), [link]);
    assert!(interfaces.link_local(link.index).unwrap().is_unicast_link_local());
}

#[test]
fn a_link_without_its_carrier_is_up_and_not_running() {
    let Some((left, right)) = pair() else { return };
    right.namespace.set_link("right0", LinkState::Down).unwrap();
    until("end of the carrier", || !left.link().running);
    assert!(left.link().up);
    left.namespace.set_link("left0", LinkState::Down).unwrap();
    assert!(!left.link().up && !left.link().running);
}

#[test]
fn a_list_longer_than_one_answer_is_read_to_its_end() {
    const COUNT: u16 = 1500;
    let Some(namespace) = create() else { return };
    let netlink = namespace.inside(Rtnetlink::open).unwrap().unwrap();
    for number in 0..COUNT {
        let [high, low] = number.to_be_bytes();
        namespace.add_address("lo", IpAddr::from([10, 0, high, low]), 32).unwrap();
    }
    let mut found: Vec<_> = netlink.addresses().unwrap().into_iter().map(|own| own.address).collect();
    found.sort_unstable();
    found.dedup();
    // And loopback's own two.
    assert_eq!(found.len(), usize::from(COUNT) + 2);
}

#[test]
fn every_prefix_of_what_the_kernel_says_is_safe() {
    let mut link = Encoder::default();
    wire::link_header(&mut link, 7, 1, 0);
    link.attribute(wire::IFLA_IFNAME, &c_string("eth0"));
    for length in 0..link.bytes.len() {
        let read = wire::link(&link.bytes[..length]);
        assert_eq!(read.is_some(), length > 24, "{length} bytes");
    }
    assert_eq!(wire::link(&link.bytes).unwrap().name, "eth0");

    let lease = Lease { interface: 7, address: "192.0.2.1".parse().unwrap(), valid: 9.try_into().unwrap() };
    let address = lease.encode().bytes;
    for length in 0..address.len() {
        // As soon as it has its address it is one, whatever else is missing.
        assert_eq!(wire::address(&address[..length]).is_some(), length >= 16, "{length} bytes");
    }
    let whole = wire::address(&address).unwrap();
    assert_eq!((whole.interface, whole.valid), (7, Some(Duration::from_secs(9))));
    let mut other_family = address;
    other_family[0] = 7;
    assert_eq!(wire::address(&other_family), None);
}
