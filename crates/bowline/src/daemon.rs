//! `bowline run`: one node's part, from the start to the last connection.
//!
//! One task owns everything that changes ([`Daemon`]); a task per pool drives its machine; a task per endpoint probes it. The
//! proxy's workers are threads of their own. Nothing here decides who gets a connection, or which endpoint is good.

mod convert;
mod driver;
mod listeners;
mod part;
mod reload;
mod virtual_ips;
mod watcher;

pub(crate) use convert::{policy_word, pool_spec};
pub use driver::PoolView;
pub use part::Options;
pub(crate) use part::read;
pub(crate) use virtual_ips::GUARD;

use crate::admin::{self, Admin};
use crate::events::{DaemonEvent, Event, Names, Observer};
use crate::failover;
use crate::failure::Failure;
use crate::probe::Credentials;
use crate::view::View;
use bowline_plan::NodePlan;
use bowline_pool::Input;
use bowline_proxy::{Proxy, Report, Sink};
use bowline_sansio::Instant;
use listeners::Listeners;
use part::{Digest, Part};
use std::collections::BTreeMap;
use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Interval, sleep_until};
use virtual_ips::VirtualIps;

/// Reports of the workers that wait for the daemon's thread: a second's worth of a thousand new connections whose first
/// flights all stay unanswered. What does not fit is dropped and counted by the worker.
const REPORTS_MAX: usize = 1_024;

/// Admin requests that wait for the daemon's thread.
const ASKS_MAX: usize = 16;

/// How long after the first sign of a change the description is read: editors write in several steps.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// How often a stopping daemon looks whether its last connection has ended.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// The shell's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock;

impl Clock {
    /// Now, on the clock the workers use too.
    pub(crate) fn now(self) -> Instant {
        Instant::from_nanos(bowline_sys::clock::monotonic_nanos())
    }
}

/// Does this node's part until a signal ends it.
///
/// # Errors
///
/// The description cannot be used, or something that is needed to start fails: every reason at once.
pub fn run(options: &Options) -> Result<(), Failure> {
    let bytes = part::read(&options.config).map_err(|line| Failure::Input(vec![line]))?;
    let part = part::prepare(options, &bytes, FIRST_GENERATION).map_err(Failure::Input)?;
    let observer = Observer::new();
    let nofile = bowline_sys::limits::raise_descriptors().unwrap_or_else(|error| {
        observer.daemon(DaemonEvent::OpenFilesLimited { error: error.to_string() });
        bowline_sys::limits::descriptors()
    });
    let workers = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let (sink, reports) = mpsc::channel(REPORTS_MAX);
    let config = convert::proxy_config(part.cluster.balancing(), workers, seed());
    let wanted = config.connections_max;
    let proxy = Proxy::start(config, Arc::new(ReportSink(sink)))
        .map_err(|error| Failure::RunTime(vec![format!("cannot start the proxy: {error}")]))?;
    observer.daemon(DaemonEvent::Started { node: part.node.clone(), workers: workers.get(), nofile });
    let possible = proxy.connections_max();
    if possible < wanted {
        observer.daemon(DaemonEvent::ConnectionsLimited { wanted, possible });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::RunTime(vec![format!("cannot start the runtime: {error}")]))?;
    let served = runtime.block_on(async {
        // From here on a signal is an orderly stop.
        let signals = Signals::new()
            .map_err(|error| Failure::RunTime(vec![format!("cannot take signals: {error}")]))?;
        let mut daemon = Daemon::start(options.clone(), part, observer, Arc::new(proxy), reports).await?;
        daemon.serve(signals).await;
        Ok::<_, Failure>(daemon)
    });
    // Ends the tasks, which hold the proxy too.
    drop(runtime);
    served?.stop();
    Ok(())
}

/// Of the plan a daemon starts with.
const FIRST_GENERATION: u64 = 1;

/// A seed that differs between daemons and starts: the clock has nanoseconds.
fn seed() -> u64 {
    bowline_sys::clock::monotonic_nanos() ^ u64::from(std::process::id()).rotate_left(40)
}

/// Hands the workers' reports to the daemon's thread.
struct ReportSink(mpsc::Sender<Report>);

impl Sink for ReportSink {
    fn report(&self, report: Report) -> bool {
        self.0.try_send(report).is_ok()
    }
}

