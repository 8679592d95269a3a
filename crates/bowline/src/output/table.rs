//! Tables for people, the same on a terminal and in a pipe: whoever copies a name, an address or a URL out of one gets it whole.

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width};

/// The width that every table keeps to, in columns, unless a single word is wider.
pub const WIDTH: u16 = 80;

/// Between two columns.
const GAP: u16 = 2;

/// Rows under `header`, aligned and within [`WIDTH`]. Cells that do not fit are continued below, at their spaces and nowhere
/// else; where words are too long for that, each row becomes a paragraph with a line for each column.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    indented_table(0, header, rows)
}

/// As [`table`], with every line moved right by `indent` columns.
pub fn indented_table<const N: usize>(
    indent: u16,
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    let room = WIDTH.saturating_sub(indent);
    let columns = header.iter().enumerate();
    let least: Vec<u16> = columns
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| longest_word(cell)).max().unwrap_or(0).max(longest_word(title))
        })
        .collect();
    let gaps = GAP.saturating_mul(u16::try_from(N.saturating_sub(1)).unwrap_or(u16::MAX));
    let total = least.iter().fold(gaps, |total, column| total.saturating_add(*column));
    let lines =
        if total <= room { aligned(room, header, rows, &least) } else { paragraphs(room, header, &rows) };
    let mut text = String::new();
    for line in lines {
        if !line.is_empty() {
            text.push_str(&" ".repeat(usize::from(indent)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The words of `text` in lines of at most `room` columns, or of one word that is longer.
pub fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && columns(&line) + 1 + columns(word) > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Columns of at least the widths `least`, which have room together.
fn aligned<const N: usize>(
    room: u16,
    header: [&str; N],
    rows: Vec<[String; N]>,
    least: &[u16],
) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(room);
    table.set_header(header);
    table.add_rows(rows);
    for (column, least) in table.column_iter_mut().zip(least) {
        let gap = if column.index.saturating_add(1) == N { 0 } else { GAP };
        column.set_padding((0, gap));
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least.saturating_add(gap))));
    }
    table.lines().collect()
}

/// A paragraph for each row, an empty line between two.
fn paragraphs<const N: usize>(room: u16, header: [&str; N], rows: &[[String; N]]) -> Vec<String> {
    let label = header.iter().map(|title| columns(title)).max().unwrap_or(0) + usize::from(GAP);
    let room = usize::from(room).saturating_sub(label);
    let mut lines = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            lines.push(String::new());
        }
        for (title, cell) in header.iter().zip(row) {
            let values = cell.split('\n').flat_map(|line| wrapped(line, room));
            for (number, value) in values.enumerate() {
                let title = if number == 0 { *title } else { "" };
                lines.push(format!("{title:<label$}{value}"));
            }
        }
    }
    lines
}

fn longest_word(text: &str) -> u16 {
    let longest = text.split_whitespace().map(columns).max().unwrap_or(0);
    u16::try_from(longest).unwrap_or(u16::MAX)
}

/// Whatever tables hold, names, addresses and words of ours, has one column for each character.
fn columns(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests;
