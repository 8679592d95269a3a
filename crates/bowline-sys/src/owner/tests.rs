use super::*;
use std::net::TcpListener;

#[test]
fn the_owner_of_a_listening_port_is_found() {
    for bound in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(bound) else {
            println!("skipped: {bound} cannot be bound on this host");
            continue;
        };
        let address = listener.local_addr().unwrap();
        let owner = of_listener(address).expect("an owner");
        assert_eq!(owner.pid, std::process::id());
        assert!(!owner.program.is_empty());
        let port = address.port();
        drop(listener);
        assert_eq!(of_listener(SocketAddr::new(address.ip(), port)), None);
    }
}

#[test]
fn a_wildcard_keeps_an_address_from_being_bound() {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(of_listener(SocketAddr::from(([127, 0, 0, 1], port))).is_some());
}

#[test]
fn lines_of_the_tables() {
    let four = "   1: 0100007F:2553 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0";
    let six = "   2: 00000000000000000000000001000000:192B 00000000000000000000000000000000:0000 0A 00000000:00000000 \
               00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0";
    let expect = |address: &str, inode| Some(Listening { address: address.parse().unwrap(), inode });
    if cfg!(target_endian = "little") {
        assert_eq!(listening(four), expect("127.0.0.1:9555", 4711));
        assert_eq!(listening(six), expect("[::1]:6443", 4712));
    }
    assert_eq!(listening(&four.replace(" 0A ", " 01 ")), None, "an established connection");
    for end in 0..four.find("4711").unwrap() {
        assert_eq!(listening(&four[..end]), None, "cut at {end}");
    }
    assert_eq!(parse_address("0100007"), None);
    assert_eq!(parse_address("0100007é"), None);
}
