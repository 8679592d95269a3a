//! The host as the tests must leave it: addresses, links, rules, namespaces, packet filter, programs on cgroups, and no
//! process of theirs.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use crate::command;

/// Every process that the run starts inherits this variable with the run's own value: by it the ones left over are found.
pub(crate) const MARK: &str = "BOWLINE_TEST_RUN";

/// What is looked at, each by the command that prints it. A command that is not there prints nothing, before and after.
const VIEWS: [(&str, &[&str]); 8] = [
    ("links", &["ip", "-o", "link"]),
    ("addresses", &["ip", "-o", "address"]),
    ("rules", &["ip", "rule"]),
    ("IPv6 rules", &["ip", "-6", "rule"]),
    ("network namespaces", &["ip", "netns", "list"]),
    ("packet filter", &["nft", "list", "ruleset"]),
    ("programs on cgroups", &["bpftool", "cgroup", "tree"]),
    ("policy-rc.d", &["ls", "/usr/sbin/policy-rc.d"]),
];

/// The host at one moment.
pub(crate) struct Host(BTreeMap<&'static str, Vec<String>>);

impl Host {
    pub(crate) fn look() -> Host {
        let mut views = BTreeMap::new();
        for (name, words) in VIEWS {
            let [program, arguments @ ..] = words else { continue };
            let printed = command::output(Command::new(program).args(arguments)).unwrap_or_default();
            let mut lines: Vec<String> = printed.lines().map(stable).collect();
            lines.sort();
            views.insert(name, lines);
        }
        Host(views)
    }

    /// One line per thing that came or went since `self`.
    pub(crate) fn differences(&self, after: &Host) -> Vec<String> {
        let mut found = Vec::new();
        for (name, before) in &self.0 {
            let now = after.0.get(name).map_or(&[][..], Vec::as_slice);
            found.extend(
                now.iter().filter(|line| !before.contains(line)).map(|line| format!("{name}: new: {line}")),
            );
            found.extend(
                before.iter().filter(|line| !now.contains(line)).map(|line| format!("{name}: gone: {line}")),
            );
        }
        found
    }
}

/// One line per process that carries `mark` in its environment and is not this one.
pub(crate) fn left_over(mark: &str) -> Vec<String> {
    let wanted = format!("{MARK}={mark}");
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        if pid != std::process::id()
            && environment.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes())
        {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            found.push(format!("process {pid} is left over: {}", line.trim()));
        }
    }
    found
}

/// The line without what changes by itself: remaining lifetimes and the state of a link's queue.
fn stable(line: &str) -> String {
    let mut words = line.split_whitespace();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        if matches!(word, "valid_lft" | "preferred_lft") {
            words.next();
        } else {
            kept.push(word.trim_end_matches('\\'));
        }
    }
    kept.join(" ")
}

#[cfg(test)]
mod tests;
