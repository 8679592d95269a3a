//! What a running daemon does, as far as its status tells, in the form of a plan that another can be held against.

use crate::documents::{EndpointStatus, Status};
use bowline_plan::{Listener, NodePlan, Plan, Policy, PoolEndpoint, PoolPlan, Probe, ProbeTarget, Role};
use std::net::SocketAddr;
use std::time::Duration;

/// A pool that is not in the new plan goes, whatever its timers were.
static GOING: PoolPlan = PoolPlan {
    policy: Policy::Preferred,
    role: Role::NodeLocal,
    endpoints: Vec::new(),
    probed: 0,
    probe: Probe {
        target: ProbeTarget::ApiServer,
        interval: Duration::ZERO,
        fast_interval: Duration::ZERO,
        timeout: Duration::ZERO,
        handshake_timeout: Duration::ZERO,
        fall: 0,
        rise: 0,
        first_flight: Duration::ZERO,
        stagger_min: Duration::ZERO,
        stagger_max: Duration::ZERO,
        hold: Duration::ZERO,
    },
};

/// The running node's plan. What a status does not say (timers, the hosts file) is taken from `new`, the plan to be held
/// against it: it is no difference.
pub(super) fn running(status: &Status, new: &NodePlan) -> NodePlan {
    let pools = status.pools.iter().map(|pool| {
        let like = new.pools.get(&pool.name).unwrap_or(&GOING);
        let own = status.endpoints.iter().filter(|endpoint| endpoint.pool == pool.name);
        let endpoints: Vec<PoolEndpoint> = own.filter_map(endpoint).collect();
        let policy = Policy::from_name(&pool.policy).unwrap_or(like.policy);
        (pool.name.clone(), PoolPlan { policy, endpoints, ..like.clone() })
    });
    let mut listeners: Vec<Listener> = status
        .listeners
        .iter()
        .map(|listener| Listener {
            address: listener.address,
            port: listener.port,
            pool: listener.pool.clone(),
        })
        .collect();
    listeners.sort();
    let held = |name: &str| status.virtual_ips.iter().any(|vip| vip.name == name);
    let virtual_routers = new.virtual_routers.iter().filter(|router| held(&router.name)).cloned().collect();
    NodePlan { listeners, pools: pools.collect(), virtual_routers, hosts: new.hosts.clone() }
}

fn endpoint(status: &EndpointStatus) -> Option<PoolEndpoint> {
    let address: SocketAddr = status.address.parse().ok()?;
    Some(PoolEndpoint { name: status.name.clone(), address: address.ip(), port: address.port() })
}

/// `new` and what runs, both for the daemon's node alone.
pub(super) fn beside(status: &Status, mut new: Plan) -> (Plan, Plan) {
    new.nodes.retain(|name, _| *name == status.node);
    let planned = new.nodes.get(&status.node).cloned().unwrap_or_default();
    let mut old = new.clone();
    old.nodes.insert(status.node.clone(), running(status, &planned));
    (old, new)
}
