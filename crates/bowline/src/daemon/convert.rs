//! From a plan's words to the pool's.

use bowline_plan::{Balancing, Policy as PlannedPolicy, PoolPlan};
use bowline_pool::{EndpointSpec, Policy, PoolSpec, Timers};
use bowline_proxy::{KeepAlive, SourceLimits};
use std::net::SocketAddr;
use std::num::NonZeroUsize;

/// The pool that `plan` asks for.
pub(crate) fn pool_spec(plan: &PoolPlan) -> PoolSpec {
    let endpoints = plan
        .endpoints
        .iter()
        .map(|endpoint| EndpointSpec {
            name: endpoint.name.clone(),
            address: SocketAddr::new(endpoint.address, endpoint.port),
        })
        .collect();
    PoolSpec { policy: policy(plan.policy), endpoints, timers: timers(&plan.probe) }
}

const fn policy(planned: PlannedPolicy) -> Policy {
    match planned {
        PlannedPolicy::LeastConnections => Policy::LeastConnections,
        PlannedPolicy::RoundRobin => Policy::RoundRobin,
        PlannedPolicy::RandomOfTwo => Policy::RandomOfTwo,
        PlannedPolicy::Preferred => Policy::Preferred,
        PlannedPolicy::Sticky => Policy::Sticky,
    }
}

/// How the proxy works by a description's limits.
pub(super) fn proxy_config(balancing: &Balancing, workers: NonZeroUsize, seed: u64) -> bowline_proxy::Config {
    let keep_alive = &balancing.keep_alive;
    bowline_proxy::Config {
        workers,
        connections_max: usize::try_from(balancing.connections.get()).unwrap_or(usize::MAX),
        clients: Vec::new(),
        sources: SourceLimits::default(),
        first_byte: None,
        unsent_max: bowline_proxy::Config::UNSENT_MAX,
        keep_alive: KeepAlive {
            idle: keep_alive.idle,
            interval: keep_alive.interval,
            count: keep_alive.probes.get(),
        },
        loopback_congestion: None,
        seed,
    }
}

/// The word of `policy` in a description.
pub(crate) const fn policy_word(policy: Policy) -> &'static str {
    match policy {
        Policy::LeastConnections => "least-connections",
        Policy::RoundRobin => "round-robin",
        Policy::RandomOfTwo => "random-of-two",
        Policy::Preferred => "preferred",
        Policy::Sticky => "sticky",
    }
}

const fn timers(probe: &bowline_plan::Probe) -> Timers {
    Timers {
        probe_interval: probe.interval,
        probe_interval_fast: probe.fast_interval,
        probe_timeout: probe.timeout,
        probe_timeout_handshake: probe.handshake_timeout,
        fall: probe.fall,
        rise: probe.rise,
        first_flight: probe.first_flight,
        stagger_min: probe.stagger_min,
        stagger_max: probe.stagger_max,
        hold: probe.hold,
    }
}
