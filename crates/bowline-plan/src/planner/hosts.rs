//! Where the names of the description lead, as lines for a node's hosts file.

use core::net::IpAddr;
use core::num::NonZeroU16;
use std::collections::BTreeSet;

use super::{LOOPBACK, is_served_by_own_api_server};
use crate::cluster::{Access, Cluster, Host, Mode, Node, NodeRole, VirtualIp};
use crate::plan::HostsLine;

/// The names of both sides with the addresses they lead to.
pub(super) struct Hosts<'a> {
    sides: Vec<Side<'a>>,
}

struct Side<'a> {
    /// Without those that the side before has.
    names: Vec<&'a str>,
    target: Target,
}

enum Target {
    /// The node itself, at this port.
    Loopback(NonZeroU16),
    /// The same everywhere.
    Addresses(Vec<IpAddr>),
}

impl<'a> Hosts<'a> {
    pub(super) fn of(cluster: &'a Cluster) -> Self {
        let mut seen = BTreeSet::new();
        let mut side = |access: &'a Access, is_internal: bool| Side {
            // A name that both sides have leads where the cluster's own clients go.
            names: access.names.iter().map(String::as_str).filter(|name| seen.insert(*name)).collect(),
            target: target(cluster, access, is_internal),
        };
        Self { sides: vec![side(cluster.internal(), true), side(cluster.external(), false)] }
    }

    pub(super) fn of_node(&self, cluster: &Cluster, node: &Node) -> Vec<HostsLine> {
        let mut lines = Vec::new();
        for side in self.sides.iter().filter(|side| !side.names.is_empty()) {
            let own;
            let addresses = match &side.target {
                Target::Addresses(addresses) => addresses.as_slice(),
                Target::Loopback(port) => {
                    own = loopback(cluster, node, *port);
                    own.as_slice()
                }
            };
            let names = || side.names.iter().map(|name| (*name).to_owned()).collect();
            lines.extend(addresses.iter().map(|address| HostsLine { address: *address, names: names() }));
        }
        lines
    }
}

fn target(cluster: &Cluster, access: &Access, is_internal: bool) -> Target {
    match &access.mode {
        Mode::NodeLocal => Target::Loopback(access.port),
        Mode::LoadBalancer if is_internal => Target::Loopback(access.port),
        Mode::LoadBalancer => {
            let balancers = cluster.with_role(NodeRole::LoadBalancer);
            Target::Addresses(balancers.filter_map(|node| node.access_address).collect())
        }
        Mode::VirtualIp(chosen) => {
            let vips = chosen.iter().filter_map(|index| cluster.virtual_ips().get(*index));
            Target::Addresses(vips.flat_map(VirtualIp::client_addresses).collect())
        }
        Mode::External(fronts) => {
            let address = |host: &Host| match host {
                Host::Address(address) => Some(*address),
                // Whoever named it has to resolve it.
                Host::Name(_) => None,
            };
            Target::Addresses(fronts.iter().filter_map(|front| address(&front.host)).collect())
        }
        Mode::Direct => {
            let first = cluster.with_role(NodeRole::ControlPlane).find_map(|node| node.access_address);
            Target::Addresses(first.into_iter().collect())
        }
    }
}

/// The node's loopback addresses at which something answers.
fn loopback(cluster: &Cluster, node: &Node, port: NonZeroU16) -> Vec<IpAddr> {
    let bind = cluster.api_server().bind_address;
    let answers = |address: &IpAddr| {
        let is_own = is_served_by_own_api_server(cluster, node, port);
        !is_own || bind == *address || bind.is_unspecified() && (bind.is_ipv6() || address.is_ipv4())
    };
    LOOPBACK.into_iter().filter(answers).collect()
}
