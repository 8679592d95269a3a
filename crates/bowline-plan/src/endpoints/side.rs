//! What each mode of a side offers to its clients.

use core::num::NonZeroU16;
use std::collections::{BTreeMap, BTreeSet};

use super::{Candidate, Rule, localhost};
use crate::cluster::{Access, Cluster, Front, Host, Mode, Node, NodeRole, VirtualIp};
use crate::planner::{is_served_by_own_api_server, spread};

/// One side's way to the API servers.
pub(super) struct Side<'a> {
    cluster: &'a Cluster,
    access: &'a Access,
    is_internal: bool,
    /// Every balancer's address on this side.
    balancers: Vec<Front>,
    /// The first control plane's, if it has one.
    first_control_plane: Vec<Front>,
    /// The virtual IPs to choose among, or all where the mode is another; each with those of its group.
    virtual_ips: Vec<Vec<Front>>,
}

/// Which of several equal endpoints each node begins with.
pub(super) struct Spread<'a>(BTreeMap<&'a str, usize>);

impl<'a> Spread<'a> {
    /// Nodes shared out evenly over the endpoints of `side`.
    pub(super) fn over(cluster: &'a Cluster, side: &Side<'_>) -> Self {
        let options = side.choices().len();
        if options < 2 {
            return Self(BTreeMap::new());
        }
        // Control planes use their own API servers.
        let is_client = |node: &&Node| !node.roles.contains(&NodeRole::ControlPlane);
        let nodes: Vec<&str> =
            cluster.nodes().iter().filter(is_client).map(|node| node.name.as_str()).collect();
        let firsts = spread(&nodes, options);
        Self(nodes.into_iter().zip(firsts).collect())
    }
}

/// A client's node, with what it begins with.
type From<'a> = Option<(&'a Node, &'a Spread<'a>)>;

impl<'a> Side<'a> {
    pub(super) fn internal(cluster: &'a Cluster) -> Self {
        Self::of(cluster, cluster.internal(), true)
    }

    pub(super) fn external(cluster: &'a Cluster) -> Self {
        Self::of(cluster, cluster.external(), false)
    }

    fn of(cluster: &'a Cluster, access: &'a Access, is_internal: bool) -> Self {
        let address = |node: &Node| if is_internal { node.access_address } else { node.outside_address() };
        let front = |address, port| Front { host: Host::Address(address), port };
        let balancers = cluster.with_role(NodeRole::LoadBalancer).filter_map(address);
        let first = cluster.with_role(NodeRole::ControlPlane).find_map(address);
        let all: Vec<usize> = (0..cluster.virtual_ips().len()).collect();
        let chosen = match &access.mode {
            Mode::VirtualIp(chosen) => chosen,
            Mode::NodeLocal | Mode::LoadBalancer | Mode::External(_) | Mode::Direct => &all,
        };
        Self {
            cluster,
            access,
            is_internal,
            balancers: balancers.map(|address| front(address, access.port)).collect(),
            first_control_plane: first.map(|ip| front(ip, cluster.api_server().port)).into_iter().collect(),
            virtual_ips: groups(cluster, chosen, access.port),
        }
    }

    pub(super) fn port(&self) -> NonZeroU16 {
        self.access.port
    }

    /// Whether nodes have a listener of their own, unless their API server has the port.
    pub(super) fn has_local_listener(&self) -> bool {
        match self.access.mode {
            Mode::NodeLocal => true,
            Mode::LoadBalancer => self.is_internal,
            Mode::VirtualIp(_) | Mode::External(_) | Mode::Direct => false,
        }
    }

    /// What every mode has to say, in the order in which they are asked.
    pub(super) fn candidates(&self, from: From<'_>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        self.node_local(from, &mut candidates);
        self.load_balancer(from, &mut candidates);
        let vips = pick(&self.virtual_ips, from);
        let why = if vips.is_empty() { "no virtual IP is described".to_owned() } else { self.other_mode() };
        let is_vip = matches!(self.access.mode, Mode::VirtualIp(_));
        self.named(Rule::VirtualIpName, Rule::VirtualIp, vips, is_vip, why, &mut candidates);
        let fronts = self.fronts(from);
        let is_external = matches!(self.access.mode, Mode::External(_));
        let why = self.other_mode();
        self.named(Rule::ExternalName, Rule::External, fronts, is_external, why, &mut candidates);
        let first = self.first_control_plane.clone();
        let is_direct = matches!(self.access.mode, Mode::Direct);
        let why = self.other_mode();
        self.named(Rule::DirectName, Rule::Direct, first, is_direct, why, &mut candidates);
        candidates
    }

    fn node_local(&self, from: From<'_>, candidates: &mut Vec<Candidate>) {
        let is_mode = matches!(self.access.mode, Mode::NodeLocal);
        let is_taken = self.is_taken(from);
        candidates.push(Candidate {
            rule: Rule::NodeLocal,
            targets: vec![localhost(self.port())],
            applies: is_mode && !is_taken,
            why: if is_mode { self.taken() } else { self.other_mode() },
        });
    }

