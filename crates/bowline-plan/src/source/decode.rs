//! Holds a tree against a shape: everything that does not fit is a problem, everything that does becomes JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::excerpt;
use super::shape::Shape;
use super::tree::{Entry, Path, Position, Tree, Value};
use super::{Findings, Gap};

/// Words this many single-letter changes apart are taken for each other.
const TYPING_ERRORS: usize = 2;

/// The part of `tree` that has the right shape. A field that has not is left out, and so is a list of words with one that is
/// none, but lists of texts and of mappings keep their length, so that indices stay true.
pub(super) fn decode(tree: &Tree, shape: &Shape, path: &Path, findings: &mut Findings<'_>) -> Option<Json> {
    match (shape, &tree.value) {
        (Shape::Fields { fields, required }, Value::Mapping(entries)) => {
            Some(decode_fields(tree.at, entries, (fields, required), path, findings))
        }
        (Shape::Fields { .. }, _) => {
            misfit(tree, shape, path, findings);
            Some(Json::Object(Map::new()))
        }
        (Shape::Map(each), Value::Mapping(entries)) => {
            let mut map = Map::new();
            for entry in entries {
                if let Some(value) = decode_entry(entry, each, path, findings) {
                    map.insert(entry.key.to_string(), value);
                }
            }
            Some(Json::Object(map))
        }
        (Shape::ScalarOrList(_, list), Value::Sequence(_)) => decode(tree, list, path, findings),
        (Shape::List(each), Value::Sequence(items)) => {
            let items = items.iter().enumerate();
            // A text that is none leaves its place to the others: whoever reads them asks whether one is known.
            let place = || matches!(**each, Shape::Text).then(|| Json::String(String::new()));
            let decoded: Vec<Option<Json>> = items
                .map(|(index, item)| decode(item, each, &path.index(index), findings).or_else(place))
                .collect();
            decoded.into_iter().collect::<Option<Vec<Json>>>().map(Json::Array)
        }
        (Shape::ScalarOrList(scalar, _), Value::Plain(text) | Value::Quoted(text)) => {
            if let Shape::Word(words) = &**scalar
                && !words.iter().any(|word| **word == **text)
            {
                misfit_word(tree.at, text, words, Some(text), path, findings);
                return None;
            }
            decode(tree, scalar, path, findings)
        }
        (Shape::Text, Value::Plain(text) | Value::Quoted(text)) => Some(Json::String(text.to_string())),
        (Shape::Word(words), Value::Plain(text) | Value::Quoted(text)) => {
            if words.iter().any(|word| **word == **text) {
                return Some(Json::String(text.to_string()));
            }
            misfit_word(tree.at, text, words, None, path, findings);
            None
        }
        (Shape::Integer { min, max }, Value::Plain(text)) => match text.parse::<i64>() {
            // `051` is 41 to some readers of YAML, and 51 to others.
            Ok(number) if (*min..=*max).contains(&number) && number.to_string() == **text => {
                Some(Json::from(number))
            }
            Ok(_) | Err(_) => misfit(tree, shape, path, findings),
        },
        (Shape::Bool, Value::Plain(text)) if matches!(&**text, "true" | "false") => {
            Some(Json::Bool(&**text == "true"))
        }
        (
            Shape::Map(_)
            | Shape::List(_)
            | Shape::Text
            | Shape::Word(_)
            | Shape::Integer { .. }
            | Shape::Bool
            | Shape::ScalarOrList(..),
            _,
        ) => misfit(tree, shape, path, findings),
    }
}

fn decode_fields(
    at: Position,
    entries: &[Entry],
    (fields, required): (&BTreeMap<String, Shape>, &BTreeSet<String>),
    path: &Path,
    findings: &mut Findings<'_>,
) -> Json {
    let mut map = Map::new();
    for entry in entries {
        match fields.get(&*entry.key) {
            Some(shape) => {
                if let Some(value) = decode_entry(entry, shape, path, findings) {
                    map.insert(entry.key.to_string(), value);
                }
            }
            None => unknown_field(entry, entries, fields, path, findings),
        }
    }
    for name in required.iter().filter(|name| !entries.iter().any(|entry| *entry.key == ***name)) {
        let expected = fields.get(name).map(Shape::expected).unwrap_or_default();
        findings
            .add(at, &path.key(name), || ("missing".to_owned(), format!("add `{name}:` with {expected}")));
    }
    Json::Object(map)
}

fn decode_entry(entry: &Entry, shape: &Shape, path: &Path, findings: &mut Findings<'_>) -> Option<Json> {
    let path = path.key(&entry.key);
    if entry.tree.value == Value::Null {
        findings.add(entry.at, &path, || {
            let remedy = format!("give it {} or remove the line", shape.expected());
            ("has no value".to_owned(), remedy)
        });
        return None;
    }
    decode(&entry.tree, shape, &path, findings)
}

