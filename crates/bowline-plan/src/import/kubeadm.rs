//! kubeadm: what `kubeadm init` and `kubeadm join` are given, in versions v1beta3 and v1beta4.

use super::cursor::{self, Cursor};
use super::machines::{Machine, Nodes};
use super::{Draft, File, ImportFailed, Imported, Place, RemarkKind};
use crate::source::{Tree, excerpt};

mod cluster;
mod nodes;

pub(super) use cluster::host_and_port;

/// Versions of the format that are read.
const VERSIONS: [&str; 2] = ["kubeadm.k8s.io/v1beta3", "kubeadm.k8s.io/v1beta4"];
/// Kinds that say nothing about addresses.
const IRRELEVANT: [&str; 5] = [
    "KubeletConfiguration",
    "KubeProxyConfiguration",
    "ResetConfiguration",
    "UpgradeConfiguration",
    "ClusterStatus",
];
/// What kubeadm takes for `localAPIEndpoint.bindPort`.
const API_PORT: u16 = 6443;

/// A document and the file it is in.
type Document = (String, Tree);

/// Reads the files of one cluster; `machines` are those that no file names.
///
/// # Errors
/// Everything that stands in the way.
pub fn import(files: &[File<'_>], machines: &[Machine]) -> Result<Imported, ImportFailed> {
    let source: Vec<&str> = files.iter().map(|(file, _)| *file).collect();
    let mut importer = Importer { draft: Draft::new(), nodes: Nodes::new(machines), ..Importer::default() };
    let documents = importer.documents(files);
    let cursors: Vec<Cursor<'_>> = documents.iter().map(|(file, tree)| Cursor::new(file, tree)).collect();
    let of_kind = |kind: &str| -> Vec<&Cursor<'_>> {
        cursors.iter().filter(|at| at.get("kind").and_then(|at| at.scalar()) == Some(kind)).collect()
    };
    let configurations = of_kind("ClusterConfiguration");
    for at in configurations.iter().skip(1) {
        let remedy = "give the files of one cluster";
        importer.draft.problem(at.problem("a second ClusterConfiguration", remedy));
    }
    for at in of_kind("InitConfiguration") {
        importer.init(at);
    }
    for at in of_kind("JoinConfiguration") {
        importer.join(at);
    }
    let begin = Place::new(source.first().copied().unwrap_or_default(), None);
    match configurations.first() {
        Some(at) => importer.cluster(at),
        None => {
            let message = "no ClusterConfiguration: kubeadm's defaults are taken for the cluster";
            importer.draft.remark(RemarkKind::Assumed, &begin, message);
            importer.local_etcd();
            importer.endpoint(None, &begin);
        }
    }
    if let Some(problem) = importer.nodes.require_control_plane(&begin) {
        importer.draft.problem(problem);
    }
    let Importer { mut draft, nodes, .. } = importer;
    nodes.write(&mut draft);
    draft.finish(&source.join(", "))
}

struct Importer {
    draft: Draft,
    nodes: Nodes,
    /// Of the API servers.
    port: u16,
    /// What a control plane says of it.
    bind_port: Option<u16>,
    /// What machines that join are told to connect to.
    discovery: Vec<(String, Place)>,
}

impl Default for Importer {
    fn default() -> Self {
        Self {
            draft: Draft::new(),
            nodes: Nodes::default(),
            port: API_PORT,
            bind_port: None,
            discovery: Vec::new(),
        }
    }
}

impl Importer {
    /// Everything there is to read, also what lies in a ConfigMap as `kubectl get -o yaml` shows it.
    fn documents(&mut self, files: &[File<'_>]) -> Vec<Document> {
        let mut documents = Vec::new();
        for (file, bytes) in files {
            match cursor::documents(file, bytes) {
                Ok(trees) => {
                    trees.into_iter().for_each(|tree| self.document(file, tree, &mut documents, true));
                }
                Err(problems) => problems.into_iter().for_each(|problem| self.draft.problem(problem)),
            }
        }
        documents
    }

    fn document(&mut self, file: &str, tree: Tree, documents: &mut Vec<Document>, may_nest: bool) {
        let at = Cursor::new(file, &tree);
        let place = Place::new(file, at.line());
        let text = |key: &str| at.get(key).and_then(|at| at.scalar()).unwrap_or_default();
        let (version, kind) = (text("apiVersion"), text("kind"));
        if kind == "ConfigMap" && may_nest {
            for (key, field) in at.get("data").iter().flat_map(Cursor::entries) {
                let nested = format!("{file}:{} ({key})", field.line());
                match cursor::documents(&nested, field.scalar().unwrap_or_default().as_bytes()) {
                    Ok(trees) => {
                        trees.into_iter().for_each(|tree| self.document(&nested, tree, documents, false));
                    }
                    Err(problems) => problems.into_iter().for_each(|problem| self.draft.problem(problem)),
                }
            }
        } else if IRRELEVANT.contains(&kind) {
        } else if !version.starts_with("kubeadm.k8s.io/") {
            let message = format!("a {} of {} is not looked at", excerpt(kind), excerpt(version));
            self.draft.remark(RemarkKind::NotUnderstood, &place, message);
        } else if !VERSIONS.contains(&version) {
            let remedy = "write it anew with `kubeadm config migrate`: v1beta3 and v1beta4 are read";
            self.draft.problem(at.problem(format!("{} is not read", excerpt(version)), remedy));
        } else {
            documents.push((file.to_owned(), tree));
        }
    }

    /// Reports fields that are not among `known`.
    fn not_understood(&mut self, at: &Cursor<'_>, known: &[&str]) {
        for (key, field) in at.entries() {
            if !known.contains(&key) {
                let place = Place::new(field.file(), field.line());
                self.draft.remark(
                    RemarkKind::NotUnderstood,
                    &place,
                    format!("{} is not looked at", field.path()),
                );
            }
        }
    }

    /// A text; anything else is a problem.
    fn text<'t>(&mut self, at: &Cursor<'t>, key: &str) -> Option<(&'t str, Place)> {
        let field = at.get(key)?;
        let place = Place::new(field.file(), field.line());
        match field.scalar() {
            Some(text) if !text.is_empty() => Some((text, place)),
            Some(_) => None,
            None => {
                let message = format!("{} is not a text", field.shown());
                self.draft.problem(field.problem(message, "write one value"));
                None
            }
        }
    }

    /// A list of texts, each with its place.
    fn placed_texts(&mut self, at: &Cursor<'_>, key: &str) -> Vec<(String, Place)> {
        let Some(field) = at.get(key) else { return Vec::new() };
        if !field.is_list() {
            self.draft.problem(field.problem(format!("{} is not a list", field.shown()), "write a list"));
        }
        let items = field.items();
        let text =
            |item: &Cursor<'_>| Some((item.scalar()?.to_owned(), Place::new(item.file(), item.line())));
        items.iter().filter_map(text).collect()
    }

    /// Flags of a component: a mapping in v1beta3, a list of name and value in v1beta4.
    fn extra_args<'t>(&mut self, at: &Cursor<'t>, key: &str) -> Vec<(String, &'t str, Place)> {
        let Some(field) = at.get(key) else { return Vec::new() };
        let place = |at: &Cursor<'_>| Place::new(at.file(), at.line());
        let from_mapping = field
            .entries()
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.scalar()?, place(&value))));
        let from_list = field.items().into_iter().filter_map(|item| {
            let name = item.get("name")?.scalar()?.to_owned();
            let value = item.get("value")?;
            Some((name, value.scalar()?, place(&value)))
        });
        from_mapping.chain(from_list).collect()
    }
}

#[cfg(test)]
mod tests;
