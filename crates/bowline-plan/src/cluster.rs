//! A description that holds together: typed, defaults filled in, every reference resolved.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::num::{NonZeroU16, NonZeroU32};
use core::time::Duration;
use std::collections::BTreeSet;

use crate::problem::Problem;
use crate::source::{Path, Source};

mod limits;
mod virtual_ip;

pub use limits::Limits;
pub use virtual_ip::{Peers, Track, VirtualIp, VrrpVersion, WhenAllBad};

/// A validated description. Made by [`crate::load`] alone, so whoever holds one need not check again.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub(crate) source: Source,
    pub(crate) name: String,
    pub(crate) kubernetes: Kubernetes,
    pub(crate) nodes: Vec<Node>,
    pub(crate) api_server: ApiServer,
    pub(crate) etcd: Etcd,
    pub(crate) internal: Access,
    pub(crate) external: Access,
    pub(crate) virtual_ips: Vec<VirtualIp>,
    pub(crate) extra_sans: Vec<String>,
    pub(crate) etcd_extra_sans: Vec<String>,
    pub(crate) manage_hosts: bool,
    pub(crate) balancing: Balancing,
    pub(crate) ingress: Vec<Ingress>,
    pub(crate) admin: AdminListen,
}

/// Kubernetes itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kubernetes {
    /// Major and minor.
    pub version: (u16, u16),
    /// The domain of services, such as `cluster.local`.
    pub dns_domain: String,
    /// One or two; two are dual stack.
    pub service_cidrs: Vec<Cidr>,
}

/// An address range.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cidr {
    pub(crate) network: IpAddr,
    pub(crate) prefix: u8,
}

/// What a machine is there for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum NodeRole {
    /// Runs an API server.
    ControlPlane,
    /// Runs an etcd member.
    Etcd,
    /// Runs pods.
    Worker,
    /// Takes connections for the API servers.
    LoadBalancer,
}

/// A machine of the cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// A DNS name; no other node has it.
    pub name: String,
    /// At least one.
    pub roles: BTreeSet<NodeRole>,
    /// As listed; may be empty where nobody connects to the node.
    pub addresses: Vec<IpAddr>,
    /// Where others reach it: as given, else the first of `addresses`. Always there on control planes and balancers.
    pub access_address: Option<IpAddr>,
    /// Where the outside world reaches it.
    pub public_address: Option<IpAddr>,
}

/// The API servers, all alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiServer {
    /// Where they listen.
    pub port: NonZeroU16,
    /// On which of their addresses; a wildcard is all.
    pub bind_address: IpAddr,
    /// The authority that signed their certificates, as written in the description.
    pub ca_file: Option<String>,
    /// Shown to them by probes.
    pub client_cert_file: Option<String>,
    /// Given exactly when `client_cert_file` is.
    pub client_key_file: Option<String>,
    /// A bearer token for probes.
    pub token_file: Option<String>,
}

/// The etcd members, all alike.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Etcd {
    /// Where they take clients.
    pub client_port: NonZeroU16,
    /// Whether every node offers etcd at a local port.
    pub gateway: bool,
    /// Whether API servers are given all members instead of their own.
    pub multiaccess: bool,
    /// What API servers are given instead of members: a balancer before them. Empty for none.
    pub access_addresses: Vec<Front>,
    /// What all members tell their clients to use; otherwise each its own address.
    pub advertised_address: Option<Front>,
    /// The authority that signed their certificates.
    pub ca_file: Option<String>,
    /// Shown to them.
    pub client_cert_file: Option<String>,
    /// Given exactly when `client_cert_file` is.
    pub client_key_file: Option<String>,
}

/// How one side, internal or external, reaches the API servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Access {
    /// By which means.
    pub mode: Mode,
    /// Whether `mode` was given, rather than chosen by default.
    pub mode_given: bool,
    /// Which port clients use.
    pub port: NonZeroU16,
    /// DNS names clients may use.
    pub names: Vec<String>,
}

/// By which means one side reaches the API servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mode {
    /// A listener on every node's loopback addresses.
    NodeLocal,
    /// Nodes with the role `load-balancer`.
    LoadBalancer,
    /// Virtual addresses: indices into [`Cluster::virtual_ips`], at least one.
    VirtualIp(Vec<usize>),
    /// Somebody else's balancer: at least one.
    External(Vec<Front>),
    /// The first control plane itself.
    Direct,
}

/// An address or a DNS name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Host {
    /// Neither a wildcard nor multicast.
    Address(IpAddr),
    /// Lower case.
    Name(String),
}

/// Where somebody else's balancer takes connections.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Front {
    /// Its address or name.
    pub host: Host,
    /// Its own port, or the side's.
    pub port: NonZeroU16,
}

