//! The rules of the code of today, in the order in which it applies them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Current, Host};
use crate::import::kubespray::groups::{CLUSTER, Groups, HostId};
use crate::import::kubespray::scope::{Scope, Unknown};
use crate::import::kubespray::settings::{
    Addresses, LoadBalancer, Members, Placed, first_of_range, is_address, wrapped,
};

/// Where API servers listen.
pub(in crate::import::kubespray) const SECURE_PORT: u16 = 6443;
/// Their bind address, which the code compares with as text.
pub(in crate::import::kubespray) const BIND_ADDRESS: &str = "::";

/// An inventory by today's rules.
pub(in crate::import::kubespray) struct Rules<'a> {
    groups: &'a Groups,
    pub(in crate::import::kubespray) members: Members<'a>,
    /// By host; all that are in a group of Kubespray's.
    pub(in crate::import::kubespray) addresses: BTreeMap<HostId, Addresses>,
    /// Nodes of the cluster, which hosts of etcd alone are not.
    cluster: BTreeSet<HostId>,
    /// Why hosts that nobody connects to are not among them.
    pub(in crate::import::kubespray) unknown: Vec<Unknown>,
}

/// What decides the endpoints of one host.
pub(in crate::import::kubespray) struct View<'a> {
    pub(in crate::import::kubespray) scope: Scope<'a>,
    pub(in crate::import::kubespray) is_control_plane: bool,
    pub(in crate::import::kubespray) secure_port: u16,
    pub(in crate::import::kubespray) local_port: u16,
    pub(in crate::import::kubespray) load_balancer: Option<LoadBalancer>,
    pub(in crate::import::kubespray) local_balancer: bool,
    pub(in crate::import::kubespray) domain: Option<String>,
    pub(in crate::import::kubespray) bind_address: String,
    /// Where the first control plane is reached.
    pub(in crate::import::kubespray) first_address: String,
}

impl<'a> Rules<'a> {
    /// # Errors
    /// What the rules need is not there or cannot be told.
    pub(in crate::import::kubespray) fn new(groups: &'a Groups, root: &str) -> Result<Self, Vec<Unknown>> {
        let members = Members::of(groups, root).map_err(|problem| vec![problem])?;
        let mut addresses = BTreeMap::new();
        let (mut problems, mut unknown) = (Vec::new(), Vec::new());
        let lists = [members.control_plane, members.nodes, members.reflectors, members.etcd];
        let cluster = groups.members(CLUSTER);
        for id in lists.into_iter().flatten().chain(cluster) {
            let Some(scope) = Scope::new(groups, *id).filter(|_| !addresses.contains_key(id)) else {
                continue;
            };
            match scope.addresses() {
                Ok(found) => {
                    addresses.insert(*id, found);
                }
                Err(problem) if members.is_control_plane(*id) || members.etcd_hosts.contains(id) => {
                    problems.push(problem);
                }
                Err(problem) => unknown.push(problem),
            }
        }
        if problems.is_empty() {
            Ok(Self { groups, members, addresses, cluster: cluster.iter().copied().collect(), unknown })
        } else {
            Err(problems)
        }
    }

    /// # Errors
    /// What a rule needs is not there or cannot be told.
    pub(in crate::import::kubespray) fn explain(&self) -> Result<Current, Vec<Unknown>> {
        let mut hosts = BTreeMap::new();
        let mut problems = Vec::new();
        let (mut etcd_access_addresses, mut kube_apiserver_ip) = (String::new(), String::new());
        for id in self.addresses.keys() {
            let explained = self.view(*id).and_then(|view| {
                if *id == self.members.first {
                    etcd_access_addresses = self.etcd_access_addresses(&view)?;
                    kube_apiserver_ip = service_address(&view.scope)?;
                }
                Ok((view.scope.host.name.to_string(), self.host(*id, &view)?))
            });
            match explained {
                Ok((name, host)) => {
                    hosts.insert(name, host);
                }
                Err(problem) => problems.push(problem),
            }
        }
        problems.sort();
        problems.dedup();
        let explained = Current { etcd_access_addresses, kube_apiserver_ip, hosts };
        if problems.is_empty() { Ok(explained) } else { Err(problems) }
    }

