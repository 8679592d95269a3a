//! The virtual IPs of this node: started, changed and left as the plan says, told who can serve, and shown.
//!
//! What a virtual router does, `bowline-vrrp` decides; threads, sockets and addresses are `bowline-vip`'s.

mod routers;

use super::driver;
use crate::events::{Event, Observer};
use crate::view::{VirtualIpView, is_usable};
use bowline_plan::{NodePlan, VirtualRouter};
use bowline_pool::{Reason, Snapshot};
use bowline_proxy::{Liveness, Proxy};
use bowline_vip::{GuardCommand, Router, Serving, Sink};
use bowline_vrrp::Inquiry;
use std::collections::BTreeMap;
use std::future::pending;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::task::JoinHandle;

/// Questions of routers that nobody has taken up yet, at most: one for each router there can be. An older one is forgotten, and
/// its router waits as long as without an answer.
const INQUIRIES_MAX: usize = 256;

/// The guard's hidden subcommand.
pub(crate) const GUARD: &str = "guard";

/// The virtual routers of this node, and the tasks that tell them whether they can serve.
pub(super) struct VirtualIps {
    running: Option<Arc<bowline_vip::VirtualIps>>,
    plans: Vec<VirtualRouter>,
    /// What they are on this host.
    routers: Vec<Router>,
    /// Where each of them lives, by its name.
    interfaces: BTreeMap<String, String>,
    trackers: Vec<Tracker>,
    inquiries: Inquiries,
}

/// What routers ask, each by its name.
type Inquiries = broadcast::Sender<(Arc<str>, Inquiry)>;

impl Default for VirtualIps {
    fn default() -> Self {
        Self {
            running: None,
            plans: Vec::new(),
            routers: Vec::new(),
            interfaces: BTreeMap::new(),
            trackers: Vec::new(),
            inquiries: broadcast::Sender::new(INQUIRIES_MAX),
        }
    }
}

/// Ends its task when it is dropped.
struct Tracker(JoinHandle<()>);

impl Drop for Tracker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl VirtualIps {
    /// Makes those of `plan` this node's. May take seconds: one that has to leave first is handed over.
    ///
    /// # Errors
    ///
    /// What is in the way, a line each; everything is as before then.
    pub(super) async fn apply(
        &mut self,
        plan: &NodePlan,
        proxy: &Arc<Proxy>,
        observer: &Arc<Observer>,
    ) -> Result<(), Vec<String>> {
        let planned_before = plan.virtual_routers == self.plans;
        let routers = match routers::routers(plan) {
            // What this host has no place for at the moment, as an address that is missing, is a fault of what is at work.
            Err(_) if planned_before => return Ok(()),
            routers => routers?,
        };
        // The same plan means another router where the address that it is for is on another interface now.
        if planned_before && routers == self.routers {
            return Ok(());
        }
        let interfaces =
            routers.iter().map(|router| (router.name.clone(), router.interface.clone())).collect();
        let at_work = routers.clone();
        let (running, proxy, observer) = (self.running.clone(), Arc::clone(proxy), Arc::clone(observer));
        let inquiries = self.inquiries.clone();
        let work = move || {
            let sink = Arc::new(ToDaemon { observer, inquiries });
            match running {
                Some(running) => running.reconfigure(routers).map(|()| running),
                None => {
                    let serving = Arc::new(OfProxy { liveness: proxy.liveness(), proxy });
                    bowline_vip::VirtualIps::start(routers, serving, sink, guard_command()).map(Arc::new)
                }
            }
        };
        let done = tokio::task::spawn_blocking(work).await;
        let started = done.map_err(|error| vec![format!("virtual IPs: {error}")])?;
        self.running = Some(started.map_err(|error| vec![format!("virtual IPs: {error}")])?);
        self.plans.clone_from(&plan.virtual_routers);
        self.routers = at_work;
        self.interfaces = interfaces;
        Ok(())
    }

    /// From now on each router is told whether its pool has anybody to serve clients. To be called when `plan` is in force.
    pub(super) fn track(&mut self, plan: &NodePlan, pools: &BTreeMap<String, driver::Handle>) {
        let Some(running) = &self.running else { return };
        let tracker = |router: &VirtualRouter| {
            let pool = plan.tracked_pool(router).and_then(|pool| pools.get(pool));
            let (running, name) = (Arc::clone(running), router.name.clone());
            let Some(pool) = pool else {
                running.set_can_serve(&name, true);
                return None;
            };
            let tracked = Tracked { running, name, snapshots: pool.snapshots(), inquirer: pool.inquirer() };
            Some(Tracker(tokio::spawn(tracked.follow(self.inquiries.subscribe()))))
        };
        self.trackers = plan.virtual_routers.iter().filter_map(tracker).collect();
    }

