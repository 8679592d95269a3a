//! The description file as it is written. These types are the format: serde fills them, the JSON Schema comes from them
//! (the comments become its explanations), and through the schema so does every message about an unknown or misfit field.
//!
//! Importers fill the same types, and `import` writes them out as a file.
//!
//! Everything is optional here, also what the schema requires: a description with holes is still looked through for
//! whatever else is wrong with it. Text that means something (addresses, durations, names) stays text; `validate` reads it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A cluster whose API servers bowline keeps reachable.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Description {
    /// Version of this format.
    #[schemars(required)]
    pub(crate) api_version: Option<ApiVersion>,
    /// What is described.
    #[schemars(required)]
    pub(crate) kind: Option<Kind>,
    /// About the description itself.
    #[serde(default)]
    pub(crate) metadata: Metadata,
    /// The cluster.
    #[schemars(required)]
    pub(crate) spec: Option<Spec>,
}

#[derive(Deserialize, Serialize, JsonSchema, Debug)]
pub(crate) enum ApiVersion {
    #[serde(rename = "bowline.dev/v1alpha1")]
    V1Alpha1,
}

#[derive(Deserialize, Serialize, JsonSchema, Debug)]
pub(crate) enum Kind {
    Cluster,
}

/// About the description itself.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Metadata {
    /// The cluster's name. Default: kubernetes.
    pub(crate) name: Option<String>,
}

/// The cluster.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Spec {
    #[serde(default)]
    pub(crate) kubernetes: Kubernetes,
    /// Every machine; at least one has the role control-plane.
    #[schemars(required)]
    pub(crate) nodes: Option<Vec<Node>>,
    #[serde(default)]
    pub(crate) api_server: ApiServer,
    #[serde(default)]
    pub(crate) etcd: Etcd,
    #[serde(default)]
    pub(crate) access: Access,
    /// Addresses that move between nodes.
    #[serde(default, rename = "virtualIPs")]
    pub(crate) virtual_ips: Vec<VirtualIp>,
    #[serde(default)]
    pub(crate) certificates: Certificates,
    #[serde(default)]
    pub(crate) hosts: Hosts,
    #[serde(default)]
    pub(crate) balancing: Balancing,
    /// Ports that lead to every worker.
    #[serde(default)]
    pub(crate) ingress: Vec<Ingress>,
    #[serde(default)]
    pub(crate) admin: Admin,
}

/// Kubernetes itself.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Kubernetes {
    /// Major and minor version, in quotes. Default: "1.32".
    pub(crate) version: Option<String>,
    /// Domain of services. Default: cluster.local.
    pub(crate) dns_domain: Option<String>,
    /// Address ranges of services; one of each family is dual stack. Default: 10.96.0.0/12.
    #[serde(rename = "serviceCIDRs")]
    pub(crate) service_cidrs: Option<Vec<String>>,
}

/// A machine.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Node {
    /// A DNS name, best the host name.
    #[schemars(required)]
    pub(crate) name: Option<String>,
    /// What it is there for. Default: worker.
    pub(crate) roles: Option<Vec<Role>>,
    /// Its IP addresses; optional where nobody connects to the node.
    #[serde(default)]
    pub(crate) addresses: Vec<String>,
    /// Where the others reach it. Default: the first of its addresses.
    pub(crate) access_address: Option<String>,
    /// Where the outside world reaches it. Default: nowhere.
    pub(crate) public_address: Option<String>,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// Runs an API server.
    ControlPlane,
    /// Runs an etcd member.
    Etcd,
    /// Runs pods.
    Worker,
    /// Takes connections for the API servers.
    LoadBalancer,
}

/// The API servers, all alike.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ApiServer {
    /// Where they listen. Default: 6443.
    #[schemars(range(min = 1))]
    pub(crate) port: Option<u16>,
    /// On which of their addresses. Default: "::", which is all of both families.
    pub(crate) bind_address: Option<String>,
    /// The authority that signed their certificates, a PEM file. Default: none, certificates are not verified.
    pub(crate) ca_file: Option<String>,
    /// A certificate for probes to show.
    pub(crate) client_cert_file: Option<String>,
    /// Its key.
    pub(crate) client_key_file: Option<String>,
    /// A bearer token for probes.
    pub(crate) token_file: Option<String>,
}

