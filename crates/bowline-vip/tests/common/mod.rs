//! What the tests of this crate share: two hosts with a link between them, somebody who serves on each, and waiting.
#![allow(dead_code, reason = "each test file uses its part of it")]

use bowline_sys::clock;
use bowline_sys::netns::{LinkState, Namespace};
use bowline_sys::rtnetlink::{Address, Rtnetlink};
use bowline_vip::{Event, GuardCommand, Router, Serving, Sink, Status, Tally, VirtualIps, lease_for};
use bowline_vrrp::{
    Addresses, Centiseconds, ChecksumForm, Config, Inquiry, Peers, Priority, Protocol, Settings, State,
    Transport, Vrid, WhenAllBad,
};
use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::{Duration, Instant};

/// Longer than anything here takes on a busy machine; reached only when a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const LINK: &str = "lan0";
pub(crate) const VIP: &str = "10.9.0.100";

/// What is enough time for something not to happen: three intervals of every test and more.
pub(crate) const A_WHILE: Duration = Duration::from_millis(800);

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// One machine: a network namespace with one link.
pub(crate) struct Host {
    pub(crate) namespace: Namespace,
    netlink: Rtnetlink,
    pub(crate) number: u8,
}

impl Host {
    fn new(number: u8) -> Option<Self> {
        let namespace = match Namespace::create() {
            Ok(namespace) => namespace,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                println!("skipped: making a network namespace needs root");
                return None;
            }
            Err(error) => panic!("making a namespace: {error}"),
        };
        let netlink = namespace.inside(Rtnetlink::open).unwrap().unwrap();
        Some(Self { namespace, netlink, number })
    }

    pub(crate) fn inside<T>(&self, action: impl FnOnce() -> T) -> T {
        self.namespace.inside(action).unwrap()
    }

    pub(crate) fn netlink(&self) -> &Rtnetlink {
        &self.netlink
    }

    pub(crate) fn link_index(&self) -> u32 {
        self.netlink.interfaces().unwrap().by_name(LINK).unwrap().index
    }

    pub(crate) fn find(&self, address: &str) -> Option<Address> {
        self.netlink.interfaces().unwrap().having(ip(address)).next().cloned()
    }

    pub(crate) fn has(&self, address: &str) -> bool {
        self.find(address).is_some()
    }

    pub(crate) fn v4(&self) -> IpAddr {
        ip(&format!("10.9.0.{}", self.number))
    }

    /// As soon as there is one.
    #[track_caller]
    pub(crate) fn v6(&self) -> IpAddr {
        let mut found = None;
        wait_until("a link-local address", || {
            let interfaces = self.netlink.interfaces().unwrap();
            let link = interfaces.by_name(LINK).unwrap();
            found = interfaces.link_local(link.index).filter(|_| link.running);
            found.is_some()
        });
        found.unwrap().into()
    }

    pub(crate) fn set_link(&self, state: LinkState) {
        self.namespace.set_link(LINK, state).unwrap();
    }
}

/// Two machines, 10.9.0.1 and 10.9.0.2, with a link between them.
pub(crate) fn two_hosts() -> Option<(Host, Host)> {
    let (a, b) = (Host::new(1)?, Host::new(2)?);
    a.namespace.join(LINK, &b.namespace, LINK).unwrap();
    switch_on(&[&a, &b]);
    Some((a, b))
}

/// What joins three machines; it is there as long as this.
pub(crate) struct Switch(Namespace);

impl Switch {
    fn ip_command(&self, arguments: &str) {
        let mut command = std::process::Command::new("ip");
        command.args(arguments.split(' '));
        assert!(self.0.inside(|| command.status()).unwrap().unwrap().success(), "ip {arguments}");
    }

    /// Takes the port of this machine, which cannot see it, off the switch, or puts it back.
    pub(crate) fn cut(&self, host: &Host, is_cut: bool) {
        let master = if is_cut { "nomaster" } else { "master switch" };
        self.ip_command(&format!("link set port{} {master}", host.number));
    }

