//! A raw description as the text of a file, in the order and the words of the format.

use core::net::Ipv4Addr;
use core::str::FromStr;

use serde::Serialize;
use serde_json::Value as Json;

use crate::description::Description;
use crate::source::{Tree, Value, parse_json};

/// Longest line that a list of scalars is written on.
const LINE: usize = 110;

/// The text and the document, both without what is not given.
///
/// # Errors
/// A bug: serde cannot write a description.
pub(super) fn write(description: &Description) -> Result<(String, Json), String> {
    let failed = |error: &dyn core::fmt::Display| format!("cannot be written: {error}");
    // Text, because it keeps the order of the fields.
    let text = escaped(&serde_json::to_string_pretty(description).map_err(|error| failed(&error))?);
    let document = serde_json::from_str::<Json>(&text).map_err(|error| failed(&error))?;
    let mut tree = parse_json(&text).ok_or_else(|| failed(&"its JSON is not read"))?;
    prune(&mut tree);
    let mut yaml = String::new();
    if let Value::Mapping(entries) = &tree.value {
        for entry in entries {
            write_entry(&mut yaml, &entry.key, &entry.tree.value, 0);
        }
    }
    Ok((yaml, pruned(document)))
}

/// Any document as YAML, its fields in their order; `None` when it is no mapping, or larger than a description may be.
pub fn to_yaml(document: &impl Serialize) -> Option<String> {
    let tree = parse_json(&escaped(&serde_json::to_string(document).ok()?))?;
    let Value::Mapping(entries) = &tree.value else { return None };
    let mut yaml = String::new();
    for entry in entries {
        write_entry(&mut yaml, &entry.key, &entry.tree.value, 0);
    }
    Some(yaml)
}

/// Takes out what is null or empty.
fn prune(tree: &mut Tree) {
    match &mut tree.value {
        Value::Sequence(items) => items.iter_mut().for_each(prune),
        Value::Mapping(entries) => {
            entries.iter_mut().for_each(|entry| prune(&mut entry.tree));
            entries.retain(|entry| !is_empty(&entry.tree.value));
        }
        Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::Tagged { .. } => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(entries) => entries.is_empty(),
        Value::Plain(_) | Value::Quoted(_) | Value::Tagged { .. } => false,
    }
}

fn pruned(json: Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(items.into_iter().map(pruned).collect()),
        Json::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| (key, pruned(value)));
            let is_given = |value: &Json| match value {
                Json::Null => false,
                Json::Array(items) => !items.is_empty(),
                Json::Object(fields) => !fields.is_empty(),
                Json::Bool(_) | Json::Number(_) | Json::String(_) => true,
            };
            Json::Object(fields.filter(|(_, value)| is_given(value)).collect())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => json,
    }
}

fn write_entry(yaml: &mut String, key: &str, value: &Value, indent: usize) {
    yaml.push_str(&scalar_text(key));
    yaml.push(':');
    match value {
        Value::Mapping(entries) if entries.is_empty() => yaml.push_str(" {}\n"),
        Value::Mapping(entries) => {
            for entry in entries {
                new_line(yaml, indent + 2);
                write_entry(yaml, &entry.key, &entry.tree.value, indent + 2);
            }
            end_line(yaml);
        }
        Value::Sequence(items) => write_items(yaml, items, indent),
        Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::Tagged { .. } => {
            yaml.push(' ');
            yaml.push_str(&leaf(value));
            yaml.push('\n');
        }
    }
}

fn write_items(yaml: &mut String, items: &[Tree], indent: usize) {
    let is_scalar = |item: &Tree| !matches!(item.value, Value::Mapping(_) | Value::Sequence(_));
    if items.iter().all(is_scalar) {
        let leaves: Vec<String> = items.iter().map(|item| leaf(&item.value)).collect();
        let inline = format!(" [{}]\n", leaves.join(", "));
        let used = yaml.rsplit('\n').next().map_or(0, str::len);
        if used.saturating_add(inline.len()) <= LINE {
            yaml.push_str(&inline);
            return;
        }
        for leaf in leaves {
            new_line(yaml, indent);
            yaml.push_str("- ");
            yaml.push_str(&leaf);
        }
        end_line(yaml);
        return;
    }
    for item in items {
        new_line(yaml, indent);
        yaml.push_str("- ");
        if let Value::Mapping(entries) = &item.value {
            for (position, entry) in entries.iter().enumerate() {
                if position > 0 {
                    new_line(yaml, indent + 2);
                }
                write_entry(yaml, &entry.key, &entry.tree.value, indent + 2);
            }
        } else {
            yaml.push_str(&leaf(&item.value));
        }
    }
    end_line(yaml);
}

fn new_line(yaml: &mut String, indent: usize) {
    end_line(yaml);
    yaml.extend(core::iter::repeat_n(' ', indent));
}

fn end_line(yaml: &mut String) {
    if !yaml.is_empty() && !yaml.ends_with('\n') {
        yaml.push('\n');
    }
}

/// A scalar of JSON as one of YAML. Descriptions have no lists of lists.
fn leaf(value: &Value) -> String {
    match value {
        Value::Plain(text) => text.to_string(),
        Value::Quoted(text) => scalar_text(text),
        Value::Null | Value::Tagged { .. } | Value::Sequence(_) | Value::Mapping(_) => "null".to_owned(),
    }
}

/// Text, in quotes where some reader of YAML could take it for something else.
pub(crate) fn scalar_text(text: &str) -> String {
    const WORDS: [&str; 10] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan"];
    let address = text.split_once('/').map_or(text, |(network, _)| network);
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/'))
        && !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    // Whole numbers and units, as durations are; `1e3` is the only such text that is a number.
    let is_duration = text.starts_with(|c: char| c.is_ascii_digit()) && text.ends_with(['s', 'm', 'h']);
    let is_simple = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '/'));
    if is_word || (is_simple && (Ipv4Addr::from_str(address).is_ok() || is_duration)) {
        return text.to_owned();
    }
    escaped(&Json::from(text).to_string())
}

/// JSON with an escape for each character that JSON allows in a string and YAML does not (YAML 1.2 section 5.1).
fn escaped(json: &str) -> String {
    let is_printable = |c: char| !matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_printable(c) {
            text.push(c);
        } else {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
    }
    text
}
