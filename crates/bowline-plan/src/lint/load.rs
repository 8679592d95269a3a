//! What each API server will see of probes and connections.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cluster::{Cluster, Mode, NodeRole};
use crate::plan::{API_SERVERS, BALANCERS, Plan};

/// A kubelet and a kube-proxy, with one HTTP/2 connection each.
const CONNECTIONS_PER_NODE: u32 = 2;

/// What one API server will see.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiServerLoad {
    /// The node it runs on.
    pub node: String,
    /// Probes a second while nothing fails; they are made on connections that stay open.
    pub requests_per_second: f64,
    /// TLS handshakes that come at once when another API server dies, for the connections it had.
    pub handshakes_at_failover: u32,
    /// Connections that stay open: one of each prober, and two of each node (kubelet and kube-proxy).
    pub standing_connections: u32,
}

/// What each API server will see, in the order of the description.
pub fn api_server_load(cluster: &Cluster, plan: &Plan) -> Vec<ApiServerLoad> {
    let count = u32::try_from(cluster.with_role(NodeRole::ControlPlane).count()).unwrap_or(u32::MAX);
    let probes = ProbesByServer::of(plan, count);
    // Everybody but the control planes, whose components stay with their own.
    let others = cluster.nodes().iter().filter(|node| !node.roles.contains(&NodeRole::ControlPlane)).count();
    let clients = u32::try_from(others).unwrap_or(u32::MAX).saturating_mul(CONNECTIONS_PER_NODE);
    let is_alone = is_carried_by_one(cluster);
    cluster
        .with_role(NodeRole::ControlPlane)
        .enumerate()
        .map(|(index, node)| {
            let share = match (&cluster.internal().mode, is_alone) {
                (Mode::Direct, _) if index > 0 => 0,
                (_, true) => clients,
                (_, false) => clients.div_ceil(count.max(1)),
            };
            let probes = probes.of_server(&node.name);
            let survivors = count.saturating_sub(1).max(1);
            let moved = if is_alone { clients } else { share.div_ceil(survivors) };
            let is_only = count == 1 || matches!(cluster.internal().mode, Mode::Direct);
            ApiServerLoad {
                node: node.name.clone(),
                requests_per_second: round(probes.per_second),
                handshakes_at_failover: if is_only { 0 } else { moved },
                standing_connections: share
                    .saturating_add(probes.connections)
                    .saturating_add(CONNECTIONS_PER_NODE),
            }
        })
        .collect()
}

/// Whether one API server at a time has all the nodes' connections.
fn is_carried_by_one(cluster: &Cluster) -> bool {
    match &cluster.internal().mode {
        Mode::Direct => true,
        Mode::VirtualIp(chosen) => {
            chosen.iter().filter_map(|index| cluster.virtual_ips().get(*index)).all(|vip| !vip.balance)
        }
        Mode::NodeLocal | Mode::LoadBalancer | Mode::External(_) => false,
    }
}

/// What probes come to each API server.
#[derive(Clone, Copy, Default)]
struct Probes {
    per_second: f64,
    connections: u32,
}

/// Probes by the name of the API server's node.
struct ProbesByServer<'a> {
    direct: BTreeMap<&'a str, Probes>,
    /// Through a balancer, a probe ends at one of them: to each the same.
    shared: Probes,
}

impl<'a> ProbesByServer<'a> {
    fn of(plan: &'a Plan, api_servers: u32) -> Self {
        let mut direct: BTreeMap<&str, Probes> = BTreeMap::new();
        let (mut per_second, mut connections) = (0.0, 0.0);
        let share = 1.0 / f64::from(api_servers.max(1));
        for node in plan.nodes.values() {
            if let Some(pool) = node.pools.get(API_SERVERS) {
                for (rank, endpoint) in pool.endpoints.iter().enumerate() {
                    let probes = direct.entry(endpoint.name.as_str()).or_default();
                    // A spare is probed once, and keeps the connection.
                    probes.connections = probes.connections.saturating_add(1);
                    if rank < pool.probed {
                        probes.per_second += pool.probe.interval.as_secs_f64().recip();
                    }
                }
            }
            if let Some(pool) = node.pools.get(BALANCERS) {
                let probed = u32::try_from(pool.probed).unwrap_or(u32::MAX);
                let kept = u32::try_from(pool.endpoints.len()).unwrap_or(u32::MAX);
                per_second += f64::from(probed) * share * pool.probe.interval.as_secs_f64().recip();
                connections += f64::from(kept) * share;
            }
        }
        // At most a connection for each pair of a node and a balancer, which both are bounded.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
        let connections = connections.ceil() as u32;
        Self { direct, shared: Probes { per_second, connections } }
    }

    fn of_server(&self, name: &str) -> Probes {
        let direct = self.direct.get(name).copied().unwrap_or_default();
        Probes {
            per_second: direct.per_second + self.shared.per_second,
            connections: direct.connections.saturating_add(self.shared.connections),
        }
    }
}

/// To a hundredth.
fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
