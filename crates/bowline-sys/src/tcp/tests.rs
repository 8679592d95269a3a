use super::*;
use crate::epoll::{Epoll, Events, Interest};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

const KEEP_ALIVE: KeepAlive =
    KeepAlive { idle: Duration::from_secs(15), interval: Duration::from_secs(5), count: 3 };

fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Waits until the socket has an event; returns whether it failed.
fn wait(socket: &OwnedFd, interest: Interest) -> bool {
    let epoll = Epoll::new().unwrap();
    let mut events = Events::with_capacity(1);
    epoll.add(socket, 0, interest).unwrap();
    epoll.wait(&mut events, Some(Duration::from_secs(10))).unwrap();
    events.get(0).expect("an event within ten seconds").failed()
}

#[test]
fn founding_is_exclusive_and_joining_shares() {
    let first = listen(loopback(), Sharing::Founding, Presence::Required, KEEP_ALIVE).unwrap();
    let address = local_address(&first).unwrap();
    let joined = listen(address, Sharing::Joining, Presence::Required, KEEP_ALIVE).unwrap();
    assert_eq!(local_address(&joined).unwrap(), address);

    let again = listen(address, Sharing::Founding, Presence::Required, KEEP_ALIVE).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AddrInUse, "although the other would share");
    drop((first, joined));
    listen(address, Sharing::Founding, Presence::Required, KEEP_ALIVE).expect("free again");
}

#[test]
fn both_sockets_of_a_shared_address_get_connections() {
    let first = listen(loopback(), Sharing::Founding, Presence::Required, KEEP_ALIVE).unwrap();
    let address = local_address(&first).unwrap();
    let second = listen(address, Sharing::Joining, Presence::Required, KEEP_ALIVE).unwrap();
    let clients: Vec<_> = (0..64).map(|_| TcpStream::connect(address).unwrap()).collect();
    let drain = |listener: &OwnedFd| std::iter::from_fn(|| accept(listener).ok()).count();
    let (a, b) = (drain(&first), drain(&second));
    assert_eq!(a + b, clients.len());
    assert!(a > 0 && b > 0, "{a} and {b}");
}

