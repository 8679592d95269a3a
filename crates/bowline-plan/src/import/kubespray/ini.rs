//! Inventories in Ansible's own INI.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::groups::{GroupId, Groups, canonical};
use super::literal;
use super::range::expand;
use super::value::Variable;
use crate::import::Place;
use crate::problem::Problem;
use crate::source::excerpt;

/// What the lines of a section are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Hosts,
    Children,
    Vars,
}

/// Adds what the file says.
///
/// # Errors
/// Every line that is not understood.
pub(super) fn read(file: &Arc<str>, text: &str, groups: &mut Groups) -> Result<(), Vec<Problem>> {
    let mut reader =
        Reader { groups, pending: BTreeMap::new(), unsettled: BTreeMap::new(), problems: Vec::new() };
    let mut section = None;
    for (index, line) in text.lines().enumerate() {
        let number = u32::try_from(index.saturating_add(1)).unwrap_or(u32::MAX);
        let place = Place::new(Arc::clone(file), number);
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let result = match header(line) {
            Some(header) => header.map_err(|what| place.problem(what, HEADER_REMEDY)).and_then(|header| {
                section = Some(reader.section(header, &place)?);
                Ok(())
            }),
            None => reader.line(line, section, &place),
        };
        reader.problems.extend(result.err());
    }
    reader.finish()
}

const HEADER_REMEDY: &str = "write [group], [group:children] or [group:vars], without blanks";

struct Reader<'g> {
    groups: &'g mut Groups,
    /// By a group that is not described yet: where it is named as a child, and of whom.
    pending: BTreeMap<String, Vec<(GroupId, Place)>>,
    /// Groups that so far have variables alone.
    unsettled: BTreeMap<String, Place>,
    problems: Vec<Problem>,
}

/// The name and kind of a section, if the line begins one.
fn header(line: &str) -> Option<Result<(&str, Section), String>> {
    let (inner, behind) = line.strip_prefix('[')?.split_once(']')?;
    let behind = behind.trim_start();
    // A host pattern can begin with a bracket too: `[fd00::1]:22`, `[1:3].example.net`.
    if !behind.is_empty() && !behind.starts_with('#') {
        return None;
    }
    let (name, kind) = inner.split_once(':').unwrap_or((inner, "hosts"));
    let section = match kind {
        "hosts" => Section::Hosts,
        "children" => Section::Children,
        "vars" => Section::Vars,
        _ => return Some(Err(format!("a section of unknown kind: {}", excerpt(line)))),
    };
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Some(Err(format!("not the name of a group: {}", excerpt(inner))));
    }
    Some(Ok((name, section)))
}

impl Reader<'_> {
    fn section(&mut self, header: (&str, Section), place: &Place) -> Result<(GroupId, Section), Problem> {
        let (name, section) = header;
        let is_new = self.groups.group_id(name).is_none();
        let id = self.groups.add_group(name, place)?;
        let name = canonical(name);
        if section == Section::Vars {
            if is_new {
                self.unsettled.insert(name.to_owned(), place.clone());
            }
        } else {
            self.unsettled.remove(name);
            // Children that are described after their parents come in the order in which they are described.
            for (parent, place) in self.pending.remove(name).unwrap_or_default() {
                self.groups.add_child(parent, id, &place);
            }
        }
        Ok((id, section))
    }

    fn line(
        &mut self,
        line: &str,
        section: Option<(GroupId, Section)>,
        place: &Place,
    ) -> Result<(), Problem> {
        let (group, section) = match section {
            Some(section) => section,
            None => (self.groups.add_group("ungrouped", place)?, Section::Hosts),
        };
        match section {
            Section::Hosts => self.hosts(line, group, place),
            Section::Vars => self.variable(line, group, place),
            Section::Children => self.child(line, group, place),
        }
    }

    fn hosts(&mut self, line: &str, group: GroupId, place: &Place) -> Result<(), Problem> {
        let words = split(line).map_err(|what| {
            place.problem(
                format!("{what}: {}", excerpt(line)),
                "close the quotes, or escape the quote with \\",
            )
        })?;
        let mut words = words.into_iter();
        let Some(pattern) = words.next() else { return Ok(()) };
        let mut variables = Vec::new();
        for word in words {
            let Some((name, value)) = word.split_once('=') else {
                let message = format!("{} is not a variable and its value", excerpt(&word));
                return Err(place.problem(message, "write name=value; one host to a line"));
            };
            let value = literal::value(value, place);
            variables.push((Box::<str>::from(name), Variable::new(place.clone(), value)));
        }
        let names = expand(&pattern)
            .map_err(|what| place.problem(what, "write a range such as node[1:9] or node[01:10]"))?;
        for name in names {
            let id = self.groups.add_host(&name, place, group)?;
            if let Some(host) = self.groups.hosts.get_mut(id) {
                host.inventory.extend(variables.iter().cloned());
            }
        }
        Ok(())
    }

    fn variable(&mut self, line: &str, group: GroupId, place: &Place) -> Result<(), Problem> {
        let Some((name, value)) = line.split_once('=') else {
            let message = format!("{} is not a variable and its value", excerpt(line));
            return Err(place.problem(message, "write name=value"));
        };
        let variable = Variable::new(place.clone(), literal::value(value, place));
        if let Some(group) = self.groups.group_mut(group) {
            group.inventory.insert(name.trim().into(), variable);
        }
        Ok(())
    }

    fn child(&mut self, line: &str, parent: GroupId, place: &Place) -> Result<(), Problem> {
        let name = line.split_once('#').map_or(line, |(name, _)| name).trim();
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, ':' | ']' | '=')) {
            let message = format!("{} is not the name of a group", excerpt(line));
            return Err(place.problem(message, "name one group to a line"));
        }
        match self.groups.group_id(name) {
            Some(child) => {
                // Counts as an old name in use.
                self.groups.add_group(name, place)?;
                self.groups.add_child(parent, child, place);
            }
            None => {
                let pending = self.pending.entry(canonical(name).to_owned()).or_default();
                pending.push((parent, place.clone()));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), Vec<Problem>> {
        for (name, parents) in &self.pending {
            for (_, place) in parents {
                let message = format!("there is no group {}", excerpt(name));
                let remedy = format!("add a section [{name}], or remove this line");
                self.problems.push(place.problem(message, remedy));
            }
        }
        for (name, place) in &self.unsettled {
            let message = format!("variables of a group {} that is not there", excerpt(name));
            self.problems.push(place.problem(message, format!("add a section [{name}], or remove this one")));
        }
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }
}

/// Words as a shell splits them, up to a comment.
fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '#' => break,
            _ if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next() {
                        Some('\'') => break,
                        Some(c) => word.push(c),
                        None => return Err("quotes that are not closed"),
                    }
                }
            }
            '"' => quoted(&mut characters, word.get_or_insert_default())?,
            '\\' => word.get_or_insert_default().extend(characters.next()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The rest of a word in double quotes, in which a backslash escapes a quote or itself.
fn quoted(characters: &mut core::str::Chars<'_>, word: &mut String) -> Result<(), &'static str> {
    loop {
        match characters.next() {
            Some('"') => return Ok(()),
            Some('\\') => match characters.next() {
                Some(c @ ('"' | '\\')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => return Err("quotes that are not closed"),
            },
            Some(c) => word.push(c),
            None => return Err("quotes that are not closed"),
        }
    }
}
