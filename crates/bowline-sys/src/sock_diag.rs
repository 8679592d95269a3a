//! TCP connections of the whole namespace, whoever has them, and their end: sock_diag(7).
//!
//! Ending a socket resets its peer and fails every call of its owner with `ECONNABORTED`, also for a connection that waits to be
//! accepted. Names and numbers are those of linux/sock_diag.h, linux/inet_diag.h and net/tcp_states.h.

mod wire;

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;
use rustix::net::netlink;

use crate::netlink::{Encoder, Netlink};

/// Connections that are ended in one system call: their answers must fit into the socket's receive buffer, which holds a few hundred.
const BATCH: usize = 64;

/// Which side of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// This host's.
    Local,
    /// The other one's.
    Remote,
}

/// Which connections: those that have one of these addresses on one side.
#[derive(Clone, Copy, Debug)]
pub struct Filter<'a> {
    /// On which.
    pub side: Side,
    /// Of either family; IPv4 ones are also found on IPv6 sockets that serve both, as a Go server's are.
    pub addresses: &'a [IpAddr],
    /// The port on that side; any if `None`.
    pub port: Option<u16>,
}

/// A TCP socket that is connecting, connected, or closing; neither listening nor only remembered (`TIME_WAIT`).
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its address on this host.
    pub local: SocketAddr,
    /// Its peer's.
    pub remote: SocketAddr,
    /// What the kernel knows it by.
    id: wire::Id,
}

impl Connection {
    /// One that cannot be: without ports.
    fn none() -> Self {
        let nowhere = SocketAddr::from(([0; 4], 0));
        Self { local: nowhere, remote: nowhere, id: wire::Id::none() }
    }
}

/// What became of connections that were to be ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ended {
    /// Ended by us.
    pub ended: usize,
    /// Gone before we came.
    pub gone: usize,
}

/// Why connections are not ended.
#[derive(Debug)]
pub enum EndError {
    /// The kernel was built without `CONFIG_INET_DIAG_DESTROY`.
    Unsupported,
    /// The kernel has no sock_diag for TCP: it was built without `CONFIG_INET_TCP_DIAG`, or that is a module that is not there.
    Unlisted,
    /// `EPERM` without `CAP_NET_ADMIN`.
    Kernel(io::Error),
}

impl std::fmt::Display for EndError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsupported => write!(f, "this kernel cannot end other sockets (CONFIG_INET_DIAG_DESTROY)"),
            Self::Unlisted => {
                write!(f, "this kernel cannot list sockets (CONFIG_INET_TCP_DIAG, module tcp_diag)")
            }
            Self::Kernel(_) => write!(f, "the kernel does not end the connections"),
        }
    }
}

impl std::error::Error for EndError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unsupported | Self::Unlisted => None,
            Self::Kernel(source) => Some(source),
        }
    }
}

impl From<io::Error> for EndError {
    fn from(source: io::Error) -> Self {
        Self::Kernel(source)
    }
}

/// A socket to the part of the kernel that knows sockets, for the namespace in which it was opened.
#[derive(Debug)]
pub struct SockDiag {
    netlink: Netlink,
}

impl SockDiag {
    /// For the namespace of the calling thread. Listing needs no privilege, ending `CAP_NET_ADMIN`.
    ///
    /// # Errors
    /// When descriptors or kernel memory are exhausted, or the kernel has no sock_diag (`EPROTONOSUPPORT`).
    pub fn open() -> io::Result<Self> {
        Ok(Self { netlink: Netlink::open(Some(netlink::SOCK_DIAG))? })
    }

    /// The same where connections can be listed and ended; whether they can is a matter of how the kernel was built.
    ///
    /// # Errors
    /// See [`EndError`].
    pub fn open_to_end() -> Result<Self, EndError> {
        let not_there = |error: io::Error| match Errno::from_io_error(&error) {
            Some(Errno::PROTONOSUPPORT | Errno::NOENT) => EndError::Unlisted,
            _ => error.into(),
        };
        let opened = Self::open().map_err(not_there)?;
        let nobody = [IpAddr::from([0; 4])];
        let filter = Filter { side: Side::Local, addresses: &nobody, port: Some(0) };
        opened.connections(&filter).map_err(not_there)?;
        // There is none of this kind: a kernel that could end it says so.
        let none = Connection::none();
        opened.end(&[none])?;
        Ok(opened)
    }

    /// The connections that `filter` describes. The kernel looks through all of its sockets once for each family.
    ///
    /// # Errors
    /// When the kernel does not answer, or has no sock_diag for TCP (`ENOENT`).
    pub fn connections(&self, filter: &Filter<'_>) -> io::Result<Vec<Connection>> {
        let mut found = Vec::new();
        for family in [wire::AF_INET, wire::AF_INET6] {
            let Some(conditions) = wire::conditions(filter, family)? else { continue };
            let request = wire::list(family, &conditions);
            found.extend(
                self.netlink
                    .dump(wire::SOCK_DIAG_BY_FAMILY, &request, |message| wire::connection(message.body))?,
            );
        }
        Ok(found)
    }

    /// Ends these connections.
    ///
    /// # Errors
    /// See [`EndError`]; those before the first that failed are ended.
    pub fn end(&self, connections: &[Connection]) -> Result<Ended, EndError> {
        let mut result = Ended::default();
        for batch in connections.chunks(BATCH) {
            let requests: Vec<Encoder> = batch.iter().map(|connection| wire::one(&connection.id)).collect();
            for outcome in self.netlink.ask_all(wire::SOCK_DESTROY, &requests)? {
                match outcome {
                    Ok(()) => result.ended += 1,
                    Err(error) => match Errno::from_io_error(&error) {
                        Some(Errno::NOENT) => result.gone += 1,
                        Some(Errno::OPNOTSUPP) => return Err(EndError::Unsupported),
                        _ => return Err(error.into()),
                    },
                }
            }
        }
        Ok(result)
    }

    /// Lists and ends, until nothing is left that could be ended: connections that were about to be accepted meanwhile too.
    /// `between` is called after each list and each batch of ends, for what cannot wait until all are ended.
    ///
    /// # Errors
    /// See [`EndError`].
    pub fn end_all(&self, filter: &Filter<'_>, mut between: impl FnMut()) -> Result<Ended, EndError> {
        let mut result = Ended::default();
        for _ in 0..ROUNDS {
            let found = self.connections(filter)?;
            between();
            let mut ended = 0;
            for batch in found.chunks(BATCH) {
                let now = self.end(batch)?;
                ended += now.ended;
                result.gone += now.gone;
                between();
            }
            result.ended += ended;
            if ended == 0 {
                break;
            }
        }
        Ok(result)
    }
}

/// Rounds of listing and ending: while clients still redial there is always one more.
const ROUNDS: usize = 8;

#[cfg(test)]
mod tests;