    pub(in crate::import::kubespray) fn view(&self, id: HostId) -> Result<View<'a>, Unknown> {
        let scope = Scope::new(self.groups, id).ok_or_else(no_host)?;
        let secure_port = scope.port("kube_apiserver_port")?.map_or(SECURE_PORT, |(port, _)| port);
        let local_port = scope.port("loadbalancer_apiserver_port")?.map_or(secure_port, |(port, _)| port);
        let load_balancer = scope.load_balancer()?;
        let local_balancer = scope.local_balancer(load_balancer.is_some())?;
        let given = scope.text("apiserver_loadbalancer_domain_name")?.map(|(domain, _)| domain);
        let domain = given.or_else(|| match &load_balancer {
            _ if local_balancer => Some("localhost".to_owned()),
            Some(balancer) => balancer.address.as_ref().map(|(address, _)| address.clone()),
            None => None,
        });
        let bind_address = scope.text("kube_apiserver_bind_address")?;
        let first_address = match scope.text("first_kube_control_plane_address")? {
            Some((address, _)) => address,
            None => self.access_address(self.members.first).to_owned(),
        };
        Ok(View {
            scope,
            is_control_plane: self.members.is_control_plane(id),
            secure_port,
            local_port,
            load_balancer,
            local_balancer,
            domain,
            bind_address: bind_address.map_or_else(|| BIND_ADDRESS.to_owned(), |(address, _)| address),
            first_address,
        })
    }

    fn host(&self, id: HostId, view: &View<'_>) -> Result<Host, Unknown> {
        let endpoint = view.endpoint()?;
        let has_proxy = self.has_proxy(id, view)?;
        let addresses = self.addresses.get(&id).ok_or_else(no_host)?;
        let texts = |of: &[super::super::settings::Address]| of.iter().map(|a| a.text.clone()).collect();
        let is_etcd = self.members.etcd_hosts.contains(&id);
        let own = view.is_control_plane;
        Ok(Host {
            kubeadm_discovery: view.discovery(&endpoint),
            endpoint,
            global_endpoint: view.global_endpoint()?,
            kubeadm_control_plane_endpoint: own
                .then(|| view.control_plane_endpoint(self.main_address(id)))
                .transpose()?,
            local_proxy_installed: has_proxy,
            proxy_listen: has_proxy.then(|| proxy_listen(view)).transpose()?,
            proxy_upstreams: has_proxy.then(|| self.proxy_upstreams(view)),
            main_ips: texts(&addresses.main),
            main_access_ips: texts(&addresses.access),
            etcd_client_url: self.etcd_client_url(id, view)?,
            etcd_cert_dns: is_etcd.then(|| self.etcd_names(view)).transpose()?,
            etcd_cert_ips: is_etcd.then(|| self.etcd_addresses(view)).transpose()?,
            apiserver_sans: own.then(|| self.sans(view)).transpose()?,
            kubeconfig_artifact_server_if_run_here: own.then(|| self.artifact(id, view)).transpose()?,
        })
    }

    /// The host's own address: that of IPv4 when both families are on.
    pub(in crate::import::kubespray) fn main_address(&self, id: HostId) -> &str {
        let main = self.addresses.get(&id).and_then(|addresses| addresses.main.first());
        main.map_or("", |address| address.text.as_str())
    }

    /// Where others reach the host: by IPv4 when both families are on.
    pub(in crate::import::kubespray) fn access_address(&self, id: HostId) -> &str {
        let access = self.addresses.get(&id).and_then(|addresses| addresses.access.first());
        access.map_or("", |address| address.text.as_str())
    }

    /// On nodes of the cluster that have no API server, and on those whose bind address is not the default as text.
    fn has_proxy(&self, id: HostId, view: &View<'_>) -> Result<bool, Unknown> {
        let kind = view.scope.text("loadbalancer_apiserver_type")?;
        let is_known = kind.is_none_or(|(kind, _)| matches!(kind.as_str(), "nginx" | "haproxy"));
        let is_apart = !view.is_control_plane || view.bind_address != BIND_ADDRESS;
        Ok(view.local_balancer && is_known && is_apart && self.cluster.contains(&id))
    }

    fn proxy_upstreams(&self, view: &View<'_>) -> Vec<String> {
        let servers = self.members.control_plane.iter();
        servers.map(|id| format!("{}:{}", wrapped(self.access_address(*id)), view.secure_port)).collect()
    }

    fn etcd_access_addresses(&self, view: &View<'_>) -> Result<String, Unknown> {
        if let Some((given, _)) = view.scope.text("etcd_access_addresses")? {
            return Ok(given);
        }
        let members = self.members.etcd_hosts.iter();
        let urls: Vec<String> =
            members.map(|id| format!("https://{}:2379", wrapped(self.access_address(*id)))).collect();
        Ok(urls.join(","))
    }

    fn etcd_client_url(&self, id: HostId, view: &View<'_>) -> Result<String, Unknown> {
        if let Some((given, _)) = view.scope.text("etcd_client_url")? {
            return Ok(given);
        }
        let given = view.scope.text("etcd_access_address")?;
        let address = given.map_or_else(|| self.access_address(id).to_owned(), |(address, _)| address);
        Ok(format!("https://{}:2379", wrapped(&address)))
    }

    /// One certificate for the cluster, but with the names of the DNS domain as the host itself knows it.
    fn etcd_names(&self, view: &View<'_>) -> Result<Vec<String>, Unknown> {
        let mut names = vec!["localhost".to_owned()];
        for id in self.members.etcd_hosts {
            let member = Scope::new(self.groups, *id).ok_or_else(no_host)?;
            let given = member.text("etcd_access_address")?.map(|(address, _)| address);
            names.extend(given.filter(|address| !is_address(address)));
            names.push(member.host.name.to_string());
        }
        if view.scope.definition("etcd_cert_alt_names").is_some() {
            names.extend(known(view.scope.texts("etcd_cert_alt_names")?));
        } else {
            names.push(format!("etcd.kube-system.svc.{}", view.scope.dns_domain()?));
            names.extend(["etcd.kube-system.svc", "etcd.kube-system", "etcd"].map(str::to_owned));
        }
        Ok(names)
    }

    fn etcd_addresses(&self, view: &View<'_>) -> Result<Vec<String>, Unknown> {
        let of_members = self.members.etcd_hosts.iter().filter_map(|id| self.addresses.get(id));
        let mut addresses: Vec<String> = of_members
            .flat_map(|addresses| addresses.access.iter().chain(&addresses.main))
            .map(|address| address.text.clone())
            .collect();
        addresses.extend(known(view.scope.texts("etcd_cert_alt_ips")?));
        addresses.extend(["127.0.0.1", "::1"].map(str::to_owned));
        Ok(addresses)
    }

    /// Columns, each for all control planes; of texts that differ in case alone the first is kept.
    fn sans(&self, view: &View<'_>) -> Result<Vec<String>, Unknown> {
        let scope = &view.scope;
        let mut sans: Vec<String> =
            ["kubernetes", "kubernetes.default", "kubernetes.default.svc"].map(str::to_owned).to_vec();
        sans.push(format!("kubernetes.default.svc.{}", scope.dns_domain()?));
        sans.push(service_address(scope)?);
        sans.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
        sans.extend(view.domain.clone());
        let balancer = view.load_balancer.as_ref().and_then(|balancer| balancer.address.as_ref());
        sans.extend(balancer.map(|(address, _)| address.clone()));
        sans.extend(known(scope.texts("supplementary_addresses_in_ssl_keys")?));
        let servers = self.members.control_plane;
        sans.extend(servers.iter().map(|id| self.access_address(*id).to_owned()));
        sans.extend(servers.iter().map(|id| self.main_address(*id).to_owned()));
        let scopes: Vec<Scope<'_>> = servers.iter().filter_map(|id| Scope::new(self.groups, *id)).collect();
        for fact in ["ansible_default_ipv4", "ansible_default_ipv6"] {
            for server in &scopes {
                sans.extend(server.fact(fact)?.map(|(address, _)| address));
            }
        }
        for fact in ["ansible_hostname", "ansible_fqdn"] {
            for server in &scopes {
                sans.extend(server.text(fact)?.map(|(name, _)| name));
            }
        }
        let name = scope.text("kube_override_hostname")?.map(|(name, _)| name);
        sans.push(name.unwrap_or_else(|| scope.host.name.to_string()));
        sans.extend(scope.text("kube_vip_address")?.map(|(address, _)| address));
        let mut seen = BTreeSet::new();
        sans.retain(|name| !name.is_empty() && seen.insert(name.to_lowercase()));
        Ok(sans)
    }

    fn artifact(&self, id: HostId, view: &View<'_>) -> Result<String, Unknown> {
        let balancer = view.load_balancer.as_ref();
        let of_balancer = balancer.and_then(|balancer| balancer.address.as_ref());
        let by_ansible = view.scope.switch("kubeconfig_localhost_ansible_host")?;
        let host = match of_balancer {
            Some((address, _)) => address.clone(),
            None if by_ansible.is_some_and(|(is_on, _)| is_on) => {
                let first = Scope::new(self.groups, self.members.first).ok_or_else(no_host)?;
                let given = first.text("ansible_host")?.map(|(host, _)| host);
                given.unwrap_or_else(|| first.host.name.to_string())
            }
            None => match view.scope.text("kube_apiserver_access_address")? {
                Some((address, _)) => address,
                None => self.access_address(id).to_owned(),
            },
        };
        let port = balancer.filter(|_| of_balancer.is_some()).and_then(|balancer| balancer.port.as_ref());
        Ok(format!("https://{}:{}", wrapped(&host), port.map_or(view.secure_port, |(port, _)| *port)))
    }
}

