//! From a description to a cluster: reads the texts, fills in defaults, resolves names, and reports all that does not
//! hold together.
//!
//! Two kinds of checks. Those on a single value, and for things given twice, are always made. Those that need the whole of
//! something (is there a control plane, does a named thing exist) are made unless a part of just that was left out as misfit:
//! they would complain about the gap again, and everything else is to be reported at once.

use core::fmt::Display;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::num::NonZeroU16;
use core::time::Duration;
use std::collections::BTreeSet;

use crate::cluster::{AdminListen, ApiServer, Cidr, Cluster, Etcd, Ingress, Kubernetes, Node, NodeRole};
use crate::description::{self as raw, Description, DurationText};
use crate::source::{Findings, Path, Source, excerpt};

mod access;
mod balancing;
mod limits;
mod nodes;
mod text;
mod virtual_ips;

/// Where API servers listen unless the description says otherwise: kubeadm's and everybody's choice.
const API_SERVER_PORT: NonZeroU16 = NonZeroU16::new(6443).unwrap();
/// Where etcd listens, as registered for it.
const ETCD_CLIENT_PORT: NonZeroU16 = NonZeroU16::new(2379).unwrap();
/// The service range kubeadm chooses.
const SERVICE_CIDR: Cidr = Cidr { network: IpAddr::V4(Ipv4Addr::new(10, 96, 0, 0)), prefix: 12 };
/// The version planned for when none is given.
const KUBERNETES_VERSION: (u16, u16) = (1, 32);
const DNS_DOMAIN: &str = "cluster.local";
const CLUSTER_NAME: &str = "kubernetes";
/// Where metrics and status are served unless the description says otherwise.
const ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9643);
/// Ports that lead to the workers; more is no description of one cluster.
const INGRESS_LIMIT: usize = 256;

/// The cluster, when nothing is wrong. `findings` know what of the description was left out.
pub(crate) fn validate(
    source: Source,
    description: Description,
    findings: &mut Findings<'_>,
) -> Option<Cluster> {
    let mut checker = Checker { source: &source, findings };
    let spec = description.spec.unwrap_or_default();
    let at = Path::root().key("spec");
    let name = checker.name(&Path::root().key("metadata").key("name"), description.metadata.name);
    let kubernetes = checker.kubernetes(&at.key("kubernetes"), spec.kubernetes);
    let nodes = checker.nodes(&at.key("nodes"), spec.nodes.unwrap_or_default());
    let api_server = checker.api_server(&at.key("apiServer"), spec.api_server);
    let etcd = checker.etcd(&at.key("etcd"), spec.etcd);
    let virtual_ips = checker.virtual_ips(&at.key("virtualIPs"), spec.virtual_ips, &nodes);
    let (internal, external) =
        checker.access(&at.key("access"), spec.access, &nodes, &virtual_ips, api_server.port);
    let certificates = at.key("certificates");
    let extra_sans = checker.extra_sans(&certificates.key("extraSANs"), spec.certificates.extra_sans);
    let etcd_extra_sans =
        checker.extra_sans(&certificates.key("etcdExtraSANs"), spec.certificates.etcd_extra_sans);
    let balancing = checker.balancing(&at.key("balancing"), spec.balancing);
    let has_ingress = !spec.ingress.is_empty();
    let ingress = checker.ingress(&at.key("ingress"), spec.ingress);
    if checker.knows_roles() {
        checker.require_members(&at.key("etcd"), &etcd, &nodes);
        checker.require_workers(&at, has_ingress, &nodes);
    }
    let admin = checker.admin(&at.key("admin").key("listen"), spec.admin.listen);
    if !checker.findings.is_empty() {
        return None;
    }
    let manage_hosts = spec.hosts.manage;
    Some(Cluster {
        source,
        name: name.unwrap_or_else(|| CLUSTER_NAME.to_owned()),
        kubernetes,
        nodes,
        api_server,
        etcd,
        internal,
        external,
        virtual_ips,
        extra_sans,
        etcd_extra_sans,
        manage_hosts,
        balancing,
        ingress,
        admin,
    })
}

/// Collects what is wrong while values are read.
struct Checker<'a, 'f> {
    source: &'a Source,
    findings: &'a mut Findings<'f>,
}

/// What a text was found not to be, and what to write instead.
struct Unreadable {
    message: String,
    remedy: String,
}

impl Checker<'_, '_> {
    fn problem(&mut self, path: &Path, message: impl Into<String>, remedy: impl Into<String>) {
        self.findings.add_at(self.source, path, message.into(), remedy);
    }

    /// Whether everything at `path` could be taken in, also when nothing is there.
    fn knows(&self, path: &Path) -> bool {
        self.findings.knows(path)
    }

    /// The same of several fields.
    fn knows_fields(&self, at: &Path, fields: &[&str]) -> bool {
        fields.iter().all(|field| self.knows(&at.key(field)))
    }

