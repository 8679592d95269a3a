//! Listeners that cannot be opened because something else on the node has the port.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::codes::Code;
use super::{Lint, named, spec};
use crate::cluster::{AdminListen, Cluster, Mode, Node, NodeRole, VirtualIp};
use crate::plan::{INGRESS, Listener, NodePlan, Plan};
use crate::planner::carries_ingress;
use crate::problem::Problem;
use crate::source::Path;

/// The nodes on which each of these has a port that a listener needs.
#[derive(Default)]
struct Clashes<'a> {
    api_server: Vec<&'a str>,
    etcd: Vec<&'a str>,
    admin: Vec<&'a str>,
    /// On a virtual IP alone, which can be told apart from the machine's own addresses.
    shared: Vec<&'a str>,
}

const SHARED_PORT_REMEDY: &str = "give the side another `port:`, or set spec.apiServer.bindAddress to a single address of the \
     node; or say `balance: false`, and the holder's own API server answers";

fn shared_port(cluster: &Cluster, nodes: &[&str]) -> String {
    let port = cluster.api_server().port;
    let servers = named(nodes);
    format!(
        "the API servers of {servers} have port {port} on all addresses, also on the virtual IP that is to be balanced"
    )
}

/// What `run` on `node` would find taken: a virtual IP's port that the node's own API server has on all addresses.
pub fn ports_in_use(cluster: &Cluster, plan: &Plan, node: &str) -> Vec<Problem> {
    let clashes = Clashes::of(cluster, plan);
    let own = clashes.shared.iter().filter(|name| **name == node);
    let problem = |name: &&str| {
        let message = shared_port(cluster, &[*name]);
        cluster.source.problem(&spec().key("access"), message, SHARED_PORT_REMEDY.to_owned())
    };
    own.map(problem).collect()
}

impl Lint<'_> {
    pub(super) fn ports(&mut self, plan: &Plan) {
        let cluster = self.cluster;
        let api_server = cluster.api_server();
        let access = spec().key("access");
        let clashes = Clashes::of(cluster, plan);
        for (nodes, other, path, remedy) in [
            (
                &clashes.api_server,
                format!("the API server (port {} of {})", api_server.port, api_server.bind_address),
                &access,
                "give the side in mode load-balancer another `port:`, keep balancers off the control planes, or set \
                 spec.apiServer.bindAddress to a single address",
            ),
            (
                &clashes.etcd,
                format!("etcd (port {})", cluster.etcd().client_port),
                &access,
                "give the access another `port:`",
            ),
            (
                &clashes.admin,
                format!("the admin listener {}", cluster.admin()),
                &spec().key("admin").key("listen"),
                "give one of the two another port",
            ),
        ] {
            if !nodes.is_empty() {
                let message = format!("a listener on {} needs a port that {other} has", named(nodes));
                self.add(Code::PORT_CLASH, path, message, remedy);
            }
        }
        if !clashes.shared.is_empty() {
            let message = shared_port(cluster, &clashes.shared);
            self.add(Code::API_PORT_SHARED, &access, message, SHARED_PORT_REMEDY);
        }
        self.ingress_ports(plan);
    }

    /// Ports of ingress that access, or the workers themselves, have already.
    fn ingress_ports(&mut self, plan: &Plan) {
        for (index, ingress) in self.cluster.ingress().iter().enumerate() {
            let at = spec().key("ingress").index(index).key("port");
            let pool = format!("{INGRESS}{}", ingress.name);
            let is_own = |listener: &&Listener| listener.port == ingress.port.get();
            let has_other =
                |node: &NodePlan| node.listeners.iter().filter(is_own).any(|listener| listener.pool != pool);
            let clashing = plan.nodes.iter().filter(|(name, node)| has_other(node) && self.is_carrying(name));
            let others: Vec<&str> = clashing.map(|(name, _)| name.as_str()).collect();
            if !others.is_empty() {
                let message =
                    format!("port {} on {} is needed for something else", ingress.port, named(&others));
                self.add(Code::PORT_CLASH, &at, message, "give the ingress another port");
            }
            self.workers_own_port(&at, plan, &pool, ingress.port == ingress.target_port);
        }
    }

    /// Whether the node takes connections for the workers.
    fn is_carrying(&self, name: &str) -> bool {
        let cluster = self.cluster;
        let mut balancers = cluster.with_role(NodeRole::LoadBalancer);
        let holds = |vip: &VirtualIp| vip.on.iter().any(|holder| holder == name);
        balancers.any(|node| node.name == name)
            || cluster.virtual_ips().iter().any(|vip| holds(vip) && carries_ingress(cluster, vip))
    }

    fn workers_own_port(&mut self, at: &Path, plan: &Plan, pool: &str, is_same: bool) {
        let listens = |node: &&Node| {
            let plan = plan.nodes.get(&node.name);
            plan.is_some_and(|plan| plan.listeners.iter().any(|listener| listener.pool == pool))
        };
        let workers = self.cluster.with_role(NodeRole::Worker).filter(listens);
        let both: Vec<&str> = workers.map(|node| node.name.as_str()).collect();
        if is_same && !both.is_empty() {
            let message = format!("on {}, the worker's own service has the port too", named(&both));
            let remedy = "give the workers another `targetPort:`, or put the virtual IP on balancers";
            self.add(Code::PORT_CLASH, at, message, remedy);
        }
    }
}

impl<'a> Clashes<'a> {
    fn of(cluster: &'a Cluster, plan: &Plan) -> Self {
        let api_port = cluster.api_server().port.get();
        let etcd_port = cluster.etcd().client_port.get();
        let virtual_addresses: BTreeSet<IpAddr> =
            cluster.virtual_ips().iter().flat_map(VirtualIp::client_addresses).collect();
        let mut clashes = Self::default();
        for node in cluster.nodes() {
            let Some(plan) = plan.nodes.get(&node.name) else { continue };
            let name = node.name.as_str();
            let any = |is_taken: &dyn Fn(&Listener) -> bool| plan.listeners.iter().any(is_taken);
            let has = |role| node.roles.contains(&role);
            if has(NodeRole::ControlPlane) {
                let bind = cluster.bind_address(node);
                let covers = |address: IpAddr| bind.is_unspecified() || bind == address;
                let is_taken = |l: &Listener| l.port == api_port && covers(l.address);
                let is_virtual = |l: &Listener| virtual_addresses.contains(&l.address);
                if any(&|l| is_taken(l) && !is_virtual(l)) {
                    clashes.api_server.push(name);
                }
                if any(&|l| is_taken(l) && is_virtual(l)) {
                    clashes.shared.push(name);
                }
            }
            if has(NodeRole::Etcd) && any(&|l| l.port == etcd_port) {
                clashes.etcd.push(name);
            }
            if let AdminListen::Tcp(admin) = cluster.admin()
                && any(&|l| (l.address, l.port) == (admin.ip(), admin.port()))
            {
                clashes.admin.push(name);
            }
        }
        clashes.gateway(cluster);
        clashes
    }

    /// The gateway's port and that of a local listener are the same address and port: the planner has left one out.
    fn gateway(&mut self, cluster: &'a Cluster) {
        let access = cluster.internal();
        let is_local = matches!(access.mode, Mode::NodeLocal | Mode::LoadBalancer);
        if cluster.etcd().gateway && is_local && access.port == cluster.etcd().client_port {
            let others = cluster.nodes().iter().map(|node| node.name.as_str());
            let others: Vec<&str> = others.filter(|name| !self.etcd.contains(name)).collect();
            self.etcd.extend(others);
        }
    }
}
