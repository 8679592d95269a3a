//! What there is to say about an inventory: what was not evaluated, and what Kubespray gets wrong with it.

use std::collections::BTreeSet;

use super::explain::Current;
use super::explain::current::{BIND_ADDRESS, Rules, View};
use super::groups::{Groups, HostId, canonical};
use super::scope::{Scope, Unknown};
use super::settings::{Origin, is_address};
use super::template::{is_template, pieces};
use super::value::{Value, Variable, Variables};
use crate::import::{Place, Remark, RemarkKind};
use crate::source::excerpt;

/// Remarks on values that were not evaluated. A group_vars folder of Kubespray's own has some dozens of templates.
const NOT_EVALUATED_LIMIT: usize = 200;

/// Variables that are true or false.
const SWITCHES: [&str; 8] = [
    "enable_dual_stack_networks",
    "etcd_multiaccess",
    "ipv4_stack",
    "ipv6_stack",
    "kube_vip_controlplane_enabled",
    "kube_vip_enabled",
    "kubeconfig_localhost_ansible_host",
    "loadbalancer_apiserver_localhost",
];

/// What the files themselves show.
pub(super) fn of_reading(groups: &Groups, remarks: &mut Vec<Remark>) {
    for (old, place) in &groups.aliases {
        let message = format!("group {old} is called {} today, and taken for it", canonical(old));
        remarks.push(place.remark(RemarkKind::Assumed, message));
    }
    let of_groups = groups.groups.iter().flat_map(|group| [&group.inventory, &group.files]);
    let of_hosts = groups.hosts.iter().flat_map(|host| [&host.inventory, &host.files]);
    let mut found = Vec::new();
    for variables in of_groups.chain(of_hosts) {
        for (name, variable) in variables {
            not_evaluated(name, variable, &mut found);
        }
        textual_switches(variables, remarks);
    }
    found.sort();
    found.dedup();
    let left_out = found.len().saturating_sub(NOT_EVALUATED_LIMIT);
    if left_out > 0
        && let Some(first) = found.get(NOT_EVALUATED_LIMIT)
    {
        let place = Place::new(first.file.as_str(), first.line);
        found.truncate(NOT_EVALUATED_LIMIT);
        let message = format!("this value and {} more after it", left_out.saturating_sub(1));
        found.push(place.remark(RemarkKind::NotEvaluated, message));
    }
    remarks.append(&mut found);
}

fn not_evaluated(name: &str, variable: &Variable, remarks: &mut Vec<Remark>) {
    let mut left = vec![(name.to_owned(), variable)];
    while let Some((name, variable)) = left.pop() {
        let what = match &variable.value {
            Value::Sealed(tag) => tag,
            Value::Text(text) if is_template(text) && pieces(text).is_none() => text,
            Value::List(items) => {
                left.extend(items.iter().enumerate().map(|(index, item)| (format!("{name}[{index}]"), item)));
                continue;
            }
            Value::Map(fields) => {
                left.extend(fields.iter().map(|(key, field)| (format!("{name}.{key}"), field)));
                continue;
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) => continue,
        };
        let message = format!("{}: {}", excerpt(&name), excerpt(what));
        remarks.push(variable.place.remark(RemarkKind::NotEvaluated, message));
    }
}

/// `"false"` is true: text is, unless it is empty.
fn textual_switches(variables: &Variables, remarks: &mut Vec<Remark>) {
    for name in SWITCHES {
        if let Some(Variable { place, value: Value::Text(text) }) = variables.get(name)
            && matches!(text.to_ascii_lowercase().as_str(), "false" | "no" | "off" | "0")
        {
            let message = format!(
                "{name} is the text {text:?}, which Ansible takes for true; write false without quotes"
            );
            remarks.push(place.remark(RemarkKind::SourceDefect, message));
        }
    }
}

/// What the rules of today make of it.
///
/// # Errors
/// What a rule needs cannot be told.
pub(super) fn of_rules(
    groups: &Groups,
    rules: &Rules<'_>,
    explained: &Current,
    remarks: &mut Vec<Remark>,
) -> Result<(), Vec<Unknown>> {
    let mut found = Found { rules, explained, remarks };
    let first = rules.view(rules.members.first).map_err(|problem| vec![problem])?;
    found.balancers(&first);
    found.ports(&first);
    found.virtual_ip(&first).map_err(|problem| vec![problem])?;
    found.kubeconfig(&first).map_err(|problem| vec![problem])?;
    for id in rules.members.control_plane {
        let view = rules.view(*id).map_err(|problem| vec![problem])?;
        found.bind_address(&view);
        found.second_family(*id, &view).map_err(|problem| vec![problem])?;
    }
    found.loopback(groups);
    found.scopes(groups, &first).map_err(|problem| vec![problem])?;
    found.lists(&first);
    Ok(())
}