#[test]
fn a_port_that_another_does_not_share_is_in_use() {
    let other = TcpListener::bind(loopback()).unwrap();
    let address = other.local_addr().unwrap();
    for sharing in [Sharing::Founding, Sharing::Joining] {
        assert_eq!(
            listen(address, sharing, Presence::Required, KEEP_ALIVE).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
    }
}

#[test]
fn an_ipv6_listener_takes_no_ipv4() {
    let Ok(six) =
        listen((Ipv6Addr::UNSPECIFIED, 0).into(), Sharing::Founding, Presence::Required, KEEP_ALIVE)
    else {
        println!("skipped: this host has no IPv6");
        return;
    };
    let port = local_address(&six).unwrap().port();
    let four =
        listen((Ipv4Addr::UNSPECIFIED, port).into(), Sharing::Founding, Presence::Required, KEEP_ALIVE)
            .unwrap();
    let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    assert!(accept(&four).is_ok());
    assert_eq!(accept(&six).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn accepted_sockets_inherit_the_listeners_options() {
    let listener = listen(loopback(), Sharing::Founding, Presence::Required, KEEP_ALIVE).unwrap();
    let client = TcpStream::connect(local_address(&listener).unwrap()).unwrap();
    let (accepted, peer) = accept(&listener).unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    assert!(sockopt::tcp_nodelay(&accepted).unwrap());
    assert!(sockopt::socket_keepalive(&accepted).unwrap());
    assert_eq!(sockopt::tcp_keepidle(&accepted).unwrap(), KEEP_ALIVE.idle);
    assert_eq!(sockopt::tcp_keepintvl(&accepted).unwrap(), KEEP_ALIVE.interval);
    assert_eq!(sockopt::tcp_keepcnt(&accepted).unwrap(), KEEP_ALIVE.count);
}

#[test]
fn connecting_sending_and_finishing() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let ours = connect(listener.local_addr().unwrap()).unwrap();
    assert!(!wait(&ours, Interest::STREAM), "connected");
    assert!(take_error(&ours).is_none() && is_connected(&ours) && is_untouched(&ours));
    let (mut theirs, _) = listener.accept().unwrap();

    assert_eq!(send(&ours, b"hello").unwrap(), 5);
    finish(&ours).unwrap();
    let mut text = String::new();
    theirs.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");

    theirs.write_all(b"x").unwrap();
    wait(&ours, Interest::READABLE);
    assert!(!is_untouched(&ours), "a byte has come");
    let mut buffer = [0; 8];
    assert_eq!(receive(&ours, &mut buffer).unwrap(), 1);
    assert_eq!(receive(&ours, &mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_reset_is_seen_by_the_peer() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let ours = connect(listener.local_addr().unwrap()).unwrap();
    assert!(!wait(&ours, Interest::STREAM), "connected");
    let (mut theirs, _) = listener.accept().unwrap();
    reset(ours);
    assert_eq!(theirs.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

/// The kernel's answer to a reset after an end of stream is `EPIPE`, told by the socket's error alone: reading goes on to say
/// end of stream.
#[test]
fn a_reset_after_the_end_of_the_stream_is_told_by_the_error_alone() {
    let listener = listen(loopback(), Sharing::Founding, Presence::Required, KEEP_ALIVE).unwrap();
    let client = connect(local_address(&listener).unwrap()).unwrap();
    assert!(!wait(&client, Interest::STREAM), "connected");
    let (ours, _) = accept(&listener).unwrap();
    finish(&client).unwrap();
    wait(&ours, Interest::READABLE);
    assert_eq!(receive(&ours, &mut [0; 8]).unwrap(), 0);
    reset(client);
    assert!(wait(&ours, Interest::STREAM));
    assert_eq!(take_error(&ours).unwrap().kind(), ErrorKind::BrokenPipe);
    assert_eq!(receive(&ours, &mut [0; 8]).unwrap(), 0);
}

#[test]
fn a_refused_connect_fails_with_its_reason() {
    let gone = TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
    let reason = match connect(gone) {
        Ok(socket) => {
            assert!(wait(&socket, Interest::STREAM));
            assert!(!is_connected(&socket));
            take_error(&socket).unwrap()
        }
        Err(error) => error,
    };
    assert_eq!(reason.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn congestion_control_is_chosen_by_name() {
    let listener = listen(loopback(), Sharing::Founding, Presence::Required, KEEP_ALIVE).unwrap();
    let known = sockopt::tcp_congestion(&listener).unwrap();
    set_congestion(&listener, &known).unwrap();
    assert!(set_congestion(&listener, "no-such-thing").is_err());
    assert_eq!(default_congestion().unwrap(), known);
    assert!(has_congestion(&known) && !has_congestion("no-such-thing"));
}

#[test]
fn what_was_looked_at_is_still_there_until_it_is_dropped() {
    let listener = TcpListener::bind(loopback()).unwrap();
    let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    let ours = OwnedFd::from(ours);
    rustix::io::ioctl_fionbio(&ours, true).unwrap();
    let mut scratch = [0; 8];
    assert_eq!(peek(&ours, &mut scratch).unwrap_err().kind(), ErrorKind::WouldBlock);
    peer.write_all(b"abcde").unwrap();
    wait(&ours, Interest::READABLE);
    assert_eq!(peek(&ours, &mut scratch).unwrap(), 5);
    assert_eq!(discard(&ours, &mut scratch[..3]).unwrap(), 3);
    assert_eq!(receive(&ours, &mut scratch).unwrap(), 2);
    assert_eq!(&scratch[..2], b"de");
    drop(peer);
    wait(&ours, Interest::READABLE);
    assert_eq!(peek(&ours, &mut scratch).unwrap(), 0);
}

#[test]
fn an_address_that_is_not_here_is_bound_when_its_presence_is_optional() {
    // Documentation addresses (RFC 5737, RFC 3849): no interface has them.
    let elsewhere: [SocketAddr; 2] = ["192.0.2.1:0".parse().unwrap(), "[2001:db8::1]:0".parse().unwrap()];
    for address in elsewhere {
        let bind = |presence| listen(address, Sharing::Founding, presence, KEEP_ALIVE);
        match bind(Presence::Optional) {
            Ok(socket) => assert_eq!(local_address(&socket).unwrap().ip(), address.ip()),
            Err(error) if error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error()) => continue,
            Err(error) => panic!("{address}: {error}"),
        }
        assert_eq!(bind(Presence::Required).unwrap_err().kind(), ErrorKind::AddrNotAvailable);
    }
}
