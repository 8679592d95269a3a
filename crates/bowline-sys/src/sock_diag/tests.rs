use super::*;
use crate::tcp::{KeepAlive, Presence, Sharing};
use crate::testing::{End, LIMIT, pair, until};
use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};

fn diag(end: &End) -> SockDiag {
    end.inside(SockDiag::open).unwrap()
}

fn listener(end: &End, address: &str) -> (TcpListener, SocketAddr) {
    // With room for more waiting connections than the standard library's.
    let keep_alive = KeepAlive { idle: LIMIT, interval: LIMIT, count: 1 };
    let address = address.parse().unwrap();
    let listen = || crate::tcp::listen(address, Sharing::Founding, Presence::Required, keep_alive);
    let listener = TcpListener::from(end.inside(listen).unwrap());
    listener.set_nonblocking(false).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn connect(end: &End, address: SocketAddr) -> TcpStream {
    let stream = end.inside(|| TcpStream::connect_timeout(&address, LIMIT)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

fn read(stream: &mut TcpStream) -> io::Error {
    stream.read(&mut [0; 1]).expect_err("a reset")
}

fn local(addresses: &[IpAddr]) -> Filter<'_> {
    Filter { side: Side::Local, addresses, port: None }
}

#[test]
fn connections_to_an_address_are_ended_accepted_or_not_and_others_are_kept() {
    let Some((left, right)) = pair() else { return };
    for (virtual_address, own) in [("192.0.2.100", "192.0.2.1"), ("2001:db8::100", "2001:db8::1")]
        .map(|(a, b)| (a.parse::<IpAddr>().unwrap(), b.parse::<IpAddr>().unwrap()))
    {
        left.namespace.add_address("left0", virtual_address, if own.is_ipv4() { 32 } else { 128 }).unwrap();
        let any = if own.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let (listener, bound) = listener(&left, any);
        let at = |address| SocketAddr::new(address, bound.port());
        let mut accepted = connect(&right, at(virtual_address));
        let (mut server_side, _) = listener.accept().unwrap();
        let mut kept = connect(&right, at(own));
        let (kept_server_side, _) = listener.accept().unwrap();
        let mut waiting = connect(&right, at(virtual_address));

        let diag = diag(&left);
        let found = diag.connections(&local(&[virtual_address])).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|connection| connection.local == at(virtual_address)), "{found:?}");
        assert_eq!(diag.end(&found).unwrap(), Ended { ended: 2, gone: 0 });

        assert_eq!(read(&mut accepted).kind(), ErrorKind::ConnectionReset);
        assert_eq!(read(&mut waiting).kind(), ErrorKind::ConnectionReset);
        assert_eq!(read(&mut server_side).kind(), ErrorKind::ConnectionAborted);
        assert_eq!(diag.end(&found).unwrap(), Ended { ended: 0, gone: 2 }, "they are gone");
        kept.set_nonblocking(true).unwrap();
        assert_eq!(read(&mut kept).kind(), ErrorKind::WouldBlock, "it still waits for bytes");
        drop(kept_server_side);
    }
}

#[test]
fn clients_of_an_address_are_ended_by_its_being_remote() {
    let Some((left, right)) = pair() else { return };
    let (listener, address) = listener(&left, "192.0.2.1:0");
    let mut client = connect(&right, address);
    let (mut server_side, _) = listener.accept().unwrap();
    let addresses = [address.ip()];
    let filter = |port| Filter { side: Side::Remote, addresses: &addresses, port };
    assert!(diag(&right).connections(&filter(Some(1))).unwrap().is_empty(), "another port");
    assert_eq!(diag(&right).end_all(&filter(Some(address.port())), || ()).unwrap().ended, 1);
    assert_eq!(read(&mut client).kind(), ErrorKind::ConnectionAborted);
    server_side.set_read_timeout(Some(LIMIT)).unwrap();
    assert_eq!(read(&mut server_side).kind(), ErrorKind::ConnectionReset);
}

