//! What `bowline certs` prints for people.

use crate::certs::{CertificateFacts, CertsCheck, InspectedCertificate, Issued};
use bowline_plan::Severity;
use std::net::IpAddr;

/// Where values begin, in columns.
const VALUES: usize = 14;
/// Where lines end, in columns.
const WIDTH: usize = 80;

pub(super) fn inspected(certificates: &[InspectedCertificate]) -> String {
    let pages = certificates.iter().map(|certificate| {
        format!("{}, certificate {}:\n{}", certificate.file, certificate.number, facts(&certificate.facts))
    });
    pages.collect::<Vec<_>>().join("\n")
}

fn facts(facts: &CertificateFacts) -> String {
    let left = match facts.days_left {
        negative if negative < 0 => "expired".to_owned(),
        1 => "1 day left".to_owned(),
        days => format!("{days} days left"),
    };
    let purposes =
        if facts.purposes.is_empty() { "any purpose".to_owned() } else { facts.purposes.join(", ") };
    let role = if facts.is_ca { "a CA" } else { "no CA" };
    let names: Vec<&str> = facts.names.iter().chain(&facts.other_names).map(String::as_str).collect();
    let addresses: Vec<String> = facts.addresses.iter().map(IpAddr::to_string).collect();
    [
        line("subject", &facts.subject),
        line("issuer", &facts.issuer),
        line("serial", &facts.serial),
        list("names", &names),
        list("addresses", &addresses),
        line("valid", &format!("{} to {}, {left}", facts.not_before, facts.not_after)),
        line("key", &facts.key),
        line("for", &format!("{purposes}; {role}")),
        line("SHA-256", &facts.fingerprint.replace(':', "")),
    ]
    .concat()
}

fn line(label: &str, value: &str) -> String {
    format!("  {label:<width$}{value}\n", width = VALUES - 2)
}

/// Values with commas between them, continued under the first where a line is full.
fn list(label: &str, values: &[impl AsRef<str>]) -> String {
    if values.is_empty() {
        return line(label, "none");
    }
    let mut lines = vec![String::new()];
    for (index, value) in values.iter().enumerate() {
        let comma = if index + 1 == values.len() { "" } else { "," };
        let word = format!("{}{comma}", value.as_ref());
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(&word),
            Some(last) if VALUES + last.len() + 1 + word.len() <= WIDTH => {
                last.push(' ');
                last.push_str(&word);
            }
            Some(_) | None => lines.push(word),
        }
    }
    line(label, &lines.join(&format!("\n{}", " ".repeat(VALUES))))
}

pub(super) fn checked(document: &CertsCheck) -> String {
    let mut text = String::new();
    for finding in &document.findings {
        text.push_str(&format!(
            "{} [{}]: {}: {}; {}\n",
            severity(finding.severity),
            finding.code,
            finding.subject,
            finding.message,
            finding.remedy
        ));
    }
    let whose = document
        .node
        .as_ref()
        .map_or_else(|| "all nodes have to name".to_owned(), |node| format!("{node} has to name"));
    let count = match document.findings.len() {
        0 => "nothing found".to_owned(),
        1 => "1 finding".to_owned(),
        more => format!("{more} findings"),
    };
    text.push_str(&format!("{}: held against what {whose}: {count}\n", document.target));
    text
}

const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    }
}

/// What is to be said about a certificate whose CA ends sooner than it should have.
pub(super) fn shortened(issued: &Issued) -> String {
    if issued.is_shortened { "valid no longer than its CA\n".to_owned() } else { String::new() }
}
