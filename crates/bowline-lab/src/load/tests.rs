use super::*;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// A backend on a thread of its own, which ends with the test's process.
fn backend() -> SocketAddr {
    let backend = Backend::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = backend.address().unwrap();
    std::thread::spawn(move || backend.serve());
    address
}

#[test]
fn the_client_counts_what_the_backend_served() {
    let outcome = connect(backend(), Duration::from_millis(200), 8).unwrap();
    assert!(outcome.connections > 8, "{outcome:?}");
    assert_eq!(outcome.failed, 0, "{outcome:?}");
    assert!(outcome.seconds >= 0.2, "{outcome:?}");
}

#[test]
fn refused_connections_are_failures_and_end_the_run_early() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = connect(free, Duration::from_secs(600), 4).unwrap();
    assert_eq!(outcome.connections, 0);
    assert!(outcome.failed >= 1_000, "{outcome:?}");
}

#[test]
fn a_connection_that_is_closed_without_its_byte_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0]);
        }
    });
    let outcome = connect(address, Duration::from_millis(50), 2).unwrap();
    assert_eq!(outcome.connections, 0);
    assert!(outcome.failed > 0, "{outcome:?}");
}

#[test]
fn tls_is_answered_by_a_stand_in() {
    let mut stream = TcpStream::connect(backend()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // A handshake record whose message is nothing a server knows: the answer is an alert record (type 21), not an echo.
    stream.write_all(&[22, 3, 1, 0, 4, 99, 0, 0, 0]).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [21]);
}

#[test]
fn wrong_usage_is_an_error() {
    for words in [
        &["echo"][..],
        &["connect", "--to", "127.0.0.1:1"],
        &["echo", "--listen", "nowhere"],
        &["other"],
        &[],
    ] {
        assert!(run(words.iter().map(|word| (*word).to_owned())).is_err(), "{words:?}");
    }
}
