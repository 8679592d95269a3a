use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::*;

/// Far more than a connection inside one machine takes.
const LIMIT: Duration = Duration::from_secs(5);
/// How long a cut is watched to be silent. Linux resolves a neighbour for three seconds before it calls a host unreachable, and what
/// is tested is that nothing is said before.
const SILENCE: Duration = Duration::from_secs(2);

/// A namespace, or the reason why there is none.
fn create() -> Option<Namespace> {
    match Namespace::create() {
        Ok(namespace) => Some(namespace),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            println!("skipped: making a network namespace needs root");
            None
        }
        Err(error) => panic!("making a namespace: {error}"),
    }
}

fn identity() -> std::path::PathBuf {
    std::fs::read_link("/proc/thread-self/ns/net").expect("own namespace")
}

/// Two namespaces with a link between them, both ends up, with these addresses.
fn pair(here: IpAddr, there: IpAddr, prefix: u8) -> Option<(Namespace, Namespace)> {
    let (left, right) = (create()?, create()?);
    left.join("left0", &right, "right0").expect("join");
    for (namespace, name, address) in [(&left, "left0", here), (&right, "right0", there)] {
        namespace.add_address(name, address, prefix).expect("address");
        namespace.set_link(name, LinkState::Up).expect("up");
    }
    Some((left, right))
}

fn listen(namespace: &Namespace, address: IpAddr) -> (TcpListener, SocketAddr) {
    let listener = namespace.inside(|| TcpListener::bind((address, 0))).expect("inside").expect("bind");
    let address = listener.local_addr().expect("address");
    (listener, address)
}

fn connect(namespace: &Namespace, address: &SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    namespace.inside(|| TcpStream::connect_timeout(address, limit)).expect("inside")
}

#[test]
fn the_calling_thread_comes_home() {
    let home = identity();
    let Some(namespace) = create() else { return };
    assert_eq!(identity(), home, "after create");
    let inside = namespace.inside(identity).expect("inside");
    assert_ne!(inside, home);
    assert_eq!(identity(), home, "after inside");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            namespace.enter().expect("enter");
            assert_eq!(identity(), inside);
        });
    });
    assert_eq!(identity(), home, "after another thread entered");
}

#[test]
fn a_new_namespace_has_its_own_loopback() {
    let Some(namespace) = create() else { return };
    let (_listener, address) = listen(&namespace, Ipv4Addr::LOCALHOST.into());
    connect(&namespace, &address, LIMIT).expect("over the namespace's loopback");
    let outside = TcpStream::connect_timeout(&address, LIMIT).expect_err("not from outside");
    assert_eq!(outside.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn joined_namespaces_reach_each_other_over_both_families() {
    let here = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    let there = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
    let Some((left, right)) = pair(here.into(), there.into(), 64) else { return };
    left.add_address("left0", Ipv4Addr::new(192, 0, 2, 1).into(), 30).expect("address");
    right.add_address("right0", Ipv4Addr::new(192, 0, 2, 2).into(), 30).expect("address");
    for address in [there.into(), Ipv4Addr::new(192, 0, 2, 2).into()] {
        let (_listener, address) = listen(&right, address);
        connect(&left, &address, LIMIT).expect("across the pair");
    }
}

#[test]
fn a_link_that_is_down_is_silence_and_comes_back() {
    let there = Ipv4Addr::new(192, 0, 2, 2).into();
    let Some((left, right)) = pair(Ipv4Addr::new(192, 0, 2, 1).into(), there, 30) else { return };
    let (_listener, address) = listen(&right, there);
    connect(&left, &address, LIMIT).expect("while the link is up");
    right.set_link("right0", LinkState::Down).expect("down");
    let started = Instant::now();
    let error = connect(&left, &address, SILENCE).expect_err("cut");
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert!(started.elapsed() >= SILENCE, "it was not silence but an answer after {:?}", started.elapsed());
    right.set_link("right0", LinkState::Up).expect("up");
    connect(&left, &address, LIMIT).expect("after the link is back");
}

#[test]
fn mistakes_are_the_kernels_errors() {
    let Some((left, right)) =
        pair(Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::new(192, 0, 2, 2).into(), 30)
    else {
        return;
    };
    assert_eq!(left.join("left0", &right, "other0").expect_err("taken").kind(), ErrorKind::AlreadyExists);
    assert!(left.set_link("nothing0", LinkState::Up).is_err());
    assert!(left.add_address("nothing0", Ipv4Addr::LOCALHOST.into(), 8).is_err());
    let again = left.add_address("left0", Ipv4Addr::new(192, 0, 2, 1).into(), 30).expect_err("there already");
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
}