    /// Gives a machine another link to it.
    pub(crate) fn join(&self, host: &Host, link: &str) {
        host.namespace.join(link, &self.0, "further").unwrap();
        host.namespace.set_link(link, LinkState::Up).unwrap();
        self.ip_command("link set further master switch");
        self.ip_command("link set further up");
    }
}

/// Three machines, 10.9.0.1 to 10.9.0.3, on a switch.
pub(crate) fn three_hosts() -> Option<([Host; 3], Switch)> {
    let hosts = [Host::new(1)?, Host::new(2)?, Host::new(3)?];
    let switch = Switch(Namespace::create().unwrap());
    switch.ip_command("link add switch type bridge forward_delay 0 mcast_snooping 0");
    switch.ip_command("link set switch up");
    for host in &hosts {
        let port = format!("port{}", host.number);
        host.namespace.join(LINK, &switch.0, &port).unwrap();
        switch.ip_command(&format!("link set {port} master switch"));
        switch.ip_command(&format!("link set {port} up"));
    }
    switch_on(&hosts.each_ref());
    Some((hosts, switch))
}

fn switch_on(hosts: &[&Host]) {
    for host in hosts {
        // With duplicate address detection a link-local address is tentative for more than a second.
        let detection = format!("/proc/sys/net/ipv6/conf/{LINK}/accept_dad");
        host.inside(|| std::fs::write(detection, "0")).unwrap();
        host.namespace.add_address(LINK, host.v4(), 24).unwrap();
        host.set_link(LinkState::Up);
    }
    for host in hosts {
        host.v6();
    }
}

/// A node on each, of which the first has the address.
pub(crate) fn nodes_on(hosts: &[Host; 3]) -> [Node; 3] {
    hosts.each_ref().map(|host| {
        let node = Node::start(host, settings(host, &[VIP]));
        if host.number == 1 {
            node.wait_held(host, VIP);
        }
        node
    })
}

/// A router of `host` with adverts every 100 ms and priorities 254, 250, ... in the order of the hosts.
pub(crate) fn settings(host: &Host, vips: &[&str]) -> Settings {
    let source = if ip(vips[0]).is_ipv4() { host.v4() } else { host.v6() };
    settings_of(host.number, source, vips)
}

pub(crate) fn settings_of(number: u8, source: IpAddr, vips: &[&str]) -> Settings {
    let interval = Centiseconds::new(10).unwrap();
    let addresses = Addresses::new(vips.iter().map(|vip| ip(vip)).collect()).unwrap();
    let rank = number - 1;
    Settings {
        vrid: Vrid::new(51).unwrap(),
        protocol: Protocol::V3 { interval, checksum: ChecksumForm::PseudoHeader },
        source,
        addresses,
        priority: Priority::new(254 - 4 * rank).unwrap(),
        rank,
        preempt: false,
        preempt_delay: Duration::ZERO,
        peers: Peers::Any,
        transport: Transport::Multicast,
        bands: true,
        when_all_bad: WhenAllBad::Keep,
        stability: Duration::from_millis(200),
        lease: lease_for(interval.duration()),
    }
}

/// The same with adverts so rare and a lease so long that neither has anything to do with what happens soon.
pub(crate) fn slow(settings: Settings) -> Settings {
    let interval = Centiseconds::new(100).unwrap();
    let protocol = Protocol::V3 { interval, checksum: ChecksumForm::PseudoHeader };
    Settings { protocol, lease: Duration::from_secs(60), ..settings }
}

pub(crate) fn router(settings: Settings) -> Router {
    Router {
        name: "api".to_owned(),
        interface: LINK.to_owned(),
        vrrp: Config::new(settings).unwrap(),
        virtual_mac: false,
        group: None,
    }
}

/// Runs this test binary again, for the ignored test of that name.
pub(crate) fn guard_command() -> GuardCommand {
    let arguments = ["--exact", "child_guard", "--ignored", "--nocapture"];
    GuardCommand { program: std::env::current_exe().unwrap(), arguments: arguments.map(Into::into).to_vec() }
}

/// What one was asked to do for the addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    Evict,
    Readmit,
}

/// More than the interval of adverts, and less than half of what makes workers dead.
const STALL: Duration = Duration::from_millis(110);

