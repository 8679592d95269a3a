//! What a proxy is told at its start, and how things are named to it.

use crate::network::Network;
use bowline_sys::tcp::KeepAlive;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

/// A pool, as its owner numbers it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PoolId(pub u32);

/// A listening address, as its owner numbers it; counters are kept by this number for the life of the proxy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListenerId(pub u32);

/// How a proxy works.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Threads; one per core is the most that helps.
    pub workers: NonZeroUsize,
    /// Clients at once, over all workers; more wait in the kernel's accept queue. Cut at the start to what the limit of file
    /// descriptors allows ([`crate::Proxy::connections_max`]).
    pub connections_max: usize,
    /// Networks whose clients are served; none is everybody.
    pub clients: Vec<Network>,
    /// What one source may have.
    pub sources: SourceLimits,
    /// How long a connection may last without a byte from either side; for ever when there is none.
    pub first_byte: Option<Duration>,
    /// Bytes that each worker keeps at a time for peers that do not take them. When so many are kept, a connection is read only
    /// as far as its other side takes the bytes at once.
    pub unsent_max: usize,
    /// For both legs of every connection.
    pub keep_alive: KeepAlive,
    /// The kernel's name of the congestion control for legs that stay on this host's loopback addresses, where one that paces
    /// its packets (bbr) moves half as much as one that does not; the system's own when there is none.
    pub loopback_congestion: Option<String>,
    /// Seeds all randomness of the workers.
    pub seed: u64,
}

impl Config {
    /// What sixty-four clients can leave in pipes, or a thousand in buffers, before the others go without.
    pub const UNSENT_MAX: usize = 64 << 20;

    /// Silence of 15 s, then a question every 5 s; dead after the third: a vanished peer is noticed within 30 s, and a live
    /// idle one costs four packets a minute.
    pub const KEEP_ALIVE: KeepAlive =
        KeepAlive { idle: Duration::from_secs(15), interval: Duration::from_secs(5), count: 3 };
}

/// What one source may have: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SourceLimits {
    /// Connections at a time.
    pub connections_max: Option<NonZeroUsize>,
    /// New connections in a second, lastingly; four seconds' worth of them at once.
    pub per_second: Option<NonZeroU32>,
    /// Networks behind which everybody is: no limit of this kind holds for them.
    pub exempt: Vec<Network>,
}
