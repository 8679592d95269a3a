//! Drives one pool's machine: one task, one sleep; and one prober for each of its endpoints.

use super::Clock;
use crate::events::{DaemonEvent, Event, Observer, ProbeOutcome};
use crate::probe::{Credentials, Prober, Refresh, Timeouts};
use bowline_pool::{
    EndpointId, Event as PoolEvent, Input, InquiryId, Output, Pool, PoolSpec, ProbeFailure, ProbeResult,
    Snapshot,
};
use bowline_proxy::{PoolId, Proxy};
use bowline_sansio::Machine;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// Inputs that wait for a pool: two probe answers of a hundred endpoints, and a burst of evidence from the workers. Evidence
/// that does not fit is dropped and counted; everything else waits.
const INPUTS_MAX: usize = 1_024;

/// How long a driver sleeps when its machine wants no timeout.
const FOREVER: Duration = Duration::from_secs(3_600);

/// What a driver is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Something for the machine.
    Input(Input),
    /// Somebody wants to know how the pool is.
    Describe(oneshot::Sender<PoolView>),
    /// Somebody wants to know whether clients that come from now on would be served.
    Inquire(oneshot::Sender<bool>),
}

/// How a pool is at one moment.
#[derive(Clone, Debug)]
pub struct PoolView {
    /// Its name in the plan.
    pub name: Arc<str>,
    /// Its endpoints.
    pub snapshot: Arc<Snapshot>,
    /// How old the newest evidence of each endpoint is, in the order of the snapshot; none before the first.
    pub evidence_ages: Vec<Option<Duration>>,
}

/// What all drivers and probers use.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) observer: Arc<Observer>,
    pub(super) proxy: Arc<Proxy>,
    pub(super) credentials: watch::Receiver<Arc<Credentials>>,
}

/// A running driver; it ends when this handle is dropped, and takes its pool from the proxy then.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) id: PoolId,
    pub(super) name: Arc<str>,
    inputs: mpsc::Sender<Message>,
    snapshot: watch::Receiver<Arc<Snapshot>>,
}

impl Handle {
    /// Starts the driver of a new pool, whose first snapshot the proxy knows when this returns.
    pub(super) fn start(shared: Shared, id: PoolId, name: Arc<str>, spec: PoolSpec, seed: u64) -> Self {
        let (inputs, receiver) = mpsc::channel(INPUTS_MAX);
        let pool = Pool::new(spec.clone(), seed, shared.clock.now());
        shared.proxy.set_pool(id, pool.snapshot());
        let (publish, snapshot) = watch::channel(pool.snapshot());
        let driver = Driver {
            shared,
            id,
            name: Arc::clone(&name),
            timeouts: timeouts(&spec),
            pool,
            publish,
            probers: BTreeMap::new(),
            hurry: Arc::default(),
            inquirers: BTreeMap::new(),
            next_inquiry: 0,
            inputs: inputs.downgrade(),
        };
        tokio::spawn(driver.run(receiver));
        Self { id, name, inputs, snapshot }
    }

    /// Makes the pool what `spec` says.
    pub(super) async fn reconcile(&self, spec: PoolSpec) {
        self.send(Message::Input(Input::Reconcile(spec))).await;
    }

    /// Hands evidence on; false when the driver has too much to do already.
    pub(super) fn report(&self, input: Input) -> bool {
        self.inputs.try_send(Message::Input(input)).is_ok()
    }

    /// The name of an endpoint that is in the pool now.
    pub(super) fn endpoint_name(&self, id: EndpointId) -> Option<Arc<str>> {
        let snapshot = self.snapshot.borrow();
        snapshot
            .endpoints
            .iter()
            .find(|endpoint| endpoint.id == id)
            .map(|endpoint| Arc::clone(&endpoint.name))
    }

    /// What the pool publishes, from now on.
    pub(super) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.clone()
    }

    /// A sender to ask the driver with while the daemon does something else.
    pub(super) fn asker(&self) -> mpsc::Sender<Message> {
        self.inputs.clone()
    }

    /// Somebody who may ask the driver, and does not keep it from ending.
    pub(super) fn inquirer(&self) -> Inquirer {
        Inquirer(self.inputs.downgrade())
    }

    async fn send(&self, message: Message) {
        // The driver outlives its handle, unless it has panicked, which ends the process in a release.
        let _ended = self.inputs.send(message).await;
    }
}

