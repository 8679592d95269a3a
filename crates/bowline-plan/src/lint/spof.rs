//! What each single failure costs whom, by the timers of the description.
//!
//! A failure is the worst of its kind: an API server or a balancer that dies, hangs, or whose machine or link is gone. The
//! machine's own clients are not counted then, for they are gone with it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cluster::{Access, Cluster, Mode, Node, NodeRole, VirtualIp};
use crate::failover::Detection;
use crate::plan::{BALANCERS, Plan};
use crate::planner::is_served_by_own_api_server;

mod table;

use table::{FOR_GOOD, Loss, Losses, Table};

/// What a single failure does to some classes of clients.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Spof {
    /// What fails.
    pub failure: String,
    /// Who notices: of `control-plane`, `node`, `pod`, `external`, `etcd`.
    pub clients: Vec<&'static str>,
    /// How many of them lose access.
    pub lost: Lost,
    /// The longest that one of them is without access, by the configured timers; `None` is until the failure is repaired.
    pub seconds: Option<f64>,
    /// Whether it is about somebody else's machines, which may be redundant for all that is known here.
    #[serde(skip)]
    pub(crate) is_unknown: bool,
}

/// How many clients of a class a failure touches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lost {
    /// Every one.
    All,
    /// Those that were using what failed.
    Some,
}

impl Spof {
    /// Whether all clients of a class are cut off until the failure is repaired. Somebody else's balancer is not counted:
    /// nothing is known of it.
    pub fn is_single_point(&self) -> bool {
        self.lost == Lost::All && self.seconds.is_none() && !self.is_unknown
    }
}

impl Lost {
    /// As printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Some => "some",
        }
    }
}

/// The clients of each side.
const INTERNAL: [&str; 2] = ["node", "pod"];
const EXTERNAL: [&str; 1] = ["external"];
const CONTROL_PLANE: &str = "control-plane";
const ETCD: &str = "etcd";

/// Etcd needs more than half of its members, so with this many it survives the loss of one.
const ETCD_MEMBERS_TO_LOSE_ONE: usize = 3;
/// Three missed adverts and less than one more of skew (RFC 9568 section 6.1).
const ADVERTS_TO_TAKEOVER: u32 = 4;

/// What each single failure costs: of an API server, a balancer, the holder of a virtual IP, a link between a balancer and
/// the API servers, an etcd member, a node that is several of these, and a balancer that is not ours. Failures that nobody
/// notices are left out.
pub fn spof(cluster: &Cluster, plan: &Plan) -> Vec<Spof> {
    let analysis = Analysis { cluster, plan };
    let mut table = Table::default();
    analysis.api_servers(&mut table);
    analysis.balancers(&mut table);
    analysis.holders(&mut table);
    analysis.links(&mut table);
    analysis.nodes(&mut table);
    analysis.external_balancers(&mut table);
    analysis.etcd_members(&mut table);
    table.into_rows()
}

struct Analysis<'a> {
    cluster: &'a Cluster,
    plan: &'a Plan,
}

impl<'a> Analysis<'a> {
    fn api_servers(&self, table: &mut Table) {
        for node in self.cluster.with_role(NodeRole::ControlPlane) {
            table.add(format!("API server of {}", node.name), self.api_server(node));
        }
    }

    fn balancers(&self, table: &mut Table) {
        for node in self.cluster.with_role(NodeRole::LoadBalancer) {
            table.add(format!("balancer {}", node.name), self.balancer(node));
        }
    }

    fn holders(&self, table: &mut Table) {
        for (index, vip) in self.cluster.virtual_ips().iter().enumerate() {
            table.add(format!("holder of virtual IP {}", vip.name), self.holder(index, vip));
        }
    }

    /// A balancer that works and reaches no API server.
    fn links(&self, table: &mut Table) {
        for node in self.cluster.nodes().iter().filter(|node| !node.roles.contains(&NodeRole::ControlPlane)) {
            let mut losses = Losses::default();
            if node.roles.contains(&NodeRole::LoadBalancer) {
                losses.extend(self.balancer_link(node));
            }
            for (index, vip) in self.held(node) {
                losses.extend(self.holder_link(index, vip, node));
            }
            table.add(format!("link {} - API servers", node.name), losses);
        }
    }

