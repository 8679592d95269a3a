//! From the descriptions of other systems to ours.
//!
//! An importer gets [`Files`], an in-memory tree, and fills a draft: the same raw description that a file would be read
//! into, and beside it where in the foreign files each of its values came from. [`Imported`] is made from a draft in one
//! way only: it is written out, and what was written is loaded as any description is. So whatever an importer hands over
//! loads without a problem, and whatever is wrong with the foreign files' values is told by the very checks that every
//! description passes, placed in the foreign file.
//!
//! Importers do not guess. What they assume, what differs from the source system, and what they did not understand is
//! told in [`Remark`]s; what they would need and do not have is a [`Problem`].

use core::fmt;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::cluster::Cluster;
use crate::description::{ApiVersion, Description, Kind, Metadata, Spec};
use crate::load::load;
use crate::problem::Problem;

mod cursor;
mod files;
pub mod front;
mod haproxy;
pub mod juju;
mod keepalived;
pub mod kubeadm;
pub mod kubespray;
mod machines;
mod report;
mod write;

pub use cursor::File;
pub use files::{BYTES_LIMIT, FILES_LIMIT, Files, TooMuch};
pub use machines::{Machine, MachineRole};
pub(crate) use report::Place;
pub use report::{Remark, RemarkKind};
pub(crate) use write::scalar_text;
pub use write::to_yaml;

/// What messages call the file that an import writes.
const WRITTEN: &str = "cluster.yaml";

/// A description made from those of another system.
#[derive(Debug)]
pub struct Imported {
    yaml: String,
    description: Json,
    cluster: Cluster,
    remarks: Vec<Remark>,
}

/// Why there is no description.
#[derive(Debug)]
pub struct ImportFailed {
    /// What stands in the way; never empty.
    pub problems: Vec<Problem>,
    /// What was noticed besides.
    pub remarks: Vec<Remark>,
}

impl Imported {
    /// The text of a `cluster.yaml` that loads without a problem.
    pub fn yaml(&self) -> &str {
        &self.yaml
    }
    /// The same as a document.
    pub fn description(&self) -> &Json {
        &self.description
    }
    /// What it means.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }
    /// Everything that was assumed, that differs from the source system, or that was not understood, in the order of
    /// the files.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }
}

/// A description being put together.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) metadata: Metadata,
    pub(crate) spec: Spec,
    remarks: Vec<Remark>,
    problems: Vec<Problem>,
    /// Where the value at a path of the description came from, such as `spec.nodes[2].addresses[0]`.
    places: BTreeMap<String, Place>,
}

impl Draft {
    pub(crate) fn new() -> Self {
        Self {
            metadata: Metadata::default(),
            spec: Spec::default(),
            remarks: Vec::new(),
            problems: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    /// Says that the value at `path`, and what is below it and has no place of its own, came from `place`.
    pub(crate) fn came_from(&mut self, path: impl fmt::Display, place: &Place) {
        self.places.insert(path.to_string(), place.clone());
    }

    pub(crate) fn remark(&mut self, kind: RemarkKind, place: &Place, message: impl Into<String>) {
        self.remarks.push(place.remark(kind, message));
    }

    pub(crate) fn remarks(&mut self, remarks: Vec<Remark>) {
        self.remarks.extend(remarks);
    }

    /// Something that stands in the way, and that loading would not find.
    pub(crate) fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// What the draft means so far, for importers that compare it with what the source system does; `None` when
    /// something is wrong with it.
    pub(crate) fn cluster(&mut self) -> Option<Cluster> {
        self.load("").ok().map(|(_, _, cluster)| cluster)
    }

    /// Writes it out, and reads what was written. `source` is what it was imported from, as the user named it.
    ///
    /// # Errors
    /// All that is wrong with it, placed in the foreign files.
    pub(crate) fn finish(mut self, source: &str) -> Result<Imported, ImportFailed> {
        let loaded = if self.problems.is_empty() { self.load(source) } else { Err(Vec::new()) };
        let Self { mut problems, mut remarks, .. } = self;
        remarks.sort();
        remarks.dedup();
        match loaded {
            Ok((yaml, description, cluster)) => {
                let yaml = format!("# Imported from {}.\n{yaml}", crate::source::excerpt(source));
                Ok(Imported { yaml, description, cluster, remarks })
            }
            Err(found) => {
                problems.extend(found);
                problems.sort();
                problems.dedup();
                Err(ImportFailed { problems, remarks })
            }
        }
    }

    fn load(&mut self, source: &str) -> Result<(String, Json, Cluster), Vec<Problem>> {
        let description = Description {
            api_version: Some(ApiVersion::V1Alpha1),
            kind: Some(Kind::Cluster),
            metadata: core::mem::take(&mut self.metadata),
            spec: Some(core::mem::take(&mut self.spec)),
        };
        let written = write::write(&description);
        self.metadata = description.metadata;
        self.spec = description.spec.unwrap_or_default();
        let (yaml, document) = written.map_err(|message| {
            vec![Place::new(source, None).problem(message, "please report this: it is a bug in bowline")]
        })?;
        match load(WRITTEN, yaml.as_bytes()) {
            Ok(cluster) => Ok((yaml, document, cluster)),
            Err(problems) => Err(problems.into_iter().map(|problem| self.placed(source, problem)).collect()),
        }
    }

    /// The problem where the value came from, if that is known.
    fn placed(&self, source: &str, mut problem: Problem) -> Problem {
        problem.message = without_lines(&problem.message);
        problem.column = None;
        let mut path = problem.path.as_str();
        loop {
            if let Some(place) = self.places.get(path) {
                problem.file = place.file.to_string();
                problem.line = place.line;
                return problem;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = path.get(..end).unwrap_or_default(),
                None => return Problem { file: source.to_owned(), line: None, ..problem },
            }
        }
    }
}

/// The message without its ` (line 7)`, which counts in the file that was written.
fn without_lines(message: &str) -> String {
    let Some((before, rest)) = message.split_once(" (line ") else { return message.to_owned() };
    match rest.split_once(')') {
        Some((number, after)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{before}{}", without_lines(after))
        }
        Some(_) | None => message.to_owned(),
    }
}

impl fmt::Display for ImportFailed {
    /// A line for each problem.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problems.iter().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}

impl core::error::Error for ImportFailed {}

#[cfg(test)]
mod tests;
