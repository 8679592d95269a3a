use super::*;
use bowline_lab::fleet::Scratch;
use std::io::{Read, Write};

#[test]
fn addresses_that_others_can_reach_are_refused() {
    for text in
        ["0.0.0.0:9643", "[::]:9643", "192.0.2.1:9643", "9643", "localhost:9643", "unix:", "unix:run.sock"]
    {
        assert!(parse_listen(text).is_err(), "{text}");
    }
    for text in ["127.0.0.1:9643", "[::1]:9643", "unix:/run/bowline.sock"] {
        assert_eq!(parse_listen(text).map(|listen| listen.to_string()).as_deref(), Ok(text));
    }
}

#[test]
fn a_socket_that_somebody_serves_is_not_taken_away() {
    let scratch = Scratch::new("admin").expect("a directory");
    let path = scratch.path().join("admin.sock");
    let listen = AdminListen::Unix(path.display().to_string());
    let first = bind(&listen).expect("a socket");
    let error = bind(&listen).expect_err("it is taken").to_string();
    assert!(error.contains("Address already in use"), "{error}");
    drop(first);
    // What is left is a name without a daemon.
    assert!(path.exists());
    bind(&listen).expect("the place of a daemon that is gone");
}

#[test]
fn a_file_in_the_place_of_the_socket_is_left_alone() {
    let scratch = Scratch::new("admin").expect("a directory");
    let path = scratch.path().join("admin.sock");
    fs::write(&path, "precious").expect("write a file");
    assert!(bind(&AdminListen::Unix(path.display().to_string())).is_err());
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
}

#[test]
fn silent_clients_do_not_keep_others_from_asking() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _entered = runtime.enter();
    let (asks, _unanswered) = mpsc::channel(1);
    let bound = bind(&AdminListen::Tcp(([127, 0, 0, 1], 0).into())).expect("a port");
    let Socket::Tcp(listener) = &bound.socket else { panic!("not TCP") };
    let address = listener.local_addr().expect("its address");
    let _admin = bound.serve(Observer::new(), asks).expect("served");
    let _silent: Vec<_> =
        (1..CONNECTIONS_MAX).map(|_| std::net::TcpStream::connect(address).expect("connect")).collect();
    let client = std::thread::spawn(move || {
        let mut client = std::net::TcpStream::connect(address).expect("connect");
        client
            .write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .expect("ask");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer");
        answer
    });
    let answer = runtime.block_on(async { tokio::task::spawn_blocking(|| client.join()).await });
    let answer = answer.expect("the client's thread").expect("the client");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok\n"), "{answer}");
}
