//! Which files of a folder are the inventory, which hold variables, and reading them all.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::groups::{ALL, Groups, canonical, former};
use super::ini;
use super::value::{Value, Variable, Variables};
use super::yaml::{self, Reader};
use crate::import::{Files, Place, Remark, RemarkKind};
use crate::problem::Problem;
use crate::source::{Tree, excerpt, read_foreign};

/// What a whole file encrypted by `ansible-vault` begins with.
const VAULT_HEADER: &str = "$ANSIBLE_VAULT;";

/// Extensions of files with variables, in the order in which Ansible looks for them.
const EXTENSIONS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// Reads everything into groups and hosts.
pub(super) struct Loader<'f> {
    pub(super) files: &'f Files,
    pub(super) groups: Groups,
    pub(super) remarks: Vec<Remark>,
    pub(super) problems: Vec<Problem>,
    used: BTreeSet<String>,
    /// The file of facts, if one was named.
    facts: Option<&'f str>,
}

/// What an inventory file is written in.
enum Format {
    Ini,
    Yaml,
}

impl<'f> Loader<'f> {
    pub(super) fn new(files: &'f Files, facts: Option<&'f str>) -> Self {
        let (remarks, problems, used) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { files, groups: Groups::default(), remarks, problems, used, facts }
    }

    fn place(&self, path: &str) -> Place {
        Place::new(self.files.name(path), None)
    }

    /// Reads all files at the top that are inventories.
    pub(super) fn inventories(&mut self) {
        let mut read = Vec::new();
        for (path, content) in self.files.iter().filter(|(path, _)| !path.contains('/')) {
            let is_facts = self.facts.is_some_and(|facts| facts == self.files.name(path));
            if path.starts_with('.') || path.ends_with('~') || is_facts {
                continue;
            }
            if let Some(text) = self.text(path, content)
                && self.inventory(path, text)
            {
                read.push(path.to_owned());
            }
        }
        match read.as_slice() {
            [] if self.problems.is_empty() => {
                let place = Place::new(self.files.root(), None);
                let remedy =
                    "name the folder with the inventory, or the inventory itself: hosts.yaml, inventory.ini";
                self.problems.push(place.problem("no inventory is in it", remedy));
            }
            [first, _, ..] => {
                let message =
                    format!("several inventories, read as one, as Ansible does: {}", read.join(", "));
                self.remarks.push(self.place(first).remark(RemarkKind::Assumed, message));
            }
            [] | [_] => {}
        }
    }