/// Asks a driver for fresh evidence.
#[derive(Clone, Debug)]
pub(super) struct Inquirer(mpsc::WeakSender<Message>);

impl Inquirer {
    /// Whether probes that are sent from now on show that clients would be served; no when the pool has been removed.
    pub(super) async fn ask(self) -> bool {
        let Some(inputs) = self.0.upgrade() else { return false };
        let (reply, answer) = oneshot::channel();
        let sent = inputs.send(Message::Inquire(reply)).await;
        // What waits for the answer must not keep the driver from ending.
        drop(inputs);
        sent.is_ok() && answer.await.unwrap_or(false)
    }
}

/// Asks a driver how its pool is; none when the pool has just been removed.
pub(super) async fn describe(asker: &mpsc::Sender<Message>) -> Option<PoolView> {
    let (reply, answer) = oneshot::channel();
    asker.send(Message::Describe(reply)).await.ok()?;
    answer.await.ok()
}

fn timeouts(spec: &PoolSpec) -> Timeouts {
    Timeouts { answer: spec.timers.probe_timeout, handshake: spec.timers.probe_timeout_handshake }
}

struct Driver {
    shared: Shared,
    id: PoolId,
    name: Arc<str>,
    timeouts: Timeouts,
    pool: Pool,
    publish: watch::Sender<Arc<Snapshot>>,
    /// The task of each endpoint that was ever probed; it ends when its sender is dropped.
    probers: BTreeMap<EndpointId, mpsc::Sender<Question>>,
    /// Begins every probe anew that is in flight.
    hurry: Arc<Notify>,
    /// Who waits for an answer of the machine.
    inquirers: BTreeMap<InquiryId, oneshot::Sender<bool>>,
    next_inquiry: u64,
    /// For the answers of probers. Weak, so that dropping the handle ends the driver.
    inputs: mpsc::WeakSender<Message>,
}

