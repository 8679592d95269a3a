//! Printing: text that fits a terminal, documents for programs, and a reader that has gone away.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde::Serialize;
use std::io::{self, Write};

/// The width every table keeps to, in columns.
const WIDTH: u16 = 80;

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

/// Rows under `header`, aligned, at most 80 columns wide; cells that do not fit are wrapped.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    indented_table(0, header, rows)
}

/// As [`table`], with every line moved right by `indent` columns.
pub fn indented_table<const N: usize>(
    indent: u16,
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH.saturating_sub(indent));
    table.set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(&" ".repeat(usize::from(indent)));
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests;
