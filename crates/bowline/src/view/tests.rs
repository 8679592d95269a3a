use super::*;
use bowline_pool::{ConnectionCount, Endpoint, EndpointId, Policy, Snapshot, Timers};
use std::sync::Arc;

fn pool(endpoints: &[(Grade, Reason)]) -> PoolView {
    let endpoints: Vec<_> = endpoints
        .iter()
        .zip(1u8..)
        .map(|((grade, reason), number)| Endpoint {
            id: EndpointId(number.into()),
            name: format!("cp{number}").into(),
            address: ([192, 0, 2, number], 6443).into(),
            grade: *grade,
            reason: reason.clone(),
            connect_rtt: None,
            connections: ConnectionCount::default(),
        })
        .collect();
    PoolView {
        name: "api-servers".into(),
        evidence_ages: vec![None; endpoints.len()],
        snapshot: Arc::new(Snapshot {
            version: 1,
            policy: Policy::Preferred,
            timers: Timers::default(),
            endpoints,
        }),
    }
}

fn unready(uptime: Duration, draining: bool, endpoints: &[(Grade, Reason)]) -> Vec<String> {
    view(uptime, draining, endpoints).unready()
}

fn view(uptime: Duration, draining: bool, endpoints: &[(Grade, Reason)]) -> View {
    View {
        now: bowline_sansio::Instant::ORIGIN,
        virtual_ips: Vec::new(),
        node: "worker1".into(),
        generation: 1,
        uptime,
        draining,
        established: Duration::ZERO,
        reload_refused: None,
        listeners: Vec::new(),
        pools: vec![pool(endpoints)],
        stats: Stats::default(),
    }
}

const EARLY: Duration = Duration::from_millis(500);
const LATE: Duration = Duration::from_secs(2);

#[test]
fn a_daemon_waits_for_its_first_answers_but_not_for_ever() {
    let half = [(Grade::Ready, Reason::Ok), (Grade::Alive, Reason::NotProbed)];
    assert_eq!(
        unready(EARLY, false, &half),
        ["pool api-servers: 1 of 2 endpoints have not answered a probe yet"]
    );
    assert_eq!(unready(LATE, false, &half), [""; 0]);
    assert_eq!(unready(EARLY, false, &half[..1]), [""; 0]);
}

#[test]
fn a_daemon_without_a_usable_endpoint_or_on_its_way_out_is_not_ready() {
    let bad = [(Grade::Draining, Reason::NotReady(500)), (Grade::Dead, Reason::Refused)];
    assert_eq!(unready(LATE, false, &bad), ["pool api-servers: no endpoint is usable"]);
    assert_eq!(unready(LATE, false, &[]), ["pool api-servers: no endpoint is usable"]);
    let good = [(Grade::Alive, Reason::Unauthorized), (Grade::Dead, Reason::Refused)];
    assert_eq!(unready(LATE, false, &good), [""; 0]);
    assert_eq!(unready(LATE, true, &good), ["draining: the daemon is stopping"]);
}

#[test]
fn a_daemon_with_a_worker_that_does_not_answer_is_not_ready() {
    let mut view = view(LATE, false, &[(Grade::Ready, Reason::Ok)]);
    view.stats.workers_stuck = 1;
    assert_eq!(view.unready(), ["proxy: a worker does not answer"]);
    view.stats.workers_stuck = 2;
    assert_eq!(view.unready(), ["proxy: 2 workers do not answer"]);
}

#[test]
fn a_pool_fails_open_when_every_endpoint_looks_bad() {
    assert!(fails_open(&pool(&[(Grade::Dead, Reason::Refused), (Grade::Draining, Reason::NotReady(500))])));
    assert!(!fails_open(&pool(&[(Grade::Dead, Reason::Refused), (Grade::Alive, Reason::Unauthorized)])));
    assert!(!fails_open(&pool(&[])));
}
