//! Putting a plan in force, the first one and every later one.
//!
//! Whatever can fail is done first and can be undone; what cannot fail comes after. So a plan is in force as a whole or not
//! at all.

use super::listeners::Opened;
use super::part::{self, Digest, Part};
use super::{Daemon, convert, driver, seed};
use crate::admin::{self, Admin, Bound};
use crate::events::DaemonEvent;
use bowline_plan::{Balancing, Listener, PoolPlan, Step, diff};
use bowline_proxy::PoolId;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Why a reload is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Why {
    /// The file may have changed.
    Changed,
    /// Somebody asked for it by a signal.
    Asked,
}

/// What was added and is to be taken back when something fails.
#[derive(Debug, Default)]
struct Added {
    pools: Vec<String>,
    listeners: Vec<(SocketAddr, String)>,
    no_ipv6: Vec<IpAddr>,
    admin: Option<Bound>,
}

impl Daemon {
    /// Reads the description again, and puts it in force if it is good and new.
    pub(super) async fn reload(&mut self, why: Why) {
        // Its virtual IPs are being given away, and new ones would come beside them.
        if self.is_stopping() {
            return;
        }
        match self.try_reload(why).await {
            Ok(None) => {}
            Ok(Some(steps)) => {
                self.reload_refused = None;
                self.observer.daemon(DaemonEvent::Reloaded { generation: self.part.generation, steps });
            }
            Err(problems) => {
                self.reload_refused = Some(problems.clone());
                self.observer.daemon(DaemonEvent::ReloadRefused { problems });
            }
        }
    }

    async fn try_reload(&mut self, why: Why) -> Result<Option<usize>, Vec<String>> {
        let bytes = part::read(&self.options.config).map_err(|problem| vec![problem])?;
        let digest = Digest::of(&bytes);
        match why {
            Why::Changed if digest == self.seen => return Ok(None),
            Why::Changed | Why::Asked => self.seen = digest,
        }
        if digest == self.part.digest {
            // What is in force already: also after a bad file in between.
            self.reload_refused = None;
            // What it means on this host may be something else by now.
            self.virtual_ips.apply(&self.part.plan, &self.proxy, &self.observer).await?;
            self.virtual_ips.track(&self.part.plan, &self.pools);
            self.observer.daemon(DaemonEvent::Unchanged { generation: self.part.generation });
            return Ok(None);
        }
        // A large description takes longer to read than a probe may wait, so that it is read beside the runtime. The node
        // stays the one it is: host names and addresses may change under a daemon, its part must not.
        let mut options = self.options.clone();
        options.node = Some(self.part.node.clone());
        let generation = self.part.generation.saturating_add(1);
        let part = tokio::task::spawn_blocking(move || part::prepare(&options, &bytes, generation))
            .await
            .map_err(|error| vec![format!("the description could not be read: {error}")])??;
        let balancing = part.cluster.balancing().clone();
        let steps = self.apply(part).await?;
        self.part.generation = generation;
        self.apply_balancing(&balancing);
        Ok(Some(steps))
    }

    /// Puts in force what a running proxy can take, and says what it cannot.
    fn apply_balancing(&mut self, new: &Balancing) {
        let old = &mut self.part.balancing;
        let fixed = [
            (new.connections == old.connections, "spec.balancing.connections"),
            (new.keep_alive == old.keep_alive, "spec.balancing.keepAlive"),
            (new.limits == old.limits, "spec.balancing.limits"),
            (new.loopback_congestion == old.loopback_congestion, "spec.balancing.loopbackCongestion"),
        ];
        for (_, field) in fixed.into_iter().filter(|(unchanged, _)| !unchanged) {
            self.observer.daemon(DaemonEvent::NeedsRestart { field });
        }
        old.drain_grace = new.drain_grace;
        old.proxy_protocol = new.proxy_protocol;
        for (name, handle) in &self.pools {
            self.proxy.introduce(handle.id, convert::introduces(new, name));
        }
    }

    /// Takes every step from the plan in force to that of `part`, and says how many, or what keeps all of them from being
    /// taken.
    pub(super) async fn apply(&mut self, part: Part) -> Result<usize, Vec<String>> {
        let steps = diff(&self.part.plan, &part.plan);
        // Probes of pools that are added use the new files at once; the old ones come back with the old plan.
        let credentials = self.credentials.send_replace(Arc::clone(&part.credentials));
        let added = match self.add(&steps, &part) {
            Ok(added) => added,
            Err(problems) => {
                self.credentials.send_replace(credentials);
                return Err(problems);
            }
        };
        if let Err(problems) = self.virtual_ips.apply(&part.plan, &self.proxy, &self.observer).await {
            self.credentials.send_replace(credentials);
            self.take_back(added);
            return Err(problems);
        }
        self.announce(added);
        for step in &steps {
            self.change(step).await;
        }
        self.part.plan = part.plan;
        self.part.digest = part.digest;
        self.virtual_ips.track(&self.part.plan, &self.pools);
        Ok(steps.len())
    }