/// The etcd members, all alike.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Etcd {
    /// Where they take clients. Default: 2379.
    #[schemars(range(min = 1))]
    pub(crate) client_port: Option<u16>,
    /// Whether every node offers etcd at a local port. Default: false.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) gateway: bool,
    /// Whether API servers are given all members instead of their own. Default: false.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) multiaccess: bool,
    /// What API servers are given instead: addresses or DNS names of a balancer before the members, each perhaps with a
    /// port. Default: none.
    pub(crate) access_addresses: Vec<String>,
    /// What the members tell their clients to use, perhaps with a port. Default: each its own address.
    pub(crate) advertised_address: Option<String>,
    /// The authority that signed their certificates, a PEM file.
    pub(crate) ca_file: Option<String>,
    /// A certificate to show to them.
    pub(crate) client_cert_file: Option<String>,
    /// Its key.
    pub(crate) client_key_file: Option<String>,
}

/// How the API servers are reached.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Access {
    /// By nodes and components in the cluster. Default: node-local.
    pub(crate) internal: AccessSide,
    /// By kubectl and other outsiders. Default: virtual-ip if there are virtual IPs, else load-balancer if a node has that
    /// role, else direct.
    pub(crate) external: AccessSide,
}

/// How one side reaches the API servers.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AccessSide {
    /// By which means.
    pub(crate) mode: Option<Mode>,
    /// Which port clients use. Default: that of the API servers.
    #[schemars(range(min = 1))]
    pub(crate) port: Option<u16>,
    /// DNS names that clients use.
    pub(crate) names: Vec<String>,
    /// Mode external: address or DNS name of the balancer.
    pub(crate) address: Option<String>,
    /// Mode external: the same, several.
    pub(crate) addresses: Vec<String>,
    /// Mode virtual-ip: which ones, by name. Default: all.
    #[serde(rename = "virtualIPs")]
    pub(crate) virtual_ips: Option<Vec<String>>,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    /// A listener on every node's loopback addresses.
    NodeLocal,
    /// The nodes with the role load-balancer.
    LoadBalancer,
    /// Addresses that move between nodes.
    VirtualIp,
    /// Somebody else's balancer.
    External,
    /// The first control plane itself.
    Direct,
}

/// An address that moves between nodes.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct VirtualIp {
    /// What the rest of the description calls it.
    #[schemars(required)]
    pub(crate) name: Option<String>,
    /// The address.
    pub(crate) address: Option<String>,
    /// Several addresses of one family.
    #[serde(default)]
    pub(crate) addresses: Vec<String>,
    /// Where it may be: a role, or a list of node names. Default: control-plane.
    pub(crate) on: Option<Placement>,
    /// Of the protocol, VRRP. Default: 3.
    #[schemars(range(min = 2, max = 3))]
    pub(crate) version: Option<u8>,
    /// Between two adverts. Default: 100ms; version 2 knows whole seconds alone: 1s.
    pub(crate) interval: Option<DurationText>,
    /// Whether a better node takes over from a good one. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) preempt: bool,
    /// How long it waits first. Default: 0s.
    pub(crate) preempt_delay: Option<DurationText>,
    /// Number of the virtual router on its link. Default: 1 for the first virtual IP, 2 for the second, and so on.
    #[schemars(range(min = 1))]
    pub(crate) vrid: Option<u8>,
    /// The link it lives on. Default: the one whose subnet holds the address.
    pub(crate) interface: Option<String>,
    /// Virtual IPs of one group move together.
    pub(crate) group: Option<String>,
    /// By node name; 255 is the owner. Default: 254, 250, 246 and so on.
    #[schemars(extend("additionalProperties" = {"type": "integer", "minimum": 1, "maximum": 255}))]
    #[serde(default)]
    pub(crate) priorities: BTreeMap<String, u8>,
    /// Whether adverts go to each peer instead of the multicast group. Default: false.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) unicast: bool,
    /// Whose adverts are accepted. Default: planned.
    pub(crate) peers: Option<Peers>,
    /// Version 2 with simple authentication: at most 8 bytes.
    pub(crate) password: Option<String>,
    /// What makes a node fit to hold the address. Default: api-server.
    pub(crate) track: Option<Track>,
    /// What the holder does when no node is fit. Default: keep.
    pub(crate) when_all_bad: Option<WhenAllBad>,
    /// Whether connections are balanced, or handed to the holder's own API server. Default: true.
    pub(crate) balance: Option<bool>,
    /// Whether it has a hardware address of its own, made of the number (00:00:5e:00:01:NN, or 02 for IPv6), which moves with it.
    /// Needs macvlan in the kernel, and switches that let a port send from it. Default: false.
    #[serde(default, rename = "virtualMAC", skip_serializing_if = "is_false")]
    pub(crate) virtual_mac: bool,
}

