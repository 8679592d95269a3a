//! Decides who listens where and who connects to whom.
//!
//! * *node-local*: every node listens on its loopback addresses and connects to the control planes.
//! * *load-balancer*: balancers listen on each of their addresses and connect to the control planes. Inside, the other
//!   nodes listen on their loopback addresses and connect to all balancers; a balancer's own loopback listener goes to the
//!   control planes at once.
//! * *external* and *direct*: clients connect to somebody else's address, so nobody listens.
//! * *virtual-ip*: not planned yet; see [`crate::unserved`].

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU16;
use core::time::Duration;
use std::collections::BTreeMap;

use crate::cluster::{Balancing, Cluster, Mode, Node, NodeRole};
use crate::plan::{
    API_SERVERS, BALANCERS, Listener, NodePlan, Plan, Policy, PoolEndpoint, PoolPlan, Probe, ProbeTarget,
    Role,
};

mod rendezvous;
mod sans;

/// Where a node's own clients find it.
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// A balancer's pool: there are few of them, so they may look often.
const BALANCER_PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// A node's pool: with 5,000 nodes, each API server answers 170 probes a second.
const NODE_PROBE_INTERVAL: Duration = Duration::from_secs(30);

/// The plan of a cluster; the same cluster gives the same plan, everywhere and always.
pub fn plan(cluster: &Cluster, generation: u64) -> Plan {
    let servers = Servers {
        api_servers: endpoints(cluster, NodeRole::ControlPlane, cluster.api_server().port),
        balancers: endpoints(cluster, NodeRole::LoadBalancer, cluster.internal().port),
    };
    let mut nodes: BTreeMap<String, NodePlan> =
        cluster.nodes().iter().map(|node| (node.name.clone(), plan_node(cluster, node, &servers))).collect();
    for pool in [API_SERVERS, BALANCERS] {
        assign_preferences(&mut nodes, pool);
    }
    Plan { generation, nodes, sans: sans::sans(cluster) }
}

/// Everybody's endpoints, in the order of the description.
struct Servers {
    api_servers: Vec<PoolEndpoint>,
    balancers: Vec<PoolEndpoint>,
}

/// One node's part, with the endpoints of every pool in the order of the description.
fn plan_node(cluster: &Cluster, node: &Node, servers: &Servers) -> NodePlan {
    let is_balancer = node.roles.contains(&NodeRole::LoadBalancer);
    // By address and port; where the two sides ask for the same one, the internal side's pool stands.
    let mut wanted: BTreeMap<(IpAddr, NonZeroU16), &'static str> = BTreeMap::new();
    let mut want = |address: IpAddr, port: NonZeroU16, pool: &'static str| {
        wanted.entry((address, port)).or_insert(pool);
    };
    for (access, is_internal) in [(cluster.internal(), true), (cluster.external(), false)] {
        let has_loopback = !is_served_by_own_api_server(cluster, node, access.port);
        let loopback = LOOPBACK.into_iter().filter(|_| has_loopback);
        match access.mode {
            Mode::NodeLocal => loopback.for_each(|address| want(address, access.port, API_SERVERS)),
            Mode::LoadBalancer => {
                if is_internal {
                    let pool = if is_balancer { API_SERVERS } else { BALANCERS };
                    loopback.for_each(|address| want(address, access.port, pool));
                }
                if is_balancer {
                    node.addresses.iter().for_each(|address| want(*address, access.port, API_SERVERS));
                }
            }
            Mode::VirtualIp(_) | Mode::External(_) | Mode::Direct => {}
        }
    }
    let listeners: Vec<Listener> = wanted
        .into_iter()
        .map(|((address, port), pool)| Listener { address, port: port.get(), pool: pool.to_owned() })
        .collect();
    let uses = |pool: &str| listeners.iter().any(|listener| listener.pool == pool);
    let balances = is_balancer && has_balancers(cluster);
    let role = if balances { Role::Balancer } else { Role::NodeLocal };
    let mut pools = BTreeMap::new();
    if uses(API_SERVERS) {
        let pool = pool(cluster.balancing(), role, servers.api_servers.clone());
        pools.insert(API_SERVERS.to_owned(), pool);
    }
    if uses(BALANCERS) {
        let pool = pool(cluster.balancing(), Role::NodeLocal, servers.balancers.clone());
        pools.insert(BALANCERS.to_owned(), pool);
    }
    NodePlan { listeners, pools, virtual_routers: Vec::new() }
}

/// Whether a balancer of this cluster serves others than its own clients; it may do so on a loopback address.
fn has_balancers(cluster: &Cluster) -> bool {
    [cluster.internal(), cluster.external()].into_iter().any(|access| match access.mode {
        Mode::LoadBalancer => true,
        Mode::NodeLocal | Mode::VirtualIp(_) | Mode::External(_) | Mode::Direct => false,
    })
}

/// Whether the node's own API server has this port on the loopback addresses, so that nobody else can.
pub(crate) fn is_served_by_own_api_server(cluster: &Cluster, node: &Node, port: NonZeroU16) -> bool {
    let api_server = cluster.api_server();
    let is_on_loopback = api_server.bind_address.is_unspecified() || api_server.bind_address.is_loopback();
    node.roles.contains(&NodeRole::ControlPlane) && api_server.port == port && is_on_loopback
}

fn endpoints(cluster: &Cluster, role: NodeRole, port: NonZeroU16) -> Vec<PoolEndpoint> {
    let to_endpoint = |node: &Node| {
        // Validation gave every node that others connect to an address.
        node.access_address.map(|address| PoolEndpoint { name: node.name.clone(), address, port: port.get() })
    };
    cluster.with_role(role).filter_map(to_endpoint).collect()
}

fn pool(balancing: &Balancing, role: Role, endpoints: Vec<PoolEndpoint>) -> PoolPlan {
    let (policy, interval) = match role {
        Role::NodeLocal => (Policy::Preferred, NODE_PROBE_INTERVAL),
        Role::Balancer => (Policy::LeastConnections, BALANCER_PROBE_INTERVAL),
    };
    let probe = Probe {
        target: ProbeTarget::ApiServer,
        interval: balancing.probe_interval.unwrap_or(interval),
        fast_interval: balancing.fast_probe_interval,
        timeout: balancing.probe_timeout,
        handshake_timeout: balancing.handshake_timeout,
        fall: balancing.fall.get(),
        rise: balancing.rise.get(),
        first_flight: balancing.first_flight,
        stagger_min: balancing.stagger_min,
        stagger_max: balancing.stagger_max,
        hold: balancing.hold,
    };
    PoolPlan { policy: balancing.policy.unwrap_or(policy), role, endpoints, probe }
}

/// Gives every node its own order of the endpoints of `pool`, where the policy asks for one.
fn assign_preferences(nodes: &mut BTreeMap<String, NodePlan>, pool: &str) {
    let mut pools: Vec<(&str, &mut PoolPlan)> = nodes
        .iter_mut()
        .filter_map(|(name, node)| Some((name.as_str(), node.pools.get_mut(pool)?)))
        .filter(|(_, pool)| pool.policy == Policy::Preferred)
        .collect();
    let Some(endpoints) = pools.first().map(|(_, pool)| pool.endpoints.clone()) else { return };
    let clients: Vec<&str> = pools.iter().map(|(name, _)| *name).collect();
    let servers: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    let orders = rendezvous::orders(&clients, &servers);
    for ((_, pool), order) in pools.iter_mut().zip(orders) {
        pool.endpoints = order.into_iter().filter_map(|index| endpoints.get(index).cloned()).collect();
    }
}
