//! What a valid description and its plan still leave to be desired.

use core::net::IpAddr;
use core::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::cluster::{AdminListen, Cluster, Mode, NodeRole};
use crate::plan::{Listener, Plan};
use crate::planner::is_served_by_own_api_server;
use crate::problem::Problem;
use crate::source::Path;

mod codes;
mod spof;
mod unserved;

use codes::Code;
pub use codes::{finding_codes, findings_markdown};
pub use spof::{Lost, Spof, spof};
pub use unserved::unserved;

/// Nodes that a message names.
const NODES_NAMED: usize = 5;

/// Kubernetes' clients give up a TLS handshake after this (`net/http`'s default transport in Go).
const CLIENT_HANDSHAKE: Duration = Duration::from_secs(10);

/// How much a finding matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The plan cannot work as described.
    Error,
    /// It works, until something fails that should be survived.
    Warning,
    /// Good to know.
    Info,
}

/// Something to consider.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
pub struct Finding {
    /// What kind, in kebab-case.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// The file as the user named it.
    pub file: String,
    /// Counted from 1.
    pub line: Option<u32>,
    /// The field.
    pub path: String,
    /// What there is to know.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

/// Everything worth saying about a description and its plan, worst first.
pub fn lint(cluster: &Cluster, plan: &Plan) -> Vec<Finding> {
    let mut lint = Lint { cluster, findings: Vec::new() };
    lint.not_served_yet();
    lint.port_clashes(plan);
    lint.service_ranges();
    lint.single_points_of_failure();
    lint.etcd_count();
    lint.unused();
    lint.balancing();
    lint.control_plane_not_ha();
    lint.external_balancers();
    lint.no_effect_yet();
    lint.findings.sort_by_key(|finding| (finding.severity, finding.line));
    lint.findings
}

impl Severity {
    /// As printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

struct Lint<'a> {
    cluster: &'a Cluster,
    findings: Vec<Finding>,
}

fn spec() -> Path {
    Path::root().key("spec")
}

fn side(name: &str) -> Path {
    spec().key("access").key(name)
}

impl Lint<'_> {
    fn add(&mut self, code: Code, path: &Path, message: impl Into<String>, remedy: impl Into<String>) {
        self.add_problem(code, self.cluster.source.problem(path, message.into(), remedy.into()));
    }

    fn add_problem(&mut self, code: Code, problem: Problem) {
        let Code { name, severity, .. } = code;
        let Problem { file, line, column: _, path, message, remedy } = problem;
        self.findings.push(Finding { code: name, severity, file, line, path, message, remedy });
    }

    fn not_served_yet(&mut self) {
        for problem in unserved(self.cluster) {
            self.add_problem(Code::NOT_SERVED_YET, problem);
        }
    }

    /// Listeners that cannot be opened because something else on the node has the port.
    fn port_clashes(&mut self, plan: &Plan) {
        let cluster = self.cluster;
        let api_port = cluster.api_server().port.get();
        let bind = cluster.api_server().bind_address;
        let etcd_port = cluster.etcd().client_port.get();
        let (mut with_api_server, mut with_etcd, mut with_admin) = (Vec::new(), Vec::new(), Vec::new());
        for node in cluster.nodes() {
            let Some(plan) = plan.nodes.get(&node.name) else { continue };
            let clashes = |is_taken: &dyn Fn(&Listener) -> bool| plan.listeners.iter().any(is_taken);
            let covers = |address: IpAddr| bind.is_unspecified() || bind == address;
            let has = |role| node.roles.contains(&role);
            if has(NodeRole::ControlPlane) && clashes(&|l| l.port == api_port && covers(l.address)) {
                with_api_server.push(node.name.as_str());
            }
            if has(NodeRole::Etcd) && clashes(&|l| l.port == etcd_port) {
                with_etcd.push(node.name.as_str());
            }
            if let AdminListen::Tcp(admin) = cluster.admin()
                && clashes(&|l| (l.address, l.port) == (admin.ip(), admin.port()))
            {
                with_admin.push(node.name.as_str());
            }
        }
        let access = spec().key("access");
        for (nodes, other, path, remedy) in [
            (
                with_api_server,
                format!("the API server (port {api_port} of {bind})"),
                &access,
                "give the side in mode load-balancer another `port:`, keep balancers off the control planes, or set \
                 spec.apiServer.bindAddress to a single address",
            ),
            (with_etcd, format!("etcd (port {etcd_port})"), &access, "give the access another `port:`"),
            (
                with_admin,
                format!("the admin listener {}", cluster.admin()),
                &spec().key("admin").key("listen"),
                "give one of the two another port",
            ),
        ] {
            if !nodes.is_empty() {
                let message = format!("a listener on {} needs a port that {other} has", named(&nodes));
                self.add(Code::PORT_CLASH, path, message, remedy);
            }
        }
    }

