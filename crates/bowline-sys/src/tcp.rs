//! TCP sockets that never block.

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrAny, SocketFlags, SocketType, ipproto, sockopt,
};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Connections that wait to be accepted; the kernel cuts it to `net.core.somaxconn` (4096 by default).
const BACKLOG: i32 = 4096;

/// When the kernel asks a silent peer whether it is still there, and when it gives it up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeepAlive {
    /// Silence before the first question; whole seconds, at least one.
    pub idle: Duration,
    /// Between two questions; whole seconds, at least one.
    pub interval: Duration,
    /// Unanswered questions after which the connection has failed.
    pub count: u32,
}

/// Who else may listen on the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sharing {
    /// Nobody listens there yet, or binding fails: also when the other one is willing to share (`SO_REUSEPORT`), as another
    /// copy of this program would be. Once bound, [`Sharing::Joining`] sockets of the same user may join.
    Founding,
    /// Joins the sockets that share the address already; the kernel spreads new connections over them.
    Joining,
}

/// Whether this host must have the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// An interface has it, or binding fails.
    Required,
    /// Nobody asks: a virtual IP is listened on before it comes and after it has gone (`IP_FREEBIND`, `IPV6_FREEBIND`).
    Optional,
}

/// A listening socket. Accepted sockets inherit `TCP_NODELAY` and keep-alive; an IPv6 one takes no IPv4.
///
/// # Errors
/// `EADDRINUSE` when the address is taken ([`crate::owner::of_listener`] knows by whom), `EADDRNOTAVAIL` when no interface has
/// it though its presence is required, `EACCES` for a privileged port, `EAFNOSUPPORT` on a host without IPv6.
pub fn listen(
    address: SocketAddr,
    sharing: Sharing,
    presence: Presence,
    keep_alive: KeepAlive,
) -> io::Result<OwnedFd> {
    let socket = new_socket(address)?;
    // Connections of a process that has just ended may still hold the port without listening on it.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    match (presence, address) {
        (Presence::Required, _) => {}
        (Presence::Optional, SocketAddr::V4(_)) => sockopt::set_ip_freebind(&socket, true)?,
        (Presence::Optional, SocketAddr::V6(_)) => sockopt::set_ipv6_freebind(&socket, true)?,
    }
    sockopt::set_tcp_nodelay(&socket, true)?;
    set_keep_alive(&socket, keep_alive)?;
    match sharing {
        Sharing::Founding => {
            rustix::net::bind(&socket, &address)?;
            // After the bind, so that the bind was exclusive; before the listen, so that there is a group to join.
            sockopt::set_socket_reuseport(&socket, true)?;
        }
        Sharing::Joining => {
            sockopt::set_socket_reuseport(&socket, true)?;
            rustix::net::bind(&socket, &address)?;
        }
    }
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// Ends listening at once, whoever else holds the descriptor: the accept queue is reset, and so is who comes from now on. The
/// socket stays bound.
pub fn stop_listening(listener: impl AsFd) {
    // It fails only on a socket that does not listen, which is as it should be then.
    let _ = rustix::net::shutdown(listener, Shutdown::Read);
}

/// The address a socket is bound to.
///
/// # Errors
/// None for a bound TCP socket.
pub fn local_address(socket: impl AsFd) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(rustix::net::getsockname(socket)?)?)
}

/// Takes the next connection off a listener's queue.
///
/// # Errors
/// `WouldBlock` when there is none; `EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM` when this host is short of something; and errors
/// of the new connection itself (`ECONNABORTED`, network errors: accept(2)), after which the next one may be fine.
pub fn accept(listener: impl AsFd) -> io::Result<(OwnedFd, SocketAddr)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, peer) = retry_on_intr(|| rustix::net::acceptfrom_with(&listener, flags))?;
    let peer = SocketAddr::try_from(peer.unwrap_or(SocketAddrAny::from(UNKNOWN_PEER)))?;
    Ok((socket, peer))
}

/// Stands for a peer whose address the kernel did not tell, which it always does for TCP.
const UNKNOWN_PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// What this host can be short of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortage {
    /// `EMFILE`, `ENFILE`: file descriptors, of this process or of the whole host.
    Descriptors,
    /// `ENOBUFS`, `ENOMEM`: kernel memory for sockets.
    Memory,
}

/// Whether `error` says that this host is short of something, and not that a peer failed.
pub fn shortage(error: &io::Error) -> Option<Shortage> {
    match Errno::from_io_error(error)? {
        Errno::MFILE | Errno::NFILE => Some(Shortage::Descriptors),
        Errno::NOBUFS | Errno::NOMEM => Some(Shortage::Memory),
        _ => None,
    }
}

/// Begins to connect, with `TCP_NODELAY`; the outcome arrives as an event: writable without failure is connected.
///
/// # Errors
/// What the kernel knows at once: `ENETUNREACH`, `EADDRNOTAVAIL` (no free port), `EMFILE`, rarely `ECONNREFUSED`.
pub fn connect(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = new_socket(address)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match rustix::net::connect(&socket, &address) {
        // An interrupted connect goes on in the background, as a non-blocking one does.
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

fn new_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?)
}

