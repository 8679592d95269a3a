//! `bowline import kubespray`.

use super::{Target, failure, files, finish, report};
use crate::documents::Explain;
use crate::failure::Failure;
use crate::output::{Format, print, print_json, print_yaml, table};
use bowline_plan::import::kubespray::{self, Edition, Explained};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct KubesprayArgs {
    /// The folder of the inventory, or the inventory itself with its variables beside it
    inventory: PathBuf,
    /// Facts of hosts: {HOST: {hostname, fqdn, default_ipv4, default_ipv6}}
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    /// Whose rules the inventory was written for
    #[arg(long, value_enum, default_value = "current")]
    edition: EditionName,
    /// Print what Kubespray itself would have decided instead, its defects included
    #[arg(long, conflicts_with = "write")]
    explain: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum EditionName {
    /// The code of today
    Current,
    /// The document of December 2019
    Doc2019,
    /// The document of October 2016, when it was called Kargo
    Kargo,
}

pub(super) fn import(args: &KubesprayArgs) -> Result<(), Failure> {
    let tree = files::inventory(&args.inventory)?;
    let facts =
        args.facts.as_ref().map(|file| Ok::<_, Failure>((file.display().to_string(), files::read(file)?)));
    let facts = facts.transpose()?;
    let facts = facts.as_ref().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let inventory = kubespray::read(&tree, facts).map_err(|failed| failure(&failed))?;
    let edition = match args.edition {
        EditionName::Current => Edition::Current,
        EditionName::Doc2019 => Edition::Doc2019,
        EditionName::Kargo => Edition::Kargo,
    };
    if args.explain {
        return explain(&inventory, edition, args.target.output.output);
    }
    let imported = kubespray::import(&inventory, edition).map_err(|failed| failure(&failed))?;
    finish(&imported, &args.target)
}

fn explain(inventory: &kubespray::Inventory, edition: Edition, format: Format) -> Result<(), Failure> {
    let explanation = kubespray::explain(inventory, edition).map_err(|failed| failure(&failed))?;
    match format {
        Format::Json => print_json(&Explain::new(explanation.explained, explanation.remarks))?,
        Format::Yaml => print_yaml(&Explain::new(explanation.explained, explanation.remarks))?,
        Format::Text => {
            report(&explanation.remarks);
            print(&text(&explanation.explained))?;
        }
    }
    Ok(())
}

fn text(explained: &Explained) -> String {
    match explained {
        Explained::Current(current) => {
            let rows = current.hosts.iter().map(|(name, host)| {
                let proxy = host.proxy_listen.as_ref().map(|listen| listen.join("\n"));
                [name.clone(), host.endpoint.clone(), proxy.unwrap_or_else(|| "-".to_owned())]
            });
            table(["HOST", "ENDPOINT", "LOCAL PROXY"], rows)
        }
        Explained::Document(document) => {
            let rows = document.hosts.iter().map(|(name, host)| [name.clone(), host.endpoint.clone()]);
            let external = document.external.iter().map(|url| ["(outside)".to_owned(), url.clone()]);
            table(["HOST", "ENDPOINT"], rows.chain(external))
        }
    }
}
