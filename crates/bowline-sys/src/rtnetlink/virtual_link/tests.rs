use super::*;
use crate::announce::{Announcer, Claim, Envelope, Frame, Listener};
use crate::rtnetlink::Lease;
use crate::testing::{End, pair, readable};
use crate::vrrp_socket::{GROUP_V4, GROUP_V6, Membership, ROOM, VrrpSocket};
use std::net::IpAddr;
use std::num::NonZeroU32;

const V4: VirtualMac = VirtualMac { vrid: 51, family: Family::V4 };
const V6: VirtualMac = VirtualMac { vrid: 51, family: Family::V6 };

/// Two ends of a link, where the kernel has virtual links.
fn ends() -> Option<(End, End)> {
    let (left, right) = pair()?;
    match left.inside(|| left.netlink.try_virtual_link(left.link().index, V4)) {
        Err(VirtualLinkError::Kernel(error)) if Errno::from_io_error(&error) == Some(Errno::OPNOTSUPP) => {
            println!("skipped: this kernel has no macvlan");
            None
        }
        result => {
            result.unwrap();
            Some((left, right))
        }
    }
}

impl Rtnetlink {
    /// As anybody can do it who knows nothing of us.
    fn delete_link(&self, of: VirtualMac) {
        let mut request = Encoder::default();
        wire::link_header(&mut request, 0, 0, 0);
        request.attribute(wire::IFLA_IFNAME, &c_string(&of.link_name()));
        self.netlink.ask(wire::RTM_DELLINK, 0, &request).unwrap();
    }

    fn set_alias(&self, index: u32, alias: &str) {
        let mut request = Encoder::default();
        wire::link_header(&mut request, index, 0, 0);
        request.attribute(wire::IFLA_IFALIAS, alias.as_bytes());
        self.netlink.ask(wire::RTM_SETLINK, 0, &request).unwrap();
    }
}

fn make(end: &End, of: VirtualMac) -> Link {
    end.inside(|| end.netlink.hold_virtual_link(end.link().index, of, None)).unwrap()
}

fn arp_of(end: &End, name: &str) -> Arp {
    end.netlink.found(name).unwrap().unwrap().arp.unwrap()
}

fn named(end: &End, of: VirtualMac) -> Option<Link> {
    end.netlink.interfaces().unwrap().by_name(&of.link_name()).cloned()
}

fn hold(end: &End, link: &Link, address: IpAddr) {
    let valid = NonZeroU32::new(60).unwrap();
    end.netlink.hold(&Lease { interface: link.index, address, valid }).unwrap();
}

/// Who says on the link that it has `address`, to whoever asks from the right; the first of two answers.
fn answer(right: &End, address: IpAddr) -> Claim {
    let there = right.link();
    let listener = right.inside(|| Listener::open(there.index, &[address])).unwrap();
    let announcer = right.inside(|| Announcer::open(there.index)).unwrap();
    announcer.send(&Frame::probe(address, there.mac.unwrap())).unwrap();
    readable(&listener);
    listener.next_claim().unwrap().unwrap()
}

#[test]
fn names_fit_and_are_read_back() {
    for vrid in [1, 51, 255] {
        for family in [Family::V4, Family::V6] {
            let of = VirtualMac { vrid, family };
            assert!(of.link_name().len() < 16, "{}", of.link_name());
            assert_eq!(VirtualMac::of_link_name(&of.link_name()), Some(of));
        }
    }
    assert_eq!((V4.link_name().as_str(), V6.link_name().as_str()), ("bl-51-4", "bl-51-6"));
    assert_eq!(V6.mac().to_string(), "00:00:5e:00:02:33");
    for other in ["bl-051-4", "bl-256-4", "bl-51-5", "bl-51", "eth0", "bl-51-4x", ""] {
        assert_eq!(VirtualMac::of_link_name(other), None, "{other}");
    }
}

