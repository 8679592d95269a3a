//! From a plan's words to the pool's.

use bowline_plan::{BALANCERS, Balancing, Cidr, Policy as PlannedPolicy, PoolPlan};
use bowline_pool::{EndpointSpec, Policy, PoolSpec, Timers};
use bowline_proxy::{KeepAlive, Network, SourceLimits};
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
    PoolSpec { policy: policy(plan.policy), endpoints, probed: plan.probed, timers: timers(&plan.probe) }
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
    let (keep_alive, limits) = (&balancing.keep_alive, &balancing.limits);
    bowline_proxy::Config {
        workers,
        connections_max: usize::try_from(balancing.connections.get()).unwrap_or(usize::MAX),
        clients: clients(&limits.clients),
        sources: SourceLimits {
            connections_max: usize::try_from(limits.connections_per_client.get())
                .ok()
                .and_then(NonZeroUsize::new),
            per_second: Some(limits.new_connections_per_client),
            // Everybody on this machine has the same address.
            exempt: Network::LOOPBACK.to_vec(),
        },
        first_byte: limits.first_byte,
        unsent_max: usize::try_from(limits.unsent_mib.get()).unwrap_or(usize::MAX).saturating_mul(MIB),
        keep_alive: KeepAlive {
            idle: keep_alive.idle,
            interval: keep_alive.interval,
            count: keep_alive.probes.get(),
        },
        loopback_congestion: Some(balancing.loopback_congestion.clone()),
        seed,
    }
}

const MIB: usize = 1 << 20;

/// The networks that are served: those of the description and this machine's own, or all.
fn clients(given: &[Cidr]) -> Vec<Network> {
    if given.is_empty() {
        return Vec::new();
    }
    let given = given.iter().filter_map(|range| {
        let (network, prefix) = range.parts();
        Network::new(network, prefix)
    });
    given.chain(Network::LOOPBACK).collect()
}

/// Whether the endpoints of `pool` are told who the client is: this cluster's balancers relay it all and want to know nothing.
pub(super) fn introduces(balancing: &Balancing, pool: &str) -> bool {
    balancing.proxy_protocol && pool != BALANCERS
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

#[cfg(test)]
mod tests;
