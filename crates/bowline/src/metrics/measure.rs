//! What a scrape reads from the daemon's state.

mod virtual_ips;

use super::Value;
use super::table::{
    ACCEPT_PAUSED, ACCEPT_PAUSES, BUILD, DRAINING, Definition, ENDPOINT_CONNECT, ENDPOINT_CONNECTIONS,
    ENDPOINT_EVIDENCE, ENDPOINT_GRADE, ENDPOINT_REASON, EVENTS_SUPPRESSED, FAILOVER, GENERATION,
    LISTENER_ACCEPTED, LISTENER_BYTES, LISTENER_CONNECTIONS, LISTENER_ENDED, LISTENER_REDIALLED, PARKED,
    PIPES, POOL_FAIL_OPEN, REPORTS_DROPPED, SOURCES, UNCOUNTED, UNSENT, UPTIME, WORKER_STALLS, WORKERS_STUCK,
};
use crate::daemon::PoolView;
use crate::failover;
use crate::view::{ListenerView, View, fails_open};
use bowline_pool::Grade;
use bowline_proxy::EndReason;

/// Shows a value under these labels.
type Show<'a> = &'a mut dyn FnMut(&'static Definition, Vec<String>, Value);

pub(super) fn measure(view: &View, show: Show<'_>) {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    show(BUILD, vec![version, view.node.clone()], Value::Whole(1));
    show(UPTIME, Vec::new(), Value::Real(view.uptime.as_secs_f64()));
    show(GENERATION, Vec::new(), Value::Whole(view.generation));
    show(DRAINING, Vec::new(), flag(view.draining));
    for pool in &view.pools {
        measure_pool(pool, show);
        let labels = vec![pool.name.to_string(), "established".to_owned()];
        show(FAILOVER, labels, Value::Real(view.established.as_secs_f64()));
    }
    for listener in &view.listeners {
        measure_listener(listener, show);
    }
    for virtual_ip in &view.virtual_ips {
        virtual_ips::measure(virtual_ip, show);
    }
    let stats = &view.stats;
    show(PARKED, Vec::new(), Value::Whole(stats.parked));
    show(ACCEPT_PAUSES, Vec::new(), Value::Whole(stats.accept_pauses));
    show(ACCEPT_PAUSED, Vec::new(), Value::Whole(stats.accept_paused));
    show(WORKERS_STUCK, Vec::new(), Value::Whole(stats.workers_stuck));
    show(WORKER_STALLS, Vec::new(), Value::Whole(stats.worker_stalls));
    show(UNSENT, Vec::new(), Value::Whole(stats.unsent));
    show(PIPES, Vec::new(), Value::Whole(stats.pipes));
    show(SOURCES, Vec::new(), Value::Whole(stats.sources));
    show(UNCOUNTED, Vec::new(), Value::Whole(stats.clients_uncounted));
    show(REPORTS_DROPPED, Vec::new(), Value::Whole(stats.reports_dropped));
    show(EVENTS_SUPPRESSED, Vec::new(), Value::Whole(stats.events_suppressed));
}

fn measure_pool(pool: &PoolView, show: Show<'_>) {
    let name = pool.name.to_string();
    show(POOL_FAIL_OPEN, vec![name.clone()], flag(fails_open(pool)));
    for (kind, bound) in failover::bounds(&pool.snapshot.timers) {
        show(FAILOVER, vec![name.clone(), kind.to_owned()], Value::Real(bound.as_secs_f64()));
    }
    for (endpoint, age) in pool.snapshot.endpoints.iter().zip(&pool.evidence_ages) {
        let labels = || vec![name.clone(), endpoint.name.to_string(), endpoint.address.to_string()];
        let with = |last: &str| [labels(), vec![last.to_owned()]].concat();
        for grade in Grade::ALL {
            show(ENDPOINT_GRADE, with(grade.as_str()), flag(endpoint.grade == grade));
        }
        show(ENDPOINT_REASON, with(endpoint.reason.as_str()), Value::Whole(1));
        show(ENDPOINT_CONNECTIONS, labels(), Value::Whole(endpoint.connections.get().into()));
        if let Some(rtt) = endpoint.connect_rtt {
            show(ENDPOINT_CONNECT, labels(), Value::Real(rtt.as_secs_f64()));
        }
        if let Some(age) = age {
            show(ENDPOINT_EVIDENCE, labels(), Value::Real(age.as_secs_f64()));
        }
    }
}

fn measure_listener(listener: &ListenerView, show: Show<'_>) {
    let stats = &listener.stats;
    let labels = || vec![listener.address.to_string(), listener.pool.clone()];
    let with = |last: &str| [labels(), vec![last.to_owned()]].concat();
    show(LISTENER_ACCEPTED, labels(), Value::Whole(stats.accepted));
    show(LISTENER_CONNECTIONS, with("held"), Value::Whole(stats.held));
    show(LISTENER_CONNECTIONS, with("open"), Value::Whole(stats.open));
    show(LISTENER_REDIALLED, labels(), Value::Whole(stats.redialled));
    show(LISTENER_BYTES, with("up"), Value::Whole(stats.bytes_up));
    show(LISTENER_BYTES, with("down"), Value::Whole(stats.bytes_down));
    for reason in EndReason::ALL {
        show(LISTENER_ENDED, with(reason.as_str()), Value::Whole(stats.ended(reason)));
    }
}

const fn flag(on: bool) -> Value {
    Value::Whole(if on { 1 } else { 0 })
}
