//! An inventory as a description of ours.

use core::net::IpAddr;
use core::str::FromStr;
use std::collections::BTreeSet;

use super::Edition;
use super::explain::Explained;
use super::explain::current::{Rules, View};
use super::explain::documents::DEFAULT_DOMAIN;
use super::groups::{CLUSTER, Groups, HostId};
use super::scope::{Scope, Unknown};
use super::settings::{Address, LoadBalancer, Origin, Placed};
use crate::description::{AccessSide, Mode, Node, Placement, Role, VirtualIp};
use crate::import::{Draft, Place, RemarkKind};
use crate::source::excerpt;

mod etcd;

/// What the virtual IP of kube-vip is called.
const VIRTUAL_IP: &str = "api";

/// Fills the draft.
///
/// # Errors
/// What stands in the way, beyond what loading will find.
pub(super) fn describe(
    groups: &Groups,
    root: &str,
    edition: Edition,
    explained: &Explained,
    draft: &mut Draft,
) -> Result<(), Vec<Unknown>> {
    let rules = Rules::new(groups, root)?;
    let first = rules.view(rules.members.first).map_err(|problem| vec![problem])?;
    let mut describer = Describer { groups, rules: &rules, edition, first, draft, problems: Vec::new() };
    let steps = [Describer::names, Describer::api_servers, Describer::etcd, Describer::access];
    describer.nodes();
    for step in steps {
        if let Err(problem) = step(&mut describer) {
            describer.problems.push(problem);
        }
    }
    if let Err(problem) = describer.certificates(explained) {
        describer.problems.push(problem);
    }
    if describer.problems.is_empty() { Ok(()) } else { Err(describer.problems) }
}

struct Describer<'r, 'a> {
    groups: &'a Groups,
    rules: &'r Rules<'a>,
    edition: Edition,
    /// As the first control plane sees things.
    first: View<'a>,
    draft: &'r mut Draft,
    problems: Vec<Unknown>,
}

impl Describer<'_, '_> {
    fn secure_port(&self) -> Result<u16, Unknown> {
        let given = self.first.scope.port("kube_apiserver_port")?.map(|(port, _)| port);
        let default =
            self.edition.table().map_or(super::explain::current::SECURE_PORT, |table| table.secure_port());
        Ok(given.unwrap_or(default))
    }

    fn place_of(&self, name: &str) -> Place {
        let definition = self.first.scope.definition(name).map(|variable| variable.place.clone());
        definition.unwrap_or_else(|| self.first.scope.place().clone())
    }

    fn remark(&mut self, kind: RemarkKind, place: &Place, message: impl Into<String>) {
        self.draft.remark(kind, place, message);
    }

