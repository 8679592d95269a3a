//! What each single failure costs whom, by the timers of the description.

use core::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cluster::{Access, Cluster, Mode, NodeRole};
use crate::plan::Plan;
use crate::planner::is_served_by_own_api_server;

/// What a single failure does to some classes of clients.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Spof {
    /// What fails.
    pub failure: String,
    /// Who notices: of `control-plane`, `node`, `pod`, `external`.
    pub clients: Vec<&'static str>,
    /// How many of them lose access.
    pub lost: Lost,
    /// The longest that one of them is without access, by the configured timers; `None` is until the failure is repaired.
    pub seconds: Option<f64>,
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

/// Etcd needs more than half of its members, so with this many it survives the loss of one.
const ETCD_MEMBERS_TO_LOSE_ONE: usize = 3;

/// What each single failure costs: of an API server, a balancer, an etcd member, the holder of a virtual IP, and a balancer
/// that is not ours. Failures that nobody notices are left out.
pub fn spof(cluster: &Cluster, _plan: &Plan) -> Vec<Spof> {
    let mut table = Vec::new();
    api_servers(cluster, &mut table);
    balancers(cluster, &mut table);
    holders(cluster, &mut table);
    external_balancers(cluster, &mut table);
    etcd_members(cluster, &mut table);
    table
}

/// What a failure means for one class of clients.
#[derive(Clone, Copy, PartialEq)]
struct Loss {
    lost: Lost,
    lasts: Option<Duration>,
}

const FOR_GOOD: Loss = Loss { lost: Lost::All, lasts: None };

/// Until connections to a peer that has fallen silent are ended. New connections wait `staggerMax` at most.
fn established(cluster: &Cluster) -> Loss {
    let keep_alive = cluster.balancing().keep_alive;
    let lasts = keep_alive.idle.saturating_add(keep_alive.interval.saturating_mul(keep_alive.probes.get()));
    Loss { lost: Lost::Some, lasts: Some(lasts) }
}

fn sides(cluster: &Cluster) -> [(&Access, &'static [&'static str]); 2] {
    [(cluster.internal(), &INTERNAL), (cluster.external(), &EXTERNAL)]
}

/// Adds a failure, one row for all classes with the same loss.
fn add(table: &mut Vec<Spof>, failure: &str, losses: &[(&'static str, Loss)]) {
    let first = table.len();
    for (class, loss) in losses {
        let seconds = loss.lasts.map(|lasts| lasts.as_secs_f64());
        let mut rows = table.iter_mut().skip(first);
        match rows.find(|row| row.lost == loss.lost && row.seconds == seconds) {
            Some(row) => row.clients.push(class),
            None => {
                table.push(Spof {
                    failure: failure.to_owned(),
                    clients: vec![*class],
                    lost: loss.lost,
                    seconds,
                });
            }
        }
    }
}

fn api_servers(cluster: &Cluster, table: &mut Vec<Spof>) {
    let is_only = cluster.with_role(NodeRole::ControlPlane).count() == 1;
    for (index, node) in cluster.with_role(NodeRole::ControlPlane).enumerate() {
        let is_alone = is_served_by_own_api_server(cluster, node, cluster.internal().port);
        let own = if is_only {
            FOR_GOOD
        } else if is_alone {
            Loss { lost: Lost::Some, lasts: None }
        } else {
            established(cluster)
        };
        let mut losses = vec![(CONTROL_PLANE, own)];
        for (access, classes) in sides(cluster) {
            let loss = match access.mode {
                Mode::NodeLocal | Mode::LoadBalancer if !is_only => Some(established(cluster)),
                Mode::Direct if index > 0 => None,
                // Balancers and virtual IPs of others hide it, or not.
                Mode::External(_) | Mode::VirtualIp(_) if !is_only => None,
                Mode::NodeLocal
                | Mode::LoadBalancer
                | Mode::Direct
                | Mode::External(_)
                | Mode::VirtualIp(_) => Some(FOR_GOOD),
            };
            losses.extend(loss.into_iter().flat_map(|loss| classes.iter().map(move |class| (*class, loss))));
        }
        add(table, &format!("API server of {}", node.name), &losses);
    }
}

fn balancers(cluster: &Cluster, table: &mut Vec<Spof>) {
    let is_only = cluster.with_role(NodeRole::LoadBalancer).count() == 1;
    for (index, node) in cluster.with_role(NodeRole::LoadBalancer).enumerate() {
        let mut losses = Vec::new();
        for (access, classes) in sides(cluster) {
            let by_first = classes == EXTERNAL && access.names.is_empty();
            let loss = match access.mode {
                Mode::LoadBalancer if is_only || (by_first && index == 0) => FOR_GOOD,
                Mode::LoadBalancer if !by_first => established(cluster),
                Mode::LoadBalancer
                | Mode::NodeLocal
                | Mode::Direct
                | Mode::External(_)
                | Mode::VirtualIp(_) => continue,
            };
            losses.extend(classes.iter().map(|class| (*class, loss)));
        }
        add(table, &format!("balancer {}", node.name), &losses);
    }
}

fn holders(cluster: &Cluster, table: &mut Vec<Spof>) {
    for (index, vip) in cluster.virtual_ips().iter().enumerate() {
        let loss = match vip.on.as_slice() {
            [_] => FOR_GOOD,
            // Three missed adverts and less than one more of skew (RFC 9568 section 6.1).
            [..] => Loss { lost: Lost::All, lasts: Some(vip.interval.saturating_mul(4)) },
        };
        let mut losses = Vec::new();
        for (access, classes) in sides(cluster) {
            if matches!(&access.mode, Mode::VirtualIp(chosen) if chosen.contains(&index)) {
                losses.extend(classes.iter().map(|class| (*class, loss)));
            }
        }
        add(table, &format!("holder of virtual IP {}", vip.name), &losses);
    }
}

fn external_balancers(cluster: &Cluster, table: &mut Vec<Spof>) {
    for (access, classes) in sides(cluster) {
        if let Mode::External(hosts) = &access.mode {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            let losses: Vec<_> = classes.iter().map(|class| (*class, FOR_GOOD)).collect();
            add(table, &format!("external balancer {}", hosts.join(", ")), &losses);
        }
    }
}

fn etcd_members(cluster: &Cluster, table: &mut Vec<Spof>) {
    if cluster.with_role(NodeRole::Etcd).count() >= ETCD_MEMBERS_TO_LOSE_ONE {
        return;
    }
    for node in cluster.with_role(NodeRole::Etcd) {
        let classes = [CONTROL_PLANE].into_iter().chain(INTERNAL).chain(EXTERNAL);
        let losses: Vec<_> = classes.map(|class| (class, FOR_GOOD)).collect();
        add(table, &format!("etcd member {}", node.name), &losses);
    }
}
