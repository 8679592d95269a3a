//! What an importer has to say about what it read.

use core::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::problem::Problem;

/// Something worth knowing about an import that succeeded.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
pub struct Remark {
    /// The foreign file as the user named it.
    pub file: String,
    /// Counted from 1; `None` when it is about the file as a whole.
    pub line: Option<u32>,
    /// What kind of thing it is.
    pub kind: RemarkKind,
    /// What to know.
    pub message: String,
}

/// What kind of thing a remark is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RemarkKind {
    /// The files do not say it; this was taken.
    Assumed,
    /// The imported cluster does it in another way than the source system.
    Differs,
    /// It has no counterpart, or no meaning that is known.
    NotUnderstood,
    /// A value that has to be computed or decrypted, and was not.
    NotEvaluated,
    /// The source system itself does the wrong thing with it.
    SourceDefect,
}

/// Where something was found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place {
    pub(crate) file: Arc<str>,
    /// Counted from 1; `None` is the file as a whole.
    pub(crate) line: Option<u32>,
}

impl Place {
    pub(crate) fn new(file: impl Into<Arc<str>>, line: impl Into<Option<u32>>) -> Self {
        Self { file: file.into(), line: line.into() }
    }

    pub(crate) fn remark(&self, kind: RemarkKind, message: impl Into<String>) -> Remark {
        Remark { file: self.file.to_string(), line: self.line, kind, message: one_line(message.into()) }
    }

    pub(crate) fn problem(&self, message: impl Into<String>, remedy: impl Into<String>) -> Problem {
        let (file, line) = (self.file.to_string(), self.line);
        let (message, remedy) = (one_line(message.into()), one_line(remedy.into()));
        Problem { file, line, column: None, path: String::new(), message, remedy }
    }
}

/// Foreign names can hold anything; what is printed of them is printable and stays on its line.
fn one_line(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let shown = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

impl RemarkKind {
    /// As it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assumed => "assumed",
            Self::Differs => "differs",
            Self::NotUnderstood => "not understood",
            Self::NotEvaluated => "not evaluated",
            Self::SourceDefect => "defect of the source",
        }
    }
}

impl fmt::Display for Remark {
    /// One line: `file:line: kind: message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}: {}", self.kind.as_str(), self.message)
    }
}
