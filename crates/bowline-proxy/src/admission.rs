//! Who may come in: from which networks, and how many from one source.

use crate::config::SourceLimits;
use crate::network::Network;
use bowline_sansio::Instant;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Sources that are told apart at a time: more than have connections at the default limit of those, in some megabytes. Beyond it
/// newcomers are let in uncounted, since a crowd of so many is no matter of single sources any more.
const SOURCES_MAX: usize = 65_536;

/// How much of its rate a source may use at once: after a failover everything behind one address redials together.
const BURST: Duration = Duration::from_secs(4);

/// Least time between two searches for sources that can be forgotten, which look at all of them.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Judges clients; one for all workers, because the kernel spreads a source's connections over all of them.
#[derive(Debug)]
pub(crate) struct Admission {
    clients: Vec<Network>,
    limits: SourceLimits,
    sources: Mutex<Sources>,
}

/// Why a client is not let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// Its network is not among those that may connect.
    Network,
    /// Its source has as many connections as one may have.
    Connections,
    /// Its source opens connections faster than one may.
    Rate,
}

/// Whether a client that is in is counted for its source; to be given to [`Admission::leave`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seat {
    Counted,
    Uncounted,
}

/// Clients that are taken for one: an IPv4 address, or an IPv6 network of 64 bits, all of whose addresses one host can use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Source {
    V4(u32),
    V6(u64),
}

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address.into()),
            IpAddr::V6(address) => Self::V6((u128::from(address) >> 64) as u64),
        }
    }
}

#[derive(Default, Debug)]
struct Sources {
    known: BTreeMap<Source, Record>,
    swept: Option<Instant>,
    uncounted: u64,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    connections: usize,
    /// When connections at the allowed rate would have come as far as it has: the later it lies, the more of the burst is used
    /// (the generic cell rate algorithm of ITU-T I.371).
    paid_until: Instant,
}

impl Admission {
    pub(crate) fn new(clients: Vec<Network>, limits: SourceLimits) -> Self {
        Self { clients, limits, sources: Mutex::default() }
    }

    /// Lets a client in, or says why not.
    pub(crate) fn enter(&self, client: IpAddr, now: Instant) -> Result<Seat, Refusal> {
        let within = |networks: &[Network]| networks.iter().any(|network| network.contains(client));
        if !self.clients.is_empty() && !within(&self.clients) {
            return Err(Refusal::Network);
        }
        let SourceLimits { connections_max, per_second, exempt } = &self.limits;
        if (connections_max.is_none() && per_second.is_none()) || within(exempt) {
            return Ok(Seat::Uncounted);
        }
        let mut sources = self.sources();
        let source = Source::from(client);
        let known = sources.known.get(&source).copied();
        if known.is_none() && !sources.has_room(now) {
            sources.uncounted += 1;
            return Ok(Seat::Uncounted);
        }
        let mut record = known.unwrap_or(Record { connections: 0, paid_until: now });
        if connections_max.is_some_and(|max| record.connections >= max.get()) {
            return Err(Refusal::Connections);
        }
        if let Some(per_second) = per_second {
            let paid_until = record.paid_until.max(now) + Duration::from_secs(1) / per_second.get();
            if paid_until.since(now) > BURST {
                return Err(Refusal::Rate);
            }
            record.paid_until = paid_until;
        }
        record.connections += 1;
        sources.known.insert(source, record);
        Ok(Seat::Counted)
    }

    /// A client that was let in has gone.
    pub(crate) fn leave(&self, client: IpAddr, seat: Seat, now: Instant) {
        match seat {
            Seat::Uncounted => {}
            Seat::Counted => {
                let mut sources = self.sources();
                let source = Source::from(client);
                let Some(record) = sources.known.get_mut(&source) else { return };
                record.connections = record.connections.saturating_sub(1);
                if record.is_clean(now) {
                    sources.known.remove(&source);
                }
            }
        }
    }

    /// Sources that are told apart now, and clients so far that were let in uncounted because there were too many.
    pub(crate) fn census(&self) -> (u64, u64) {
        let sources = self.sources();
        (sources.known.len() as u64, sources.uncounted)
    }

    fn sources(&self) -> MutexGuard<'_, Sources> {
        // A panic while the lock was held has at worst left one client uncounted.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sources {
    /// Whether one more can be told apart, after those were forgotten of whom nothing has to be known.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.known.len() >= SOURCES_MAX && self.swept.is_none_or(|swept| now.since(swept) >= SWEEP_EVERY) {
            self.swept = Some(now);
            self.known.retain(|_, record| !record.is_clean(now));
        }
        self.known.len() < SOURCES_MAX
    }
}

impl Record {
    /// Whether it says no more than that nothing is known.
    fn is_clean(&self, now: Instant) -> bool {
        self.connections == 0 && self.paid_until <= now
    }
}

#[cfg(test)]
mod tests;