#[test]
fn what_was_before_is_read_back_and_nothing_else_is() {
    let before = Arp { ignore: 0, announce: 1 };
    assert_eq!(Arp::of_alias(&before.to_alias()), Some(before));
    for other in ["", "bowline virtual router", "mine", "bowline virtual router; before it arp_ignore=x"] {
        assert_eq!(Arp::of_alias(other), None, "{other}");
    }
}

#[test]
fn what_is_remembered_is_read_back_and_nothing_else_is() {
    let before = Before { parent: 7, arp: Arp { ignore: 0, announce: 1 } };
    assert_eq!(before.to_string(), "7/0/1");
    assert_eq!(Before::parse(&before.to_string()), Some(before));
    for other in ["", "7", "7/0", "7/0/1/2", "7/0/1/x", "7/0/x", "7/0/-1", "7//1"] {
        assert_eq!(Before::parse(other), None, "{other}");
    }
}

#[test]
fn each_address_is_answered_for_from_its_own_ethernet_address_only() {
    let Some((left, right)) = ends() else { return };
    let link = make(&left, V4);
    assert!(link.up && link.mac == Some(V4.mac()));
    let vip: IpAddr = "192.0.2.100".parse().unwrap();
    let own: IpAddr = "192.0.2.1".parse().unwrap();
    hold(&left, &link, vip);
    let there = right.link();
    // Both at once: the other of two answers to the first question comes before the answer to the second.
    let listener = right.inside(|| Listener::open(there.index, &[vip, own])).unwrap();
    let announcer = right.inside(|| Announcer::open(there.index)).unwrap();
    let mut answers = Vec::new();
    for address in [vip, own, vip, own] {
        announcer.send(&Frame::probe(address, there.mac.unwrap())).unwrap();
        readable(&listener);
        while let Some(claim) = listener.next_claim().unwrap() {
            answers.push((claim.address, claim.mac));
        }
    }
    // The last answers of both: frames of one link come in order.
    let parent = left.link().mac.unwrap();
    assert!(answers.contains(&(vip, V4.mac())) && answers.contains(&(own, parent)), "{answers:?}");
    assert!(!answers.contains(&(vip, parent)) && !answers.contains(&(own, V4.mac())), "{answers:?}");
}

#[test]
fn over_ipv6_it_answers_from_the_virtual_address_too() {
    let Some((left, right)) = ends() else { return };
    let link = make(&left, V6);
    let vip: IpAddr = "2001:db8::100".parse().unwrap();
    // The kernel itself joins the group in which the address is looked for some time later.
    let groups = left.inside(|| VrrpSocket::open(&link, Family::V6, Membership::None)).unwrap();
    groups.expect_solicitations(&[vip]).unwrap();
    hold(&left, &link, vip);
    assert_eq!(answer(&right, vip).mac, V6.mac());
    // It has no address but that, and will not get one from a router.
    let interfaces = left.netlink.interfaces().unwrap();
    let of_link = || interfaces.addresses().iter().filter(|own| own.interface == link.index);
    assert_eq!(of_link().map(|own| own.address).collect::<Vec<_>>(), [vip]);
    let taken = left.inside(|| std::fs::read_to_string("/proc/sys/net/ipv6/conf/bl-51-6/accept_ra")).unwrap();
    assert_eq!(taken.trim(), "0");
}

