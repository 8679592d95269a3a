//! Which members of etcd its clients are told.

use super::{Candidate, Class, Client, Loser, Rule, client, localhost, url};
use crate::cluster::{Cluster, Front, Host, Node, NodeRole};

/// The API servers, and with a gateway every other node too.
pub(super) fn clients(cluster: &Cluster) -> Vec<Client> {
    let port = cluster.etcd().client_port;
    let front = |node: &Node| Some(Front { host: Host::Address(node.access_address?), port });
    let members: Vec<Front> = cluster.with_role(NodeRole::Etcd).filter_map(front).collect();
    if members.is_empty() && cluster.etcd().access_addresses.is_empty() {
        return Vec::new();
    }
    let is_client = |node: &&Node| cluster.etcd().gateway || node.roles.contains(&NodeRole::ControlPlane);
    cluster.nodes().iter().filter(is_client).filter_map(|node| decide(cluster, node, &members)).collect()
}

fn decide(cluster: &Cluster, node: &Node, members: &[Front]) -> Option<Client> {
    let candidates = candidates(cluster, node, members);
    let chosen = candidates.iter().find(|candidate| candidate.applies)?;
    let others = candidates.iter().filter(|candidate| candidate.rule != chosen.rule);
    let lost = others
        .map(|candidate| {
            let urls: Vec<String> = candidate.targets.iter().map(url).collect();
            Loser { url: (!urls.is_empty()).then(|| urls.join(",")), ..candidate.lose(chosen, None) }
        })
        .collect();
    Some(client(Class::Etcd, Some(node), chosen.rule, chosen.targets.clone(), lost))
}

fn candidates(cluster: &Cluster, node: &Node, members: &[Front]) -> [Candidate; 5] {
    let etcd = cluster.etcd();
    let is_control_plane = node.roles.contains(&NodeRole::ControlPlane);
    let is_member = node.roles.contains(&NodeRole::Etcd);
    let local = Front { host: Host::Address(crate::planner::LOOPBACK_V4), port: etcd.client_port };
    let before = &etcd.access_addresses;
    [
        Candidate {
            rule: Rule::EtcdAccessAddresses,
            targets: before.clone(),
            applies: !before.is_empty() && is_control_plane,
            why: if before.is_empty() {
                "etcd.accessAddresses is not given"
            } else {
                "it is for API servers; the node's own way leads to the members too"
            }
            .to_owned(),
        },
        Candidate {
            rule: Rule::EtcdMultiaccess,
            targets: members.to_vec(),
            applies: etcd.multiaccess && is_control_plane,
            why: if etcd.multiaccess {
                "only API servers balance by themselves"
            } else {
                "etcd.multiaccess is false"
            }
            .to_owned(),
        },
        Candidate {
            rule: Rule::EtcdOwnMember,
            targets: if is_member { vec![local] } else { Vec::new() },
            applies: is_member,
            why: "the node has no member".to_owned(),
        },
        Candidate {
            rule: Rule::EtcdGateway,
            targets: if is_member { Vec::new() } else { vec![localhost(etcd.client_port)] },
            applies: etcd.gateway && !is_member,
            why: if is_member { "the node's member has the port itself" } else { "etcd.gateway is false" }
                .to_owned(),
        },
        Candidate {
            rule: Rule::EtcdMembers,
            targets: members.to_vec(),
            applies: !members.is_empty(),
            why: "no node has the role etcd".to_owned(),
        },
    ]
}
