//! From what the charms decide to a description of equal or better effect.
//!
//! Where everybody is sent to an address that moves, or to somebody else's balancer, the description says the same. Where the
//! charms send everybody to one machine of several, it has them all.

use core::net::IpAddr;
use core::str::FromStr;
use std::collections::{BTreeMap, BTreeSet};

use super::bundle::place;
use super::era;
use super::explain::Endpoint;
use super::model::{API_PORT, Model};
use super::topology::{self, ETCD, Part, Placed, Topology, WORKER};
use crate::description::{AccessSide, Mode, Node, Placement, Role, VirtualIp};
use crate::import::{Draft, Place, Remark, RemarkKind};

/// Of the charms' option `service-cidr`.
const SERVICE_CIDR: &str = "10.152.183.0/24";
/// Of the charms' option `dns_domain`.
const DNS_DOMAIN: &str = "cluster.local";
/// Of the keepalived charm's option `router_id`.
pub(super) const ROUTER_ID: u8 = 23;
/// What keepalived takes when its file says nothing, as the charm's does; ours is ten times as fast.
const KEEPALIVED_INTERVAL: &str = "1s";

/// Where an advertised address leads.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Target {
    /// An address that moves, by its index.
    Virtual(usize),
    Balancer,
    ControlPlane,
    /// Nothing that the bundle knows: somebody else's balancer, or a name.
    Foreign,
}

/// An address that moves between machines, and who has it.
struct Moving {
    address: IpAddr,
    /// What clients may call it instead.
    name: Option<String>,
}

pub(super) struct Describer<'a, 'b, 't> {
    pub(super) topology: &'a Topology<'b, 't>,
    pub(super) model: &'a Model,
    pub(super) draft: Draft,
    moving: Vec<Moving>,
}

impl<'a, 'b, 't> Describer<'a, 'b, 't> {
    pub(super) fn new(topology: &'a Topology<'b, 't>, model: &'a Model, remarks: Vec<Remark>) -> Self {
        let mut draft = Draft::new();
        for remark in remarks {
            draft.remark(remark.kind, &Place::new(remark.file, remark.line), remark.message);
        }
        Self { topology, model, draft, moving: Vec::new() }
    }

    /// The whole description.
    pub(super) fn describe(mut self) -> Draft {
        self.kubernetes();
        self.nodes();
        self.keepalived();
        self.hacluster();
        let internal = self.side(&self.model.internal_endpoints(), true);
        let external = self.side(&self.model.external_endpoints(), false);
        self.draft.spec.access.internal = internal;
        self.draft.spec.access.external = external;
        self.extra_sans();
        self.draft
    }

    fn kubernetes(&mut self) {
        let application = self.topology.control_plane.application;
        let channels = [application.option("channel").map(|(text, _)| text), application.channel];
        let minor = channels.into_iter().flatten().find_map(era::minor);
        let reported = self.topology.status.applications.get(self.topology.control_plane.name);
        let minor = minor.or_else(|| reported?.version.as_deref().and_then(era::minor));
        match minor {
            Some(minor) => self.draft.spec.kubernetes.version = Some(format!("1.{minor}")),
            None => {
                let message = "no channel names the version of Kubernetes: bowline's default is taken";
                self.draft.remark(RemarkKind::Assumed, &place(&application.at), message);
            }
        }
        if let Some((domain, at)) = application.option("dns_domain") {
            self.draft.spec.kubernetes.dns_domain = Some(domain.to_owned());
            self.draft.came_from("spec.kubernetes.dnsDomain", &at);
        }
        let (cidrs, at) =
            application.option("service-cidr").unwrap_or((SERVICE_CIDR, place(&application.at)));
        let cidrs = cidrs.split(',').map(|cidr| cidr.trim().to_owned());
        self.draft.spec.kubernetes.service_cidrs = Some(cidrs.collect());
        self.draft.came_from("spec.kubernetes.serviceCIDRs", &at);
        self.extra_args();
    }

