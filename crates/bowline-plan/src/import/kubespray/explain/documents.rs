//! What two older documents of Kubespray say: its page on high availability of December 2019, and that of October 2016,
//! when the project was called Kargo. The code of their day did not always do what they say; each difference is a remark.

use core::net::IpAddr;
use core::str::FromStr;
use std::collections::{BTreeMap, BTreeSet};

use super::{Document, DocumentHost};
use crate::import::kubespray::groups::{Groups, HostId};
use crate::import::kubespray::scope::{Scope, Unknown};
use crate::import::kubespray::settings::{LoadBalancer, Members, wrapped};
use crate::import::{Place, Remark, RemarkKind};

/// The name that an external balancer had when it was given none.
pub(in crate::import::kubespray) const DEFAULT_DOMAIN: &str = "lb-apiserver.kubernetes.local";
/// Where API servers took plain HTTP.
const INSECURE_PORT: u16 = 8080;

/// Whose table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::import::kubespray) enum Table {
    Doc2019,
    Kargo,
}

impl Table {
    /// Where API servers listen unless the inventory says otherwise.
    pub(in crate::import::kubespray) fn secure_port(self) -> u16 {
        match self {
            Self::Doc2019 => 6443,
            Self::Kargo => 443,
        }
    }
}

/// What decides the endpoints of one host. The names are those of the documents' legends.
struct View<'a> {
    table: Table,
    scope: Scope<'a>,
    is_control_plane: bool,
    /// `m[0].aip`.
    first: String,
    /// `sp`.
    secure_port: u16,
    /// `nsp`.
    local_port: u16,
    /// `p`.
    insecure_port: u16,
    load_balancer: Option<LoadBalancer>,
    local_balancer: bool,
    /// `lb`.
    domain: String,
    /// `bip`.
    bind_address: String,
}

