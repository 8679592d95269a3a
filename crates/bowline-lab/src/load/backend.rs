//! The backend: echoes what it gets, and answers a balancer's probes as a stand-in API server would.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use anyhow::Context;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::certs::{Authority, Validity};
use crate::standin::{Options, Standin};

/// The first byte of a TLS handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Most bytes echoed at a time.
const BUFFER: usize = 64 * 1024;

/// Most events taken at a time.
const EVENTS: usize = 64;

/// The listener's own token; connections have their descriptor's number, which is never this.
const LISTENER: u64 = u64::MAX;

/// Echoes on every connection. One whose first bytes are a TLS handshake is handed to a stand-in API server, so that a proxy
/// whose probes are made for API servers finds a ready one.
pub struct Backend {
    listener: TcpListener,
    api: Standin,
}

impl Backend {
    /// Listens.
    ///
    /// # Errors
    /// When the address cannot be bound, or the stand-in not be started.
    pub fn bind(address: SocketAddr) -> anyhow::Result<Backend> {
        let authority = Authority::new("load").context("make a certificate authority")?;
        let identity = authority
            .server("load", &[address.ip()], &["kubernetes", "localhost"], Validity::Current)
            .context("make a certificate")?;
        let api = Standin::start(Options {
            name: "load".to_owned(),
            listen: "127.0.0.1:0".parse().context("an address")?,
            identity,
            grace: Duration::ZERO,
        })?;
        let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
        listener.set_nonblocking(true).context("make a listener non-blocking")?;
        Ok(Backend { listener, api })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// None for a bound listener.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves, on this thread, for as long as the process lives.
    ///
    /// # Errors
    /// When the kernel refuses to wait for events.
    pub fn serve(self) -> anyhow::Result<()> {
        let poll = epoll::create(CreateFlags::CLOEXEC).context("make an epoll instance")?;
        epoll::add(&poll, &self.listener, EventData::new_u64(LISTENER), EventFlags::IN)
            .context("watch the listener")?;
        let mut connections: BTreeMap<u64, TcpStream> = BTreeMap::new();
        let mut fresh: BTreeMap<u64, TcpStream> = BTreeMap::new();
        let mut buffer = vec![0; BUFFER];
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            match epoll::wait(&poll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("wait for events"),
            }
            for event in &events {
                let token = event.data.u64();
                if token == LISTENER {
                    while let Some(stream) = self.accept() {
                        let token = u64::try_from(stream.as_raw_fd()).context("a descriptor's number")?;
                        epoll::add(&poll, &stream, EventData::new_u64(token), EventFlags::IN)
                            .context("watch a connection")?;
                        fresh.insert(token, stream);
                    }
                } else if let Some(mut stream) = fresh.remove(&token) {
                    let Some(length) = echo_first(&mut stream, &mut buffer) else { continue };
                    let first = buffer.get(..length).unwrap_or_default();
                    if first.first() == Some(&TLS_HANDSHAKE) {
                        epoll::delete(&poll, &stream).context("stop watching a connection")?;
                        hand_over(stream, first.to_vec(), self.api.address());
                    } else if stream.write_all(first).is_ok() {
                        connections.insert(token, stream);
                    }
                } else if connections.get_mut(&token).is_some_and(|stream| !echo(stream, &mut buffer)) {
                    connections.remove(&token);
                }
            }
        }
    }

    fn accept(&self) -> Option<TcpStream> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => return Some(stream),
                // The client has gone meanwhile; the next one is there perhaps.
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(_) => return None,
            }
        }
    }
}

/// The connection's first bytes; none at its end.
fn echo_first(stream: &mut TcpStream, buffer: &mut [u8]) -> Option<usize> {
    stream.read(buffer).ok().filter(|length| *length > 0)
}

/// Echoes what has arrived; false at the connection's end.
fn echo(stream: &mut TcpStream, buffer: &mut [u8]) -> bool {
    match stream.read(buffer) {
        Ok(0) | Err(_) => false,
        Ok(length) => buffer.get(..length).is_some_and(|bytes| stream.write_all(bytes).is_ok()),
    }
}

/// Relays between a probe and the stand-in on threads of their own: there are few of them, and they live long.
fn hand_over(mut client: TcpStream, first: Vec<u8>, api: SocketAddr) {
    let mut relay = move || -> std::io::Result<()> {
        let mut server = TcpStream::connect(api)?;
        server.write_all(&first)?;
        let (mut from_server, mut to_client) = (server.try_clone()?, client.try_clone()?);
        let back = thread::spawn(move || {
            // Ends when either side does; so does the other direction, by the shutdown.
            let _ = std::io::copy(&mut from_server, &mut to_client);
            let _ = to_client.shutdown(Shutdown::Both);
        });
        let forth = std::io::copy(&mut client, &mut server).and_then(|_| server.shutdown(Shutdown::Write));
        // A panic there has been printed; nothing is left to do for this connection.
        drop(back.join());
        forth
    };
    // The probe sees its connection end, which is all that a failure here means.
    thread::spawn(move || drop(relay()));
}
