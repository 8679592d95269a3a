use super::*;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

const POOL: PoolId = PoolId(1);
const ENDPOINT: EndpointId = EndpointId(7);

fn pair(listener: &TcpListener) -> (OwnedFd, TcpStream) {
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    ours.set_nonblocking(true).unwrap();
    (ours.into(), listener.accept().unwrap().0)
}

fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

#[test]
fn a_parked_connection_is_taken_by_the_next_client_of_its_endpoint_alone() {
    let (listener, mut parking) = (listener(), Parking::new());
    let (ours, _theirs) = pair(&listener);
    parking.park(POOL, ENDPOINT, ours, Instant::ORIGIN);
    assert!(parking.take(PoolId(2), ENDPOINT).is_none() && parking.take(POOL, EndpointId(8)).is_none());
    assert!(parking.take(POOL, ENDPOINT).is_some());
    assert!(parking.take(POOL, ENDPOINT).is_none() && parking.is_empty());
}

#[test]
fn one_that_was_closed_reset_or_spoken_on_is_not_handed_out() {
    let (listener, mut parking) = (listener(), Parking::new());
    let mut peers = Vec::new();
    for _ in 0..4 {
        let (ours, theirs) = pair(&listener);
        parking.park(POOL, ENDPOINT, ours, Instant::ORIGIN);
        peers.push(theirs);
    }
    let good = peers.pop();
    // On loopback what a peer does has arrived when its call returns.
    peers.pop().unwrap().write_all(b"hello").unwrap();
    tcp::reset(peers.pop().unwrap().into());
    drop(peers.pop().unwrap());
    assert!(parking.take(POOL, ENDPOINT).is_some(), "the good one");
    assert!(parking.is_empty(), "the others are closed");
    drop(good);
}

#[test]
fn they_are_kept_for_a_while_and_not_without_end() {
    let (listener, mut parking) = (listener(), Parking::new());
    let peers: Vec<_> = (0..=KEPT_MAX)
        .map(|number| {
            let (ours, theirs) = pair(&listener);
            parking.park(POOL, ENDPOINT, ours, Instant::from_millis(number as u64));
            theirs
        })
        .collect();
    assert_eq!(parking.len(), KEPT_MAX);
    let oldest = Instant::from_millis(1) + KEPT_FOR;
    assert_eq!(parking.next(), Some(oldest));
    parking.expire(oldest);
    assert_eq!(parking.len(), KEPT_MAX - 1);
    parking.expire(oldest + KEPT_FOR);
    assert_eq!((parking.len(), parking.next()), (0, None));
    drop(peers);
}
