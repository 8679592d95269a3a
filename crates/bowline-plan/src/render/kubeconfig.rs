//! The server of a kubeconfig: a new file around it, or an existing one in which nothing else changes by a byte.

use core::ops::Range;

use super::{NotRendered, scalar};
use crate::cluster::Cluster;
use crate::problem::Problem;
use crate::source::{Tree, Value, read_foreign};

/// A kubeconfig with no user: whoever is to use it adds credentials.
pub fn new_kubeconfig(cluster: &Cluster, url: &str) -> String {
    let name = scalar(cluster.name());
    let authority = match &cluster.api_server().ca_file {
        Some(file) => format!("    certificate-authority: {}\n", scalar(file)),
        None => String::new(),
    };
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: {name}\n  cluster:\n    server: {}\n{authority}\
         contexts:\n- name: {name}\n  context:\n    cluster: {name}\n    user: {name}\ncurrent-context: {name}\n\
         users:\n- name: {name}\n  user: {{}}\n",
        scalar(url)
    )
}

/// A kubeconfig and the place of the server in it.
#[derive(Clone, Debug)]
pub struct Kubeconfig<'a> {
    file: &'a str,
    text: &'a str,
    server: String,
    cluster: Option<String>,
    /// Of the scalar in the text, quotes included.
    place: Range<usize>,
}

impl<'a> Kubeconfig<'a> {
    /// Finds the server of the cluster of this name; without a name, of the current context's cluster or of the only one.
    ///
    /// # Errors
    /// The file is no kubeconfig, the cluster is not in it, or its server is written in more than one line.
    pub fn read(file: &'a str, bytes: &'a [u8], cluster: Option<&str>) -> Result<Self, Problem> {
        let problem = |line, message: String, remedy: &str| Problem {
            file: file.to_owned(),
            line,
            column: None,
            path: String::new(),
            message,
            remedy: remedy.to_owned(),
        };
        let Ok(text) = core::str::from_utf8(bytes) else {
            return Err(problem(None, "not UTF-8 text".to_owned(), "is it the right file?"));
        };
        let document = document(file, text)?;
        let (name, server) = chosen(&document, cluster)
            .map_err(|error| problem(Some(document.at.line), error.message, &error.remedy))?;
        let Some((server, value)) = string(server).map(|value| (server, value)) else {
            return Err(problem(Some(server.at.line), "the server is no text".to_owned(), "write a URL"));
        };
        let Some(place) = place(text, server, value) else {
            let message = "the server is written in a way that is not replaced".to_owned();
            return Err(problem(Some(server.at.line), message, "write it as one plain or quoted URL"));
        };
        Ok(Self { file, text, server: value.to_owned(), cluster: name, place })
    }

    /// The server as it is.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The text with another server.
    ///
    /// # Errors
    /// The result would be read otherwise than it is meant.
    pub fn with_server(&self, url: &str) -> Result<String, Problem> {
        let before = self.text.get(..self.place.start).unwrap_or_default();
        let old = self.text.get(self.place.clone()).unwrap_or_default();
        let after = self.text.get(self.place.end..).unwrap_or_default();
        let quote = old.chars().next().filter(|first| matches!(first, '"' | '\''));
        let new = match quote {
            Some(quote) => format!("{quote}{url}{quote}"),
            // Brackets of an IPv6 address mean something to YAML, in some places.
            None if url.contains(['[', ']']) => format!("\"{url}\""),
            None => url.to_owned(),
        };
        let text = [before, &new, after].concat();
        let is_meant = Kubeconfig::read(self.file, text.as_bytes(), self.cluster.as_deref())
            .is_ok_and(|written| written.server == url && written.cluster == self.cluster);
        if is_meant {
            return Ok(text);
        }
        Err(Problem {
            file: self.file.to_owned(),
            line: None,
            column: None,
            path: String::new(),
            message: format!("the server cannot be replaced by {url} here"),
            remedy: "change it by hand, or with `kubectl config set-cluster`".to_owned(),
        })
    }
}

