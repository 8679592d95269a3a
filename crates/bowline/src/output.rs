//! Printing: text that fits a terminal, documents for programs, and a reader that has gone away.

use serde::Serialize;
use std::io::{self, Write};

mod table;

pub use table::{WIDTH, indented_table, table, wrapped};

/// What a command prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one document with a `schema` field.
    Json,
    /// The same document, easier to read.
    Yaml,
}

/// Writes `text` to standard output. A reader that closed its end (`| head`) has seen what it wanted: that is no error.
///
/// # Errors
///
/// Standard output cannot be written, for instance because its disk is full.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes `text` as a line to standard error, which nobody may be reading.
pub fn complain(text: &str) {
    let _unread = writeln!(io::stderr().lock(), "{text}");
}

/// `document` as indented JSON with a final line feed.
///
/// # Errors
///
/// As [`print`].
pub fn print_json(document: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(document).map_err(io::Error::other)?;
    text.push('\n');
    print(&text)
}

/// `document` as YAML.
///
/// # Errors
///
/// As [`print`].
pub fn print_yaml(document: &impl Serialize) -> io::Result<()> {
    match bowline_plan::to_yaml(document) {
        Some(text) => print(&text),
        // Too large to be laid out anew; JSON is YAML too.
        None => print_json(document),
    }
}

/// `document` in the format asked for, where `text` is the one for people.
///
/// # Errors
///
/// As [`print`].
pub fn print_as(format: Format, document: &impl Serialize, text: impl FnOnce() -> String) -> io::Result<()> {
    match format {
        Format::Text => print(&text()),
        Format::Json => print_json(document),
        Format::Yaml => print_yaml(document),
    }
}
