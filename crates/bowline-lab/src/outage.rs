//! The outage client: what a client of the API servers saw while one of them failed.
//!
//! One new TLS connection and `GET /version` every 10 ms, open loop (a slow answer delays no other request); each fails after 1 s
//! or on any error. Beside them long connections, each a watch: *silent* ones only receive, *talking* ones also send a byte every
//! 100 ms (of a pipelined request that is never finished, which any HTTP/1.1 server leaves unread until its watch ends). One that
//! ends is dialled again after 1 ms.
//!
//! The client runs in a thread of its own, so that nothing its user does can make it late, and reports how late it was, so that a
//! stalled machine can be told from an outage. It knows neither fault nor balancer: the figures are computed afterwards, from any
//! moment on.

mod figures;
mod long;
mod request;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use tokio::sync::{Notify, oneshot};
use tokio::task::LocalSet;
use tokio::time::MissedTickBehavior;

pub use figures::{Figures, Sample, Served, Window, figures};
pub use long::{Fate, Fates, Life, Slot};
pub use request::Failure;

/// Samples kept: 2.7 hours at the default rate. A longer run sends no more requests, and its lag says so.
const SAMPLES_MAX: usize = 1_000_000;
/// Between two looks at whether the client is warm.
const WARM_POLL: Duration = Duration::from_millis(5);

/// Whom to ask, and how often.
#[derive(Debug, Clone)]
pub struct Settings {
    pub address: SocketAddr,
    /// The name or address that the certificate must carry.
    pub server_name: String,
    /// The authority that must have signed it, PEM.
    pub authority: String,
    /// From the start of one request to the start of the next.
    pub interval: Duration,
    /// A request without its whole answer by then has failed.
    pub timeout: Duration,
    pub path: String,
    pub watch_path: String,
    /// A bearer token, for servers that answer nobody else.
    pub token: Option<String>,
    /// Long connections that also send.
    pub talking: usize,
    /// Long connections that only receive.
    pub silent: usize,
}

impl Settings {
    /// The client as the figures of the project are measured: 10 ms, 1 s, ten and ten.
    pub fn new(address: SocketAddr, authority: String) -> Self {
        Self {
            address,
            server_name: address.ip().to_string(),
            authority,
            interval: Duration::from_millis(10),
            timeout: Duration::from_secs(1),
            path: "/version".to_owned(),
            watch_path: "/api/v1/pods?watch=1".to_owned(),
            token: None,
            talking: 10,
            silent: 10,
        }
    }
}

/// What all connections of one client share.
struct Prepared {
    settings: Settings,
    tls: Arc<ClientConfig>,
    name: ServerName<'static>,
    request: String,
    watch_request: String,
}

impl Prepared {
    fn new(settings: Settings) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(settings.authority.as_bytes()) {
            roots.add(certificate.context("reading the authority")?).context("using the authority")?;
        }
        // A hundred handshakes a second beside what is measured: the cheapest key exchange, and no resumption, whose savings real
        // clients do not have on a new process either.
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519];
        let mut tls = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.resumption = rustls::client::Resumption::disabled();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(settings.server_name.clone()).context("the server's name")?;
        let authorization = settings.token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n"));
        let head = |path: &str| {
            let authorization = authorization.as_deref().unwrap_or_default();
            format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{authorization}\r\n", settings.server_name)
        };
        let (request, watch_request) = (head(&settings.path), head(&settings.watch_path));
        Ok(Self { tls: Arc::new(tls), name, request, watch_request, settings })
    }
}

/// A running client; dropping it ends it.
#[derive(Debug)]
pub struct Client {
    stop: Option<oneshot::Sender<()>>,
    warmth: Arc<Mutex<Warmth>>,
    thread: Option<JoinHandle<anyhow::Result<Run>>>,
}

/// What a client has seen so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Requests whose fate is known.
    pub requests: u32,
    /// Those of them that failed.
    pub failed: u32,
}

/// How far the client has got.
#[derive(Debug, Default)]
struct Warmth {
    answered_by: Counts,
    progress: Progress,
    /// When the last good requests were sent, if they were so in a row: as many as it takes.
    good: VecDeque<Instant>,
    /// When each long connection received something for the last time, by the number of its slot.
    long_heard: BTreeMap<usize, Instant>,
    long_open: usize,
    long_wanted: usize,
}

impl Warmth {
    fn judge(&mut self, sample: &Sample, start: Instant) {
        if !sample.is_good() {
            return self.good.clear();
        }
        self.good.push_back(start);
        if self.good.len() > figures::GOOD_IN_A_ROW {
            self.good.pop_front();
        }
    }