impl View<'_> {
    pub(in crate::import::kubespray) fn balancer_port(&self) -> u16 {
        let port = self.load_balancer.as_ref().and_then(|balancer| balancer.port.as_ref());
        port.map_or(self.secure_port, |(port, _)| *port)
    }

    /// The name of the balancer, without which its endpoint is an error.
    fn balancer_host(&self, balancer: &LoadBalancer) -> Result<&str, Unknown> {
        self.domain.as_deref().ok_or_else(|| {
            let message =
                "loadbalancer_apiserver has no address, and apiserver_loadbalancer_domain_name is not set";
            balancer.place.problem(message, "give the balancer an `address:`, or set the domain name")
        })
    }

    pub(in crate::import::kubespray) fn endpoint(&self) -> Result<String, Unknown> {
        if let Some((given, _)) = self.scope.text("kube_apiserver_endpoint")? {
            return Ok(given);
        }
        if let Some(balancer) = &self.load_balancer {
            let host = wrapped(self.balancer_host(balancer)?);
            return Ok(format!("https://{host}:{}", self.balancer_port()));
        }
        if !self.is_control_plane && self.local_balancer {
            return Ok(format!("https://localhost:{}", self.local_port));
        }
        if self.is_control_plane {
            // Right for the wildcard alone: of other IPv6 addresses it leaves a ruin.
            let host = wrapped(&self.bind_address.replace("::", "127.0.0.1"));
            return Ok(format!("https://{host}:{}", self.secure_port));
        }
        Ok(format!("https://{}:{}", wrapped(&self.first_address), self.secure_port))
    }

    fn global_endpoint(&self) -> Result<String, Unknown> {
        if let Some((given, _)) = self.scope.text("kube_apiserver_global_endpoint")? {
            return Ok(given);
        }
        if let Some(balancer) = &self.load_balancer {
            let host = wrapped(self.balancer_host(balancer)?);
            return Ok(format!("https://{host}:{}", self.balancer_port()));
        }
        if self.local_balancer {
            return Ok(format!("https://localhost:{}", self.local_port));
        }
        Ok(format!("https://{}:{}", wrapped(&self.first_address), self.secure_port))
    }

    /// The endpoint, unless it looks like one of this machine.
    fn discovery(&self, endpoint: &str) -> String {
        if endpoint.contains("127.0.0.1") || endpoint.contains("localhost") {
            return format!("{}:{}", wrapped(&self.first_address), self.secure_port);
        }
        endpoint.replace("https://", "")
    }

    fn control_plane_endpoint(&self, own: &str) -> Result<String, Unknown> {
        match &self.load_balancer {
            // Without brackets, whatever the name is.
            Some(balancer) => Ok(format!("{}:{}", self.balancer_host(balancer)?, self.balancer_port())),
            None => Ok(format!("{}:{}", wrapped(own), self.secure_port)),
        }
    }
}

fn proxy_listen(view: &View<'_>) -> Result<Vec<String>, Unknown> {
    let (_, v6) = view.scope.stacks()?;
    let hosts = ["127.0.0.1"].into_iter().chain(v6.then_some("[::1]"));
    Ok(hosts.map(|host| format!("{host}:{}", view.local_port)).collect())
}

/// The address of the service `kubernetes`.
fn service_address(scope: &Scope<'_>) -> Result<String, Unknown> {
    if let Some((given, _)) = scope.text("kube_apiserver_ip")? {
        return Ok(given);
    }
    let ranges = scope.service_ranges()?;
    ranges.first().map_or_else(|| Err(no_host()), first_of_range)
}

/// The texts that are known; the others are told apart.
fn known((texts, _): (Vec<Placed>, Vec<Unknown>)) -> Vec<String> {
    texts.into_iter().map(|(text, _)| text).collect()
}

fn no_host() -> Unknown {
    crate::import::Place::new("", None).problem("a host that is not there", "this is a bug in bowline")
}
