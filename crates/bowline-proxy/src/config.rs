//! What a proxy is told at its start, and how things are named to it.

use bowline_sys::tcp::KeepAlive;
use std::num::NonZeroUsize;
use std::time::Duration;

/// A pool, as its owner numbers it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PoolId(pub u32);

/// A listening address, as its owner numbers it; counters are kept by this number for the life of the proxy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ListenerId(pub u32);

/// How a proxy works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Threads; one per core is the most that helps.
    pub workers: NonZeroUsize,
    /// Clients at once, over all workers; more wait in the kernel's accept queue. Cut at the start to what the limit of file
    /// descriptors allows ([`crate::Proxy::connections_max`]).
    pub connections_max: usize,
    /// Bytes that each worker keeps at a time for peers that do not take them. When so many are kept, a connection is read only
    /// as far as its other side takes the bytes at once.
    pub unsent_max: usize,
    /// For both legs of every connection.
    pub keep_alive: KeepAlive,
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
