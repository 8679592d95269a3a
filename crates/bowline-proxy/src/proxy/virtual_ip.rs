//! Listeners on addresses that come to this host and leave it.

use super::{BindError, Listener, Proxy, State};
use crate::config::{ListenerId, PoolId};
use crate::mailbox::Command;
use bowline_sansio::Instant;
use bowline_sys::clock;
use bowline_sys::tcp::{self, Presence};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How long [`Proxy::evict`] waits for the workers. They need microseconds for a connection; the address cannot wait longer for
/// one that gets stuck at that moment, and not at all for one that is, because its successor has taken it already.
const EVICT_WAIT: Duration = Duration::from_millis(250);

/// How an eviction ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use = "connections of a worker that is stuck are still there"]
pub enum Eviction {
    /// Nothing listens on the addresses, and no connection of theirs is left.
    Complete,
    /// Nothing listens on the addresses, but a worker is stuck, or did not answer in time: its connections are reset when it does, or by
    /// whoever destroys its sockets from outside.
    Overdue,
}

impl Proxy {
    /// Listens like [`Proxy::open`], on an address that need not be here: clients can connect as soon as it is.
    ///
    /// # Errors
    /// As [`Proxy::open`].
    pub fn open_virtual(
        &self,
        listener: ListenerId,
        address: SocketAddr,
        pool: PoolId,
    ) -> Result<SocketAddr, BindError> {
        self.open_where(listener, address, Presence::Optional, pool)
    }

    /// Lets go of `addresses`: stops listening on them, resets the accept queues, and every connection that came in through them,
    /// held ones too, with the leg to its endpoint. Who connects from then on is refused, until [`Proxy::readmit`].
    ///
    /// Listening ends before any connection is reset, and on this thread: a client that redials at once is not let in again, not
    /// even by a worker that is stuck. It waits a quarter of a second at most for the workers, but for those that are stuck already.
    pub fn evict(&self, addresses: &[IpAddr]) -> Eviction {
        // Nothing is ever sent: each worker drops its end when it is done, and the last one ends the wait.
        let (done, all_done) = mpsc::sync_channel::<()>(0);
        let now = Instant::from_nanos(clock::monotonic_nanos());
        let mut is_one_stuck = false;
        {
            let mut listeners = self.listeners();
            listeners.values_mut().for_each(|known| stop_listening(known, addresses));
            let addresses: Arc<[IpAddr]> = addresses.into();
            for hand in &self.workers {
                let is_stuck = hand.pulse.is_silent(now);
                is_one_stuck |= is_stuck;
                let done = (!is_stuck).then(|| done.clone());
                hand.mailbox.post(Command::Evict { addresses: Arc::clone(&addresses), done });
            }
        }
        drop(done);
        match all_done.recv_timeout(EVICT_WAIT) {
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) if !is_one_stuck => Eviction::Complete,
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected | mpsc::RecvTimeoutError::Timeout) => {
                Eviction::Overdue
            }
        }
    }

    /// Listens again where [`Proxy::evict`] ended it, whether or not the address is here. Listeners elsewhere stay as they are.
    ///
    /// # Errors
    /// The first one met; the others are tried all the same, and those that failed can be tried again.
    pub fn readmit(&self, addresses: &[IpAddr]) -> Result<(), BindError> {
        let mut listeners = self.listeners();
        let evicted = listeners.iter().filter_map(|(listener, known)| match &known.state {
            State::Evicted { place } if addresses.contains(&place.address.ip()) => Some((*listener, *place)),
            State::Evicted { .. } | State::Open { .. } | State::Closed => None,
        });
        let evicted: Vec<_> = evicted.collect();
        let mut outcome = Ok(());
        for (listener, place) in evicted {
            let opened = self.listen(&mut listeners, listener, place.address, place.presence, place.pool);
            outcome = outcome.and(opened.map(drop));
        }
        outcome
    }
}

fn stop_listening(known: &mut Listener, addresses: &[IpAddr]) {
    let place = match &known.state {
        State::Open { place, sockets } if addresses.contains(&place.address.ip()) => {
            sockets.iter().for_each(tcp::stop_listening);
            *place
        }
        State::Open { .. } | State::Evicted { .. } | State::Closed => return,
    };
    known.state = State::Evicted { place };
}
