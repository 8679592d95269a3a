use super::*;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

const LONG: Option<Duration> = Some(Duration::from_secs(10));

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

#[test]
fn a_stream_is_reported_once_for_each_change() {
    let epoll = Epoll::new().unwrap();
    let mut events = Events::with_capacity(8);
    let (mut ours, mut theirs) = pair();
    ours.set_nonblocking(true).unwrap();
    epoll.add(&ours, 7, Interest::STREAM).unwrap();

    epoll.wait(&mut events, LONG).unwrap();
    let event = events.get(0).unwrap();
    assert_eq!((event.token(), event.writable(), event.readable()), (7, true, false));
    epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
    assert!(events.is_empty(), "edge-triggered: no change, no event");

    theirs.write_all(b"x").unwrap();
    theirs.shutdown(Shutdown::Write).unwrap();
    let mut finished = false;
    while !finished {
        epoll.wait(&mut events, LONG).unwrap();
        assert_eq!(events.len(), 1);
        finished = events.get(0).unwrap().finished();
    }
    let mut buffer = [0; 4];
    assert_eq!((ours.read(&mut buffer).unwrap(), ours.read(&mut buffer).unwrap()), (1, 0));
}

#[test]
fn a_waker_wakes_and_is_cleared() {
    let epoll = Epoll::new().unwrap();
    let mut events = Events::with_capacity(8);
    let waker = std::sync::Arc::new(Waker::new().unwrap());
    epoll.add(&*waker, 1, Interest::READABLE).unwrap();
    let other = std::sync::Arc::clone(&waker);
    let thread = std::thread::spawn(move || {
        other.wake();
        other.wake();
    });
    epoll.wait(&mut events, LONG).unwrap();
    assert_eq!(events.get(0).map(Event::token), Some(1));
    thread.join().unwrap();
    waker.clear();
    epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
    assert!(events.is_empty());
}

#[test]
fn a_wait_does_not_end_before_its_deadline() {
    let epoll = Epoll::new().unwrap();
    let mut events = Events::with_capacity(1);
    let start = std::time::Instant::now();
    epoll.wait(&mut events, Some(Duration::from_micros(1_500))).unwrap();
    assert!(start.elapsed() >= Duration::from_micros(1_500));
}
