//! How a daemon is at one moment: what status, readiness and metrics are made from.

use crate::daemon::PoolView;
use crate::documents::{EndpointStatus, ListenerStatus, PoolStatus, Status, VirtualIpStatus};
use bowline_pool::{Grade, Reason};
use bowline_proxy::Stats;
use bowline_sansio::Instant;
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

/// One virtual router at one moment.
#[derive(Clone, Debug)]
pub struct VirtualIpView {
    /// The node that holds the addresses, as far as is known; this one's name is empty.
    pub holder: Option<String>,
    /// Where the virtual router lives.
    pub interface: String,
    /// How it stands.
    pub status: bowline_vip::Status,
    /// What it has counted.
    pub tally: bowline_vip::Tally,
}

/// A whole daemon at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// Its node.
    pub node: String,
    /// Counts the plans put in force.
    pub generation: u64,
    /// When this is, on this host's monotonic clock.
    pub now: Instant,
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
    /// In the order of their names.
    pub virtual_ips: Vec<VirtualIpView>,
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
            virtual_ips: self.virtual_ips.iter().flat_map(|view| virtual_ip_statuses(self, view)).collect(),
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

fn virtual_ip_statuses(view: &View, virtual_ip: &VirtualIpView) -> impl Iterator<Item = VirtualIpStatus> {
    let VirtualIpView { holder, interface, status, tally: _ } = virtual_ip;
    let named = |name: &String| if name.is_empty() { view.node.clone() } else { name.clone() };
    let holder = holder.as_ref().map(named);
    let now = view.now;
    let vrrp = status.vrrp;
    let ago = move |at: Instant| milliseconds(now.since(at));
    status.addresses.iter().map(move |address| VirtualIpStatus {
        name: status.name.to_string(),
        address: *address,
        interface: interface.clone(),
        state: vrrp.state.as_str().to_owned(),
        holder: holder.clone(),
        since: Some(milliseconds(view.uptime).saturating_sub(ago(vrrp.since))),
        reason: vrrp.reason.as_str().to_owned(),
        priority: vrrp.priority,
        can_serve: vrrp.can_serve,
        fault: vrrp.fault.map(|fault| fault.as_str().to_owned()),
        heard_from: vrrp.heard.map(|heard| heard.source.to_string()),
        heard_ms_ago: vrrp.heard.map(|heard| ago(heard.at)),
    })
}

/// Whole milliseconds of `duration`.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
