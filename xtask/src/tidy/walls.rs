//! Which crate may depend on what (ARCHITECTURE.md says why), and how much is built in all.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;
use crate::workspace::Workspace;

/// What one crate may use. Build dependencies: none has any.
struct Wall {
    name: &'static str,
    /// In the product.
    normal: &'static [&'static str],
    /// In tests only.
    dev: &'static [&'static str],
}

/// A crate that is not here fails: its row, with the reason for each dependency, comes with its first line.
const WALLS: [Wall; 11] = [
    Wall { name: "bowline-sansio", normal: &[], dev: &["insta", "proptest"] },
    Wall { name: "bowline-pool", normal: &["bowline-sansio"], dev: &["insta", "proptest"] },
    Wall {
        name: "bowline-plan",
        normal: &["serde", "serde_json", "serde-saphyr", "schemars"],
        dev: &["insta", "proptest"],
    },
    Wall { name: "bowline-vrrp", normal: &["bowline-sansio"], dev: &["insta", "proptest"] },
    Wall { name: "bowline-sim", normal: &["bowline-sansio", "bowline-vrrp"], dev: &[] },
    Wall { name: "bowline-sys", normal: &["rustix", "socket2"], dev: &[] },
    Wall {
        name: "bowline-vip",
        normal: &["bowline-sansio", "bowline-sys", "bowline-vrrp"],
        dev: &["rustix"],
    },
    Wall {
        name: "bowline-proxy",
        normal: &["bowline-sansio", "bowline-sys", "bowline-pool", "thiserror"],
        dev: &["proptest", "rustix", "socket2"],
    },
    Wall {
        name: "bowline-lab",
        normal: &[
            "anyhow",
            "bowline-sys",
            "bytes",
            "http-body-util",
            "hyper",
            "hyper-util",
            "rcgen",
            "rustix",
            "rustls",
            "serde",
            "serde_json",
            "socket2",
            "tokio",
            "tokio-rustls",
        ],
        dev: &[],
    },
    Wall {
        name: "bowline",
        normal: &[
            "anyhow",
            // Fingerprints of certificates; it is the provider of rustls and rcgen.
            "aws-lc-rs",
            "axum",
            "bowline-lab",
            "bowline-plan",
            "bowline-pool",
            "bowline-proxy",
            "bowline-sansio",
            "bowline-sys",
            "bowline-vip",
            "bowline-vrrp",
            "bytes",
            "clap",
            "comfy-table",
            "http-body-util",
            "hyper",
            "hyper-util",
            "prometheus-client",
            // `certs issue`.
            "rcgen",
            "rustls",
            "schemars",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio-rustls",
            "tracing",
            "tracing-subscriber",
            // Reads certificates for `certs`.
            "x509-parser",
        ],
        dev: &["insta", "proptest", "snapbox"],
    },
    Wall { name: "xtask", normal: &["anyhow", "serde_json"], dev: &[] },
];

/// `cargo build --release` compiles fewer crates than this.
const DEPENDENCIES_MAX: usize = 200;

pub(super) fn dependencies(workspace: &Workspace) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for package in workspace.members() {
        problems.extend(package_problems(package)?);
    }
    Ok(problems)
}

fn package_problems(package: &Value) -> Result<Vec<String>> {
    let name = package["name"].as_str().context("a package's name")?;
    let Some(wall) = WALLS.iter().find(|wall| wall.name == name) else {
        return Ok(vec![format!(
            "{name}: not in the table of xtask/src/tidy/walls.rs; add what it may depend on"
        )]);
    };
    let mut problems = Vec::new();
    for dependency in package["dependencies"].as_array().context("a package's dependencies")? {
        let used = dependency["name"].as_str().context("a dependency's name")?;
        let (kind, allowed) = match dependency["kind"].as_str() {
            None => ("dependency", wall.normal.contains(&used)),
            Some("dev") => ("dev-dependency", wall.dev.contains(&used) || wall.normal.contains(&used)),
            Some(_) => ("build dependency", false),
        };
        if !allowed {
            problems
                .push(format!("{name}: {kind} `{used}` crosses the crate's wall (xtask/src/tidy/walls.rs)"));
        }
    }
    Ok(problems)
}

pub(super) fn count(workspace: &Workspace) -> Result<Vec<String>> {
    let mut tree = command::cargo(&workspace.root);
    tree.args(["tree", "--package", "bowline", "--edges", "normal,build", "--prefix", "none"]);
    let printed = command::output(&mut tree)?;
    let mut crates: Vec<&str> = printed.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    crates.sort_unstable();
    crates.dedup();
    println!("  {} crates in a release build", crates.len());
    if crates.len() < DEPENDENCIES_MAX {
        return Ok(Vec::new());
    }
    Ok(vec![format!(
        "Cargo.toml: {} crates in a release build, {DEPENDENCIES_MAX} is too many",
        crates.len()
    )])
}

#[cfg(test)]
mod tests;
