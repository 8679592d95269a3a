//! The generated files under docs/: written by the product itself, so that they cannot say anything else than it does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command;
use crate::workspace::Workspace;

/// Writes them into docs/.
pub(crate) fn write() -> Result<()> {
    let workspace = Workspace::load()?;
    let docs = workspace.root.join("docs");
    generate(&workspace, &docs)?;
    println!("docs/ is written");
    Ok(())
}

/// One line per file under docs/ that differs from what the product would write now.
pub(crate) fn stale(workspace: &Workspace) -> Result<Vec<String>> {
    let fresh = workspace.target.join("xtask-docs");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).with_context(|| format!("empty {}", fresh.display()))?;
    }
    fs::create_dir_all(&fresh).with_context(|| format!("make {}", fresh.display()))?;
    generate(workspace, &fresh)?;
    let mut files = BTreeMap::new();
    collect(&fresh, &fresh, &mut files)?;
    let docs = workspace.root.join("docs");
    let mut problems = Vec::new();
    if files.is_empty() {
        problems.push("docs: `bowline generate` wrote nothing".to_owned());
    }
    for (name, wanted) in &files {
        match fs::read(docs.join(name)) {
            Ok(found) if found == *wanted => {}
            Ok(_) => problems.push(format!("docs/{}: out of date; run `cargo xtask docs`", name.display())),
            Err(error) => problems.push(format!("docs/{}: {error}; run `cargo xtask docs`", name.display())),
        }
    }
    Ok(problems)
}

fn generate(workspace: &Workspace, directory: &Path) -> Result<()> {
    let mut cargo = command::cargo(&workspace.root);
    cargo
        .args(["run", "--quiet", "--package", "bowline", "--bin", "bowline", "--", "generate"])
        .arg(directory);
    command::run(&mut cargo).context("generate the documentation")
}

fn collect(base: &Path, directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))? {
        let path = entry.with_context(|| format!("list {}", directory.display()))?.path();
        if path.is_dir() {
            collect(base, &path, files)?;
        } else {
            let content = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
            files.insert(path.strip_prefix(base).context("a path below its own folder")?.to_owned(), content);
        }
    }
    Ok(())
}
