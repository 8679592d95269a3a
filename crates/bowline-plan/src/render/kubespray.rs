//! Kubespray's variables, so that it configures what the plan says and leaves the proxy on every node to bowline.

use super::{NotRendered, bracketed, client_url, reached, scalar, split};
use crate::cluster::{Cluster, Mode, NodeRole};
use crate::endpoints::{Class, endpoints};
use crate::plan::Plan;

/// Members of etcd find each other and their clients by these in every edition.
const ETCD_NAMES: [&str; 4] =
    ["etcd.kube-system.svc.{domain}", "etcd.kube-system.svc", "etcd.kube-system", "etcd"];

/// Variables for `group_vars/all`.
///
/// # Errors
/// The cluster's components have no endpoint.
pub fn kubespray(cluster: &Cluster, plan: &Plan) -> Result<String, NotRendered> {
    let mut text = String::from("# group_vars/all/bowline.yml\n");
    let mut set = |key: &str, value: &str| text.push_str(&format!("{key}: {value}\n"));
    let kubernetes = cluster.kubernetes();
    set("kube_apiserver_port", &cluster.api_server().port.to_string());
    set("dns_domain", &scalar(&kubernetes.dns_domain));
    for range in &kubernetes.service_cidrs {
        let is_v4 = range.first_host().is_ipv4();
        let key = if is_v4 { "kube_service_addresses" } else { "kube_service_addresses_ipv6" };
        set(key, &scalar(&range.to_string()));
    }
    text.push_str(&endpoint(cluster)?);
    text.push_str("# The same names as in the plan, those that Kubespray adds by itself included.\n");
    text.push_str(&list("supplementary_addresses_in_ssl_keys", plan.sans.apiserver.iter()));
    if !plan.sans.etcd.is_empty() {
        text.push_str(&etcd(cluster, plan));
    }
    Ok(text)
}

/// Variables of one node, for `host_vars`.
///
/// # Errors
/// There is no such node, or it has no address.
pub fn kubespray_host(cluster: &Cluster, name: &str) -> Result<String, NotRendered> {
    let node = cluster.nodes().iter().find(|node| node.name.eq_ignore_ascii_case(name));
    let Some((node, access)) = node.and_then(|node| Some((node, node.access_address?))) else {
        let message = format!("no address of {name} is described");
        return Err(NotRendered::new(message, "give it `addresses`"));
    };
    let mut text = format!("# host_vars/{}.yml\n", node.name);
    let mut set = |key: &str, value: String| text.push_str(&format!("{key}: {}\n", scalar(&value)));
    for (own, others, is_v4) in [("ip", "access_ip", true), ("ip6", "access_ip6", false)] {
        if let Some(address) = node.addresses.iter().find(|address| address.is_ipv4() == is_v4) {
            set(own, address.to_string());
        }
        if access.is_ipv4() == is_v4 {
            set(others, access.to_string());
        }
    }
    if node.roles.contains(&NodeRole::Etcd) {
        set("etcd_access_address", access.to_string());
        if cluster.etcd().advertised_address.is_none() {
            set("etcd_client_url", etcd_url(cluster, access));
        }
    }
    Ok(text)
}

/// What leads to the API servers.
fn endpoint(cluster: &Cluster) -> Result<String, NotRendered> {
    let access = cluster.internal();
    let url = client_url(cluster, Class::Pod, None)?;
    let target = url.trim_start_matches("https://");
    let (host, port) = target.rsplit_once(':').unwrap_or((target, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok(match &access.mode {
        Mode::NodeLocal | Mode::LoadBalancer => format!(
            "# Every node has bowline's listener at localhost. A type that Kubespray does not know makes it use that address\n# \
             and install no proxy of its own.\nloadbalancer_apiserver_localhost: true\n\
             loadbalancer_apiserver_type: bowline\nloadbalancer_apiserver_port: {port}\n"
        ),
        Mode::VirtualIp(_) | Mode::External(_) => {
            let (name, address) = match access.names.first() {
                Some(name) => (Some(name), without_name(cluster).unwrap_or_else(|| host.to_owned())),
                None => (None, host.to_owned()),
            };
            let domain = name
                .map(|name| format!("apiserver_loadbalancer_domain_name: {}\n", scalar(name)))
                .unwrap_or_default();
            format!(
                "loadbalancer_apiserver_localhost: false\nloadbalancer_apiserver:\n  address: {}\n  port: {port}\n{domain}",
                scalar(&address)
            )
        }
        Mode::Direct => "loadbalancer_apiserver_localhost: false\n".to_owned(),
    })
}

/// Where the name leads: what its rule won over.
fn without_name(cluster: &Cluster) -> Option<String> {
    let pod = endpoints(cluster).into_iter().find(|client| client.class == Class::Pod)?;
    let is_behind = |rule: &str| pod.rule.as_str().strip_suffix("-name") == Some(rule);
    let url = pod.lost.into_iter().find(|loser| is_behind(loser.rule.as_str()))?.url?;
    let (host, _) = url.strip_prefix("https://")?.rsplit_once(':')?;
    Some(host.trim_start_matches('[').trim_end_matches(']').to_owned())
}

fn etcd(cluster: &Cluster, plan: &Plan) -> String {
    let (names, addresses) = split(&plan.sans.etcd);
    let domain = &cluster.kubernetes().dns_domain;
    let defaults = ETCD_NAMES.map(|name| name.replace("{domain}", domain));
    let others = names.into_iter().map(str::to_owned).filter(|name| !defaults.contains(name));
    let names: Vec<String> = defaults.iter().cloned().chain(others).collect();
    let mut text =
        "# What is given here takes the place of Kubespray's own list, so that comes first.\n".to_owned();
    text.push_str(&list("etcd_cert_alt_names", names.iter()));
    text.push_str(&list("etcd_cert_alt_ips", addresses.into_iter()));
    let etcd = cluster.etcd();
    let urls: Vec<String> = if etcd.access_addresses.is_empty() {
        reached(cluster, NodeRole::Etcd).map(|(_, address)| etcd_url(cluster, address)).collect()
    } else {
        etcd.access_addresses.iter().map(|front| format!("https://{front}")).collect()
    };
    let urls = urls.join(",");
    text.push_str(&format!("etcd_access_addresses: {}\n", scalar(&urls)));
    if let Some(front) = &etcd.advertised_address {
        text.push_str(&format!("etcd_client_url: {}\n", scalar(&format!("https://{front}"))));
    }
    let is_behind = !etcd.access_addresses.is_empty();
    let multiaccess = etcd.multiaccess || is_behind;
    let endpoint =
        if multiaccess || !etcd.gateway { urls } else { format!("https://localhost:{}", etcd.client_port) };
    text.push_str(&format!(
        "# Read by editions of 2016 and 2017 alone.\netcd_multiaccess: {multiaccess}\netcd_access_endpoint: {}\n",
        scalar(&endpoint)
    ));
    text
}

fn etcd_url(cluster: &Cluster, address: core::net::IpAddr) -> String {
    format!("https://{}:{}", bracketed(address), cluster.etcd().client_port)
}

fn list<T: AsRef<str>>(key: &str, items: impl Iterator<Item = T>) -> String {
    let items: String = items.map(|item| format!("- {}\n", scalar(item.as_ref()))).collect();
    if items.is_empty() { format!("{key}: []\n") } else { format!("{key}:\n{items}") }
}
