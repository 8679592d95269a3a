//! A full accept queue: the one way to be unreachable without privileges. While the queue is full Linux drops SYNs
//! (`tcp_conn_request` in net/ipv4/tcp_input.c), so a connecting client meets silence, as before a machine that lost its link.

use std::io;
use std::time::Duration;

use socket2::{SockRef, Socket};
use tokio::net::TcpListener;

/// Accept queue while serving: room for a burst of clients while the stand-in does not run.
pub(super) const BACKLOG: i32 = 1024;
/// A queue shorter than this cannot be had: with backlog 0 Linux calls the queue full at one connection.
const SHORTEST: i32 = 0;
/// A connection from this very machine is established at once, or not at all because another was there first.
const FILLER_PATIENCE: Duration = Duration::from_millis(20);
/// Each failed attempt serves the client that was faster; more than a few in a row is something else.
const ATTEMPTS: usize = 50;

/// Holds the queue full until it is drained.
#[derive(Debug)]
pub(super) struct FullQueue {
    _filler: Socket,
}

impl FullQueue {
    /// Fills the queue of `listener` with one connection of our own. Clients that are in it by then are handed to `serve`, so that
    /// none of them is left in the dark.
    pub(super) fn fill(
        listener: &TcpListener,
        mut serve: impl FnMut(std::net::TcpStream),
    ) -> io::Result<Self> {
        let socket = SockRef::from(listener);
        let address = socket.local_addr()?;
        for _ in 0..ATTEMPTS {
            accept_all(&socket, &mut serve)?;
            socket.listen(SHORTEST)?;
            let filler = Socket::new(address.domain(), socket2::Type::STREAM, None)?;
            match filler.connect_timeout(&address, FILLER_PATIENCE) {
                Ok(()) => return Ok(Self { _filler: filler }),
                Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) => {
                }
                Err(error) => return Err(error),
            }
        }
        socket.listen(BACKLOG)?;
        Err(io::Error::other("the accept queue could not be filled, clients were always faster"))
    }

    /// Gives the listener its full queue back; the filler is the next connection it accepts, already closed.
    pub(super) fn drain(self, listener: &TcpListener) -> io::Result<()> {
        SockRef::from(listener).listen(BACKLOG)
    }
}

/// Hands every client that the kernel has already connected to `serve`.
pub(super) fn accept_all(socket: &Socket, serve: &mut impl FnMut(std::net::TcpStream)) -> io::Result<()> {
    loop {
        match socket.accept() {
            Ok((client, _)) => {
                client.set_nonblocking(true)?;
                serve(client.into());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
