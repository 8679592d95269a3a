//! Whether what clients are told to connect to is listened on, and is in the certificates.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use super::codes::Code;
use super::{Lint, named, side, spec};
use crate::cluster::{Cluster, Front, Host, Mode, Node, NodeRole, VirtualIp};
use crate::endpoints::{Class, Client, Rule, endpoints};
use crate::plan::{BALANCERS, NodePlan, Plan};
use crate::source::Path;

impl Lint<'_> {
    /// Advertised, listening and certified agree.
    pub(super) fn serving(&mut self, plan: &Plan) {
        let clients = endpoints(self.cluster);
        self.certificates(&clients, plan);
        let serving = Serving::of(self.cluster, plan);
        let mut silent: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
        for client in clients.iter().filter(|client| client.class != Class::Etcd) {
            for target in serving.behind(client) {
                if let Some(node) = serving.silent(&target, client.node.as_deref()) {
                    let nodes = silent.entry((side_of(client.class), target.to_string())).or_default();
                    if !nodes.contains(&node) {
                        nodes.push(node);
                    }
                }
            }
        }
        for endpoint in serving.pool_endpoints() {
            if let Some(node) = serving.silent(&endpoint, None) {
                silent.entry(("internal", endpoint.to_string())).or_insert_with(|| vec![node]);
            }
        }
        for ((name, target), nodes) in silent {
            let message =
                format!("clients are told to use {target}, where nothing on {} answers", named(&nodes));
            let remedy = "give the side the API servers' port, spec.apiServer.bindAddress a wildcard, or the virtual IP \
                          `balance: true`";
            self.add(Code::ADVERTISED_NOT_SERVED, &side(name), message, remedy);
        }
    }

    fn certificates(&mut self, clients: &[Client], plan: &Plan) {
        let mut missing: BTreeSet<(bool, String)> = BTreeSet::new();
        for client in clients {
            let is_etcd = client.class == Class::Etcd;
            let sans = if is_etcd { &plan.sans.etcd } else { &plan.sans.apiserver };
            for host in client.targets.iter().map(|target| target.host.to_string()) {
                if !sans.contains(&host) {
                    missing.insert((is_etcd, host));
                }
            }
        }
        for (is_etcd, host) in missing {
            let whose = if is_etcd { "etcd" } else { "API server" };
            let message =
                format!("clients are told to use {host}, which the {whose} certificates do not name");
            let remedy = "add it to the certificates' subject alternative names";
            let path: Path = if is_etcd { spec().key("etcd") } else { spec().key("certificates") };
            self.add(Code::SAN_MISSING, &path, message, remedy);
        }
    }
}

fn side_of(class: Class) -> &'static str {
    match class {
        Class::ControlPlane | Class::Node | Class::Pod | Class::Etcd => "internal",
        Class::External => "external",
    }
}

/// Who answers where.
struct Serving<'a> {
    cluster: &'a Cluster,
    plan: &'a Plan,
    /// Nodes by every address that leads to them.
    owners: BTreeMap<IpAddr, &'a Node>,
    nodes: BTreeMap<&'a str, &'a Node>,
}