/// That of the kernel's quotas.
const QUOTA_PERIOD: Duration = Duration::from_millis(100);

/// Serves nobody, and remembers what it was asked, and whether the address was there then.
pub(crate) struct Stand {
    pub(crate) alive: AtomicBool,
    /// The advert thread hangs in its question whether clients are served.
    pub(crate) hangs: AtomicBool,
    /// So does the keeper.
    pub(crate) keeper_hangs: AtomicBool,
    /// It has begun to.
    pub(crate) keeper_waits: AtomicBool,
    /// From the next question of the advert thread on they are not, for longer than from one advert to the next.
    pub(crate) stalls: AtomicBool,
    stalled_at: Mutex<Option<Instant>>,
    /// Workers answer at the beginning of each tenth of a second alone, like under a quota of the CPU that is used up.
    pub(crate) starved: AtomicBool,
    /// Nobody can be let in again.
    pub(crate) stays_shut: AtomicBool,
    /// Nobody can be let in again here.
    pub(crate) shut_at: Mutex<Option<IpAddr>>,
    /// An eviction takes so many milliseconds.
    pub(crate) eviction_takes: AtomicU64,
    asked: Mutex<Vec<(Asked, bool, Instant)>>,
    netlink: OnceLock<Rtnetlink>,
}

impl Default for Stand {
    fn default() -> Self {
        Self {
            alive: AtomicBool::new(true),
            hangs: AtomicBool::new(false),
            keeper_hangs: AtomicBool::new(false),
            keeper_waits: AtomicBool::new(false),
            stalls: AtomicBool::new(false),
            stalled_at: Mutex::new(None),
            starved: AtomicBool::new(false),
            stays_shut: AtomicBool::new(false),
            shut_at: Mutex::default(),
            eviction_takes: AtomicU64::new(0),
            asked: Mutex::default(),
            netlink: OnceLock::new(),
        }
    }
}

impl Stand {
    fn note(&self, asked: Asked, addresses: &[IpAddr]) {
        let there = self.netlink.get().is_some_and(|netlink| {
            let interfaces = netlink.interfaces().unwrap();
            addresses.iter().any(|address| interfaces.having(*address).next().is_some())
        });
        self.asked.lock().unwrap().push((asked, there, Instant::now()));
    }

    /// In order, with whether the address was there.
    pub(crate) fn asked(&self) -> Vec<(Asked, bool)> {
        self.asked.lock().unwrap().iter().map(|(asked, there, _)| (*asked, *there)).collect()
    }

    pub(crate) fn evictions(&self) -> usize {
        self.asked().iter().filter(|(asked, _)| *asked == Asked::Evict).count()
    }

    pub(crate) fn evicted_at(&self) -> Option<Instant> {
        let asked = self.asked.lock().unwrap();
        asked.iter().find(|(asked, ..)| *asked == Asked::Evict).map(|(.., at)| *at)
    }
}

impl Serving for Stand {
    fn ask(&self) {}

    fn silent_for(&self) -> Duration {
        let thread = std::thread::current();
        if thread.name() == Some("vip-keeper") {
            wait_until("it goes on", || {
                let hangs = self.keeper_hangs.load(Ordering::Relaxed);
                self.keeper_waits.store(hangs, Ordering::Relaxed);
                !hangs
            });
        }
        if thread.name() == Some("vip-adverts") {
            wait_until("it goes on", || !self.hangs.load(Ordering::Relaxed));
            let mut stalled_at = self.stalled_at.lock().unwrap();
            if self.stalls.swap(false, Ordering::Relaxed) {
                *stalled_at = Some(Instant::now());
            }
            *stalled_at = stalled_at.filter(|at| at.elapsed() < STALL);
            if stalled_at.is_some() {
                return Duration::MAX;
            }
        }
        if self.alive.load(Ordering::Relaxed) { self.starves_for() } else { Duration::MAX }
    }

    fn starves_for(&self) -> Duration {
        let of_period = Duration::from_nanos(clock::monotonic_nanos() % QUOTA_PERIOD.as_nanos() as u64);
        if self.starved.load(Ordering::Relaxed) { of_period } else { Duration::ZERO }
    }

