//! Decides who listens where and who connects to whom.
//!
//! * *node-local*: every node listens on its loopback addresses and connects to the control planes.
//! * *load-balancer*: balancers listen on each of their addresses and connect to the control planes. Inside, the other
//!   nodes listen on their loopback addresses and connect to all balancers; a balancer's own loopback listener goes to the
//!   control planes at once.
//! * *virtual-ip*: every node that may hold the address listens on it and connects to the control planes; with
//!   `balance: false` nobody listens, and the holder's own API server answers.
//! * *external* and *direct*: clients connect to somebody else's address, so nobody listens.
//! * *etcd gateway*: every node without a member listens on its loopback addresses and connects to all members.
//! * *ingress*: balancers listen on each of their addresses, and nodes on the virtual IPs that carry ingress; they connect
//!   to all workers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU16;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::{Cluster, Node, NodeRole, Track};
use crate::plan::{
    API_SERVERS, BALANCERS, ETCD, INGRESS, Listener, NodePlan, OWN_API_SERVER, Plan, Policy, PoolEndpoint,
    PoolPlan, Probe, ProbeTarget, Role,
};

mod hosts;
mod listeners;
mod rendezvous;
mod routers;
mod sans;

pub(crate) use listeners::{carries_ingress, is_served_by_own_api_server};
pub use sans::{advertised_sans, node_sans};

