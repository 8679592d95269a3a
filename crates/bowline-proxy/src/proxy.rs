//! The handle: starts the workers, and gives them listeners and snapshots.

mod virtual_ip;

use crate::admission::Admission;
use crate::config::{Config, ListenerId, PoolId};
use crate::mailbox::{Command, Mailbox};
use crate::occupancy::Occupancy;
use crate::pulse::{self, Liveness, Pinged, Pulse, Rest, Watched};
use crate::report::Sink;
use crate::stats::{ListenerCounters, ListenerStats, Stats, WorkerCounters};
use crate::token::Token;
use crate::worker::{Parts, Worker};
use bowline_pool::Snapshot;
use bowline_sys::epoll::{Epoll, Interest};
use bowline_sys::limits;
use bowline_sys::owner::{self, Owner};
use bowline_sys::tcp::{self, Presence, Sharing};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use virtual_ip::Eviction;

/// Descriptors left to the rest of the process (probes, admin connections, files, listeners) when the connection limit is cut to
/// what the descriptor limit allows.
const DESCRIPTORS_RESERVED: u64 = 256;

/// Pipes that a worker may have at a time: for as many bulky directions whose sinks are stuck; the others share one.
const PIPES_MAX: usize = 32;

const DESCRIPTORS_PER_PIPE: usize = 2;

/// Which part of the descriptors pipes may take: a sixteenth, where there are few.
const PIPES_SHARE: u64 = 16;

/// A connection has two sockets; while it is dialled it can have more for moments, which parking and the reserve cover.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;

/// The thread that watches the workers.
const WATCH: &str = "proxy-watch";

/// How long [`Proxy::close`] waits for workers to close their sockets. They need microseconds; one that is stuck for so long
/// must not hold up whoever reloads, and closes its socket when it gets to it.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// Why a proxy could not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the thread {thread}: {source}")]
pub struct StartError {
    /// Which one, such as `proxy-0`.
    pub thread: String,
    /// What the kernel said: no descriptors, no memory, or no thread.
    pub source: io::Error,
}

/// The first port that everybody may listen on, unless `ip_unprivileged_port_start` says otherwise.
const PORTS_FOR_ALL: u16 = 1024;

/// Why a listener could not be opened.
#[derive(Debug)]
pub enum BindError {
    /// Somebody else listens there.
    InUse {
        /// Where.
        address: SocketAddr,
        /// Who, when that can be seen.
        owner: Option<Owner>,
    },
    /// The listener is open already.
    Open {
        /// Which one.
        listener: ListenerId,
    },
    /// The kernel refused.
    Failed {
        /// Where.
        address: SocketAddr,
        /// What it said.
        source: io::Error,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { address, owner: Some(owner) } => {
                write!(f, "cannot listen on {address}: {owner} listens there; stop it or choose another port")
            }
            Self::InUse { address, owner: None } => {
                write!(
                    f,
                    "cannot listen on {address}: another process listens there; stop it or choose another port"
                )
            }
            Self::Open { listener } => write!(f, "listener {} is open already", listener.0),
            Self::Failed { address, source }
                if source.kind() == io::ErrorKind::PermissionDenied && address.port() < PORTS_FOR_ALL =>
            {
                write!(
                    f,
                    "cannot listen on {address}: {source}; a port below {PORTS_FOR_ALL} needs CAP_NET_BIND_SERVICE: run \
                     it as root, give it to the unit (AmbientCapabilities=) or the container (capabilities: add), or \
                     choose another port"
                )
            }
            Self::Failed { address, source } => write!(f, "cannot listen on {address}: {source}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed { source, .. } => Some(source),
            Self::InUse { .. } | Self::Open { .. } => None,
        }
    }
}

/// A running proxy. Dropping it stops it like [`Proxy::stop`].
#[derive(Debug)]
pub struct Proxy {
    workers: Vec<Hand>,
    keep_alive: tcp::KeepAlive,
    occupancy: Arc<Occupancy>,
    admission: Arc<Admission>,
    loopback_congestion: Option<String>,
    listeners: Mutex<BTreeMap<ListenerId, Listener>>,
    rest: Arc<Rest>,
    watch: Option<Watch>,
}

/// The thread that watches the workers.
#[derive(Debug)]
struct Watch {
    rest: Arc<Rest>,
    thread: JoinHandle<()>,
}

/// What the handle knows of a worker.
#[derive(Debug)]
struct Hand {
    epoll: Arc<Epoll>,
    mailbox: Arc<Mailbox>,
    counters: Arc<WorkerCounters>,
    pulse: Arc<Pulse>,
    thread: Option<JoinHandle<()>>,
}

