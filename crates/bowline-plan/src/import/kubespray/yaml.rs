//! Inventories in YAML, and in the JSON that `ansible-inventory --list` prints.

use std::sync::Arc;

use super::groups::{ALL, GroupId, Groups};
use super::range::expand;
use super::value::Variable;
use crate::import::{Place, Remark, RemarkKind};
use crate::problem::Problem;
use crate::source::{Entry, Tree, Value, excerpt};

/// Groups within groups. An inventory of a big company has five.
const NESTING_LIMIT: usize = 16;

/// Reads one inventory file into groups.
pub(super) struct Reader<'g> {
    pub(super) file: Arc<str>,
    pub(super) groups: &'g mut Groups,
    pub(super) remarks: &'g mut Vec<Remark>,
    pub(super) problems: Vec<Problem>,
}

/// Whether it is what `ansible-inventory --list` prints, and not a file that somebody wrote.
pub(super) fn is_listing(root: &Tree) -> bool {
    entries(root).is_some_and(|entries| entries.iter().any(|entry| *entry.key == *"_meta"))
}

/// Whether it has the form of an inventory: groups by name, with hosts, children or variables.
pub(super) fn is_inventory(root: &Tree) -> bool {
    let is_group = |entry: &Entry| {
        entries(&entry.tree).is_some_and(|fields| {
            fields.iter().any(|field| matches!(&*field.key, "hosts" | "children" | "vars"))
        })
    };
    entries(root).is_some_and(|groups| is_listing(root) || groups.iter().any(is_group))
}

pub(super) fn entries(tree: &Tree) -> Option<&[Entry]> {
    match &tree.value {
        Value::Mapping(entries) => Some(entries),
        Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::Tagged { .. } | Value::Sequence(_) => None,
    }
}