struct Found<'r, 'a> {
    rules: &'r Rules<'a>,
    explained: &'r Current,
    remarks: &'r mut Vec<Remark>,
}

impl Found<'_, '_> {
    fn defect(&mut self, place: &Place, message: impl Into<String>) {
        self.remarks.push(place.remark(RemarkKind::SourceDefect, message));
    }

    fn place_of(&self, view: &View<'_>, name: &str) -> Place {
        let definition = view.scope.definition(name).map(|variable| variable.place.clone());
        definition.unwrap_or_else(|| view.scope.place().clone())
    }

    fn balancers(&mut self, view: &View<'_>) {
        let Some(balancer) = view.load_balancer.clone() else {
            if !view.local_balancer {
                let place = self.place_of(view, "loadbalancer_apiserver_localhost");
                let message = "no balancer at all: every other host depends on the first control plane";
                self.defect(&place, message);
            }
            return;
        };
        let place = &balancer.place;
        let message = "Kubespray sends control planes to the external balancer too; its documentation says they use their \
                       own API server, and here they do";
        self.remarks.push(place.remark(RemarkKind::SourceDefect, message));
        if balancer.port.is_none() {
            let message =
                format!("the balancer has no port: {} is taken, as by Kubespray from 2.13", view.secure_port);
            self.remarks.push(place.remark(RemarkKind::Assumed, message));
        }
        if balancer.address.is_none() {
            let message =
                "the balancer has no address: the exported kubeconfig goes past it, to one control plane";
            self.defect(place, message);
        }
        if view.local_balancer {
            let place = self.place_of(view, "loadbalancer_apiserver_localhost");
            let message = "both a local and an external balancer are on: Kubespray uses the external one, and installs the \
                           local one for nobody";
            self.defect(&place, message);
            if view.domain.as_deref() == Some("localhost")
                && (view.balancer_port() != view.local_port || view.local_port != view.secure_port)
            {
                let message = format!(
                    "without a domain name the balancer becomes localhost:{}, where nothing listens",
                    view.balancer_port()
                );
                self.defect(&place, message);
            }
        }
        if view.domain.as_deref().is_some_and(|domain| domain.contains(':') && is_address(domain)) {
            let message = "the controlPlaneEndpoint for kubeadm lacks the brackets around its IPv6 address";
            self.defect(place, message);
        }
    }

    fn ports(&mut self, view: &View<'_>) {
        if view.load_balancer.is_none() && view.local_balancer {
            if view.local_port != view.secure_port {
                let place = self.place_of(view, "loadbalancer_apiserver_port");
                let message = format!(
                    "the local balancer listens on {}, but kube-proxy is told 127.0.0.1:{}; and on control planes nothing \
                     listens on localhost:{}, which is what the CNI gets",
                    view.local_port, view.secure_port, view.local_port
                );
                self.defect(&place, message);
            }
            if let Ok(Some((kind, place))) = view.scope.text("loadbalancer_apiserver_type")
                && !matches!(kind.as_str(), "nginx" | "haproxy")
            {
                let message = format!(
                    "no local balancer is installed for type {}, but all are sent to it",
                    excerpt(&kind)
                );
                self.defect(&place, message);
            }
        }
    }

    fn bind_address(&mut self, view: &View<'_>) {
        if view.bind_address == BIND_ADDRESS {
            return;
        }
        let place = self.place_of(view, "kube_apiserver_bind_address");
        let bind = excerpt(&view.bind_address);
        if view.load_balancer.is_none() {
            if view.bind_address.contains("::") {
                let endpoint = view.endpoint().unwrap_or_default();
                self.defect(&place, format!("the bind address {bind} makes the endpoint {endpoint}"));
            } else if matches!(view.bind_address.as_str(), "0.0.0.0") {
                self.defect(&place, "control planes are told to connect to 0.0.0.0".to_owned());
            }
            let name = &view.scope.host.name;
            if **name != *self.first_name()
                && !view.bind_address.starts_with("127.")
                && !view.bind_address.contains("::")
            {
                let message = format!(
                    "{name} looks for the cluster at its own API server when it joins, before that runs"
                );
                self.defect(&place, message);
            }
        }
        if view.local_balancer {
            let clash =
                if matches!(view.bind_address.as_str(), "0.0.0.0") && view.local_port == view.secure_port {
                    ", where its port is taken by the API server"
                } else {
                    ""
                };
            let message = format!(
                "because the bind address {bind} is not ::, the proxy is installed on control planes too{clash}"
            );
            self.defect(&place, message);
        }
    }

    fn first_name(&self) -> String {
        let first = self.rules.view(self.rules.members.first);
        first.map(|view| view.scope.host.name.to_string()).unwrap_or_default()
    }

