//! The backend: what a connection is for is said by its first byte. Echo, bulk, or TLS with a small answer to each request,
//! which also answers a balancer's probes as a ready API server would.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use anyhow::Context;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustls::{ServerConfig, ServerConnection};

use super::bulk::TURNS;
use super::{BULK, bulk, tls};

/// The first byte of a TLS handshake record (RFC 8446, section 5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Most bytes echoed at a time.
const BUFFER: usize = 64 * 1024;

/// Most events taken at a time.
const EVENTS: usize = 64;

/// The listener's own token; connections have their descriptor's number, which is never this.
const LISTENER: u64 = u64::MAX;

/// Serves each connection as its first byte asks.
pub struct Backend {
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    authority: String,
}

/// A connection and what it is for.
struct Peer {
    stream: TcpStream,
    purpose: Purpose,
}

enum Purpose {
    /// Its first byte has not come yet.
    Unknown,
    Echo,
    Bulk,
    Tls(Box<ServerConnection>),
}

/// The buffers that all connections share.
struct Buffers {
    incoming: Vec<u8>,
    bulk: Vec<u8>,
}

impl Backend {
    /// Listens.
    ///
    /// # Errors
    /// When the address cannot be bound, or the certificate not be made.
    pub fn bind(address: SocketAddr) -> anyhow::Result<Backend> {
        let (tls, authority) = tls::server()?;
        let listener = TcpListener::bind(address).with_context(|| format!("listen on {address}"))?;
        listener.set_nonblocking(true).context("make a listener non-blocking")?;
        Ok(Backend { listener, tls, authority })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// None for a bound listener.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The authority of its certificate, PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Serves, on this thread, for as long as the process lives.
    ///
    /// # Errors
    /// When the kernel refuses to wait for events.
    pub fn serve(self) -> anyhow::Result<()> {
        let poll = epoll::create(CreateFlags::CLOEXEC).context("make an epoll instance")?;
        epoll::add(&poll, &self.listener, EventData::new_u64(LISTENER), EventFlags::IN)
            .context("watch the listener")?;
        let mut peers: BTreeMap<u64, Peer> = BTreeMap::new();
        let mut buffers = Buffers { incoming: vec![0; BUFFER], bulk: vec![b'.'; bulk::BUFFER] };
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
                        peers.insert(token, Peer { stream, purpose: Purpose::Unknown });
                    }
                } else if let Some(peer) = peers.get_mut(&token)
                    && self.advance(&poll, token, peer, &mut buffers).is_err()
                {
                    // In good order or not: it has ended, and the client counts that.
                    peers.remove(&token);
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

    /// Does what the connection's event allows; an error ends it.
    fn advance(
        &self,
        poll: &OwnedFd,
        token: u64,
        peer: &mut Peer,
        buffers: &mut Buffers,
    ) -> std::io::Result<()> {
        let stream = &mut peer.stream;
        match &mut peer.purpose {
            Purpose::Tls(session) => {
                // The session reads and the same socket is written to: two handles on it.
                let mut reader = &*stream;
                tls::serve(session, &mut reader, &mut &*stream)
            }
            Purpose::Bulk => write_turn(stream, &buffers.bulk),
            Purpose::Echo => echo(stream, &mut buffers.incoming),
            Purpose::Unknown => {
                let length = nonzero(stream.read(&mut buffers.incoming)?)?;
                let mut first = buffers.incoming.get(..length).unwrap_or_default();
                match first.first() {
                    Some(&TLS_HANDSHAKE) => {
                        stream.set_nodelay(true)?;
                        let session = ServerConnection::new(self.tls.clone());
                        let mut session = Box::new(session.map_err(std::io::Error::other)?);
                        while !first.is_empty() {
                            tls::serve(&mut session, &mut first, stream)?;
                        }
                        peer.purpose = Purpose::Tls(session);
                    }
                    Some(&BULK) => {
                        stream.set_nonblocking(true)?;
                        epoll::modify(poll, &*stream, EventData::new_u64(token), EventFlags::OUT)?;
                        peer.purpose = Purpose::Bulk;
                    }
                    Some(_) | None => {
                        stream.write_all(first)?;
                        peer.purpose = Purpose::Echo;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Echoes what has arrived.
fn echo(stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<()> {
    let length = nonzero(stream.read(buffer)?)?;
    stream.write_all(buffer.get(..length).unwrap_or_default())
}

/// Writes until the socket takes no more or the others have their turn.
fn write_turn(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    for _ in 0..TURNS {
        match stream.write(bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// No bytes mean the connection's end.
fn nonzero(length: usize) -> std::io::Result<usize> {
    if length == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(length) }
}