    /// Adds what the steps add; takes all of it back when a part of it fails.
    fn add(&mut self, steps: &[Step], part: &Part) -> Result<Added, Vec<String>> {
        let mut added = Added::default();
        let mut problems = Vec::new();
        for step in steps {
            match step {
                Step::AddPool { name, pool } => {
                    self.add_pool(name, pool, part.cluster.balancing());
                    added.pools.push(name.clone());
                }
                Step::AddListener(listener) => {
                    let is_virtual = part.plan.is_virtual(listener.address);
                    self.add_listener(listener, is_virtual, &mut added, &mut problems);
                }
                Step::ChangePool { .. }
                | Step::RetargetListener(_)
                | Step::CloseListener { .. }
                | Step::RemovePool { .. }
                | Step::SetVirtualRouter(_)
                | Step::RemoveVirtualRouter { .. }
                | Step::SetHosts(_) => {}
            }
        }
        if self.admin.as_ref().map(Admin::listen) != Some(&part.admin) {
            match admin::bind(&part.admin) {
                Ok(bound) => added.admin = Some(bound),
                Err(error) => problems.push(error.to_string()),
            }
        }
        if problems.is_empty() {
            return Ok(added);
        }
        self.take_back(added);
        Err(problems)
    }

    fn take_back(&mut self, added: Added) {
        for (address, _pool) in added.listeners {
            self.listeners.close(&self.proxy, address);
        }
        for name in added.pools {
            self.pools.remove(&name);
        }
    }

    fn add_pool(&mut self, name: &str, plan: &PoolPlan, balancing: &Balancing) {
        let id = PoolId(self.next_pool);
        self.proxy.introduce(id, convert::introduces(balancing, name));
        self.next_pool = self.next_pool.saturating_add(1);
        let shared = driver::Shared {
            clock: super::Clock,
            observer: Arc::clone(&self.observer),
            proxy: Arc::clone(&self.proxy),
            credentials: self.credentials.subscribe(),
        };
        let handle = driver::Handle::start(shared, id, name.into(), convert::pool_spec(plan), seed());
        self.pools.insert(name.to_owned(), handle);
    }

    fn add_listener(
        &mut self,
        listener: &Listener,
        is_virtual: bool,
        added: &mut Added,
        problems: &mut Vec<String>,
    ) {
        let Some(pool) = self.pools.get(&listener.pool) else {
            problems.push(format!("listener {}: no pool {}", listener.address, listener.pool));
            return;
        };
        match self.listeners.open(&self.proxy, listener, is_virtual, pool.id) {
            Ok(Opened::Listening) => {
                let address = SocketAddr::new(listener.address, listener.port);
                added.listeners.push((address, listener.pool.clone()));
            }
            Ok(Opened::NoIpv6) => added.no_ipv6.push(listener.address),
            Err(error) => problems.push(error.to_string()),
        }
    }

    fn announce(&mut self, added: Added) {
        for (address, pool) in added.listeners {
            self.observer.daemon(DaemonEvent::Listening { address, pool });
        }
        if !added.no_ipv6.is_empty() {
            self.observer.daemon(DaemonEvent::NoIpv6 { addresses: added.no_ipv6 });
        }
        let Some(bound) = added.admin else { return };
        match bound.serve(Arc::clone(&self.observer), self.ask.clone()) {
            Ok(admin) => {
                self.observer.daemon(DaemonEvent::AdminListening { listen: admin.listen().to_string() });
                self.admin = Some(admin);
            }
            Err(error) => self.observer.daemon(DaemonEvent::AdminFailed { error: error.to_string() }),
        }
    }

    /// Takes a step that cannot fail; those that add were taken before.
    async fn change(&mut self, step: &Step) {
        match step {
            Step::AddPool { .. } | Step::AddListener(_) => {}
            // Virtual routers are changed all at once and can fail, so that they were; the hosts file is not ours yet.
            Step::SetVirtualRouter(_) | Step::RemoveVirtualRouter { .. } | Step::SetHosts(_) => {}
            Step::ChangePool { name, pool } => {
                if let Some(handle) = self.pools.get(name) {
                    handle.reconcile(convert::pool_spec(pool)).await;
                }
            }
            Step::RetargetListener(listener) => {
                let address = SocketAddr::new(listener.address, listener.port);
                let Some(pool) = self.pools.get(&listener.pool) else { return };
                if self.listeners.retarget(&self.proxy, address, &listener.pool, pool.id) {
                    let pool = listener.pool.clone();
                    self.observer.daemon(DaemonEvent::Retargeted { address, pool });
                }
            }
            Step::CloseListener { address, port } => {
                let address = SocketAddr::new(*address, *port);
                if self.listeners.close(&self.proxy, address) {
                    self.observer.daemon(DaemonEvent::Closed { address });
                }
            }
            Step::RemovePool { name } => {
                self.pools.remove(name);
            }
        }
    }
}