    /// With both families on, certificates hold the IPv4 addresses alone.
    fn second_family(&mut self, id: HostId, view: &View<'_>) -> Result<(), Unknown> {
        let Some(addresses) = self.rules.addresses.get(&id) else { return Ok(()) };
        let second =
            addresses.main.iter().chain(&addresses.access).filter(|address| address.text.contains(':'));
        let host = self.explained.hosts.get(&*view.scope.host.name);
        let sans = host.and_then(|host| host.apiserver_sans.clone()).unwrap_or_default();
        let missing: BTreeSet<(String, Place)> = second
            .filter(|address| !sans.contains(&address.text))
            .map(|address| (address.text.clone(), address.place.clone()))
            .collect();
        for (address, place) in missing {
            self.defect(&place, format!("{address} is not in the certificates of the API servers"));
        }
        Ok(())
    }

    fn virtual_ip(&mut self, view: &View<'_>) -> Result<(), Unknown> {
        let Some((address, place)) = view.scope.text("kube_vip_address")? else { return Ok(()) };
        let balancer = view.load_balancer.as_ref().and_then(|balancer| balancer.address.as_ref());
        if balancer.is_none_or(|(balancer, _)| *balancer != address) {
            let message =
                format!("{} is in the certificates, but nobody is told to use it", excerpt(&address));
            self.defect(&place, message);
        }
        Ok(())
    }

    fn kubeconfig(&mut self, view: &View<'_>) -> Result<(), Unknown> {
        let by_ansible = view.scope.switch("kubeconfig_localhost_ansible_host")?;
        let host = self.explained.hosts.get(&*view.scope.host.name);
        let Some(host) = host else { return Ok(()) };
        let server = host.kubeconfig_artifact_server_if_run_here.clone().unwrap_or_default();
        let inner = server.trim_start_matches("https://").rsplit_once(':').map_or("", |(host, _)| host);
        let inner = inner.trim_start_matches('[').trim_end_matches(']');
        let is_named = host.apiserver_sans.iter().flatten().any(|name| name.eq_ignore_ascii_case(inner));
        if let Some((true, place)) = by_ansible
            && !is_named
        {
            let message = format!("the exported kubeconfig says {server}, which is not in the certificates");
            self.defect(&place, message);
        }
        Ok(())
    }

    /// Hosts of which nothing is known become this very machine.
    fn loopback(&mut self, groups: &Groups) {
        let rules = self.rules;
        for (id, addresses) in &rules.addresses {
            let is_unknown = |address: &super::settings::Address| address.origin == Origin::Loopback;
            if let Some(scope) = Scope::new(groups, *id)
                && let Some(address) = addresses.main.iter().find(|address| is_unknown(address))
            {
                let name = &scope.host.name;
                let message =
                    format!("without an address or a fact for {name} Kubespray takes {}", address.text);
                self.defect(&address.place, message);
            }
        }
    }

    /// Variables of the cluster's group do not reach hosts of etcd that are not in it.
    fn scopes(&mut self, groups: &Groups, first: &View<'_>) -> Result<(), Unknown> {
        let rules = self.rules;
        let domain = first.scope.dns_domain()?;
        for id in rules.members.etcd_hosts {
            let Some(scope) = Scope::new(groups, *id) else { continue };
            let own = scope.dns_domain()?;
            if own != domain {
                let message = format!(
                    "the certificate of etcd on {} says etcd.kube-system.svc.{own}: the group's variables with {domain} do \
                     not reach it",
                    scope.host.name
                );
                self.defect(scope.place(), message);
            }
        }
        for (id, _) in rules.addresses.iter().filter(|(id, _)| **id != rules.members.first) {
            let view = rules.view(*id)?;
            if view.secure_port != first.secure_port {
                let message = format!(
                    "{} takes {} for the port of the API servers, which is {}",
                    view.scope.host.name, view.secure_port, first.secure_port
                );
                self.defect(view.scope.place(), message);
            }
        }
        Ok(())
    }

    /// Items of lists that were left out, and addresses of hosts that could not be told.
    fn lists(&mut self, view: &View<'_>) {
        for name in ["supplementary_addresses_in_ssl_keys", "etcd_cert_alt_names", "etcd_cert_alt_ips"] {
            let (_, unknown) = view.scope.texts(name).unwrap_or_default();
            self.unknown(&unknown);
        }
        self.unknown(&self.rules.unknown);
    }

    fn unknown(&mut self, problems: &[Unknown]) {
        for problem in problems {
            let place = Place::new(problem.file.as_str(), problem.line);
            let message = format!("{}; left out", problem.message);
            self.remarks.push(place.remark(RemarkKind::NotEvaluated, message));
        }
    }
}