/// The loopback address that every machine has.
pub(crate) const LOOPBACK_V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Where a node's own clients find it.
pub(crate) const LOOPBACK: [IpAddr; 2] = [LOOPBACK_V4, IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// A balancer's pool: there are few of them, so they may look often.
const BALANCER_PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// A node's pool: with 500 nodes, each API server answers 17 probes a second.
const NODE_PROBE_INTERVAL: Duration = Duration::from_secs(30);
/// In a cluster with more nodes than this, a node's pool probes those endpoints alone that it is likely to use.
const NODES_THAT_PROBE_ALL: usize = 500;
/// The node's own endpoint and the next.
const PROBED_BY_MANY: usize = 2;

/// The plan of a cluster; the same cluster gives the same plan, everywhere and always.
pub fn plan(cluster: &Cluster, generation: u64) -> Plan {
    let servers = Servers::of(cluster);
    let listening = listeners::Listeners::of(cluster);
    let routers = routers::Routers::of(cluster);
    let hosts = hosts::Hosts::of(cluster);
    let plan_node = |node: &Node| {
        let listeners = listening.of_node(node);
        let pools = pools(cluster, node, &servers, &listeners);
        NodePlan {
            listeners,
            pools,
            virtual_routers: routers.of_node(node),
            hosts: hosts.of_node(cluster, node),
        }
    };
    let mut nodes: BTreeMap<String, NodePlan> =
        cluster.nodes().iter().map(|node| (node.name.clone(), plan_node(node))).collect();
    let names: BTreeSet<String> = nodes.values().flat_map(|node| node.pools.keys().cloned()).collect();
    // A node's own API server is another one on each node, with nobody to choose from.
    for pool in names.iter().filter(|name| *name != OWN_API_SERVER) {
        assign_preferences(&mut nodes, pool);
    }
    Plan { generation, nodes, sans: sans::sans(cluster) }
}

/// Everybody's endpoints by the name of their pool, in the order of the description.
struct Servers(BTreeMap<String, (Vec<PoolEndpoint>, ProbeTarget)>);

impl Servers {
    fn of(cluster: &Cluster) -> Self {
        let mut pools = BTreeMap::new();
        let mut add = |pool: &str, role: NodeRole, port: NonZeroU16, target: ProbeTarget| {
            pools.insert(pool.to_owned(), (endpoints(cluster, role, port), target));
        };
        add(API_SERVERS, NodeRole::ControlPlane, cluster.api_server().port, ProbeTarget::ApiServer);
        add(BALANCERS, NodeRole::LoadBalancer, cluster.internal().port, ProbeTarget::ApiServer);
        add(ETCD, NodeRole::Etcd, cluster.etcd().client_port, ProbeTarget::Etcd);
        for ingress in cluster.ingress() {
            let pool = format!("{INGRESS}{}", ingress.name);
            add(&pool, NodeRole::Worker, ingress.target_port, ProbeTarget::Tcp);
        }
        Self(pools)
    }
}

fn endpoints(cluster: &Cluster, role: NodeRole, port: NonZeroU16) -> Vec<PoolEndpoint> {
    let to_endpoint = |node: &Node| {
        // Validation gave every node that others connect to an address.
        node.access_address.map(|address| PoolEndpoint { name: node.name.clone(), address, port: port.get() })
    };
    cluster.with_role(role).filter_map(to_endpoint).collect()
}

/// The pools that a node's listeners lead to, with the endpoints in the order of the description.
fn pools(
    cluster: &Cluster,
    node: &Node,
    servers: &Servers,
    listeners: &[Listener],
) -> BTreeMap<String, PoolPlan> {
    let names: BTreeSet<&str> = listeners.iter().map(|listener| listener.pool.as_str()).collect();
    let own = own_api_server(cluster, node);
    let is_balancer = listeners::is_balancer(cluster, node);
    names
        .into_iter()
        .filter_map(|name| {
            let (endpoints, target) = servers.0.get(name)?;
            let serves_others =
                |listener: &Listener| listener.pool == name && !listener.address.is_loopback();
            let balances = listeners.iter().any(serves_others) || (name == API_SERVERS && is_balancer);
            let role = if balances { Role::Balancer } else { Role::NodeLocal };
            Some((name.to_owned(), pool(cluster, role, *target, endpoints.clone())))
        })
        .chain(own)
        .collect()
}

/// The pool that says whether the node's own API server can serve the clients of a virtual IP that is not balanced.
fn own_api_server(cluster: &Cluster, node: &Node) -> Option<(String, PoolPlan)> {
    let mut held = cluster.virtual_ips().iter().filter(|vip| vip.on.contains(&node.name));
    let is_needed = held.any(|vip| !vip.balance && vip.track == Track::ApiServer);
    let address =
        node.access_address.filter(|_| is_needed && node.roles.contains(&NodeRole::ControlPlane))?;
    let port = cluster.api_server().port.get();
    let endpoint = PoolEndpoint { name: node.name.clone(), address, port };
    let plan = pool(cluster, Role::Balancer, ProbeTarget::ApiServer, vec![endpoint]);
    Some((OWN_API_SERVER.to_owned(), plan))
}

fn pool(cluster: &Cluster, role: Role, target: ProbeTarget, endpoints: Vec<PoolEndpoint>) -> PoolPlan {
    let balancing = cluster.balancing();
    let (policy, interval) = match role {
        Role::NodeLocal => (Policy::Preferred, NODE_PROBE_INTERVAL),
        Role::Balancer => (Policy::LeastConnections, BALANCER_PROBE_INTERVAL),
    };
    let probe = Probe {
        target,
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
    let policy = balancing.policy.unwrap_or(policy);
    // Other policies choose among all, and have to know of all.
    let is_one_of_many = policy == Policy::Preferred
        && role == Role::NodeLocal
        && cluster.nodes().len() > NODES_THAT_PROBE_ALL;
    let probed = if is_one_of_many { endpoints.len().min(PROBED_BY_MANY) } else { endpoints.len() };
    PoolPlan { policy, role, endpoints, probed, probe }
}

/// For each of `clients` which of a number of equals it begins with, so that no two of these have more than one client
/// of difference.
pub(crate) fn spread(clients: &[&str], equals: usize) -> Vec<usize> {
    let names: Vec<String> = (0..equals).map(|index| index.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let orders = rendezvous::orders(clients, &names);
    orders.iter().map(|order| order.first().copied().unwrap_or_default()).collect()
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
