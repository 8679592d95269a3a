//! From haproxy.cfg and keepalived.conf, alone or together, to a description: what stands in front of the API servers.
//!
//! Neither file says which machines it is on, who uses what it offers, or which servers run Kubernetes. What is taken for
//! true is a remark each.

use super::haproxy::{self, Front, Haproxy};
use super::keepalived::{self, Keepalived};
use super::machines::{Machine, Nodes};
use super::{Draft, File, ImportFailed, Imported, Place, Remark, RemarkKind};
use crate::description::{AccessSide, Mode, Role, VirtualIp};
use crate::source::excerpt;

mod balancing;
mod routers;

/// The port of an API server where no file names one.
const API_PORT: u16 = 6443;
/// Where HAProxy is on the machine itself, its clients are there too.
const LOOPBACK_FRONT: &str =
    "it listens on this machine alone: taken for the node-local balancer of every node";

/// What there is to read.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sources<'a> {
    /// Of one machine: the others have the same.
    pub haproxy: Option<File<'a>>,
    /// One for each machine, or one for all of them.
    pub keepalived: &'a [File<'a>],
    /// Machines that no file names.
    pub machines: &'a [Machine],
    /// The section of haproxy.cfg that stands before the API servers, where there are several.
    pub section: Option<&'a str>,
}

/// Reads the files.
///
/// # Errors
/// Everything that stands in the way.
pub fn import(sources: Sources<'_>) -> Result<Imported, ImportFailed> {
    let mut remarks = Vec::new();
    let mut problems = Vec::new();
    let mut haproxy = None;
    if let Some((file, bytes)) = sources.haproxy {
        match haproxy::read(file, bytes, &mut remarks) {
            Ok(read) => haproxy = Some((file, read)),
            Err(found) => problems.extend(found),
        }
    }
    let mut daemons = Vec::new();
    for (file, bytes) in sources.keepalived {
        match keepalived::read(file, bytes, &mut remarks) {
            Ok(read) => daemons.push((*file, read)),
            Err(found) => problems.extend(found),
        }
    }
    let mut assembler = Assembler::new(sources, remarks);
    if problems.is_empty() {
        assembler.assemble(haproxy, &daemons);
    }
    problems.into_iter().for_each(|problem| assembler.draft.problem(problem));
    let files = sources.haproxy.iter().chain(sources.keepalived);
    let names: Vec<&str> = files.map(|(file, _)| *file).collect();
    let Assembler { mut draft, nodes, .. } = assembler;
    nodes.write(&mut draft);
    draft.finish(&names.join(", "))
}

struct Assembler<'a> {
    draft: Draft,
    nodes: Nodes,
    sources: Sources<'a>,
    /// Where clients connect, as far as it is known.
    port: Option<u16>,
    /// Whether a proxy is between.
    is_balanced: bool,
}

impl<'a> Assembler<'a> {
    fn new(sources: Sources<'a>, remarks: Vec<Remark>) -> Self {
        let mut draft = Draft::new();
        for remark in remarks {
            draft.remark(remark.kind, &Place::new(remark.file, remark.line), remark.message);
        }
        Self { draft, nodes: Nodes::new(sources.machines), sources, port: None, is_balanced: false }
    }

    fn assemble(&mut self, haproxy: Option<(&str, Haproxy)>, daemons: &[(&str, Keepalived)]) {
        let mut front = None;
        if let Some((file, haproxy)) = haproxy {
            front = self.front(file, &haproxy);
            let Some(front) = &front else { return };
            self.is_balanced = true;
            self.servers(front);
            self.balancing(front, &haproxy);
            self.port = front.binds.first().map(|bind| bind.port);
        }
        self.routers(daemons);
        let source = self.sources.haproxy.as_ref().or(self.sources.keepalived.first());
        let begin = Place::new(source.map_or("", |(file, _)| *file), None);
        if let Some(problem) = self.nodes.require_control_plane(&begin) {
            self.draft.problem(problem);
            return;
        }
        match &front {
            Some(front) => self.access(front),
            None => self.virtual_access(&begin),
        }
    }