    /// Machines that are more than one of what is listed above.
    fn nodes(&self, table: &mut Table) {
        for node in self.cluster.nodes() {
            let mut parts = Vec::new();
            if node.roles.contains(&NodeRole::ControlPlane) {
                parts.push(self.api_server(node));
            }
            if node.roles.contains(&NodeRole::LoadBalancer) {
                parts.push(self.balancer(node));
            }
            parts.extend(self.held(node).map(|(index, vip)| self.holder(index, vip)));
            parts.retain(|part| !part.is_empty());
            if parts.len() > 1 {
                let mut losses = Losses::default();
                parts.into_iter().for_each(|part| losses.extend(part));
                table.add(format!("node {}", node.name), losses);
            }
        }
    }

    fn external_balancers(&self, table: &mut Table) {
        for (access, classes) in self.sides() {
            if let Mode::External(fronts) = &access.mode {
                let hosts: Vec<String> = fronts.iter().map(|front| front.host.to_string()).collect();
                let mut losses = Losses::default();
                losses.add(classes, FOR_GOOD);
                table.add_unknown(format!("external balancer {}", hosts.join(", ")), losses);
            }
        }
        let before: Vec<String> = self.cluster.etcd_balancers().map(|front| front.host.to_string()).collect();
        if !before.is_empty() {
            let mut losses = Losses::default();
            [[CONTROL_PLANE].as_slice(), &INTERNAL, &EXTERNAL]
                .into_iter()
                .for_each(|classes| losses.add(classes, FOR_GOOD));
            table.add_unknown(format!("etcd balancer {}", before.join(", ")), losses);
        }
    }

    fn etcd_members(&self, table: &mut Table) {
        let is_survived = self.cluster.with_role(NodeRole::Etcd).count() >= ETCD_MEMBERS_TO_LOSE_ONE;
        for node in self.cluster.with_role(NodeRole::Etcd) {
            let mut losses = Losses::default();
            if !is_survived {
                losses.add(&[CONTROL_PLANE], FOR_GOOD);
                losses.add(&INTERNAL, FOR_GOOD);
                losses.add(&EXTERNAL, FOR_GOOD);
            } else if self.cluster.etcd().gateway {
                losses.add(&[ETCD], self.established());
            }
            table.add(format!("etcd member {}", node.name), losses);
        }
    }

    fn api_server(&self, node: &Node) -> Losses {
        let cluster = self.cluster;
        let is_only = cluster.with_role(NodeRole::ControlPlane).count() == 1;
        let is_first =
            cluster.with_role(NodeRole::ControlPlane).next().is_some_and(|first| first.name == node.name);
        let is_alone = match cluster.internal().mode {
            Mode::NodeLocal | Mode::LoadBalancer => {
                is_served_by_own_api_server(cluster, node, cluster.internal().port)
            }
            Mode::VirtualIp(_) | Mode::External(_) | Mode::Direct => true,
        };
        let mut losses = Losses::default();
        let own = if is_alone { Loss { lost: Lost::Some, lasts: None } } else { self.established() };
        losses.add(&[CONTROL_PLANE], if is_only { FOR_GOOD } else { own });
        for (access, classes) in self.sides() {
            match &access.mode {
                _ if is_only => losses.add(classes, FOR_GOOD),
                Mode::NodeLocal | Mode::LoadBalancer => losses.add(classes, self.established()),
                Mode::Direct if is_first => losses.add(classes, FOR_GOOD),
                // Balancers of others hide it, or not.
                Mode::Direct | Mode::External(_) => {}
                Mode::VirtualIp(chosen) => {
                    let vips = chosen.iter().filter_map(|index| cluster.virtual_ips().get(*index));
                    let behind = vips.filter_map(|vip| self.behind(vip, node));
                    behind.for_each(|loss| losses.add(classes, self.shared(chosen, loss)));
                }
            }
        }
        losses
    }

    /// What the clients of a virtual IP notice of an API server.
    fn behind(&self, vip: &VirtualIp, node: &Node) -> Option<Loss> {
        if vip.balance {
            return Some(self.established());
        }
        let is_holder = vip.on.contains(&node.name);
        is_holder.then(|| if vip.on.len() == 1 { FOR_GOOD } else { self.leaves(vip, node) })
    }

