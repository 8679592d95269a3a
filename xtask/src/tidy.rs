//! `cargo xtask tidy`: the conventions that a machine can check.

mod acceptance;
mod files;
mod licences;
mod walls;

use anyhow::{Result, bail};

use crate::docs;
use crate::workspace::Workspace;

/// One check: a line per problem, each with the place first.
type Check = fn(&Workspace) -> Result<Vec<String>>;

const CHECKS: [(&str, Check); 9] = [
    ("crate walls", walls::dependencies),
    ("number of dependencies", walls::count),
    ("licences", licences::check),
    ("file sizes", files::sizes),
    ("clippy.toml of pure crates", files::clippy),
    ("unsafe code", files::forbid_unsafe),
    ("words", files::words),
    ("acceptance rows", acceptance::check),
    ("generated docs", docs::stale),
];

pub(crate) fn run() -> Result<()> {
    check(&Workspace::load()?)
}

/// Runs every check and reports all problems at once.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut problems = Vec::new();
    for (name, check) in CHECKS {
        // A check that cannot be made is a problem like others: all are reported at once.
        let found = check(workspace).unwrap_or_else(|error| vec![format!("{name}: {error:#}")]);
        println!(
            "  {name}: {}",
            if found.is_empty() { "good".to_owned() } else { format!("{} problems", found.len()) }
        );
        problems.extend(found);
    }
    if problems.is_empty() {
        return Ok(());
    }
    for problem in &problems {
        println!("{problem}");
    }
    bail!("{} problems", problems.len());
}
