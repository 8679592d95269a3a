//! What is the same on all machines: ClusterConfiguration.

use core::net::IpAddr;
use core::str::FromStr;
use std::collections::BTreeSet;

use super::Importer;
use crate::description::{AccessSide, Mode, Role};
use crate::import::cursor::Cursor;
use crate::import::{Place, RemarkKind};
use crate::source::excerpt;

/// What kubeadm takes for `certificatesDir`.
const CERTIFICATES: &str = "/etc/kubernetes/pki";
/// What etcd takes for its clients' port.
const ETCD_PORT: u16 = 2379;

impl Importer {
    pub(super) fn cluster(&mut self, at: &Cursor<'_>) {
        let known = [
            "apiVersion",
            "kind",
            "kubernetesVersion",
            "clusterName",
            "controlPlaneEndpoint",
            "networking",
            "apiServer",
            "etcd",
            "certificatesDir",
            "imageRepository",
            "dns",
            "controllerManager",
            "scheduler",
            "featureGates",
            "proxy",
            "encryptionAlgorithm",
            "caCertificateValidityPeriod",
            "certificateValidityPeriod",
        ];
        self.not_understood(at, &known);
        self.version(at);
        if let Some((name, place)) = self.text(at, "clusterName") {
            self.draft.metadata.name = Some(name.to_owned());
            self.draft.came_from("metadata.name", &place);
        }
        if let Some(networking) = at.get("networking") {
            self.networking(&networking);
        }
        let directory = self.text(at, "certificatesDir").map_or(CERTIFICATES, |(directory, _)| directory);
        self.draft.spec.api_server.ca_file = Some(format!("{directory}/ca.crt"));
        if let Some(api_server) = at.get("apiServer") {
            self.api_server(&api_server);
        }
        self.etcd(at.get("etcd").as_ref());
        let endpoint = self.text(at, "controlPlaneEndpoint");
        let place =
            endpoint.as_ref().map_or_else(|| Place::new(at.file(), at.line()), |(_, place)| place.clone());
        self.endpoint(endpoint.map(|(endpoint, _)| endpoint), &place);
    }

