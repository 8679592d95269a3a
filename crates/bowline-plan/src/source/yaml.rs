//! From text to a tree, by the events of the YAML parser; the only place that knows which parser it is.
//!
//! Everything is bounded: nesting, the number of values, and with it what aliases can be made to expand to. The tree is
//! built with a stack of its own, so no input can exhaust the thread's.

use std::collections::{BTreeMap, BTreeSet};

use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Span, Tag};

use super::PROBLEMS_LIMIT;
use super::tree::{Entry, Path, Position, Tree, Value};

/// Collections within collections. A description nests 6 deep.
const NESTING_LIMIT: usize = 32;

/// Values in all, aliases counted as often as they are used: 20,000 nodes with everything given are 300,000. It keeps
/// what any file can make us use below 100 MB.
const VALUES_LIMIT: usize = 600_000;

/// Something wrong with the YAML itself.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: Position,
    pub(super) path: Path,
    pub(super) message: String,
    pub(super) remedy: &'static str,
}

/// What a text holds.
#[derive(Debug)]
pub(super) struct Parsed {
    /// `None` when the text holds no value.
    pub(super) root: Option<Tree>,
    /// What can be passed over for the moment, to look at the rest.
    pub(super) faults: Vec<Fault>,
}

/// What the text of another system holds.
#[derive(Debug)]
pub(super) struct ParsedForeign {
    /// A value for each document that holds one.
    pub(super) roots: Vec<Tree>,
    /// What can be passed over.
    pub(super) faults: Vec<Fault>,
}

/// Whose text it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Dialect {
    Description,
    Foreign,
}

/// Reads one YAML document, without tags, every field in it once.
///
/// # Errors
/// The fault that made it impossible to go on.
pub(super) fn parse(text: &str) -> Result<Parsed, Fault> {
    let builder = build(text, Dialect::Description)?;
    Ok(Parsed { root: builder.roots.into_iter().next(), faults: builder.faults })
}

/// Reads any number of YAML documents. Scalars keep foreign tags. Of a field that is given twice the last one counts,
/// which is a fault all the same.
///
/// # Errors
/// The fault that made it impossible to go on.
pub(super) fn parse_foreign(text: &str) -> Result<ParsedForeign, Fault> {
    let builder = build(text, Dialect::Foreign)?;
    Ok(ParsedForeign { roots: builder.roots, faults: builder.faults })
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the parser's errors may grow, and are not ours")]
fn build(text: &str, dialect: Dialect) -> Result<Builder, Fault> {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    // Twice, so that it is the builder that stops and says where.
    options.block_nesting_limit = 2 * NESTING_LIMIT;
    options.flow_nesting_limit = 2 * NESTING_LIMIT;
    let mut builder = Builder::new(dialect);
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => builder.handle(event, span)?,
            Err(error) => {
                let at = position(error.marker());
                let (message, remedy) = match error.kind() {
                    granit_parser::ErrorKind::RecursionLimitExceeded => TOO_DEEP,
                    granit_parser::ErrorKind::UnknownAnchor => UNKNOWN_ANCHOR,
                    _ => return Err(builder.fault(at, format!("not YAML: {}", error.info()), SYNTAX_REMEDY)),
                };
                return Err(builder.fault(at, message.to_owned(), remedy));
            }
        }
    }
    Ok(builder)
}

const TOO_DEEP: (&str, &str) = ("nested more than 32 deep", "flatten it; a description nests 6 deep");
const UNKNOWN_ANCHOR: (&str, &str) = ("an alias to an anchor that is not before it", "write the value out");
const SYNTAX_REMEDY: &str =
    "check indentation, quotes and brackets here and on the line before; is the file complete?";

struct Builder {
    dialect: Dialect,
    /// Collections that are not closed yet, outermost first.
    open: Vec<Open>,
    roots: Vec<Tree>,
    documents: usize,
    /// In the tree so far.
    values: usize,
    /// In the copies kept for aliases.
    kept: usize,
    /// By the parser's number of the anchor: the tree, and how many values it has.
    anchors: BTreeMap<usize, (Tree, usize)>,
    faults: Vec<Fault>,
}

struct Open {
    at: Position,
    anchor: usize,
    /// `Builder::values` before it was opened.
    values_before: usize,
    collection: Collection,
}

enum Collection {
    Sequence(Vec<Tree>),
    Mapping { entries: Vec<Entry>, seen: BTreeSet<Box<str>>, key: Option<(Box<str>, Position)> },
}