/// Everything that changes while the daemon runs.
struct Daemon {
    options: Options,
    observer: Arc<Observer>,
    proxy: Arc<Proxy>,
    reports: mpsc::Receiver<Report>,
    asks: mpsc::Receiver<oneshot::Sender<View>>,
    /// For the admin listener of a later plan.
    ask: admin::Asks,
    credentials: watch::Sender<Arc<Credentials>>,
    admin: Option<Admin>,
    part: Applied,
    pools: BTreeMap<String, driver::Handle>,
    next_pool: u32,
    listeners: Listeners,
    virtual_ips: VirtualIps,
    started: Instant,
    reload_refused: Option<Vec<String>>,
    /// The content that was looked at last, taken or refused.
    seen: Digest,
    draining: Option<Drain>,
    /// Told when every virtual IP has been handed over.
    handing_over: Option<oneshot::Receiver<()>>,
    /// Events that the workers had not told when the last one was told.
    suppressed: u64,
}

/// What is in force of a part.
struct Applied {
    node: String,
    generation: u64,
    plan: NodePlan,
    balancing: bowline_plan::Balancing,
    digest: Digest,
}

/// A daemon that is stopping.
struct Drain {
    until: tokio::time::Instant,
    look: Interval,
}

/// What wakes the daemon.
enum Wake {
    Report(Report),
    Ask(oneshot::Sender<View>),
    Changed,
    Settled,
    Hangup,
    Stop,
    HandedOver,
    Drained,
}

impl Daemon {
    /// Puts `part` in force.
    async fn start(
        options: Options,
        part: Part,
        observer: Arc<Observer>,
        proxy: Arc<Proxy>,
        reports: mpsc::Receiver<Report>,
    ) -> Result<Self, Failure> {
        let (ask, asks) = mpsc::channel(ASKS_MAX);
        let mut daemon = Self {
            options,
            observer,
            proxy,
            reports,
            asks,
            ask,
            credentials: watch::Sender::new(Arc::clone(&part.credentials)),
            admin: None,
            part: Applied {
                node: part.node.clone(),
                generation: FIRST_GENERATION,
                plan: NodePlan::default(),
                balancing: part.cluster.balancing().clone(),
                digest: part.digest,
            },
            pools: BTreeMap::new(),
            next_pool: 0,
            listeners: Listeners::default(),
            virtual_ips: VirtualIps::default(),
            handing_over: None,
            started: Clock.now(),
            reload_refused: None,
            seen: part.digest,
            draining: None,
            suppressed: 0,
        };
        daemon.apply(part).await.map_err(Failure::RunTime)?;
        Ok(daemon)
    }

    /// Serves until the last connection has ended after a signal to stop, its grace is over, or a second signal came.
    async fn serve(&mut self, mut signals: Signals) {
        let mut changes = match watcher::watch(&self.options.config) {
            Ok(changes) => Some(changes),
            Err(error) => {
                self.observer.daemon(DaemonEvent::NotWatched { error: error.to_string() });
                None
            }
        };
        let mut settle: Option<tokio::time::Instant> = None;
        loop {
            match self.wake(&mut signals, &mut changes, settle).await {
                Wake::Report(report) => self.route(report),
                Wake::Ask(reply) => self.view(reply),
                Wake::Changed => settle = settle.or_else(|| Some(tokio::time::Instant::now() + DEBOUNCE)),
                Wake::Settled => {
                    settle = None;
                    self.reload(reload::Why::Changed).await;
                }
                Wake::Hangup => self.reload(reload::Why::Asked).await,
                Wake::Stop if !self.is_stopping() => self.hand_over(),
                Wake::HandedOver => self.drain(),
                Wake::Stop | Wake::Drained => return,
            }
        }
    }

    async fn wake(
        &mut self,
        signals: &mut Signals,
        changes: &mut Option<mpsc::Receiver<()>>,
        settle: Option<tokio::time::Instant>,
    ) -> Wake {
        loop {
            let (drain, handing_over) = (&mut self.draining, &mut self.handing_over);
            let Signals { terminate, interrupt, hangup } = signals;
            tokio::select! {
                biased;
                _ = terminate.recv() => return Wake::Stop,
                _ = interrupt.recv() => return Wake::Stop,
                _ = hangup.recv() => return Wake::Hangup,
                Some(report) = self.reports.recv() => return Wake::Report(report),
                Some(reply) = self.asks.recv() => return Wake::Ask(reply),
                change = next_change(changes) => match change {
                    Some(()) => return Wake::Changed,
                    None => *changes = None,
                },
                () = until(settle) => return Wake::Settled,
                () = handed_over(handing_over) => {
                    self.handing_over = None;
                    return Wake::HandedOver;
                }
                () = next_look(drain) => {
                    let over = drain.as_ref().is_some_and(|drain| tokio::time::Instant::now() >= drain.until);
                    if over || self.proxy.connections() == 0 {
                        return Wake::Drained;
                    }
                }
            }
        }
    }

