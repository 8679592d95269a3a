//! Reads a tree whose format is somebody else's: asks for what is known of it, and keeps account of where it stands.

use super::Place;
use crate::problem::Problem;
use crate::source::{Path, Tree, Value, excerpt, read_foreign};

/// Documents in one file: a bundle with overlays has a few, all of kubeadm's kinds for 128 machines some more.
const DOCUMENTS_LIMIT: usize = 512;
/// Lines of a file that is no YAML. One for API servers has a hundred, a large site's with everything some thousands.
const LINES_LIMIT: usize = 20_000;

/// A foreign file: its name for messages, and its content.
pub type File<'a> = (&'a str, &'a [u8]);

/// A value of a foreign file and the way to it.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'t> {
    file: &'t str,
    path: Path,
    tree: &'t Tree,
    /// Where it begins or, of a field, where its key stands.
    line: u32,
}

/// The documents of a file, YAML or JSON.
///
/// # Errors
/// It is neither, or a field is given twice.
pub(super) fn documents(file: &str, bytes: &[u8]) -> Result<Vec<Tree>, Vec<Problem>> {
    let text = text(file, bytes).map_err(|problem| vec![problem])?;
    let foreign = read_foreign(file, text).map_err(|problem| vec![problem])?;
    if !foreign.faults.is_empty() {
        return Err(foreign.faults);
    }
    let there: Vec<Tree> =
        foreign.documents.into_iter().filter(|document| document.value != Value::Null).collect();
    if there.len() > DOCUMENTS_LIMIT {
        let message = format!("{} documents in one file", there.len());
        let remedy = format!("at most {DOCUMENTS_LIMIT} are read; is it the right file?");
        return Err(vec![Place::new(file, None).problem(message, remedy)]);
    }
    Ok(there)
}

/// The lines of a file that is no YAML.
///
/// # Errors
/// It is no text, or has too many.
pub(super) fn lines<'a>(file: &str, bytes: &'a [u8]) -> Result<Vec<&'a str>, Problem> {
    let lines: Vec<&str> = text(file, bytes)?.lines().collect();
    if lines.len() <= LINES_LIMIT {
        return Ok(lines);
    }
    let remedy = format!("at most {LINES_LIMIT} are read; is it the right file?");
    Err(Place::new(file, None).problem(format!("{} lines", lines.len()), remedy))
}

/// A file as text.
///
/// # Errors
/// It is none.
fn text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Problem> {
    match core::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let lines = before.iter().filter(|byte| **byte == b'\n').count();
            let place = Place::new(file, u32::try_from(lines.saturating_add(1)).ok());
            Err(place.problem("not UTF-8 text", "save it as UTF-8; is it the right file?"))
        }
    }
}

impl<'t> Cursor<'t> {
    pub(super) fn new(file: &'t str, tree: &'t Tree) -> Self {
        Self { file, path: Path::root(), tree, line: tree.at.line }
    }

    pub(super) fn file(&self) -> &'t str {
        self.file
    }

    pub(super) fn line(&self) -> u32 {
        self.line
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A field that is there and has a value.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        self.entries().into_iter().find(|(name, _)| *name == key).map(|(_, field)| field)
    }

    /// The fields of a mapping that have a value, in the order of the file; of anything else none.
    pub(super) fn entries(&self) -> Vec<(&'t str, Self)> {
        let Value::Mapping(entries) = &self.tree.value else { return Vec::new() };
        let there = entries.iter().filter(|entry| entry.tree.value != Value::Null);
        let fields = there.map(|entry| {
            let (file, path) = (self.file, self.path.key(&entry.key));
            (&*entry.key, Self { file, path, tree: &entry.tree, line: entry.at.line })
        });
        fields.collect()
    }

    /// The fields of a mapping that are there without a value.
    pub(super) fn cleared(&self) -> Vec<&'t str> {
        let Value::Mapping(entries) = &self.tree.value else { return Vec::new() };
        entries.iter().filter(|entry| entry.tree.value == Value::Null).map(|entry| &*entry.key).collect()
    }

    /// The items of a list; of anything else none.
    pub(super) fn items(&self) -> Vec<Self> {
        let Value::Sequence(items) = &self.tree.value else { return Vec::new() };
        let item = |(index, tree): (usize, &'t Tree)| {
            let (file, path) = (self.file, self.path.index(index));
            Self { file, path, tree, line: tree.at.line }
        };
        items.iter().enumerate().map(item).collect()
    }

    /// Of a scalar, what is written.
    pub(super) fn scalar(&self) -> Option<&'t str> {
        match &self.tree.value {
            Value::Plain(text) | Value::Quoted(text) => Some(text),
            Value::Null | Value::Tagged { .. } | Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.tree.value, Value::Mapping(_))
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.tree.value, Value::Sequence(_))
    }

    /// What is wrong with it.
    pub(super) fn problem(&self, message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        Problem {
            file: self.file.to_owned(),
            line: Some(self.line),
            column: None,
            path: self.path.to_string(),
            message: message.into(),
            remedy: remedy.into(),
        }
    }

    /// The text of a scalar, or a problem.
    pub(super) fn text(&self, problems: &mut Vec<Problem>) -> Option<&'t str> {
        if self.scalar().is_none() {
            problems.push(self.problem(format!("{} is not a text", self.shown()), "write one value"));
        }
        self.scalar()
    }

    /// A whole number that fits, or a problem.
    pub(super) fn number<T: core::str::FromStr>(&self, problems: &mut Vec<Problem>) -> Option<T> {
        let number = self.scalar().and_then(|text| text.parse().ok());
        if number.is_none() {
            let remedy = "write a whole number in the range of the field";
            problems.push(self.problem(format!("{} is not a number that fits", self.shown()), remedy));
        }
        number
    }

    /// A truth value, or a problem.
    pub(super) fn bool(&self, problems: &mut Vec<Problem>) -> bool {
        match self.scalar() {
            Some("true" | "True" | "TRUE") => true,
            Some("false" | "False" | "FALSE") => false,
            Some(_) | None => {
                let message = format!("{} is not a truth value", self.shown());
                problems.push(self.problem(message, "write true or false"));
                false
            }
        }
    }

    /// For a message.
    pub(super) fn shown(&self) -> String {
        match &self.tree.value {
            Value::Null => "nothing".to_owned(),
            Value::Plain(text) | Value::Quoted(text) => excerpt(text),
            Value::Tagged { tag } => format!("a value with the tag {}", excerpt(tag)),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
        }
    }
}