/// A role, or a list of node names.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Debug)]
#[serde(untagged)]
pub(crate) enum Placement {
    Role(Role),
    Nodes(Vec<String>),
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Peers {
    /// Of the nodes in the plan.
    Planned,
    /// Everybody's.
    Any,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Track {
    /// It reaches an API server.
    ApiServer,
    /// Nothing.
    None,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WhenAllBad {
    /// Keeps the address.
    Keep,
    /// Gives it up.
    Release,
}

/// Certificates of the API servers and of etcd.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Certificates {
    /// Further names and addresses that those of the API servers have to hold.
    #[serde(rename = "extraSANs")]
    pub(crate) extra_sans: Vec<String>,
    /// And those of the etcd members.
    #[serde(rename = "etcdExtraSANs")]
    pub(crate) etcd_extra_sans: Vec<String>,
}

/// The hosts file of every node.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Hosts {
    /// Whether bowline keeps a block of lines in it. Default: false; where that is said, `bowline hosts apply` keeps away
    /// too.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) manage: bool,
}

/// Timers and limits of health, dialling and relaying.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Balancing {
    /// Who gets the next connection. Default: auto, which is preferred on nodes and least-connections on balancers.
    pub(crate) policy: Option<Policy>,
    /// Whether the kernel balances clients of the node when they connect. Default: auto, where it can do it well.
    pub(crate) connect_time: Option<ConnectTime>,
    /// Between two probes of a settled endpoint. Default: 1s on balancers, 30s on nodes.
    pub(crate) probe_interval: Option<DurationText>,
    /// Between two probes while the grade is changing. Default: 100ms.
    pub(crate) fast_probe_interval: Option<DurationText>,
    /// For an answer on a connection that is open already. Default: 200ms.
    pub(crate) probe_timeout: Option<DurationText>,
    /// For connection, TLS handshake and answer together. Default: 1s.
    pub(crate) handshake_timeout: Option<DurationText>,
    /// Bad evidence in a row that takes an endpoint out. Default: 2.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) fall: Option<u32>,
    /// Good probes in a row that bring it back. Default: 2; one is enough while no endpoint is ready.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) rise: Option<u32>,
    /// Client bytes sent and nothing back for this long is bad evidence. Default: 200ms.
    pub(crate) first_flight: Option<DurationText>,
    /// The least silence after which the next endpoint is dialled too. Default: 50ms.
    pub(crate) stagger_min: Option<DurationText>,
    /// The most silence before that. Default: 250ms.
    pub(crate) stagger_max: Option<DurationText>,
    /// How long a client is held in all while endpoints are tried. Default: 8s.
    pub(crate) hold: Option<DurationText>,
    /// How long connections may go on after the daemon was told to stop. Default: 30s.
    pub(crate) drain_grace: Option<DurationText>,
    /// How long connections to an endpoint that is going away are kept. Default: 75s.
    pub(crate) drain_timeout: Option<DurationText>,
    /// Not a byte from an endpoint for this long, and its connections are cut. Default: 3s.
    pub(crate) freeze_after: Option<DurationText>,
    /// How long a recovered endpoint is spared. Default: 10s.
    pub(crate) slow_start: Option<DurationText>,
    /// Connections at a time, over all listeners. Default: 100000.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) connections: Option<u32>,
    /// Quiet connections moved per second and endpoint after a recovery. Default: 5.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) shed_rate: Option<u32>,
    /// Connections reset per second and endpoint when one is cut. Default: 2000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) cut_rate: Option<u32>,
    pub(crate) keep_alive: KeepAlive,
    /// What clients may have.
    pub(crate) limits: Limits,
    /// Whether endpoints are told who the client is, by the PROXY protocol, version 2. They have to expect it. Default: false.
    pub(crate) proxy_protocol: Option<bool>,
    /// The kernel's congestion control for connections that stay on loopback addresses. Default: cubic.
    #[schemars(extend("pattern" = "^[a-z0-9_]{1,15}$"))]
    pub(crate) loopback_congestion: Option<String>,
}

