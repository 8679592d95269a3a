//! `bowline plan`: what every node does, or what would change.

use super::{ConfigArg, OutputArg, load, status};
use crate::admin;
use crate::documents::{PlanDiff, PlanDocument};
use crate::failure::Failure;
use crate::output::{Format, indented_table, print_as};
use bowline_plan::{AdminListen, Cluster, HostsLine, NodePlan, Plan, PoolPlan, Step, VirtualRouter, diff};
use clap::Args;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

mod running;

#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    output: OutputArg,
    /// Only this node's part
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// Print the steps from the description in FILE to this one instead; without FILE, from what the daemon on this
    /// machine does
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    diff: Option<Option<PathBuf>>,
    /// Where that daemon is asked, instead of the description's admin.listen
    #[arg(long, value_name = "ADDR", value_parser = admin::parse_listen, requires = "diff")]
    admin: Option<AdminListen>,
}

pub(super) fn plan(args: &PlanArgs) -> Result<(), Failure> {
    let file = &args.config.config;
    let cluster = load(file)?;
    let new = planned(&cluster, file, args.node.as_deref())?;
    match &args.diff {
        None => print_plan(new, args.output.output),
        Some(None) => {
            let admin = args.admin.as_ref().unwrap_or(cluster.admin());
            let (old, new) = running::beside(&status::ask(admin)?, new);
            print_diff(&old, &new, args.output.output)
        }
        Some(Some(file)) => {
            let mut old = bowline_plan::plan(&load(file)?, 1);
            // A node that is new in the other description starts from nothing.
            retain(&mut old, args.node.as_deref());
            print_diff(&old, &new, args.output.output)
        }
    }
}

fn planned(cluster: &Cluster, file: &Path, node: Option<&str>) -> Result<Plan, Failure> {
    let mut plan = bowline_plan::plan(cluster, 1);
    if let Some(node) = node {
        let is_own = |_: IpAddr| false;
        let found = bowline_plan::find_node(cluster, Some(node), "", &is_own)
            .map_err(|error| Failure::Input(vec![format!("{}: {error}", file.display())]))?;
        retain(&mut plan, Some(found));
    }
    Ok(plan)
}

fn retain(plan: &mut Plan, node: Option<&str>) {
    if let Some(node) = node {
        plan.nodes.retain(|name, _| name.eq_ignore_ascii_case(node));
    }
}

fn print_plan(plan: Plan, format: Format) -> Result<(), Failure> {
    let document = PlanDocument::new(plan);
    Ok(print_as(format, &document, || text(&document.plan))?)
}

fn text(plan: &Plan) -> String {
    let mut text = String::new();
    for (name, node) in &plan.nodes {
        text.push_str(&node_text(name, node));
        text.push('\n');
    }
    for (what, names) in [("API server", &plan.sans.apiserver), ("etcd", &plan.sans.etcd)] {
        if !names.is_empty() {
            text.push_str(&format!("{what} certificates name:\n"));
            for name in names {
                text.push_str(&format!("  {name}\n"));
            }
        }
    }
    text
}

fn node_text(name: &str, node: &NodePlan) -> String {
    if node.listeners.is_empty() && node.virtual_routers.is_empty() && node.hosts.is_empty() {
        return format!("{name}: no listener\n");
    }
    let mut text = format!("{name}:\n");
    if !node.listeners.is_empty() {
        text.push_str(&listeners_text(node));
    }
    if !node.virtual_routers.is_empty() {
        let rows = node.virtual_routers.iter().map(|router| {
            [
                router.name.clone(),
                addresses(&router.addresses, "\n"),
                router.vrid.to_string(),
                router.priority.to_string(),
                router.rank.to_string(),
                router.interface.clone().unwrap_or_else(|| "by subnet".to_owned()),
            ]
        });
        let header = ["VIRTUAL IP", "ADDRESS", "VRID", "PRIORITY", "RANK", "INTERFACE"];
        text.push_str(&indented_table(2, header, rows));
    }
    if !node.hosts.is_empty() {
        let rows = node.hosts.iter().map(|line| [line.address.to_string(), line.names.join("\n")]);
        text.push_str(&indented_table(2, ["HOSTS", "NAMES"], rows));
    }
    text
}

fn listeners_text(node: &NodePlan) -> String {
    let rows = node.listeners.iter().map(|listener| {
        let pool = node.pools.get(&listener.pool);
        [
            SocketAddr::new(listener.address, listener.port).to_string(),
            listener.pool.clone(),
            pool.map(policy).unwrap_or_default(),
            pool.map(endpoints).unwrap_or_default(),
        ]
    });
    indented_table(2, ["LISTENER", "POOL", "POLICY", "ENDPOINTS, IN ORDER"], rows)
}