    fn service_ranges(&mut self) {
        let ranges = &self.cluster.kubernetes().service_cidrs;
        let range_of = |address: &IpAddr| ranges.iter().find(|range| range.contains(*address));
        for (index, node) in self.cluster.nodes().iter().enumerate() {
            let own = node.addresses.iter().copied().chain(node.access_address);
            if let Some((address, range)) =
                own.into_iter().find_map(|address| Some((address, range_of(&address)?)))
            {
                let path = spec().key("nodes").index(index);
                let message =
                    format!("address {address} of node {} lies in the service range {range}", node.name);
                self.add(
                    Code::ADDRESS_IN_SERVICE_RANGE,
                    &path,
                    message,
                    "use another address or another range",
                );
            }
        }
        for (index, vip) in self.cluster.virtual_ips().iter().enumerate() {
            for (address, range) in
                vip.addresses.iter().filter_map(|address| Some((address, range_of(address)?)))
            {
                let path = spec().key("virtualIPs").index(index).key("address");
                let message = format!("virtual IP {address} lies in the service range {range}");
                self.add(
                    Code::ADDRESS_IN_SERVICE_RANGE,
                    &path,
                    message,
                    "use another address or another range",
                );
            }
        }
    }

    fn single_points_of_failure(&mut self) {
        let cluster = self.cluster;
        let mut control_planes = cluster.with_role(NodeRole::ControlPlane);
        let first = control_planes.next();
        if let (Some(only), None) = (first, control_planes.next()) {
            let message = format!("{} runs the only API server", only.name);
            let remedy = "give two more nodes the role control-plane";
            self.add(Code::SINGLE_API_SERVER, &spec().key("nodes"), message, remedy);
        }
        let balancers: Vec<&str> =
            cluster.with_role(NodeRole::LoadBalancer).map(|node| node.name.as_str()).collect();
        for (name, access) in [("internal", cluster.internal()), ("external", cluster.external())] {
            let path = side(name).key("mode");
            match (&access.mode, balancers.as_slice()) {
                (Mode::Direct, _) => {
                    let node = first.map(|node| node.name.as_str()).unwrap_or_default();
                    let message = format!("{name} clients use the API server of {node} alone");
                    let remedy = "give a node the role load-balancer, describe a virtual IP, or use an external balancer";
                    self.add(Code::SPOF, &path, message, remedy);
                }
                (Mode::LoadBalancer, [only]) => {
                    let message = format!("{name} clients use the balancer {only} alone");
                    self.add(Code::SPOF, &path, message, "give another node the role load-balancer");
                }
                (Mode::LoadBalancer, [first, ..]) if name == "external" && access.names.is_empty() => {
                    let message =
                        format!("without a name, external clients use the first balancer, {first}, alone");
                    let remedy =
                        "give `names:` that resolve to all balancers, or describe a virtual IP on them";
                    self.add(Code::SPOF, &side(name), message, remedy);
                }
                (Mode::VirtualIp(chosen), _) => {
                    for vip in chosen.iter().filter_map(|index| cluster.virtual_ips().get(*index)) {
                        if let [only] = vip.on.as_slice() {
                            let message = format!("virtual IP {} can be on {only} alone", vip.name);
                            self.add(Code::SPOF, &path, message, "let it be on at least two nodes");
                        }
                    }
                }
                (Mode::LoadBalancer | Mode::NodeLocal | Mode::External(_), _) => {}
            }
        }
    }

