//! What a valid description and its plan still leave to be desired.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cluster::{Access, Cluster};
use crate::plan::Plan;
use crate::problem::Problem;
use crate::source::Path;

mod access;
mod addresses;
mod codes;
mod load;
mod ports;
mod routers;
mod serving;
mod spof;
mod timers;
mod unserved;

use codes::Code;
pub use codes::{finding_codes, findings_markdown};
pub use load::{ApiServerLoad, api_server_load};
pub use ports::ports_in_use;
pub use spof::{Lost, Spof, spof};
use unserved::Idle;
pub use unserved::unserved;

/// Nodes that a message names.
const NODES_NAMED: usize = 5;

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
    lint.serving(plan);
    lint.ports(plan);
    lint.addresses();
    lint.access();
    lint.routers();
    lint.timers(plan);
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

impl<'a> Lint<'a> {
    fn add(&mut self, code: Code, path: &Path, message: impl Into<String>, remedy: impl Into<String>) {
        self.add_problem(code, self.cluster.source.problem(path, message.into(), remedy.into()));
    }

    fn add_problem(&mut self, code: Code, problem: Problem) {
        let Code { name, severity, .. } = code;
        let Problem { file, line, column: _, path, message, remedy } = problem;
        self.findings.push(Finding { code: name, severity, file, line, path, message, remedy });
    }

    fn sides(&self) -> [(&'static str, &'a Access); 2] {
        [("internal", self.cluster.internal()), ("external", self.cluster.external())]
    }

    fn not_served_yet(&mut self) {
        for problem in unserved(self.cluster) {
            self.add_problem(Code::NOT_SERVED_YET, problem);
        }
    }

    fn no_effect_yet(&mut self) {
        for Idle { path, message, remedy } in unserved::without_effect(self.cluster) {
            if self.cluster.source.has(&path) {
                self.add(Code::NO_EFFECT_YET, &path, message, remedy);
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
