use super::*;
use crate::announce::{Announcer, Frame, Listener, Role};
use crate::netlink::c_string;
use crate::netns::LinkState;
use crate::testing::{End, create, pair, readable, until};
use crate::vrrp_socket::{Family, GROUP_V4, Membership, ROOM, VrrpSocket};
use rustix::io::Errno;

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
fn a_virtual_link_sends_from_its_own_address_and_goes_again() {
    let Some((left, right)) = pair() else { return };
    let mac = Mac::of_ipv4_router(51);
    match left.netlink.add_virtual_link(&left.link(), "vrrp.51", mac) {
        Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => {
            println!("skipped: this kernel has no macvlan");
            return;
        }
        result => result.unwrap(),
    }
    let again = left.netlink.add_virtual_link(&left.link(), "vrrp.51", mac).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    let interfaces = left.netlink.interfaces().unwrap();
    let link = interfaces.by_name("vrrp.51").unwrap();
    assert!(link.up && link.mac == Some(mac) && link.kind.as_deref() == Some("macvlan"));
    assert_eq!(interfaces.addresses().iter().filter(|own| own.interface == link.index).count(), 0);

    // The other end sees where an advert comes from: the virtual link, from the parent's address.
    let there = right.link();
    let capture = right.inside(|| Listener::open(there.index, &["192.0.2.100".parse().unwrap()])).unwrap();
    let announcer = left.inside(|| Announcer::open(link.index)).unwrap();
    announcer.send(&Frame::announcement("192.0.2.100".parse().unwrap(), mac, Role::Host)).unwrap();
    readable(&capture);
    assert_eq!(capture.next_claim().unwrap().unwrap().mac, mac);
    let open = |end: &End, link: &Link| {
        end.inside(|| VrrpSocket::open(link, Family::V4, Membership::Group)).unwrap()
    };
    let (sender, receiver) = (open(&left, link), open(&right, &there));
    let source = "192.0.2.1".parse().unwrap();
    sender.send(source, GROUP_V4.into(), b"advert").unwrap();
    readable(&receiver);
    let mut buffer = [0; ROOM];
    assert_eq!(receiver.receive(&mut buffer).unwrap().source, source);

    left.netlink.remove_virtual_link("left0").expect_err("it is no virtual link");
    left.netlink.remove_virtual_link("vrrp.51").unwrap();
    assert!(left.netlink.interfaces().unwrap().by_name("vrrp.51").is_none());
    let gone = left.netlink.remove_virtual_link("vrrp.51").unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::NotFound);
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
