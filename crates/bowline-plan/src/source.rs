//! A description file as a tree of values that know where they stand.
//!
//! The file is read in two passes, so that everything wrong with it is reported at once. A deserializer stops at the
//! first value that does not fit its type; here the parser's events first become a generic tree ([`yaml`]), which is then
//! held against the JSON Schema of the description ([`shape`], [`decode`]), collecting every unknown field, missing field
//! and misfit with its place. What fits goes on to serde, as JSON. The schema is the field table, and it is generated from
//! the very types that serde fills, so the three cannot drift apart, and what an editor underlines with the published
//! schema is what `check` refuses.

use crate::problem::Problem;

mod decode;
mod shape;
mod tree;
mod yaml;

pub(crate) use shape::Shape;
use tree::Position;
pub(crate) use tree::{Entry, Path, Source, Tree, Value};

/// Problems reported at once. A file with more is not the description it was taken for.
pub(crate) const PROBLEMS_LIMIT: usize = 100;

/// Characters of a value that a message repeats.
const EXCERPT: usize = 60;

/// Problems found so far, up to [`PROBLEMS_LIMIT`].
#[derive(Debug)]
pub(crate) struct Findings<'a> {
    file: &'a str,
    problems: Vec<Problem>,
    left_out: usize,
}

/// A file read as far as its structure goes.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) source: Source,
    /// What of it has the right shape.
    pub(crate) json: serde_json::Value,
}

/// Reads a file. `None` when it is nothing to look further into; why is among the findings then.
pub(crate) fn read(file: &str, text: &str, shape: &Shape, findings: &mut Findings<'_>) -> Option<Read> {
    let parsed = match yaml::parse(text) {
        Ok(parsed) => parsed,
        Err(fault) => {
            findings.add_fault(fault);
            return None;
        }
    };
    for fault in parsed.faults {
        findings.add_fault(fault);
    }
    let root = parsed.root.filter(|root| root.value != Value::Null);
    let Some(root) = root else {
        let remedy = "write a description: apiVersion, kind, and spec with a list of nodes";
        findings.add_about_file("nothing is in it".to_owned(), remedy);
        return None;
    };
    let json = decode::decode(&root, shape, &Path::root(), findings)?;
    Some(Read { source: Source::new(file, root), json })
}

/// A file of another system.
#[derive(Debug)]
pub(crate) struct Foreign {
    /// A value for each document that holds one.
    pub(crate) documents: Vec<Tree>,
    /// Fields given twice, the last of which counts.
    pub(crate) faults: Vec<Problem>,
}

/// Reads a file of another system, YAML or JSON.
///
/// # Errors
/// It is neither.
pub(crate) fn read_foreign(file: &str, text: &str) -> Result<Foreign, Problem> {
    let problem = |fault: yaml::Fault| Problem {
        file: file.to_owned(),
        line: Some(fault.at.line),
        column: Some(fault.at.column),
        path: fault.path.to_string(),
        message: fault.message,
        remedy: fault.remedy.to_owned(),
    };
    let parsed = yaml::parse_foreign(text).map_err(problem)?;
    let faults = parsed.faults.into_iter().map(problem).collect();
    Ok(Foreign { documents: parsed.roots, faults })
}

/// JSON as a tree that keeps the order of its fields; every string is quoted there.
pub(crate) fn parse_json(text: &str) -> Option<Tree> {
    yaml::parse_foreign(text).ok()?.roots.into_iter().next()
}

impl<'a> Findings<'a> {
    pub(crate) fn new(file: &'a str) -> Self {
        Self { file, problems: Vec::new(), left_out: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.problems.len()
    }

    /// Adds what `say` returns: message and remedy.
    fn add(&mut self, at: Position, path: &Path, say: impl FnOnce() -> (String, String)) {
        let (line, column) = (Some(at.line), Some(at.column));
        if self.is_full() {
            return;
        }
        let (message, remedy) = say();
        let file = self.file.to_owned();
        self.problems.push(Problem { file, line, column, path: path.to_string(), message, remedy });
    }

    /// Adds a problem with what the source has, or has not, at `path`.
    pub(crate) fn add_at(
        &mut self,
        source: &Source,
        path: &Path,
        message: String,
        remedy: impl Into<String>,
    ) {
        if !self.is_full() {
            self.problems.push(source.problem(path, message, remedy.into()));
        }
    }

    /// Adds a problem with the file as a whole.
    pub(crate) fn add_about_file(&mut self, message: String, remedy: &str) {
        let (file, remedy) = (self.file.to_owned(), remedy.to_owned());
        self.problems.push(Problem { file, line: None, column: None, path: String::new(), message, remedy });
    }

    fn add_fault(&mut self, fault: yaml::Fault) {
        self.add(fault.at, &fault.path, || (fault.message, fault.remedy.to_owned()));
    }

    fn is_full(&mut self) -> bool {
        let is_full = self.problems.len() >= PROBLEMS_LIMIT;
        self.left_out = self.left_out.saturating_add(usize::from(is_full));
        is_full
    }

    /// All of them in the order of the file, those about the whole file first.
    pub(crate) fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems.dedup();
        if self.left_out > 0 {
            let message = format!("{} more problems are not shown", self.left_out);
            self.add_about_file(message, "put these right first");
        }
        self.problems
    }
}

/// A value to repeat in a message: on one line, printable, not too long, not invisible.
pub(crate) fn excerpt(text: &str) -> String {
    if text.is_empty() {
        return "\"\"".to_owned();
    }
    let mut shown: String = text.chars().take(EXCERPT).flat_map(char::escape_debug).collect();
    if text.chars().nth(EXCERPT).is_some() {
        shown.push_str("...");
    }
    shown
}
