//! Who is let in, how much of everything one may have, and what endpoints are told about clients.

mod common;

use bowline_proxy::{Config, EndReason, Network, SourceLimits};
use common::*;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::{Duration, Instant};

/// Connects from one of this host's many loopback addresses.
fn connect_from(source: Ipv4Addr, address: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[track_caller]
fn assert_served(mut client: TcpStream) -> TcpStream {
    assert_eq!(read(&mut client, 2), b"hi");
    client
}

#[test]
fn only_clients_of_the_allowed_networks_are_served() {
    let clients = vec![Network::new(Ipv4Addr::new(127, 0, 0, 8).into(), 30).unwrap()];
    let (bench, address) = Bench::with_before(Config { clients, ..config(1, 10) }, &[greeter("hi")]);
    assert_served(connect_from(Ipv4Addr::new(127, 0, 0, 9), address));
    assert_reset(&connect_from(Ipv4Addr::new(127, 0, 0, 12), address));
    bench.memory.wait_for(ended(EndReason::NotAllowed));
    assert_eq!((bench.stats().accepted, bench.stats().ended(EndReason::NotAllowed)), (2, 1));
}

#[test]
fn one_source_cannot_take_all_connections() {
    let sources = SourceLimits { connections_max: NonZeroUsize::new(2), ..SourceLimits::default() };
    let (bench, address) = Bench::with_before(Config { sources, ..config(2, 10) }, &[greeter("hi")]);
    let busy = Ipv4Addr::new(127, 0, 0, 2);
    let first = assert_served(connect_from(busy, address));
    let _second = assert_served(connect_from(busy, address));
    assert_reset(&connect_from(busy, address));
    bench.memory.wait_for(ended(EndReason::SourceConnections));
    assert_served(connect_from(Ipv4Addr::new(127, 0, 0, 3), address));
    drop(first);
    // The end of the first one is noticed when the worker comes to it.
    wait_until("there is room again", || {
        let mut client = connect_from(busy, address);
        client.read(&mut [0; 2]).is_ok_and(|count| count > 0)
    });
}

#[test]
fn one_source_cannot_connect_without_end() {
    let sources = SourceLimits { per_second: NonZeroU32::new(1), ..SourceLimits::default() };
    let (bench, address) = Bench::with_before(Config { sources, ..config(2, 100) }, &[greeter("hi")]);
    let start = Instant::now();
    (0..4).for_each(|_| drop(assert_served(connect(address))));
    let refused = connect(address);
    if start.elapsed() < Duration::from_secs(1) {
        assert_reset(&refused);
        bench.memory.wait_for(ended(EndReason::SourceRate));
    }
    assert_served(connect_from(Ipv4Addr::new(127, 0, 0, 3), address));
    wait_until("a second's worth", || {
        let mut client = connect(address);
        client.read(&mut [0; 2]).is_ok_and(|count| count > 0)
    });
}

#[test]
fn everybody_behind_an_exempt_network_is_served() {
    let one = NonZeroUsize::new(1);
    let exempt = Network::LOOPBACK.to_vec();
    let sources = SourceLimits { connections_max: one, per_second: NonZeroU32::new(1), exempt };
    let (bench, address) = Bench::with_before(Config { sources, ..config(1, 100) }, &[greeter("hi")]);
    let clients: Vec<_> = (0..20).map(|_| assert_served(connect(address))).collect();
    assert_eq!((clients.len(), bench.proxy.stats().sources), (20, 0));
}

#[test]
fn a_connection_on_which_nobody_says_anything_ends() {
    let first_byte = Some(Duration::from_millis(400));
    let (listener, at) = endpoint();
    let (bench, address) = Bench::with_before(Config { first_byte, ..config(1, 10) }, &[at]);
    let (mut speaks, mut heard) = (connect(address), accept(&listener));
    let (mut listens, mut greets) = (connect(address), accept(&listener));
    let start = Instant::now();
    let (silent, _server) = (connect(address), accept(&listener));
    speaks.write_all(b"x").unwrap();
    read(&mut heard, 1);
    greets.write_all(b"x").unwrap();
    read(&mut listens, 1);
    assert_reset(&silent);
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
    bench.memory.wait_for(ended(EndReason::Silent));
    // The others are older, and still there.
    for (a, b) in [(&mut speaks, &mut heard), (&mut listens, &mut greets)] {
        a.write_all(b"still").unwrap();
        assert_eq!(read(b, 5), b"still");
    }
    assert_eq!(bench.stats().ended(EndReason::Silent), 1);
}

/// What the PROXY protocol says about `client` at `address`.
fn header(client: &TcpStream, address: SocketAddr) -> Vec<u8> {
    let octets = |address: SocketAddr| match address.ip() {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(_) => panic!("{address}"),
    };
    let from = client.local_addr().unwrap();
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend([octets(from), octets(address)].concat());
    header.extend([from.port().to_be_bytes(), address.port().to_be_bytes()].concat());
    header
}

#[test]
fn an_endpoint_is_told_who_the_client_is_when_it_wants_to_know() {
    let (listener, at) = endpoint();
    let (bench, address) = Bench::before(&[at]);
    bench.proxy.introduce(POOL, true);
    let (mut client, mut server) = (connect(address), accept(&listener));
    assert_eq!(read(&mut server, 28), header(&client, address), "before the client has said anything");
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut server), b"hello");
    drop(server);
    bench.wait_ended(EndReason::Closed);
    assert_eq!(bench.stats().bytes_up, 5, "the header is none of the client's bytes");

    bench.proxy.introduce(POOL, false);
    let (mut client, mut server) = (connect(address), accept(&listener));
    client.write_all(b"hello").unwrap();
    assert_eq!(read(&mut server, 5), b"hello");
}

