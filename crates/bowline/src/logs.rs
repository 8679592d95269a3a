//! The log: one line for each event somebody may want to read, with values as fields.
//!
//! INFO is a change an operator cares about, WARN something unusual that works all the same, ERROR something a person must
//! see to. What happens all the time is DEBUG.

mod lines;
mod virtual_ips;

pub use lines::Flush;

use crate::events::{DaemonEvent, Event, Names};
use bowline_pool::{Event as PoolEvent, Grade};
use bowline_proxy::Event as ProxyEvent;
use lines::Lines;
use std::io::IsTerminal;
use tracing::{debug, error, info, warn};
use tracing_subscriber::EnvFilter;

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Names the environment variable that chooses what is logged, as `debug` or `bowline=debug`.
const FILTER: &str = "BOWLINE_LOG";

/// Starts logging to standard error; the first call of a process counts. Lines that still wait are written when what is
/// returned is dropped.
pub fn start(format: LogFormat) -> Flush {
    let Ok(lines) = Lines::start(std::io::stderr(), format) else { return Flush::new(None) };
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        // It would report them to standard error, whose loss is such an error, and end the process.
        .log_internal_errors(false);
    // An error says that somebody else has started it, which is as good.
    let _started = match format {
        LogFormat::Text => {
            builder.with_ansi(std::io::stderr().is_terminal()).with_writer(lines.clone()).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).with_writer(lines.clone()).try_init(),
    };
    Flush::new(Some(lines))
}

/// Writes `event`'s line.
pub fn write(event: &Event) {
    match event {
        Event::Pool { pool, event } => write_pool(pool, event),
        Event::Proxy { event, names } => write_proxy(event, names),
        Event::VirtualIp(event) => virtual_ips::write(event),
        Event::Daemon(event) => write_daemon(event),
    }
}

fn write_pool(pool: &str, event: &PoolEvent) {
    match event {
        PoolEvent::EndpointAdded { name, address, .. } => {
            info!(pool, endpoint = %name, %address, "endpoint added");
        }
        PoolEvent::EndpointRemoved { name, address, .. } => {
            info!(pool, endpoint = %name, %address, "endpoint removed");
        }
        PoolEvent::GradeChanged { name, address, from, to, reason, evidence, .. } => match to {
            Grade::Ready | Grade::Alive => {
                info!(pool, endpoint = %name, %address, %from, %to, %reason, evidence, "endpoint changed");
            }
            Grade::Draining | Grade::Dead => {
                warn!(pool, endpoint = %name, %address, %from, %to, %reason, evidence, "endpoint changed");
            }
        },
        PoolEvent::ReasonChanged { name, address, grade, reason, .. } => {
            info!(pool, endpoint = %name, %address, %grade, %reason, "endpoint has its grade for another reason");
        }
        PoolEvent::Suspected { name, address, reason, .. } => {
            info!(pool, endpoint = %name, %address, %reason, "endpoint suspected");
        }
        PoolEvent::Cleared { name, address, .. } => {
            info!(pool, endpoint = %name, %address, "suspicion not confirmed");
        }
        PoolEvent::ProbeFailedLocally { name, address, why, .. } => {
            warn!(pool, endpoint = %name, %address, error = %why, "this host cannot probe");
        }
        PoolEvent::ProbeLost { name, address, .. } => {
            error!(pool, endpoint = %name, %address, "a probe never ended; please report this bug");
        }
        PoolEvent::FailOpen => error!(pool, "every endpoint looks bad; all are tried"),
        PoolEvent::FailOpenEnded => info!(pool, "an endpoint takes new connections again"),
        PoolEvent::EndpointsLeftOut { count } => error!(pool, count, "endpoints left out, the pool is full"),
    }
}

fn write_proxy(event: &ProxyEvent, names: &Names) {
    match event {
        ProxyEvent::Ended { client, reason, bytes_up, bytes_down, lasted, .. } => {
            info!(
                listener = names.listener.map(tracing::field::display),
                pool = names.pool.as_deref(),
                endpoint = names.endpoint.as_deref(),
                %client,
                %reason,
                bytes_up,
                bytes_down,
                lasted = ?lasted,
                suppressed = names.suppressed,
                "connection ended abnormally"
            );
        }
        ProxyEvent::AcceptPaused { worker, why } => {
            error!(worker, %why, "no new connections are accepted for now");
        }
        ProxyEvent::AcceptResumed { worker, paused } => {
            info!(worker, paused = ?paused, "new connections are accepted again");
        }
        ProxyEvent::WorkerStuck { worker, silent } => {
            error!(worker, silent = ?silent, "a worker does not answer; its connections stand still");
        }
        ProxyEvent::WorkerBack { worker, silent } => {
            warn!(worker, silent = ?silent, "the worker answers again");
        }
    }
}

fn write_daemon(event: &DaemonEvent) {
    match event {
        DaemonEvent::Started { node, workers, nofile } => {
            info!(node, workers, nofile, version = env!("CARGO_PKG_VERSION"), "starting");
        }
        DaemonEvent::Listening { address, pool } => info!(%address, pool, "listening"),
        DaemonEvent::Retargeted { address, pool } => info!(%address, pool, "listener has another pool"),
        DaemonEvent::Closed { address } => info!(%address, "listener closed"),
        DaemonEvent::AdminListening { listen } => info!(listen, "admin listener is open"),
        DaemonEvent::AdminFailed { error } => error!(error, "admin listener cannot be served"),
        DaemonEvent::NoIpv6 { addresses } => {
            warn!(?addresses, "this host has no IPv6; clients reach the IPv4 loopback address only");
        }
        DaemonEvent::OpenFilesLimited { error } => warn!(error, "the limit of open files cannot be raised"),
        DaemonEvent::ConnectionsLimited { wanted, possible } => {
            info!(
                wanted,
                possible, "the limit of open files allows fewer connections; its hard limit decides"
            );
        }
        DaemonEvent::Probed { pool, endpoint, outcome } => {
            debug!(pool = &**pool, endpoint = &**endpoint, outcome = outcome.as_str(), "probed");
        }
        DaemonEvent::EvidenceDropped { pool } => debug!(pool = &**pool, "evidence dropped"),
        DaemonEvent::CredentialsChanged => info!("probe credentials have changed and are in use"),
        DaemonEvent::CredentialsRefused { problems } => {
            for problem in problems {
                error!(problem, "probe credentials have changed and cannot be used; the old ones stay");
            }
        }
        DaemonEvent::Reloaded { generation, steps } => info!(generation, steps, "reloaded"),
        DaemonEvent::Unchanged { generation } => info!(generation, "the description has not changed"),
        DaemonEvent::ReloadRefused { problems } => {
            for problem in problems {
                error!(problem, "reload refused; the old plan stays");
            }
        }
        DaemonEvent::NeedsRestart { field } => {
            warn!(field, "the changed field takes effect at the next start")
        }
        DaemonEvent::NotWatched { error } => {
            warn!(error, "the description's folder cannot be watched; send SIGHUP after a change");
        }
        DaemonEvent::HandingOver => info!("stopping: virtual IPs are handed over"),
        DaemonEvent::Draining { connections, grace } => {
            info!(connections, grace = ?grace, "stopping: no new connections");
        }
        DaemonEvent::Stopped { reset } => info!(reset, "stopped"),
    }
}
