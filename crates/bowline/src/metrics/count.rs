//! Which counters an event moves. Every event is listed, so that a new one cannot go uncounted by mistake.

use super::table::{
    CLEARED, CREDENTIALS, Definition, ENDPOINTS_LEFT_OUT, EVIDENCE_DROPPED, FAIL_OPENS, GRADE_CHANGES,
    PROBES, PROBES_LOST, RELOADS, SUSPICIONS,
};
use crate::events::{DaemonEvent, Event};
use bowline_pool::Event as PoolEvent;
use bowline_proxy::Event as ProxyEvent;

/// Adds one to a counter under these labels.
type Increment<'a> = &'a mut dyn FnMut(&'static Definition, Vec<String>);

pub(super) fn count(event: &Event, increment: Increment<'_>) {
    match event {
        Event::Pool { pool, event } => count_pool(pool, event, increment),
        Event::Proxy { event, names: _ } => match event {
            // The workers count these themselves; see `measure`.
            ProxyEvent::Ended { .. }
            | ProxyEvent::AcceptPaused { .. }
            | ProxyEvent::AcceptResumed { .. }
            | ProxyEvent::WorkerStuck { .. }
            | ProxyEvent::WorkerBack { .. } => {}
        },
        // What moves their counters, they count themselves; see `measure`.
        Event::VirtualIp(_) => {}
        Event::Daemon(event) => count_daemon(event, increment),
    }
}

fn count_pool(pool: &str, event: &PoolEvent, increment: Increment<'_>) {
    let pool = pool.to_owned();
    match event {
        PoolEvent::GradeChanged { name, from, to, reason, .. } => {
            let labels =
                vec![pool, name.to_string(), from.to_string(), to.to_string(), reason.as_str().to_owned()];
            increment(GRADE_CHANGES, labels);
        }
        PoolEvent::Suspected { name, reason, .. } => {
            increment(SUSPICIONS, vec![pool, name.to_string(), reason.as_str().to_owned()]);
        }
        PoolEvent::Cleared { name, .. } => increment(CLEARED, vec![pool, name.to_string()]),
        PoolEvent::ProbeLost { name, .. } => increment(PROBES_LOST, vec![pool, name.to_string()]),
        PoolEvent::FailOpen => increment(FAIL_OPENS, vec![pool]),
        PoolEvent::EndpointsLeftOut { count: _ } => increment(ENDPOINTS_LEFT_OUT, vec![pool]),
        // State that `measure` reads, or an outcome that `PROBES` has counted.
        PoolEvent::EndpointAdded { .. }
        | PoolEvent::EndpointRemoved { .. }
        | PoolEvent::ReasonChanged { .. }
        | PoolEvent::ProbeFailedLocally { .. }
        | PoolEvent::FailOpenEnded => {}
    }
}

fn count_daemon(event: &DaemonEvent, increment: Increment<'_>) {
    match event {
        DaemonEvent::Probed { pool, endpoint, outcome } => {
            increment(PROBES, vec![pool.to_string(), endpoint.to_string(), outcome.as_str().to_owned()]);
        }
        DaemonEvent::EvidenceDropped { pool } => increment(EVIDENCE_DROPPED, vec![pool.to_string()]),
        DaemonEvent::CredentialsChanged => increment(CREDENTIALS, vec!["applied".to_owned()]),
        DaemonEvent::CredentialsRefused { .. } => increment(CREDENTIALS, vec!["refused".to_owned()]),
        DaemonEvent::Reloaded { .. } => increment(RELOADS, vec!["applied".to_owned()]),
        DaemonEvent::ReloadRefused { .. } => increment(RELOADS, vec!["refused".to_owned()]),
        // Once in a daemon's life, or state that `measure` reads.
        DaemonEvent::Started { .. }
        | DaemonEvent::Listening { .. }
        | DaemonEvent::Retargeted { .. }
        | DaemonEvent::Closed { .. }
        | DaemonEvent::AdminListening { .. }
        | DaemonEvent::AdminFailed { .. }
        | DaemonEvent::NoIpv6 { .. }
        | DaemonEvent::OpenFilesLimited { .. }
        | DaemonEvent::ConnectionsLimited { .. }
        | DaemonEvent::Unchanged { .. }
        | DaemonEvent::NeedsRestart { .. }
        | DaemonEvent::NotWatched { .. }
        | DaemonEvent::HandingOver
        | DaemonEvent::Draining { .. }
        | DaemonEvent::Stopped { .. } => {}
    }
}
