//! docs/acceptance.md: each row names the tests that show it, and these exist.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};

use crate::workspace::Workspace;

const FILE: &str = "docs/acceptance.md";

pub(super) fn check(workspace: &Workspace) -> Result<Vec<String>> {
    let text = fs::read_to_string(workspace.root.join(FILE)).with_context(|| format!("read {FILE}"))?;
    let mut tests = BTreeSet::new();
    for file in
        workspace.files()?.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
    {
        let source = fs::read_to_string(workspace.root.join(file))
            .with_context(|| format!("read {}", file.display()))?;
        tests.extend(test_names(&source));
    }
    Ok(problems(&text, &tests))
}

/// Rows are the table lines whose first cell starts with a digit (`0.4`); tests are the words in backticks in the last
/// cell, by their path or name.
fn problems(text: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut rows = 0;
    for (index, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let (Some(id), Some(last)) = (cells.first(), cells.last()) else { continue };
        if !line.trim_start().starts_with('|') || !id.starts_with(|first: char| first.is_ascii_digit()) {
            continue;
        }
        rows += 1;
        let place = format!("{FILE}:{}: row {id}", index + 1);
        let named: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            problems.push(format!("{place}: the last column names no test"));
        }
        for name in named {
            let function = name.rsplit("::").next().unwrap_or(name);
            if !tests.contains(function) {
                problems.push(format!("{place}: there is no test `{name}`"));
            }
        }
    }
    if rows == 0 {
        problems.push(format!("{FILE}: no row; a row starts with `| 0.4 |`"));
    }
    problems
}

/// Names of the functions after a `#[test]` or `#[tokio::test]` attribute.
fn test_names(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            marked = true;
        } else if marked && let Some((_, rest)) = line.split_once("fn ") {
            names.extend(rest.split(['(', '<']).next().map(str::to_owned));
            marked = false;
        }
    }
    names
}

#[cfg(test)]
mod tests;
