//! What the tests of the data path share: a sink that remembers, pools made by hand, endpoints and clients with real sockets.
#![allow(dead_code, reason = "each test file uses its part of it")]

use bowline_pool::{
    ConnectionCount, Endpoint, EndpointId, Evidence, Grade, Policy, Reason, Snapshot, Timers,
};
use bowline_proxy::{
    Config, EndReason, Event, KeepAlive, ListenerId, ListenerStats, PoolId, Proxy, Report, Sink,
    SourceLimits, Stats,
};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine; reached only when a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const LISTENER: ListenerId = ListenerId(1);
pub(crate) const POOL: PoolId = PoolId(1);

/// A vanished peer is noticed within three seconds.
pub(crate) const QUICK: KeepAlive =
    KeepAlive { idle: Duration::from_secs(1), interval: Duration::from_secs(1), count: 2 };

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Remembers every report.
#[derive(Default)]
pub(crate) struct Memory {
    reports: Mutex<Vec<Report>>,
    more: Condvar,
}

impl Sink for Memory {
    fn report(&self, report: Report) -> bool {
        self.reports.lock().unwrap().push(report);
        self.more.notify_all();
        true
    }
}

impl Memory {
    /// Waits for a report and returns it.
    #[track_caller]
    pub(crate) fn wait_for(&self, wanted: impl Fn(&Report) -> bool) -> Report {
        let start = Instant::now();
        let mut reports = self.reports.lock().unwrap();
        loop {
            if let Some(found) = reports.iter().find(|report| wanted(report)) {
                return found.clone();
            }
            let left = PATIENCE.checked_sub(start.elapsed());
            let left = left.unwrap_or_else(|| panic!("in vain; there was only {reports:#?}"));
            reports = self.more.wait_timeout(reports, left).unwrap().0;
        }
    }

    pub(crate) fn forget(&self) {
        *self.reports.lock().unwrap() = Vec::new();
    }

    pub(crate) fn count(&self, wanted: impl Fn(&Report) -> bool) -> usize {
        self.reports.lock().unwrap().iter().filter(|report| wanted(report)).count()
    }
}

/// Matches evidence about an endpoint of [`pool`].
pub(crate) fn evidence(about: u64, seen: Evidence) -> impl Fn(&Report) -> bool {
    move |report| *report == Report::Evidence { pool: POOL, endpoint: EndpointId(about), evidence: seen }
}

/// Matches the abnormal end of a connection.
pub(crate) fn ended(why: EndReason) -> impl Fn(&Report) -> bool {
    move |report| matches!(report, Report::Event(Event::Ended { reason, .. }) if *reason == why)
}

/// A snapshot of ready endpoints, numbered from zero.
pub(crate) fn pool(addresses: &[SocketAddr]) -> Snapshot {
    let endpoint = |(id, address): (usize, &SocketAddr)| Endpoint {
        id: EndpointId(id as u64),
        name: format!("cp{id}").into(),
        address: *address,
        grade: Grade::Ready,
        reason: Reason::NotProbed,
        connect_rtt: None,
        connections: ConnectionCount::default(),
    };
    let endpoints = addresses.iter().enumerate().map(endpoint).collect();
    Snapshot { version: 1, policy: Policy::Sticky, timers: Timers::default(), endpoints }
}

/// As the daemon would have it.
pub(crate) fn config(workers: usize, connections_max: usize) -> Config {
    Config {
        workers: NonZeroUsize::new(workers).unwrap(),
        connections_max,
        clients: Vec::new(),
        sources: SourceLimits::default(),
        first_byte: None,
        unsent_max: Config::UNSENT_MAX,
        keep_alive: Config::KEEP_ALIVE,
        loopback_congestion: None,
        seed: 1,
    }
}

/// A proxy with its sink.
pub(crate) struct Bench {
    pub(crate) proxy: Proxy,
    pub(crate) memory: Arc<Memory>,
}

impl Bench {
    pub(crate) fn new(workers: usize, connections_max: usize) -> Self {
        Self::with_keep_alive(workers, connections_max, Config::KEEP_ALIVE)
    }

    pub(crate) fn with_keep_alive(workers: usize, connections_max: usize, keep_alive: KeepAlive) -> Self {
        Self::with(Config { keep_alive, ..config(workers, connections_max) })
    }

    pub(crate) fn with(config: Config) -> Self {
        let memory = Arc::new(Memory::default());
        let sink = Arc::clone(&memory) as Arc<dyn Sink>;
        Self { proxy: Proxy::start(config, sink).unwrap(), memory }
    }

    /// One worker and one listener in front of these endpoints.
    pub(crate) fn before(endpoints: &[SocketAddr]) -> (Self, SocketAddr) {
        Self::with_before(config(1, 1_000), endpoints)
    }

    /// One listener in front of these endpoints.
    pub(crate) fn with_before(config: Config, endpoints: &[SocketAddr]) -> (Self, SocketAddr) {
        let bench = Self::with(config);
        bench.proxy.set_pool(POOL, Arc::new(pool(endpoints)));
        let address = bench.proxy.open(LISTENER, any_port(), POOL).unwrap();
        (bench, address)
    }

    pub(crate) fn stats(&self) -> ListenerStats {
        listener(&self.proxy.stats())
    }

    /// Waits until one connection has ended like this.
    #[track_caller]
    pub(crate) fn wait_ended(&self, reason: EndReason) {
        wait_until(&format!("an end by {reason}"), || self.stats().ended(reason) > 0);
    }
}

pub(crate) fn listener(stats: &Stats) -> ListenerStats {
    stats.listeners.get(&LISTENER).cloned().unwrap_or_default()
}

pub(crate) fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A listening endpoint, and where it is.
pub(crate) fn endpoint() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address at which nobody listens.
pub(crate) fn nobody() -> SocketAddr {
    endpoint().1
}

/// An endpoint that answers every client with `name`, and then echoes.
pub(crate) fn greeter(name: &'static str) -> SocketAddr {
    let (listener, address) = endpoint();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            std::thread::spawn(move || greet(client.unwrap(), name));
        }
    });
    address
}

fn greet(mut client: TcpStream, name: &str) {
    let mut buffer = [0; 4096];
    if client.write_all(name.as_bytes()).is_err() {
        return;
    }
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        if client.write_all(&buffer[..count]).is_err() {
            return;
        }
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads exactly `count` bytes.
pub(crate) fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Reads to the end of the stream.
pub(crate) fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Closes with a reset.
pub(crate) fn reset(stream: TcpStream) {
    bowline_sys::tcp::reset(OwnedFd::from(stream));
}

/// Waits until the socket has failed, and checks that it was a reset.
#[track_caller]
pub(crate) fn assert_reset(stream: &TcpStream) {
    let mut error = None;
    wait_until("a reset", || {
        error = bowline_sys::tcp::take_error(stream.as_fd());
        error.is_some()
    });
    // After an end of stream the kernel calls a reset a broken pipe.
    let kind = error.unwrap().kind();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
}
