//! Clients whose endpoint says nothing are moved to another one, when what they have sent may be sent twice.

mod common;

use bowline_pool::{Evidence, Grade};
use bowline_proxy::EndReason;
use common::*;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;

/// A whole ClientHello, as a real client sends it.
const HELLO: &[u8] = include_bytes!("wire/curl-h2.bin");

fn answers(second: &TcpListener, client: &mut std::net::TcpStream) {
    let mut server = accept(second);
    assert_eq!(read(&mut server, HELLO.len()), HELLO);
    server.write_all(b"server hello").unwrap();
    assert_eq!(read(client, 12), b"server hello");
    client.write_all(b"finished").unwrap();
    assert_eq!(read(&mut server, 8), b"finished");
}

#[test]
fn a_frozen_endpoint_costs_a_tls_client_time_and_nothing_else() {
    let ((frozen, at), (second, second_at)) = (endpoint(), endpoint());
    let (bench, address) = Bench::before(&[at, second_at]);
    let mut client = connect(address);
    client.write_all(HELLO).unwrap();
    answers(&second, &mut client);
    assert_eq!(bench.memory.count(evidence(0, Evidence::UnansweredFlight)), 1);
    let stats = bench.stats();
    assert_eq!((stats.open, stats.held, stats.redialled), (1, 0, 1));
    // Once it thaws it finds that the client has gone.
    let mut thawed = accept(&frozen);
    let mut hello = vec![0; HELLO.len()];
    let _ = std::io::Read::read(&mut thawed, &mut hello);
    assert_reset(&thawed);
}

#[test]
fn a_hello_in_pieces_is_moved_whole() {
    let ((_frozen, at), (second, second_at)) = (endpoint(), endpoint());
    let (bench, address) = Bench::before(&[at, second_at]);
    let mut client = connect(address);
    for piece in HELLO.chunks(100) {
        client.write_all(piece).unwrap();
        wait_until("it is relayed", || bench.stats().bytes_up > 0);
    }
    answers(&second, &mut client);
}

#[test]
fn an_endpoint_that_closes_or_resets_unanswered_is_left_at_once() {
    for resets in [false, true] {
        let ((first, at), (second, second_at)) = (endpoint(), endpoint());
        let (bench, address) = Bench::before(&[at, second_at]);
        let mut client = connect(address);
        client.write_all(HELLO).unwrap();
        let mut server = accept(&first);
        read(&mut server, HELLO.len());
        if resets {
            reset(server)
        } else {
            drop(server)
        }
        answers(&second, &mut client);
        bench.memory.wait_for(evidence(0, Evidence::ClosedUnanswered));
        assert_eq!(bench.stats().redialled, 1);
    }
}

#[test]
fn a_request_is_never_sent_twice() {
    let ((first, at), (second, second_at)) = (endpoint(), endpoint());
    let (bench, address) = Bench::before(&[at, second_at]);
    for request in [&b"PUT / HTTP/1.1\r\n\r\n"[..], &[HELLO, &[23, 3, 3, 0, 1, 0]].concat()] {
        let mut client = connect(address);
        client.write_all(request).unwrap();
        let mut server = accept(&first);
        read(&mut server, request.len());
        let before = bench.memory.count(evidence(0, Evidence::UnansweredFlight));
        wait_until("the flight", || bench.memory.count(evidence(0, Evidence::UnansweredFlight)) > before);
        reset(server);
        assert_reset(&client);
    }
    assert_eq!(bench.stats().redialled, 0);
    second.set_nonblocking(true).unwrap();
    assert!(second.accept().is_err(), "the second endpoint was dialled");
}

#[test]
fn what_was_answered_stays() {
    let ((first, at), (_second, second_at)) = (endpoint(), endpoint());
    let (bench, address) = Bench::before(&[at, second_at]);
    let mut client = connect(address);
    client.write_all(HELLO).unwrap();
    let mut server = accept(&first);
    read(&mut server, HELLO.len());
    server.write_all(b"s").unwrap();
    assert_eq!(read(&mut client, 1), b"s");
    reset(server);
    assert_reset(&client);
    assert_eq!(bench.stats().redialled, 0);
}

#[test]
fn where_no_other_endpoint_takes_connections_the_client_stays() {
    let ((first, at), (_dead, dead_at)) = (endpoint(), endpoint());
    let bench = Bench::new(1, 100);
    let mut snapshot = pool(&[at, dead_at]);
    snapshot.endpoints[1].grade = Grade::Dead;
    bench.proxy.set_pool(POOL, Arc::new(snapshot));
    let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
    let mut slow = connect(address);
    slow.write_all(HELLO).unwrap();
    let mut server = accept(&first);
    read(&mut server, HELLO.len());
    bench.memory.wait_for(evidence(0, Evidence::UnansweredFlight));
    server.write_all(b"late").unwrap();
    assert_eq!(read(&mut slow, 4), b"late");

    let mut closed = connect(address);
    closed.write_all(HELLO).unwrap();
    let mut server = accept(&first);
    read(&mut server, HELLO.len());
    drop(server);
    assert_eq!(read_all(&mut closed), b"", "the end of the stream is passed on");
    assert_eq!(bench.stats().redialled, 0);
}

#[test]
fn a_client_is_moved_twice_and_no_more() {
    let endpoints: Vec<_> = (0..4).map(|_| endpoint()).collect();
    let (bench, address) = Bench::before(&endpoints.iter().map(|(_, at)| *at).collect::<Vec<_>>());
    let mut client = connect(address);
    client.write_all(HELLO).unwrap();
    // Each of them resets whoever comes.
    let resetters: Vec<_> = endpoints
        .into_iter()
        .map(|(listener, _)| {
            std::thread::spawn(move || {
                for client in listener.incoming() {
                    let mut client = client.unwrap();
                    if std::io::Read::read_exact(&mut client, &mut [0; HELLO.len()]).is_ok() {
                        reset(client);
                    }
                }
            })
        })
        .collect();
    assert_reset(&client);
    bench.wait_ended(EndReason::EndpointReset);
    assert_eq!(bench.stats().redialled, 2);
    assert_eq!((bench.proxy.connections(), bench.stats().open, bench.stats().held), (0, 0, 0));
    drop(resetters);
}

#[test]
fn a_client_that_leaves_while_it_is_moved_is_forgotten() {
    let ((_frozen, at), second_at) = (endpoint(), nobody());
    let (bench, address) = Bench::before(&[at, second_at]);
    let mut client = connect(address);
    client.write_all(HELLO).unwrap();
    wait_until("it is moved", || bench.stats().redialled == 1);
    reset(client);
    wait_until("it is forgotten", || bench.proxy.connections() == 0);
    assert_eq!((bench.stats().open, bench.stats().held), (0, 0));
}
