//! The fields of a kubeadm configuration that follow from the plan, to be merged into a whole one.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::{NotRendered, client_url, reached, scalar};
use crate::cluster::{Cluster, NodeRole};
use crate::endpoints::{Class, Client, Rule, endpoints};
use crate::plan::{Listener, Plan};

/// The first version of Kubernetes whose kubeadm has v1beta4.
const FIRST_WITH_V1BETA4: (u16, u16) = (1, 31);

/// A ClusterConfiguration; with a node also the InitConfiguration of that control plane.
///
/// # Errors
/// The cluster's components have no endpoint, or `node` is no control plane.
pub fn kubeadm(cluster: &Cluster, plan: &Plan, node: Option<&str>) -> Result<String, NotRendered> {
    let version = if cluster.kubernetes().version >= FIRST_WITH_V1BETA4 { "v1beta4" } else { "v1beta3" };
    let url = client_url(cluster, Class::Pod, None)?;
    let endpoint = url.trim_start_matches("https://");
    let mut text = format!("apiVersion: kubeadm.k8s.io/{version}\nkind: ClusterConfiguration\n");
    text.push_str(&joining(cluster, plan, endpoint));
    text.push_str(&format!("controlPlaneEndpoint: {}\n", scalar(endpoint)));
    let ranges: Vec<String> = cluster.kubernetes().service_cidrs.iter().map(ToString::to_string).collect();
    let domain = scalar(&cluster.kubernetes().dns_domain);
    text.push_str(&format!(
        "networking:\n  dnsDomain: {domain}\n  serviceSubnet: {}\n",
        scalar(&ranges.join(","))
    ));
    text.push_str("apiServer:\n");
    text.push_str(&list("  ", "certSANs", &plan.sans.apiserver));
    text.push_str(&etcd(cluster, plan));
    if let Some(node) = node {
        text.push_str(&init(cluster, node, version)?);
    }
    Ok(text)
}

/// What has to be known where the endpoint is a node's own listener.
fn joining(cluster: &Cluster, plan: &Plan, endpoint: &str) -> String {
    if !endpoint.starts_with("localhost:") {
        return String::new();
    }
    let port = cluster.internal().port.get();
    let has_none = |name: &str| {
        let is_local = |one: &Listener| one.address.is_loopback() && one.port == port;
        !plan.nodes.get(name).is_some_and(|node| node.listeners.iter().any(is_local))
    };
    let mut text =
        "# bowline has to run on a node before the node joins: the endpoint is its listener.\n".to_owned();
    let without: Vec<&str> = cluster
        .with_role(NodeRole::ControlPlane)
        .map(|node| node.name.as_str())
        .filter(|name| has_none(name))
        .collect();
    if without.len() > 1 {
        text.push_str(&format!(
            "# On {} the endpoint is the node's own API server, which cannot be joined before it\n# runs: give \
             access.internal.port another port than the API servers' to add control planes.\n",
            without.join(", ")
        ));
    }
    text
}

/// Where the members are, as the API servers see them.
fn etcd(cluster: &Cluster, plan: &Plan) -> String {
    let is_server = |client: &Client| {
        let named = |name: &String| cluster.with_role(NodeRole::ControlPlane).any(|node| node.name == *name);
        client.class == Class::Etcd && client.node.as_ref().is_some_and(named)
    };
    let clients: Vec<Client> = endpoints(cluster).into_iter().filter(is_server).collect();
    if clients.is_empty() {
        return String::new();
    }
    if clients.iter().all(|client| client.rule == Rule::EtcdOwnMember) {
        let names = &plan.sans.etcd;
        let lists = [list("    ", "serverCertSANs", names), list("    ", "peerCertSANs", names)];
        return format!("etcd:\n  local:\n{}", lists.concat());
    }
    let urls: BTreeSet<&str> = clients.iter().map(|client| client.url.as_str()).collect();
    let port = cluster.etcd().client_port;
    let urls: Vec<String> = match urls.first() {
        Some(url) if urls.len() == 1 => url.split(',').map(str::to_owned).collect(),
        // Each has another one, and the file is the same for all.
        _ => reached(cluster, NodeRole::Etcd)
            .map(|(_, address)| format!("https://{}:{port}", super::bracketed(address)))
            .collect(),
    };
    let etcd = cluster.etcd();
    let files =
        [("caFile", &etcd.ca_file), ("certFile", &etcd.client_cert_file), ("keyFile", &etcd.client_key_file)];
    let files =
        files.iter().filter_map(|(key, file)| Some(format!("    {key}: {}\n", scalar(file.as_deref()?))));
    format!("etcd:\n  external:\n{}{}", list("    ", "endpoints", &urls), files.collect::<String>())
}

fn init(cluster: &Cluster, asked: &str, version: &str) -> Result<String, NotRendered> {
    let node = cluster.with_role(NodeRole::ControlPlane).find(|node| node.name.eq_ignore_ascii_case(asked));
    let Some(node) = node else {
        return Err(NotRendered::new(
            format!("{asked} is no control plane"),
            "leave --node out, or name a control plane",
        ));
    };
    let bind = cluster.bind_address(node);
    let address = if bind.is_unspecified() || bind.is_loopback() { node.access_address } else { Some(bind) };
    let address = address.as_ref().map(IpAddr::to_string).unwrap_or_default();
    Ok(format!(
        "---\napiVersion: kubeadm.k8s.io/{version}\nkind: InitConfiguration\nlocalAPIEndpoint:\n  advertiseAddress: {}\n  \
         bindPort: {}\nnodeRegistration:\n  name: {}\n",
        scalar(&address),
        cluster.api_server().port,
        scalar(&node.name)
    ))
}

fn list(indent: &str, key: &str, items: &[String]) -> String {
    let items: String = items.iter().map(|item| format!("{indent}- {}\n", scalar(item))).collect();
    format!("{indent}{key}:\n{items}")
}
