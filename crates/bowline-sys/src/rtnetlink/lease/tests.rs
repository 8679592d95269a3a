use super::*;
use crate::netns::LinkState;
use crate::testing::{End, LIMIT, create, pair, until};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

const VIRTUAL: [&str; 2] = ["192.0.2.100", "2001:db8::100"];

fn virtual_addresses() -> [IpAddr; 2] {
    VIRTUAL.map(|address| address.parse().unwrap())
}

fn lease(end: &End, address: IpAddr, seconds: u32) -> Lease {
    Lease { interface: end.link().index, address, valid: NonZeroU32::new(seconds).unwrap() }
}

fn entry(end: &End, address: IpAddr) -> Address {
    let found: Vec<_> =
        end.netlink.addresses().unwrap().into_iter().filter(|own| own.address == address).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

/// What a lease looks like in a list, whatever time is left.
fn assert_is_lease(found: &Address, seconds: u64) {
    assert_eq!(found.proto, Some(OUR_MARK));
    assert!(found.flags.is_deprecated() && !found.flags.is_permanent() && !found.flags.is_tentative());
    assert!(found.valid.unwrap() <= Duration::from_secs(seconds), "{found:?}");
    assert_eq!(found.preferred, Some(Duration::ZERO));
    match found.address {
        IpAddr::V4(_) => assert_eq!((found.prefix, found.scope), (32, Scope::Host)),
        IpAddr::V6(_) => {
            assert_eq!(found.prefix, 128);
            assert!(found.flags.is_unasked() && found.flags.is_without_route(), "{found:?}");
        }
    }
    assert!(found.is_ours());
}

#[test]
fn a_lease_ends_by_itself() {
    let Some((left, _right)) = pair() else { return };
    let started = Instant::now();
    for address in virtual_addresses() {
        left.netlink.hold(&lease(&left, address, 1)).unwrap();
    }
    for address in virtual_addresses() {
        until("end of the lease", || !left.has(address));
    }
    assert!(started.elapsed() >= Duration::from_millis(900), "it ended after {:?}", started.elapsed());
}

#[test]
fn a_renewed_lease_outlives_its_time_and_keeps_its_flags() {
    let Some((left, _right)) = pair() else { return };
    let leases = virtual_addresses().map(|address| lease(&left, address, 3));
    let held = leases.map(|lease| left.netlink.hold(&lease).unwrap());
    let started = Instant::now();
    // Renewed once in between: without that both would be gone.
    until("most of the lease", || started.elapsed() >= Duration::from_millis(2000));
    for (lease, held) in leases.iter().zip(&held) {
        let renewal = left.netlink.renew(lease, held).unwrap();
        // A machine that stopped for longer than the lease has none to keep, and is told so.
        if started.elapsed() < Duration::from_millis(2900) {
            assert_eq!(renewal, Renewal::Kept);
        }
        assert_is_lease(&entry(&left, lease.address), 3);
    }
    let renewed = Instant::now();
    until("end of the first lease", || started.elapsed() >= Duration::from_millis(3600));
    for address in virtual_addresses() {
        assert!(left.has(address) || renewed.elapsed() > Duration::from_millis(2900), "{address}");
    }
}

#[test]
fn a_renewal_tells_that_the_address_was_gone() {
    let Some((left, _right)) = pair() else { return };
    for address in virtual_addresses() {
        let lease = lease(&left, address, 30);
        let held = left.netlink.hold(&lease).unwrap();
        assert_eq!(left.netlink.renew(&lease, &held).unwrap(), Renewal::Kept, "{address}");
        assert_eq!(left.netlink.remove(&lease).unwrap(), Removal::Removed);
        assert!(!left.has(address));
        assert_eq!(left.netlink.remove(&lease).unwrap(), Removal::WasGone);
        // The kernel's stamps are hundredths of a second.
        std::thread::sleep(Duration::from_millis(25));
        let Renewal::Recreated(again) = left.netlink.renew(&lease, &held).unwrap() else {
            panic!("{address} was kept although it was gone");
        };
        assert_eq!(left.netlink.renew(&lease, &again).unwrap(), Renewal::Kept);
        assert_is_lease(&entry(&left, address), 30);
    }
}

#[test]
fn a_leftover_of_ours_is_taken_over_and_what_others_added_is_not() {
    let Some((left, _right)) = pair() else { return };
    for address in virtual_addresses() {
        let lease = lease(&left, address, 30);
        let first = left.netlink.hold(&lease).unwrap();
        assert_eq!(left.netlink.hold(&lease).unwrap(), first, "the same address, renewed");
        left.netlink.remove(&lease).unwrap();

        let whole = if address.is_ipv4() { 32 } else { 128 };
        left.namespace.add_address("left0", address, whole).unwrap();
        let before = entry(&left, address);
        match left.netlink.hold(&lease) {
            Err(HoldError::Foreign(found)) => assert_eq!(*found, before),
            other => panic!("{other:?}"),
        }
        assert_eq!(entry(&left, address), before, "untouched");
        assert!(!before.is_ours() && before.flags.is_permanent());
    }
}

/// Where a datagram to a neighbour would come from.
fn source(end: &End, neighbour: SocketAddr) -> IpAddr {
    end.inside(|| {
        let any: IpAddr = if neighbour.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        let socket = UdpSocket::bind((any, 0)).unwrap();
        socket2::SockRef::from(&socket).bind_device(Some(end.name.as_bytes())).unwrap();
        socket.connect(neighbour).unwrap();
        socket.local_addr().unwrap().ip()
    })
}

/// A link of its own without IPv4 addresses, so that the first that is added is the one the kernel would choose for multicast;
/// for IPv6 an address that shares more bits with the neighbour's than the host's own does.
#[test]
fn a_lease_is_never_chosen_as_a_source_where_a_plain_address_would_be() {
    let cases: [(&str, u8, &str); 2] =
        [("192.0.2.100", 32, "224.0.0.99"), ("2001:db8::3", 128, "2001:db8::2")];
    for (address, whole, neighbour) in cases {
        let (address, neighbour) = (address.parse().unwrap(), SocketAddr::new(neighbour.parse().unwrap(), 9));
        for is_lease in [false, true] {
            let Some((mut left, right)) = pair() else { return };
            left.namespace.join("bare0", &right.namespace, "bare1").unwrap();
            left.namespace.set_link("bare0", LinkState::Up).unwrap();
            if neighbour.is_ipv4() {
                left.name = "bare0";
            }
            if is_lease {
                left.netlink.hold(&lease(&left, address, 30)).unwrap();
            } else {
                left.namespace.add_address(left.name, address, whole).unwrap();
            }
            if neighbour.is_ipv4() {
                left.namespace.add_address("bare0", "198.51.100.1".parse().unwrap(), 24).unwrap();
            }
            assert_eq!(source(&left, neighbour) != address, is_lease, "{address}");
        }
    }
}

#[test]
fn a_lease_is_reached_over_the_link() {
    let Some((left, right)) = pair() else { return };
    for address in virtual_addresses() {
        left.netlink.hold(&lease(&left, address, 30)).unwrap();
        let listener = left.inside(|| TcpListener::bind((address, 0))).unwrap();
        let there = listener.local_addr().unwrap();
        right.inside(|| TcpStream::connect_timeout(&there, LIMIT)).unwrap();
    }
}

#[test]
fn the_kernels_refusals_are_errors() {
    let Some(namespace) = create() else { return };
    let netlink = namespace.inside(Rtnetlink::open).unwrap().unwrap();
    let nowhere = |address: &str| Lease {
        interface: 4096,
        address: address.parse().unwrap(),
        valid: NonZeroU32::new(1).unwrap(),
    };
    for address in VIRTUAL {
        let lease = nowhere(address);
        match netlink.hold(&lease) {
            Err(HoldError::Kernel(error)) => assert_eq!(Errno::from_io_error(&error), Some(Errno::NODEV)),
            other => panic!("{other:?}"),
        }
        assert!(netlink.renew(&lease, &Held { created: 0 }).is_err());
        assert_eq!(netlink.remove(&lease).unwrap(), Removal::WasGone);
    }
}
