//! Which addresses and ports each node listens on, and which pool each of them leads to.

use core::net::IpAddr;
use core::num::NonZeroU16;
use std::collections::{BTreeMap, BTreeSet};

use super::LOOPBACK;
use crate::cluster::{Access, Cluster, Mode, Node, NodeRole, VirtualIp};
use crate::plan::{API_SERVERS, BALANCERS, ETCD, INGRESS, Listener};

/// By address and port. Where two ask for the same one, the first stands; the lint names the clash.
type Wanted = BTreeMap<(IpAddr, NonZeroU16), String>;

/// What every node needs to know of the virtual IPs.
pub(super) struct Listeners<'a> {
    cluster: &'a Cluster,
    /// Indices of the virtual IPs that a node may hold, by its name.
    held: BTreeMap<&'a str, Vec<usize>>,
    /// Indices of the virtual IPs that carry ingress.
    ingress: BTreeSet<usize>,
}

impl<'a> Listeners<'a> {
    pub(super) fn of(cluster: &'a Cluster) -> Self {
        let mut held: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, vip) in cluster.virtual_ips().iter().enumerate() {
            vip.on.iter().for_each(|name| held.entry(name).or_default().push(index));
        }
        let vips = cluster.virtual_ips().iter().enumerate();
        let ingress = vips.filter(|(_, vip)| carries_ingress(cluster, vip)).map(|(index, _)| index).collect();
        Self { cluster, held, ingress }
    }

    /// What a node listens on, in ascending order.
    pub(super) fn of_node(&self, node: &Node) -> Vec<Listener> {
        let cluster = self.cluster;
        let mut wanted = Wanted::new();
        for (access, is_internal) in [(cluster.internal(), true), (cluster.external(), false)] {
            self.side(node, access, is_internal, &mut wanted);
        }
        let runs_member = node.roles.contains(&NodeRole::Etcd);
        if cluster.etcd().gateway && !runs_member {
            want(&mut wanted, LOOPBACK, cluster.etcd().client_port, ETCD);
        }
        for ingress in cluster.ingress() {
            let pool = format!("{INGRESS}{}", ingress.name);
            want(&mut wanted, self.ingress_addresses(node), ingress.port, &pool);
        }
        wanted
            .into_iter()
            .map(|((address, port), pool)| Listener { address, port: port.get(), pool })
            .collect()
    }

    fn side(&self, node: &Node, access: &Access, is_internal: bool, wanted: &mut Wanted) {
        let has_loopback = !is_served_by_own_api_server(self.cluster, node, access.port);
        let loopback = || LOOPBACK.into_iter().filter(|_| has_loopback);
        match &access.mode {
            Mode::NodeLocal => want(wanted, loopback(), access.port, API_SERVERS),
            Mode::LoadBalancer => {
                let is_balancer = node.roles.contains(&NodeRole::LoadBalancer);
                if is_internal {
                    let pool = if is_balancer { API_SERVERS } else { BALANCERS };
                    want(wanted, loopback(), access.port, pool);
                }
                if is_balancer {
                    want(wanted, node.addresses.iter().copied(), access.port, API_SERVERS);
                }
            }
            Mode::VirtualIp(chosen) => {
                for (_, vip) in self.held(node).filter(|(index, vip)| vip.balance && chosen.contains(index)) {
                    want(wanted, vip.client_addresses(), access.port, API_SERVERS);
                }
            }
            Mode::External(_) | Mode::Direct => {}
        }
    }

    /// The virtual IPs that a node may hold.
    fn held(&self, node: &Node) -> impl Iterator<Item = (usize, &'a VirtualIp)> {
        let indices = self.held.get(node.name.as_str()).map(Vec::as_slice).unwrap_or_default();
        let vips = self.cluster.virtual_ips();
        indices.iter().filter_map(move |index| Some((*index, vips.get(*index)?)))
    }

    /// Where a node takes connections for the workers.
    fn ingress_addresses(&self, node: &Node) -> impl Iterator<Item = IpAddr> {
        let is_balancer = node.roles.contains(&NodeRole::LoadBalancer);
        let own = node.addresses.iter().copied().filter(move |_| is_balancer);
        let held = self.held(node).filter(|(index, _)| self.ingress.contains(index));
        own.chain(held.flat_map(|(_, vip)| vip.client_addresses()))
    }
}

fn want(wanted: &mut Wanted, addresses: impl IntoIterator<Item = IpAddr>, port: NonZeroU16, pool: &str) {
    for address in addresses {
        wanted.entry((address, port)).or_insert_with(|| pool.to_owned());
    }
}

/// Whether the node is a balancer that serves others than its own clients; it may do so on a loopback address.
pub(super) fn is_balancer(cluster: &Cluster, node: &Node) -> bool {
    let uses_balancers =
        [cluster.internal(), cluster.external()].into_iter().any(|access| match access.mode {
            Mode::LoadBalancer => true,
            Mode::NodeLocal | Mode::VirtualIp(_) | Mode::External(_) | Mode::Direct => false,
        });
    node.roles.contains(&NodeRole::LoadBalancer) && uses_balancers
}

/// Whether the node's own API server has this port on the loopback addresses, so that nobody else can.
pub(crate) fn is_served_by_own_api_server(cluster: &Cluster, node: &Node, port: NonZeroU16) -> bool {
    let api_server = cluster.api_server();
    let is_on_loopback = api_server.bind_address.is_unspecified() || api_server.bind_address.is_loopback();
    node.roles.contains(&NodeRole::ControlPlane) && api_server.port == port && is_on_loopback
}

/// Whether a virtual IP takes connections for the workers: whether it may be on balancers and workers alone.
pub(crate) fn carries_ingress(cluster: &Cluster, vip: &VirtualIp) -> bool {
    let fits = |node: &Node| {
        let has = |role| node.roles.contains(&role);
        has(NodeRole::LoadBalancer) || (has(NodeRole::Worker) && !has(NodeRole::ControlPlane))
    };
    let mut holders = cluster.nodes().iter().filter(|node| vip.on.contains(&node.name));
    vip.balance && !cluster.ingress().is_empty() && holders.all(fits)
}
