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
    /// What of the file could not be taken in, so that nothing can be told from its absence.
    gaps: Vec<Gap>,
}

/// Something that could not be taken in.
#[derive(Debug)]
enum Gap {
    /// All that is there.
    Value(Path),
    /// Any field of the mapping that is not among those `given`: one has a name that nobody knows.
    Field { of: Path, given: Vec<String> },
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

impl Gap {
    const fn path(&self) -> &Path {
        match self {
            Self::Value(path) | Self::Field { of: path, .. } => path,
        }
    }

    /// Whether nothing is known of the value at `path`.
    fn hides(&self, path: &Path) -> bool {
        match self {
            Self::Value(gap) => gap.holds(path),
            Self::Field { of, given } => {
                of.field_towards(path).is_some_and(|field| !given.iter().any(|given| given == field))
            }
        }
    }
}

impl<'a> Findings<'a> {
    pub(crate) fn new(file: &'a str) -> Self {
        Self { file, problems: Vec::new(), left_out: 0, gaps: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds what `say` returns, message and remedy, about something that cannot be taken in.
    fn add(&mut self, at: Position, path: &Path, say: impl FnOnce() -> (String, String)) {
        self.add_gap(path);
        self.add_placed(at, path, say);
    }

    fn add_placed(&mut self, at: Position, path: &Path, say: impl FnOnce() -> (String, String)) {
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

    /// Nothing is known of what is at `path`; a problem says why.
    pub(crate) fn add_gap(&mut self, path: &Path) {
        self.push_gap(Gap::Value(path.clone()));
    }

    /// There are no more of these than of problems: behind the last one nothing is known.
    fn push_gap(&mut self, gap: Gap) {
        match self.gaps.len() {
            0..PROBLEMS_LIMIT => self.gaps.push(gap),
            _ => self.gaps = vec![Gap::Value(Path::root())],
        }
    }

    /// Whether all that the file has at `path` was taken in, also when that is nothing.
    pub(crate) fn knows(&self, path: &Path) -> bool {
        !self.gaps.iter().any(|gap| gap.hides(path) || path.holds(gap.path()))
    }

    /// Whether every item of the list at `path` is known, with its field `field`.
    pub(crate) fn knows_all(&self, list: &Path, field: &str) -> bool {
        let is_missing = |gap: &Gap| {
            let item = list.item_towards(gap.path()).map(|index| list.index(index).key(field));
            gap.hides(list) || item.is_some_and(|item| gap.hides(&item) || item.holds(gap.path()))
        };
        !self.gaps.iter().any(is_missing)
    }

    /// Whether it is known how many items the list at `path` has.
    pub(crate) fn knows_length(&self, list: &Path) -> bool {
        !self.gaps.iter().any(|gap| gap.hides(list))
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
    // Nobody sees a space at the end of a word.
    if text.trim() != text && text.len() <= EXCERPT {
        return format!("{text:?}");
    }
    let mut shown: String = text.chars().take(EXCERPT).flat_map(char::escape_debug).collect();
    if text.chars().nth(EXCERPT).is_some() {
        shown.push_str("...");
    }
    shown
}