/// What clients may have.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Limits {
    /// Address ranges whose clients are served; this machine's own always are. Default: all.
    pub(crate) clients: Vec<String>,
    /// At a time, of one address or one IPv6 network of 64 bits; this machine's own are not counted. Default: 10000.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(crate) connections_per_client: Option<u32>,
    /// New connections per second of the same, lastingly; four times as many at once. Default: 1000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) new_connections_per_client: Option<u32>,
    /// How long a connection lasts on which nobody says anything; 0s is for ever. Default: 60s.
    pub(crate) first_byte: Option<DurationText>,
    /// Bytes kept for peers that do not take them, in MiB and for each thread. Default: 64.
    #[serde(rename = "unsentMiB")]
    #[schemars(range(min = 1, max = 65_536))]
    pub(crate) unsent_mib: Option<u32>,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Policy {
    /// Preferred on nodes, least-connections on balancers.
    Auto,
    /// The endpoint with the fewest open connections.
    LeastConnections,
    /// Each in turn.
    RoundRobin,
    /// The less busy of two drawn at random.
    RandomOfTwo,
    /// The first usable one, in an order that differs from node to node.
    Preferred,
    /// The first usable one, in the same order everywhere.
    Sticky,
}

#[derive(Deserialize, Serialize, JsonSchema, Clone, Copy, Debug)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ConnectTime {
    On,
    Auto,
    Off,
}

/// TCP keep-alive on both legs of every connection.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct KeepAlive {
    /// Quiet time before the first one, in whole seconds. Default: 15s.
    pub(crate) idle: Option<DurationText>,
    /// Between two, in whole seconds. Default: 5s.
    pub(crate) interval: Option<DurationText>,
    /// Unanswered ones that end the connection. Default: 3.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) probes: Option<u32>,
}

/// A port that leads to every worker.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Ingress {
    /// What messages and metrics call it.
    #[schemars(required)]
    pub(crate) name: Option<String>,
    /// Where clients connect.
    #[schemars(required, range(min = 1))]
    pub(crate) port: Option<u16>,
    /// Where the workers listen. Default: the same port.
    #[schemars(range(min = 1))]
    pub(crate) target_port: Option<u16>,
}

/// Where metrics and status are served.
#[derive(Deserialize, Serialize, JsonSchema, Default, Debug)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Admin {
    /// A loopback address and port, or unix: and an absolute path. Default: "127.0.0.1:9643".
    pub(crate) listen: Option<String>,
}

/// A whole number and a unit: 100ms, 30s, 2m, 1h.
#[derive(Deserialize, Serialize, JsonSchema, Clone, Debug)]
#[serde(transparent)]
#[schemars(extend("pattern" = "^[0-9]{1,9}(ms|s|m|h)$"))]
pub(crate) struct DurationText(pub(crate) String);

/// What is written out only where it is not the default.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}