impl<'a> Serving<'a> {
    fn of(cluster: &'a Cluster, plan: &'a Plan) -> Self {
        let addresses = |node: &'a Node| {
            let own = node.addresses.iter().copied().chain(node.access_address).chain(node.public_address);
            own.map(move |address| (address, node))
        };
        let owners = cluster.nodes().iter().flat_map(addresses).collect();
        let nodes = cluster.nodes().iter().map(|node| (node.name.as_str(), node)).collect();
        Self { cluster, plan, owners, nodes }
    }

    /// The addresses a client ends at: names of ours lead to them.
    fn behind(&self, client: &Client) -> Vec<Front> {
        let port = client.targets.first().map(|front| front.port);
        let front = |address| port.map(|port| Front { host: Host::Address(address), port });
        let outside = |node: &Node| {
            if client.class == Class::External { node.outside_address() } else { node.access_address }
        };
        match client.rule {
            Rule::LoadBalancerName => {
                let balancers = self.cluster.with_role(NodeRole::LoadBalancer);
                balancers.filter_map(outside).filter_map(front).collect()
            }
            Rule::DirectName => {
                let first = self.cluster.with_role(NodeRole::ControlPlane).find_map(outside);
                first.into_iter().filter_map(front).collect()
            }
            Rule::VirtualIpName => {
                let access = match client.class {
                    Class::External => self.cluster.external(),
                    Class::ControlPlane | Class::Node | Class::Pod | Class::Etcd => self.cluster.internal(),
                };
                let chosen = match &access.mode {
                    Mode::VirtualIp(chosen) => chosen.as_slice(),
                    Mode::NodeLocal | Mode::LoadBalancer | Mode::External(_) | Mode::Direct => &[],
                };
                let vips = chosen.iter().filter_map(|index| self.cluster.virtual_ips().get(*index));
                vips.flat_map(VirtualIp::client_addresses).filter_map(front).collect()
            }
            // What others have set up is for them to know.
            Rule::External | Rule::ExternalName => Vec::new(),
            Rule::OwnApiServer
            | Rule::NodeLocal
            | Rule::LoadBalancer
            | Rule::VirtualIp
            | Rule::Direct
            | Rule::EtcdAccessAddresses
            | Rule::EtcdMultiaccess
            | Rule::EtcdGateway
            | Rule::EtcdOwnMember
            | Rule::EtcdMembers => client.targets.clone(),
        }
    }

    /// Every address that a pool for the API servers connects to.
    fn pool_endpoints(&self) -> Vec<Front> {
        let nodes = self.plan.nodes.values();
        let balancers = nodes.filter_map(|node| node.pools.get(BALANCERS)).take(1).flat_map(|pool| {
            let port = self.cluster.internal().port;
            pool.endpoints.iter().map(move |endpoint| Front { host: Host::Address(endpoint.address), port })
        });
        let port = self.cluster.api_server().port;
        let api_servers =
            self.cluster.with_role(NodeRole::ControlPlane).filter_map(|node| node.access_address);
        let is_used = self.plan.nodes.values().any(|node| !node.pools.is_empty());
        let api_servers = api_servers.filter(|_| is_used);
        balancers.chain(api_servers.map(|address| Front { host: Host::Address(address), port })).collect()
    }

    /// A node on which nothing answers at `target`, though it should. `from` is the client's own node.
    fn silent(&self, target: &Front, from: Option<&str>) -> Option<&'a str> {
        let Host::Address(address) = &target.host else { return self.silent_local(target, from) };
        if address.is_loopback() && !self.owners.contains_key(address) {
            return self.silent_local(target, from);
        }
        let vip = self.cluster.virtual_ips().iter().find(|vip| vip.addresses.contains(address));
        if let Some(vip) = vip {
            let holders = vip.on.iter().filter_map(|name| self.nodes.get(name.as_str()).copied());
            return holders
                .into_iter()
                .find(|node| !self.answers(node, *address, target))
                .map(|node| &*node.name);
        }
        let owner = *self.owners.get(address)?;
        (!self.answers(owner, *address, target)).then_some(owner.name.as_str())
    }

    /// At localhost: on the client's node, or on every one.
    fn silent_local(&self, target: &Front, from: Option<&str>) -> Option<&'a str> {
        let is_silent = |node: &&'a Node| !self.answers_locally(node, target);
        let found = match from {
            Some(name) => self.nodes.get(name).copied().filter(is_silent),
            None => self.cluster.nodes().iter().find(is_silent),
        };
        found.map(|node| node.name.as_str())
    }

    fn answers_locally(&self, node: &Node, target: &Front) -> bool {
        let bind = self.cluster.bind_address(node);
        let listens = self.plan.nodes.get(&node.name).is_some_and(|plan| {
            plan.listeners.iter().any(|l| l.address.is_loopback() && l.port == target.port.get())
        });
        listens || self.runs_api_server(node, target) && (bind.is_unspecified() || bind.is_loopback())
    }

    fn answers(&self, node: &Node, address: IpAddr, target: &Front) -> bool {
        let nothing = NodePlan::default();
        let plan = self.plan.nodes.get(&node.name).unwrap_or(&nothing);
        let port = target.port.get();
        if plan.listener(address, port).is_some() {
            return true;
        }
        let bind = self.cluster.bind_address(node);
        // An address that is not among the node's own is translated to one that is.
        let is_translated = !node.addresses.is_empty() && !node.addresses.contains(&address);
        let is_virtual = self.cluster.virtual_ips().iter().any(|vip| vip.addresses.contains(&address));
        let is_translated = is_translated && !is_virtual;
        let by_listener = is_translated
            && plan.listeners.iter().any(|l| l.port == port && node.addresses.contains(&l.address));
        let is_bound = bind.is_unspecified() || bind == address || is_translated && !bind.is_loopback();
        by_listener || self.runs_api_server(node, target) && is_bound
    }

    fn runs_api_server(&self, node: &Node, target: &Front) -> bool {
        node.roles.contains(&NodeRole::ControlPlane) && self.cluster.api_server().port == target.port
    }
}
