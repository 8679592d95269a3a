//! How a daemon is at one moment: what status, readiness and metrics are made from.

use crate::daemon::PoolView;
use crate::documents::{EndpointStatus, ListenerStatus, PoolStatus, Status};
use bowline_pool::{Grade, Reason};
use bowline_proxy::Stats;
use std::net::SocketAddr;
use std::time::Duration;

/// A daemon that has not heard from all its endpoints is ready after this long all the same: who waits for it would wait
/// for a server that is down.
const FIRST_ROUND_MAX: Duration = Duration::from_secs(1);

/// One listener at one moment.
#[derive(Clone, Debug)]
pub struct ListenerView {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its pool.
    pub pool: String,
    /// What the workers counted for it.
    pub stats: bowline_proxy::ListenerStats,
}

/// A whole daemon at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// Its node.
    pub node: String,
    /// Counts the plans put in force.
    pub generation: u64,
    /// How long it has run.
    pub uptime: Duration,
    /// Whether it is stopping.
    pub draining: bool,
    /// How long an established connection to a server that has vanished can hang.
    pub established: Duration,
    /// What is wrong with the description that was refused last, unless one was taken since.
    pub reload_refused: Option<Vec<String>>,
    /// In the order of their addresses.
    pub listeners: Vec<ListenerView>,
    /// In the order of their names.
    pub pools: Vec<PoolView>,
    /// What the workers counted for all listeners together.
    pub stats: Stats,
}

impl View {
    /// The document for `GET /status`.
    pub fn status(&self) -> Status {
        Status {
            schema: Status::SCHEMA.into(),
            node: self.node.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            generation: self.generation,
            uptime_ms: milliseconds(self.uptime),
            draining: self.draining,
            listeners: self.listeners.iter().map(listener_status).collect(),
            pools: self.pools.iter().map(pool_status).collect(),
            endpoints: self.pools.iter().flat_map(endpoint_statuses).collect(),
            virtual_ips: Vec::new(),
            reload_refused: self.reload_refused.clone(),
        }
    }

    /// Why nobody should be sent here now; empty when the daemon serves.
    pub fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if self.draining {
            reasons.push("draining: the daemon is stopping".to_owned());
        }
        match self.stats.workers_stuck {
            0 => {}
            1 => reasons.push("proxy: a worker does not answer".to_owned()),
            stuck => reasons.push(format!("proxy: {stuck} workers do not answer")),
        }
        for pool in &self.pools {
            let endpoints = &pool.snapshot.endpoints;
            let waiting = endpoints.iter().filter(|endpoint| endpoint.reason == Reason::NotProbed).count();
            if waiting > 0 && self.uptime < FIRST_ROUND_MAX {
                reasons.push(format!(
                    "pool {}: {waiting} of {} endpoints have not answered a probe yet",
                    pool.name,
                    endpoints.len()
                ));
            } else if endpoints.iter().all(|endpoint| !is_usable(endpoint.grade)) {
                reasons.push(format!("pool {}: no endpoint is usable", pool.name));
            }
        }
        reasons
    }
}

/// Whether an endpoint of this grade gets new connections while others do.
pub const fn is_usable(grade: Grade) -> bool {
    match grade {
        Grade::Ready | Grade::Alive => true,
        Grade::Draining | Grade::Dead => false,
    }
}

/// Whether every endpoint of the pool looks bad, so that all are tried.
pub fn fails_open(pool: &PoolView) -> bool {
    let endpoints = &pool.snapshot.endpoints;
    !endpoints.is_empty() && endpoints.iter().all(|endpoint| !is_usable(endpoint.grade))
}

fn listener_status(listener: &ListenerView) -> ListenerStatus {
    ListenerStatus {
        address: listener.address.ip(),
        port: listener.address.port(),
        pool: listener.pool.clone(),
        connections: listener.stats.open.saturating_add(listener.stats.held),
    }
}

fn pool_status(pool: &PoolView) -> PoolStatus {
    PoolStatus {
        name: pool.name.to_string(),
        policy: crate::daemon::policy_word(pool.snapshot.policy).into(),
        fail_open: fails_open(pool),
    }
}

fn endpoint_statuses(pool: &PoolView) -> impl Iterator<Item = EndpointStatus> {
    pool.snapshot.endpoints.iter().zip(&pool.evidence_ages).map(|(endpoint, age)| EndpointStatus {
        pool: pool.name.to_string(),
        name: endpoint.name.to_string(),
        address: endpoint.address.to_string(),
        grade: endpoint.grade.to_string(),
        reason: endpoint.reason.to_string(),
        evidence_age_ms: age.map(milliseconds),
        connections: endpoint.connections.get(),
    })
}

/// Whole milliseconds of `duration`.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
