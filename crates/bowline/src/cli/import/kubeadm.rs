//! `bowline import kubeadm`.

use super::{MachineArgs, Target, failure, files, finish};
use crate::failure::Failure;
use bowline_plan::import::{File, kubeadm};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct KubeadmArgs {
    /// Configurations of one cluster: what init and join were given, or the ConfigMap kubeadm-config
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    machines: MachineArgs,
    #[command(flatten)]
    target: Target,
}

pub(super) fn import(args: &KubeadmArgs) -> Result<(), Failure> {
    let files = files::named(&args.files)?;
    let files: Vec<File<'_>> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let imported = kubeadm::import(&files, &args.machines.all()).map_err(|failed| failure(&failed))?;
    finish(&imported, &args.target)
}
