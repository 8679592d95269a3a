//! What is wrong with a description, said so that it can be put right.

use core::fmt;

use serde::Serialize;

/// One thing that makes a description unusable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// Counted from 1; `None` when it is about the file as a whole.
    pub line: Option<u32>,
    /// Counted from 1, in characters.
    pub column: Option<u32>,
    /// The field, such as `spec.nodes[2].addresses[0]`; empty when it is about the file as a whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    /// One line: `file:line: path: message; remedy`, leaving out what is not known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": {}; {}", OneLine(&self.message), OneLine(&self.remedy))
    }
}

/// Names in messages come from files, where anything can be a name: a line feed in one would make two problems of one.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(char::is_control) {
            let last = part.chars().next_back().filter(|last| last.is_control());
            let plain = last.map_or(part, |last| part.strip_suffix(last).unwrap_or(part));
            f.write_str(plain)?;
            if let Some(last) = last {
                write!(f, "{}", last.escape_debug())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
