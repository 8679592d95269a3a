//! Which URL each client is to use, the rule that chose it, and the rules that lost.
//!
//! The rules of a class are asked in a fixed order; the first that applies wins. What a rule would have said is kept, so
//! that nobody has to guess why an address is not used.

use core::num::NonZeroU16;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cluster::{Cluster, Front, Host, Node, NodeRole};
use crate::planner::is_served_by_own_api_server;

mod etcd;
mod side;

use side::{Side, Spread};

/// Who connects.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// kubelet, scheduler and controllers on a control-plane node.
    ControlPlane,
    /// kubelet and kube-proxy on every other node.
    Node,
    /// Whatever asks for one host and port for all nodes, such as a CNI.
    Pod,
    /// kubectl and other outsiders.
    External,
    /// Clients of etcd: the API servers, and with a gateway whatever else is on a node.
    Etcd,
}

/// By which rule an endpoint is chosen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The API server on the same node.
    OwnApiServer,
    /// The listener on the node's loopback addresses, which leads to all API servers.
    NodeLocal,
    /// A balancer; on nodes the listener on the loopback addresses, which leads to all balancers.
    LoadBalancer,
    /// A name that leads to the balancers.
    LoadBalancerName,
    /// A virtual IP.
    VirtualIp,
    /// A name that leads to the virtual IPs.
    VirtualIpName,
    /// Somebody else's balancer.
    External,
    /// A name that leads to somebody else's balancer.
    ExternalName,
    /// The first control plane's API server.
    Direct,
    /// A name that leads to the first control plane.
    DirectName,
    /// What is before the etcd members: `etcd.accessAddresses`.
    EtcdAccessAddresses,
    /// All etcd members: `etcd.multiaccess`.
    EtcdMultiaccess,
    /// The listener on the node's loopback addresses, which leads to all members: `etcd.gateway`.
    EtcdGateway,
    /// The etcd member on the same node.
    EtcdOwnMember,
    /// All etcd members, for want of anything nearer.
    EtcdMembers,
}

/// A client and its endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// Who connects.
    pub class: Class,
    /// From where; `null` when it is the same from everywhere.
    pub node: Option<String>,
    /// What to configure. Several URLs for one client have commas between them.
    pub url: String,
    /// Which rule chose it.
    pub rule: Rule,
    /// The other rules, in the order in which they are asked.
    pub lost: Vec<Loser>,
    /// The same as `url`, in parts.
    #[serde(skip)]
    pub(crate) targets: Vec<Front>,
}

/// A rule that did not choose.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Loser {
    /// Which rule.
    pub rule: Rule,
    /// What it would have chosen; `null` when it has nothing to choose.
    pub url: Option<String>,
    /// Why it did not.
    pub why: String,
}

/// Every client's endpoint: control planes, nodes, pods, outsiders, etcd's clients. A client outside that may use several
/// endpoints is listed once for each.
pub fn endpoints(cluster: &Cluster) -> Vec<Client> {
    let internal = Side::internal(cluster);
    let external = Side::external(cluster);
    let spread = Spread::over(cluster, &internal);
    let is_control_plane = |node: &&Node| node.roles.contains(&NodeRole::ControlPlane);
    let mut clients = Vec::new();
    for node in cluster.with_role(NodeRole::ControlPlane) {
        let mut candidates = vec![own_api_server(cluster, node, &internal)];
        candidates.extend(internal.candidates(Some((node, &spread))));
        clients.extend(decide(Class::ControlPlane, Some(node), candidates));
    }
    for node in cluster.nodes().iter().filter(|node| !is_control_plane(node)) {
        clients.extend(decide(Class::Node, Some(node), internal.candidates(Some((node, &spread)))));
    }
    clients.extend(decide(Class::Pod, None, internal.candidates(None)));
    clients.extend(decide_all(Class::External, external.candidates(None)));
    clients.extend(etcd::clients(cluster));
    clients
}

/// What a rule has to say to a client.
struct Candidate {
    rule: Rule,
    /// None when there is nothing to choose.
    targets: Vec<Front>,
    /// Whether the rule is about this client.
    applies: bool,
    /// Why not, if it does not apply.
    why: String,
}