    fn is_good(&self) -> bool {
        self.good.len() >= figures::GOOD_IN_A_ROW
    }
}

impl Client {
    /// Starts asking.
    ///
    /// # Errors
    /// When authority or name cannot be used, or no thread be started.
    pub fn start(settings: Settings) -> anyhow::Result<Self> {
        let prepared = Prepared::new(settings)?;
        let long_wanted = prepared.settings.talking + prepared.settings.silent;
        let warmth = Arc::new(Mutex::new(Warmth { long_wanted, ..Warmth::default() }));
        let (stop, stopped) = oneshot::channel();
        let seen = Arc::clone(&warmth);
        let thread = std::thread::Builder::new().name("outage client".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            Ok(LocalSet::new().block_on(&runtime, measure(Rc::new(prepared), stopped, seen)))
        })?;
        Ok(Self { stop: Some(stop), warmth, thread: Some(thread) })
    }

    /// Whether every long connection has received something and the last 25 requests were good: what must hold before a fault.
    pub fn is_warm(&self) -> bool {
        let warmth = self.warmth.lock().unwrap_or_else(PoisonError::into_inner);
        warmth.is_good() && warmth.long_open >= warmth.long_wanted
    }

    /// Whether it is known by now what a fault at `moment` has done: the last 25 requests were good and sent after it, and each
    /// long connection is being served, or hangs.
    pub fn has_settled(&self, moment: Instant) -> bool {
        let warmth = self.warmth.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_decided = |heard: &Instant| long::is_decided(now.saturating_duration_since(*heard));
        warmth.is_good()
            && warmth.good.front().is_some_and(|first| *first >= moment)
            && warmth.long_heard.len() >= warmth.long_wanted
            && warmth.long_heard.values().all(is_decided)
    }

    /// What it has seen so far.
    pub fn progress(&self) -> Progress {
        self.warmth.lock().unwrap_or_else(PoisonError::into_inner).progress
    }

    /// The name of the server that answered most requests so far, none before the first answer.
    pub fn most_used_server(&self) -> Option<String> {
        let warmth = self.warmth.lock().unwrap_or_else(PoisonError::into_inner);
        warmth.answered_by.iter().max_by_key(|(_, requests)| **requests).map(|(server, _)| server.clone())
    }

    /// Waits until the client [is warm](Self::is_warm); false when it is not within `limit`.
    pub fn wait_warm(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while !self.is_warm() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(WARM_POLL);
        }
        true
    }

    /// Ends the observation now; requests that are under way are waited for (1 s at most).
    ///
    /// # Errors
    /// When the client's thread could not run.
    pub fn finish(mut self) -> anyhow::Result<Run> {
        self.stop = None;
        let thread = self.thread.take().context("the outage client was finished before")?;
        thread.join().map_err(|_| anyhow::anyhow!("the outage client panicked"))?
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // Nobody wants its figures any more; a panic of the thread has been printed.
            drop(thread.join());
        }
    }
}

/// Everything one client saw.
#[derive(Debug, Clone)]
pub struct Run {
    /// Moment 0 of every duration in the samples and lives.
    pub epoch: Instant,
    /// When the observation ended, since the epoch.
    pub end: Duration,
    /// In the order of their starts.
    pub samples: Vec<Sample>,
    pub talking: Vec<Slot>,
    pub silent: Vec<Slot>,
    /// How late each request was sent, in the order of the samples.
    pub lags: Vec<Duration>,
}

/// What a fault did, by the definitions of the project's measurements; durations in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    #[serde(flatten)]
    pub figures: Figures,
    pub talking: Fates,
    pub silent: Fates,
    pub lag: Lag,
}

/// The client's own lateness: large, it was the machine that stalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Lag {
    #[serde(rename = "worstMs", serialize_with = "figures::millis")]
    pub worst: Duration,
    #[serde(rename = "medianMs", serialize_with = "figures::millis")]
    pub median: Duration,
}