impl Driver {
    async fn run(mut self, mut inputs: mpsc::Receiver<Message>) {
        loop {
            self.drain();
            let now = self.shared.clock.now();
            let sleep = self.pool.poll_timeout().map_or(FOREVER, |deadline| deadline.since(now));
            tokio::select! {
                biased;
                message = inputs.recv() => match message {
                    None => {
                        // Here and not where the handle is dropped: what was published meanwhile would bring it back.
                        self.shared.proxy.remove_pool(self.id);
                        return;
                    }
                    Some(message) => self.take(message),
                },
                () = tokio::time::sleep(sleep) => {}
            }
            // What has come is handled before a timeout, so that an answer that waited for us is not taken for silence; as
            // much as fits the channel, so that a flood does not keep the timeout from being handled.
            for message in (0..INPUTS_MAX).map_while(|_| inputs.try_recv().ok()) {
                self.take(message);
            }
            let now = self.shared.clock.now();
            if self.pool.poll_timeout().is_some_and(|deadline| deadline <= now) {
                self.handle(Input::Timeout);
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Input(input) => self.handle(input),
            Message::Describe(reply) => {
                // Whoever asked may have gone.
                let _unread = reply.send(self.view());
            }
            Message::Inquire(reply) => {
                let inquiry = InquiryId(self.next_inquiry);
                self.next_inquiry = self.next_inquiry.saturating_add(1);
                self.inquirers.insert(inquiry, reply);
                self.handle(Input::Inquire(inquiry));
            }
        }
        self.drain();
    }

    fn handle(&mut self, input: Input) {
        if let Input::Reconcile(spec) = &input {
            self.timeouts = timeouts(spec);
        }
        self.pool.handle(input, self.shared.clock.now());
    }

    fn drain(&mut self) {
        while let Some(output) = self.pool.poll_output() {
            match output {
                Output::Probe { endpoint, name, address, fresh } => {
                    self.probe(endpoint, &name, address, fresh);
                }
                Output::Forget { endpoint } => {
                    self.probers.remove(&endpoint);
                }
                Output::Inquired { inquiry, served } => {
                    if let Some(reply) = self.inquirers.remove(&inquiry) {
                        // Whoever asked may have another question by now.
                        let _unread = reply.send(served);
                    }
                }
                Output::Publish(snapshot) => {
                    self.publish.send_replace(Arc::clone(&snapshot));
                    self.shared.proxy.set_pool(self.id, snapshot);
                }
                Output::Event(event) => {
                    // What is under way was sent into a silence that may be over: the kernel finds out when it repeats something.
                    // Others are told now that nobody is reached from here, and have to hear soon if it is not so any more.
                    if event == PoolEvent::FailOpen {
                        self.hurry.notify_waiters();
                    }
                    self.shared.observer.record(&Event::Pool { pool: Arc::clone(&self.name), event });
                }
            }
        }
    }

    fn probe(&mut self, endpoint: EndpointId, name: &Arc<str>, address: SocketAddr, fresh: bool) {
        let prober = self.probers.entry(endpoint).or_insert_with(|| {
            // The machine keeps at most one probe of an endpoint in flight.
            let (sender, questions) = mpsc::channel(1);
            let task = ProbeTask {
                shared: self.shared.clone(),
                pool: Arc::clone(&self.name),
                name: Arc::clone(name),
                endpoint,
                hurry: Arc::clone(&self.hurry),
                inputs: self.inputs.clone(),
            };
            tokio::spawn(task.run(Prober::new(address), questions));
            sender
        });
        if prober.try_send(Question { timeouts: self.timeouts, fresh }).is_err() {
            // The machine took the probe before for lost, and it is still under way.
            let result =
                ProbeResult::Failed(ProbeFailure::Local("the probe before has not ended".to_owned()));
            self.handle(Input::Probed { endpoint, result });
        }
    }

    fn view(&self) -> PoolView {
        let now = self.shared.clock.now();
        let snapshot = self.pool.snapshot();
        let evidence_ages =
            snapshot.endpoints.iter().map(|endpoint| self.pool.evidence_age(endpoint.id, now)).collect();
        PoolView { name: Arc::clone(&self.name), snapshot, evidence_ages }
    }
}

/// What a probe task is asked to do.
#[derive(Clone, Copy, Debug)]
struct Question {
    timeouts: Timeouts,
    fresh: bool,
}

/// Keeps one endpoint's prober, and with it the connection, between two probes.
struct ProbeTask {
    shared: Shared,
    pool: Arc<str>,
    name: Arc<str>,
    endpoint: EndpointId,
    hurry: Arc<Notify>,
    inputs: mpsc::WeakSender<Message>,
}

impl ProbeTask {
    async fn run(self, mut prober: Prober, mut questions: mpsc::Receiver<Question>) {
        while let Some(Question { timeouts, fresh }) = questions.recv().await {
            let credentials = Arc::clone(&self.shared.credentials.borrow());
            let (material, refresh) = credentials.current();
            self.tell(refresh);
            let mut fresh = fresh;
            let result = loop {
                tokio::select! {
                    biased;
                    result = prober.probe(&material, timeouts, fresh) => break result,
                    () = self.hurry.notified() => fresh = true,
                }
            };
            self.shared.observer.daemon(DaemonEvent::Probed {
                pool: Arc::clone(&self.pool),
                endpoint: Arc::clone(&self.name),
                outcome: ProbeOutcome::from(&result),
            });
            let Some(inputs) = self.inputs.upgrade() else { return };
            let answer = Message::Input(Input::Probed { endpoint: self.endpoint, result });
            if inputs.send(answer).await.is_err() {
                return;
            }
        }
    }

    fn tell(&self, refresh: Refresh) {
        match refresh {
            Refresh::Unchanged => {}
            Refresh::Changed => self.shared.observer.daemon(DaemonEvent::CredentialsChanged),
            Refresh::Failed(problems) => {
                let problems = problems.iter().map(ToString::to_string).collect();
                self.shared.observer.daemon(DaemonEvent::CredentialsRefused { problems });
            }
        }
    }
}