/// What went wrong with a socket since it was last asked (`SO_ERROR`, which asking clears).
pub fn take_error(socket: impl AsFd) -> Option<io::Error> {
    match sockopt::socket_error(socket) {
        Ok(Ok(())) => None,
        Ok(Err(error)) | Err(error) => Some(error.into()),
    }
}

/// Whether the socket has reached its peer and neither side has closed since.
pub fn is_connected(socket: impl AsFd) -> bool {
    rustix::net::getpeername(socket).is_ok_and(|peer| peer.is_some())
}

/// Whether a connected socket is as it was at first: open, and nothing received.
pub fn is_untouched(socket: impl AsFd) -> bool {
    let peeked = rustix::net::recv(&socket, &mut [0u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    peeked.err() == Some(Errno::AGAIN) && is_connected(&socket)
}

/// Reads what has arrived; zero is the end of the stream.
///
/// # Errors
/// `WouldBlock` when nothing has; else the connection has failed.
pub fn receive(socket: impl AsFd, into: &mut [u8]) -> io::Result<usize> {
    let (received, _) = retry_on_intr(|| rustix::net::recv(&socket, &mut *into, RecvFlags::empty()))?;
    Ok(received)
}

/// Reads what has arrived and leaves it there; zero is the end of the stream.
///
/// # Errors
/// As [`receive`].
pub fn peek(socket: impl AsFd, into: &mut [u8]) -> io::Result<usize> {
    let (received, _) = retry_on_intr(|| rustix::net::recv(&socket, &mut *into, RecvFlags::PEEK))?;
    Ok(received)
}

/// Drops up to as many received bytes as `scratch` has room for, mostly without copying them there; how many it were.
///
/// # Errors
/// As [`receive`].
pub fn discard(socket: impl AsFd, scratch: &mut [u8]) -> io::Result<usize> {
    let (dropped, _) = retry_on_intr(|| rustix::net::recv(&socket, &mut *scratch, RecvFlags::TRUNC))?;
    Ok(dropped)
}

/// Writes what there is room for.
///
/// # Errors
/// `WouldBlock` when there is no room; else the connection has failed. Never raises `SIGPIPE`.
pub fn send(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::net::send(&socket, bytes, SendFlags::NOSIGNAL))?)
}

/// Ends our direction (FIN); what was sent before is delivered.
///
/// # Errors
/// `NotConnected` when the connection has failed already.
pub fn finish(socket: impl AsFd) -> io::Result<()> {
    Ok(rustix::net::shutdown(socket, Shutdown::Write)?)
}

/// Closes with a reset (RST): the peer sees an error at once, unsent bytes are dropped.
pub fn reset(socket: OwnedFd) {
    // On a connection that is gone already this fails, and the close that follows is all there is to do.
    let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
}

/// Turns keep-alive on with these times.
///
/// # Errors
/// `EINVAL` for times the kernel does not take (0 or above 32767 s, a count of 0 or above 127).
pub fn set_keep_alive(socket: impl AsFd, keep_alive: KeepAlive) -> io::Result<()> {
    sockopt::set_tcp_keepidle(&socket, keep_alive.idle)?;
    sockopt::set_tcp_keepintvl(&socket, keep_alive.interval)?;
    sockopt::set_tcp_keepcnt(&socket, keep_alive.count)?;
    Ok(sockopt::set_socket_keepalive(&socket, true)?)
}

/// Bounds what the kernel queues of received bytes to twice `size` with its own overhead, or to the host's `net.core.rmem_max` where
/// that is less; without it the queue grows with what the connection could use.
///
/// # Errors
/// None for a TCP socket.
pub fn set_receive_buffer(socket: impl AsFd, size: usize) -> io::Result<()> {
    Ok(sockopt::set_socket_recv_buffer_size(socket, size)?)
}

/// Chooses the congestion control by its kernel name, such as `cubic`.
///
/// # Errors
/// `ENOENT` when the kernel has none of that name, `EPERM` when this user may not choose it.
pub fn set_congestion(socket: impl AsFd, name: &str) -> io::Result<()> {
    Ok(sockopt::set_tcp_congestion(socket, name)?)
}

/// The congestion control that new sockets of this network namespace get.
///
/// # Errors
/// When descriptors are exhausted.
pub fn default_congestion() -> io::Result<String> {
    Ok(sockopt::tcp_congestion(new_socket(SCRATCH)?)?)
}

/// Whether sockets can have the congestion control `name`.
pub fn has_congestion(name: &str) -> bool {
    new_socket(SCRATCH).is_ok_and(|socket| set_congestion(socket, name).is_ok())
}

/// Only its family matters: nothing is sent there.
const SCRATCH: SocketAddr = UNKNOWN_PEER;

#[cfg(test)]
mod tests;
