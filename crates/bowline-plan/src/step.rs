//! From one plan of a node to the next, without a moment in which a client finds nothing.

use core::net::IpAddr;

use crate::plan::{HostsLine, Listener, NodePlan, PoolPlan, VirtualRouter};

/// One idempotent change to a running node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A pool that was not there.
    AddPool {
        /// Its name.
        name: String,
        /// What it is to be.
        pool: PoolPlan,
    },
    /// A pool that stays, with other endpoints, policy or timers; endpoints that stay keep their connections.
    ChangePool {
        /// Its name.
        name: String,
        /// What it is to become.
        pool: PoolPlan,
    },
    /// A listener that was not there.
    AddListener(Listener),
    /// A listener that stays and sends its next clients to another pool.
    RetargetListener(Listener),
    /// A listener that goes; its connections stay.
    CloseListener {
        /// Where it listened.
        address: IpAddr,
        /// Where it listened.
        port: u16,
    },
    /// A pool that goes; no listener leads to it any more.
    RemovePool {
        /// Its name.
        name: String,
    },
    /// A virtual router that was not there, or is to be otherwise.
    SetVirtualRouter(VirtualRouter),
    /// A virtual router that this node takes no part in any more.
    RemoveVirtualRouter {
        /// Its name.
        name: String,
    },
    /// What the hosts file has to say instead.
    SetHosts(Vec<HostsLine>),
}

/// The steps from `old` to `new`, in the order to take them: what is added comes before what needs it, and all that is
/// added before anything is removed.
pub fn diff(old: &NodePlan, new: &NodePlan) -> Vec<Step> {
    let mut steps = Vec::new();
    for (name, pool) in &new.pools {
        match old.pools.get(name) {
            None => steps.push(Step::AddPool { name: name.clone(), pool: pool.clone() }),
            Some(before) if before != pool => {
                steps.push(Step::ChangePool { name: name.clone(), pool: pool.clone() });
            }
            Some(_) => {}
        }
    }
    for listener in &new.listeners {
        match old.listener(listener.address, listener.port) {
            None => steps.push(Step::AddListener(listener.clone())),
            Some(before) if before.pool != listener.pool => {
                steps.push(Step::RetargetListener(listener.clone()));
            }
            Some(_) => {}
        }
    }
    // A virtual IP comes when its listener is there, and goes before its listener does.
    for router in &new.virtual_routers {
        if old.virtual_router(&router.name) != Some(router) {
            steps.push(Step::SetVirtualRouter(router.clone()));
        }
    }
    if old.hosts != new.hosts {
        steps.push(Step::SetHosts(new.hosts.clone()));
    }
    for router in old.virtual_routers.iter().filter(|router| new.virtual_router(&router.name).is_none()) {
        steps.push(Step::RemoveVirtualRouter { name: router.name.clone() });
    }
    for listener in &old.listeners {
        if new.listener(listener.address, listener.port).is_none() {
            steps.push(Step::CloseListener { address: listener.address, port: listener.port });
        }
    }
    for name in old.pools.keys().filter(|name| !new.pools.contains_key(*name)) {
        steps.push(Step::RemovePool { name: name.clone() });
    }
    steps
}

impl NodePlan {
    /// The listener at this address and port.
    pub fn listener(&self, address: IpAddr, port: u16) -> Option<&Listener> {
        self.listeners.iter().find(|listener| (listener.address, listener.port) == (address, port))
    }

    /// The virtual router of this name.
    pub fn virtual_router(&self, name: &str) -> Option<&VirtualRouter> {
        self.virtual_routers.iter().find(|router| router.name == name)
    }

    /// What this plan is after `step`; taking a step twice is the same as taking it once.
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::AddPool { name, pool } | Step::ChangePool { name, pool } => {
                self.pools.insert(name.clone(), pool.clone());
            }
            Step::AddListener(listener) | Step::RetargetListener(listener) => {
                self.close(listener.address, listener.port);
                self.listeners.push(listener.clone());
                self.listeners.sort();
            }
            Step::CloseListener { address, port } => self.close(*address, *port),
            Step::RemovePool { name } => {
                self.pools.remove(name);
            }
            Step::SetVirtualRouter(router) => {
                self.virtual_routers.retain(|other| other.name != router.name);
                self.virtual_routers.push(router.clone());
                self.virtual_routers.sort_by(|a, b| a.name.cmp(&b.name));
            }
            Step::RemoveVirtualRouter { name } => self.virtual_routers.retain(|other| other.name != *name),
            Step::SetHosts(lines) => self.hosts.clone_from(lines),
        }
    }

    fn close(&mut self, address: IpAddr, port: u16) {
        self.listeners.retain(|listener| (listener.address, listener.port) != (address, port));
    }
}

#[cfg(test)]
mod tests;