/// The text of a scalar.
fn scalar(tree: &Tree) -> Option<&str> {
    match &tree.value {
        Value::Plain(text) | Value::Quoted(text) => Some(text),
        Value::Null | Value::Tagged { .. } | Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

impl Reader<'_> {
    /// Adds what a file that somebody wrote says.
    pub(super) fn inventory(&mut self, root: &Tree) {
        for entry in entries(root).unwrap_or_default() {
            self.written(entry, 0);
        }
    }

    fn at(&self, line: u32) -> Place {
        Place::new(Arc::clone(&self.file), line)
    }

    fn skip(&mut self, line: u32, message: String) {
        let place = self.at(line);
        self.remarks.push(place.remark(RemarkKind::NotUnderstood, message));
    }

    fn refuse(&mut self, line: u32, message: String, remedy: &str) {
        let problem = self.at(line).problem(message, remedy);
        self.problems.push(problem);
    }

    fn added(&mut self, added: Result<usize, Problem>) -> Option<usize> {
        added.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn group(&mut self, name: &str, line: u32) -> Option<GroupId> {
        let place = self.at(line);
        let added = self.groups.add_group(name, &place);
        self.added(added)
    }

    /// A group as somebody writes it.
    fn written(&mut self, entry: &Entry, depth: usize) -> Option<GroupId> {
        let line = entry.at.line;
        if depth > NESTING_LIMIT {
            self.refuse(line, format!("groups nested more than {NESTING_LIMIT} deep"), "nest groups less");
            return None;
        }
        let name = &*entry.key;
        if entry.tree.value != Value::Null && entries(&entry.tree).is_none() {
            let message = format!("group {} is neither a mapping nor empty", excerpt(name));
            self.refuse(line, message, "give it `hosts:`, `children:` or `vars:`");
            return None;
        }
        let id = self.group(name, line)?;
        for section in entries(&entry.tree).unwrap_or_default() {
            match &*section.key {
                "hosts" => self.each(section, |reader, host| reader.host(host, id)),
                "vars" => self.each(section, |reader, variable| reader.variable(variable, id)),
                "children" => self.each(section, |reader, child| {
                    if let Some(child_id) = reader.written(child, depth.saturating_add(1)) {
                        let place = reader.at(child.at.line);
                        reader.groups.add_child(id, child_id, &place);
                    }
                }),
                other => {
                    let message = format!("{} in group {}", excerpt(other), excerpt(name));
                    self.skip(section.at.line, format!("{message} is none of hosts, children and vars"));
                }
            }
        }
        Some(id)
    }

    /// Handles each entry of a section. A single name stands for a mapping of it to nothing.
    fn each(&mut self, section: &Entry, mut handle: impl FnMut(&mut Self, &Entry)) {
        match (&section.tree.value, scalar(&section.tree)) {
            (Value::Null, _) => {}
            (Value::Mapping(entries), _) => entries.iter().for_each(|entry| handle(self, entry)),
            (_, Some(name)) => {
                let at = section.tree.at;
                let entry = Entry { key: name.into(), at, tree: Tree { at, value: Value::Null } };
                handle(self, &entry);
            }
            (_, None) => {
                let message = format!("`{}` is not a mapping", section.key);
                self.refuse(
                    section.at.line,
                    message,
                    "write each as `name:` on a line of its own, without `-`",
                );
            }
        }
    }

    fn host(&mut self, entry: &Entry, group: GroupId) {
        let place = self.at(entry.at.line);
        let names = match expand(&entry.key) {
            Ok(names) => names,
            Err(what) => return self.refuse(entry.at.line, what, "write a range such as node[1:9]"),
        };
        let fields = match &entry.tree.value {
            Value::Null => &[],
            Value::Mapping(fields) => fields.as_slice(),
            Value::Plain(_) | Value::Quoted(_) | Value::Tagged { .. } | Value::Sequence(_) => {
                let message = format!("the variables of host {} are not a mapping", excerpt(&entry.key));
                return self.refuse(entry.at.line, message, "write `name: value` below the host");
            }
        };
        let file = Arc::clone(&self.file);
        for name in names {
            let added = self.groups.add_host(&name, &place, group);
            if let Some(host) = self.added(added).and_then(|id| self.groups.hosts.get_mut(id)) {
                let variables = fields.iter().map(|field| Variable::field_of(&file, field));
                host.inventory.extend(variables);
            }
        }
    }

    fn variable(&mut self, entry: &Entry, group: GroupId) {
        let (name, variable) = Variable::field_of(&self.file, entry);
        if let Some(group) = self.groups.group_mut(group) {
            group.inventory.insert(name, variable);
        }
    }

    /// Adds what `ansible-inventory --list` prints: lists of names, and the variables of hosts apart.
    pub(super) fn listing(&mut self, root: &Tree) {
        let groups = entries(root).unwrap_or_default();
        for entry in groups.iter().filter(|entry| *entry.key != *"_meta") {
            let Some(id) = self.group(&entry.key, entry.at.line) else { continue };
            for section in entries(&entry.tree).unwrap_or_default() {
                match &*section.key {
                    "hosts" => self.names(section, |reader, name, line| {
                        let place = reader.at(line);
                        let added = reader.groups.add_host(name, &place, id);
                        reader.added(added);
                    }),
                    "children" => self.names(section, |reader, name, line| {
                        if let Some(child) = reader.group(name, line) {
                            let place = reader.at(line);
                            reader.groups.add_child(id, child, &place);
                        }
                    }),
                    "vars" => self.each(section, |reader, variable| reader.variable(variable, id)),
                    other => {
                        let message = format!("{} in group {}", excerpt(other), excerpt(&entry.key));
                        self.skip(section.at.line, message);
                    }
                }
            }
        }
        let hosts = groups.iter().filter(|entry| *entry.key == *"_meta");
        let hosts = hosts.flat_map(|meta| entries(&meta.tree).unwrap_or_default());
        for hostvars in hosts.filter(|entry| *entry.key == *"hostvars") {
            if let Some(all) = self.group(ALL, hostvars.at.line) {
                self.each(hostvars, |reader, host| reader.listed_host(host, all));
            }
        }
    }

    /// The variables of a host. It is in the groups that list it, and a host of its own if none does.
    fn listed_host(&mut self, entry: &Entry, all: GroupId) {
        let place = self.at(entry.at.line);
        let added = self.groups.add_host(&entry.key, &place, all);
        let file = Arc::clone(&self.file);
        if let Some(host) = self.added(added).and_then(|id| self.groups.hosts.get_mut(id)) {
            let fields = entries(&entry.tree).unwrap_or_default();
            host.place = place;
            host.inventory.extend(fields.iter().map(|field| Variable::field_of(&file, field)));
        }
    }

    fn names(&mut self, section: &Entry, mut handle: impl FnMut(&mut Self, &str, u32)) {
        match &section.tree.value {
            Value::Sequence(items) => {
                for item in items {
                    match scalar(item) {
                        Some(name) => handle(self, name, item.at.line),
                        None => self.refuse(item.at.line, "not a name".to_owned(), LISTING_REMEDY),
                    }
                }
            }
            Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::Tagged { .. } | Value::Mapping(_) => {
                self.refuse(section.at.line, format!("`{}` is not a list", section.key), LISTING_REMEDY);
            }
        }
    }
}

const LISTING_REMEDY: &str = "give the JSON of `ansible-inventory --list` as it was printed";
