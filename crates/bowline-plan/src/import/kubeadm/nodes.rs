//! The machines that `init` and `join` run on.

use super::{API_PORT, Importer};
use crate::description::Role;
use crate::import::cursor::Cursor;
use crate::import::{Place, RemarkKind};

impl Importer {
    /// The machine of `kubeadm init`.
    pub(super) fn init(&mut self, at: &Cursor<'_>) {
        let known = [
            "apiVersion",
            "kind",
            "localAPIEndpoint",
            "nodeRegistration",
            "bootstrapTokens",
            "certificateKey",
            "skipPhases",
            "patches",
            "timeouts",
            "dryRun",
        ];
        self.not_understood(at, &known);
        self.control_plane(at, at.get("localAPIEndpoint").as_ref());
    }

    /// A machine of `kubeadm join`.
    pub(super) fn join(&mut self, at: &Cursor<'_>) {
        let known = [
            "apiVersion",
            "kind",
            "controlPlane",
            "nodeRegistration",
            "discovery",
            "caCertPath",
            "skipPhases",
            "patches",
            "timeouts",
            "dryRun",
        ];
        self.not_understood(at, &known);
        let discovery = at.get("discovery").and_then(|at| at.get("bootstrapToken"));
        if let Some((endpoint, place)) = discovery.and_then(|at| self.text(&at, "apiServerEndpoint")) {
            self.discovery.push((endpoint.to_owned(), place));
        }
        match at.get("controlPlane") {
            Some(control_plane) => self.control_plane(at, control_plane.get("localAPIEndpoint").as_ref()),
            None => {
                let place = Place::new(at.file(), at.line());
                let addresses = self.node_addresses(at);
                let name = self.name(at, &addresses, "worker", &place);
                self.nodes.add_named(&name, &addresses, Role::Worker, &place);
            }
        }
    }

    fn control_plane(&mut self, at: &Cursor<'_>, endpoint: Option<&Cursor<'_>>) {
        let place = Place::new(at.file(), at.line());
        let advertised = endpoint.and_then(|endpoint| self.text(endpoint, "advertiseAddress"));
        let mut addresses = Vec::new();
        addresses.extend(advertised.as_ref().map(|(address, _)| *address));
        addresses.extend(
            self.node_addresses(at)
                .into_iter()
                .filter(|own| Some(*own) != addresses.first().copied())
                .collect::<Vec<_>>(),
        );
        let name = self.name(at, &addresses, "control-plane", &place);
        let is_known = self.nodes.find_name(&name).is_some_and(|node| !node.addresses.is_empty());
        if addresses.is_empty() && !is_known {
            let remedy = format!("give localAPIEndpoint.advertiseAddress, or --control-plane {name}=ADDRESS");
            let message =
                "no advertiseAddress: kubeadm takes the address of the default route, which no file holds";
            self.draft.problem(at.problem(message, remedy));
        }
        let place = advertised.map_or(place, |(_, place)| place);
        self.nodes.add_named(&name, &addresses, Role::ControlPlane, &place);
        if let Some(port) = endpoint.and_then(|endpoint| endpoint.get("bindPort")) {
            self.bind_port(&port);
        }
    }

    fn bind_port(&mut self, at: &Cursor<'_>) {
        match at.scalar().and_then(|text| text.parse::<u16>().ok()).filter(|port| *port != 0) {
            None => {
                let message = format!("{} is not a port", at.shown());
                self.draft.problem(at.problem(message, "write a number from 1 to 65535"));
            }
            Some(port) => {
                if let Some(other) = self.bind_port.filter(|other| *other != port) {
                    let message = format!("port {port} here, {other} on another control plane");
                    let remedy = "give all API servers one port: a description has one for them all";
                    self.draft.problem(at.problem(message, remedy));
                }
                (self.port, self.bind_port) = (port, Some(port));
                self.draft.spec.api_server.port = Some(port).filter(|port| *port != API_PORT);
            }
        }
    }

    /// The kubelet's `node-ip`, which may be one of each family.
    fn node_addresses<'t>(&mut self, at: &Cursor<'t>) -> Vec<&'t str> {
        let Some(registration) = at.get("nodeRegistration") else { return Vec::new() };
        let args = self.extra_args(&registration, "kubeletExtraArgs");
        let own = args.into_iter().filter(|(name, _, _)| name == "node-ip");
        own.flat_map(|(_, value, _)| value.split(','))
            .map(str::trim)
            .filter(|address| !address.is_empty())
            .collect()
    }

    /// The name in the file, else that of a machine with the address, else a new one: kubeadm would take the host name.
    fn name(&mut self, at: &Cursor<'_>, addresses: &[&str], word: &str, place: &Place) -> String {
        let registration = at.get("nodeRegistration");
        if let Some((name, _)) = registration.and_then(|at| self.text(&at, "name")) {
            return name.to_owned();
        }
        let known = addresses.iter().find_map(|address| self.nodes.find_address(address)?.name.clone());
        known.unwrap_or_else(|| {
            let name = self.nodes.free_name(word);
            let message = format!(
                "no nodeRegistration.name: kubeadm takes the host name, which no file holds; the node is called {name}, and \
                 bowline finds it by its address"
            );
            self.draft.remark(RemarkKind::Assumed, place, message);
            name
        })
    }
}