#[test]
fn with_the_last_link_the_parent_is_as_it_was() {
    let Some((left, _right)) = ends() else { return };
    let before = arp_of(&left, "left0");
    assert_eq!(before, Arp { ignore: 0, announce: 0 });
    let other = VirtualMac { vrid: 52, family: Family::V4 };
    make(&left, V4);
    make(&left, other);
    let raised = Arp { ignore: 1, announce: 2 };
    assert_eq!(arp_of(&left, "left0"), raised);
    assert_eq!(left.netlink.remove_virtual_link(V4, None).unwrap(), Removal::Removed);
    assert_eq!(arp_of(&left, "left0"), raised, "the other one is there");
    assert_eq!(left.netlink.remove_virtual_link(other, None).unwrap(), Removal::Removed);
    assert_eq!(arp_of(&left, "left0"), before);
    assert_eq!(left.netlink.remove_virtual_link(other, None).unwrap(), Removal::WasGone);
    // What somebody has set meanwhile is theirs.
    make(&left, V4);
    left.inside(|| std::fs::write("/proc/sys/net/ipv4/conf/left0/arp_ignore", "2")).unwrap();
    left.netlink.remove_virtual_link(V4, None).unwrap();
    assert_eq!(arp_of(&left, "left0"), Arp { ignore: 2, announce: 2 });
}

#[test]
fn a_parent_is_as_it_was_also_when_somebody_has_removed_the_link() {
    let Some((left, _right)) = ends() else { return };
    let parent = left.link().index;
    let before = || left.netlink.before_virtual_link(parent, V4).unwrap().unwrap();
    let was = before();
    let hold = |remembered| left.netlink.hold_virtual_link(parent, V4, remembered).unwrap();
    let raised = Arp { ignore: 1, announce: 2 };
    hold(Some(was));
    assert_eq!((arp_of(&left, "left0"), before()), (raised, was), "the link tells");
    left.netlink.delete_link(V4);
    // Made anew, it cannot see any more how it was.
    let link = hold(Some(was));
    assert_eq!((arp_of(&left, "left0"), before()), (raised, was));
    // One that somebody has written on does not tell.
    left.netlink.set_alias(link.index, "mine");
    assert_eq!(left.netlink.remove_virtual_link(V4, Some(was)).unwrap(), Removal::Removed);
    assert_eq!(arp_of(&left, "left0"), was.arp);
    hold(Some(was));
    left.netlink.delete_link(V4);
    assert_eq!(left.netlink.remove_virtual_link(V4, Some(was)).unwrap(), Removal::WasGone);
    assert_eq!(arp_of(&left, "left0"), was.arp);
    // What is remembered of another interface is none of this one's.
    let other = Before { parent: parent + 1000, arp: raised };
    hold(Some(other));
    left.netlink.remove_virtual_link(V4, None).unwrap();
    assert_eq!(arp_of(&left, "left0"), was.arp);
    assert_eq!(left.netlink.before_virtual_link(parent, V6).unwrap(), None);
}

#[test]
fn what_another_link_needs_stays_when_somebody_has_removed_one() {
    let Some((left, _right)) = ends() else { return };
    let parent = left.link().index;
    let was = left.netlink.before_virtual_link(parent, V4).unwrap();
    make(&left, V4);
    let other = VirtualMac { vrid: 52, family: Family::V4 };
    make(&left, other);
    left.netlink.delete_link(V4);
    left.netlink.remove_virtual_link(V4, was).unwrap();
    assert_eq!(arp_of(&left, "left0"), Arp { ignore: 1, announce: 2 });
    left.netlink.remove_virtual_link(other, None).unwrap();
    assert_eq!(arp_of(&left, "left0"), Arp { ignore: 0, announce: 0 });
}

#[test]
fn a_leftover_is_found_and_taken_away_and_restores_what_it_remembers() {
    let Some((left, _right)) = ends() else { return };
    let before = arp_of(&left, "left0");
    let held = make(&left, V4);
    assert_eq!(make(&left, V4).index, held.index, "one that is there stays");
    hold(&left, &held, "192.0.2.100".parse().unwrap());
    assert_eq!(left.netlink.remove_stale_virtual_links().unwrap(), [], "its process lives");
    let stale = VirtualMac { vrid: 7, family: Family::V4 };
    make(&left, stale);
    assert_eq!(left.netlink.remove_stale_virtual_links().unwrap(), [stale]);
    assert!(named(&left, V4).is_some() && named(&left, stale).is_none());
    left.inside(|| left.netlink.try_virtual_link(left.link().index, V4)).unwrap();
    assert!(named(&left, V4).is_none());
    assert_eq!(arp_of(&left, "left0"), before);
}