    /// `v1.32.1`, and `stable-1.32`, which is a question to a server of the project.
    fn version(&mut self, at: &Cursor<'_>) {
        let Some((version, place)) = self.text(at, "kubernetesVersion") else { return };
        let number =
            version.trim_start_matches("stable-").trim_start_matches("latest-").trim_start_matches('v');
        let mut parts = number.split('.');
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<u16>().ok());
        match (number(parts.next()), number(parts.next())) {
            (Some(major), Some(minor)) => {
                self.draft.spec.kubernetes.version = Some(format!("{major}.{minor}"));
                self.draft.came_from("spec.kubernetes.version", &place);
            }
            (Some(_) | None, Some(_) | None) => {
                let message = format!(
                    "kubernetesVersion {} names no version: bowline's default is taken",
                    excerpt(version)
                );
                self.draft.remark(RemarkKind::NotEvaluated, &place, message);
            }
        }
    }

    fn networking(&mut self, at: &Cursor<'_>) {
        self.not_understood(at, &["serviceSubnet", "podSubnet", "dnsDomain"]);
        if let Some((subnets, place)) = self.text(at, "serviceSubnet") {
            let subnets = subnets.split(',').map(|subnet| subnet.trim().to_owned());
            self.draft.spec.kubernetes.service_cidrs = Some(subnets.collect());
            self.draft.came_from("spec.kubernetes.serviceCIDRs", &place);
        }
        if let Some((domain, place)) = self.text(at, "dnsDomain") {
            self.draft.spec.kubernetes.dns_domain = Some(domain.to_owned());
            self.draft.came_from("spec.kubernetes.dnsDomain", &place);
        }
    }

    fn api_server(&mut self, at: &Cursor<'_>) {
        let known = ["certSANs", "extraArgs", "extraVolumes", "extraEnvs", "timeoutForControlPlane"];
        self.not_understood(at, &known);
        for (san, place) in self.placed_texts(at, "certSANs") {
            let extra = &mut self.draft.spec.certificates.extra_sans;
            if !extra.contains(&san) {
                let at = format!("spec.certificates.extraSANs[{}]", extra.len());
                extra.push(san);
                self.draft.came_from(at, &place);
            }
        }
        for (name, value, place) in self.extra_args(at, "extraArgs") {
            match (name.as_str(), value.parse::<u16>()) {
                ("bind-address", _) => {
                    self.draft.spec.api_server.bind_address = Some(value.to_owned());
                    self.draft.came_from("spec.apiServer.bindAddress", &place);
                }
                ("secure-port", Ok(port)) if port != 0 => {
                    self.port = port;
                    self.draft.spec.api_server.port = Some(port);
                }
                ("secure-port", _) => {
                    let problem = place.problem(
                        format!("secure-port {} is not a port", excerpt(value)),
                        "write a number from 1 to 65535",
                    );
                    self.draft.problem(problem);
                }
                _ => {}
            }
        }
    }

    fn etcd(&mut self, at: Option<&Cursor<'_>>) {
        let external = at.and_then(|at| at.get("external"));
        let local = at.and_then(|at| at.get("local"));
        if let (Some(external), Some(_)) = (&external, &local) {
            let remedy = "keep the one that is true";
            self.draft.problem(external.problem("etcd is both local and external", remedy));
        }
        if let Some(local) = &local {
            self.not_understood(
                local,
                &["dataDir", "serverCertSANs", "peerCertSANs", "imageRepository", "imageTag"],
            );
            for list in ["serverCertSANs", "peerCertSANs"] {
                for (san, place) in self.placed_texts(local, list) {
                    let extra = &mut self.draft.spec.certificates.etcd_extra_sans;
                    if !extra.contains(&san) {
                        let at = format!("spec.certificates.etcdExtraSANs[{}]", extra.len());
                        extra.push(san);
                        self.draft.came_from(at, &place);
                    }
                }
            }
        }
        match external {
            None => self.local_etcd(),
            Some(external) => self.external_etcd(&external),
        }
    }

    /// A member beside every API server.
    pub(super) fn local_etcd(&mut self) {
        let names: Vec<String> =
            self.nodes.with_role(Role::ControlPlane).filter_map(|node| node.name.clone()).collect();
        let place = Place::new("", None);
        names.iter().for_each(|name| self.nodes.add(name, &[], Role::Etcd, &place));
    }

    fn external_etcd(&mut self, at: &Cursor<'_>) {
        self.not_understood(at, &["endpoints", "caFile", "certFile", "keyFile", "httpEndpoints"]);
        let file = |importer: &mut Self, key: &str| importer.text(at, key).map(|(file, _)| file.to_owned());
        self.draft.spec.etcd.ca_file = file(self, "caFile");
        self.draft.spec.etcd.client_cert_file = file(self, "certFile");
        self.draft.spec.etcd.client_key_file = file(self, "keyFile");
        let endpoints = at.get("endpoints");
        let mut found = Vec::new();
        for item in endpoints.iter().flat_map(Cursor::items) {
            let place = Place::new(item.file(), item.line());
            let url = item.scalar().unwrap_or_default();
            if url.starts_with("http://") {
                let message = format!("{} is not encrypted: bowline speaks TLS to etcd", excerpt(url));
                self.draft.remark(RemarkKind::Differs, &place, message);
            }
            let rest = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
            match host_and_port(rest).map(|(host, port)| (host, IpAddr::from_str(host).is_ok(), port)) {
                None => {
                    let message = format!("{} is not a URL of an etcd member", item.shown());
                    self.draft.problem(item.problem(message, "write one such as https://10.0.0.21:2379"));
                }
                Some((host, is_address, port)) => {
                    found.push((host.to_owned(), is_address, port.unwrap_or(ETCD_PORT), place))
                }
            }
        }
        let ports: BTreeSet<u16> = found.iter().map(|(_, _, port, _)| *port).collect();
        // Members have addresses here, and one port for all: whatever else is in the list is a way to them.
        let is_before = ports.len() > 1 || found.iter().any(|(_, is_address, ..)| !is_address);
        for (host, is_address, port, place) in found {
            if is_before {
                self.etcd_front(&host, port, &place);
            }
            if is_address && (!is_before || port == ETCD_PORT) {
                self.etcd_member(&host, port, &place);
            }
        }
    }

    /// A name may be that of a member or of a balancer; either way it is what API servers are given.
    fn etcd_front(&mut self, host: &str, port: u16, place: &Place) {
        let rank = self.draft.spec.etcd.access_addresses.len();
        self.draft.came_from(format!("spec.etcd.accessAddresses[{rank}]"), place);
        let host = host.to_ascii_lowercase();
        let shown = if host.contains(':') { format!("[{host}]") } else { host };
        self.draft.spec.etcd.access_addresses.push(format!("{shown}:{port}"));
    }

    fn etcd_member(&mut self, host: &str, port: u16, place: &Place) {
        let known = self.nodes.find_address(host).and_then(|node| node.name.clone());
        let name = known.unwrap_or_else(|| {
            let name = self.nodes.free_name("etcd");
            let message = format!("the etcd member {host} has no name in the file: it is called {name}");
            self.draft.remark(RemarkKind::Assumed, place, message);
            name
        });
        self.nodes.add(&name, &[host], Role::Etcd, place);
        self.draft.spec.etcd.client_port = Some(port).filter(|port| *port != ETCD_PORT);
    }

    /// What everybody connects to.
    pub(super) fn endpoint(&mut self, endpoint: Option<&str>, place: &Place) {
        for (told, at) in core::mem::take(&mut self.discovery) {
            if endpoint.is_some_and(|endpoint| endpoint != told) {
                let message = format!("joins by {}, which is not the controlPlaneEndpoint", excerpt(&told));
                self.draft.remark(RemarkKind::SourceDefect, &at, message);
            }
        }
        let Some(endpoint) = endpoint else {
            let message = "no controlPlaneEndpoint: everybody depends on the first control plane today, and it cannot be given \
                           later; here every node has a listener of its own in front of all API servers";
            self.draft.remark(RemarkKind::Differs, place, message);
            return;
        };
        let Some((host, port)) = host_and_port(endpoint) else {
            let remedy = "write HOST:PORT, an IPv6 address in brackets";
            let problem = place.problem(format!("{} is not an address and port", excerpt(endpoint)), remedy);
            self.draft.problem(problem);
            return;
        };
        let address = IpAddr::from_str(host).ok();
        let port = port.unwrap_or(self.port);
        let given = Some(port).filter(|port| *port != self.port);
        if self.nodes.find_address(host).or_else(|| self.nodes.find_name(host)).is_some() {
            let message = format!(
                "everybody depends on the one control plane {host} today; here every node has a listener of its \
                                   own in front of all API servers"
            );
            self.draft.remark(RemarkKind::Differs, place, message);
        } else if address.is_some_and(|address| address.is_loopback()) || host == "localhost" {
            self.draft.spec.access.internal =
                AccessSide { mode: Some(Mode::NodeLocal), port: given, ..AccessSide::default() };
        } else {
            let side = || AccessSide {
                mode: Some(Mode::External),
                port: given,
                address: Some(host.to_owned()),
                ..AccessSide::default()
            };
            self.draft.spec.access.internal = side();
            self.draft.spec.access.external = side();
            for side in ["internal", "external"] {
                self.draft.came_from(format!("spec.access.{side}"), place);
            }
            let message = format!(
                "who holds {host} is not in the file: taken for somebody else's balancer; an address that \
                                   keepalived holds is described under spec.virtualIPs, and bowline can hold it then"
            );
            self.draft.remark(RemarkKind::Assumed, place, message);
        }
    }
}

/// `HOST`, `HOST:PORT`, `[V6]:PORT`, `[V6]`, or a bare IPv6 address.
pub(in crate::import) fn host_and_port(text: &str) -> Option<(&str, Option<u16>)> {
    if IpAddr::from_str(text).is_ok() {
        return Some((text, None));
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        Some(port) => Some(port.parse::<u16>().ok().filter(|port| *port != 0)?),
        None => None,
    };
    (!host.is_empty()).then_some((host, port))
}