impl Candidate {
    /// What speaks for the rule against those behind it.
    fn claim(&self) -> &'static str {
        match self.rule {
            Rule::OwnApiServer => "components of a control-plane node use the API server beside them",
            Rule::NodeLocal => "the node's own listener needs neither the network nor a name",
            Rule::LoadBalancer => "the node's own listener leads to all balancers",
            Rule::LoadBalancerName | Rule::VirtualIpName | Rule::ExternalName | Rule::DirectName => {
                "a name is given, and stays when an address changes"
            }
            Rule::VirtualIp | Rule::External | Rule::Direct => "it comes first",
            Rule::EtcdAccessAddresses => "etcd.accessAddresses says so",
            Rule::EtcdMultiaccess => "etcd.multiaccess is set",
            Rule::EtcdGateway => "etcd.gateway is set, and leads to all members",
            Rule::EtcdOwnMember => "the node has a member of its own",
            Rule::EtcdMembers => "it comes first",
        }
    }
}

fn own_api_server(cluster: &Cluster, node: &Node, internal: &Side<'_>) -> Candidate {
    let api_server = cluster.api_server();
    let bind = cluster.bind_address(node);
    let host = if bind.is_unspecified() { crate::planner::LOOPBACK_V4 } else { bind };
    let has_listener =
        internal.has_local_listener() && !is_served_by_own_api_server(cluster, node, internal.port());
    Candidate {
        rule: Rule::OwnApiServer,
        targets: vec![Front { host: Host::Address(host), port: api_server.port }],
        applies: !has_listener,
        why: "it is one server; the node's own listener leads to all of them".to_owned(),
    }
}

fn localhost(port: NonZeroU16) -> Front {
    Front { host: Host::Name("localhost".to_owned()), port }
}

/// The first candidate that applies, for a client that can use one endpoint.
fn decide(class: Class, node: Option<&Node>, candidates: Vec<Candidate>) -> Option<Client> {
    let winner = candidates.iter().position(|candidate| candidate.applies)?;
    let chosen = candidates.get(winner)?;
    let targets: Vec<Front> = chosen.targets.iter().take(1).cloned().collect();
    let lost = candidates
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != winner)
        .map(|(_, candidate)| candidate.lose(chosen, candidate.targets.first()))
        .collect();
    Some(client(class, node, chosen.rule, targets, lost))
}

/// The first candidate that applies, once for each of its endpoints.
fn decide_all(class: Class, candidates: Vec<Candidate>) -> Vec<Client> {
    let Some(chosen) = candidates.iter().find(|candidate| candidate.applies) else { return Vec::new() };
    let lose = |candidate: &Candidate| match candidate.targets.as_slice() {
        [] => vec![candidate.lose(chosen, None)],
        targets => targets.iter().map(|target| candidate.lose(chosen, Some(target))).collect(),
    };
    let others = candidates.iter().filter(|candidate| !core::ptr::eq(*candidate, chosen));
    let lost: Vec<Loser> = others.flat_map(lose).collect();
    let each = |target: &Front| client(class, None, chosen.rule, vec![target.clone()], lost.clone());
    chosen.targets.iter().map(each).collect()
}

impl Candidate {
    fn lose(&self, winner: &Self, target: Option<&Front>) -> Loser {
        let why = if self.applies { winner.claim().to_owned() } else { self.why.clone() };
        Loser { rule: self.rule, url: target.map(url), why }
    }
}

fn client(class: Class, node: Option<&Node>, rule: Rule, targets: Vec<Front>, lost: Vec<Loser>) -> Client {
    let urls: Vec<String> = targets.iter().map(url).collect();
    Client { class, node: node.map(|node| node.name.clone()), url: urls.join(","), rule, lost, targets }
}

fn url(target: &Front) -> String {
    format!("https://{target}")
}

impl Class {
    /// As printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Node => "node",
            Self::Pod => "pod",
            Self::External => "external",
            Self::Etcd => "etcd",
        }
    }
}

impl Rule {
    /// As printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OwnApiServer => "own-api-server",
            Self::NodeLocal => "node-local",
            Self::LoadBalancer => "load-balancer",
            Self::LoadBalancerName => "load-balancer-name",
            Self::VirtualIp => "virtual-ip",
            Self::VirtualIpName => "virtual-ip-name",
            Self::External => "external",
            Self::ExternalName => "external-name",
            Self::Direct => "direct",
            Self::DirectName => "direct-name",
            Self::EtcdAccessAddresses => "etcd-access-addresses",
            Self::EtcdMultiaccess => "etcd-multiaccess",
            Self::EtcdGateway => "etcd-gateway",
            Self::EtcdOwnMember => "etcd-own-member",
            Self::EtcdMembers => "etcd-members",
        }
    }
}
