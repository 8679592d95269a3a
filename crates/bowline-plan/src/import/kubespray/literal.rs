//! Python literals, which Ansible's INI files hold. What is none is text.

use super::value::{Value, Variable};
use crate::import::Place;

/// Lists within lists; more is no value of an inventory.
const NESTING_LIMIT: usize = 16;

/// The value of `text`: a literal, behind which a comment may stand, or the text itself.
pub(super) fn value(text: &str, place: &Place) -> Value {
    let text = text.trim();
    let mut reader = Reader { rest: text, place };
    match reader.literal(0) {
        Some(value) if reader.is_at_end() => value,
        Some(_) | None => Value::Text(text.into()),
    }
}

struct Reader<'t, 'p> {
    rest: &'t str,
    place: &'p Place,
}

impl<'t> Reader<'t, '_> {
    fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest.is_empty() || self.rest.starts_with('#')
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn take(&mut self, token: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn literal(&mut self, depth: usize) -> Option<Value> {
        if depth > NESTING_LIMIT {
            return None;
        }
        self.skip_blanks();
        match self.rest.chars().next()? {
            '\'' | '"' => self.string().map(|text| Value::Text(text.into())),
            '[' => self.sequence('[', ']', depth).map(|(items, _)| Value::List(items)),
            '(' => match self.sequence('(', ')', depth)? {
                (mut items, false) if items.len() == 1 => items.pop().map(|item| item.value),
                (items, _) => Some(Value::List(items)),
            },
            '{' => self.mapping(depth),
            _ => self.word(),
        }
    }

    /// Items up to `close`, and whether a comma was among them.
    fn sequence(&mut self, open: char, close: char, depth: usize) -> Option<(Vec<Variable>, bool)> {
        self.take(open).then_some(())?;
        let mut items = Vec::new();
        let mut has_comma = false;
        while !self.take(close) {
            let value = self.literal(depth.saturating_add(1))?;
            items.push(Variable::new(self.place.clone(), value));
            if self.take(',') {
                has_comma = true;
            } else {
                self.take(close).then_some(())?;
                break;
            }
        }
        Some((items, has_comma))
    }

    fn mapping(&mut self, depth: usize) -> Option<Value> {
        self.take('{').then_some(())?;
        let mut fields: Vec<(Box<str>, Variable)> = Vec::new();
        while !self.take('}') {
            self.skip_blanks();
            let key = match self.literal(depth.saturating_add(1))? {
                Value::Text(text) => text,
                Value::Int(number) => number.to_string().into(),
                Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) | Value::Sealed(_) => {
                    return None;
                }
            };
            self.take(':').then_some(())?;
            let value = self.literal(depth.saturating_add(1))?;
            fields.retain(|(there, _)| *there != key);
            fields.push((key, Variable::new(self.place.clone(), value)));
            if !self.take(',') {
                self.take('}').then_some(())?;
                break;
            }
        }
        Some(Value::Map(fields))
    }

    /// A string in either kind of quotes, on one line, with the usual escapes.
    fn string(&mut self) -> Option<String> {
        let quote = self.rest.chars().next()?;
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        while let Some((index, c)) = characters.next() {
            match c {
                _ if c == quote => {
                    self.rest = self.rest.get(index.saturating_add(1)..)?;
                    return Some(text);
                }
                '\\' => match characters.next()?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    escaped @ ('\\' | '\'' | '"') => text.push(escaped),
                    _ => return None,
                },
                _ => text.push(c),
            }
        }
        None
    }

    /// `True`, `False`, `None`, or a whole number. A number with a point stays text, which prints the same.
    fn word(&mut self) -> Option<Value> {
        let is_inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+');
        let end = self.rest.find(|c| !is_inner(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        let value = match word {
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            "None" => Value::Null,
            _ => Value::Int(integer(word)?),
        };
        self.rest = rest;
        Some(value)
    }
}

/// Python has no decimal number with a leading zero, and underscores only between digits.
fn integer(word: &str) -> Option<i64> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    if digits.starts_with('_') || digits.ends_with('_') || digits.contains("__") {
        return None;
    }
    let clean = digits.replace('_', "");
    let number = match clean.get(..2) {
        Some("0x" | "0X") => i64::from_str_radix(clean.get(2..)?, 16),
        Some("0o" | "0O") => i64::from_str_radix(clean.get(2..)?, 8),
        Some("0b" | "0B") => i64::from_str_radix(clean.get(2..)?, 2),
        Some(_) if clean.starts_with('0') && clean.bytes().any(|byte| byte != b'0') => return None,
        Some(_) | None if clean.bytes().all(|byte| byte.is_ascii_digit()) => clean.parse(),
        Some(_) | None => return None,
    };
    number.ok().map(|number| number.saturating_mul(sign))
}