fn addresses(addresses: &[IpAddr], between: &str) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(between)
}

fn policy(pool: &PoolPlan) -> String {
    crate::daemon::policy_word(crate::daemon::pool_spec(pool).policy).to_owned()
}

fn endpoints(pool: &PoolPlan) -> String {
    let endpoints: Vec<String> = pool
        .endpoints
        .iter()
        .map(|endpoint| format!("{} {}", endpoint.name, SocketAddr::new(endpoint.address, endpoint.port)))
        .collect();
    endpoints.join("\n")
}

fn print_diff(old: &Plan, new: &Plan, format: Format) -> Result<(), Failure> {
    let nothing = NodePlan::default();
    let names = old.nodes.keys().chain(new.nodes.keys());
    let nodes: BTreeMap<String, Vec<String>> = names
        .map(|name| {
            let before = old.nodes.get(name).unwrap_or(&nothing);
            let after = new.nodes.get(name).unwrap_or(&nothing);
            let text = |step: &Step| format!("{}{}", step_text(step), remark(step, before));
            (name.clone(), diff(before, after).iter().map(text).collect::<Vec<_>>())
        })
        .filter(|(_, steps)| !steps.is_empty())
        .collect();
    let document = PlanDiff::new(nodes);
    Ok(print_as(format, &document, || diff_text(&document.nodes))?)
}

fn diff_text(nodes: &BTreeMap<String, Vec<String>>) -> String {
    if nodes.is_empty() {
        return "nothing changes\n".to_owned();
    }
    let mut text = String::new();
    for (name, steps) in nodes {
        text.push_str(&format!("{name}:\n"));
        for step in steps {
            text.push_str(&format!("  {step}\n"));
        }
    }
    text
}

fn step_text(step: &Step) -> String {
    match step {
        Step::AddPool { name, pool } => format!("add pool {name}: {}", pool_text(pool)),
        Step::ChangePool { name, pool } => format!("change pool {name}: {}", pool_text(pool)),
        Step::AddListener(listener) => {
            let address = SocketAddr::new(listener.address, listener.port);
            format!("add listener {address} for pool {}", listener.pool)
        }
        Step::RetargetListener(listener) => {
            let address = SocketAddr::new(listener.address, listener.port);
            format!("send new clients of listener {address} to pool {}", listener.pool)
        }
        Step::CloseListener { address, port } => {
            format!("close listener {}", SocketAddr::new(*address, *port))
        }
        Step::RemovePool { name } => format!("remove pool {name}"),
        Step::SetVirtualRouter(router) => format!("set virtual router {}", router_text(router)),
        Step::RemoveVirtualRouter { name } => format!("remove virtual router {name}"),
        Step::SetHosts(lines) => format!("say in the hosts file: {}", hosts_text(lines)),
    }
}

/// What a step means that does not show in what it makes.
fn remark(step: &Step, before: &NodePlan) -> String {
    let Step::SetVirtualRouter(router) = step else { return String::new() };
    let known = before.virtual_routers.iter().find(|known| known.name == router.name);
    // In version 2 all nodes have one interval, and one password.
    let speech = |router: &VirtualRouter| match router.version {
        2 => (2, Some((router.interval, router.password.clone()))),
        version => (version, None),
    };
    match known {
        Some(known) if known.vrid != router.vrid => {
            format!("; its VRID was {}, so that a holder hands over: reload the holder last", known.vrid)
        }
        Some(known) if speech(known) != speech(router) => {
            "; nodes with the former description do not understand it: reload the holder last".to_owned()
        }
        Some(_) | None => String::new(),
    }
}

fn pool_text(pool: &PoolPlan) -> String {
    format!("{}, {}", policy(pool), endpoints(pool).replace('\n', ", "))
}

fn router_text(router: &VirtualRouter) -> String {
    let VirtualRouter { name, vrid, priority, rank, .. } = router;
    format!("{name}: {}, VRID {vrid}, priority {priority}, rank {rank}", addresses(&router.addresses, " "))
}

fn hosts_text(lines: &[HostsLine]) -> String {
    let lines: Vec<String> =
        lines.iter().map(|line| format!("{} {}", line.address, line.names.join(" "))).collect();
    if lines.is_empty() { "nothing".to_owned() } else { lines.join(", ") }
}
