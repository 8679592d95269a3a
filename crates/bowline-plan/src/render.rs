//! What follows from a plan, in the words of whoever reads it: a hosts file, kubeadm, Kubespray, systemd and others.
//!
//! Nothing is decided here: every address, port and name was in the plan before. The same plan gives the same text.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use crate::cluster::{Cluster, Node, NodeRole};
use crate::endpoints::{Class, endpoints};
use crate::plan::{NodePlan, Plan, Sans};

mod cloud;
mod dns;
mod haproxy;
mod hosts;
mod keepalived;
mod kubeadm;
mod kubeconfig;
mod kubespray;
mod pod;
mod service;

pub use cloud::{Cloud, cloud};
pub use dns::{DnsRecord, DnsType, dns, dns_text};
pub use haproxy::haproxy;
pub use hosts::{Shadow, UnendedBlock, hosts_file_lines, shadows, with_hosts_block, without_hosts_block};
pub use keepalived::keepalived;
pub use kubeadm::kubeadm;
pub use kubeconfig::{Kubeconfig, new_kubeconfig};
pub use kubespray::{kubespray, kubespray_host};
pub use pod::static_pod;
pub use service::systemd;

/// Why something does not follow from this description.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotRendered {
    /// What stands in the way.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl NotRendered {
    fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for NotRendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.remedy)
    }
}

impl core::error::Error for NotRendered {}

/// The URL that clients of a class are to use; of several, the first. Without a node it is the one that all nodes have.
///
/// # Errors
/// There is none, or it differs from node to node.
pub fn client_url(cluster: &Cluster, class: Class, node: Option<&str>) -> Result<String, NotRendered> {
    let is_asked = |at: &Option<String>| match (at, node) {
        (Some(at), Some(node)) => at.eq_ignore_ascii_case(node),
        (None, _) | (_, None) => true,
    };
    let clients = endpoints(cluster).into_iter().filter(|client| client.class == class);
    let mut urls: Vec<String> =
        clients.filter(|client| is_asked(&client.node)).map(|client| client.url).collect();
    let Some(first) = urls.first().cloned() else {
        let place = node.map(|node| format!(" on {node}")).unwrap_or_default();
        let message = format!("no {} client{place} uses the API servers", class.as_str());
        return Err(NotRendered::new(message, "`bowline endpoints` lists the clients there are"));
    };
    urls.dedup();
    if urls.len() > 1 && class != Class::External {
        let message = format!("the URL of {} clients differs from node to node", class.as_str());
        return Err(NotRendered::new(message, "name the node: --node NAME"));
    }
    Ok(first)
}

/// A node's part in the plan.
fn node_plan<'a>(plan: &'a Plan, asked: &str) -> Result<&'a NodePlan, NotRendered> {
    let found = plan.nodes.iter().find(|(name, _)| name.eq_ignore_ascii_case(asked));
    found.map(|(_, node)| node).ok_or_else(|| {
        NotRendered::new(format!("no node is called {asked}"), "`bowline plan` names the nodes there are")
    })
}

/// Text of a YAML scalar.
fn scalar(text: &str) -> String {
    crate::import::scalar_text(text)
}

/// An address as part of a URL.
fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// Names, and addresses, of a list of both.
fn split(names: &[String]) -> (Vec<&str>, Vec<&str>) {
    names.iter().map(String::as_str).partition(|name| IpAddr::from_str(name).is_err())
}

/// The certificates' names, as text.
pub fn sans_text(sans: &Sans) -> String {
    let mut text = String::new();
    for (what, names) in [("apiserver", &sans.apiserver), ("etcd", &sans.etcd)] {
        if !names.is_empty() {
            let (names, addresses) = split(names);
            text.push_str(&format!("{what}: "));
            let names = names.iter().map(|name| format!("DNS:{name}"));
            let all: Vec<String> =
                names.chain(addresses.iter().map(|address| format!("IP:{address}"))).collect();
            text.push_str(&all.join(","));
            text.push('\n');
        }
    }
    text
}

/// Nodes of a role with where others reach them.
fn reached(cluster: &Cluster, role: NodeRole) -> impl Iterator<Item = (&Node, IpAddr)> {
    cluster.with_role(role).filter_map(|node| Some((node, node.access_address?)))
}

#[cfg(test)]
mod tests;