impl Hand {
    fn pinged(&self) -> Pinged {
        Pinged { pulse: Arc::clone(&self.pulse), mailbox: Arc::clone(&self.mailbox) }
    }
}

/// What the handle knows of a listener: kept for its counters when it is closed.
#[derive(Debug)]
struct Listener {
    state: State,
    /// One for each worker.
    counters: Vec<Arc<ListenerCounters>>,
}

#[derive(Debug)]
enum State {
    /// One socket for each worker, which holds it too.
    Open {
        place: Place,
        sockets: Vec<Arc<OwnedFd>>,
    },
    /// Its address left this host; to be opened again as it was.
    Evicted {
        place: Place,
    },
    Closed,
}

/// Where a listener listens, and for whom.
#[derive(Clone, Copy, Debug)]
struct Place {
    address: SocketAddr,
    presence: Presence,
    pool: PoolId,
}

impl Proxy {
    /// Starts the workers; nothing is listened on yet.
    ///
    /// # Errors
    /// When descriptors, memory or threads are exhausted.
    pub fn start(config: Config, sink: Arc<dyn Sink>) -> Result<Self, StartError> {
        let descriptors = limits::descriptors();
        let pipes_max = pipes_max(descriptors, config.workers);
        let for_pipes = (pipes_max * DESCRIPTORS_PER_PIPE * config.workers.get()) as u64;
        let affordable =
            descriptors.saturating_sub(DESCRIPTORS_RESERVED + for_pipes) / DESCRIPTORS_PER_CONNECTION;
        // At least one, so that a tiny descriptor limit still serves; accepting pauses when it runs out.
        let limit = config.connections_max.min(usize::try_from(affordable).unwrap_or(usize::MAX)).max(1);
        let mut proxy = Self {
            workers: Vec::new(),
            keep_alive: config.keep_alive,
            occupancy: Arc::new(Occupancy::new(limit)),
            admission: Arc::new(Admission::new(config.clients.clone(), config.sources.clone())),
            loopback_congestion: config.loopback_congestion.clone().filter(|name| is_worth_choosing(name)),
            listeners: Mutex::new(BTreeMap::new()),
            rest: Arc::new(Rest::new()),
            watch: None,
        };
        for index in 0..config.workers.get() {
            // Those that were started before are stopped when this one fails.
            let hand = proxy
                .start_worker(index, pipes_max, &config, &sink)
                .map_err(|source| StartError { thread: format!("proxy-{index}"), source })?;
            proxy.workers.push(hand);
        }
        let watch = proxy.start_watch(sink);
        proxy.watch = Some(watch.map_err(|source| StartError { thread: WATCH.to_owned(), source })?);
        Ok(proxy)
    }

    fn start_watch(&self, sink: Arc<dyn Sink>) -> io::Result<Watch> {
        let rest = Arc::clone(&self.rest);
        let workers = self.workers.iter().map(|hand| Watched::new(hand.pinged())).collect();
        let thread = std::thread::Builder::new().name(WATCH.to_owned());
        let occupancy = Arc::clone(&self.occupancy);
        let thread = thread.spawn(move || pulse::watch(workers, &occupancy, &*sink, &rest))?;
        Ok(Watch { rest: Arc::clone(&self.rest), thread })
    }

    fn start_worker(
        &self,
        index: usize,
        pipes_max: usize,
        config: &Config,
        sink: &Arc<dyn Sink>,
    ) -> io::Result<Hand> {
        let mailbox = Arc::new(Mailbox::new()?);
        let counters = Arc::new(WorkerCounters::default());
        let pulse = Arc::new(Pulse::new());
        let epoll = Arc::new(Epoll::new()?);
        epoll.add(mailbox.waker(), Token::Mailbox.to_bits(), Interest::READABLE)?;
        let parts = Parts {
            index,
            seed: config.seed.wrapping_add(index as u64),
            keep_alive: config.keep_alive,
            first_byte: config.first_byte,
            loopback_congestion: self.loopback_congestion.clone(),
            pipes_max,
            unsent_max: config.unsent_max,
            epoll: Arc::clone(&epoll),
            mailbox: Arc::clone(&mailbox),
            counters: Arc::clone(&counters),
            occupancy: Arc::clone(&self.occupancy),
            admission: Arc::clone(&self.admission),
            pulse: Arc::clone(&pulse),
            rest: Arc::clone(&self.rest),
            sink: Arc::clone(sink),
        };
        let thread = std::thread::Builder::new().name(format!("proxy-{index}"));
        let thread = thread.spawn(move || Worker::new(parts).run())?;
        Ok(Hand { epoll, mailbox, counters, pulse, thread: Some(thread) })
    }

