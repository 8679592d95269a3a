//! Whether an address keeps its lease and adverts keep their time while the machine is busy: links that come and go by the hundred,
//! as when a node starts and ends its pods, keep the kernel's lock on network configuration, and clients who take all they can get
//! keep every worker of the proxy at work.

mod ear;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bowline_sys::netns::Namespace;
use serde::Serialize;

use crate::failover::{Daemons, PORT, Site, VIP};
use crate::lan::Lan;
use crate::load::{Backend, Received, receive};
use crate::peer::{Bowline, Daemon, Running};
use ear::{Ear, Heard};

/// As when a node starts and ends its pods: so many namespaces with so many links each at a time, ...
const NAMESPACES: usize = 8;
const LINKS_EACH: usize = 40;
/// ... made and ended by so many at once.
const HANDS: usize = 2;
/// Clients who take all they get.
const CONNECTIONS: usize = 8;
/// Between two adverts.
const INTERVAL: Duration = Duration::from_millis(100);
/// What works is there within this, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(10);
/// The holder, who waits, the server and the clients.
const HOSTS: [&str; 4] = ["lb1", "lb2", "cp1", "client"];
/// Takes the right to be scheduled in real time from a program (setpriv(1)).
const NOT_REAL_TIME: [&str; 4] = ["setpriv", "--bounding-set", "-sys_nice", "--"];

/// What goes on meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Burden {
    /// Links come and go.
    pub links: bool,
    /// Clients take all they get.
    pub clients: bool,
    /// Adverts may be sent in real time.
    pub real_time: bool,
}

/// What was seen of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    pub real_time: bool,
    /// Links made, and ended.
    pub links: usize,
    /// What clients got, in MB/s.
    pub megabytes_per_second: f64,
    /// Share of the machine's CPUs that somebody used.
    pub busy: f64,
    /// Share of a CPU that each of the holder's workers used.
    pub workers: Vec<f64>,
    #[serde(flatten)]
    pub heard: Heard,
    /// How long the thread that sends them was ready to run and did not, in all: the rest of what they are late, it waited in the kernel.
    pub waited_for_cpu_ms: f64,
    /// Adverts that were due and held back, because the workers did not answer.
    pub withheld: u64,
    /// Times that the address was gone without the holder's doing.
    pub leases_lost: u64,
    pub renewals: u64,
    pub longest_renewal_ms: f64,
    /// Times that the waiting one took over.
    pub moves: u64,
}

/// A segment with a server, on which holders can be watched one after the other.
#[derive(Debug)]
pub struct Ground {
    daemons: Daemons,
    site: Site,
    lan: Lan,
}

impl Ground {
    /// Makes it. The server lives as long as this process.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn new(binary: PathBuf) -> anyhow::Result<Self> {
        let lan = Lan::new(&HOSTS)?;
        let server = lan.host("cp1");
        let listen = SocketAddr::new(server.address().into(), PORT);
        let backend = server.namespace().inside(|| Backend::bind(listen))??;
        let authority = backend.authority().to_owned();
        std::thread::Builder::new().name("server".to_owned()).spawn(move || backend.serve())?;
        let named = |name: &str| (name.to_owned(), lan.host(name).address());
        let site =
            Site { servers: vec![named("cp1")], balancers: vec![named("lb1"), named("lb2")], authority };
        let bowline = Bowline { binary, foreign: false };
        let more = String::new();
        Ok(Self { daemons: Daemons { bowline, interval: INTERVAL, more }, site, lan })
    }

    fn start(&self, name: &str, real_time: bool) -> anyhow::Result<Daemon> {
        let launcher: &[&str] = if real_time { &[] } else { &NOT_REAL_TIME };
        let (description, files) =
            (self.daemons.description(&self.site), [("ca.crt", self.site.authority.as_str())]);
        let mut daemon =
            self.daemons.bowline.start_by(launcher, self.lan.host(name), &description, &files)?;
        let deadline = Instant::now() + PATIENCE;
        while !daemon.is_ready().unwrap_or(false) {
            ensure!(Instant::now() < deadline, "{name} is not ready: {}", daemon.log());
            std::thread::sleep(POLL);
        }
        Ok(daemon)
    }

    /// Watches a holder, and one who waits, for as long as it `lasts`.
    ///
    /// # Errors
    /// When they do not start, or somebody is not served.
    pub fn watch(&self, burden: Burden, lasts: Duration) -> anyhow::Result<Seen> {
        let mut holder = self.start("lb1", burden.real_time)?;
        let deadline = Instant::now() + PATIENCE;
        while !self.lan.host("lb1").has(VIP.into())? {
            ensure!(Instant::now() < deadline, "nobody took the address: {}", holder.log());
            std::thread::sleep(POLL);
        }
        let mut waiting = self.start("lb2", burden.real_time)?;
        let ear = Ear::start(self.lan.host("lb1"))?;
        let (used, worked, waited) = (used()?, worked(&holder)?, waited(&holder)?);
        let began = Instant::now();
        let (links, received) = self.burden(burden, lasts)?;
        let lasted = began.elapsed();
        let heard = ear.finish(began, INTERVAL);
        let (busy, all) = self::used().map(|(busy, all)| (busy - used.0, all - used.1))?;
        let workers = self::worked(&holder)?.into_iter().zip(worked);
        let workers = workers.map(|(after, before)| (after - before).as_secs_f64() / lasted.as_secs_f64());
        let of = |daemon: &Daemon, name: &str, labels: &str| -> anyhow::Result<f64> {
            let samples = daemon.metrics(name)?;
            Ok(samples.iter().filter(|(name, _)| name.contains(labels)).map(|(_, value)| value).sum())
        };
        // Counters are whole numbers, far below what a float holds exactly.
        let count = |value: f64| format!("{value:.0}").parse().unwrap_or(u64::MAX);
        let seen = Seen {
            real_time: holder.log().contains("adverts are sent in real time"),
            links,
            megabytes_per_second: received.map_or(0.0, |received| mega(received.bytes) / received.seconds),
            busy: busy / all,
            workers: workers.collect(),
            heard,
            waited_for_cpu_ms: (self::waited(&holder)? - waited).as_secs_f64() * 1e3,
            withheld: count(of(&holder, "bowline_vrrp_adverts_withheld_total", "")?),
            leases_lost: count(of(&holder, "bowline_virtual_ip_leases_lost_total", "")?),
            renewals: count(of(&holder, "bowline_virtual_ip_lease_renewals_total", "")?),
            longest_renewal_ms: of(&holder, "bowline_virtual_ip_lease_renewal_max_seconds", "")? * 1e3,
            moves: count(of(&waiting, "bowline_vrrp_transitions_total", "to=\"active\"")?),
        };
        // The next ones have their ports.
        waiting.stop()?;
        holder.stop()?;
        Ok(seen)
    }

    /// How many links were made, and what clients got.
    fn burden(&self, burden: Burden, lasts: Duration) -> anyhow::Result<(usize, Option<Received>)> {
        let (over, made) = (AtomicBool::new(false), AtomicUsize::new(0));
        let client = self.lan.host("client").namespace();
        let began = Instant::now();
        std::thread::scope(|scope| {
            let churn = || {
                while !over.load(Ordering::Relaxed) {
                    made.fetch_add(come_and_go(&over)?, Ordering::Relaxed);
                }
                anyhow::Ok(())
            };
            let hands: Vec<_> =
                (0..if burden.links { HANDS } else { 0 }).map(|_| scope.spawn(churn)).collect();
            let take = || client.inside(|| receive(SocketAddr::new(VIP.into(), PORT), lasts, CONNECTIONS))?;
            let clients = burden.clients.then(|| scope.spawn(take));
            std::thread::sleep(lasts.saturating_sub(began.elapsed()));
            over.store(true, Ordering::Relaxed);
            for hand in hands {
                hand.join().map_err(|_| anyhow::anyhow!("whoever made links panicked"))??;
            }
            let received = clients.map(|clients| match clients.join() {
                Ok(received) => received,
                Err(_) => bail!("the clients panicked"),
            });
            let received = received.transpose()?;
            if let Some(received) = received.filter(|received| received.failed > 0) {
                bail!("{} of {CONNECTIONS} connections ended", received.failed);
            }
            Ok((made.load(Ordering::Relaxed), received))
        })
    }
}