fn document(file: &str, text: &str) -> Result<Tree, Problem> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let foreign = read_foreign(file, body)?;
    if let Some(fault) = foreign.faults.into_iter().next() {
        return Err(fault);
    }
    foreign.documents.into_iter().next().ok_or_else(|| Problem {
        file: file.to_owned(),
        line: None,
        column: None,
        path: String::new(),
        message: "nothing is in it".to_owned(),
        remedy: "name a kubeconfig".to_owned(),
    })
}

/// The cluster's name, if it has one, and its server.
fn chosen<'t>(document: &'t Tree, asked: Option<&str>) -> Result<(Option<String>, &'t Tree), NotRendered> {
    let clusters = named(document, "clusters");
    let current = field(document, "current-context").and_then(string);
    let of_context = |context: &str| {
        let contexts = named(document, "contexts");
        let (_, found) = contexts.iter().find(|(name, _)| *name == context)?;
        string(field(field(found, "context")?, "cluster")?)
    };
    let wanted = asked.or_else(|| current.and_then(of_context));
    let found = match (wanted, clusters.as_slice()) {
        (Some(wanted), clusters) => clusters.iter().find(|(name, _)| *name == wanted),
        (None, [only]) => Some(only),
        (None, _) => None,
    };
    let names: Vec<&str> = clusters.iter().map(|(name, _)| *name).collect();
    let Some((name, entry)) = found else {
        return Err(match wanted {
            _ if names.is_empty() => NotRendered::new("no cluster is in it", "is it a kubeconfig?"),
            Some(wanted) => NotRendered::new(
                format!("no cluster is called {}", crate::source::excerpt(wanted)),
                format!("it has {}", names.join(", ")),
            ),
            None => NotRendered::new(
                "it has several clusters and no current context",
                format!("name one with --cluster: {}", names.join(", ")),
            ),
        });
    };
    let server = field(entry, "cluster").and_then(|cluster| field(cluster, "server"));
    server.map(|server| (Some((*name).to_owned()), server)).ok_or_else(|| {
        NotRendered::new(format!("the cluster {name} has no server"), "give it the line `server: URL`")
    })
}

fn named<'t>(document: &'t Tree, list: &str) -> Vec<(&'t str, &'t Tree)> {
    let items = match field(document, list).map(|tree| &tree.value) {
        Some(Value::Sequence(items)) => items.as_slice(),
        Some(Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::Tagged { .. } | Value::Mapping(_))
        | None => &[],
    };
    items.iter().filter_map(|item| Some((string(field(item, "name")?)?, item))).collect()
}

fn field<'t>(tree: &'t Tree, key: &str) -> Option<&'t Tree> {
    match &tree.value {
        Value::Mapping(entries) => entries.iter().find(|entry| &*entry.key == key).map(|entry| &entry.tree),
        Value::Null | Value::Plain(_) | Value::Quoted(_) | Value::Tagged { .. } | Value::Sequence(_) => None,
    }
}

fn string(tree: &Tree) -> Option<&str> {
    match &tree.value {
        Value::Plain(text) | Value::Quoted(text) => Some(text),
        Value::Null | Value::Tagged { .. } | Value::Sequence(_) | Value::Mapping(_) => None,
    }
}

/// Where the scalar with this value stands, if it stands there as it is.
fn place(text: &str, scalar: &Tree, value: &str) -> Option<Range<usize>> {
    let mark = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let body = text.get(mark..)?;
    let skipped = usize::try_from(scalar.at.line).ok()?.checked_sub(1)?;
    let line_start: usize = body.split_inclusive('\n').take(skipped).map(str::len).sum();
    let line = body.get(line_start..)?;
    let column = usize::try_from(scalar.at.column).ok()?.checked_sub(1)?;
    let (in_line, _) = line.char_indices().nth(column)?;
    let start = mark.checked_add(line_start)?.checked_add(in_line)?;
    let rest = text.get(start..)?;
    let length = match rest.chars().next()? {
        quote @ ('"' | '\'') => {
            rest.strip_prefix(quote)?.strip_prefix(value)?.strip_prefix(quote)?;
            value.len().checked_add(2)?
        }
        _ => {
            rest.strip_prefix(value)?;
            value.len()
        }
    };
    Some(start..start.checked_add(length)?)
}

#[cfg(test)]
mod tests;
