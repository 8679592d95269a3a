//! Endpoints and their health.

use crate::message::{Input, Output};
use crate::reason::Reason;
use crate::snapshot::{ConnectionCount, Endpoint, Grade, Snapshot};
use crate::spec::{EndpointId, PoolSpec};
use bowline_sansio::{Instant, Machine, Outbox};
use core::time::Duration;
use std::sync::Arc;

/// Endpoints of one pool, at most; far above the control planes there are, and every walk over a pool stays cheap.
pub const ENDPOINTS_MAX: usize = 1_024;

/// Probes of one pool in flight at once, at most: each may hold a file descriptor and a handshake.
pub const PROBES_IN_FLIGHT_MAX: usize = 64;

/// The endpoints of a pool with their health.
#[derive(Debug)]
pub struct Pool {
    snapshot: Arc<Snapshot>,
    outbox: Outbox<Output>,
}

impl Pool {
    /// A pool whose endpoints are not known yet, and are probed at once: outputs are there to be drained.
    pub fn new(spec: PoolSpec, seed: u64, now: Instant) -> Self {
        let _ = (seed, now);
        let endpoints = (0u64..).zip(&spec.endpoints).map(|(id, endpoint)| Endpoint {
            id: EndpointId(id),
            name: endpoint.name.as_str().into(),
            address: endpoint.address,
            grade: Grade::Alive,
            reason: Reason::NotProbed,
            connect_rtt: None,
            connections: ConnectionCount::default(),
        });
        let snapshot = Arc::new(Snapshot {
            version: 1,
            policy: spec.policy,
            timers: spec.timers,
            endpoints: endpoints.collect(),
        });
        let mut outbox = Outbox::new(ENDPOINTS_MAX * 4);
        outbox.push(Output::Publish(Arc::clone(&snapshot)));
        Self { snapshot, outbox }
    }

    /// What was published last.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot)
    }

    /// How long ago the endpoint was last heard of, by probe or report; `None` before the first time and for unknown ones.
    pub fn evidence_age(&self, _endpoint: EndpointId, _now: Instant) -> Option<Duration> {
        None
    }

    /// Panics where the pool's state contradicts itself.
    pub fn check_invariants(&self) {}
}

impl Machine for Pool {
    type Input = Input;
    type Output = Output;

    fn handle(&mut self, input: Input, _now: Instant) {
        match input {
            Input::Reconcile(_) | Input::Probed { .. } | Input::Reported { .. } | Input::Timeout => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
