//! `bowline render`: what follows from the plan, in the words of whoever reads it.

use super::{CONFIG, ConfigArg, OutputArg, load, own_node};
use crate::documents::{DnsDocument, HostsDocument, SansDocument};
use crate::failure::Failure;
use crate::output::{print, print_as};
use bowline_plan::render::{self, Cloud, NotRendered};
use bowline_plan::{Cluster, Plan};
use clap::{Args, Subcommand, ValueEnum};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

mod kubeconfig;

#[derive(Debug, Args)]
pub(super) struct RenderArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Lines for the hosts files of nodes
    Hosts(ListArgs),
    /// Records for a DNS zone: where the names lead for whoever has no such line
    Dns(SansArgs),
    /// Names for the certificates of API servers and etcd members
    Sans(SansArgs),
    /// A kubeconfig, or another server in an existing one
    Kubeconfig(kubeconfig::KubeconfigArgs),
    /// Fields of kubeadm's configuration
    Kubeadm(NodeArgs),
    /// Kubespray's variables, of all nodes or of one
    Kubespray(NodeArgs),
    /// Commands for a cloud's balancer: targets and health check
    Cloud(CloudArgs),
    /// haproxy.cfg of a node, to the same effect
    Haproxy(NodeArgs),
    /// keepalived.conf of a node, to the same effect
    Keepalived(KeepalivedArgs),
    /// A unit for systemd
    Systemd(SystemdArgs),
    /// A static pod's manifest
    StaticPod(StaticPodArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    output: OutputArg,
}

#[derive(Debug, Args)]
struct SansArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    output: OutputArg,
}

#[derive(Debug, Args)]
struct NodeArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Which node's
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

#[derive(Debug, Args)]
struct CloudArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Whose balancer
    #[arg(long, value_enum)]
    provider: Provider,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Provider {
    /// OpenStack's
    Octavia,
    /// A Network Load Balancer of AWS
    Elb,
}

#[derive(Debug, Args)]
struct KeepalivedArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// The link of virtual IPs for which the description names none
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
}

#[derive(Debug, Args)]
struct SystemdArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    installed: InstalledArg,
    /// Where the program lies
    #[arg(long, value_name = "FILE", default_value = "/usr/local/bin/bowline", value_parser = parse_absolute)]
    binary: String,
}

#[derive(Debug, Args)]
struct InstalledArg {
    /// Where the description lies on the nodes
    #[arg(long, value_name = "FILE", default_value = CONFIG, value_parser = parse_absolute)]
    installed: String,
}

#[derive(Debug, Args)]
struct StaticPodArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    installed: InstalledArg,
    /// The container image with the program as its entry point
    #[arg(long, value_name = "IMAGE", default_value = concat!("bowline:", env!("CARGO_PKG_VERSION")))]
    image: String,
}

/// A path that means the same everywhere, and one word to whoever reads it.
fn parse_absolute(text: &str) -> Result<String, &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    match text.starts_with('/') && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("give an absolute path of letters, digits and /._-+@"),
    }
}

pub(super) fn render(args: &RenderArgs) -> Result<(), Failure> {
    match &args.what {
        What::Hosts(args) => hosts(args),
        What::Sans(args) => {
            let plan = planned(&args.config.config)?.1;
            let document = SansDocument::new(plan.sans);
            Ok(print_as(args.output.output, &document, || render::sans_text(&document.sans))?)
        }
        What::Dns(args) => {
            let config = &args.config.config;
            let records = render::dns(&load(config)?).map_err(|error| not_rendered(config, &error))?;
            let document = DnsDocument::new(records);
            Ok(print_as(args.output.output, &document, || render::dns_text(&document.records))?)
        }
        What::Kubeconfig(args) => kubeconfig::kubeconfig(args),
        What::Kubeadm(args) => shown(args, render::kubeadm),
        What::Kubespray(args) => shown(args, |cluster, plan, node| match node {
            None => render::kubespray(cluster, plan),
            Some(node) => render::kubespray_host(cluster, node),
        }),
        What::Cloud(args) => {
            let cluster = load(&args.config.config)?;
            let provider = match args.provider {
                Provider::Octavia => Cloud::Octavia,
                Provider::Elb => Cloud::Elb,
            };
            show(&args.config.config, render::cloud(&cluster, provider))
        }
        What::Haproxy(args) => of_node(args, render::haproxy),
        What::Keepalived(args) => of_node(&args.node, |cluster, plan, node| {
            render::keepalived(cluster, plan, node, args.interface.as_deref())
        }),
        What::Systemd(args) => shown(&args.node, |cluster, plan, node| {
            render::systemd(cluster, plan, node, &args.binary, &args.installed.installed)
        }),
        What::StaticPod(args) => shown(&args.node, |cluster, plan, node| {
            render::static_pod(cluster, plan, node, &args.image, &args.installed.installed)
        }),
    }
}

fn planned(config: &Path) -> Result<(Cluster, Plan), Failure> {
    let cluster = load(config)?;
    let plan = bowline_plan::plan(&cluster, 1);
    Ok((cluster, plan))
}

fn show(config: &Path, text: Result<String, NotRendered>) -> Result<(), Failure> {
    let text = text.map_err(|error| not_rendered(config, &error))?;
    Ok(print(&text)?)
}

fn not_rendered(config: &Path, error: &NotRendered) -> Failure {
    Failure::Input(vec![format!("{}: {error}", config.display())])
}

/// Prints what is the same for all nodes, or that of the node asked for.
fn shown(
    args: &NodeArgs,
    body: impl FnOnce(&Cluster, &Plan, Option<&str>) -> Result<String, NotRendered>,
) -> Result<(), Failure> {
    let config = &args.config.config;
    let (cluster, plan) = planned(config)?;
    let node = args.node.as_deref().map(|node| own_node(&cluster, config, Some(node))).transpose()?;
    show(config, body(&cluster, &plan, node.as_deref()))
}

/// Prints that of the node asked for, or of this machine.
fn of_node(
    args: &NodeArgs,
    body: impl FnOnce(&Cluster, &Plan, &str) -> Result<String, NotRendered>,
) -> Result<(), Failure> {
    let config = &args.config.config;
    let (cluster, plan) = planned(config)?;
    let node = own_node(&cluster, config, args.node.as_deref())?;
    show(config, body(&cluster, &plan, &node))
}

fn hosts(args: &ListArgs) -> Result<(), Failure> {
    let config: &PathBuf = &args.node.config.config;
    let (cluster, mut plan) = planned(config)?;
    if let Some(node) = &args.node.node {
        let node = own_node(&cluster, config, Some(node))?;
        plan.nodes.retain(|name, _| *name == node);
    }
    let nodes = plan.nodes.into_iter().map(|(name, node)| (name, node.hosts)).collect();
    let document = HostsDocument::new(nodes);
    Ok(print_as(args.output.output, &document, || hosts_text(&document))?)
}

/// Nodes with the same lines together, under their names where there are several such groups.
fn hosts_text(document: &HostsDocument) -> String {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, lines) in &document.nodes {
        groups.entry(render::hosts_file_lines(lines)).or_default().push(name);
    }
    let many = groups.len() > 1;
    let mut groups: Vec<(String, Vec<&str>)> = groups.into_iter().collect();
    groups.sort_by(|(_, one), (_, other)| one.cmp(other));
    let texts: Vec<String> = groups
        .into_iter()
        .map(|(lines, names)| if many { format!("# on {}\n{lines}", names.join(", ")) } else { lines })
        .collect();
    texts.concat()
}
