use super::*;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

/// A backend on a thread of its own, which ends with the test's process.
fn backend() -> SocketAddr {
    backend_and_authority().0
}

fn backend_and_authority() -> (SocketAddr, ClientTls) {
    let backend = Backend::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = backend.address().unwrap();
    let tls = ClientTls::new(backend.authority()).unwrap();
    std::thread::spawn(move || backend.serve());
    (address, tls)
}

/// Runs for longer and longer until there is enough to judge: how much a busy machine does in a given time is not what is tested.
fn until<T>(enough: impl Fn(&T) -> bool, run: impl Fn(Duration) -> T) -> T {
    let mut time = Duration::from_millis(50);
    loop {
        let outcome = run(time);
        if enough(&outcome) || time > Duration::from_secs(20) {
            return outcome;
        }
        time *= 2;
    }
}

#[test]
fn the_client_counts_what_the_backend_served() {
    let address = backend();
    let outcome =
        until(|seen: &Outcome| seen.connections > 8, |time| connect(address, time, 8, None).unwrap());
    assert!(outcome.connections > 8, "{outcome:?}");
    assert_eq!(outcome.failed, 0, "{outcome:?}");
    assert!(outcome.seconds >= 0.05, "{outcome:?}");
}

#[test]
fn refused_connections_are_failures_and_end_the_run_early() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let outcome = connect(free, Duration::from_secs(600), 4, None).unwrap();
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
    let outcome = until(|seen: &Outcome| seen.failed > 0, |time| connect(address, time, 2, None).unwrap());
    assert_eq!(outcome.connections, 0);
    assert!(outcome.failed > 0, "{outcome:?}");
}

#[test]
fn what_is_no_tls_is_answered_by_an_alert() {
    let mut stream = TcpStream::connect(backend()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // A handshake record whose message is nothing a server knows: the answer is an alert record (type 21), not an echo.
    stream.write_all(&[22, 3, 1, 0, 4, 99, 0, 0, 0]).unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [21]);
}

#[test]
fn new_tls_connections_are_served() {
    let (address, tls) = backend_and_authority();
    let outcome =
        until(|seen: &Outcome| seen.connections > 4, |time| connect(address, time, 4, Some(&tls)).unwrap());
    assert!(outcome.connections > 4, "{outcome:?}");
    assert_eq!(outcome.failed, 0, "{outcome:?}");
}

#[test]
fn a_backend_of_another_authority_is_not_trusted() {
    let (_, stranger) = backend_and_authority();
    let address = backend();
    let outcome =
        until(|seen: &Outcome| seen.failed > 0, |time| connect(address, time, 4, Some(&stranger)).unwrap());
    assert_eq!(outcome.connections, 0);
    assert!(outcome.failed > 0, "{outcome:?}");
}

#[test]
fn one_connection_has_all_its_requests_answered() {
    let (address, tls) = backend_and_authority();
    let answers = until(|seen: &Answers| seen.requests > 10, |time| ask(address, time, &tls).unwrap());
    assert!(answers.requests > 10, "{answers:?}");
    assert!(answers.p50_micros > 0.0 && answers.p50_micros <= answers.p99_micros, "{answers:?}");
}

#[test]
fn bulk_comes_on_every_connection() {
    let address = backend();
    let received = until(|seen: &Received| seen.bytes > 1_000_000, |time| receive(address, time, 3).unwrap());
    assert!(received.bytes > 1_000_000, "{received:?}");
    assert_eq!(received.failed, 0, "{received:?}");
}

#[test]
fn idle_connections_stay() {
    let idle = Idle::open(backend(), 20).unwrap();
    assert_eq!(serde_json::to_value(&idle).unwrap(), serde_json::json!({"connections": 20}));
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(Idle::open(gone, 1).is_err());
}

#[test]
fn wrong_usage_is_an_error() {
    for words in [
        &["serve"][..],
        &["connect", "--to", "127.0.0.1:1"],
        &["serve", "--listen", "nowhere", "--ca", "file"],
        &["other"],
        &[],
    ] {
        assert!(run(words.iter().map(|word| (*word).to_owned())).is_err(), "{words:?}");
    }
}