    /// Of the API server's flags, those that the charms do not know of although they listen by them.
    fn extra_args(&mut self) {
        let application = self.topology.control_plane.application;
        let Some((args, at)) = application.option("api-extra-args") else { return };
        for (key, value) in args.split_whitespace().filter_map(|arg| arg.split_once('=')) {
            match key.trim_start_matches('-') {
                "secure-port" => match value.parse() {
                    Ok(port) => {
                        self.draft.spec.api_server.port = Some(port);
                        let message = format!(
                            "secure-port {port}: the charms send everybody to {API_PORT} all the same"
                        );
                        self.draft.remark(RemarkKind::SourceDefect, &at, message);
                    }
                    Err(_) => {
                        let message = format!("secure-port {value} is no port");
                        self.draft.remark(RemarkKind::NotUnderstood, &at, message);
                    }
                },
                "bind-address" => {
                    self.draft.spec.api_server.bind_address = Some(value.to_owned());
                    self.draft.came_from("spec.apiServer.bindAddress", &at);
                }
                "advertise-address" => {
                    let message = format!(
                        "advertise-address={value} is for the in-cluster Service, which is left alone"
                    );
                    self.draft.remark(RemarkKind::NotUnderstood, &at, message);
                }
                _ => {}
            }
        }
    }

    /// One node for each machine, in the order in which their first units are met.
    fn nodes(&mut self) {
        let topology = self.topology;
        let mut units: Vec<(Role, Placed)> = Vec::new();
        let part = |part: &Part<'_, '_>, role: Role| -> Vec<(Role, Placed)> {
            part.units.iter().map(|unit| (role, unit.clone())).collect()
        };
        units.extend(part(&topology.control_plane, Role::ControlPlane));
        units.extend(self.charm(&ETCD, Role::Etcd));
        for balancer in topology.balancer.iter().chain(&topology.outer_balancer) {
            units.extend(part(balancer, Role::LoadBalancer));
        }
        units.extend(self.charm(&WORKER, Role::Worker));
        let mut positions: BTreeMap<String, usize> = BTreeMap::new();
        let mut nodes: Vec<Node> = Vec::new();
        for (role, unit) in units {
            let position = positions.get(&unit.machine).copied().unwrap_or(nodes.len());
            match nodes.get_mut(position) {
                Some(node) => node.roles.get_or_insert_default().push(role),
                None => {
                    nodes.push(self.node(&unit, role));
                    self.draft.came_from(format!("spec.nodes[{position}]"), &unit.place);
                    positions.insert(unit.machine, position);
                }
            }
        }
        self.draft.spec.nodes = Some(nodes);
    }

    fn charm(&mut self, charms: &[&str], role: Role) -> Vec<(Role, Placed)> {
        let topology = self.topology;
        let mut remarks = Vec::new();
        let mut found = Vec::new();
        for (name, application) in topology.bundle.with_charm(charms) {
            let units = topology::units(name, application, topology.status, &topology.not_own, &mut remarks);
            found.extend(units.into_iter().map(|unit| (role, unit)));
            if let (Role::Etcd, Some((port, at))) = (role, application.option("port")) {
                self.draft.spec.etcd.client_port = port.parse().ok();
                self.draft.came_from("spec.etcd.clientPort", &at);
            }
        }
        for remark in remarks {
            self.draft.remark(remark.kind, &Place::new(remark.file, remark.line), remark.message);
        }
        found
    }

    fn node(&mut self, unit: &Placed, role: Role) -> Node {
        let machine = self.topology.status.machines.get(&unit.machine);
        let hostname = machine.map(|machine| machine.hostname.to_ascii_lowercase()).unwrap_or_default();
        let name = if hostname.is_empty() {
            let name = format!("machine-{}", unit.machine.replace('/', "-"));
            let message =
                format!("machine {} has no host name in the status: it is called {name}", unit.machine);
            self.draft.remark(RemarkKind::Assumed, &unit.place, message);
            name
        } else {
            hostname
        };
        let mut addresses = self.topology.status.own_addresses(&unit.machine, &self.topology.not_own);
        if addresses.is_empty() {
            addresses.extend(unit.ingress);
        }
        let access = unit.ingress.filter(|ingress| addresses.first() != Some(ingress));
        let public = unit.public.filter(|public| Some(*public) != unit.ingress);
        Node {
            name: Some(name),
            roles: Some(vec![role]),
            addresses: addresses.iter().map(IpAddr::to_string).collect(),
            access_address: access.map(|address| address.to_string()),
            public_address: public.map(|address| address.to_string()),
        }
    }

