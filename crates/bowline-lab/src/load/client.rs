//! The client: a fixed number of connections at a time, each replaced by the next one as soon as it is done.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustls::ClientConnection;

use super::tls::{self, ClientTls, Progress, REQUEST};
use super::{ANSWER_MAX, ECHO, Outcome};

/// How long one wait lasts at most, so that the end of the run is seen when nothing comes back any more.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// Most events taken at a time.
const EVENTS: usize = 64;

/// After this many failures in a row nothing is there to be measured, and asking on would only burn CPU.
const FAILURES_IN_A_ROW_MAX: u32 = 1_000;

/// Opens connections to `to` for `time`, `concurrency` at once: connect, one byte there and back, close. With TLS: connect, handshake,
/// one request and its answer, close.
///
/// The connect blocks: on a loopback device it is done when the call returns, which costs least.
///
/// # Errors
/// When the kernel gives no epoll instance.
pub fn connect(
    to: SocketAddr,
    time: Duration,
    concurrency: usize,
    settings: Option<&ClientTls>,
) -> anyhow::Result<Outcome> {
    let poll = epoll::create(CreateFlags::CLOEXEC).context("make an epoll instance")?;
    let mut slots: Vec<Option<Flight>> = (0..concurrency).map(|_| None).collect();
    let mut events = Vec::with_capacity(EVENTS);
    let wait = Timespec::try_from(WAIT_MAX).context("a wait as the kernel's time")?;
    let (mut connections, mut failed, mut in_a_row) = (0, 0, 0);
    let start = Instant::now();
    while start.elapsed() < time && in_a_row < FAILURES_IN_A_ROW_MAX {
        for (index, slot) in slots.iter_mut().enumerate() {
            if slot.is_none() {
                match Flight::open(&poll, to, index as u64, settings) {
                    Ok(flight) => *slot = Some(flight),
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
            let Some((slot, flight)) = slot.and_then(|slot| slot.take().map(|flight| (slot, flight))) else {
                continue;
            };
            // Dropping a flight closes its connection: our FIN is the first.
            match flight.advance() {
                Ok(None) => (connections, in_a_row) = (connections + 1, 0),
                Ok(waiting) => *slot = waiting,
                Err(_) => (failed, in_a_row) = (failed + 1, in_a_row + 1),
            }
        }
        if events.is_empty() {
            let stuck = |slot: &Option<Flight>| {
                slot.as_ref().is_some_and(|flight| flight.since.elapsed() > ANSWER_MAX)
            };
            for slot in slots.iter_mut().filter(|slot| stuck(slot)) {
                *slot = None;
                failed += 1;
            }
        }
    }
    Ok(Outcome { connections, failed, seconds: start.elapsed().as_secs_f64() })
}

/// A connection that waits for its answer.
struct Flight {
    stream: TcpStream,
    since: Instant,
    /// Boxed: most flights have none, and slots are moved.
    session: Option<Box<ClientConnection>>,
}

impl Flight {
    fn open(
        poll: &impl AsFd,
        to: SocketAddr,
        token: u64,
        settings: Option<&ClientTls>,
    ) -> anyhow::Result<Flight> {
        let since = Instant::now();
        let mut stream = TcpStream::connect(to)?;
        let mut session = None;
        if let Some(settings) = settings {
            stream.set_nodelay(true)?;
            let session = session.insert(Box::new(settings.session()?));
            // Kept until the handshake is done, then sent with its last message.
            session.writer().write_all(REQUEST)?;
            tls::send(|to| session.write_tls(to), &mut stream)?;
        } else {
            stream.write_all(&[ECHO])?;
        }
        epoll::add(poll, &stream, EventData::new_u64(token), EventFlags::IN)?;
        Ok(Flight { stream, since, session })
    }

    /// Takes what has arrived: itself again while the answer is not there yet, none when it is done.
    fn advance(mut self) -> std::io::Result<Option<Flight>> {
        let Some(session) = &mut self.session else {
            let mut answer = [0];
            self.stream.read_exact(&mut answer)?;
            return if answer == [ECHO] { Ok(None) } else { Err(std::io::Error::other("another byte")) };
        };
        match tls::advance(session, &mut self.stream)? {
            Progress::Waiting => Ok(Some(self)),
            Progress::Answered => {
                session.send_close_notify();
                tls::send(|to| session.write_tls(to), &mut self.stream)?;
                Ok(None)
            }
        }
    }
}