    /// Whether it is known which nodes have which roles.
    fn knows_roles(&self) -> bool {
        self.findings.knows_all(&Path::root().key("spec").key("nodes"), "roles")
    }

    /// Where `path` is, for a message about something else.
    fn line(&self, path: &Path) -> String {
        self.source.line(path).map(|line| format!(" (line {line})")).unwrap_or_default()
    }

    fn read<T>(&mut self, path: &Path, read: Result<T, Unreadable>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(unreadable) => {
                self.misread(path, unreadable.message, unreadable.remedy);
                None
            }
        }
    }

    /// A problem with a value that is taken for its default meanwhile.
    fn misread(&mut self, path: &Path, message: impl Into<String>, remedy: impl Into<String>) {
        self.findings.add_gap(path);
        self.problem(path, message, remedy);
    }

    /// One that cannot be read is no gap: whatever refers to it by that text is wrong, too.
    fn name(&mut self, path: &Path, name: Option<String>) -> Option<String> {
        match text::dns_name(&name?) {
            Ok(name) => Some(name),
            Err(unreadable) => {
                self.problem(path, unreadable.message, unreadable.remedy);
                None
            }
        }
    }

    /// Whether `name` can be that of anything; what cannot is reported.
    fn can_be_name(&mut self, path: &Path, name: &str) -> bool {
        self.name(path, Some(name.to_owned())).is_some()
    }

    fn address(&mut self, path: &Path, address: &str) -> Option<IpAddr> {
        self.read(path, text::unicast_address(address))
    }

    /// Reads a list of texts. What cannot be read or is there twice is reported and left out.
    fn list<T: Ord + Clone + Display>(
        &mut self,
        path: &Path,
        items: &[String],
        read: impl Fn(&str) -> Result<T, Unreadable>,
    ) -> Vec<T> {
        let mut values = Vec::with_capacity(items.len());
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            if !self.knows(&path.index(index)) {
                continue;
            }
            match read(item) {
                Ok(value) if !seen.insert(value.clone()) => self.given_twice(&path.index(index), &value),
                Ok(value) => values.push(value),
                Err(unreadable) => self.misread(&path.index(index), unreadable.message, unreadable.remedy),
            }
        }
        values
    }

    /// Reports every item that is in the list before.
    fn refuse_twice(&mut self, path: &Path, items: &[String]) {
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            if self.knows(&path.index(index)) && !seen.insert(item) {
                self.given_twice(&path.index(index), &excerpt(item));
            }
        }
    }

    fn given_twice(&mut self, path: &Path, item: &dyn Display) {
        self.problem(path, format!("{item} is in the list twice"), "remove one of the two");
    }

    /// A duration within bounds, both included.
    fn duration(
        &mut self,
        path: &Path,
        given: Option<&DurationText>,
        default: Duration,
        (min, max): (Duration, Duration),
    ) -> Duration {
        let Some(DurationText(given)) = given else { return default };
        let Some(duration) = self.read(path, text::duration(given)) else { return default };
        if duration < min || duration > max {
            let message = format!("{given} is not within {} and {}", text::Shown(min), text::Shown(max));
            self.misread(path, message, format!("the default is {}", text::Shown(default)));
            return default;
        }
        duration
    }

    fn kubernetes(&mut self, at: &Path, given: raw::Kubernetes) -> Kubernetes {
        let version =
            given.version.and_then(|version| self.read(&at.key("version"), text::version(&version)));
        let dns_domain = self.name(&at.key("dnsDomain"), given.dns_domain);
        let at = at.key("serviceCIDRs");
        let service_cidrs = match given.service_cidrs {
            None => vec![SERVICE_CIDR],
            Some(given) => {
                let cidrs = self.list(&at, &given, text::cidr);
                let is_same_family =
                    matches!(cidrs.as_slice(), [a, b] if a.network.is_ipv4() == b.network.is_ipv4());
                if given.is_empty() || given.len() > 2 || is_same_family {
                    let family = if is_same_family { " of one family" } else { "" };
                    let message = format!("{} service ranges{family}", given.len());
                    self.problem(&at, message, "give one range, or one of each family");
                }
                cidrs
            }
        };
        Kubernetes {
            version: version.unwrap_or(KUBERNETES_VERSION),
            dns_domain: dns_domain.unwrap_or_else(|| DNS_DOMAIN.to_owned()),
            service_cidrs,
        }
    }

    fn api_server(&mut self, at: &Path, given: raw::ApiServer) -> ApiServer {
        let bind_address =
            given.bind_address.and_then(|text| self.read(&at.key("bindAddress"), text::address(&text)));
        self.refuse_half_pair(at, given.client_cert_file.is_some(), given.client_key_file.is_some());
        ApiServer {
            port: given.port.and_then(NonZeroU16::new).unwrap_or(API_SERVER_PORT),
            bind_address: bind_address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
            ca_file: self.file(&at.key("caFile"), given.ca_file),
            client_cert_file: self.file(&at.key("clientCertFile"), given.client_cert_file),
            client_key_file: self.file(&at.key("clientKeyFile"), given.client_key_file),
            token_file: self.file(&at.key("tokenFile"), given.token_file),
        }
    }

    fn etcd(&mut self, at: &Path, given: raw::Etcd) -> Etcd {
        self.refuse_half_pair(at, given.client_cert_file.is_some(), given.client_key_file.is_some());
        let client_port = given.client_port.and_then(NonZeroU16::new).unwrap_or(ETCD_CLIENT_PORT);
        let front = |text: &str| text::front(text, client_port);
        let advertised =
            given.advertised_address.map(|text| self.read(&at.key("advertisedAddress"), front(&text)));
        Etcd {
            client_port,
            gateway: given.gateway,
            multiaccess: given.multiaccess,
            access_addresses: self.list(&at.key("accessAddresses"), &given.access_addresses, front),
            advertised_address: advertised.flatten(),
            ca_file: self.file(&at.key("caFile"), given.ca_file),
            client_cert_file: self.file(&at.key("clientCertFile"), given.client_cert_file),
            client_key_file: self.file(&at.key("clientKeyFile"), given.client_key_file),
        }
    }

    /// Whether the file is there is for the caller of [`Cluster::files`] to find out.
    fn file(&mut self, path: &Path, file: Option<String>) -> Option<String> {
        let file = file?;
        if file.is_empty() || file.contains('\0') {
            self.problem(path, "not the name of a file", "give a path, or remove the line");
        }
        Some(file)
    }

    fn refuse_half_pair(&mut self, at: &Path, has_certificate: bool, has_key: bool) {
        let (there, missing) = match (has_certificate, has_key) {
            (true, false) => ("clientCertFile", "clientKeyFile"),
            (false, true) => ("clientKeyFile", "clientCertFile"),
            (true, true) | (false, false) => return,
        };
        if self.knows_fields(at, &[there, missing]) {
            self.problem(
                &at.key(there),
                format!("given without {missing}"),
                format!("give {missing} too, or neither"),
            );
        }
    }

    fn extra_sans(&mut self, at: &Path, given: Vec<String>) -> Vec<String> {
        let read = |text: &str| text::subject_name(text);
        self.list(at, &given, read)
    }

    fn ingress(&mut self, at: &Path, given: Vec<raw::Ingress>) -> Vec<Ingress> {
        if given.len() > INGRESS_LIMIT {
            self.problem(
                at,
                format!("{} ports", given.len()),
                format!("at most {INGRESS_LIMIT} are possible"),
            );
        }
        let mut ingress: Vec<Ingress> = Vec::new();
        let (mut names, mut ports) = (BTreeSet::new(), BTreeSet::new());
        for (index, given) in given.into_iter().take(INGRESS_LIMIT).enumerate() {
            let at = at.index(index);
            let name = self.name(&at.key("name"), given.name);
            let port = given.port.and_then(NonZeroU16::new);
            if let Some(name) = &name
                && !names.insert(name.clone())
            {
                let message = format!("another ingress is named {name}");
                self.problem(&at.key("name"), message, "give each its own name");
            }
            if let Some(port) = port
                && !ports.insert(port)
            {
                let message = format!("another ingress has port {port}");
                self.problem(&at.key("port"), message, "give each its own port");
            }
            let (Some(name), Some(port)) = (name, port) else { continue };
            let target_port = given.target_port.and_then(NonZeroU16::new).unwrap_or(port);
            ingress.push(Ingress { name, port, target_port });
        }
        ingress
    }

    /// A switch about etcd needs members that it is about.
    fn require_members(&mut self, at: &Path, etcd: &Etcd, nodes: &[Node]) {
        if nodes.iter().any(|node| node.roles.contains(&NodeRole::Etcd)) {
            return;
        }
        for (field, is_on) in [
            ("gateway", etcd.gateway),
            ("multiaccess", etcd.multiaccess),
            ("advertisedAddress", etcd.advertised_address.is_some()),
        ] {
            if is_on {
                let remedy = "give the members the role etcd, or remove the line";
                self.problem(&at.key(field), "no node has the role etcd", remedy);
            }
        }
    }

    /// Ingress connects to the workers, so there have to be some.
    fn require_workers(&mut self, spec: &Path, has_ingress: bool, nodes: &[Node]) {
        if has_ingress && !nodes.iter().any(|node| node.roles.contains(&NodeRole::Worker)) {
            let remedy = "give the nodes that run pods the role worker, or remove it";
            self.problem(&spec.key("ingress"), "no node has the role worker", remedy);
        }
    }

    fn admin(&mut self, path: &Path, listen: Option<String>) -> AdminListen {
        listen
            .and_then(|listen| self.read(path, text::admin_listen(&listen)))
            .unwrap_or(AdminListen::Tcp(ADMIN_LISTEN))
    }
}
