//! `bowline status`: what the daemon on this machine is doing.

use super::{ConfigArg, OutputArg, load};
use crate::admin;
use crate::client::{self, AskError};
use crate::documents::{Status, VirtualIpStatus};
use crate::failure::Failure;
use crate::output::{WIDTH, print_as, table, wrapped};
use bowline_plan::AdminListen;
use clap::Args;
use std::net::SocketAddr;
use std::time::Duration;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    output: OutputArg,
    /// Where the daemon is asked, instead of the description's admin.listen
    #[arg(long, value_name = "ADDR", value_parser = admin::parse_listen)]
    admin: Option<AdminListen>,
}

pub(super) fn status(args: &StatusArgs) -> Result<(), Failure> {
    let admin = match &args.admin {
        Some(admin) => admin.clone(),
        None => load(&args.config.config).map_err(with_hint)?.admin().clone(),
    };
    let status = ask(&admin)?;
    Ok(print_as(args.output.output, &status, || text(&status))?)
}

/// What the daemon says of itself.
pub(super) fn ask(admin: &AdminListen) -> Result<Status, Failure> {
    let body = client::get(admin, "/status").map_err(|error| Failure::RunTime(vec![error.to_string()]))?;
    serde_json::from_slice(&body).map_err(|error| {
        let error = AskError::Answer { admin: admin.to_string(), message: error.to_string() };
        Failure::RunTime(vec![error.to_string()])
    })
}

/// A description is read for the daemon's address alone, which can be given without one.
fn with_hint(failure: Failure) -> Failure {
    match failure {
        Failure::Input(mut lines) => {
            lines.push("without a description, give the daemon's address with --admin ADDR".to_owned());
            Failure::Input(lines)
        }
        Failure::Denied | Failure::RunTime(_) => failure,
    }
}

/// The status as a page for people.
fn text(status: &Status) -> String {
    let mut text = format!(
        "node {}, version {}, plan {}, up {}{}\n",
        status.node,
        status.version,
        status.generation,
        duration(status.uptime_ms),
        if status.draining { ", stopping" } else { "" }
    );
    for problem in status.reload_refused.iter().flatten() {
        text.push_str(&format!("reload refused: {problem}\n"));
    }
    text.push_str(&virtual_ips(status));
    text.push('\n');
    if status.listeners.is_empty() {
        text.push_str("no listener\n");
    }
    let listeners = status.listeners.iter().map(|listener| {
        let address = SocketAddr::new(listener.address, listener.port).to_string();
        [address, listener.pool.clone(), listener.connections.to_string()]
    });
    if !status.listeners.is_empty() {
        text.push_str(&table(["LISTENER", "POOL", "CONNECTIONS"], listeners));
    }
    for pool in &status.pools {
        let open = if pool.fail_open { ", every endpoint looks bad: all are tried" } else { "" };
        text.push_str(&format!("\npool {}, {}{open}\n", pool.name, pool.policy));
        let endpoints =
            status.endpoints.iter().filter(|endpoint| endpoint.pool == pool.name).map(|endpoint| {
                [
                    endpoint.name.clone(),
                    endpoint.address.clone(),
                    endpoint.grade.clone(),
                    endpoint.connections.to_string(),
                    endpoint.evidence_age_ms.map_or_else(|| "-".to_owned(), duration),
                    endpoint.reason.clone(),
                ]
            });
        text.push_str(&table(["ENDPOINT", "ADDRESS", "GRADE", "CONNS", "SEEN", "REASON"], endpoints));
    }
    text
}

/// Who holds what, since when and why, and who was heard: a heading and a row for each virtual router.
fn virtual_ips(status: &Status) -> String {
    let mut text = String::new();
    let mut rest = status.virtual_ips.as_slice();
    while let Some(first) = rest.first() {
        // An entry for each address; all of them stand as their router does.
        let count = rest.iter().take_while(|ip| ip.name == first.name).count();
        let (of_router, others) = rest.split_at(count);
        rest = others;
        let addresses: Vec<String> = of_router.iter().map(|ip| ip.address.to_string()).collect();
        let heading = format!("virtual IP {}, {} on {}", first.name, addresses.join(", "), first.interface);
        text.push_str(&format!("\n{}\n", wrapped(&heading, usize::from(WIDTH)).join("\n  ")));
        let header = ["STATE", "FOR", "REASON", "HOLDER", "PRIO", "HEARD"];
        text.push_str(&table(header, [virtual_ip_row(status, first)]));
    }
    text
}

fn virtual_ip_row(status: &Status, ip: &VirtualIpStatus) -> [String; 6] {
    let since = ip.since.map(|since| status.uptime_ms.saturating_sub(since));
    let heard = ip.heard_from.as_ref().zip(ip.heard_ms_ago);
    [
        ip.fault.as_ref().map_or_else(|| ip.state.clone(), |fault| format!("{}: {fault}", ip.state)),
        since.map_or_else(|| "-".to_owned(), duration),
        ip.reason.clone(),
        ip.holder.clone().unwrap_or_else(|| "-".to_owned()),
        ip.priority.to_string(),
        heard.map_or_else(|| "-".to_owned(), |(source, ago)| format!("{source} {} ago", duration(ago))),
    ]
}

/// `350ms`, `12s`, `5m12s`, `3h5m`, `12d3h`: two units at most.
fn duration(milliseconds: u64) -> String {
    let seconds = Duration::from_millis(milliseconds).as_secs();
    match seconds {
        0 => format!("{milliseconds}ms"),
        1..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{}m", seconds / 3_600, seconds % 3_600 / 60),
        86_400.. => format!("{}d{}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

#[cfg(test)]
mod tests;
