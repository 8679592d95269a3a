//! The client: a fixed number of connections at a time, each replaced by the next one as soon as it is done.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::Outcome;

/// What is sent and must come back. Not the first byte of a TLS record: the backend tells the two apart by it.
const BYTE: u8 = b'x';

/// A connection that has no byte back after this long has failed: a balancer holds a client 8 s at most.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// How long one wait lasts at most, so that the end of the run is seen when nothing comes back any more.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// Most events taken at a time.
const EVENTS: usize = 64;

/// After this many failures in a row nothing is there to be measured, and asking on would only burn CPU.
const FAILURES_IN_A_ROW_MAX: u32 = 1_000;

/// Opens connections to `to` for `time`, `concurrency` at once: connect, one byte there and back, close.
///
/// The connect blocks: on a loopback device it is done when the call returns, which costs least.
///
/// # Errors
/// When the kernel gives no epoll instance.
pub fn connect(to: SocketAddr, time: Duration, concurrency: usize) -> anyhow::Result<Outcome> {
    let poll = epoll::create(CreateFlags::CLOEXEC).context("make an epoll instance")?;
    let mut slots: Vec<Option<(TcpStream, Instant)>> = (0..concurrency).map(|_| None).collect();
    let mut events = Vec::with_capacity(EVENTS);
    let wait = Timespec::try_from(WAIT_MAX).context("a wait as the kernel's time")?;
    let (mut connections, mut failed, mut in_a_row) = (0, 0, 0);
    let start = Instant::now();
    while start.elapsed() < time && in_a_row < FAILURES_IN_A_ROW_MAX {
        for (index, slot) in slots.iter_mut().enumerate() {
            if slot.is_none() {
                match open(&poll, to, index as u64) {
                    Ok(stream) => *slot = Some((stream, Instant::now())),
                    Err(_) => (failed, in_a_row) = (failed + 1, in_a_row + 1),
                }
            }
        }
        if slots.iter().all(Option::is_none) {
            // Nothing to wait for; the run of failures ends this.
            continue;
        }
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for events"),
        }
        for event in &events {
            let slot = usize::try_from(event.data.u64()).ok().and_then(|index| slots.get_mut(index));
            // Dropping the stream closes it: our FIN is the first.
            let Some((mut stream, _)) = slot.and_then(Option::take) else { continue };
            let mut answer = [0];
            if stream.read_exact(&mut answer).is_ok() && answer == [BYTE] {
                (connections, in_a_row) = (connections + 1, 0);
            } else {
                (failed, in_a_row) = (failed + 1, in_a_row + 1);
            }
        }
        if events.is_empty() {
            let stuck = |slot: &Option<(TcpStream, Instant)>| {
                slot.as_ref().is_some_and(|(_, at)| at.elapsed() > ANSWER_MAX)
            };
            for slot in slots.iter_mut().filter(|slot| stuck(slot)) {
                *slot = None;
                failed += 1;
            }
        }
    }
    Ok(Outcome { connections, failed, seconds: start.elapsed().as_secs_f64() })
}

fn open(poll: &impl std::os::fd::AsFd, to: SocketAddr, token: u64) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.write_all(&[BYTE])?;
    epoll::add(poll, &stream, EventData::new_u64(token), EventFlags::IN)?;
    Ok(stream)
}