/// The answers of the table, and where the code of its day gave others.
///
/// # Errors
/// What the table needs is not there or cannot be told.
pub(in crate::import::kubespray) fn explain(
    groups: &Groups,
    root: &str,
    table: Table,
) -> Result<(Document, Vec<Remark>), Vec<Unknown>> {
    let members = Members::of(groups, root).map_err(|problem| vec![problem])?;
    let first = first_address(groups, members.first).map_err(|problem| vec![problem])?;
    let mut hosts = BTreeMap::new();
    let (mut problems, mut remarks) = (Vec::new(), Vec::new());
    let mut external = None;
    let lists = [members.control_plane, members.nodes, members.reflectors, members.etcd];
    let ids: BTreeSet<HostId> = lists.into_iter().flatten().copied().collect();
    // The code's difference is told once for each kind of host.
    let mut told = BTreeSet::new();
    for id in ids {
        let Some(scope) = Scope::new(groups, id) else { continue };
        match View::new(scope, table, members.is_control_plane(id), &first) {
            Ok(view) => {
                let endpoint = view.endpoint();
                let code = view.endpoint_in_code();
                if !is_same(&endpoint, &code) && told.insert((view.is_control_plane, code.clone())) {
                    let kind = if view.is_control_plane { "control planes" } else { "other hosts" };
                    let message = format!(
                        "the document says {endpoint} for {kind} such as {}; the code of its day said {code}",
                        scope.host.name
                    );
                    remarks.push(view.place().remark(RemarkKind::Differs, message));
                }
                if id == members.first {
                    external = view.external(&mut remarks);
                }
                hosts.insert(scope.host.name.to_string(), DocumentHost { endpoint });
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems.sort();
    problems.dedup();
    if problems.is_empty() { Ok((Document { hosts, external }, remarks)) } else { Err(problems) }
}

/// `access_ip`, else `ip`, else the default route.
fn first_address(groups: &Groups, first: HostId) -> Result<String, Unknown> {
    let Some(scope) = Scope::new(groups, first) else { return Ok(String::new()) };
    for name in ["access_ip", "ip"] {
        if let Some((address, _)) = scope.text(name)? {
            return Ok(address);
        }
    }
    scope.fact("ansible_default_ipv4")?.map(|(address, _)| address).ok_or_else(|| {
        let message = format!(
            "nothing says where {} is reached: it has neither access_ip, ip nor facts",
            scope.host.name
        );
        scope.place().problem(message, "give it `ip`, or name a file of facts: --facts FILE")
    })
}

/// Two spellings of this machine are no difference.
fn is_same(document: &str, code: &str) -> bool {
    document.replace("//localhost:", "//127.0.0.1:") == code.replace("//localhost:", "//127.0.0.1:")
}

impl<'a> View<'a> {
    fn new(scope: Scope<'a>, table: Table, is_control_plane: bool, first: &str) -> Result<Self, Unknown> {
        let port = |name: &str| Ok(scope.port(name)?.map(|(port, _)| port));
        let secure_port = port("kube_apiserver_port")?.unwrap_or(table.secure_port());
        let insecure_port = port("kube_apiserver_insecure_port")?.unwrap_or(INSECURE_PORT);
        let load_balancer = scope.load_balancer()?;
        let (local_port, local_balancer) = match table {
            Table::Doc2019 => {
                let given = port("loadbalancer_apiserver_port")?;
                (given.unwrap_or(secure_port), scope.local_balancer(load_balancer.is_some())?)
            }
            Table::Kargo => {
                let given = scope.switch("loadbalancer_apiserver_localhost")?;
                (secure_port, given.is_some_and(|(is_on, _)| is_on))
            }
        };
        let domain = scope.text("apiserver_loadbalancer_domain_name")?;
        let bind = match table {
            Table::Doc2019 => scope.text("kube_apiserver_bind_address")?.map(|(address, _)| address),
            Table::Kargo => None,
        };
        let is_wildcard =
            |text: &String| IpAddr::from_str(text).is_ok_and(|address| address.is_unspecified());
        Ok(Self {
            table,
            scope,
            is_control_plane,
            first: first.to_owned(),
            secure_port,
            local_port,
            insecure_port,
            load_balancer,
            local_balancer,
            domain: domain.map_or_else(|| DEFAULT_DOMAIN.to_owned(), |(domain, _)| domain),
            bind_address: bind.filter(|text| !is_wildcard(text)).unwrap_or_else(|| "127.0.0.1".to_owned()),
        })
    }

    fn place(&self) -> Place {
        let balancer = self.load_balancer.as_ref().map(|balancer| balancer.place.clone());
        balancer.unwrap_or_else(|| self.scope.place().clone())
    }

    fn balancer_port(&self, balancer: &LoadBalancer) -> u16 {
        balancer.port.as_ref().map_or(self.secure_port, |(port, _)| *port)
    }

    fn balancer_endpoint(&self, balancer: &LoadBalancer) -> String {
        format!("https://{}:{}", wrapped(&self.domain), self.balancer_port(balancer))
    }

    fn first_endpoint(&self) -> String {
        format!("https://{}:{}", wrapped(&self.first), self.secure_port)
    }

    /// By the table.
    fn endpoint(&self) -> String {
        match (self.table, &self.load_balancer) {
            (Table::Doc2019, _) if self.is_control_plane => {
                format!("https://{}:{}", wrapped(&self.bind_address), self.secure_port)
            }
            (Table::Doc2019 | Table::Kargo, Some(balancer)) => self.balancer_endpoint(balancer),
            (Table::Kargo, None) if self.is_control_plane => {
                format!("http://localhost:{}", self.insecure_port)
            }
            (Table::Doc2019 | Table::Kargo, None) if self.local_balancer => {
                format!("https://localhost:{}", self.local_port)
            }
            (Table::Doc2019 | Table::Kargo, None) => self.first_endpoint(),
        }
    }

    /// By the code of the document's day, which did not look at a balancer without a port.
    fn endpoint_in_code(&self) -> String {
        let with_port = self.load_balancer.as_ref().filter(|balancer| balancer.port.is_some());
        // No address was put into brackets.
        let first = format!("https://{}:{}", self.first, self.secure_port);
        match (self.table, with_port) {
            (Table::Doc2019 | Table::Kargo, Some(balancer)) => {
                format!("https://{}:{}", self.domain, self.balancer_port(balancer))
            }
            (Table::Doc2019, None) if !self.is_control_plane && self.local_balancer => {
                format!("https://localhost:{}", self.local_port)
            }
            (Table::Doc2019, None) if self.is_control_plane => {
                format!("https://{}:{}", self.bind_address, self.secure_port)
            }
            (Table::Kargo, None) if self.is_control_plane && self.load_balancer.is_none() => {
                format!("http://127.0.0.1:{}", self.insecure_port)
            }
            // Kargo's local balancer was forced off for everybody by a condition in the wrong place.
            (Table::Doc2019 | Table::Kargo, None) => first,
        }
    }

    /// What users outside of the cluster use.
    fn external(&self, remarks: &mut Vec<Remark>) -> Option<String> {
        match self.table {
            Table::Kargo => return None,
            Table::Doc2019 => {}
        }
        let Some(balancer) = &self.load_balancer else { return Some(self.first_endpoint()) };
        let endpoint = self.balancer_endpoint(balancer);
        let host = balancer.address.as_ref().map_or(self.first.as_str(), |(address, _)| address.as_str());
        let both = balancer.address.as_ref().and(balancer.port.as_ref());
        let port = both.map_or(self.secure_port, |(port, _)| *port);
        let code = format!("https://{host}:{port}");
        if !is_same(&endpoint, &code) {
            let message = format!(
                "the document says {endpoint} for users outside of the cluster; the code of its day wrote {code} into the kubeconfig"
            );
            remarks.push(balancer.place.remark(RemarkKind::Differs, message));
        }
        if self.local_balancer {
            let message = "the document calls a local and an external balancer mutually exclusive; both are on, and the \
                           external one is taken";
            remarks.push(balancer.place.remark(RemarkKind::SourceDefect, message));
        }
        Some(endpoint)
    }
}
