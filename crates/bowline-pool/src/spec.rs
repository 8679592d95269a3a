//! What a pool is asked to be.

use core::net::SocketAddr;
use core::time::Duration;

/// An endpoint's identity within its pool: given by the pool when it first sees a (name, address) pair, never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EndpointId(pub u64);

/// One server that can take connections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointSpec {
    /// The node's name, for people.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Who gets the next connection, among the endpoints of the best grade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    /// The one with the fewest open connections; ties are broken at random, so that a frozen server's hung connections keep
    /// it from being picked.
    LeastConnections,
    /// Each in turn.
    RoundRobin,
    /// The less busy of two drawn at random.
    RandomOfTwo,
    /// The first usable one in the order given, which the plan makes different on every node.
    Preferred,
    /// The first usable one in the order given, which is the same everywhere.
    Sticky,
}

/// A whole pool; two that are equal change nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolSpec {
    /// Who gets the next connection.
    pub policy: Policy,
    /// The endpoints, in order of preference.
    pub endpoints: Vec<EndpointSpec>,
    /// How many of them, from the first, are probed regularly. The others are spares: probed when they are new, while they
    /// are not well, and when somebody reports something of them.
    pub probed: usize,
    /// When to probe, and how long to wait for what.
    pub timers: Timers,
}

/// Every interval and bound of health and dialling, with the defaults of a dedicated balancer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timers {
    /// Between two probes of an endpoint whose grade is settled.
    pub probe_interval: Duration,
    /// Between two probes while the grade is changing.
    pub probe_interval_fast: Duration,
    /// For an answer on a connection that was open already.
    pub probe_timeout: Duration,
    /// For connection, TLS handshake and answer together.
    pub probe_timeout_handshake: Duration,
    /// Bad evidence in a row that takes an endpoint out.
    pub fall: u32,
    /// Good probes in a row that bring it back; one is enough while no endpoint is ready.
    pub rise: u32,
    /// Client bytes sent and nothing back for this long is an unanswered first flight.
    pub first_flight: Duration,
    /// The least and the most silence after which the next endpoint is dialled beside the silent one.
    pub stagger_min: Duration,
    /// See `stagger_min`.
    pub stagger_max: Duration,
    /// How long a client is held in all while endpoints are tried.
    pub hold: Duration,
}

impl Timers {
    /// How long a connection attempt may be silent before the next endpoint is dialled beside it: four times what a connect
    /// takes, within the bounds; the upper one when no connect was measured.
    pub fn stagger(&self, connect_rtt: Option<Duration>) -> Duration {
        connect_rtt
            .map_or(self.stagger_max, |rtt| rtt.saturating_mul(4))
            .max(self.stagger_min)
            .min(self.stagger_max)
            .max(STAGGER_FLOOR)
    }
}

/// Bounds of zero would dial every endpoint at once.
const STAGGER_FLOOR: Duration = Duration::from_millis(1);

impl Default for Timers {
    fn default() -> Self {
        Self {
            probe_interval: Duration::from_secs(1),
            probe_interval_fast: Duration::from_millis(100),
            probe_timeout: Duration::from_millis(200),
            probe_timeout_handshake: Duration::from_secs(1),
            fall: 2,
            rise: 2,
            first_flight: Duration::from_millis(200),
            stagger_min: Duration::from_millis(50),
            stagger_max: Duration::from_millis(250),
            hold: Duration::from_secs(8),
        }
    }
}
