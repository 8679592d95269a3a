//! Which names and addresses certificates have to hold: everything by which anybody is told to connect.

use core::net::IpAddr;
use core::str::FromStr;
use std::collections::BTreeSet;

use super::LOOPBACK;
use crate::cluster::{Cluster, Host, Mode, Node, NodeRole, VirtualIp};
use crate::endpoints::{Class, endpoints};
use crate::plan::Sans;

/// What a certificate holds, sorted as it is printed: names, then addresses.
#[derive(Default)]
struct Names {
    names: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

pub(super) fn sans(cluster: &Cluster) -> Sans {
    Sans { apiserver: api_server(cluster, None).into_list(), etcd: etcd(cluster, None).into_list() }
}

/// What the certificates of one node have to hold: what all nodes share, and of the nodes that serve the same only its own
/// names and addresses.
pub fn node_sans(cluster: &Cluster, node: &str) -> Sans {
    Sans {
        apiserver: api_server(cluster, Some(node)).into_list(),
        etcd: etcd(cluster, Some(node)).into_list(),
    }
}

/// The part of all SANs that clients are told to use, the pods' own way included; the others are held for whoever uses a
/// node by name.
pub fn advertised_sans(cluster: &Cluster) -> Sans {
    let (mut apiserver, mut etcd) = (Names::default(), Names::default());
    apiserver.add_service(cluster);
    for access in [cluster.internal(), cluster.external()] {
        apiserver.names.extend(access.names.iter().cloned());
    }
    for client in endpoints(cluster) {
        let names = if client.class == Class::Etcd { &mut etcd } else { &mut apiserver };
        client.targets.iter().for_each(|target| names.add_host(&target.host));
    }
    Sans { apiserver: apiserver.into_list(), etcd: etcd.into_list() }
}

/// The nodes with `role`, or of them only the one named.
fn serving<'a>(cluster: &'a Cluster, role: NodeRole, only: Option<&str>) -> impl Iterator<Item = &'a Node> {
    cluster.with_role(role).filter(move |node| only.is_none_or(|only| node.name == only))
}

fn api_server(cluster: &Cluster, only: Option<&str>) -> Names {
    let mut names = Names::default();
    names.add_local();
    names.add_service(cluster);
    for node in serving(cluster, NodeRole::ControlPlane, only) {
        names.add_node(node);
    }
    for access in [cluster.internal(), cluster.external()] {
        names.names.extend(access.names.iter().cloned());
        match &access.mode {
            Mode::LoadBalancer => {
                cluster.with_role(NodeRole::LoadBalancer).for_each(|node| names.add_node(node))
            }
            Mode::VirtualIp(chosen) => {
                let chosen = chosen.iter().filter_map(|index| cluster.virtual_ips().get(*index));
                names.addresses.extend(chosen.flat_map(VirtualIp::client_addresses));
            }
            Mode::External(fronts) => fronts.iter().for_each(|front| names.add_host(&front.host)),
            // The node itself, and the control planes: both are there already.
            Mode::NodeLocal | Mode::Direct => {}
        }
    }
    cluster.extra_sans().iter().for_each(|name| names.add_text(name));
    names
}

fn etcd(cluster: &Cluster, only: Option<&str>) -> Names {
    let mut names = Names::default();
    let mut members = serving(cluster, NodeRole::Etcd, only).peekable();
    if members.peek().is_some() {
        names.add_local();
    }
    members.for_each(|node| names.add_node(node));
    let etcd = cluster.etcd();
    etcd.access_addresses
        .iter()
        .chain(&etcd.advertised_address)
        .for_each(|front| names.add_host(&front.host));
    cluster.etcd_extra_sans().iter().for_each(|name| names.add_text(name));
    names
}

impl Names {
    fn add_local(&mut self) {
        self.add_name("localhost");
        self.addresses.extend(LOOPBACK);
    }

    /// The names and addresses by which pods know the API server.
    fn add_service(&mut self, cluster: &Cluster) {
        let domain = &cluster.kubernetes().dns_domain;
        for name in ["kubernetes", "kubernetes.default", "kubernetes.default.svc"] {
            self.add_name(name);
        }
        self.add_name(&format!("kubernetes.default.svc.{domain}"));
        self.addresses.extend(cluster.kubernetes().service_cidrs.iter().map(|cidr| cidr.first_host()));
    }

    fn add_node(&mut self, node: &Node) {
        self.add_name(&node.name);
        self.addresses.extend(&node.addresses);
        self.addresses.extend(node.access_address);
        self.addresses.extend(node.public_address);
    }

    fn add_host(&mut self, host: &Host) {
        match host {
            Host::Address(address) => {
                self.addresses.insert(*address);
            }
            Host::Name(name) => self.add_name(name),
        }
    }

    fn add_text(&mut self, text: &str) {
        match IpAddr::from_str(text) {
            Ok(address) => {
                self.addresses.insert(address);
            }
            Err(_) => self.add_name(text),
        }
    }

    fn add_name(&mut self, name: &str) {
        self.names.insert(name.to_owned());
    }

    fn into_list(self) -> Vec<String> {
        self.names.into_iter().chain(self.addresses.iter().map(IpAddr::to_string)).collect()
    }
}
