//! The documents that scripts read: every one names its `schema`; fields are added, never renamed.

use bowline_plan::import::Remark;
use bowline_plan::render::DnsRecord;
use bowline_plan::{ApiServerLoad, Client, Finding, HostsLine, Plan, Sans, Spof};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a daemon is doing now: `bowline status --output json` and `GET /status`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `bowline.dev/status/v1`.
    pub schema: String,
    /// The node whose part the daemon does.
    pub node: String,
    /// The daemon's version.
    pub version: String,
    /// Counts the plans that were put in force since the daemon started, from 1.
    pub generation: u64,
    /// How long the daemon has run, in milliseconds.
    pub uptime_ms: u64,
    /// Whether it is stopping: it takes no new connections and waits for the open ones.
    pub draining: bool,
    /// Where clients connect to.
    pub listeners: Vec<ListenerStatus>,
    /// What the listeners hand connections to.
    pub pools: Vec<PoolStatus>,
    /// The servers of every pool.
    pub endpoints: Vec<EndpointStatus>,
    /// Virtual IPs this node takes part in.
    #[serde(rename = "virtualIPs")]
    pub virtual_ips: Vec<VirtualIpStatus>,
    /// The last reload that was refused, until one is accepted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reload_refused: Option<Vec<String>>,
}

impl Status {
    /// What `schema` says.
    pub const SCHEMA: &'static str = "bowline.dev/status/v1";
}

/// One listener.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStatus {
    /// The address it listens on.
    pub address: IpAddr,
    /// The port it listens on.
    pub port: u16,
    /// The pool its connections go to.
    pub pool: String,
    /// Client connections open now, the held ones included.
    pub connections: u64,
}

/// One pool.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// Its name in the plan.
    pub name: String,
    /// Who gets the next connection.
    pub policy: String,
    /// Whether every endpoint looks bad, so that all of them are tried.
    pub fail_open: bool,
}

/// One endpoint of one pool.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointStatus {
    /// The pool it belongs to.
    pub pool: String,
    /// The node's name.
    pub name: String,
    /// Address and port.
    pub address: String,
    /// `ready`, `alive`, `draining` or `dead`.
    pub grade: String,
    /// Why it has that grade.
    pub reason: String,
    /// How old the newest evidence is, in milliseconds; absent before the first.
    pub evidence_age_ms: Option<u64>,
    /// Connections open to it now.
    pub connections: u32,
}

/// One address of a virtual IP, as this node's virtual router sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualIpStatus {
    /// Its name in the description.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// The interface it is held on.
    pub interface: String,
    /// The state of the virtual router on this node.
    pub state: String,
    /// Who holds the address, where that is known.
    pub holder: Option<String>,
    /// Since when, in milliseconds of the daemon's uptime.
    pub since: Option<u64>,
    /// Why.
    pub reason: String,
    /// What the virtual router advertises, or would.
    pub priority: u8,
    /// Whether clients would be served here.
    pub can_serve: bool,
    /// Why it cannot take part, where it cannot.
    pub fault: Option<String>,
    /// The address of the router whose adverts were heard last.
    pub heard_from: Option<String>,
    /// How long ago that was, in milliseconds.
    pub heard_ms_ago: Option<u64>,
}

/// Everything `check` found: `bowline check --output json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// `bowline.dev/check/v1`.
    pub schema: &'static str,
    /// What is wrong or unwise, worst first.
    pub findings: Vec<Finding>,
    /// Which single failures cut whom off.
    pub spof: Vec<Spof>,
    /// What each API server will see.
    pub load: Vec<ApiServerLoad>,
}

impl Check {
    /// The document of these findings.
    pub const fn new(findings: Vec<Finding>, spof: Vec<Spof>, load: Vec<ApiServerLoad>) -> Self {
        Self { schema: "bowline.dev/check/v1", findings, spof, load }
    }
}

/// Who uses which endpoint and why: `bowline endpoints --output json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoints {
    /// `bowline.dev/endpoints/v1`.
    pub schema: &'static str,
    /// Every client, with the rules that lost.
    pub clients: Vec<Client>,
}

impl Endpoints {
    /// The document of these clients.
    pub const fn new(clients: Vec<Client>) -> Self {
        Self { schema: "bowline.dev/endpoints/v1", clients }
    }
}

/// The whole plan, or one node's: `bowline plan --output json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanDocument {
    /// `bowline.dev/plan/v1`.
    pub schema: &'static str,
    /// What every node does.
    #[serde(flatten)]
    pub plan: Plan,
}

impl PlanDocument {
    /// The document of this plan.
    pub const fn new(plan: Plan) -> Self {
        Self { schema: "bowline.dev/plan/v1", plan }
    }
}

/// What changes from one plan to another: `bowline plan --diff FILE --output json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanDiff {
    /// `bowline.dev/plan-diff/v1`.
    pub schema: &'static str,
    /// The steps of every node that has any, in the order in which a running daemon takes them.
    pub nodes: BTreeMap<String, Vec<String>>,
}

impl PlanDiff {
    /// The document of these steps.
    pub const fn new(nodes: BTreeMap<String, Vec<String>>) -> Self {
        Self { schema: "bowline.dev/plan-diff/v1", nodes }
    }
}

/// A description of another system as one of ours: `bowline import SYSTEM --output json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// `bowline.dev/import/v1`.
    pub schema: &'static str,
    /// What `cluster.yaml` holds.
    pub description: serde_json::Value,
    /// What was assumed, what differs, and what was not understood.
    pub remarks: Vec<Remark>,
}

impl Import {
    /// The document of this description.
    pub const fn new(description: serde_json::Value, remarks: Vec<Remark>) -> Self {
        Self { schema: "bowline.dev/import/v1", description, remarks }
    }
}

/// What another system would have decided itself: `bowline import SYSTEM --explain --output json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explain<T> {
    /// `bowline.dev/import-explain/v1`.
    pub schema: &'static str,
    /// Its decisions, in its own words.
    #[serde(flatten)]
    pub explained: T,
    /// What is wrong with them, and what was assumed or not understood.
    pub remarks: Vec<Remark>,
}

impl<T> Explain<T> {
    /// The document of these decisions.
    pub const fn new(explained: T, remarks: Vec<Remark>) -> Self {
        Self { schema: "bowline.dev/import-explain/v1", explained, remarks }
    }
}

/// Lines for hosts files: `bowline render hosts --output json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostsDocument {
    /// `bowline.dev/render-hosts/v1`.
    pub schema: &'static str,
    /// By node.
    pub nodes: BTreeMap<String, Vec<HostsLine>>,
}

impl HostsDocument {
    /// The document of these lines.
    pub const fn new(nodes: BTreeMap<String, Vec<HostsLine>>) -> Self {
        Self { schema: "bowline.dev/render-hosts/v1", nodes }
    }
}

/// Names that certificates have to hold: `bowline render sans --output json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SansDocument {
    /// `bowline.dev/render-sans/v1`.
    pub schema: &'static str,
    /// The names.
    #[serde(flatten)]
    pub sans: Sans,
}

impl SansDocument {
    /// The document of these names.
    pub const fn new(sans: Sans) -> Self {
        Self { schema: "bowline.dev/render-sans/v1", sans }
    }
}

/// Records for a DNS zone: `bowline render dns --output json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsDocument {
    /// `bowline.dev/render-dns/v1`.
    pub schema: &'static str,
    /// By name.
    pub records: Vec<DnsRecord>,
}

impl DnsDocument {
    /// The document of these records.
    pub const fn new(records: Vec<DnsRecord>) -> Self {
        Self { schema: "bowline.dev/render-dns/v1", records }
    }
}