/// How many links were made; they go with their namespaces.
fn come_and_go(over: &AtomicBool) -> anyhow::Result<usize> {
    let (mut made, mut namespaces) = (0, Vec::new());
    for _ in 0..NAMESPACES {
        let (namespace, peer) = (Namespace::create()?, Namespace::create()?);
        for link in 0..LINKS_EACH {
            if over.load(Ordering::Relaxed) {
                return Ok(made);
            }
            let name = format!("pod{link}");
            namespace.join(&name, &peer, &name).context("making a link")?;
            made += 1;
        }
        namespaces.push((namespace, peer));
    }
    Ok(made)
}

fn mega(bytes: u64) -> f64 {
    // More bytes than a float counts exactly are not received in a lifetime.
    bytes as f64 / 1e6
}

/// Time that all CPUs were used for something so far, and all their time, in the kernel's ticks (proc(5)).
fn used() -> anyhow::Result<(f64, f64)> {
    /// Idle, and idle while somebody waits for a disk.
    const IDLE: [usize; 2] = [3, 4];
    let text = std::fs::read_to_string("/proc/stat").context("reading the machine's time")?;
    let line = text.lines().next().unwrap_or_default();
    // What guests use is in the first eight already.
    let ticks: Vec<f64> =
        line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
    let all: f64 = ticks.iter().sum();
    let idle: f64 = IDLE.iter().filter_map(|place| ticks.get(*place)).sum();
    Ok((all - idle, all))
}

/// CPU time of each worker, in the order of their numbers.
fn worked(daemon: &Daemon) -> anyhow::Result<Vec<Duration>> {
    let mut workers = daemon.jail().threads()?;
    workers.retain(|(name, _)| name.starts_with("proxy-") && name != "proxy-watch");
    workers.sort();
    workers.iter().map(|(_, thread)| Ok(schedule(thread)?.0)).collect()
}

/// How long the thread that sends adverts has waited for a CPU.
fn waited(daemon: &Daemon) -> anyhow::Result<Duration> {
    let threads = daemon.jail().threads()?;
    let adverts = threads.into_iter().find(|(name, _)| name == "vip-adverts");
    Ok(schedule(&adverts.context("no thread sends adverts")?.1)?.1)
}

/// How long a thread has run, and waited for a CPU (Documentation/scheduler/sched-stats.rst).
fn schedule(thread: &Path) -> anyhow::Result<(Duration, Duration)> {
    let text = std::fs::read_to_string(thread.join("schedstat")).context("reading a thread's time")?;
    let mut nanos = text.split_whitespace().map_while(|word| word.parse().ok());
    let mut next = || nanos.next().map(Duration::from_nanos).context("a thread without time");
    Ok((next()?, next()?))
}
