//! Variables about the way to the API that a description has no place for, and those that are about something else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::groups::Groups;
use super::value::Variables;
use crate::import::{Place, Remark, RemarkKind};
use crate::source::excerpt;

/// Names that one remark lists.
const NAMES_LIMIT: usize = 40;

/// Variables that are read.
const READ: [&str; 54] = [
    "access_ip",
    "access_ip6",
    "ansible_default_ipv4",
    "ansible_default_ipv6",
    "ansible_fqdn",
    "ansible_group_priority",
    "ansible_host",
    "ansible_hostname",
    "apiserver_loadbalancer_domain_name",
    "cluster_name",
    "dns_domain",
    "enable_dual_stack_networks",
    "etcd_access_address",
    "etcd_access_endpoint",
    "etcd_access_addresses",
    "etcd_cert_alt_ips",
    "etcd_cert_alt_names",
    "etcd_client_url",
    "etcd_deployment_type",
    "etcd_member_name",
    "etcd_multiaccess",
    "first_kube_control_plane_address",
    "ip",
    "ip6",
    "ipv4_stack",
    "ipv6_stack",
    "kube_apiserver_access_address",
    "kube_apiserver_bind_address",
    "kube_apiserver_endpoint",
    "kube_apiserver_global_endpoint",
    "kube_apiserver_insecure_port",
    "kube_apiserver_ip",
    "kube_apiserver_port",
    "kube_override_hostname",
    "kube_service_addresses",
    "kube_service_addresses_ipv6",
    "kube_version",
    "kube_vip_address",
    "kube_vip_arp_enabled",
    "kube_vip_bgp_enabled",
    "kube_vip_controlplane_enabled",
    "kube_vip_enabled",
    "kube_vip_interface",
    "kubeconfig_localhost_ansible_host",
    "loadbalancer_apiserver",
    "loadbalancer_apiserver_localhost",
    "loadbalancer_apiserver_port",
    "loadbalancer_apiserver_type",
    "supplementary_addresses_in_ssl_keys",
    // Only what Ansible itself does with a machine.
    "ansible_become",
    "ansible_connection",
    "ansible_port",
    "ansible_ssh_host",
    "ansible_user",
];

/// Variables about the way to the API without a counterpart, and what there is in their place.
const NOT_CARRIED: [(&str, &str); 9] = [
    ("etcd_events_cluster_enabled", "a second etcd for events is not described"),
    ("kube_vip_lb_enable", "bowline balances what comes to a virtual IP itself"),
    ("kubeconfig_localhost", "a kubeconfig is made by `bowline render kubeconfig`"),
    (
        "loadbalancer_apiserver_cpu_requests",
        "bowline runs as a service of the machine or as a static pod of its own",
    ),
    (
        "loadbalancer_apiserver_healthcheck_port",
        "status and health are served at admin.listen, on the loopback address",
    ),
    (
        "loadbalancer_apiserver_keepalive_timeout",
        "bowline cuts no silent connection; it probes with TCP keep-alive",
    ),
    (
        "loadbalancer_apiserver_memory_requests",
        "bowline runs as a service of the machine or as a static pod of its own",
    ),
    (
        "loadbalancer_apiserver_pod_name",
        "bowline runs as a service of the machine or as a static pod of its own",
    ),
    ("populate_loadbalancer_apiserver_to_hosts_file", "see hosts.manage"),
];

/// Says of every file which of its variables were not looked at.
pub(super) fn report(groups: &Groups, remarks: &mut Vec<Remark>) {
    let of_groups = groups.groups.iter().flat_map(|group| [&group.inventory, &group.files]);
    let of_hosts = groups.hosts.iter().flat_map(|host| [&host.inventory, &host.files]);
    let mut others: BTreeMap<Arc<str>, BTreeSet<&str>> = BTreeMap::new();
    for variables in of_groups.chain(of_hosts) {
        report_in(variables, &mut others, remarks);
    }
    for (file, names) in others {
        let shown: Vec<String> = names.iter().take(NAMES_LIMIT).map(|name| excerpt(name)).collect();
        let more = match names.len().saturating_sub(NAMES_LIMIT) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!(
            "not looked at, because not known to be about the way to the API: {}{more}",
            shown.join(", ")
        );
        remarks.push(Place::new(file, None).remark(RemarkKind::NotUnderstood, message));
    }
}

fn report_in<'v>(
    variables: &'v Variables,
    others: &mut BTreeMap<Arc<str>, BTreeSet<&'v str>>,
    remarks: &mut Vec<Remark>,
) {
    for (name, variable) in variables {
        if READ.contains(&&**name) {
            continue;
        }
        match NOT_CARRIED.iter().find(|(known, _)| *known == &**name) {
            Some((_, instead)) => {
                let message = format!("{name}: {instead}");
                remarks.push(variable.place.remark(RemarkKind::Differs, message));
            }
            None => {
                others.entry(Arc::clone(&variable.place.file)).or_default().insert(name);
            }
        }
    }
}