    /// Gives `pool` a newer snapshot, from which clients that come from now on are dialled; those held now see it too.
    pub fn set_pool(&self, pool: PoolId, snapshot: Arc<Snapshot>) {
        self.tell_all(|| Command::SetPool { pool, snapshot: Arc::clone(&snapshot) });
    }

    /// Forgets `pool`. Its connections live on, held clients are dialled to the end; listeners that still point to it reset
    /// their clients.
    pub fn remove_pool(&self, pool: PoolId) {
        self.tell_all(|| Command::RemovePool { pool });
    }

    /// Whether endpoints of `pool` are told who the client is, by a header of the PROXY protocol, version 2, before its first
    /// byte: for connections made from now on.
    pub fn introduce(&self, pool: PoolId, on: bool) {
        self.tell_all(|| Command::Introduce { pool, on });
    }

    /// Listens on `address` (port 0: any free one) for clients of `pool`, and returns the bound address. When it returns,
    /// clients can connect.
    ///
    /// # Errors
    /// When somebody else listens there, also another proxy; the error names the process.
    pub fn open(
        &self,
        listener: ListenerId,
        address: SocketAddr,
        pool: PoolId,
    ) -> Result<SocketAddr, BindError> {
        self.open_where(listener, address, Presence::Required, pool)
    }

    fn open_where(
        &self,
        listener: ListenerId,
        address: SocketAddr,
        presence: Presence,
        pool: PoolId,
    ) -> Result<SocketAddr, BindError> {
        let mut listeners = self.listeners();
        match listeners.get(&listener).map(|known| &known.state) {
            Some(State::Open { .. } | State::Evicted { .. }) => return Err(BindError::Open { listener }),
            Some(State::Closed) | None => {}
        }
        self.listen(&mut listeners, listener, address, presence, pool)
    }

    fn listen(
        &self,
        listeners: &mut BTreeMap<ListenerId, Listener>,
        listener: ListenerId,
        address: SocketAddr,
        presence: Presence,
        pool: PoolId,
    ) -> Result<SocketAddr, BindError> {
        let (bound, sockets) = self.bind(address, presence)?;
        if let Some(congestion) = self.loopback_congestion.as_ref().filter(|_| bound.ip().is_loopback()) {
            // Accepted connections inherit it; without it they are slower, not worse.
            sockets.iter().for_each(|socket| drop(tcp::set_congestion(socket, congestion)));
        }
        for (hand, socket) in self.workers.iter().zip(&sockets) {
            // Here and not in the worker, because here a failure can be told.
            hand.epoll
                .add(socket, Token::Listener(listener.0).to_bits(), Interest::READABLE)
                .map_err(|source| BindError::Failed { address, source })?;
        }
        let known = listeners.entry(listener).or_insert_with(|| Listener {
            state: State::Closed,
            counters: self.workers.iter().map(|_| Arc::default()).collect(),
        });
        for ((hand, counters), socket) in self.workers.iter().zip(&known.counters).zip(&sockets) {
            let (socket, counters) = (Arc::clone(socket), Arc::clone(counters));
            hand.mailbox.post(Command::Open { listener, address: bound, socket, pool, counters });
        }
        known.state = State::Open { place: Place { address: bound, presence, pool }, sockets };
        Ok(bound)
    }

    /// One listening socket for each worker.
    fn bind(
        &self,
        address: SocketAddr,
        presence: Presence,
    ) -> Result<(SocketAddr, Vec<Arc<OwnedFd>>), BindError> {
        let listen = |address, sharing| {
            let listening = tcp::listen(address, sharing, presence, self.keep_alive);
            listening.map(Arc::new).map_err(|source| match source.kind() {
                io::ErrorKind::AddrInUse => BindError::InUse { address, owner: owner::of_listener(address) },
                _ => BindError::Failed { address, source },
            })
        };
        let founder = listen(address, Sharing::Founding)?;
        let bound = tcp::local_address(&founder).map_err(|source| BindError::Failed { address, source })?;
        let mut sockets = vec![founder];
        while sockets.len() < self.workers.len() {
            sockets.push(listen(bound, Sharing::Joining)?);
        }
        Ok((bound, sockets))
    }

    /// From now on the clients of `listener` are clients of `pool`; its connections stay where they are.
    pub fn retarget(&self, listener: ListenerId, pool: PoolId) {
        let mut listeners = self.listeners();
        match listeners.get_mut(&listener).map(|known| &mut known.state) {
            Some(State::Open { place, .. } | State::Evicted { place }) => place.pool = pool,
            Some(State::Closed) | None => {}
        }
        self.tell_all(|| Command::Retarget { listener, pool });
    }

