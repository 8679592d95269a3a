//! `bowline import juju`.

use super::{Target, failure, files, finish, report};
use crate::documents::Explain;
use crate::failure::Failure;
use crate::output::{Format, print, print_json, print_yaml, table};
use bowline_plan::import::juju::{self, Choice, Era, Explanation};
use bowline_plan::import::{ImportFailed, Remark};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct JujuArgs {
    /// The bundle, and its overlays after it
    #[arg(required_unless_present = "model", value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,
    /// What `juju status --format=json` printed
    #[arg(long, value_name = "FILE")]
    status: Option<PathBuf>,
    /// How old the charms are, where that cannot be told from the bundle
    #[arg(long, value_enum)]
    era: Option<EraName>,
    /// Explain this model, which is what a bundle and a status come down to
    #[arg(long, value_name = "FILE", requires = "explain", conflicts_with_all = ["bundles", "status"])]
    model: Option<PathBuf>,
    /// Print what the charms themselves decide instead, their defects included
    #[arg(long, conflicts_with = "write")]
    explain: bool,
    #[command(flatten)]
    target: Target,
}

/// Eras of the charms, as docs and cases call them.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "verbatim")]
enum EraName {
    L,
    M,
    O,
}

impl From<EraName> for Era {
    fn from(name: EraName) -> Self {
        match name {
            EraName::L => Self::L,
            EraName::M => Self::M,
            EraName::O => Self::O,
        }
    }
}

pub(super) fn import(args: &JujuArgs) -> Result<(), Failure> {
    let era = args.era.map(Era::from);
    let format = args.target.output.output;
    if let Some(file) = &args.model {
        let bytes = files::read(file)?;
        let model = juju::read_model((&name(file), &bytes), era)
            .map_err(|problems| failure(&ImportFailed { problems, remarks: Vec::new() }))?;
        return explain(juju::explain(&model), Vec::new(), format);
    }
    let mut bundles = Vec::new();
    for file in &args.bundles {
        bundles.push((name(file), files::read(file)?));
    }
    let status =
        args.status.as_ref().map(|file| Ok::<_, Failure>((name(file), files::read(file)?))).transpose()?;
    let bundles: Vec<(&str, &[u8])> =
        bundles.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let status = status.as_ref().map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let bundle = juju::import(&bundles, status, era).map_err(|failed| failure(&failed))?;
    if args.explain {
        let remarks = match &bundle.imported {
            Ok(imported) => imported.remarks().to_vec(),
            Err(failed) => failed.remarks.clone(),
        };
        return explain(juju::explain(&bundle.model), remarks, format);
    }
    finish(&bundle.imported.map_err(|failed| failure(&failed))?, &args.target)
}

fn name(file: &Path) -> String {
    file.display().to_string()
}

fn explain(explanation: Explanation, remarks: Vec<Remark>, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => print_json(&Explain::new(explanation, remarks))?,
        Format::Yaml => print_yaml(&Explain::new(explanation, remarks))?,
        Format::Text => {
            report(&remarks);
            print(&text(&explanation))?;
        }
    }
    Ok(())
}

fn text(explanation: &Explanation) -> String {
    let waits = || "none yet".to_owned();
    let external = explanation.external.iter().enumerate().map(|(position, url)| {
        [format!("people, by control plane {position}"), url.clone().unwrap_or_else(waits)]
    });
    let workers = explanation.worker.iter().map(|(unit, choice)| {
        let urls = match choice {
            Choice::Url(url) => url.clone().unwrap_or_else(waits),
            Choice::Arbitrary { one_of } => format!("any of\n{}", one_of.join("\n")),
        };
        [unit.clone(), urls]
    });
    table(["CLIENT", "ENDPOINT"], external.chain(workers))
}
