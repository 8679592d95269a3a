//! What a valid description and its plan still leave to be desired.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cluster::Cluster;
use crate::plan::Plan;
use crate::problem::Problem;

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

/// What a single failure does to one class of clients.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Spof {
    /// What fails.
    pub failure: String,
    /// Who notices: `control-plane`, `node`, `pod`, `external` or `etcd`.
    pub clients: String,
    /// How many of them lose access.
    pub lost: Lost,
    /// For how long by the configured timers; `None` is until the failure is repaired.
    pub seconds: Option<f64>,
}

/// How many clients of a class a failure touches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lost {
    /// Every one.
    All,
    /// Those that were using what failed.
    Some,
}

/// Everything worth saying about a description and its plan, worst first.
pub fn lint(_cluster: &Cluster, _plan: &Plan) -> Vec<Finding> {
    Vec::new()
}

/// What each single failure costs.
pub fn spof(_cluster: &Cluster, _plan: &Plan) -> Vec<Spof> {
    Vec::new()
}

/// What the description asks for and `run` of this version cannot do.
pub fn unserved(_cluster: &Cluster) -> Vec<Problem> {
    Vec::new()
}

/// The page that explains every code, in Markdown.
pub fn findings_markdown() -> String {
    String::new()
}
