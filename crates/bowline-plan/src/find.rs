//! Which node of the description this machine is.

use core::fmt;
use core::net::IpAddr;

use crate::cluster::{Cluster, Node};

/// How many nodes an error names before it says how many more there are.
const NODES_NAMED: usize = 20;

/// Why this machine's node is not known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FindNodeError {
    /// `--node` names no node of the description.
    Unknown {
        /// What was asked for.
        asked: String,
        /// The nodes there are.
        nodes: Vec<String>,
    },
    /// Neither the host name nor an own address is in the description.
    NotFound {
        /// The host name.
        host_name: String,
        /// The nodes there are.
        nodes: Vec<String>,
    },
    /// Two or more nodes match.
    Ambiguous {
        /// By what they match.
        by: Matched,
        /// Those that match.
        nodes: Vec<String>,
    },
}

/// How a node was recognised.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Matched {
    /// By the host name, which is this one.
    HostName(String),
    /// By an address of this machine.
    Address,
}

/// The name of this machine's node: the one `asked` for, else the one named like the host (with or without its domain),
/// else the one that has an own address.
///
/// # Errors
/// When there is no such node, or more than one.
pub fn find_node<'a>(
    cluster: &'a Cluster,
    asked: Option<&str>,
    host_name: &str,
    is_own: &dyn Fn(IpAddr) -> bool,
) -> Result<&'a str, FindNodeError> {
    let all = || cluster.nodes().iter().map(|node| node.name.clone()).collect();
    if let Some(asked) = asked {
        let found = cluster.nodes().iter().find(|node| node.name.eq_ignore_ascii_case(asked));
        return found
            .map(|node| node.name.as_str())
            .ok_or_else(|| FindNodeError::Unknown { asked: asked.to_owned(), nodes: all() });
    }
    let host = host_name.trim_end_matches('.');
    if let Some(node) = cluster.nodes().iter().find(|node| node.name.eq_ignore_ascii_case(host)) {
        return Ok(&node.name);
    }
    let by_short_name = matching(cluster, |node| is_short_match(&node.name, host));
    if let Some(found) = only(&by_short_name, || Matched::HostName(host_name.to_owned()))? {
        return Ok(found);
    }
    let by_address = matching(cluster, |node| own_addresses(node).any(is_own));
    only(&by_address, || Matched::Address)?
        .ok_or_else(|| FindNodeError::NotFound { host_name: host_name.to_owned(), nodes: all() })
}

fn matching(cluster: &Cluster, is_match: impl Fn(&Node) -> bool) -> Vec<&str> {
    cluster.nodes().iter().filter(|node| is_match(node)).map(|node| node.name.as_str()).collect()
}

fn only<'a>(found: &[&'a str], by: impl Fn() -> Matched) -> Result<Option<&'a str>, FindNodeError> {
    match found {
        [] => Ok(None),
        [node] => Ok(Some(node)),
        [..] => Err(FindNodeError::Ambiguous {
            by: by(),
            nodes: found.iter().map(|name| (*name).to_owned()).collect(),
        }),
    }
}

/// Whether one of the two is the other without its domain. Two names with different domains do not match.
fn is_short_match(node: &str, host: &str) -> bool {
    let first_label = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    (!node.contains('.') || !host.contains('.')) && !host.is_empty() && first_label(node) == first_label(host)
}

/// Addresses that may be on the machine itself; a public address usually is not.
fn own_addresses(node: &Node) -> impl Iterator<Item = IpAddr> {
    node.addresses.iter().copied().chain(node.access_address)
}

impl fmt::Display for FindNodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { asked, nodes } => {
                write!(f, "no node is named {asked}; use --node with one of: {}", List(nodes))
            }
            Self::NotFound { host_name, nodes } => write!(
                f,
                "neither the host name {host_name} nor an address of this machine is in the description; \
                 use --node with one of: {}",
                List(nodes)
            ),
            Self::Ambiguous { by: Matched::HostName(host_name), nodes } => {
                write!(
                    f,
                    "the host name {host_name} fits more than one node; use --node with one of: {}",
                    List(nodes)
                )
            }
            Self::Ambiguous { by: Matched::Address, nodes } => write!(
                f,
                "addresses of this machine belong to more than one node; use --node with one of: {}",
                List(nodes)
            ),
        }
    }
}

impl core::error::Error for FindNodeError {}

struct List<'a>(&'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named: Vec<&str> = self.0.iter().take(NODES_NAMED).map(String::as_str).collect();
        f.write_str(&named.join(", "))?;
        match self.0.len().checked_sub(NODES_NAMED) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