#[test]
fn another_programs_link_of_its_name_stays() {
    let Some((left, right)) = ends() else { return };
    left.namespace.join("bl-51-4", &right.namespace, "further").unwrap();
    let error = left.netlink.hold_virtual_link(left.link().index, V4, None).unwrap_err().to_string();
    assert_eq!(error, "bl-51-4 is another program's interface: rename it, or remove it: ip link del bl-51-4");
    assert_eq!(left.netlink.remove_virtual_link(V4, None).unwrap(), Removal::WasGone);
    assert_eq!(left.netlink.remove_stale_virtual_links().unwrap(), []);
    assert!(named(&left, V4).is_some_and(|link| link.kind.as_deref() == Some("veth")));
}

#[test]
fn adverts_come_from_the_virtual_address_and_are_heard_where_it_is_used_too() {
    let Some((left, right)) = ends() else { return };
    // Both hold the address, as after a partition.
    make(&left, V4);
    make(&right, V4);
    make(&left, V6);
    make(&right, V6);
    let there = right.link();
    let link_local = {
        let interfaces = left.netlink.interfaces().unwrap();
        interfaces.link_local(left.link().index).unwrap()
    };
    let sources = [IpAddr::from([192, 0, 2, 1]), link_local.into()];
    let announcer = left.inside(|| Announcer::open(left.link().index)).unwrap();
    for (source, of, group) in [(sources[0], V4, GROUP_V4.into()), (sources[1], V6, IpAddr::V6(GROUP_V6))] {
        let receiver = right.inside(|| VrrpSocket::open(&there, of.family, Membership::Group)).unwrap();
        let envelope = Envelope::of_adverts(of.mac(), source);
        announcer.send_advert(&envelope, b"advert").unwrap();
        readable(&receiver);
        let mut buffer = [0; ROOM];
        let received = receiver.receive(&mut buffer).unwrap();
        assert_eq!((received.source, received.destination), (source, group));
        assert_eq!((received.message, received.hop_limit), (&b"advert"[..], Some(255)));
    }
    let long = vec![0; 70_000];
    let refused = announcer.send_advert(&Envelope::of_adverts(V4.mac(), sources[0]), &long).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn every_prefix_of_what_the_kernel_says_of_a_link_is_safe() {
    let mut values = Encoder::default();
    (0..24_u32).for_each(|value| values.structure(&value.to_ne_bytes()));
    let mut family = Encoder::default();
    family.attribute(wire::IFLA_INET_CONF, &values.bytes);
    let mut families = Encoder::default();
    families.attribute(wire::AF_INET.into(), &family.bytes);
    let mut link = Encoder::default();
    wire::link_header(&mut link, 7, 1, 0);
    link.attribute(wire::IFLA_IFNAME, &c_string("eth0"));
    link.attribute(wire::IFLA_LINK, &9_u32.to_ne_bytes());
    link.attribute(wire::IFLA_AF_SPEC, &families.bytes);
    for length in 0..link.bytes.len() {
        assert_eq!(read(&link.bytes[..length]).and_then(|found| found.arp), None, "{length} bytes");
    }
    let whole = read(&link.bytes).unwrap();
    assert_eq!((whole.parent, whole.arp), (Some(9), Some(Arp { ignore: 18, announce: 17 })));
}

#[test]
fn a_read_only_proc_sys_is_told_with_what_the_host_has_to_have() {
    let told = |errno: Errno| VirtualLinkError::Kernel(errno.into()).to_string();
    assert!(told(Errno::ROFS).contains("set net.ipv6.conf.default.accept_ra to 0"), "{}", told(Errno::ROFS));
    assert!(!told(Errno::PERM).contains("accept_ra"), "{}", told(Errno::PERM));
}