/// Every timer and limit of health, dialling and relaying.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Balancing {
    /// `None` is `auto`: preferred on nodes, least connections on balancers.
    pub policy: Option<crate::plan::Policy>,
    /// Whether clients on the node are balanced when they connect, by the kernel.
    pub connect_time: ConnectTime,
    /// Between two probes of a settled endpoint; `None` is 1 s on balancers and 30 s on nodes.
    pub probe_interval: Option<Duration>,
    /// Between two probes while the grade is changing.
    pub fast_probe_interval: Duration,
    /// For an answer on a connection that was open already.
    pub probe_timeout: Duration,
    /// For connection, TLS handshake and answer together.
    pub handshake_timeout: Duration,
    /// Bad evidence in a row that takes an endpoint out.
    pub fall: NonZeroU32,
    /// Good probes in a row that bring it back.
    pub rise: NonZeroU32,
    /// Client bytes sent and nothing back for this long is an unanswered first flight.
    pub first_flight: Duration,
    /// The least silence after which the next endpoint is dialled beside the silent one.
    pub stagger_min: Duration,
    /// The most silence before that; not less than `stagger_min`.
    pub stagger_max: Duration,
    /// How long a client is held in all while endpoints are tried.
    pub hold: Duration,
    /// How long connections may go on after the daemon was told to stop.
    pub drain_grace: Duration,
    /// How long connections to an endpoint that is going away are kept.
    pub drain_timeout: Duration,
    /// Not a byte from an endpoint for this long, and its connections are cut.
    pub freeze_after: Duration,
    /// How long a recovered endpoint is spared.
    pub slow_start: Duration,
    /// Connections at a time, over all listeners.
    pub connections: NonZeroU32,
    /// Quiet connections moved per second and endpoint after a recovery.
    pub shed_rate: NonZeroU32,
    /// Connections reset per second and endpoint when one is cut.
    pub cut_rate: NonZeroU32,
    /// On both legs of every connection.
    pub keep_alive: KeepAlive,
    /// What clients may have.
    pub limits: Limits,
    /// Whether endpoints, other than this cluster's balancers, are told who the client is.
    pub proxy_protocol: bool,
    /// The kernel's congestion control for connections that stay on loopback addresses.
    pub loopback_congestion: String,
}

/// Whether the kernel balances clients of this node when they connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ConnectTime {
    /// Always.
    On,
    /// Where the kernel can do it well.
    Auto,
    /// Never.
    Off,
}

/// TCP keep-alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeepAlive {
    /// Quiet time before the first one; whole seconds.
    pub idle: Duration,
    /// Between two; whole seconds.
    pub interval: Duration,
    /// Unanswered ones that end the connection.
    pub probes: NonZeroU32,
}

/// A port that leads to every worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ingress {
    /// No other ingress has it.
    pub name: String,
    /// Where clients connect.
    pub port: NonZeroU16,
    /// Where the workers listen.
    pub target_port: NonZeroU16,
}

/// Where metrics and status are served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AdminListen {
    /// A loopback address.
    Tcp(SocketAddr),
    /// An absolute path.
    Unix(String),
}

/// A file that the description names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileReference {
    /// The file as written; a relative one is relative to the directory of the description.
    pub file: String,
    /// Whether it holds a secret.
    pub secret: bool,
    place: Problem,
}