    fn etcd_count(&mut self) {
        let count = self.cluster.with_role(NodeRole::Etcd).count();
        if count > 0 && count.is_multiple_of(2) {
            let message =
                format!("{count} etcd members survive as many failures as {}", count.saturating_sub(1));
            self.add(Code::ETCD_COUNT_EVEN, &spec().key("nodes"), message, "use 3 or 5");
        }
    }

    fn unused(&mut self) {
        let cluster = self.cluster;
        let modes = [&cluster.internal().mode, &cluster.external().mode];
        let balancers: Vec<&str> =
            cluster.with_role(NodeRole::LoadBalancer).map(|node| node.name.as_str()).collect();
        let holds_vip =
            |name: &str| cluster.virtual_ips().iter().any(|vip| vip.on.iter().any(|node| node == name));
        if !modes.contains(&&Mode::LoadBalancer) && balancers.iter().any(|name| !holds_vip(name)) {
            let message = format!("nobody uses the balancers on {}", named(&balancers));
            let remedy = "say `mode: load-balancer` for the side that should, or take the role away";
            self.add(Code::BALANCER_UNUSED, &spec().key("access"), message, remedy);
        }
        for (index, vip) in cluster.virtual_ips().iter().enumerate() {
            let is_used =
                modes.iter().any(|mode| matches!(mode, Mode::VirtualIp(chosen) if chosen.contains(&index)));
            if !is_used {
                let message = format!("nobody uses virtual IP {}", vip.name);
                let remedy = "say `mode: virtual-ip` for the side that should, or remove it";
                self.add(Code::VIRTUAL_IP_UNUSED, &spec().key("virtualIPs").index(index), message, remedy);
            }
        }
    }

    fn balancing(&mut self) {
        let cluster = self.cluster;
        if cluster.api_server().ca_file.is_none() {
            let message = "no CA: the certificates of the API servers are not verified";
            let remedy = "give `caFile:`, usually /etc/kubernetes/pki/ca.crt";
            self.add(Code::NO_CA, &spec().key("apiServer").key("caFile"), message, remedy);
        }
        if cluster.balancing().hold >= CLIENT_HANDSHAKE {
            let message = "clients give up a TLS handshake after 10s, before they would be let go";
            self.add(Code::HOLD_TOO_LONG, &spec().key("balancing").key("hold"), message, "set it below 10s");
        }
    }

    fn control_plane_not_ha(&mut self) {
        let cluster = self.cluster;
        let port = cluster.internal().port;
        match cluster.internal().mode {
            Mode::NodeLocal | Mode::LoadBalancer => {}
            Mode::VirtualIp(_) | Mode::External(_) | Mode::Direct => return,
        }
        let alone: Vec<&str> = cluster
            .with_role(NodeRole::ControlPlane)
            .filter(|node| is_served_by_own_api_server(cluster, node, port))
            .map(|node| node.name.as_str())
            .collect();
        if alone.len() > 1 {
            let message =
                format!("components on {} use their own API server alone, at port {port}", named(&alone));
            let remedy = "set another port than the API servers', and point the components there at it";
            self.add(Code::CONTROL_PLANE_NOT_HA, &side("internal").key("port"), message, remedy);
        }
    }

    fn external_balancers(&mut self) {
        for (name, access) in [("internal", self.cluster.internal()), ("external", self.cluster.external())] {
            if let Mode::External(hosts) = &access.mode {
                let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
                let message =
                    format!("{name} clients depend on {}, which is not described here", hosts.join(", "));
                let remedy = "make sure that it is redundant and that it checks /readyz over TLS";
                self.add(Code::EXTERNAL_BALANCER_UNKNOWN, &side(name), message, remedy);
            }
        }
    }

    fn no_effect_yet(&mut self) {
        for path in unserved::without_effect(self.cluster) {
            if self.cluster.source.has(&path) {
                self.add(
                    Code::NO_EFFECT_YET,
                    &path,
                    "this version does not act on it",
                    "leave it out, or leave it be",
                );
            }
        }
    }
}

/// The first few of a list of nodes, and how many more there are.
fn named(nodes: &[&str]) -> String {
    let shown: Vec<&str> = nodes.iter().take(NODES_NAMED).copied().collect();
    match nodes.len().saturating_sub(NODES_NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