    fn keepalived(&mut self) {
        let Some((_, application)) = self.topology.keepalived else { return };
        let Some((vip, at)) = application.option("virtual_ip") else {
            let message =
                "keepalived without virtual_ip: the charm is blocked, and there is no virtual address";
            self.draft.remark(RemarkKind::SourceDefect, &place(&application.at), message);
            return;
        };
        let hosts = self.topology.keepalived_hosts();
        if hosts.is_empty() {
            let message =
                "keepalived is subordinate to no balancer or control plane: its address is left out";
            self.draft.remark(RemarkKind::NotUnderstood, &place(&application.at), message);
            return;
        }
        let parts: Vec<&Part<'_, '_>> = hosts.into_values().collect();
        let number = application.option("router_id").and_then(|(text, _)| text.parse().ok());
        let is_v6 = vip.contains(':');
        let entry = VirtualIp {
            version: Some(if is_v6 { 3 } else { 2 }),
            interval: is_v6.then(|| crate::description::DurationText(KEEPALIVED_INTERVAL.to_owned())),
            vrid: Some(number.unwrap_or(ROUTER_ID)),
            interface: application.option("network_interface").map(|(text, _)| text.to_owned()),
            ..VirtualIp::default()
        };
        let name = application.option("vip_hostname").map(|(name, _)| name.to_ascii_lowercase());
        self.virtual_ip(entry, vip, name, &parts, &at);
        let message = "adverts stay those of keepalived (VRRP 2, every second), so that machines can move over one by one; \
                       with `version: 3` and no interval the address moves in a third of a second";
        self.draft.remark(RemarkKind::Differs, &at, message);
        let message = "keepalived returns the address to its leader as soon as that is back, a second interruption; \
                       here it stays (preempt: false), and it follows the API servers, not a port on the machine itself";
        self.draft.remark(RemarkKind::Differs, &at, message);
    }

    fn hacluster(&mut self) {
        let topology = self.topology;
        let parts =
            [Some(&topology.control_plane), topology.balancer.as_ref(), topology.outer_balancer.as_ref()];
        for part in parts.into_iter().flatten() {
            let forced = topology.forced(part);
            let Some((_, at)) = part.application.option("ha-cluster-vip") else { continue };
            if !forced.is_ha_related {
                continue;
            }
            for vip in &forced.ha_cluster_vip {
                self.virtual_ip(VirtualIp::default(), vip, None, &[part], &at);
            }
            if forced.ha_cluster_vip.len() > 1 {
                let message = "pacemaker keeps all these addresses on one machine; here they are spread";
                self.draft.remark(RemarkKind::Differs, &at, message);
            }
            let message = "pacemaker and corosync are replaced by VRRP: no quorum is needed, and the address follows the \
                           API servers within a second; remove hacluster before, or both will hold it";
            self.draft.remark(RemarkKind::Differs, &at, message);
        }
    }

