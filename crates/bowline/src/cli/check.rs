//! `bowline check`: what is wrong with a description, and what a good one still leaves to be desired.

use super::{ConfigArg, OutputArg, load};
use crate::documents::Check;
use crate::failure::Failure;
use crate::output::{print_as, table};
use bowline_plan::{ApiServerLoad, Finding, Lost, Severity, Spof};
use clap::Args;
use clap::builder::PossibleValuesParser;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    output: OutputArg,
    /// End with exit code 1 for a finding with this code, as for every error; can be given more than once
    #[arg(long, value_name = "CODE", value_parser = PossibleValuesParser::new(bowline_plan::finding_codes()))]
    deny: Vec<String>,
}

pub(super) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let cluster = load(&args.config.config)?;
    let plan = bowline_plan::plan(&cluster, 1);
    let findings = bowline_plan::lint(&cluster, &plan);
    let spof = bowline_plan::spof(&cluster, &plan);
    let load = bowline_plan::api_server_load(&cluster, &plan);
    let document = Check::new(findings, spof, load);
    print_as(args.output.output, &document, || text(&document, cluster.name(), cluster.nodes().len()))?;
    if is_denied(&document, &args.deny) { Err(Failure::Denied) } else { Ok(()) }
}

/// Errors fail a check, and findings that were named; with `spof` so does every single failure that cuts all clients of
/// a class off.
fn is_denied(document: &Check, denied: &[String]) -> bool {
    let is_named = |code: &str| denied.iter().any(|denied| denied == code);
    document.findings.iter().any(|finding| finding.severity == Severity::Error || is_named(finding.code))
        || (is_named("spof") && document.spof.iter().any(Spof::is_single_point))
}

fn text(document: &Check, name: &str, nodes: usize) -> String {
    let mut text = String::new();
    for finding in &document.findings {
        text.push_str(&finding_line(finding));
    }
    if !document.spof.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str("What a single failure costs:\n");
        text.push_str(&table(["FAILURE", "CLIENTS", "LOST", "FOR"], document.spof.iter().map(spof_row)));
    }
    if !document.load.is_empty() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str("What each API server will see:\n");
        let header = ["NODE", "PROBES/S", "CONNECTIONS", "HANDSHAKES WHEN ANOTHER DIES"];
        text.push_str(&table(header, document.load.iter().map(load_row)));
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let noun = if nodes == 1 { "node" } else { "nodes" };
    text.push_str(&format!("{name}: {nodes} {noun}, {}\n", count(&document.findings)));
    text
}

fn finding_line(finding: &Finding) -> String {
    let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
    let path = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
    format!(
        "{}{line}: {} [{}]: {path}{}; {}\n",
        finding.file,
        severity(finding.severity),
        finding.code,
        finding.message,
        finding.remedy
    )
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

fn spof_row(spof: &Spof) -> [String; 4] {
    let lost = match spof.lost {
        Lost::All => "all",
        Lost::Some => "some",
    };
    let seconds = spof.seconds.map_or_else(|| "until repaired".to_owned(), |seconds| format!("{seconds} s"));
    [spof.failure.clone(), spof.clients.join(", "), lost.to_owned(), seconds]
}

fn load_row(load: &ApiServerLoad) -> [String; 4] {
    [
        load.node.clone(),
        load.requests_per_second.to_string(),
        load.standing_connections.to_string(),
        load.handshakes_at_failover.to_string(),
    ]
}

fn count(findings: &[Finding]) -> String {
    match findings.len() {
        0 => "nothing found".to_owned(),
        1 => "1 finding".to_owned(),
        more => format!("{more} findings"),
    }
}
