//! Values, where they stand, and how to name them.

use core::fmt;

use crate::problem::Problem;

/// A place in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Position {
    /// Counted from 1.
    pub(crate) line: u32,
    /// Counted from 1, in characters.
    pub(crate) column: u32,
}

/// A value and where it begins.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Tree {
    pub(crate) at: Position,
    pub(crate) value: Value,
}

/// A value whose type is not decided yet.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    /// Nothing, or `null`, or `~`.
    Null,
    /// A scalar without quotes: text or, where the schema asks for it, a number or a truth value.
    Plain(Box<str>),
    /// A scalar in quotes or a block: text.
    Quoted(Box<str>),
    /// A scalar whose tag says that it is something else, such as `!vault`; foreign files alone have them.
    Tagged {
        tag: Box<str>,
    },
    Sequence(Vec<Tree>),
    /// In the order of the file.
    Mapping(Vec<Entry>),
}

/// A field of a mapping.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Box<str>,
    pub(crate) at: Position,
    pub(crate) tree: Tree,
}

/// The way from the root to a value.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Path(Vec<Segment>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Segment {
    Key(Box<str>),
    Index(usize),
}

/// A parsed file.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    file: String,
    root: Tree,
}

impl Path {
    pub(crate) fn root() -> Self {
        Self::default()
    }

    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Segment::Key(key.into()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// Whether `other` is this, or is in it.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The field of the mapping at `self` that `other` is, or is in.
    pub(crate) fn field_towards<'o>(&self, other: &'o Self) -> Option<&'o str> {
        match other.0.strip_prefix(self.0.as_slice()) {
            Some([Segment::Key(key), ..]) => Some(key),
            Some(_) | None => None,
        }
    }

    /// The number of the item of the list at `self` that `other` is, or is in.
    pub(crate) fn item_towards(&self, other: &Self) -> Option<usize> {
        match other.0.strip_prefix(self.0.as_slice()) {
            Some([Segment::Index(index), ..]) => Some(*index),
            Some(_) | None => None,
        }
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }
}

impl fmt::Display for Path {
    /// `spec.nodes[2].addresses[0]`; a key that is not a plain word is put in quotes: `priorities["cp1.example.net"]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Key(key) if is_plain_word(key) && position == 0 => f.write_str(key)?,
                Segment::Key(key) if is_plain_word(key) => write!(f, ".{key}")?,
                Segment::Key(key) => write!(f, "[{key:?}]")?,
            }
        }
        Ok(())
    }
}

fn is_plain_word(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

impl Source {
    pub(crate) fn new(file: &str, root: Tree) -> Self {
        Self { file: file.to_owned(), root }
    }

    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// A problem at `path`, or at the nearest thing on the way to it that the file has.
    pub(crate) fn problem(&self, path: &Path, message: String, remedy: String) -> Problem {
        let at = self.locate(path);
        Problem {
            file: self.file.clone(),
            line: Some(at.line),
            column: Some(at.column),
            path: path.to_string(),
            message,
            remedy,
        }
    }

    /// Whether the file has something at `path`, rather than leaving it to its default.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.walk(path).1.is_some()
    }

    /// The line of what the file has at `path`.
    pub(crate) fn line(&self, path: &Path) -> Option<u32> {
        let (at, there) = self.walk(path);
        there.map(|_| at.line)
    }

    /// The scalar at `path`, as it is written there.
    pub(crate) fn text(&self, path: &Path) -> Option<&str> {
        let (_, Some(tree)) = self.walk(path) else { return None };
        match &tree.value {
            Value::Plain(text) | Value::Quoted(text) => Some(text),
            Value::Null | Value::Tagged { .. } | Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    fn locate(&self, path: &Path) -> Position {
        self.walk(path).0
    }

    /// The place of `path`, or of the last thing on the way there, and what is at its end.
    /// A scalar is placed where it stands; a collection where its key stands, because it may begin on a later line.
    fn walk(&self, path: &Path) -> (Position, Option<&Tree>) {
        let mut tree = &self.root;
        let mut at = tree.at;
        for segment in &path.0 {
            match (segment, &tree.value) {
                (Segment::Index(index), Value::Sequence(items)) => {
                    let Some(item) = items.get(*index) else { return (at, None) };
                    (tree, at) = (item, item.at);
                }
                (Segment::Key(key), Value::Mapping(entries)) => {
                    let Some(entry) = entries.iter().find(|entry| entry.key == *key) else {
                        return (at, None);
                    };
                    (tree, at) = (&entry.tree, entry.at);
                    if matches!(tree.value, Value::Plain(_) | Value::Quoted(_)) {
                        at = tree.at;
                    }
                }
                (
                    Segment::Index(_) | Segment::Key(_),
                    Value::Null
                    | Value::Plain(_)
                    | Value::Quoted(_)
                    | Value::Tagged { .. }
                    | Value::Sequence(_)
                    | Value::Mapping(_),
                ) => return (at, None),
            }
        }
        (at, Some(tree))
    }
}
