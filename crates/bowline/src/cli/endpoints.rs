//! `bowline endpoints`: which URL each client is to use, and why no other.

use super::{ConfigArg, OutputArg, load};
use crate::documents::Endpoints;
use crate::failure::Failure;
use crate::output::{indented_table, print_as, table};
use bowline_plan::{Client, Loser};
use clap::Args;

/// Nodes with the same endpoint that a row names.
const NODES_NAMED: usize = 4;

#[derive(Debug, Args)]
pub(super) struct EndpointsArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    output: OutputArg,
    /// Only what clients on this node use
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

pub(super) fn endpoints(args: &EndpointsArgs) -> Result<(), Failure> {
    let cluster = load(&args.config.config)?;
    let mut clients = bowline_plan::endpoints(&cluster);
    if let Some(node) = &args.node {
        let found = bowline_plan::find_node(&cluster, Some(node), "", &|_| false)
            .map_err(|error| Failure::Input(vec![format!("{}: {error}", args.config.config.display())]))?;
        clients.retain(|client| client.node.as_deref().is_none_or(|name| name == found));
    }
    let document = Endpoints::new(clients);
    Ok(print_as(args.output.output, &document, || text(&document.clients))?)
}

/// The table of endpoints, and below it the rules that lost, once for all clients that they lost for alike.
fn text(clients: &[Client]) -> String {
    let groups = grouped(clients);
    let rows = groups.iter().map(|(client, nodes)| {
        let url = client.url.replace(',', "\n");
        [client.class.as_str().to_owned(), named(nodes), url, client.rule.as_str().to_owned()]
    });
    let mut text = table(["CLIENT", "NODE", "URL", "RULE"], rows);
    let mut shown: Vec<(&[Loser], Vec<&str>)> = Vec::new();
    for (client, _) in &groups {
        let class = client.class.as_str();
        match shown.iter_mut().find(|(lost, _)| *lost == client.lost.as_slice()) {
            Some((_, classes)) if classes.contains(&class) => {}
            Some((_, classes)) => classes.push(class),
            None => shown.push((&client.lost, vec![class])),
        }
    }
    for (lost, classes) in shown.iter().filter(|(lost, _)| !lost.is_empty()) {
        text.push_str(&format!("\nWhat lost for {}:\n", classes.join(", ")));
        let rows = lost.iter().map(|loser| {
            let url = loser.url.as_deref().unwrap_or("-").replace(',', "\n");
            [loser.rule.as_str().to_owned(), url, loser.why.clone()]
        });
        text.push_str(&indented_table(2, ["RULE", "URL", "WHY NOT"], rows));
    }
    text
}

/// Clients with everything in common but their node, in the order of the first of them.
fn grouped(clients: &[Client]) -> Vec<(&Client, Vec<&str>)> {
    let mut groups: Vec<(&Client, Vec<&str>)> = Vec::new();
    for client in clients {
        let is_alike = |other: &Client| {
            (other.class, &other.url, other.rule) == (client.class, &client.url, client.rule)
                && other.lost == client.lost
        };
        let node = client.node.as_deref();
        match groups.iter_mut().find(|(other, _)| is_alike(other)) {
            Some((_, nodes)) => nodes.extend(node),
            None => groups.push((client, node.into_iter().collect())),
        }
    }
    groups
}

fn named(nodes: &[&str]) -> String {
    let shown: Vec<&str> = nodes.iter().take(NODES_NAMED).copied().collect();
    match nodes.len().saturating_sub(NODES_NAMED) {
        0 if nodes.is_empty() => "any".to_owned(),
        0 => shown.join("\n"),
        more => format!("{}\n{more} more", shown.join("\n")),
    }
}