impl Run {
    /// The figures of a fault from the moment when it was `complete` until the end of the observation. Connections count as lost by
    /// it from when it `began`: a process that is killed ends some of them before all of it is gone.
    pub fn report(&self, began: Instant, complete: Instant) -> Report {
        let since_epoch = |moment: Instant| moment.saturating_duration_since(self.epoch);
        let (began, from) = (since_epoch(began), since_epoch(complete));
        let late = self.samples.iter().zip(&self.lags).filter(|(sample, _)| sample.start >= from);
        let mut lags: Vec<Duration> = late.map(|(_, lag)| *lag).collect();
        lags.sort_unstable();
        Report {
            figures: figures(&self.samples, began, from, self.end),
            talking: Fates::of(&self.talking, began, self.end),
            silent: Fates::of(&self.silent, began, self.end),
            lag: Lag {
                worst: lags.last().copied().unwrap_or_default(),
                median: lags.get(lags.len() / 2).copied().unwrap_or_default(),
            },
        }
    }

    /// From `moment` to the first good answer after it, whenever that request was sent.
    pub fn first_answer_after(&self, moment: Instant) -> Option<Duration> {
        let moment = moment.saturating_duration_since(self.epoch);
        let good = self.samples.iter().filter(|sample| sample.outcome.is_ok());
        good.map(|sample| sample.start + sample.took)
            .filter(|end| *end >= moment)
            .min()
            .map(|end| end - moment)
    }
}

/// What the tasks of the client write into.
struct Record {
    epoch: Instant,
    samples: RefCell<Vec<(Sample, Duration)>>,
    warmth: Arc<Mutex<Warmth>>,
    idle: Notify,
    in_flight: RefCell<usize>,
}

impl Record {
    fn since_epoch(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn warm(&self, change: impl FnOnce(&mut Warmth)) {
        change(&mut self.warmth.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

async fn measure(prepared: Rc<Prepared>, stopped: oneshot::Receiver<()>, warmth: Arc<Mutex<Warmth>>) -> Run {
    let record = Rc::new(Record {
        epoch: Instant::now(),
        samples: RefCell::default(),
        warmth,
        idle: Notify::new(),
        in_flight: RefCell::new(0),
    });
    let open = |talks, numbers: std::ops::Range<usize>| -> Vec<_> {
        let slot = |number| long::open(Rc::clone(&prepared), Rc::clone(&record), talks, number);
        numbers.map(slot).collect()
    };
    let (talkers, all) = (prepared.settings.talking, prepared.settings.talking + prepared.settings.silent);
    let talking = open(true, 0..talkers);
    let silent = open(false, talkers..all);
    tokio::select! {
        () = tick(&prepared, &record) => {}
        _ = stopped => {}
    }
    let end = record.since_epoch();
    let talking = talking.into_iter().map(long::Open::close).collect();
    let silent = silent.into_iter().map(long::Open::close).collect();
    while *record.in_flight.borrow() > 0 {
        record.idle.notified().await;
    }
    let mut samples = record.samples.take();
    samples.sort_unstable_by_key(|(sample, _)| sample.start);
    let (samples, lags) = samples.into_iter().unzip();
    Run { epoch: record.epoch, end, samples, talking, silent, lags }
}

/// Sends a request at every tick; ticks that were missed are made up for at once, as an open loop must.
async fn tick(prepared: &Rc<Prepared>, record: &Rc<Record>) {
    let mut ticks = tokio::time::interval(prepared.settings.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for _ in 0..SAMPLES_MAX {
        let due = ticks.tick().await;
        let lag = due.elapsed();
        *record.in_flight.borrow_mut() += 1;
        tokio::task::spawn_local(ask(Rc::clone(prepared), Rc::clone(record), lag));
    }
    std::future::pending().await
}

async fn ask(prepared: Rc<Prepared>, record: Rc<Record>, lag: Duration) {
    let start = record.since_epoch();
    let outcome = request::ask(&prepared).await;
    let took = record.since_epoch() - start;
    let (outcome, connection) = match outcome {
        Ok((server, connection)) => (Ok(server), Some(connection)),
        Err(failure) => (Err(failure), None),
    };
    let sample = Sample { start, took, outcome };
    record.warm(|warmth| {
        warmth.judge(&sample, record.epoch + start);
        warmth.progress.requests += 1;
        match &sample.outcome {
            Ok(server) => *warmth.answered_by.entry(server.clone()).or_default() += 1,
            Err(_) => warmth.progress.failed += 1,
        }
    });
    record.samples.borrow_mut().push((sample, lag));
    *record.in_flight.borrow_mut() -= 1;
    record.idle.notify_one();
    if let Some(connection) = connection {
        request::close(connection, prepared.settings.timeout).await;
    }
}

/// Requests by the server that answered, or failures by kind.
type Counts = BTreeMap<String, u32>;

#[cfg(test)]
mod tests;
