//! `bowline generate`: the files under docs/ that follow from the code.

use crate::certs::{CertsCheck, CertsInspect};
use crate::demo::{Demo, VipDemo};
use crate::documents::{
    Check, DnsDocument, Endpoints, Explain, HostsDocument, Import, PlanDiff, PlanDocument, SansDocument,
    Status,
};
use crate::failure::Failure;
use crate::metrics;
use anyhow::Context;
use bowline_plan::import::{juju, kubespray};
use clap::Args;
use schemars::schema_for;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    /// The folder to write into; its files of the same names are replaced
    directory: PathBuf,
}

pub(super) fn generate(args: &GenerateArgs) -> Result<(), Failure> {
    Ok(write(&args.directory)?)
}

fn write(directory: &Path) -> anyhow::Result<()> {
    write_file(directory, "metrics.md", &metrics::markdown())?;
    write_file(directory, "findings.md", &bowline_plan::findings_markdown())?;
    write_json(directory, "cluster.schema.json", &bowline_plan::json_schema())?;
    write_json(directory, "json/status.schema.json", &schema_for!(Status))?;
    write_json(directory, "json/check.schema.json", &schema_for!(Check))?;
    write_json(directory, "json/endpoints.schema.json", &schema_for!(Endpoints))?;
    write_json(directory, "json/plan.schema.json", &schema_for!(PlanDocument))?;
    write_json(directory, "json/plan-diff.schema.json", &schema_for!(PlanDiff))?;
    write_json(directory, "json/import.schema.json", &schema_for!(Import))?;
    let explained = schema_for!(Explain<kubespray::Explained>);
    write_json(directory, "json/import-explain-kubespray.schema.json", &explained)?;
    write_json(directory, "json/import-explain-juju.schema.json", &schema_for!(Explain<juju::Explanation>))?;
    write_json(directory, "json/certs-check.schema.json", &schema_for!(CertsCheck))?;
    write_json(directory, "json/certs-inspect.schema.json", &schema_for!(CertsInspect))?;
    write_json(directory, "json/render-hosts.schema.json", &schema_for!(HostsDocument))?;
    write_json(directory, "json/render-dns.schema.json", &schema_for!(DnsDocument))?;
    write_json(directory, "json/render-sans.schema.json", &schema_for!(SansDocument))?;
    write_json(directory, "json/demo-vip.schema.json", &schema_for!(VipDemo))?;
    write_json(directory, "json/demo.schema.json", &schema_for!(Demo))
}

fn write_json(directory: &Path, name: &str, document: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(document).with_context(|| format!("cannot build {name}"))?;
    text.push('\n');
    write_file(directory, name, &text)
}

fn write_file(directory: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    let path = directory.join(name);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}
