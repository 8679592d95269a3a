//! `bowline check`: what is wrong with a description, and what a good one still leaves to be desired.

use super::{ConfigArg, OutputArg, load};
use crate::documents::Check;
use crate::failure::Failure;
use crate::output::{Format, print, print_json, table};
use bowline_plan::{Finding, Lost, Severity, Spof};
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
    let denied = findings.iter().any(|finding| {
        finding.severity == Severity::Error || args.deny.iter().any(|code| code == finding.code)
    });
    let document = Check::new(findings, bowline_plan::spof(&cluster, &plan));
    match args.output.output {
        Format::Json => print_json(&document)?,
        Format::Text => print(&text(&document, cluster.name(), cluster.nodes().len()))?,
    }
    if denied { Err(Failure::Denied) } else { Ok(()) }
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

fn count(findings: &[Finding]) -> String {
    match findings.len() {
        0 => "nothing found".to_owned(),
        1 => "1 finding".to_owned(),
        more => format!("{more} findings"),
    }
}