    /// A file as text; why it is none is told.
    fn text(&mut self, path: &str, content: &'f [u8]) -> Option<&'f str> {
        match core::str::from_utf8(content) {
            Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text)),
            Err(_) => {
                let message = "left out: not UTF-8 text";
                self.remarks.push(self.place(path).remark(RemarkKind::NotUnderstood, message));
                None
            }
        }
    }

    /// Whether the file is an inventory; then it is read.
    fn inventory(&mut self, path: &str, text: &str) -> bool {
        let file: Arc<str> = self.files.name(path).into();
        let is_only = self.files.iter().filter(|(path, _)| !path.contains('/')).count() == 1;
        match format(path, text, is_only) {
            Some(Format::Ini) => {
                let result = ini::read(&file, text, &mut self.groups);
                self.problems.extend(result.err().unwrap_or_default());
                true
            }
            Some(Format::Yaml) => self.tree(path, text).is_some_and(|root| self.yaml_inventory(path, &root)),
            None => {
                self.left_out(path, "neither YAML, JSON nor INI by its name");
                false
            }
        }
    }

    fn left_out(&mut self, path: &str, why: &str) {
        let message = format!("left out: {why}");
        self.remarks.push(self.place(path).remark(RemarkKind::NotUnderstood, message));
    }

    fn yaml_inventory(&mut self, path: &str, root: &Tree) -> bool {
        let keys = yaml::entries(root).unwrap_or_default();
        if keys.iter().any(|entry| *entry.key == *"apiVersion") {
            self.left_out(path, "a manifest, not an inventory");
            return false;
        }
        let looks_like_facts = |entry: &crate::source::Entry| {
            let fields = yaml::entries(&entry.tree).unwrap_or_default();
            fields
                .iter()
                .any(|field| matches!(&*field.key, "default_ipv4" | "default_ipv6" | "fqdn" | "hostname"))
        };
        if !yaml::is_inventory(root) {
            if keys.iter().any(looks_like_facts) {
                self.left_out(path, "facts are read when they are named: --facts FILE");
            } else {
                let line = root.at.line;
                let place = Place::new(self.files.name(path), line);
                let message = "not an inventory: no group in it has hosts, children or vars";
                self.problems.push(place.problem(message, "write groups, such as `all:` with `children:`"));
            }
            return false;
        }
        let file: Arc<str> = self.files.name(path).into();
        let (groups, remarks) = (&mut self.groups, &mut self.remarks);
        let mut reader = Reader { file, groups, remarks, problems: Vec::new() };
        if yaml::is_listing(root) {
            reader.listing(root);
        } else {
            reader.inventory(root);
        }
        self.problems.append(&mut reader.problems);
        true
    }

    /// The first document of a YAML or JSON file; what is wrong with it is told.
    fn tree(&mut self, path: &str, text: &str) -> Option<Tree> {
        let name = self.files.name(path);
        let foreign = match read_foreign(&name, text) {
            Ok(foreign) => foreign,
            Err(problem) => {
                self.problems.push(problem);
                return None;
            }
        };
        for fault in foreign.faults {
            let place = Place::new(name.as_str(), fault.line);
            let message = format!("{} is given twice; as in Ansible, the last one counts", fault.path);
            self.remarks.push(place.remark(RemarkKind::Assumed, message));
        }
        foreign.documents.into_iter().next()
    }

    /// Reads `group_vars` and `host_vars`.
    pub(super) fn variables(&mut self) {
        for id in 0..self.groups.groups.len() {
            let Some(name) = self.groups.groups.get(id).map(|group| group.name.clone()) else { continue };
            let mut found = Variables::new();
            // Files under the old name first, so that those under the name of today win.
            for name in former(&name).into_iter().chain([&*name]) {
                found.extend(self.variables_of("group_vars", name));
            }
            if let Some(group) = self.groups.group_mut(id) {
                group.files = found;
            }
        }
        for id in 0..self.groups.hosts.len() {
            let Some(name) = self.groups.hosts.get(id).map(|host| host.name.clone()) else { continue };
            let found = self.variables_of("host_vars", &name);
            if let Some(host) = self.groups.hosts.get_mut(id) {
                host.files = found;
            }
        }
        self.report_unused();
    }

    /// The variables of one group or host: of the first that is there of a folder or file of this name, a `.yml`, a
    /// `.yaml` and a `.json`.
    fn variables_of(&mut self, folder: &str, name: &str) -> Variables {
        let base = format!("{folder}/{name}");
        let mut paths: Vec<&'f str> = self.files.within(&base).map(|(path, _)| path).collect();
        if paths.is_empty() {
            let there = EXTENSIONS.iter().find_map(|extension| {
                let path = format!("{base}{extension}");
                self.files.entry(&path).map(|(path, _)| path)
            });
            paths.extend(there);
        } else {
            paths.retain(|path| is_read_within(path, &base));
        }
        let mut variables = Variables::new();
        for path in paths {
            self.used.insert(path.to_owned());
            variables.extend(self.variables_in(path));
        }
        variables
    }

    fn variables_in(&mut self, path: &str) -> Variables {
        let content = self.files.get(path).unwrap_or_default();
        let Some(text) = self.text(path, content) else { return Variables::new() };
        if text.starts_with(VAULT_HEADER) {
            let message = "the whole file is encrypted; whatever variables are in it were not read";
            self.remarks.push(self.place(path).remark(RemarkKind::NotEvaluated, message));
            return Variables::new();
        }
        let Some(root) = self.tree(path, text) else { return Variables::new() };
        let file: Arc<str> = self.files.name(path).into();
        let variable = Variable::of(&file, &root);
        match variable.value {
            Value::Map(fields) => fields.into_iter().collect(),
            Value::Null => Variables::new(),
            Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::List(_) | Value::Sealed(_) => {
                let message = "variables have to be a mapping of names to values";
                self.problems.push(variable.place.problem(message, "write `name: value` lines"));
                Variables::new()
            }
        }
    }

    /// Files with variables of nobody, which are likely meant for somebody.
    fn report_unused(&mut self) {
        for folder in ["group_vars", "host_vars"] {
            let all = self.files.within(folder).map(|(path, _)| path);
            let unused: Vec<&str> = all.filter(|path| !self.used.contains(*path)).collect();
            for path in unused {
                let name = path.split('/').nth(1).unwrap_or_default();
                let stem = EXTENSIONS.iter().rev().find_map(|extension| name.strip_suffix(extension));
                let stem = stem.unwrap_or(name);
                if name.starts_with('.') || stem == ALL {
                    continue;
                }
                let is_there = if folder == "group_vars" {
                    self.groups.group_id(canonical(stem)).is_some()
                } else {
                    self.groups.host_id(stem).is_some()
                };
                let what = if folder == "group_vars" { "group" } else { "host" };
                let why = if is_there {
                    format!("Ansible reads another file or folder for {what} {}", excerpt(stem))
                } else {
                    format!("the inventory has no {what} {}", excerpt(stem))
                };
                self.left_out(path, &why);
            }
        }
    }
}

/// Whether Ansible reads a file within a folder of variables: no part of its path is hidden or a backup, no folder has an
/// extension, and its own is one of variables.
fn is_read_within(path: &str, base: &str) -> bool {
    let inner = path.strip_prefix(base).unwrap_or(path).trim_start_matches('/');
    let mut parts = inner.split('/').rev();
    let file = parts.next().unwrap_or_default();
    let extension = file.rfind('.').and_then(|dot| file.get(dot..)).unwrap_or_default();
    let is_shown = |part: &str| !part.starts_with('.') && !part.ends_with('~');
    is_shown(file)
        && EXTENSIONS.contains(&extension)
        && parts.all(|part| is_shown(part) && !part.contains('.'))
}

/// By its name, else by its first line that is no comment. `is_only` says that there is no other file to be meant.
fn format(path: &str, text: &str, is_only: bool) -> Option<Format> {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("ini") => Some(Format::Ini),
        Some("yml" | "yaml" | "json") => Some(Format::Yaml),
        Some(_) if !is_only => None,
        Some(_) | None => {
            let mut lines = text.lines().map(str::trim);
            let first =
                lines.find(|line| !line.is_empty() && !line.starts_with(['#', ';'])).unwrap_or_default();
            let is_yaml = first.starts_with("---") || first.starts_with('{') || first.ends_with(':');
            Some(if is_yaml { Format::Yaml } else { Format::Ini })
        }
    }
}