impl Builder {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            open: Vec::new(),
            roots: Vec::new(),
            documents: 0,
            values: 0,
            kept: 0,
            anchors: BTreeMap::new(),
            faults: Vec::new(),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the parser's events may grow, and are not ours")]
    fn handle(&mut self, event: Event<'_>, span: Span) -> Result<(), Fault> {
        let at = position(&span.start);
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 && self.dialect == Dialect::Description {
                    let remedy = "keep one and remove the `---` between them";
                    return Err(self.fault(at, "more than one YAML document in the file".to_owned(), remedy));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), at);
                self.count(1, at)?;
                self.finish(Tree { at, value }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(at, anchor, tag.as_deref(), Collection::Sequence(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let empty = Collection::Mapping { entries: Vec::new(), seen: BTreeSet::new(), key: None };
                self.open(at, anchor, tag.as_deref(), empty)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => self.alias(anchor, at),
            // The rest is how the text is laid out, not what it says.
            _ => Ok(()),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Position) -> Value {
        if tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str")) {
            return Value::Quoted(text.into());
        }
        if let Some(tag) = tag.filter(|tag| self.dialect == Dialect::Foreign && !tag.is_yaml_core_schema()) {
            return Value::Tagged { tag: tag.original().as_str().into() };
        }
        self.refuse_tag(tag, at);
        match (style, text) {
            (ScalarStyle::Plain, "" | "~" | "null" | "Null" | "NULL") => Value::Null,
            (ScalarStyle::Plain, _) => Value::Plain(text.into()),
            (
                ScalarStyle::SingleQuoted
                | ScalarStyle::DoubleQuoted
                | ScalarStyle::Literal
                | ScalarStyle::Folded,
                _,
            ) => Value::Quoted(text.into()),
        }
    }

    fn open(
        &mut self,
        at: Position,
        anchor: usize,
        tag: Option<&Tag>,
        collection: Collection,
    ) -> Result<(), Fault> {
        self.refuse_tag(tag, at);
        if self.open.len() >= NESTING_LIMIT {
            let (message, remedy) = TOO_DEEP;
            return Err(self.fault(at, message.to_owned(), remedy));
        }
        if let Some(Open { collection: Collection::Mapping { key: None, .. }, .. }) = self.open.last() {
            let remedy = "use plain words as keys";
            return Err(self.fault(at, "a key that is a list or a mapping".to_owned(), remedy));
        }
        let values_before = self.values;
        self.count(1, at)?;
        self.open.push(Open { at, anchor, values_before, collection });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        // The parser closes what it opened, and nothing else.
        let Some(Open { at, anchor, values_before, collection }) = self.open.pop() else { return Ok(()) };
        let value = match collection {
            Collection::Sequence(items) => Value::Sequence(items),
            Collection::Mapping { entries, .. } => Value::Mapping(entries),
        };
        self.finish(Tree { at, value }, anchor, self.values.saturating_sub(values_before))
    }

    fn alias(&mut self, anchor: usize, at: Position) -> Result<(), Fault> {
        let Some(size) = self.anchors.get(&anchor).map(|(_, size)| *size) else {
            let remedy = "write the value out";
            return Err(self.fault(at, "an alias within the value it stands for".to_owned(), remedy));
        };
        self.count(size, at)?;
        match self.anchors.get(&anchor).map(|(tree, _)| tree.clone()) {
            Some(tree) => self.finish(tree, 0, size),
            None => Ok(()),
        }
    }

    /// Puts a complete value where it belongs.
    fn finish(&mut self, tree: Tree, anchor: usize, size: usize) -> Result<(), Fault> {
        if anchor != 0 {
            self.kept = self.kept.saturating_add(size);
            self.count(0, tree.at)?;
            self.anchors.insert(anchor, (tree.clone(), size));
        }
        let at = tree.at;
        match self.open.last_mut().map(|open| &mut open.collection) {
            None => self.roots.push(tree),
            Some(Collection::Sequence(items)) => items.push(tree),
            Some(Collection::Mapping { entries, seen, key }) => match (key.take(), tree.value) {
                (Some((name, key_at)), value) => {
                    let entry = Entry { key: name, at: key_at, tree: Tree { at, value } };
                    if seen.insert(entry.key.clone()) {
                        entries.push(entry);
                        return Ok(());
                    }
                    let name = entry.key.clone();
                    if self.dialect == Dialect::Foreign {
                        entries.retain(|before| before.key != entry.key);
                        entries.push(entry);
                    }
                    let (path, message) = (self.path().key(&name), "given twice".to_owned());
                    self.pass_over(Fault { at: key_at, path, message, remedy: "keep one of the two" });
                }
                (None, Value::Plain(text) | Value::Quoted(text)) => *key = Some((text, at)),
                (None, Value::Null) => *key = Some(("null".into(), at)),
                (None, Value::Tagged { .. } | Value::Sequence(_) | Value::Mapping(_)) => {
                    let remedy = "use plain words as keys";
                    return Err(self.fault(at, "a key that is a list or a mapping".to_owned(), remedy));
                }
            },
        }
        Ok(())
    }

    fn count(&mut self, values: usize, at: Position) -> Result<(), Fault> {
        self.values = self.values.saturating_add(values);
        if self.values.saturating_add(self.kept) <= VALUES_LIMIT {
            return Ok(());
        }
        let message = format!("more than {VALUES_LIMIT} values, aliases counted as often as they are used");
        Err(self.fault(at, message, "write a smaller file, without anchors and aliases"))
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Position) {
        if let Some(tag) = tag.filter(|_| self.dialect == Dialect::Description) {
            let message = format!("the tag {} means nothing here", super::excerpt(&tag.original()));
            let fault = self.fault(at, message, "remove it");
            self.pass_over(fault);
        }
    }

    fn pass_over(&mut self, fault: Fault) {
        if self.faults.len() < PROBLEMS_LIMIT {
            self.faults.push(fault);
        }
    }

    fn fault(&self, at: Position, message: String, remedy: &'static str) -> Fault {
        Fault { at, path: self.path(), message, remedy }
    }

    /// Where in the tree the builder is.
    fn path(&self) -> Path {
        let mut path = Path::root();
        for open in &self.open {
            match &open.collection {
                Collection::Sequence(items) => path = path.index(items.len()),
                Collection::Mapping { key: Some((key, _)), .. } => path = path.key(key),
                Collection::Mapping { key: None, .. } => {}
            }
        }
        path
    }
}

/// The parser counts lines from 1 and columns from 0.
fn position(marker: &granit_parser::Marker) -> Position {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(marker.line()).max(1), column: number(marker.col()).saturating_add(1) }
}

#[cfg(test)]
mod tests;
