//! Everything that happens in a daemon, as one type: what metrics, log and status are told.

use crate::metrics::Metrics;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// In a pool's machine.
    Pool {
        /// The pool's name in the plan.
        pool: Arc<str>,
        /// What.
        event: bowline_pool::Event,
    },
    /// In the proxy's workers.
    Proxy {
        /// What.
        event: bowline_proxy::Event,
        /// The names of what the event numbers.
        names: Names,
    },
    /// In the virtual routers of this node, or in what holds their addresses.
    VirtualIp(bowline_vip::Event),
    /// In the daemon itself.
    Daemon(DaemonEvent),
}

/// What a proxy's event is about, in words; empty where it is about no such thing, or the thing has gone since.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Names {
    /// The listener.
    pub listener: Option<SocketAddr>,
    /// The pool.
    pub pool: Option<Arc<str>>,
    /// The endpoint.
    pub endpoint: Option<Arc<str>>,
    /// How many events were not told since the last one that was, because there were too many.
    pub suppressed: u64,
}

/// Something happened in the daemon itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DaemonEvent {
    /// The daemon knows its node and its part.
    Started {
        /// Its node.
        node: String,
        /// How many threads relay.
        workers: usize,
        /// The open files it may have.
        nofile: u64,
    },
    /// A listener takes connections.
    Listening {
        /// Where.
        address: SocketAddr,
        /// For which pool.
        pool: String,
    },
    /// A listener hands its connections to another pool from now on.
    Retargeted {
        /// Which listener.
        address: SocketAddr,
        /// The pool.
        pool: String,
    },
    /// A listener takes no connections any more.
    Closed {
        /// Which.
        address: SocketAddr,
    },
    /// The admin listener takes requests.
    AdminListening {
        /// Where, as written in the description.
        listen: String,
    },
    /// The admin listener is bound, and cannot be served.
    AdminFailed {
        /// Why.
        error: String,
    },
    /// The host has no such address, and that is no error: `::1` without IPv6.
    NoIpv6 {
        /// What was not bound.
        addresses: Vec<IpAddr>,
    },
    /// The limit of open files could not be raised.
    OpenFilesLimited {
        /// Why.
        error: String,
    },
    /// Fewer connections can be served at a time than the description allows, for want of open files.
    ConnectionsLimited {
        /// What the description allows.
        wanted: usize,
        /// What can be served.
        possible: usize,
    },
    /// A probe has ended.
    Probed {
        /// Of which pool's endpoint.
        pool: Arc<str>,
        /// The endpoint's name.
        endpoint: Arc<str>,
        /// What came of it.
        outcome: ProbeOutcome,
    },
    /// Evidence that workers reported did not reach its pool, because more came than it could take.
    EvidenceDropped {
        /// The pool.
        pool: Arc<str>,
    },
    /// A CA bundle, client certificate or token has changed and is in use.
    CredentialsChanged,
    /// A CA bundle, client certificate or token has changed and cannot be used; the old one stays in use.
    CredentialsRefused {
        /// All that is wrong.
        problems: Vec<String>,
    },
    /// A new plan is in force.
    Reloaded {
        /// Its generation.
        generation: u64,
        /// What was done to get there.
        steps: usize,
    },
    /// The description says what is in force already.
    Unchanged {
        /// The generation in force.
        generation: u64,
    },
    /// A new description was not taken; the old plan stays in force.
    ReloadRefused {
        /// All that is wrong with it.
        problems: Vec<String>,
    },
    /// A changed field has no effect before the next start.
    NeedsRestart {
        /// The field.
        field: &'static str,
    },
    /// The file's folder cannot be watched; SIGHUP still reloads.
    NotWatched {
        /// Why.
        error: String,
    },
    /// The daemon is stopping, and gives its virtual IPs away first.
    HandingOver,
    /// No new connections are taken; the open ones get time to end.
    Draining {
        /// How many are open.
        connections: usize,
        /// How long they get.
        grace: Duration,
    },
    /// The daemon ends.
    Stopped {
        /// Connections that were still open and were reset.
        reset: usize,
    },
}

/// What came of a probe, without its details, which the endpoint's grade gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ProbeOutcome {
    /// `/readyz` answered with success.
    Ready,
    /// An answer that is not success.
    NotReady,
    /// The port is closed.
    Refused,
    /// The network says that there is no such host.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// Closed without an answer.
    Closed,
    /// An answer that is not TLS or not HTTP.
    Garbage,
    /// This host could not ask.
    NotAsked,
}

impl ProbeOutcome {
    /// The word in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotReady => "not-ready",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::Closed => "closed",
            Self::Garbage => "garbage",
            Self::NotAsked => "not-asked",
        }
    }
}

impl From<&bowline_pool::ProbeResult> for ProbeOutcome {
    fn from(result: &bowline_pool::ProbeResult) -> Self {
        use bowline_pool::{ProbeFailure, ProbeResult, Status};
        match result {
            ProbeResult::Answered { readyz: Status::Ok, .. } => Self::Ready,
            ProbeResult::Answered {
                readyz: Status::Unauthorized | Status::TooManyRequests | Status::Failing(_),
                ..
            } => Self::NotReady,
            ProbeResult::Failed(failure) => match failure {
                ProbeFailure::Refused => Self::Refused,
                ProbeFailure::Unreachable => Self::Unreachable,
                ProbeFailure::TimedOut(_) => Self::TimedOut,
                ProbeFailure::Closed(_) => Self::Closed,
                ProbeFailure::NotTls(_) | ProbeFailure::NotHttp(_) => Self::Garbage,
                ProbeFailure::Local(_) => Self::NotAsked,
            },
        }
    }
}

/// Where every event goes: the log and the counters. Status is read from the machines' own state when it is asked for.
#[derive(Debug, Default)]
pub struct Observer {
    metrics: Metrics,
}

impl Observer {
    /// An observer that has counted nothing.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Counts and logs `event`.
    pub fn record(&self, event: &Event) {
        self.metrics.count(event);
        crate::logs::write(event);
    }

    /// Counts and logs an event of the daemon itself.
    pub fn daemon(&self, event: DaemonEvent) {
        self.record(&Event::Daemon(event));
    }

    /// The counters.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}