    fn virtual_ip(
        &mut self,
        entry: VirtualIp,
        vip: &str,
        name: Option<String>,
        parts: &[&Part<'_, '_>],
        at: &Place,
    ) {
        let text = vip.split('/').next().unwrap_or_default();
        let position = self.draft.spec.virtual_ips.len();
        let Ok(address) = IpAddr::from_str(text) else {
            // It stays as it is written, for the description to be refused where it came from.
            self.draft.came_from(format!("spec.virtualIPs[{position}]"), at);
            let refused = VirtualIp { name: Some("api".to_owned()), address: Some(text.to_owned()), ..entry };
            self.draft.spec.virtual_ips.push(refused);
            return;
        };
        if self.moving.iter().any(|moving| moving.address == address) {
            return;
        }
        let is_control_plane = parts.iter().all(|part| part.name == self.topology.control_plane.name);
        let is_balancer = parts.iter().all(|part| part.name != self.topology.control_plane.name);
        let is_every_balancer = self.topology.outer_balancer.is_none() || parts.len() > 1;
        let on = match (is_control_plane, is_balancer && is_every_balancer) {
            (true, _) => Placement::Role(Role::ControlPlane),
            (false, true) => Placement::Role(Role::LoadBalancer),
            (false, false) => Placement::Nodes(self.node_names(parts)),
        };
        if is_control_plane {
            let message = format!(
                "{text} leads to the API server of the machine that holds it, as it does today (balance: false)"
            );
            self.draft.remark(RemarkKind::Assumed, at, message);
        }
        let own =
            if position == 0 { "api".to_owned() } else { format!("api-{}", position.saturating_add(1)) };
        self.draft.came_from(format!("spec.virtualIPs[{position}]"), at);
        self.draft.spec.virtual_ips.push(VirtualIp {
            name: Some(own),
            address: Some(text.to_owned()),
            on: Some(on),
            balance: is_control_plane.then_some(false),
            ..entry
        });
        self.moving.push(Moving { address, name });
    }

    fn node_names(&self, parts: &[&Part<'_, '_>]) -> Vec<String> {
        let mut names = Vec::new();
        for unit in parts.iter().flat_map(|part| &part.units) {
            let machine = self.topology.status.machines.get(&unit.machine);
            names.extend(machine.map(|machine| machine.hostname.to_ascii_lowercase()));
        }
        names
    }

    /// How one side reaches the API servers, by the endpoints that the charms hand out.
    fn side(&mut self, endpoints: &[Endpoint], is_internal: bool) -> AccessSide {
        let targets: BTreeSet<Target> = endpoints.iter().map(|(host, _)| self.target(host)).collect();
        let ports: BTreeSet<u16> = endpoints.iter().map(|(_, port)| *port).collect();
        let port = ports.first().copied();
        let port =
            port.filter(|port| Some(*port) != Some(self.draft.spec.api_server.port.unwrap_or(API_PORT)));
        let mut side = AccessSide { port, ..AccessSide::default() };
        let is_only = |target: &Target| targets.len() == 1 && targets.contains(target);
        let is_virtual =
            !targets.is_empty() && targets.iter().all(|target| matches!(target, Target::Virtual(_)));
        if is_virtual {
            side.mode = Some(Mode::VirtualIp);
            side.virtual_ips = Some(self.chosen(&targets));
            side.names =
                endpoints.iter().map(|(host, _)| host.clone()).filter(|host| is_name(host)).collect();
        } else if is_only(&Target::Balancer) || (targets.is_empty() && self.topology.balancer.is_some()) {
            side.mode = Some(Mode::LoadBalancer);
        } else if targets.is_empty() || is_only(&Target::ControlPlane) {
            side.mode = Some(if is_internal { Mode::NodeLocal } else { Mode::Direct });
            side.port = None;
        } else {
            side.mode = Some(Mode::External);
            side.addresses = endpoints.iter().map(|(host, _)| host.clone()).collect();
        }
        self.say_what_changes(&side, endpoints, &ports, is_internal);
        side
    }

    fn target(&self, host: &str) -> Target {
        let address = IpAddr::from_str(host).ok();
        let moving = self.moving.iter().position(|moving| {
            Some(moving.address) == address || moving.name.as_deref() == Some(&host.to_ascii_lowercase())
        });
        let topology = self.topology;
        let has = |part: &Part<'_, '_>| {
            let mut own = part.units.iter().flat_map(|unit| [unit.ingress, unit.public]);
            own.any(|own| own.is_some() && own == address)
        };
        match moving {
            Some(index) => Target::Virtual(index),
            None if topology.balancer.iter().chain(&topology.outer_balancer).any(has) => Target::Balancer,
            None if has(&topology.control_plane) => Target::ControlPlane,
            None => Target::Foreign,
        }
    }

