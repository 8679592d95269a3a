//! `bowline import haproxy` and `bowline import keepalived`, which take each other's files too.

use super::{MachineArgs, Target, failure, files, finish};
use crate::failure::Failure;
use bowline_plan::import::File;
use bowline_plan::import::front::{self, Sources};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct HaproxyArgs {
    /// haproxy.cfg
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// keepalived.conf of a machine that it is on; may be given for each of them
    #[arg(long, value_name = "FILE")]
    keepalived: Vec<PathBuf>,
    /// The section that stands before the API servers
    #[arg(long, value_name = "NAME")]
    section: Option<String>,
    #[command(flatten)]
    machines: MachineArgs,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
pub(super) struct KeepalivedArgs {
    /// keepalived.conf, of one machine or of each
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// haproxy.cfg of the machines that they are on
    #[arg(long, value_name = "FILE")]
    haproxy: Option<PathBuf>,
    /// The section of haproxy.cfg that stands before the API servers
    #[arg(long, value_name = "NAME", requires = "haproxy")]
    section: Option<String>,
    #[command(flatten)]
    machines: MachineArgs,
    #[command(flatten)]
    target: Target,
}

pub(super) fn haproxy(args: &HaproxyArgs) -> Result<(), Failure> {
    let HaproxyArgs { file, keepalived, section, machines, target } = args;
    import(Some(file), keepalived, section.as_deref(), machines, target)
}

pub(super) fn keepalived(args: &KeepalivedArgs) -> Result<(), Failure> {
    let KeepalivedArgs { files, haproxy, section, machines, target } = args;
    import(haproxy.as_deref(), files, section.as_deref(), machines, target)
}

fn import(
    haproxy: Option<&Path>,
    keepalived: &[PathBuf],
    section: Option<&str>,
    machines: &MachineArgs,
    target: &Target,
) -> Result<(), Failure> {
    let haproxy = haproxy.map(|path| files::named(&[path.to_owned()])).transpose()?.unwrap_or_default();
    let keepalived = files::named(keepalived)?;
    let keepalived: Vec<File<'_>> =
        keepalived.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let haproxy = haproxy.first().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let machines = machines.all();
    let sources = Sources { haproxy, keepalived: &keepalived, machines: &machines, section };
    finish(&front::import(sources).map_err(|failed| failure(&failed))?, target)
}
