//! The machines.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use super::{Checker, text};
use crate::cluster::{Node, NodeRole};
use crate::description as raw;
use crate::source::Path;

/// Control planes, or balancers, in one cluster. Every node knows all of them, so this bounds the size of a plan; etcd
/// works with 7 members at most, and one balancer carries tens of thousands of connections.
const ENDPOINTS_LIMIT: usize = 128;

impl Checker<'_, '_> {
    pub(super) fn nodes(&mut self, at: &Path, given: Vec<raw::Node>) -> Vec<Node> {
        let mut names = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        let mut public = BTreeMap::new();
        let mut nodes = Vec::with_capacity(given.len());
        for (index, given) in given.into_iter().enumerate() {
            let at = at.index(index);
            let node = self.node(&at, &given);
            self.refuse_same_public_address(&at, &node, index, &nodes, &mut public);
            if !node.name.is_empty() {
                self.refuse_same_name(&at, &node, index, &mut names);
            }
            self.refuse_same_address(&at, &node, index, &nodes, &mut addresses);
            nodes.push(node);
        }
        if self.knows_roles() {
            self.check_roles(at, &nodes);
        }
        nodes
    }

    fn node(&mut self, at: &Path, given: &raw::Node) -> Node {
        let name = self.name(&at.key("name"), given.name.clone()).unwrap_or_default();
        let roles = match &given.roles {
            None => BTreeSet::from([NodeRole::Worker]),
            Some(roles) => roles.iter().map(|role| NodeRole::from(*role)).collect(),
        };
        if roles.is_empty() && self.knows(&at.key("roles")) {
            self.problem(
                &at.key("roles"),
                "the node is there for nothing",
                "give it a role, or remove the line: worker",
            );
        }
        let addresses = self.list(&at.key("addresses"), &given.addresses, text::unicast_address);
        let one = |checker: &mut Self, field: &str, given: &Option<String>| {
            given.as_ref().and_then(|given| checker.address(&at.key(field), given))
        };
        let access_address = one(self, "accessAddress", &given.access_address).or(addresses.first().copied());
        let public_address = one(self, "publicAddress", &given.public_address);
        if self.knows_fields(at, &["roles", "addresses", "accessAddress"]) {
            self.require_addresses(at, given, &roles);
        }
        Node { name, roles, addresses, access_address, public_address }
    }

    /// Where somebody connects to, there has to be an address.
    fn require_addresses(&mut self, at: &Path, given: &raw::Node, roles: &BTreeSet<NodeRole>) {
        let connected =
            [NodeRole::ControlPlane, NodeRole::Etcd].into_iter().find(|role| roles.contains(role));
        if given.addresses.is_empty() && roles.contains(&NodeRole::LoadBalancer) {
            let remedy = "give the node `addresses:`, on each of which it will listen";
            self.problem(&at.key("addresses"), "a load-balancer without an address to listen on", remedy);
        } else if let Some(role) = connected
            && given.addresses.is_empty()
            && given.access_address.is_none()
        {
            let message =
                format!("others connect to a node with the role {}, but it has no address", role.as_str());
            self.problem(&at.key("addresses"), message, "give the node `addresses:`");
        }
    }

    fn refuse_same_name(
        &mut self,
        at: &Path,
        node: &Node,
        index: usize,
        names: &mut BTreeMap<String, usize>,
    ) {
        if let Some(first) = names.insert(node.name.clone(), index) {
            names.insert(node.name.clone(), first);
            let line = self.line(&Path::root().key("spec").key("nodes").index(first).key("name"));
            let message = format!("another node{line} is named {}", node.name);
            self.problem(&at.key("name"), message, "give every node its own name");
        }
    }

    fn refuse_same_address(
        &mut self,
        at: &Path,
        node: &Node,
        index: usize,
        nodes: &[Node],
        seen: &mut BTreeMap<IpAddr, usize>,
    ) {
        let listed = node.addresses.iter().copied().enumerate();
        let own =
            listed.map(|(i, address)| (Some(i), address)).chain(node.access_address.map(|ip| (None, ip)));
        for (position, address) in own {
            let first = *seen.entry(address).or_insert(index);
            // The access address is usually one of the addresses, and then said already.
            if first == index || (position.is_none() && node.addresses.contains(&address)) {
                continue;
            }
            let path = match position {
                Some(position) => at.key("addresses").index(position),
                None => at.key("accessAddress"),
            };
            let other = nodes.get(first).map(|node| node.name.as_str()).unwrap_or_default();
            let line = self.line(&Path::root().key("spec").key("nodes").index(first));
            let message = format!("{address} is an address of node {other}{line} already");
            self.problem(&path, message, "give every node its own addresses");
        }
    }

    fn refuse_same_public_address(
        &mut self,
        at: &Path,
        node: &Node,
        index: usize,
        nodes: &[Node],
        seen: &mut BTreeMap<IpAddr, usize>,
    ) {
        let Some(address) = node.public_address else { return };
        let first = *seen.entry(address).or_insert(index);
        if first != index {
            let other = nodes.get(first).map(|node| node.name.as_str()).unwrap_or_default();
            let line = self.line(&Path::root().key("spec").key("nodes").index(first));
            let message = format!("{address} is the public address of node {other}{line} already");
            let remedy = "give every node its own; for an address that leads to several, use mode external";
            self.problem(&at.key("publicAddress"), message, remedy);
        }
    }

    fn check_roles(&mut self, at: &Path, nodes: &[Node]) {
        let count = |role| nodes.iter().filter(|node| node.roles.contains(&role)).count();
        if count(NodeRole::ControlPlane) == 0 {
            let remedy = "give the nodes that run an API server `roles: [control-plane]`";
            self.problem(at, "no node has the role control-plane", remedy);
        }
        for role in [NodeRole::ControlPlane, NodeRole::LoadBalancer] {
            let count = count(role);
            if count > ENDPOINTS_LIMIT {
                let message = format!("{count} nodes have the role {}", role.as_str());
                self.problem(at, message, format!("at most {ENDPOINTS_LIMIT} are possible"));
            }
        }
    }
}

impl From<raw::Role> for NodeRole {
    fn from(role: raw::Role) -> Self {
        match role {
            raw::Role::ControlPlane => Self::ControlPlane,
            raw::Role::Etcd => Self::Etcd,
            raw::Role::Worker => Self::Worker,
            raw::Role::LoadBalancer => Self::LoadBalancer,
        }
    }
}