#[test]
fn an_ipv4_connection_of_an_ipv6_listener_is_found() {
    let Some((left, right)) = pair() else { return };
    // It serves both families, as Go's and Rust's do by default.
    let listener = left.inside(|| TcpListener::bind("[::]:0")).unwrap();
    let bound = listener.local_addr().unwrap();
    let mut client = connect(&right, SocketAddr::new("192.0.2.1".parse().unwrap(), bound.port()));
    let _server_side = listener.accept().unwrap();
    let addresses = ["192.0.2.1".parse().unwrap()];
    assert_eq!(diag(&left).end_all(&local(&addresses), || ()).unwrap().ended, 1);
    assert_eq!(read(&mut client).kind(), ErrorKind::ConnectionReset);
}

#[test]
fn more_than_a_batch_and_several_addresses_are_ended_at_once() {
    const CLIENTS: usize = 3 * BATCH + 1;
    let Some((left, right)) = pair() else { return };
    let addresses: Vec<IpAddr> = (100..104)
        .map(|last| IpAddr::from([192, 0, 2, last]))
        .chain(["2001:db8::1".parse().unwrap()])
        .collect();
    for address in &addresses[..4] {
        left.namespace.add_address("left0", *address, 32).unwrap();
    }
    let (four, bound) = listener(&left, "0.0.0.0:0");
    let (six, bound_six) = listener(&left, "[2001:db8::1]:0");
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|index| match addresses[index % addresses.len()] {
            address if address.is_ipv4() => connect(&right, SocketAddr::new(address, bound.port())),
            _ => connect(&right, bound_six),
        })
        .collect();
    let mut steps = 0;
    let ended = diag(&left).end_all(&local(&addresses), || steps += 1).unwrap();
    assert_eq!(ended, Ended { ended: CLIENTS, gone: 0 });
    // Each batch, and each list.
    assert_eq!(steps, CLIENTS.div_ceil(BATCH) + 2);
    for client in &mut clients {
        assert_eq!(read(client).kind(), ErrorKind::ConnectionReset);
    }
    drop((four, six));
}

#[test]
fn a_connection_that_is_being_made_is_ended() {
    let Some((left, right)) = pair() else { return };
    right.namespace.set_link("right0", crate::netns::LinkState::Down).unwrap();
    let silent: SocketAddr = "192.0.2.2:9".parse().unwrap();
    let socket = left.inside(|| crate::tcp::connect(silent)).unwrap();
    let addresses = [silent.ip()];
    let filter = Filter { side: Side::Remote, addresses: &addresses, port: None };
    until("connection that is being made", || !diag(&left).connections(&filter).unwrap().is_empty());
    assert_eq!(diag(&left).end_all(&filter, || ()).unwrap().ended, 1);
    assert_eq!(crate::tcp::take_error(&socket).unwrap().kind(), ErrorKind::ConnectionAborted);
}

#[test]
fn nothing_matches_no_address_and_nobody_is_ended_twice() {
    let Some((left, right)) = pair() else { return };
    let (_listener, address) = listener(&left, "192.0.2.1:0");
    let _client = connect(&right, address);
    let diag = diag(&left);
    assert!(diag.connections(&local(&[])).unwrap().is_empty());
    assert!(diag.connections(&local(&["192.0.2.9".parse().unwrap()])).unwrap().is_empty());
    assert_eq!(diag.end(&[]).unwrap(), Ended::default());
    assert_eq!(diag.end_all(&local(&[address.ip()]), || ()).unwrap().ended, 1);
    assert_eq!(diag.end_all(&local(&[address.ip()]), || ()).unwrap(), Ended::default());
}

#[test]
fn what_this_kernel_can_do_is_known_before_it_is_needed() {
    let Some((left, _right)) = pair() else { return };
    left.inside(SockDiag::open_to_end).expect("kernels of today can");
    // What is asked for it is nobody's.
    let none = diag(&left).end(&[Connection::none()]).unwrap();
    assert_eq!(none, Ended { ended: 0, gone: 1 });
}