    fn evict(&self, addresses: &[IpAddr]) {
        self.note(Asked::Evict, addresses);
        std::thread::sleep(Duration::from_millis(self.eviction_takes.load(Ordering::Relaxed)));
    }

    fn readmit(&self, addresses: &[IpAddr]) -> bool {
        self.note(Asked::Readmit, addresses);
        let shut_here = self.shut_at.lock().unwrap().is_some_and(|address| addresses.contains(&address));
        !shut_here && !self.stays_shut.load(Ordering::Relaxed)
    }
}

/// Remembers every event.
#[derive(Default)]
pub(crate) struct Memory {
    /// Whoever tells it something hangs.
    pub(crate) hangs: AtomicBool,
    events: Mutex<Vec<Event>>,
    /// What was asked of it.
    pub(crate) inquiries: Mutex<Vec<Inquiry>>,
    more: Condvar,
}

impl Sink for Memory {
    fn event(&self, event: Event) {
        wait_until("it goes on", || !self.hangs.load(Ordering::Relaxed));
        self.events.lock().unwrap().push(event);
        self.more.notify_all();
    }

    fn inquire(&self, _router: &Arc<str>, inquiry: Inquiry) {
        self.inquiries.lock().unwrap().push(inquiry);
    }
}

impl Memory {
    #[track_caller]
    pub(crate) fn wait_for(&self, wanted: impl Fn(&Event) -> bool) -> Event {
        let start = Instant::now();
        let mut events = self.events.lock().unwrap();
        loop {
            if let Some(found) = events.iter().find(|event| wanted(event)) {
                return found.clone();
            }
            let left = PATIENCE.checked_sub(start.elapsed());
            let left = left.unwrap_or_else(|| panic!("in vain; there was only {events:#?}"));
            events = self.more.wait_timeout(events, left).unwrap().0;
        }
    }

    pub(crate) fn all(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }
}

/// The virtual IPs of one host, in this process.
pub(crate) struct Node {
    pub(crate) vips: VirtualIps,
    pub(crate) stand: Arc<Stand>,
    pub(crate) memory: Arc<Memory>,
}

impl Node {
    /// One that can serve.
    #[track_caller]
    pub(crate) fn start(host: &Host, settings: Settings) -> Self {
        let node = Self::start_all(host, vec![router(settings)]);
        node.vips.set_can_serve("api", true);
        node
    }

    #[track_caller]
    pub(crate) fn start_all(host: &Host, routers: Vec<Router>) -> Self {
        Self::start_with(host, routers, Arc::default(), Arc::default())
    }

    #[track_caller]
    pub(crate) fn start_with(
        host: &Host,
        routers: Vec<Router>,
        stand: Arc<Stand>,
        memory: Arc<Memory>,
    ) -> Self {
        let netlink = host.inside(Rtnetlink::open).unwrap();
        stand.netlink.set(netlink).ok().unwrap();
        let serving = Arc::clone(&stand) as Arc<dyn Serving>;
        let sink = Arc::clone(&memory) as Arc<dyn Sink>;
        let vips = host.inside(|| VirtualIps::start(routers, serving, sink, guard_command())).unwrap();
        Self { vips, stand, memory }
    }

    pub(crate) fn status(&self) -> Status {
        self.vips.status().remove(0)
    }

    pub(crate) fn state(&self) -> State {
        self.status().vrrp.state
    }

    pub(crate) fn tally(&self) -> Tally {
        self.vips.counters().remove(0).1
    }

    #[track_caller]
    pub(crate) fn wait(&self, state: State) {
        let start = Instant::now();
        while self.state() != state {
            let (status, events) = (self.status(), self.memory.all());
            assert!(start.elapsed() < PATIENCE, "not {state:?}: {status:#?} {events:#?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Active, and the address is there.
    #[track_caller]
    pub(crate) fn wait_held(&self, host: &Host, vip: &str) {
        self.wait(State::Active);
        wait_until("the address", || host.has(vip) && self.status().vrrp.held);
    }
}

/// How many of them have the address.
pub(crate) fn holders(hosts: &[&Host], vip: &str) -> usize {
    hosts.iter().filter(|host| host.has(vip)).count()
}
