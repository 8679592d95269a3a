//! Planner cases: each folder of `cases/` holds a `cluster.yaml` and what follows from it, which is `problems.txt` when
//! it is not a valid description, and otherwise `plan.json`, `endpoints.txt` and `findings.txt`.
//!
//! `BLESS=1 cargo test -p bowline-plan --test cases` rewrites what follows; review it as a diff.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test reads and writes its cases")]

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use bowline_plan::{Cluster, api_server_load, finding_codes, lint, load, plan, spof, unserved};

/// What a case can lead to; a file that is not produced must not be there.
const OUTPUTS: [&str; 4] = ["plan.json", "endpoints.txt", "findings.txt", "problems.txt"];

#[test]
fn every_case_is_as_blessed() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut names: Vec<_> = fs::read_dir(&cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 40, "only {} cases found in {}", names.len(), cases.display());
    let is_blessing = env::var_os("BLESS").is_some();
    let mut different = Vec::new();
    for case in &names {
        let produced = run(&fs::read(case.join("cluster.yaml")).unwrap());
        for output in OUTPUTS {
            let path = case.join(output);
            let now = produced.iter().find(|(name, _)| *name == output).map(|(_, text)| text.as_str());
            let blessed = fs::read_to_string(&path).ok();
            if now == blessed.as_deref() {
                continue;
            }
            match (is_blessing, now) {
                (true, Some(text)) => fs::write(&path, text).unwrap(),
                (true, None) => fs::remove_file(&path).unwrap(),
                (false, _) => different.push(format!(
                    "--- {}\nblessed:\n{}\nnow:\n{}",
                    path.display(),
                    blessed.unwrap_or_else(|| "(no such file)\n".to_owned()),
                    now.unwrap_or("(nothing)\n")
                )),
            }
        }
    }
    assert!(different.is_empty(), "{}\nBLESS=1 accepts what is new", different.join("\n"));
}

/// Found in a plan that does not belong to its description, which no case has; another test shows it.
const NOT_IN_CASES: &str = "san-missing";

#[test]
fn every_kind_of_finding_is_in_a_case() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let entries = fs::read_dir(&cases).unwrap().map(|entry| entry.unwrap().path().join("findings.txt"));
    let findings: String = entries.filter_map(|path| fs::read_to_string(path).ok()).collect();
    let is_found = |code: &str| findings.lines().any(|line| line.split(' ').nth(1) == Some(code));
    let missing: Vec<&str> =
        finding_codes().filter(|code| !is_found(code) && *code != NOT_IN_CASES).collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
}

fn run(bytes: &[u8]) -> Vec<(&'static str, String)> {
    match load("cluster.yaml", bytes) {
        Ok(cluster) => vec![
            ("plan.json", serde_json::to_string_pretty(&plan(&cluster, 1)).unwrap() + "\n"),
            ("endpoints.txt", endpoints(&cluster)),
            ("findings.txt", findings(&cluster)),
        ],
        Err(problems) => {
            let lines: Vec<String> = problems.iter().map(|problem| format!("{problem}\n")).collect();
            vec![("problems.txt", lines.concat())]
        }
    }
}

/// A line for each client, and one for each rule that lost.
fn endpoints(cluster: &Cluster) -> String {
    let mut text = String::new();
    for client in bowline_plan::endpoints(cluster) {
        let node = client.node.as_deref().unwrap_or("*");
        writeln!(text, "{} {node}: {} by {}", client.class.as_str(), client.url, client.rule.as_str())
            .unwrap();
        for lost in client.lost {
            let url = lost.url.as_deref().unwrap_or("-");
            writeln!(text, "    not {url} by {}: {}", lost.rule.as_str(), lost.why).unwrap();
        }
    }
    text
}

/// Findings, then the table of single failures, then what `run` refuses.
fn findings(cluster: &Cluster) -> String {
    let plan = plan(cluster, 1);
    let mut text = String::new();
    for finding in lint(cluster, &plan) {
        let line = finding.line.map(|line| line.to_string()).unwrap_or_default();
        writeln!(
            text,
            "{} {} {}:{line}: {}: {}; {}",
            finding.severity.as_str(),
            finding.code,
            finding.file,
            finding.path,
            finding.message,
            finding.remedy
        )
        .unwrap();
    }
    for row in spof(cluster, &plan) {
        let seconds = row.seconds.map_or("until repaired".to_owned(), |seconds| format!("{seconds} s"));
        writeln!(
            text,
            "spof: {} | {} | {} | {seconds}",
            row.failure,
            row.clients.join(", "),
            row.lost.as_str()
        )
        .unwrap();
    }
    for load in api_server_load(cluster, &plan) {
        writeln!(
            text,
            "load: {} | {} probes/s | {} handshakes at failover | {} connections",
            load.node, load.requests_per_second, load.handshakes_at_failover, load.standing_connections
        )
        .unwrap();
    }
    for problem in unserved(cluster) {
        writeln!(text, "unserved: {problem}").unwrap();
    }
    text
}