    fn balancer(&self, node: &Node) -> Losses {
        let mut balancers = self.cluster.with_role(NodeRole::LoadBalancer);
        let is_first = balancers.next().is_some_and(|first| first.name == node.name);
        let is_only = is_first && balancers.next().is_none();
        let mut losses = Losses::default();
        for (access, classes) in self.sides() {
            let by_first = classes == EXTERNAL.as_slice() && access.names.is_empty();
            match access.mode {
                Mode::LoadBalancer if is_only || (by_first && is_first) => losses.add(classes, FOR_GOOD),
                Mode::LoadBalancer if by_first => {}
                Mode::LoadBalancer => losses.add(classes, self.established()),
                Mode::NodeLocal | Mode::Direct | Mode::External(_) | Mode::VirtualIp(_) => {}
            }
        }
        losses
    }

    fn balancer_link(&self, node: &Node) -> Losses {
        // Nodes probe through the balancer, and so find it out when their probes are due.
        let nodes = self.plan.nodes.values().find_map(|plan| plan.pools.get(BALANCERS));
        let found = nodes.map(|pool| Detection::from(&pool.probe).frozen()).unwrap_or_default();
        let lasts = |loss: Loss| Loss { lasts: loss.lasts.map(|lasts| lasts.max(found)), ..loss };
        self.balancer(node).map(lasts)
    }

    fn holder(&self, index: usize, vip: &VirtualIp) -> Losses {
        let loss = match vip.on.as_slice() {
            [_] => FOR_GOOD,
            [..] => Loss { lost: Lost::All, lasts: Some(vip.interval.saturating_mul(ADVERTS_TO_TAKEOVER)) },
        };
        self.of_virtual_ip(index, loss)
    }

    fn holder_link(&self, index: usize, vip: &VirtualIp, node: &Node) -> Losses {
        if !vip.balance {
            return Losses::default();
        }
        let loss = if vip.on.len() == 1 { FOR_GOOD } else { self.leaves(vip, node) };
        self.of_virtual_ip(index, loss)
    }

    fn of_virtual_ip(&self, index: usize, loss: Loss) -> Losses {
        let mut losses = Losses::default();
        for (access, classes) in self.sides() {
            if let Mode::VirtualIp(chosen) = &access.mode
                && chosen.contains(&index)
            {
                losses.add(classes, self.shared(chosen, loss));
            }
        }
        losses
    }

    /// Of several virtual IPs that do not move together, each has its own clients.
    fn shared(&self, chosen: &[usize], loss: Loss) -> Loss {
        let vips = || chosen.iter().filter_map(|index| self.cluster.virtual_ips().get(*index));
        let group = vips().next().and_then(|vip| vip.group.as_ref());
        let is_one = chosen.len() == 1 || (group.is_some() && vips().all(|vip| vip.group.as_ref() == group));
        if is_one { loss } else { Loss { lost: Lost::Some, ..loss } }
    }

    /// Until a virtual IP has left a holder that reaches no API server.
    fn leaves(&self, vip: &VirtualIp, holder: &Node) -> Loss {
        let others = vip.on.len().saturating_sub(1);
        // Where nothing is tracked, nobody finds out.
        self.tracked(vip, holder).map_or(FOR_GOOD, |detection| Loss {
            lost: Lost::All,
            lasts: Some(detection.moved(vip.interval, others)),
        })
    }

    /// How a holder finds out whether it reaches an API server.
    fn tracked(&self, vip: &VirtualIp, holder: &Node) -> Option<Detection> {
        let plan = self.plan.nodes.get(&holder.name)?;
        let router = plan.virtual_routers.iter().find(|router| router.name == vip.name)?;
        let pool = plan.pools.get(plan.tracked_pool(router)?)?;
        Some(Detection::from(&pool.probe))
    }

    fn held(&self, node: &'a Node) -> impl Iterator<Item = (usize, &'a VirtualIp)> {
        let vips = self.cluster.virtual_ips().iter().enumerate();
        vips.filter(|(_, vip)| vip.on.contains(&node.name))
    }

    fn sides(&self) -> [(&'a Access, &'static [&'static str]); 2] {
        [(self.cluster.internal(), &INTERNAL), (self.cluster.external(), &EXTERNAL)]
    }

    /// Until connections to a peer that has fallen silent are ended. New connections wait `staggerMax` at most.
    fn established(&self) -> Loss {
        Loss { lost: Lost::Some, lasts: Some(self.cluster.balancing().keep_alive.gives_up_after()) }
    }
}
