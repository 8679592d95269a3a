//! Connections that only receive, as fast as it comes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use super::{BULK, Received};

/// Most bytes taken by one read.
pub(super) const BUFFER: usize = 256 * 1024;

/// Reads or writes of one connection before the others have their turn.
pub(super) const TURNS: usize = 4;

/// How long one wait lasts at most, so that the end of the run is seen when nothing comes any more.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// Most events taken at a time.
const EVENTS: usize = 64;

/// Receives on `connections` at once for `time`.
///
/// # Errors
/// When a connection cannot be made, or the kernel gives no epoll instance.
pub fn receive(to: SocketAddr, time: Duration, connections: usize) -> anyhow::Result<Received> {
    let poll = epoll::create(CreateFlags::CLOEXEC).context("make an epoll instance")?;
    let wait = Timespec::try_from(WAIT_MAX).context("a wait as the kernel's time")?;
    let mut streams = Vec::with_capacity(connections);
    for token in 0..connections {
        let mut stream = TcpStream::connect(to).with_context(|| format!("connect to {to}"))?;
        stream.write_all(&[BULK]).context("ask for bytes")?;
        stream.set_nonblocking(true).context("make a connection non-blocking")?;
        epoll::add(&poll, &stream, EventData::new_u64(token as u64), EventFlags::IN)
            .context("watch a connection")?;
        streams.push(Some(stream));
    }
    let mut buffer = vec![0; BUFFER];
    let mut events = Vec::with_capacity(EVENTS);
    let (mut bytes, mut failed) = (0, 0);
    let start = Instant::now();
    while start.elapsed() < time && failed < connections as u64 {
        events.clear();
        match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for events"),
        }
        for event in &events {
            let slot = usize::try_from(event.data.u64()).ok().and_then(|index| streams.get_mut(index));
            let Some(slot) = slot else { continue };
            match slot.as_mut().and_then(|stream| read(stream, &mut buffer)) {
                Some(length) => bytes += length,
                None => {
                    *slot = None;
                    failed += 1;
                }
            }
        }
    }
    Ok(Received { bytes, failed, seconds: start.elapsed().as_secs_f64() })
}

/// A turn's bytes; none at the connection's end.
fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> Option<u64> {
    let mut bytes = 0;
    for _ in 0..TURNS {
        match stream.read(buffer) {
            Ok(0) => return None,
            Ok(length) => bytes += length as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(bytes)
}