    /// The machines: control planes first, in the order of their group, because the first one is special to Kubespray.
    fn nodes(&mut self) {
        let members = &self.rules.members;
        let lists = [members.control_plane, members.etcd, members.nodes, members.reflectors];
        let mut seen = BTreeSet::new();
        let all = lists.into_iter().flatten().chain(self.groups.members(CLUSTER)).copied();
        let ids: Vec<HostId> = all.filter(|id| seen.insert(*id)).collect();
        let sets = [members.etcd_hosts, members.nodes, members.reflectors]
            .map(|list| list.iter().copied().collect::<BTreeSet<HostId>>());
        let [etcd, workers, reflectors] = &sets;
        let mut nodes = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(scope) = Scope::new(self.groups, id) else { continue };
            let mut roles = Vec::new();
            if members.is_control_plane(id) {
                roles.push(Role::ControlPlane);
            }
            if etcd.contains(&id) {
                roles.push(Role::Etcd);
            }
            let is_server = !roles.is_empty();
            if workers.contains(&id) || reflectors.contains(&id) || !is_server {
                roles.push(Role::Worker);
            }
            if reflectors.contains(&id) {
                let message = format!(
                    "{} is a route reflector: a worker as far as the API is concerned",
                    scope.host.name
                );
                self.draft.remark(RemarkKind::Assumed, scope.place(), message);
            }
            let node = self.node(nodes.len(), id, &scope, roles, is_server);
            nodes.push(node);
        }
        self.left_out(&seen);
        self.draft.spec.nodes = Some(nodes);
    }

    fn node(
        &mut self,
        index: usize,
        id: HostId,
        scope: &Scope<'_>,
        roles: Vec<Role>,
        is_server: bool,
    ) -> Node {
        let at = format!("spec.nodes[{index}]");
        self.draft.came_from(&at, scope.place());
        let mut name = scope.host.name.to_string();
        if let Ok(Some((given, place))) = scope.text("kube_override_hostname")
            && given != name
        {
            self.draft.came_from(format!("{at}.name"), &place);
            let message = format!("{name} is called {} in the cluster, and here", excerpt(&given));
            self.draft.remark(RemarkKind::Assumed, &place, message);
            name = given;
        }
        let (main, access) = self.known_addresses(id);
        for (position, address) in main.iter().enumerate() {
            self.draft.came_from(format!("{at}.addresses[{position}]"), &address.place);
        }
        let access_address =
            access.first().filter(|access| main.first().is_none_or(|main| main.text != access.text));
        if let Some(address) = access_address {
            self.draft.came_from(format!("{at}.accessAddress"), &address.place);
        }
        if main.is_empty() && access.is_empty() {
            self.without_address(scope, is_server);
        }
        Node {
            name: Some(name),
            roles: Some(roles),
            addresses: main.into_iter().map(|address| address.text).collect(),
            access_address: access_address.map(|address| address.text.clone()),
            public_address: None,
        }
    }

    /// The host's own addresses and those for others; what Kubespray makes up is not among them.
    fn known_addresses(&self, id: HostId) -> (Vec<Address>, Vec<Address>) {
        let addresses = self.rules.addresses.get(&id);
        let known = |addresses: &[Address]| -> Vec<Address> {
            addresses.iter().filter(|address| address.origin != Origin::Loopback).cloned().collect()
        };
        addresses.map(|addresses| (known(&addresses.main), known(&addresses.access))).unwrap_or_default()
    }

    fn without_address(&mut self, scope: &Scope<'_>, is_server: bool) {
        let name = &scope.host.name;
        if is_server {
            let message = format!("nothing says where {name} is reached: it has neither ip nor a fact");
            let remedy = "give it `ip`, or name a file of facts: --facts FILE (ansible_host is only for Ansible itself)";
            self.problems.push(scope.place().problem(message, remedy));
        } else {
            let message = format!("{name} has no known address; nobody connects to it, so none is needed");
            self.draft.remark(RemarkKind::Assumed, scope.place(), message);
        }
    }

    /// Hosts in no group of Kubespray's: a bastion, or a misspelt group.
    fn left_out(&mut self, seen: &BTreeSet<HostId>) {
        for (id, host) in self.groups.hosts.iter().enumerate() {
            if !seen.contains(&id) {
                let message = format!("{} is in no group of the cluster, and left out", host.name);
                self.draft.remark(RemarkKind::NotUnderstood, &host.place, message);
            }
        }
    }

    fn names(&mut self) -> Result<(), Unknown> {
        let scope = self.first.scope;
        if let Some((name, place)) = scope.text("cluster_name")?
            && name != "cluster.local"
        {
            self.draft.metadata.name = Some(name);
            self.draft.came_from("metadata.name", &place);
        }
        let domain = scope.dns_domain()?;
        let given = ["dns_domain", "cluster_name"].into_iter().find(|name| scope.definition(name).is_some());
        let place = given.map_or_else(|| scope.place().clone(), |name| self.place_of(name));
        self.draft.came_from("spec.kubernetes.dnsDomain", &place);
        self.draft.spec.kubernetes.dns_domain = Some(domain);
        match scope.text("kube_version")? {
            Some((version, place)) => {
                let version = version.strip_prefix('v').unwrap_or(&version).to_owned();
                let mut parts = version.split('.');
                let minor = parts.next().zip(parts.next()).map(|(major, minor)| format!("{major}.{minor}"));
                self.draft.spec.kubernetes.version = Some(minor.unwrap_or(version));
                self.draft.came_from("spec.kubernetes.version", &place);
            }
            None => {
                let message =
                    "kube_version is not set: 1.32 is taken, which only the timers of nodes depend on";
                self.draft.remark(
                    RemarkKind::Assumed,
                    &Place::new(scope.place().file.clone(), None),
                    message,
                );
            }
        }
        let ranges = scope.service_ranges()?;
        for (index, (_, place)) in ranges.iter().enumerate() {
            self.draft.came_from(format!("spec.kubernetes.serviceCIDRs[{index}]"), place);
        }
        self.draft.spec.kubernetes.service_cidrs = Some(ranges.into_iter().map(|(range, _)| range).collect());
        Ok(())
    }

    fn api_servers(&mut self) -> Result<(), Unknown> {
        self.draft.spec.api_server.port = Some(self.secure_port()?);
        self.draft.came_from("spec.apiServer.port", &self.place_of("kube_apiserver_port"));
        let message = "no caFile is set, so certificates are not verified; Kubespray keeps it as \
                       /etc/kubernetes/ssl/ca.crt on every node";
        let place = Place::new(self.first.scope.place().file.clone(), None);
        self.remark(RemarkKind::Assumed, &place, message);
        let mut given = BTreeSet::new();
        for id in self.rules.members.control_plane {
            let Some(scope) = Scope::new(self.groups, *id) else { continue };
            given.insert(scope.text("kube_apiserver_bind_address")?.map(|(address, _)| address));
        }
        let Some((address, place)) = self.first.scope.text("kube_apiserver_bind_address")? else {
            return Ok(());
        };
        if given.len() > 1 {
            let message = format!(
                "every control plane has a bind address of its own; a description has one for all, and {} stands for them: \
                 what follows from it is that none is on the loopback address",
                excerpt(&address)
            );
            self.remark(RemarkKind::Differs, &place, message);
        }
        self.draft.spec.api_server.bind_address = Some(address);
        self.draft.came_from("spec.apiServer.bindAddress", &place);
        Ok(())
    }

    fn etcd(&mut self) -> Result<(), Unknown> {
        let scope = self.first.scope;
        if self.rules.members.etcd.is_empty() {
            let message = "no host is in group etcd: it is taken to run on the control planes";
            self.remark(RemarkKind::Assumed, &scope.place().clone(), message);
        }
        let etcd = &mut self.draft.spec.etcd;
        match self.edition {
            Edition::Current | Edition::Doc2019 => {
                let kind = scope.text("etcd_deployment_type")?;
                etcd.multiaccess = kind.is_none_or(|(kind, _)| kind != "kubeadm");
            }
            Edition::Kargo => {
                etcd.multiaccess = scope.switch("etcd_multiaccess")?.is_some_and(|(is_on, _)| is_on);
                etcd.gateway = !etcd.multiaccess;
            }
        }
        self.etcd_fronts()
    }

    fn access(&mut self) -> Result<(), Unknown> {
        let has_virtual_ip = self.virtual_ip()?;
        if let Some(balancer) = self.first.load_balancer.clone() {
            return self.external_balancer(&balancer, has_virtual_ip);
        }
        let local = match self.edition {
            Edition::Current | Edition::Doc2019 => self.first.local_balancer,
            Edition::Kargo => {
                let given = self.first.scope.switch("loadbalancer_apiserver_localhost")?;
                given.is_some_and(|(is_on, _)| is_on)
            }
        };
        let access = &mut self.draft.spec.access;
        access.external = AccessSide { mode: Some(Mode::Direct), ..AccessSide::default() };
        if local {
            let port = match self.edition {
                Edition::Current | Edition::Doc2019 => {
                    self.first.scope.port("loadbalancer_apiserver_port")?
                }
                Edition::Kargo => None,
            };
            if let Some((_, place)) = &port {
                self.draft.came_from("spec.access.internal.port", place);
            }
            let port = port.map(|(port, _)| port);
            self.draft.spec.access.internal =
                AccessSide { mode: Some(Mode::NodeLocal), port, ..AccessSide::default() };
        } else {
            access.internal = AccessSide { mode: Some(Mode::Direct), ..AccessSide::default() };
        }
        Ok(())
    }

    /// Both sides go to the balancer, by its name if it has one.
    fn external_balancer(&mut self, balancer: &LoadBalancer, has_virtual_ip: bool) -> Result<(), Unknown> {
        let given = self.first.scope.text("apiserver_loadbalancer_domain_name")?;
        let address = match (&balancer.address, &given) {
            (Some(address), _) => address.clone(),
            (None, Some(domain)) => {
                let message = "the balancer has no address: its domain name is taken for it";
                self.remark(RemarkKind::Assumed, &balancer.place, message);
                domain.clone()
            }
            (None, None) => {
                let message = "a balancer without an address and without a domain name";
                return Err(balancer.place.problem(message, "give loadbalancer_apiserver an `address:`"));
            }
        };
        if given.is_none() && self.edition != Edition::Current {
            let message = format!(
                "Kubespray called the balancer {DEFAULT_DOMAIN}, by lines in /etc/hosts; here it is {}",
                address.0
            );
            self.remark(RemarkKind::Differs, &balancer.place, message);
        }
        let port = balancer.port.as_ref().map(|(port, _)| *port);
        let names: Vec<Placed> = given.into_iter().filter(|(domain, _)| *domain != address.0).collect();
        for side in ["internal", "external"] {
            let at = format!("spec.access.{side}");
            self.draft.came_from(&at, &balancer.place);
            self.draft.came_from(format!("{at}.address"), &address.1);
            if let Some((_, place)) = &balancer.port {
                self.draft.came_from(format!("{at}.port"), place);
            }
            if let Some((_, place)) = names.first() {
                self.draft.came_from(format!("{at}.names"), place);
            }
        }
        let by_virtual_ip = has_virtual_ip
            && self.first.scope.text("kube_vip_address")?.is_some_and(|(vip, _)| vip == address.0);
        let host = address.0.to_ascii_lowercase();
        let side = || AccessSide {
            mode: Some(if by_virtual_ip { Mode::VirtualIp } else { Mode::External }),
            port,
            names: names.iter().map(|(name, _)| name.to_ascii_lowercase()).collect(),
            address: (!by_virtual_ip).then(|| host.clone()),
            ..AccessSide::default()
        };
        let (internal, external) = (side(), side());
        self.draft.spec.access.internal = internal;
        self.draft.spec.access.external = external;
        Ok(())
    }

    /// The address that kube-vip moves between control planes, if it does; whether there is one.
    fn virtual_ip(&mut self) -> Result<bool, Unknown> {
        let scope = self.first.scope;
        let Some((address, place)) = scope.text("kube_vip_address")? else { return Ok(false) };
        let is_on = |name| Ok(scope.switch(name)?.is_some_and(|(is_on, _)| is_on));
        if !is_on("kube_vip_enabled")? || !is_on("kube_vip_controlplane_enabled")? {
            let message = "kube_vip_enabled and kube_vip_controlplane_enabled are not both true: nobody holds kube_vip_address, \
                           and it is no virtual IP here";
            self.remark(RemarkKind::Assumed, &place, message);
            return Ok(false);
        }
        if is_on("kube_vip_bgp_enabled")? {
            let message = "kube-vip announces its address by BGP, which has no counterpart here: the address is left to it";
            self.remark(RemarkKind::NotUnderstood, &place, message);
            return Ok(false);
        }
        let interface = scope.text("kube_vip_interface")?;
        if let Some((_, place)) = &interface {
            self.draft.came_from("spec.virtualIPs[0].interface", place);
        }
        self.draft.came_from("spec.virtualIPs[0]", &place);
        let message = "here bowline moves the address between control planes, in the place of kube-vip: remove that first";
        self.remark(RemarkKind::Differs, &place, message);
        self.draft.spec.virtual_ips = vec![VirtualIp {
            name: Some(VIRTUAL_IP.to_owned()),
            address: Some(address),
            on: Some(Placement::Role(Role::ControlPlane)),
            interface: interface.map(|(interface, _)| interface),
            ..VirtualIp::default()
        }];
        Ok(true)
    }

    /// Everything that today's certificates hold and that the plan would not name stays in them: somebody may use it.
    fn certificates(&mut self, explained: &Explained) -> Result<(), Unknown> {
        let scope = self.first.scope;
        let (mut servers, _) = scope.texts("supplementary_addresses_in_ssl_keys")?;
        servers.extend(scope.text("apiserver_loadbalancer_domain_name")?);
        let mut members = self.etcd_names()?;
        // Of a draft with something wrong in it nothing follows, and what is in the certificates would be wrong too.
        let cluster = self.draft.cluster();
        if let (Explained::Current(current), Some(_)) = (explained, &cluster) {
            let place = Place::new(scope.place().file.clone(), None);
            let placed = |name: String| (name, place.clone());
            let hosts = current.hosts.values();
            servers
                .extend(hosts.clone().filter_map(|host| host.apiserver_sans.clone()).flatten().map(placed));
            let of_etcd = hosts.flat_map(|host| [host.etcd_cert_dns.clone(), host.etcd_cert_ips.clone()]);
            members.extend(of_etcd.flatten().flatten().map(placed));
        }
        let named = cluster.map(|cluster| crate::planner::plan(&cluster, 1).sans).unwrap_or_default();
        let extra = self.further("spec.certificates.extraSANs", named.apiserver, servers);
        self.draft.spec.certificates.extra_sans = extra;
        let extra = self.further("spec.certificates.etcdExtraSANs", named.etcd, members);
        self.draft.spec.certificates.etcd_extra_sans = extra;
        Ok(())
    }

    /// What of `names` is not among those that the plan has `named`, once each.
    fn further(&mut self, at: &str, named: Vec<String>, names: Vec<Placed>) -> Vec<String> {
        let mut seen: BTreeSet<String> = named.into_iter().collect();
        let mut extra = Vec::new();
        for (name, place) in names {
            let name =
                IpAddr::from_str(&name).map_or_else(|_| name.to_lowercase(), |address| address.to_string());
            if !seen.insert(name.clone()) {
                continue;
            }
            if place.line.is_none() && !is_subject_name(&name) {
                let message =
                    format!("{} is in the certificates, but is no DNS name; left out", excerpt(&name));
                self.remark(RemarkKind::Differs, &place, message);
                continue;
            }
            self.draft.came_from(format!("{at}[{}]", extra.len()), &place);
            extra.push(name);
        }
        extra
    }
}

/// Whether a certificate can hold it: an address, or a DNS name in lower case.
fn is_subject_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    IpAddr::from_str(text).is_ok() || text.strip_prefix("*.").unwrap_or(text).split('.').all(is_label)
}
