//! Charmed Kubernetes: Juju bundles, and what the charms make of them.
//!
//! A bundle and a status are first brought down to a [`Model`]. [`explain`] says what the charms of its era decide, and the
//! description is made from that: an address that the charms hand out is judged by who holds it.

mod bundle;
mod describe;
mod era;
mod explain;
mod lint;
mod model;
mod read;
mod status;
mod topology;

pub use explain::{Choice, Explanation, explain};
pub use model::{Era, Model};

use super::cursor::{self, Cursor};
use super::{File, ImportFailed, Imported, Place, Remark, RemarkKind};
use crate::problem::Problem;
use crate::source::Tree;

/// A bundle with what follows from it.
#[derive(Debug)]
pub struct Bundle {
    /// What the charms' rules look at.
    pub model: Model,
    /// What `cluster.yaml` becomes of it.
    pub imported: Result<Imported, ImportFailed>,
}

/// Reads a model that is written down as such, in JSON or YAML. `era` wins over the one in the file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_model((file, bytes): File<'_>, era: Option<Era>) -> Result<Model, Vec<Problem>> {
    let trees = cursor::documents(file, bytes)?;
    match only(file, &trees) {
        Ok(tree) => read::model(&Cursor::new(file, tree), era),
        Err(problem) => Err(vec![problem]),
    }
}

/// Reads a bundle with its overlays, and the status of its units, which has the addresses. `era` wins over what can be told.
///
/// # Errors
/// Everything that stands in the way of a model; what stands in the way of a description is in [`Bundle`].
pub fn import(
    bundle_files: &[File<'_>],
    status: Option<File<'_>>,
    era: Option<Era>,
) -> Result<Bundle, ImportFailed> {
    let mut remarks = Vec::new();
    let failed =
        |problems: Vec<Problem>, remarks: &[Remark]| ImportFailed { problems, remarks: remarks.to_vec() };
    let mut problems = Vec::new();
    let mut trees: Vec<(&str, Vec<Tree>)> = Vec::new();
    for (file, bytes) in bundle_files {
        match cursor::documents(file, bytes) {
            Ok(found) => trees.push((file, found)),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(failed(problems, &remarks));
    }
    let documents: Vec<(&str, &Tree)> =
        trees.iter().flat_map(|(file, trees)| trees.iter().map(|tree| (*file, tree))).collect();
    let bundle = bundle::read(&documents, &mut remarks).map_err(|problems| failed(problems, &remarks))?;
    let Some((file, bytes)) = status else {
        let place = Place::new(bundle.file, None);
        let remedy = "give --status FILE with the output of `juju status --format=json`";
        return Err(failed(vec![place.problem("a bundle holds no address", remedy)], &remarks));
    };
    let status_trees = cursor::documents(file, bytes).map_err(|problems| failed(problems, &remarks))?;
    let tree = only(file, &status_trees).map_err(|problem| failed(vec![problem], &remarks))?;
    let status = status::read(&Cursor::new(file, tree)).map_err(|problems| failed(problems, &remarks))?;

    let topology =
        topology::find(&bundle, &status, &mut remarks).map_err(|problems| failed(problems, &remarks))?;
    let control_plane = &topology.control_plane;
    let era = match era {
        Some(era) => era,
        None => {
            let told = era::tell(&bundle, control_plane.name, control_plane.application, Some(&status));
            let (era, by) = told.map_err(|problem| failed(vec![problem], &remarks))?;
            let place = bundle::place(&control_plane.application.at);
            remarks.push(place.remark(RemarkKind::Assumed, format!("era {era:?}, by {by}")));
            era
        }
    };
    if control_plane.units.is_empty() {
        let message = format!("no unit of {} is in the status", control_plane.name);
        let remedy = "give the status of the model that the bundle was made of";
        let place = bundle::place(&control_plane.application.at);
        return Err(failed(vec![place.problem(message, remedy)], &remarks));
    }
    let model = topology.model(era);
    remarks.extend(lint::remarks(&topology, &model));
    let draft = describe::Describer::new(&topology, &model, remarks).describe();
    Ok(Bundle { imported: draft.finish(bundle.file), model })
}

fn only<'t>(file: &str, trees: &'t [Tree]) -> Result<&'t Tree, Problem> {
    match trees {
        [tree] => Ok(tree),
        _ => {
            Err(Place::new(file, None).problem(format!("{} documents", trees.len()), "give a file with one"))
        }
    }
}

impl Era {
    /// The era that a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        read::era(word)
    }
}