    /// Hands everything over, beside the runtime; the receiver is told when that is done. `None` where there is nothing.
    pub(super) fn leave(&mut self) -> Option<oneshot::Receiver<()>> {
        self.plans.clear();
        self.routers.clear();
        // A tracker holds the routers, too: it has to be gone before they can be left.
        let trackers = std::mem::take(&mut self.trackers);
        let running = self.running.take()?;
        let (done, over) = oneshot::channel();
        tokio::spawn(async move {
            for mut tracker in trackers {
                tracker.0.abort();
                // Ended or aborted: gone either way.
                let _gone = (&mut tracker.0).await;
            }
            let left = tokio::task::spawn_blocking(move || {
                if let Some(running) = Arc::into_inner(running) {
                    running.leave();
                }
            });
            // Whoever waits is told in any case, and may have gone.
            let _left = left.await;
            let _unread = done.send(());
        });
        Some(over)
    }

    /// How each stands.
    pub(super) fn views(&self) -> Vec<VirtualIpView> {
        let Some(running) = &self.running else { return Vec::new() };
        let mut tallies: BTreeMap<Arc<str>, _> = running.counters().into_iter().collect();
        let view = |status: bowline_vip::Status| {
            let plan = self.plans.iter().find(|plan| *plan.name == *status.name);
            let holder = status.vrrp.holder.map(|holder| routers::node_of(holder, &status, plan));
            let tally = tallies.remove(&status.name)?;
            let interface = self.interfaces.get(&*status.name).cloned().unwrap_or_default();
            Some(VirtualIpView { holder, interface, status, tally })
        };
        running.status().into_iter().filter_map(view).collect()
    }
}

/// What is going to be answered.
type Answer = Pin<Box<dyn Future<Output = bool> + Send>>;

/// A virtual router, and the pool whose endpoints say whether it can serve.
struct Tracked {
    running: Arc<bowline_vip::VirtualIps>,
    name: String,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    inquirer: driver::Inquirer,
}

impl Tracked {
    /// Tells the router whether it can serve, and answers its questions, until the pool is gone.
    async fn follow(mut self, mut inquiries: broadcast::Receiver<(Arc<str>, Inquiry)>) {
        let mut asked: Option<(Inquiry, Answer)> = None;
        self.tell();
        loop {
            tokio::select! {
                biased;
                changed = self.snapshots.changed() => match changed {
                    Ok(()) => self.tell(),
                    Err(_gone) => return,
                },
                inquiry = next_of(&self.name, &mut inquiries) => {
                    // A new question takes the place of the one before.
                    asked = Some((inquiry, Box::pin(self.inquirer.clone().ask())));
                }
                (inquiry, served) = answer(&mut asked) => {
                    asked = None;
                    if served {
                        self.running.confirm(&self.name, inquiry);
                    }
                }
            }
        }
    }

    fn tell(&mut self) {
        if let Some(can_serve) = can_serve(&self.snapshots.borrow_and_update()) {
            self.running.set_can_serve(&self.name, can_serve);
        }
    }
}

/// The next question of the router of this name.
async fn next_of(name: &str, inquiries: &mut broadcast::Receiver<(Arc<str>, Inquiry)>) -> Inquiry {
    loop {
        match inquiries.recv().await {
            Ok((router, inquiry)) if *router == *name => return inquiry,
            Ok(_of_another) => {}
            // Forgotten: the router does without.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => pending().await,
        }
    }
}

/// The answer to what was asked last.
async fn answer(asked: &mut Option<(Inquiry, Answer)>) -> (Inquiry, bool) {
    match asked {
        Some((inquiry, answer)) => (*inquiry, answer.await),
        None => pending().await,
    }
}

/// Whether clients that come now would be served. An endpoint that nobody has asked yet is no reason to take an address, nor to
/// give one away: `None` while there is no other.
fn can_serve(snapshot: &Snapshot) -> Option<bool> {
    let mut asked =
        snapshot.endpoints.iter().filter(|endpoint| endpoint.reason != Reason::NotProbed).peekable();
    asked.peek()?;
    Some(asked.any(|endpoint| is_usable(endpoint.grade)))
}

fn guard_command() -> GuardCommand {
    GuardCommand { program: "/proc/self/exe".into(), arguments: vec![GUARD.into()] }
}

/// The proxy, as virtual routers need it.
struct OfProxy {
    proxy: Arc<Proxy>,
    liveness: Liveness,
}

impl Serving for OfProxy {
    fn ask(&self) {
        self.liveness.ask();
    }

    fn silent_for(&self) -> Duration {
        self.liveness.silent_for()
    }

    fn starves_for(&self) -> Duration {
        self.liveness.starves_for()
    }

    fn evict(&self, addresses: &[IpAddr]) {
        // What a worker that hangs does not reset, is destroyed from outside.
        let _complete_or_overdue = self.proxy.evict(addresses);
    }

    fn readmit(&self, addresses: &[IpAddr]) -> bool {
        self.proxy.readmit(addresses).is_ok()
    }
}

/// Hands events on, and questions.
struct ToDaemon {
    observer: Arc<Observer>,
    inquiries: Inquiries,
}

impl Sink for ToDaemon {
    fn event(&self, event: bowline_vip::Event) {
        self.observer.record(&Event::VirtualIp(event));
    }

    fn inquire(&self, router: &Arc<str>, inquiry: Inquiry) {
        // While pools are being replaced nobody listens, and the router does without an answer.
        let _unheard = self.inquiries.send((Arc::clone(router), inquiry));
    }
}
