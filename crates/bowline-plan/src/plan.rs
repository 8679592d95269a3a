//! What every node has to do, down to the last address: nothing is left to be chosen at run time.

use core::net::IpAddr;
use core::time::Duration;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::cluster::Track;

mod router;

pub use router::{Authentication, RouterPeer, VirtualRouter};

/// The pool of every API server.
pub const API_SERVERS: &str = "api-servers";
/// The pool of the node's own API server, to which no listener leads: where a virtual IP is not balanced, it says whether the node
/// can serve.
pub const OWN_API_SERVER: &str = "own-api-server";
/// The pool of every balancer, for nodes that reach the API servers through them.
pub const BALANCERS: &str = "balancers";
/// The pool of every etcd member.
pub const ETCD: &str = "etcd";
/// What the names of ingress pools begin with; the ingress's own name follows.
pub const INGRESS: &str = "ingress-";

/// The whole cluster's plan; its JSON is a contract (fields are added, never renamed).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Grows with every accepted description; says which of two plans is newer.
    pub generation: u64,
    /// By node name; every node of the description has an entry, if an empty one.
    pub nodes: BTreeMap<String, NodePlan>,
    /// Names and addresses that certificates have to hold.
    pub sans: Sans,
}

/// One node's part. An empty one runs the admin listener alone.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodePlan {
    /// In ascending order; no two have the same address and port.
    pub listeners: Vec<Listener>,
    /// By name.
    pub pools: BTreeMap<String, PoolPlan>,
    /// Virtual addresses this node takes part in, by name.
    pub virtual_routers: Vec<VirtualRouter>,
    /// What the node's hosts file has to say for the names of the description to lead somewhere.
    pub hosts: Vec<HostsLine>,
}

impl NodePlan {
    /// Whether the address is one of a virtual router's.
    pub fn is_virtual(&self, address: IpAddr) -> bool {
        self.virtual_routers.iter().any(|router| router.addresses.contains(&address))
    }

    /// The pool whose endpoints say whether this node can serve a virtual router's clients; `None` where nothing is tracked.
    pub fn tracked_pool(&self, router: &VirtualRouter) -> Option<&str> {
        match (router.track, router.balance) {
            (Track::None, _) => None,
            (Track::ApiServer, false) => Some(OWN_API_SERVER),
            (Track::ApiServer, true) => {
                let mut listeners = self.listeners.iter();
                let own = listeners.find(|listener| router.addresses.contains(&listener.address))?;
                Some(&own.pool)
            }
        }
    }
}

/// A line of a hosts file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostsLine {
    /// Where the names lead.
    pub address: IpAddr,
    /// DNS names, at least one.
    pub names: Vec<String>,
}

/// An address and port to accept clients on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Never a wildcard.
    pub address: IpAddr,
    /// Never 0.
    pub port: u16,
    /// Where its clients go: a key of [`NodePlan::pools`].
    pub pool: String,
}

/// Servers that take connections, and how to choose among them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolPlan {
    /// Who gets the next connection.
    pub policy: Policy,
    /// On whose behalf this node connects.
    pub role: Role,
    /// In order of preference.
    pub endpoints: Vec<PoolEndpoint>,
    /// How many of them, from the first, are examined regularly; the others when something is heard of them. All, except on
    /// the nodes of a large cluster.
    pub probed: usize,
    /// How each endpoint is examined.
    pub probe: Probe,
}

/// How the next endpoint is chosen; unlike in a description, nothing is left to be decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// The one with the fewest open connections, ties broken at random.
    LeastConnections,
    /// Each in turn.
    RoundRobin,
    /// The less busy of two drawn at random.
    RandomOfTwo,
    /// The first usable one; the order differs from node to node.
    Preferred,
    /// The first usable one; the order is the same everywhere.
    Sticky,
}

/// Whose connections a pool carries; it decides how often it may probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Of clients on the same node. There are as many such pools as nodes, so they probe seldom.
    NodeLocal,
    /// Of clients elsewhere. There are few such pools, so they probe often.
    Balancer,
}

/// A server of a pool.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolEndpoint {
    /// The name of the node it runs on.
    pub name: String,
    /// Where it listens.
    pub address: IpAddr,
    /// Never 0.
    pub port: u16,
}

/// How endpoints are examined, and the bounds of dialling them. In JSON, durations are milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// What is expected to answer.
    pub target: ProbeTarget,
    /// Between two probes of an endpoint whose grade is settled.
    #[serde(rename = "intervalMs", serialize_with = "milliseconds")]
    #[schemars(with = "u64")]
    pub interval: Duration,
    /// Between two probes while the grade is changing.
    #[serde(rename = "fastIntervalMs", serialize_with = "milliseconds")]
    #[schemars(with = "u64")]
    pub fast_interval: Duration,
    /// For an answer on a connection that was open already.
    #[serde(rename = "timeoutMs", serialize_with = "milliseconds")]
    #[schemars(with = "u64")]
    pub timeout: Duration,
    /// For connection, TLS handshake and answer together.
    #[serde(rename = "handshakeTimeoutMs", serialize_with = "milliseconds")]
    #[schemars(with = "u64")]
    pub handshake_timeout: Duration,
    /// Bad evidence in a row that takes an endpoint out.
    pub fall: u32,
    /// Good probes in a row that bring it back.
    pub rise: u32,
    /// Client bytes sent and nothing back for this long is an unanswered first flight.
    #[serde(rename = "firstFlightMs", serialize_with = "milliseconds")]
    #[schemars(with = "u64")]
    pub first_flight: Duration,
    /// The least silence after which the next endpoint is dialled beside the silent one.
    #[serde(rename = "staggerMinMs", serialize_with = "milliseconds")]
    #[schemars(with = "u64")]
    pub stagger_min: Duration,
    /// The most silence before that.
    #[serde(rename = "staggerMaxMs", serialize_with = "milliseconds")]
    #[schemars(with = "u64")]
    pub stagger_max: Duration,
    /// How long a client is held in all while endpoints are tried.
    #[serde(rename = "holdMs", serialize_with = "milliseconds")]
    #[schemars(with = "u64")]
    pub hold: Duration,
}

/// What a probe talks to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProbeTarget {
    /// An API server, perhaps through a balancer: TLS, then HTTP `/readyz` and `/livez`.
    ApiServer,
    /// An etcd member: TLS, then HTTP `/health`.
    Etcd,
    /// A worker: nothing but a TCP connection, because nobody knows what the port serves.
    Tcp,
}

/// Subject alternative names, DNS names in alphabetical order and then addresses in numerical order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, JsonSchema)]
pub struct Sans {
    /// For the certificate of every API server.
    pub apiserver: Vec<String>,
    /// For the certificate of every etcd member.
    pub etcd: Vec<String>,
}

impl Policy {
    /// Every policy there is.
    const ALL: [Self; 5] =
        [Self::LeastConnections, Self::RoundRobin, Self::RandomOfTwo, Self::Preferred, Self::Sticky];

    /// The policy that a description calls so.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == name)
    }

    /// As written in a description.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LeastConnections => "least-connections",
            Self::RoundRobin => "round-robin",
            Self::RandomOfTwo => "random-of-two",
            Self::Preferred => "preferred",
            Self::Sticky => "sticky",
        }
    }
}

fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