    /// Hands a worker's report to whom it concerns.
    fn route(&mut self, report: Report) {
        match report {
            Report::Event(event) => {
                let names = self.names(&event);
                self.observer.record(&Event::Proxy { event, names });
            }
            Report::Evidence { pool, endpoint, evidence } => {
                // A pool that is gone needs no evidence.
                let Some(handle) = self.pools.values().find(|handle| handle.id == pool) else { return };
                if !handle.report(Input::Reported { endpoint, evidence }) {
                    self.observer.daemon(DaemonEvent::EvidenceDropped { pool: Arc::clone(&handle.name) });
                }
            }
        }
    }

    fn names(&mut self, event: &bowline_proxy::Event) -> Names {
        use bowline_proxy::Event as ProxyEvent;
        match event {
            ProxyEvent::Ended { listener, pool, endpoint, .. } => {
                let before = self.suppressed;
                self.suppressed = self.proxy.stats().events_suppressed;
                let handle = self.pools.values().find(|handle| handle.id == *pool);
                Names {
                    suppressed: self.suppressed.saturating_sub(before),
                    listener: self.listeners.address(*listener),
                    pool: handle.map(|handle| Arc::clone(&handle.name)),
                    endpoint: handle.zip(*endpoint).and_then(|(handle, id)| handle.endpoint_name(id)),
                }
            }
            ProxyEvent::AcceptPaused { .. }
            | ProxyEvent::AcceptResumed { .. }
            | ProxyEvent::WorkerStuck { .. }
            | ProxyEvent::WorkerBack { .. } => Names::default(),
        }
    }

    /// Gathers how everything is, and answers.
    fn view(&self, reply: oneshot::Sender<View>) {
        let mut view = View {
            node: self.part.node.clone(),
            generation: self.part.generation,
            now: Clock.now(),
            uptime: Clock.now().since(self.started),
            draining: self.is_stopping(),
            established: failover::established(&self.part.balancing.keep_alive),
            reload_refused: self.reload_refused.clone(),
            listeners: Vec::new(),
            pools: Vec::new(),
            virtual_ips: self.virtual_ips.views(),
            stats: self.proxy.stats(),
        };
        view.listeners = self.listeners.views(&view.stats);
        let askers: Vec<_> = self.pools.values().map(driver::Handle::asker).collect();
        tokio::spawn(async move {
            for asker in askers {
                view.pools.extend(driver::describe(&asker).await);
            }
            // Whoever asked may have gone.
            let _unread = reply.send(view);
        });
    }

    fn is_stopping(&self) -> bool {
        self.handing_over.is_some() || self.draining.is_some()
    }

    /// The first thing of a stop: virtual IPs move, and are served until they have.
    fn hand_over(&mut self) {
        match self.virtual_ips.leave() {
            Some(over) => {
                self.observer.daemon(DaemonEvent::HandingOver);
                self.handing_over = Some(over);
            }
            None => self.drain(),
        }
    }

    /// Takes no new connections; the open ones get their grace.
    fn drain(&mut self) {
        let grace = self.part.balancing.drain_grace;
        self.proxy.drain();
        self.draining = Some(Drain {
            until: tokio::time::Instant::now() + grace,
            look: tokio::time::interval(DRAIN_LOOK),
        });
        self.observer.daemon(DaemonEvent::Draining { connections: self.proxy.connections(), grace });
    }

    /// Ends what is left.
    fn stop(self) {
        let reset = self.proxy.connections();
        if let Some(proxy) = Arc::into_inner(self.proxy) {
            proxy.stop();
        }
        self.observer.daemon(DaemonEvent::Stopped { reset });
    }
}

/// The signals a daemon heeds.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

async fn next_change(changes: &mut Option<mpsc::Receiver<()>>) -> Option<()> {
    match changes {
        Some(changes) => changes.recv().await,
        None => pending().await,
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

async fn handed_over(over: &mut Option<oneshot::Receiver<()>>) {
    match over {
        // Told, or the task that would tell is gone.
        Some(over) => drop(over.await),
        None => pending().await,
    }
}

async fn next_look(drain: &mut Option<Drain>) {
    match drain {
        Some(drain) => {
            drain.look.tick().await;
        }
        None => pending().await,
    }
}
