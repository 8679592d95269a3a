//! Values of variables, as Ansible reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::import::Place;
use crate::source::{Entry, Tree, Value as Node};

/// By name. Ansible keeps the last of several with one name.
pub(super) type Variables = BTreeMap<Box<str>, Variable>;

/// A value and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What a variable holds, templates not yet resolved.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Text(Box<str>),
    List(Vec<Variable>),
    /// In the order of the file.
    Map(Vec<(Box<str>, Variable)>),
    /// Cannot be read: its tag, such as `!vault`.
    Sealed(Box<str>),
}

impl Variable {
    pub(super) fn new(place: Place, value: Value) -> Self {
        Self { place, value }
    }

    /// A value of a YAML or JSON file.
    pub(super) fn of(file: &Arc<str>, tree: &Tree) -> Self {
        let place = Place::new(Arc::clone(file), tree.at.line);
        let value = match &tree.value {
            Node::Null => Value::Null,
            Node::Plain(text) => plain(text),
            Node::Quoted(text) => Value::Text(text.clone()),
            Node::Tagged { tag } => Value::Sealed(tag.clone()),
            Node::Sequence(items) => Value::List(items.iter().map(|item| Self::of(file, item)).collect()),
            Node::Mapping(entries) => map(entries.iter().map(|entry| Self::field_of(file, entry)).collect()),
        };
        Self { place, value }
    }

    /// A field of a mapping and its name. It stands where its name stands: a block of text begins a line later.
    pub(super) fn field_of(file: &Arc<str>, entry: &Entry) -> (Box<str>, Self) {
        let place = Place::new(Arc::clone(file), entry.at.line);
        (entry.key.clone(), Self { place, ..Self::of(file, &entry.tree) })
    }

    /// A field of a mapping, if it is one and has it.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(fields) => fields.iter().find(|(key, _)| **key == *name).map(|(_, value)| value),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Sealed(_) => None,
        }
    }

    /// The scalar as Python prints it; nothing is the empty text.
    pub(super) fn text(&self) -> Option<String> {
        match &self.value {
            Value::Null => Some(String::new()),
            Value::Bool(true) => Some("True".to_owned()),
            Value::Bool(false) => Some("False".to_owned()),
            Value::Int(number) => Some(number.to_string()),
            Value::Text(text) => Some(text.to_string()),
            Value::List(_) | Value::Map(_) | Value::Sealed(_) => None,
        }
    }
}

/// Merges what `<<` brings in, and recognises the encodings of `ansible-inventory --list`.
fn map(fields: Vec<(Box<str>, Variable)>) -> Value {
    if let [(key, value)] = fields.as_slice() {
        match &**key {
            "__ansible_vault" => return Value::Sealed("!vault".into()),
            "__ansible_unsafe" => return value.value.clone(),
            _ => {}
        }
    }
    if !fields.iter().any(|(key, _)| **key == *"<<") {
        return Value::Map(fields);
    }
    let (merged, mut own): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(key, _)| **key == *"<<");
    let mut add = |value: Value| {
        if let Value::Map(fields) = value {
            for (key, value) in fields {
                if !own.iter().any(|(there, _)| *there == key) {
                    own.push((key, value));
                }
            }
        }
    };
    for (_, variable) in merged {
        match variable.value {
            Value::List(items) => items.into_iter().for_each(|item| add(item.value)),
            Value::Map(fields) => add(Value::Map(fields)),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Sealed(_) => {}
        }
    }
    Value::Map(own)
}

/// A scalar without quotes by the rules of YAML 1.1, which Ansible follows.
fn plain(text: &str) -> Value {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Value::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = if digits.starts_with('_') { "" } else { digits };
    let clean = digits.replace('_', "");
    let parsed = if let Some(hex) = clean.strip_prefix("0x") {
        i64::from_str_radix(hex, 16)
    } else if let Some(binary) = clean.strip_prefix("0b") {
        i64::from_str_radix(binary, 2)
    } else if clean.len() > 1 && clean.starts_with('0') {
        i64::from_str_radix(&clean, 8)
    } else if clean.starts_with(|c: char| c.is_ascii_digit()) {
        clean.parse()
    } else {
        return Value::Text(text.into());
    };
    parsed.map_or_else(|_| Value::Text(text.into()), |number| Value::Int(number.saturating_mul(sign)))
}