    /// The section in front of the API servers.
    fn front(&mut self, file: &str, haproxy: &Haproxy) -> Option<Front> {
        let place = Place::new(file, None);
        let fitting: Vec<&Front> = haproxy
            .fronts
            .iter()
            .filter(|front| self.sources.section.is_none_or(|section| section == front.name))
            .filter(|front| !front.servers.is_empty() && !front.binds.is_empty())
            .collect();
        let hosts = |front: &Front| {
            let mut hosts: Vec<(String, u16)> =
                front.servers.iter().map(|server| (server.host.clone(), server.port)).collect();
            hosts.sort();
            hosts
        };
        let names: Vec<&str> = fitting.iter().map(|front| front.name.as_str()).collect();
        let Some(first) = fitting.first() else {
            let remedy = "give a file with `listen`, or `frontend` and `backend`, in mode tcp, with `bind` and `server` lines";
            self.draft.problem(place.problem("no section stands between clients and servers", remedy));
            return None;
        };
        if let Some(other) = fitting.iter().find(|other| hosts(other) != hosts(first)) {
            let message = format!("several sections with different servers: {}", names.join(", "));
            self.draft.problem(
                other.place.problem(message, "say which stands before the API servers: --section NAME"),
            );
            return None;
        }
        let mut front = (*first).clone();
        for other in fitting.iter().skip(1) {
            front.binds.extend(other.binds.iter().cloned());
        }
        Some(front)
    }

    /// The API servers.
    fn servers(&mut self, front: &Front) {
        let mut port = None;
        for (index, server) in front.servers.iter().enumerate() {
            let mut before = front.servers.iter().take(index);
            if let Some(other) = before.find(|other| other.host == server.host || other.name == server.name) {
                let message =
                    format!("{} is the server {} already", excerpt(&server.host), excerpt(&other.name));
                self.draft
                    .problem(server.place.problem(message, "give every server its own name and address"));
                continue;
            }
            if *port.get_or_insert(server.port) != server.port {
                let message = format!("port {} here, another on the servers before", server.port);
                let remedy = "give all API servers one port: a description has one for them all";
                self.draft.problem(server.place.problem(message, remedy));
            }
            let name = node_name(&server.name);
            if name != server.name {
                let message =
                    format!("the server {} is called {name}: nodes have DNS names", excerpt(&server.name));
                self.draft.remark(RemarkKind::Assumed, &server.place, message);
            }
            if server.host.parse::<core::net::IpAddr>().is_ok() {
                self.nodes.add(&name, &[server.host.as_str()], Role::ControlPlane, &server.place);
            } else if self.nodes.find_name(&server.host).or_else(|| self.nodes.find_name(&name)).is_none() {
                let message = format!("{} is a name, and names are not looked up", excerpt(&server.host));
                let remedy = format!("write its address, or give --control-plane {name}=ADDRESS");
                self.draft.problem(server.place.problem(message, remedy));
            }
        }
        self.draft.spec.api_server.port = port.filter(|port| *port != API_PORT && *port != 0);
    }

    /// Both sides, by where HAProxy listens.
    fn access(&mut self, front: &Front) {
        let Some(bind) = front.binds.first() else { return };
        for other in front.binds.iter().filter(|other| other.port != bind.port) {
            let message = format!("port {} too; here clients use {} alone", other.port, bind.port);
            self.draft.remark(RemarkKind::Differs, &other.place, message);
        }
        let address = front.binds.iter().find_map(|bind| bind.address);
        let text = address.map(|address| address.to_string());
        if address.is_some_and(|address| address.is_loopback()) {
            self.draft.remark(RemarkKind::Assumed, &bind.place, LOOPBACK_FRONT);
            self.draft.spec.access.internal = self.side(Mode::NodeLocal);
            return;
        }
        if !self.draft.spec.virtual_ips.is_empty() {
            self.virtual_access(&bind.place);
            return;
        }
        let is_of_node = text.as_ref().is_some_and(|text| self.nodes.find_address(text).is_some());
        match (&text, is_of_node) {
            (Some(text), false) => self.moving_address(text, &bind.place),
            (Some(text), true) => {
                let name =
                    self.nodes.find_address(text).and_then(|node| node.name.clone()).unwrap_or_default();
                self.nodes.add(&name, &[], Role::LoadBalancer, &bind.place);
                self.balancers(&bind.place);
            }
            (None, _) => self.everywhere(bind.port, &bind.place),
        }
    }

