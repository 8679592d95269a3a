//! What can be seen in the files themselves.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// About 500 is the aim; above this the file holds two things.
const LINES_MAX: usize = 600;

/// Crates whose clippy.toml keeps clocks, sockets, files, threads and locks out. The nearest file wins and nothing is
/// inherited: each has the same.
const PURE: [&str; 5] = ["bowline-sansio", "bowline-pool", "bowline-plan", "bowline-vrrp", "bowline-sim"];

/// The only crate that may hold `unsafe`.
const UNSAFE: &str = "bowline-sys";

/// The repository speaks of itself alone, and says nothing that it postpones. In two parts, so that this file passes.
const WORDS: [(&str, &str); 9] = [
    ("/wor", "k/"),
    ("../sha", "red"),
    ("/tmp/pl", "an"),
    ("/tmp/", "t/"),
    ("FIX", "ME"),
    ("XX", "X:"),
    ("Clau", "de"),
    ("Anthro", "pic"),
    ("Chat", "GPT"),
];

pub(super) fn sizes(workspace: &Workspace) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for file in
        workspace.files()?.iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
    {
        let lines = read(&workspace.root.join(file))?.lines().count();
        if lines > LINES_MAX {
            problems.push(format!("{}: {lines} lines, {LINES_MAX} is the most; split it", file.display()));
        }
    }
    Ok(problems)
}

pub(super) fn clippy(workspace: &Workspace) -> Result<Vec<String>> {
    let path = |name: &str| PathBuf::from("crates").join(name).join("clippy.toml");
    let [first, others @ ..] = PURE;
    let model = read(&workspace.root.join(path(first)))?;
    let mut problems = Vec::new();
    for name in others {
        let found = fs::read_to_string(workspace.root.join(path(name))).unwrap_or_default();
        if found != model {
            problems.push(format!("{}: differs from {}", path(name).display(), path(first).display()));
        }
    }
    Ok(problems)
}

pub(super) fn forbid_unsafe(workspace: &Workspace) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in workspace.members().filter(|package| package["name"] != UNSAFE) {
        for target in package["targets"].as_array().context("a package's targets")? {
            let kinds = target["kind"].as_array().context("a target's kinds")?;
            let root = target["src_path"].as_str().context("a target's root")?;
            let product = kinds.iter().any(|kind| kind == "lib" || kind == "bin");
            if product && !read(Path::new(root))?.lines().any(|line| line.trim() == "#![forbid(unsafe_code)]")
            {
                problems.push(format!("{root}: `#![forbid(unsafe_code)]` is missing"));
            }
        }
    }
    Ok(problems)
}

pub(super) fn words(workspace: &Workspace) -> Result<Vec<String>> {
    let words = WORDS.map(|(head, tail)| format!("{head}{tail}"));
    let mut problems = Vec::new();
    for file in workspace.files()? {
        // What is not text has no words.
        let Ok(text) = fs::read_to_string(workspace.root.join(&file)) else { continue };
        problems.extend(found(&text, &words).map(|(line, word)| {
            format!("{}:{line}: `{word}` does not belong in the repository", file.display())
        }));
    }
    Ok(problems)
}

fn found<'a>(text: &'a str, words: &'a [String]) -> impl Iterator<Item = (usize, &'a str)> {
    text.lines().enumerate().flat_map(move |(index, line)| {
        words
            .iter()
            .filter(move |word| line.contains(word.as_str()))
            .map(move |word| (index + 1, word.as_str()))
    })
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests;
