//! The listeners that are open, by where they listen.

use crate::view::ListenerView;
use bowline_plan::Listener;
use bowline_proxy::{BindError, ListenerId, PoolId, Proxy, Stats};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Open listeners.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    open: BTreeMap<SocketAddr, Open>,
    next: u32,
}

#[derive(Debug)]
struct Open {
    id: ListenerId,
    pool: String,
}

/// What became of a listener that was to be opened.
#[derive(Debug)]
pub(super) enum Opened {
    /// It takes connections.
    Listening,
    /// The host has no IPv6, so that nobody can connect to `::1` either.
    NoIpv6,
}

impl Listeners {
    /// Opens `listener` for `pool`; on a virtual IP, whether or not the address is here.
    ///
    /// # Errors
    ///
    /// One line that says what is in the way, and what to do.
    pub(super) fn open(
        &mut self,
        proxy: &Proxy,
        listener: &Listener,
        is_virtual: bool,
        pool: PoolId,
    ) -> Result<Opened, String> {
        let address = SocketAddr::new(listener.address, listener.port);
        let id = ListenerId(self.next);
        let bound = match is_virtual {
            true => proxy.open_virtual(id, address, pool),
            false => proxy.open(id, address, pool),
        };
        match bound {
            Ok(_bound) => {
                self.next = self.next.saturating_add(1);
                self.open.insert(address, Open { id, pool: listener.pool.clone() });
                Ok(Opened::Listening)
            }
            Err(error) if is_missing(&error) => match listener.address {
                IpAddr::V6(Ipv6Addr::LOCALHOST) => Ok(Opened::NoIpv6),
                IpAddr::V4(_) | IpAddr::V6(_) => {
                    Err(format!("{error}; give this machine the address, or correct it in the description"))
                }
            },
            Err(error) => Err(error.to_string()),
        }
    }

    /// Sends the next clients of the listener at `address` to another pool; false when there is no such listener.
    pub(super) fn retarget(&mut self, proxy: &Proxy, address: SocketAddr, name: &str, pool: PoolId) -> bool {
        let Some(open) = self.open.get_mut(&address) else { return false };
        proxy.retarget(open.id, pool);
        name.clone_into(&mut open.pool);
        true
    }

    /// Takes no more clients at `address`; false when there is no such listener.
    pub(super) fn close(&mut self, proxy: &Proxy, address: SocketAddr) -> bool {
        let Some(open) = self.open.remove(&address) else { return false };
        proxy.close(open.id);
        true
    }

    /// Where an open listener listens.
    pub(super) fn address(&self, id: ListenerId) -> Option<SocketAddr> {
        self.open.iter().find(|(_, open)| open.id == id).map(|(address, _)| *address)
    }

    /// All of them, with what the workers counted.
    pub(super) fn views(&self, stats: &Stats) -> Vec<ListenerView> {
        self.open
            .iter()
            .map(|(address, open)| ListenerView {
                address: *address,
                pool: open.pool.clone(),
                stats: stats.listeners.get(&open.id).cloned().unwrap_or_default(),
            })
            .collect()
    }
}

/// Whether this machine does not have the address, or its whole family.
fn is_missing(error: &BindError) -> bool {
    match error {
        BindError::Failed { source, .. } => {
            source.kind() == io::ErrorKind::AddrNotAvailable || source.raw_os_error() == Some(EAFNOSUPPORT)
        }
        BindError::InUse { .. } | BindError::Open { .. } => false,
    }
}

/// Address family not supported by protocol (errno(3)); `ErrorKind` has no name for it.
const EAFNOSUPPORT: i32 = 97;