    fn chosen(&self, targets: &BTreeSet<Target>) -> Vec<String> {
        let vips = self.draft.spec.virtual_ips.iter().enumerate();
        let chosen = vips.filter(|(index, _)| targets.contains(&Target::Virtual(*index)));
        chosen.filter_map(|(_, vip)| vip.name.clone()).collect()
    }

    fn say_what_changes(
        &mut self,
        side: &AccessSide,
        endpoints: &[Endpoint],
        ports: &BTreeSet<u16>,
        is_internal: bool,
    ) {
        let at = place(&self.topology.control_plane.application.at);
        let who = if is_internal { "workers" } else { "kubeconfigs for people" };
        let hosts: Vec<String> = endpoints.iter().map(|(host, port)| format!("{host} port {port}")).collect();
        let hosts = hosts.join(", ");
        let message = match side.mode {
            Some(Mode::LoadBalancer) if endpoints.is_empty() => {
                Some(format!("{who} wait for the balancer today; here they have all its machines"))
            }
            Some(Mode::LoadBalancer) => Some(format!(
                "{who} use {hosts} today, without regard to its health; here they have all balancers"
            )),
            Some(Mode::NodeLocal) => Some(format!(
                "workers use {hosts} today, one each and without regard to its health; here every node has a listener of \
                 its own in front of all API servers"
            )),
            Some(Mode::Direct) => Some(format!(
                "{who} use {hosts} today; here they use the first control plane, which is no more available"
            )),
            Some(Mode::External) => Some(format!(
                "{who} use {hosts}, which no application of the bundle holds: taken for somebody else's balancer"
            )),
            Some(Mode::VirtualIp) | None => None,
        };
        if let Some(message) = message {
            let is_assumed = side.mode == Some(Mode::External);
            let kind = if is_assumed { RemarkKind::Assumed } else { RemarkKind::Differs };
            self.draft.remark(kind, &at, message);
        }
        if ports.len() > 1 {
            let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
            let message = format!("{who} use the ports {}: here the first alone", ports.join(" and "));
            self.draft.remark(RemarkKind::Differs, &at, message);
        }
    }

    /// What the certificates of today hold beyond what the plan asks for anyway.
    fn extra_sans(&mut self) {
        let topology = self.topology;
        let mut sans: Vec<String> = Vec::new();
        let parts =
            [Some(&topology.control_plane), topology.balancer.as_ref(), topology.outer_balancer.as_ref()];
        for part in parts.into_iter().flatten() {
            for option in ["extra_sans", "loadbalancer-ips", "ha-cluster-vip", "ha-cluster-dns"] {
                sans.extend(part.application.words(option));
                if let Some((_, at)) = part.application.option(option) {
                    self.draft.came_from("spec.certificates.extraSANs", &at);
                }
            }
        }
        let domain = self.draft.spec.kubernetes.dns_domain.clone().unwrap_or(DNS_DOMAIN.to_owned());
        sans.push(format!("kubernetes.{domain}"));
        for (host, _) in self.model.external_endpoints().into_iter().chain(self.model.internal_endpoints()) {
            sans.push(host);
        }
        sans.extend(self.model.answers());
        let mut seen = BTreeSet::new();
        sans.retain(|san| seen.insert(san.clone()) && !self.is_own_address(san));
        self.draft.spec.certificates.extra_sans = sans;
    }

    /// Whether it is an address of a control plane, which certificates hold without being told.
    fn is_own_address(&self, san: &str) -> bool {
        let Ok(address) = IpAddr::from_str(san) else { return false };
        let mut units = self.topology.control_plane.units.iter();
        units.any(|unit| unit.ingress == Some(address) || unit.public == Some(address))
    }
}

fn is_name(host: &str) -> bool {
    IpAddr::from_str(host).is_err()
}
