//! `bowline import`: descriptions of other systems as one of ours.

mod files;
mod front;
mod juju;
mod kubeadm;
mod kubespray;

use super::OutputArg;
use crate::documents::Import;
use crate::failure::Failure;
use crate::output::{Format, complain, print, print_json, print_yaml};
use anyhow::Context;
use bowline_plan::import::{ImportFailed, Imported, Machine, MachineRole, Remark};
use clap::{Args, Subcommand};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct ImportArgs {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// An inventory of Kubespray: YAML, INI, or what `ansible-inventory --list` prints
    Kubespray(kubespray::KubesprayArgs),
    /// A Juju bundle of Charmed Kubernetes, with the status of its units
    Juju(juju::JujuArgs),
    /// What kubeadm init and join are given
    Kubeadm(kubeadm::KubeadmArgs),
    /// haproxy.cfg in front of API servers
    Haproxy(front::HaproxyArgs),
    /// keepalived.conf of one machine, or of each
    Keepalived(front::KeepalivedArgs),
}

/// Where the description goes.
#[derive(Debug, Args)]
struct Target {
    /// Write the description to FILE instead of standard output
    #[arg(short = 'o', long = "write", value_name = "FILE")]
    write: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArg,
}

/// Machines that the files do not name.
#[derive(Debug, Args)]
struct MachineArgs {
    /// A machine that runs an API server; may be given several times, as the next two
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = control_plane)]
    control_plane: Vec<Machine>,
    /// A machine that takes connections for the API servers
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = load_balancer)]
    load_balancer: Vec<Machine>,
    /// A machine that runs pods
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = worker)]
    worker: Vec<Machine>,
}

impl MachineArgs {
    fn all(&self) -> Vec<Machine> {
        [&self.control_plane, &self.load_balancer, &self.worker].into_iter().flatten().cloned().collect()
    }
}

fn control_plane(text: &str) -> Result<Machine, String> {
    Machine::parse(text, MachineRole::ControlPlane)
}

fn load_balancer(text: &str) -> Result<Machine, String> {
    Machine::parse(text, MachineRole::LoadBalancer)
}

fn worker(text: &str) -> Result<Machine, String> {
    Machine::parse(text, MachineRole::Worker)
}

pub(super) fn import(args: &ImportArgs) -> Result<(), Failure> {
    match &args.source {
        Source::Kubespray(args) => kubespray::import(args),
        Source::Juju(args) => juju::import(args),
        Source::Kubeadm(args) => kubeadm::import(args),
        Source::Haproxy(args) => front::haproxy(args),
        Source::Keepalived(args) => front::keepalived(args),
    }
}

/// Prints what was imported: the description where it was asked for, and the report on standard error; or one document
/// with both.
fn finish(imported: &Imported, target: &Target) -> Result<(), Failure> {
    if let Some(file) = &target.write {
        replace(file, imported.yaml())?;
    }
    match target.output.output {
        Format::Json => print_json(&document(imported))?,
        Format::Yaml => print_yaml(&document(imported))?,
        Format::Text => {
            report(imported.remarks());
            if target.write.is_none() {
                print(imported.yaml())?;
            }
        }
    }
    Ok(())
}

fn document(imported: &Imported) -> Import {
    Import::new(imported.description().clone(), imported.remarks().to_vec())
}

fn report(remarks: &[Remark]) {
    for remark in remarks {
        complain(&remark.to_string());
    }
}

/// What stands in the way, after what was noticed besides.
fn failure(failed: &ImportFailed) -> Failure {
    report(&failed.remarks);
    Failure::Input(failed.problems.iter().map(ToString::to_string).collect())
}

/// Puts `text` into `file` as a whole: whoever reads it meanwhile sees the old text or the new one.
fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, file));
    if written.is_err() {
        // It may not even be there.
        let _gone = fs::remove_file(&new);
    }
    written.with_context(|| format!("cannot write {}", file.display()))
}