impl Cluster {
    /// The file it was read from, as the user named it.
    pub fn file(&self) -> &str {
        self.source.file()
    }
    /// `metadata.name`.
    pub fn name(&self) -> &str {
        &self.name
    }
    /// Kubernetes itself.
    pub fn kubernetes(&self) -> &Kubernetes {
        &self.kubernetes
    }
    /// In the order of the description.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
    /// Nodes with this role, in the order of the description.
    pub fn with_role(&self, role: NodeRole) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(move |node| node.roles.contains(&role))
    }
    /// The API servers.
    pub fn api_server(&self) -> &ApiServer {
        &self.api_server
    }
    /// The etcd members.
    pub fn etcd(&self) -> &Etcd {
        &self.etcd
    }
    /// What is before the etcd members and not one of them.
    pub(crate) fn etcd_balancers(&self) -> impl Iterator<Item = &Front> {
        let is_member = |host: &Host| match host {
            Host::Address(address) => self.with_role(NodeRole::Etcd).any(|node| {
                node.addresses.contains(address)
                    || [node.access_address, node.public_address].contains(&Some(*address))
            }),
            Host::Name(name) => self.with_role(NodeRole::Etcd).any(|node| node.name == *name),
        };
        self.etcd.access_addresses.iter().filter(move |front| !is_member(&front.host))
    }
    /// Where the API server of a node listens. The description has one address for all of them: where that is a single
    /// one, each listens on its own.
    pub(crate) fn bind_address(&self, node: &Node) -> IpAddr {
        let bind = self.api_server.bind_address;
        if bind.is_unspecified() || bind.is_loopback() || node.addresses.contains(&bind) {
            return bind;
        }
        node.access_address.unwrap_or(bind)
    }
    /// How nodes and components in the cluster reach the API servers.
    pub fn internal(&self) -> &Access {
        &self.internal
    }
    /// How everybody else does.
    pub fn external(&self) -> &Access {
        &self.external
    }
    /// In the order of the description.
    pub fn virtual_ips(&self) -> &[VirtualIp] {
        &self.virtual_ips
    }
    /// Further names and addresses for the API servers' certificates.
    pub fn extra_sans(&self) -> &[String] {
        &self.extra_sans
    }
    /// Further names and addresses for the etcd members' certificates.
    pub fn etcd_extra_sans(&self) -> &[String] {
        &self.etcd_extra_sans
    }
    /// Whether the node's hosts file is to be kept.
    pub fn manage_hosts(&self) -> bool {
        self.manage_hosts
    }
    /// Whether the description says in so many words that hosts files are not to be touched.
    pub fn spares_hosts(&self) -> bool {
        let path = Path::root().key("spec").key("hosts").key("manage");
        !self.manage_hosts && self.source.has(&path)
    }
    /// Timers and limits.
    pub fn balancing(&self) -> &Balancing {
        &self.balancing
    }
    /// Ports that lead to the workers.
    pub fn ingress(&self) -> &[Ingress] {
        &self.ingress
    }
    /// Where metrics and status are served.
    pub fn admin(&self) -> &AdminListen {
        &self.admin
    }

    /// Every file the description names, for whoever can look whether it is there.
    pub fn files(&self) -> Vec<FileReference> {
        let named = [
            ("apiServer", "caFile", &self.api_server.ca_file, false),
            ("apiServer", "clientCertFile", &self.api_server.client_cert_file, false),
            ("apiServer", "clientKeyFile", &self.api_server.client_key_file, true),
            ("apiServer", "tokenFile", &self.api_server.token_file, true),
            ("etcd", "caFile", &self.etcd.ca_file, false),
            ("etcd", "clientCertFile", &self.etcd.client_cert_file, false),
            ("etcd", "clientKeyFile", &self.etcd.client_key_file, true),
        ];
        named
            .into_iter()
            .filter_map(|(section, field, file, secret)| {
                let path = Path::root().key("spec").key(section).key(field);
                let place = self.source.problem(&path, String::new(), String::new());
                file.clone().map(|file| FileReference { file, secret, place })
            })
            .collect()
    }
}

impl FileReference {
    /// The field that names it, such as `spec.apiServer.caFile`.
    pub fn path(&self) -> &str {
        &self.place.path
    }
    /// Where in the description, counted from 1.
    pub fn line(&self) -> Option<u32> {
        self.place.line
    }
    /// A problem with this file, placed where the description names it.
    pub fn problem(&self, message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem { message: message.into(), remedy: remedy.into(), ..self.place.clone() }
    }
}

impl NodeRole {
    /// As written in a description.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ControlPlane => "control-plane",
            Self::Etcd => "etcd",
            Self::Worker => "worker",
            Self::LoadBalancer => "load-balancer",
        }
    }
}

impl Mode {
    /// As written in a description.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NodeLocal => "node-local",
            Self::LoadBalancer => "load-balancer",
            Self::VirtualIp(_) => "virtual-ip",
            Self::External(_) => "external",
            Self::Direct => "direct",
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl Node {
    /// Where others reach it in the family of `of`: the access address if it is of that family, else the first that is.
    pub fn address_of_family(&self, of: IpAddr) -> Option<IpAddr> {
        let own = self.access_address.into_iter().chain(self.addresses.iter().copied());
        own.into_iter().find(|address| address.is_ipv4() == of.is_ipv4())
    }

    /// Where the outside world reaches it, which is where the cluster does unless something else is given.
    pub fn outside_address(&self) -> Option<IpAddr> {
        self.public_address.or(self.access_address)
    }
}

impl fmt::Display for Front {
    /// As in a URL: an IPv6 address is in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port.get()).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl fmt::Display for AdminListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

impl Cidr {
    /// The first address of the range, and how many bits all of them share with it.
    pub fn parts(&self) -> (IpAddr, u8) {
        (self.network, self.prefix)
    }

    /// Whether the range holds the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address, self.prefix) == masked(self.network, self.prefix)
            && address.is_ipv4() == self.network.is_ipv4()
    }

    /// The first address after the network's own, which Kubernetes gives to its own service.
    pub fn first_host(&self) -> IpAddr {
        match self.network {
            IpAddr::V4(network) => IpAddr::V4((u32::from(network).saturating_add(1)).into()),
            IpAddr::V6(network) => IpAddr::V6((u128::from(network).saturating_add(1)).into()),
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

/// Whether the address is one of IPv6 that is valid on its link alone.
pub(crate) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The address's bits within the prefix, the rest zero.
pub(crate) fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let shift = 32_u32.saturating_sub(u32::from(prefix));
            IpAddr::V4((u32::MAX.checked_shl(shift).unwrap_or(0) & u32::from(v4)).into())
        }
        IpAddr::V6(v6) => {
            let shift = 128_u32.saturating_sub(u32::from(prefix));
            IpAddr::V6((u128::MAX.checked_shl(shift).unwrap_or(0) & u128::from(v6)).into())
        }
    }
}