    /// HAProxy listens on an address that no machine has.
    fn moving_address(&mut self, address: &str, place: &Place) {
        let on = self.likely_holders();
        let who = if on == Role::LoadBalancer { "the balancers" } else { "the servers themselves" };
        let message = format!(
            "{address} is no machine's own address: taken for one that moves between {who}; --load-balancer NAME=ADDRESS says \
             otherwise, and --keepalived FILE tells what moves it today"
        );
        self.draft.remark(RemarkKind::Assumed, place, message);
        self.draft.came_from("spec.virtualIPs[0]", place);
        self.draft.spec.virtual_ips.push(VirtualIp {
            name: Some("api".to_owned()),
            address: Some(address.to_owned()),
            on: Some(crate::description::Placement::Role(on)),
            ..VirtualIp::default()
        });
        self.virtual_access(place);
    }

    /// HAProxy listens on every address of machines that nobody names.
    fn everywhere(&mut self, port: u16, place: &Place) {
        if self.nodes.with_role(Role::LoadBalancer).next().is_some() {
            self.balancers(place);
            return;
        }
        if port == self.draft.spec.api_server.port.unwrap_or(API_PORT) {
            let message = "it listens on every address of a machine that the file does not name, and which is none of the servers";
            let remedy =
                "name the machines that HAProxy runs on: --load-balancer NAME=ADDRESS, once for each";
            self.draft.problem(place.problem(message, remedy));
            return;
        }
        let message = "the file does not say which machines it is on: taken for the servers themselves, because it leaves their \
                       port free; --load-balancer NAME=ADDRESS says otherwise";
        self.draft.remark(RemarkKind::Assumed, place, message);
        let names: Vec<String> =
            self.nodes.with_role(Role::ControlPlane).filter_map(|node| node.name.clone()).collect();
        names.iter().for_each(|name| self.nodes.add(name, &[], Role::LoadBalancer, place));
        self.balancers(place);
    }

    fn balancers(&mut self, place: &Place) {
        self.say_both_sides(place);
        self.draft.spec.access.internal = self.side(Mode::LoadBalancer);
        self.draft.spec.access.external = self.side(Mode::LoadBalancer);
    }

    fn virtual_access(&mut self, place: &Place) {
        if self.draft.spec.virtual_ips.is_empty() {
            return;
        }
        if self.port.is_none() {
            let message = format!("no file says on which port clients connect: {API_PORT} is taken");
            self.draft.remark(RemarkKind::Assumed, place, message);
        }
        self.say_both_sides(place);
        self.draft.spec.access.internal = self.side(Mode::VirtualIp);
        self.draft.spec.access.external = self.side(Mode::VirtualIp);
    }

    fn say_both_sides(&mut self, place: &Place) {
        let message = "no file says who connects: taken for nodes and people alike (access.internal and access.external)";
        self.draft.remark(RemarkKind::Assumed, place, message);
    }

    fn side(&self, mode: Mode) -> AccessSide {
        let own = self.draft.spec.api_server.port.unwrap_or(API_PORT);
        AccessSide { mode: Some(mode), port: self.port.filter(|port| *port != own), ..AccessSide::default() }
    }

    /// Which machines hold an address that moves, where no file says it.
    fn likely_holders(&self) -> Role {
        let has_balancers = self.nodes.with_role(Role::LoadBalancer).next().is_some();
        if has_balancers { Role::LoadBalancer } else { Role::ControlPlane }
    }
}

/// A name as DNS has them, or as near to it as can be.
fn node_name(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let replaced: String =
        lower.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let is_address = replaced.parse::<core::net::IpAddr>().is_ok();
    let name = if is_address { format!("node-{}", replaced.replace('.', "-")) } else { replaced };
    name.trim_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests;
