//! `bowline hosts`: a block of lines in this machine's hosts file.

use super::{ConfigArg, load, own_node};
use crate::failure::Failure;
use crate::output::{complain, print};
use crate::replace::replace;
use anyhow::Context;
use bowline_plan::render::{shadows, with_hosts_block, without_hosts_block};
use clap::{Args, Subcommand};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct HostsArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Put the names of the description into the hosts file, or bring them up to date
    Apply {
        #[command(flatten)]
        config: ConfigArg,
        /// The node whose lines to put there, instead of the one with this machine's host name or address
        #[arg(long, value_name = "NAME")]
        node: Option<String>,
        #[command(flatten)]
        file: FileArg,
        /// Also when the description says `hosts: {manage: false}`
        #[arg(long)]
        force: bool,
    },
    /// Take them out, leaving everything else as it is
    Remove {
        #[command(flatten)]
        file: FileArg,
    },
}

#[derive(Debug, Args)]
struct FileArg {
    /// The hosts file
    #[arg(long, value_name = "FILE", default_value = "/etc/hosts")]
    file: PathBuf,
}

pub(super) fn hosts(args: &HostsArgs) -> Result<(), Failure> {
    match &args.action {
        Action::Apply { config, node, file, force } => {
            apply(&config.config, node.as_deref(), &file.file, *force)
        }
        Action::Remove { file } => {
            let old = read(&file.file)?;
            let new = without_hosts_block(&old)
                .map_err(|error| Failure::Input(vec![format!("{}: {error}", file.file.display())]))?;
            write(&file.file, &old, &new)
        }
    }
}

fn apply(config: &Path, node: Option<&str>, file: &Path, force: bool) -> Result<(), Failure> {
    let cluster = load(config)?;
    if cluster.spares_hosts() && !force {
        return Err(Failure::Input(vec![format!(
            "{}: spec.hosts.manage is false: hosts files are not to be touched; set it to true, leave it out, or say --force",
            config.display()
        )]));
    }
    let name = own_node(&cluster, config, node)?;
    let plan = bowline_plan::plan(&cluster, 1);
    let lines = plan.nodes.get(&name).map(|node| node.hosts.as_slice()).unwrap_or_default();
    let old = read(file)?;
    let new = with_hosts_block(&old, lines)
        .map_err(|error| Failure::Input(vec![format!("{}: {error}", file.display())]))?;
    for shadow in shadows(&old, lines) {
        complain(&format!(
            "{}:{}: this line leads {} to {}, and counts before those of bowline; take the name out of it",
            file.display(),
            shadow.line,
            shadow.name,
            shadow.address
        ));
    }
    write(file, &old, &new)
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    Ok(fs::read(file).with_context(|| format!("cannot read {}", file.display()))?)
}

/// Writes only what differs.
fn write(file: &Path, old: &[u8], new: &[u8]) -> Result<(), Failure> {
    if old == new {
        return Ok(print(&format!("{} is as it should be\n", file.display()))?);
    }
    replace(file, new).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(print(&format!("{} is written\n", file.display()))?)
}