    fn load_balancer(&self, from: From<'_>, candidates: &mut Vec<Candidate>) {
        let is_mode = matches!(self.access.mode, Mode::LoadBalancer);
        let balancers = &self.balancers;
        let why = if balancers.is_empty() {
            "no node has the role load-balancer".to_owned()
        } else {
            self.other_mode()
        };
        if self.is_internal {
            let is_taken = self.is_taken(from);
            candidates.push(Candidate {
                rule: Rule::LoadBalancer,
                targets: if balancers.is_empty() { Vec::new() } else { vec![localhost(self.port())] },
                applies: is_mode && !is_taken,
                why: if is_mode { self.taken() } else { why },
            });
            return;
        }
        let rest = balancers.get(1..).unwrap_or_default().to_vec();
        let first = balancers.iter().take(1).cloned().collect();
        let is_named = !self.access.names.is_empty();
        self.named(Rule::LoadBalancerName, Rule::LoadBalancer, first, is_mode, why, candidates);
        if is_mode && !rest.is_empty() {
            let why = if is_named {
                "a name is given"
            } else {
                "without a name, one balancer is all a client knows"
            };
            candidates.push(Candidate {
                rule: Rule::LoadBalancer,
                targets: rest,
                applies: false,
                why: why.to_owned(),
            });
        }
    }

    /// A mode's names, if it is the side's and has some, and its addresses.
    fn named(
        &self,
        by_name: Rule,
        by_address: Rule,
        targets: Vec<Front>,
        is_mode: bool,
        why: String,
        candidates: &mut Vec<Candidate>,
    ) {
        let port = self.name_port();
        if is_mode && !self.access.names.is_empty() {
            let names = self.access.names.iter();
            let targets = names.map(|name| Front { host: Host::Name(name.clone()), port }).collect();
            candidates.push(Candidate { rule: by_name, targets, applies: true, why: String::new() });
        }
        candidates.push(Candidate { rule: by_address, targets, applies: is_mode, why });
    }

    /// The port behind a name: that of the side, or of its only kind of front.
    fn name_port(&self) -> NonZeroU16 {
        match &self.access.mode {
            Mode::External(fronts) => {
                let first = fronts.first().map_or(self.access.port, |front| front.port);
                if fronts.iter().all(|front| front.port == first) { first } else { self.access.port }
            }
            Mode::NodeLocal | Mode::LoadBalancer | Mode::VirtualIp(_) | Mode::Direct => self.access.port,
        }
    }

    fn is_taken(&self, from: From<'_>) -> bool {
        from.is_some_and(|(node, _)| is_served_by_own_api_server(self.cluster, node, self.port()))
    }

    fn taken(&self) -> String {
        format!("the node's API server has port {} itself", self.port())
    }

    fn other_mode(&self) -> String {
        let side = if self.is_internal { "internal" } else { "external" };
        let by_default = if self.access.mode_given { "" } else { " by default" };
        format!("access.{side}.mode is {}{by_default}", self.access.mode.as_str())
    }

    fn fronts(&self, from: From<'_>) -> Vec<Front> {
        match &self.access.mode {
            Mode::External(_) => pick(&self.choices(), from),
            Mode::NodeLocal | Mode::LoadBalancer | Mode::VirtualIp(_) | Mode::Direct => Vec::new(),
        }
    }

    /// What a client can choose among, each as what is equal but for the address family.
    fn choices(&self) -> Vec<Vec<Front>> {
        match &self.access.mode {
            Mode::VirtualIp(_) => self.virtual_ips.clone(),
            Mode::External(fronts) => fronts.iter().map(|front| vec![front.clone()]).collect(),
            Mode::NodeLocal | Mode::LoadBalancer | Mode::Direct => Vec::new(),
        }
    }
}

/// Virtual IPs of one group move together, so they are one choice.
fn groups(cluster: &Cluster, chosen: &[usize], port: NonZeroU16) -> Vec<Vec<Front>> {
    let vips: Vec<&VirtualIp> = chosen.iter().filter_map(|index| cluster.virtual_ips().get(*index)).collect();
    let front = |address| Front { host: Host::Address(address), port };
    let fronts = |vip: &&VirtualIp| vip.client_addresses().map(front).collect::<Vec<_>>();
    let mut seen = BTreeSet::new();
    let mut choices = Vec::new();
    for vip in &vips {
        match &vip.group {
            None => choices.push(fronts(vip)),
            Some(group) if seen.insert(group) => {
                let members = vips.iter().filter(|other| other.group.as_ref() == Some(group));
                choices.push(members.flat_map(fronts).collect());
            }
            Some(_) => {}
        }
    }
    choices
}

/// All choices, or the one a node begins with, in the node's family first.
fn pick(choices: &[Vec<Front>], from: From<'_>) -> Vec<Front> {
    let Some((node, spread)) = from else { return choices.iter().flatten().cloned().collect() };
    let first = spread.0.get(node.name.as_str()).copied().unwrap_or(0);
    let mut fronts = choices.get(first).cloned().unwrap_or_default();
    let fits = |front: &Front| match &front.host {
        Host::Address(address) => node.addresses.is_empty() || node.address_of_family(*address).is_some(),
        Host::Name(_) => true,
    };
    fronts.sort_by_key(|front| !fits(front));
    fronts
}