/// Reports a value of the wrong kind; there is no JSON for it.
fn misfit(tree: &Tree, shape: &Shape, path: &Path, findings: &mut Findings<'_>) -> Option<Json> {
    findings.add(tree.at, path, || {
        let found = match &tree.value {
            Value::Null => "nothing".to_owned(),
            Value::Plain(text) => excerpt(text),
            Value::Quoted(text) if text.is_empty() => "an empty text".to_owned(),
            Value::Quoted(text) => format!("the text \"{}\"", excerpt(text)),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Tagged { tag } => format!("something tagged {}", excerpt(tag)),
        };
        let is_scalar = matches!(tree.value, Value::Plain(_) | Value::Quoted(_));
        let is_number = matches!(&tree.value, Value::Plain(text) if text.parse::<i128>().is_ok());
        match (shape, &tree.value) {
            (Shape::Integer { .. }, Value::Plain(text))
                if is_number && text.starts_with(['0', '+']) && text.len() > 1 =>
            {
                let plain = text.trim_start_matches(['0', '+']);
                let plain = if plain.is_empty() { "0" } else { plain };
                (format!("{found} is not read alike by all"), format!("write {}", excerpt(plain)))
            }
            (Shape::Integer { .. }, Value::Plain(_)) if is_number => {
                (format!("{found} is out of range"), shape.remedy())
            }
            (Shape::Integer { .. }, Value::Plain(_)) => {
                (format!("{found} is not a whole number"), shape.remedy())
            }
            (Shape::Integer { .. } | Shape::Bool, Value::Quoted(_)) => {
                (format!("{found} is not {}", shape.kind()), format!("{}, without quotes", shape.remedy()))
            }
            (Shape::List(_), _) if is_scalar => {
                (format!("{found} is not a list"), format!("write [{found}]"))
            }
            _ => (format!("{found} is not {}", shape.kind()), shape.remedy()),
        }
    });
    None
}

/// Where there may be a list instead, `item` is what it would begin with.
fn misfit_word(
    at: Position,
    text: &str,
    words: &[String],
    item: Option<&str>,
    path: &Path,
    findings: &mut Findings<'_>,
) {
    findings.add(at, path, || {
        let near = closest(text, words.iter());
        let is_near = near.is_some();
        let remedy = match near {
            Some(word) => format!("did you mean {word}? Possible: {}", words.join(", ")),
            None => format!("write {}", Shape::Word(words.to_vec()).expected()),
        };
        let remedy = match item.filter(|_| !is_near) {
            Some(item) => {
                format!("{remedy}, or a list such as [{}]", excerpt(item.trim_matches(['[', ']'])))
            }
            None => remedy,
        };
        (format!("{} is not known here", excerpt(text)), remedy)
    });
}

fn unknown_field(
    entry: &Entry,
    entries: &[Entry],
    fields: &BTreeMap<String, Shape>,
    path: &Path,
    findings: &mut Findings<'_>,
) {
    let meant = translated(&entry.key, fields).or_else(|| closest(&entry.key, fields.keys()));
    findings.push_gap(match meant {
        Some(name) => Gap::Value(path.key(name)),
        None => {
            let is_given = |name: &&String| entries.iter().any(|entry| *entry.key == ***name);
            Gap::Field { of: path.clone(), given: fields.keys().filter(is_given).cloned().collect() }
        }
    });
    findings.add_placed(entry.at, &path.key(&entry.key), || {
        let known = fields.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let remedy = match meant {
            Some(name) => format!("did you mean {name}? Known here: {known}"),
            None => format!("remove it; known here: {known}"),
        };
        ("unknown field".to_owned(), remedy)
    });
}

/// keepalived's words for what has another name here: whoever comes from there has them at hand. And what readers of YAML 1.1
/// make of `on`, when they write the description.
const OTHER_WORDS: [(&str, &str); 11] = [
    ("advert_int", "interval"),
    ("auth_pass", "password"),
    ("nopreempt", "preempt"),
    ("priority", "priorities"),
    ("true", "on"),
    ("unicast_peer", "unicast"),
    ("use_vmac", "virtualMAC"),
    ("virtual_ipaddress", "addresses"),
    ("virtual_router_id", "vrid"),
    ("vip", "address"),
    ("vrrp_version", "version"),
];

/// What another's word is called here, if that is a field of this place.
fn translated<'a>(word: &str, fields: &'a BTreeMap<String, Shape>) -> Option<&'a str> {
    let (_, ours) = OTHER_WORDS.into_iter().find(|(theirs, _)| *theirs == word)?;
    // Every place that has a virtual router's number is about one.
    fields.get_key_value(ours).filter(|_| fields.contains_key("vrid")).map(|(name, _)| name.as_str())
}

/// The known word that `text` was probably meant to be.
fn closest<'a>(text: &str, words: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    words
        .map(|word| (distance(&text, &word.to_ascii_lowercase()), word.as_str()))
        .filter(|(distance, word)| *distance <= TYPING_ERRORS && *distance < word.len())
        .min()
        .map(|(_, word)| word)
}

/// How many letters have to be inserted, removed or replaced to get from one word to the other; at least the difference of
/// their lengths, which is all that is said about words of very different length.
fn distance(a: &str, b: &str) -> usize {
    let apart = a.len().abs_diff(b.len());
    if apart > TYPING_ERRORS {
        return apart;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (to, above) in b.bytes().zip(row.iter().skip(1)) {
            let replaced = diagonal.saturating_add(usize::from(from != to));
            left = replaced.min(left.saturating_add(1)).min(above.saturating_add(1));
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(apart)
}

#[cfg(test)]
mod tests;
