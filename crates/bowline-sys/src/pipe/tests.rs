use super::*;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const SIZE: usize = 1 << 20;

/// A blocking peer, and the other side, which never blocks.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let ours = listener.accept().unwrap().0;
    ours.set_nonblocking(true).unwrap();
    peer.set_nodelay(true).unwrap();
    (peer, ours)
}

/// Tries until it does not block.
fn patiently(mut attempt: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(start.elapsed() < Duration::from_secs(10), "in vain");
                std::thread::yield_now();
            }
            outcome => return outcome,
        }
    }
}

#[test]
fn bytes_go_through_and_what_is_missing_would_block() {
    let ((mut from, source), (mut to, sink)) = (pair(), pair());
    let pipe = Pipe::new(SIZE).unwrap();
    assert_eq!(pipe.fill(&source, SIZE).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(pipe.drain(&sink, SIZE).unwrap_err().kind(), ErrorKind::WouldBlock);
    from.write_all(b"through").unwrap();
    assert_eq!(patiently(|| pipe.fill(&source, 4)).unwrap(), 4);
    assert_eq!(pipe.drain(&sink, SIZE).unwrap(), 4);
    assert_eq!(pipe.fill(&source, SIZE).unwrap(), 3);
    assert_eq!(pipe.drain(&sink, SIZE).unwrap(), 3);
    let mut arrived = [0; 7];
    to.read_exact(&mut arrived).unwrap();
    assert_eq!(&arrived, b"through");
    from.shutdown(Shutdown::Write).unwrap();
    assert_eq!(patiently(|| pipe.fill(&source, SIZE)).unwrap(), 0);
}

#[test]
fn a_full_sink_would_block_and_keeps_the_rest_in_the_pipe() {
    let ((mut from, source), (mut to, sink)) = (pair(), pair());
    let pipe = Pipe::new(SIZE).unwrap();
    let sent = std::thread::spawn(move || {
        let block = vec![7; SIZE];
        // More than all socket buffers hold.
        (0..64).take_while(|_| from.write_all(&block).is_ok()).count() * SIZE
    });
    let (mut inside, mut passed) = (0, 0);
    while inside == 0 {
        inside = patiently(|| pipe.fill(&source, SIZE)).unwrap();
        loop {
            match pipe.drain(&sink, inside) {
                Ok(moved) => (inside, passed) = (inside - moved, passed + moved),
                Err(error) => {
                    assert!(error.kind() == ErrorKind::WouldBlock);
                    break;
                }
            }
            if inside == 0 {
                break;
            }
        }
    }
    to.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut block = vec![0; SIZE];
    let mut received = 0;
    while received < passed {
        received += to.read(&mut block).unwrap();
    }
    assert_eq!(patiently(|| pipe.drain(&sink, inside)).unwrap(), inside);
    drop(source);
    sent.join().unwrap();
}

#[test]
fn out_of_band_data_stops_a_fill_and_not_a_read() {
    let (from, source) = pair();
    let pipe = Pipe::new(SIZE).unwrap();
    rustix::net::send(&from, b"!", rustix::net::SendFlags::OOB).unwrap();
    rustix::net::send(&from, b"on", rustix::net::SendFlags::empty()).unwrap();
    let mut scratch = [0; 2];
    // What is out of band is not in the stream.
    assert_eq!(patiently(|| crate::tcp::peek(&source, &mut scratch)).unwrap(), 2);
    match pipe.fill(&source, SIZE) {
        Ok(0) => {}
        Ok(moved) => assert_eq!(moved, 2, "a later kernel does better"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
    }
}

#[test]
fn a_pipe_that_is_too_large_is_refused_or_granted_but_never_smaller() {
    match Pipe::new(1 << 30) {
        Ok(_privileged) => {}
        Err(error) => assert!(matches!(error.raw_os_error(), Some(1 | 12)), "{error}"),
    }
}