#[test]
fn the_second_endpoint_is_told_too() {
    let hello = include_bytes!("wire/openssl-tls13.bin");
    let ((silent, first), (listener, second)) = (endpoint(), endpoint());
    let (bench, address) = Bench::before(&[first, second]);
    bench.proxy.introduce(POOL, true);
    let mut client = connect(address);
    client.write_all(hello).unwrap();
    let mut ignored = accept(&silent);
    let mut server = accept(&listener);
    let told = [&header(&client, address)[..], hello].concat();
    assert_eq!(read(&mut ignored, told.len()), told);
    assert_eq!(read(&mut server, told.len()), told);
    server.write_all(b"hi").unwrap();
    assert_served(client);
    assert_eq!(bench.stats().redialled, 1);
}

fn pattern(place: u64) -> u8 {
    (place * 31 % 251) as u8
}

/// Sends as much as is taken until nothing was for a while, and returns how much.
fn stuff(mut server: &TcpStream) -> usize {
    server.set_nonblocking(true).unwrap();
    let stream: Vec<u8> = (0..251 * 1024).map(pattern).collect();
    let (mut sent, mut last) = (0, Instant::now());
    while last.elapsed() < Duration::from_millis(100) {
        match server.write(&stream[sent % stream.len()..]) {
            Ok(count) => (sent, last) = (sent + count, Instant::now()),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    sent
}

#[test]
fn what_clients_do_not_read_is_kept_up_to_a_bound_for_all_of_them() {
    for unsent_max in [0, 300_000, 3 << 20] {
        let (listener, at) = endpoint();
        let (bench, address) = Bench::with_before(Config { unsent_max, ..config(1, 100) }, &[at]);
        let mut clients: Vec<_> =
            (0..6).map(|_| connect(address)).map(|client| (client, accept(&listener))).collect();
        let (mut most, mut sent) = (0, Vec::new());
        for (_, server) in &clients {
            sent.push(stuff(server));
            let unsent = bench.proxy.stats().unsent as usize;
            assert!(unsent <= unsent_max, "{unsent} of {unsent_max}");
            most = most.max(unsent);
        }
        assert_eq!(most > 0, unsent_max > 0, "{most} of {unsent_max}");
        for ((client, server), sent) in clients.iter_mut().zip(sent) {
            server.set_nonblocking(false).unwrap();
            server.shutdown(Shutdown::Write).unwrap();
            let received = read_all(client);
            assert!(received.len() == sent && sent > 64 * 1024, "{} of {sent} bytes", received.len());
            assert!(received.iter().zip(0u64..).all(|(byte, place)| *byte == pattern(place)));
        }
        drop(clients);
        wait_until("all have ended well", || bench.stats().ended(EndReason::Closed) == 6);
        wait_until("nothing is kept any more", || bench.proxy.stats().unsent == 0);
    }
}
