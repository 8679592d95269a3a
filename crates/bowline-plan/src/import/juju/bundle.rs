//! A bundle: applications and the relations between them. It holds no address.

use std::collections::BTreeMap;

use crate::import::cursor::Cursor;
use crate::import::{Place, Remark, RemarkKind};
use crate::problem::Problem;
use crate::source::Tree;

/// Fields of a bundle that say nothing about addresses.
const IRRELEVANT: [&str; 16] = [
    "bundle",
    "name",
    "description",
    "docs",
    "issues",
    "source",
    "website",
    "tags",
    "series",
    "base",
    "default-base",
    "machines",
    "variables",
    "type",
    "x-defaults",
    "assumes",
];

/// What a bundle says, overlays applied.
#[derive(Debug, Default)]
pub(super) struct Bundle<'t> {
    /// In alphabetical order.
    pub(super) applications: BTreeMap<&'t str, Application<'t>>,
    pub(super) relations: Vec<Relation<'t>>,
    /// Where the bundle itself begins.
    pub(super) file: &'t str,
}

#[derive(Debug)]
pub(super) struct Application<'t> {
    /// Without store, owner and revision.
    pub(super) charm: &'t str,
    pub(super) revision: Option<u32>,
    /// Whether it came from the charm store, which closed before era O.
    pub(super) is_from_store: bool,
    pub(super) channel: Option<&'t str>,
    pub(super) units: Option<u32>,
    pub(super) options: BTreeMap<&'t str, Cursor<'t>>,
    pub(super) at: Cursor<'t>,
}

/// Two ends that talk to each other.
#[derive(Debug)]
pub(super) struct Relation<'t> {
    pub(super) ends: [End<'t>; 2],
    pub(super) at: Cursor<'t>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct End<'t> {
    pub(super) application: &'t str,
    /// `None` where the bundle leaves it to Juju to find the only one that fits.
    pub(super) endpoint: Option<&'t str>,
}

/// Reads the documents of a bundle: the bundle itself and overlays on it.
pub(super) fn read<'t>(
    documents: &[(&'t str, &'t Tree)],
    remarks: &mut Vec<Remark>,
) -> Result<Bundle<'t>, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut bundle = Bundle { file: documents.first().map_or("", |(file, _)| file), ..Bundle::default() };
    for (file, tree) in documents {
        let root = Cursor::new(file, tree);
        if root.is_mapping() {
            overlay(&mut bundle, &root, &mut problems, remarks);
        } else {
            let remedy = "give a bundle: a mapping with applications and relations";
            problems.push(root.problem(format!("{} is no bundle", root.shown()), remedy));
        }
    }
    if bundle.applications.is_empty() && problems.is_empty() {
        let remedy = "give a bundle with `applications:` (as `juju export-bundle` writes it)";
        problems.push(Place::new(bundle.file, None).problem("no application", remedy));
    }
    for relation in &bundle.relations {
        for end in relation.ends {
            if !bundle.applications.contains_key(end.application) {
                let message = format!("a relation to {}, which is no application", end.application);
                remarks.push(place(&relation.at).remark(RemarkKind::NotUnderstood, message));
            }
        }
    }
    if problems.is_empty() { Ok(bundle) } else { Err(problems) }
}

/// Lays a document over what is known so far.
fn overlay<'t>(
    bundle: &mut Bundle<'t>,
    root: &Cursor<'t>,
    problems: &mut Vec<Problem>,
    remarks: &mut Vec<Remark>,
) {
    for (key, field) in root.entries() {
        match key {
            "applications" | "services" => {
                for name in field.cleared() {
                    bundle.applications.remove(name);
                    bundle
                        .relations
                        .retain(|relation| !relation.ends.iter().any(|end| end.application == name));
                }
                for (name, at) in field.entries() {
                    application(bundle, name, &at, problems);
                }
            }
            "relations" => {
                let read = field.items().into_iter().filter_map(|item| relation(&item, problems));
                bundle.relations.extend(read.collect::<Vec<_>>());
            }
            _ if IRRELEVANT.contains(&key) => {}
            _ => {
                let message = format!("`{key}` is not looked at");
                remarks.push(place(&field).remark(RemarkKind::NotUnderstood, message));
            }
        }
    }
}

