//! The workspace as cargo and git see it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;

/// Where things are, and what cargo says about the packages.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    pub(crate) metadata: Value,
}

impl Workspace {
    /// Asks cargo. Only what is built on Linux is looked at.
    pub(crate) fn load() -> Result<Workspace> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the folder above xtask")?;
        let mut cargo = command::cargo(here);
        cargo.args(["metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"]);
        let metadata: Value =
            serde_json::from_str(&command::output(&mut cargo)?).context("read cargo's metadata")?;
        let path = |key: &str| -> Result<PathBuf> {
            Ok(PathBuf::from(metadata[key].as_str().with_context(|| format!("`{key}` in cargo's metadata"))?))
        };
        Ok(Workspace { root: path("workspace_root")?, target: path("target_directory")?, metadata })
    }

    /// All packages of the dependency graph, the workspace's own among them.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &Value> {
        self.metadata["packages"].as_array().into_iter().flatten()
    }

    /// The workspace's own packages.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Value> {
        self.packages().filter(|package| package["source"].is_null())
    }

    /// Files under version control, and new ones that are not ignored; paths from the root.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>> {
        let mut git = Command::new("git");
        git.current_dir(&self.root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let names = command::output(&mut git)?;
        let mut files: Vec<PathBuf> =
            names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
        files.sort();
        files.dedup();
        // A file that was deleted but not yet committed is still listed.
        files.retain(|file| self.root.join(file).is_file());
        Ok(files)
    }

    /// The program that a build of `profile` leaves: `debug` or `release`.
    pub(crate) fn built(&self, profile: &str, name: &str) -> PathBuf {
        self.target.join(profile).join(name)
    }
}