    /// Stops listening. Clients that wait in the accept queue are served; connections live on. When it returns, the address is
    /// free (or one second has passed, because a worker is stuck).
    pub fn close(&self, listener: ListenerId) {
        self.close_where(|other| other == listener);
    }

    /// Closes every listener like [`Proxy::close`]; connections live on until they end or the proxy is stopped.
    pub fn drain(&self) {
        self.close_where(|_| true);
    }

    fn close_where(&self, is_meant: impl Fn(ListenerId) -> bool) {
        // Nothing is ever sent: each worker drops its end when it has closed, and the last one ends the wait.
        let (done, closed) = mpsc::sync_channel::<()>(0);
        {
            let mut listeners = self.listeners();
            let there = listeners.iter_mut().filter(|(_, known)| !matches!(known.state, State::Closed));
            for (listener, known) in there.filter(|(listener, _)| is_meant(**listener)) {
                known.state = State::Closed;
                self.tell_all(|| Command::Close { listener: *listener, done: done.clone() });
            }
        }
        drop(done);
        let _ = closed.recv_timeout(CLOSE_WAIT);
    }

    /// Clients being held or relayed at this moment, over all workers.
    pub fn connections(&self) -> usize {
        self.occupancy.present()
    }

    /// How many clients are served at once: what was configured, or less where the limit of file descriptors is lower.
    pub fn connections_max(&self) -> usize {
        self.occupancy.limit()
    }

    /// Shows whether the workers answer.
    pub fn liveness(&self) -> Liveness {
        Liveness(self.workers.iter().map(Hand::pinged).collect())
    }

    /// Counters and gauges, summed over the workers.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for hand in &self.workers {
            hand.counters.add_to(&mut stats);
            let (stuck, times_stuck) = hand.pulse.is_stuck();
            stats.workers_stuck += u64::from(stuck);
            stats.worker_stalls += times_stuck;
        }
        (stats.sources, stats.clients_uncounted) = self.admission.census();
        for (listener, known) in &*self.listeners() {
            let mut sum = ListenerStats::default();
            known.counters.iter().for_each(|counters| counters.add_to(&mut sum));
            stats.listeners.insert(*listener, sum);
        }
        stats
    }

    /// Resets every connection, ends the workers and returns the final counts.
    pub fn stop(mut self) -> Stats {
        self.end_workers();
        self.stats()
    }

    fn end_workers(&mut self) {
        if let Some(Watch { rest, thread }) = self.watch.take() {
            rest.end();
            let _ = thread.join();
        }
        self.tell_all(|| Command::Stop);
        for thread in self.workers.iter_mut().filter_map(|hand| hand.thread.take()) {
            // A worker that panicked has nothing left to end.
            let _ = thread.join();
        }
    }

    /// What is about listeners is told while they are locked: two that change them at the same time are then obeyed in the order
    /// in which they were, and no worker closes what was opened after it.
    fn tell_all(&self, command: impl Fn() -> Command) {
        for hand in &self.workers {
            hand.mailbox.post(command());
        }
    }

    fn listeners(&self) -> MutexGuard<'_, BTreeMap<ListenerId, Listener>> {
        // Only counters and flags are in there: no panic leaves them half changed.
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a congestion control is another one than the system's own and there is one of that name.
fn is_worth_choosing(name: &str) -> bool {
    tcp::default_congestion().is_ok_and(|default| default != name) && tcp::has_congestion(name)
}

/// How many pipes each worker may have.
fn pipes_max(descriptors: u64, workers: NonZeroUsize) -> usize {
    let share = usize::try_from(descriptors / PIPES_SHARE).unwrap_or(usize::MAX);
    PIPES_MAX.min(share / DESCRIPTORS_PER_PIPE / workers)
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end_workers();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_port_that_is_refused_names_the_capability() {
        let refused = |port, kind: io::ErrorKind| {
            let address = SocketAddr::from(([10, 0, 0, 100], port));
            BindError::Failed { address, source: kind.into() }.to_string()
        };
        let names_it = |text: String| text.contains("CAP_NET_BIND_SERVICE");
        assert!(names_it(refused(443, io::ErrorKind::PermissionDenied)));
        assert!(!names_it(refused(6443, io::ErrorKind::PermissionDenied)));
        assert!(!names_it(refused(443, io::ErrorKind::AddrNotAvailable)));
    }

    #[test]
    fn pipes_never_take_more_than_their_share_of_the_descriptors() {
        let with = |descriptors, workers| pipes_max(descriptors, NonZeroUsize::new(workers).unwrap());
        assert_eq!((with(20_000, 2), with(u64::MAX, 1)), (32, 32));
        assert_eq!((with(1024, 1), with(1024, 2), with(1024, 64)), (32, 16, 0));
    }
}