fn application<'t>(bundle: &mut Bundle<'t>, name: &'t str, at: &Cursor<'t>, problems: &mut Vec<Problem>) {
    let charm = at.get("charm").and_then(|at| at.text(problems));
    if !bundle.applications.contains_key(name) {
        let Some(charm) = charm else {
            let remedy = "give it `charm:`, or give the bundle before its overlay";
            problems.push(at.problem(format!("application {name} has no charm"), remedy));
            return;
        };
        let (charm, revision, is_from_store) = charm_name(charm);
        let empty = BTreeMap::new();
        let application = Application {
            charm,
            revision,
            is_from_store,
            channel: None,
            units: None,
            options: empty,
            at: at.clone(),
        };
        bundle.applications.insert(name, application);
    }
    let Some(application) = bundle.applications.get_mut(name) else { return };
    if let Some(charm) = charm {
        (application.charm, application.revision, application.is_from_store) = charm_name(charm);
    }
    if let Some(channel) = at.get("channel").and_then(|at| at.text(problems)) {
        application.channel = Some(channel);
    }
    if let Some(revision) = at.get("revision") {
        application.revision = revision.number(problems);
    }
    for key in ["num_units", "scale"] {
        if let Some(units) = at.get(key) {
            application.units = units.number(problems);
        }
    }
    if let Some(options) = at.get("options") {
        application.options.extend(options.entries());
    }
}

/// `cs:~containers/keepalived-3`, `ch:amd64/focal/keepalived-3`, `./keepalived` and `keepalived` are the same charm.
fn charm_name(charm: &str) -> (&str, Option<u32>, bool) {
    let is_from_store = charm.starts_with("cs:");
    let charm = charm.split_once(':').map_or(charm, |(_, rest)| rest);
    let name = charm.trim_end_matches('/').rsplit('/').next().unwrap_or(charm);
    let revision = name.rsplit_once('-').and_then(|(name, number)| Some((name, number.parse::<u32>().ok()?)));
    match revision {
        Some((name, revision)) => (name, Some(revision), is_from_store),
        None => (name.trim_end_matches(".charm"), None, is_from_store),
    }
}

fn relation<'t>(at: &Cursor<'t>, problems: &mut Vec<Problem>) -> Option<Relation<'t>> {
    let items = at.items();
    let ends: Vec<&str> = items.iter().filter_map(Cursor::scalar).collect();
    match (ends.as_slice(), items.len()) {
        ([one, other], 2) => Some(Relation { ends: [end(one), end(other)], at: at.clone() }),
        _ => {
            let remedy = "write two texts such as [\"etcd:db\", \"calico:etcd\"]";
            problems.push(at.problem("a relation that has not two ends", remedy));
            None
        }
    }
}

fn end(text: &str) -> End<'_> {
    match text.split_once(':') {
        Some((application, endpoint)) => End { application, endpoint: Some(endpoint) },
        None => End { application: text, endpoint: None },
    }
}

pub(super) fn place(at: &Cursor<'_>) -> Place {
    Place::new(at.file(), at.line())
}

impl<'t> Bundle<'t> {
    /// Applications of any of these charms, by name.
    pub(super) fn with_charm(&self, charms: &[&str]) -> Vec<(&'t str, &Application<'t>)> {
        let fitting = self.applications.iter().filter(|(_, application)| charms.contains(&application.charm));
        fitting.map(|(name, application)| (*name, application)).collect()
    }

    /// Applications that `endpoint` of `application` is related to, and their endpoint. An end without its endpoint fits
    /// if the other has one of `peers`, or has none either and is of one of `charms`.
    pub(super) fn related(
        &self,
        application: &str,
        endpoint: &str,
        peers: &[&str],
        charms: &[&str],
    ) -> Vec<(&'t str, &Relation<'t>)> {
        let mut related = Vec::new();
        for relation in &self.relations {
            let [a, b] = &relation.ends;
            for (own, other) in [(a, b), (b, a)] {
                let fits_charm = || {
                    let charm = self.applications.get(other.application).map(|application| application.charm);
                    charm.is_some_and(|charm| charms.contains(&charm))
                };
                let fits = match (own.endpoint, other.endpoint) {
                    (Some(own), _) => own == endpoint,
                    (None, Some(other)) => peers.contains(&other) && fits_charm(),
                    (None, None) => charms.len() == 1 && fits_charm(),
                };
                if own.application == application && fits {
                    related.push((other.application, relation));
                }
            }
        }
        related
    }
}

impl<'t> Application<'t> {
    /// An option that is set and not empty, as text.
    pub(super) fn option(&self, name: &str) -> Option<(&'t str, Place)> {
        let at = self.options.get(name)?;
        at.scalar().filter(|text| !text.trim().is_empty()).map(|text| (text, place(at)))
    }

    /// The words of an option that is a list of them.
    pub(super) fn words(&self, name: &str) -> Vec<String> {
        let text = self.option(name).map(|(text, _)| text).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }
}
