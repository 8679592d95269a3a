//! A world as it is at one moment: everything that checkers look at.

use crate::bounds::Bounds;
use crate::bug::{Bug, Subject};
use crate::clock::Clock;
use crate::event::{Event, Queue, Seat};
use crate::foreign::Foreign;
use crate::network::Network;
use crate::options::{Options, up_to};
use crate::trace::Trace;
use bowline_sansio::{Instant, Prng};
use bowline_vrrp::{Config, ConfigError, Fault, State as RouterState, Tenure, WhenAllBad};
use core::time::Duration;

/// The daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Process {
    Running,
    /// Its threads do not run.
    Hung,
    Dead,
}

/// The machine with its kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Host {
    Up,
    /// Nothing in it runs.
    Frozen,
    Off,
}

/// The addresses of one virtual router in one kernel: they come and go together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub(crate) since: Instant,
    /// By the host's clock.
    pub(crate) expires: Instant,
}

/// One virtual router on one node.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) config: Config,
    /// Since when that is so.
    pub(crate) configured: Instant,
    /// While the process lives.
    pub(crate) subject: Option<Subject>,
    /// Instead, on a node of another make.
    pub(crate) foreign: Option<Foreign>,
    /// The earliest wake-up that is planned.
    pub(crate) wake: Option<Instant>,
    pub(crate) address: Option<Address>,
    /// A look at the lease is planned.
    pub(crate) lease_watched: bool,
    /// What the keeper is to have.
    pub(crate) wanted: Option<Tenure>,
    /// There are connections through the address.
    pub(crate) connected: bool,
    /// Since when it is Active and knows that it has the addresses.
    pub(crate) active_since: Option<Instant>,
    /// It was Active, stood still for too long, and has not yet said that it gives the addresses up.
    pub(crate) stalled: bool,
    /// It was Active when its process ended.
    pub(crate) died_active: bool,
}

/// A host with its daemon.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) clock: Clock,
    /// Of its processes, this is the how manieth.
    pub(crate) life: u32,
    pub(crate) process: Process,
    pub(crate) host: Host,
    /// Since when process and host are as they are.
    pub(crate) since: Instant,
    /// It stood still with its clock until then: it cannot know.
    pub(crate) deceived: Instant,
    pub(crate) link_down: bool,
    pub(crate) wedged: bool,
    /// As it believes.
    pub(crate) can_serve: bool,
    /// Since when it does.
    pub(crate) can_serve_since: Instant,
    /// Whether it reaches an API server, believed or not.
    pub(crate) reaches: bool,
    /// Since when it is so.
    pub(crate) reaches_since: Instant,
    /// How often that has changed.
    pub(crate) changes: u64,
    /// It stops for good.
    pub(crate) leaving: bool,
    /// There was a guard when the process ended, and it did not come to it yet.
    pub(crate) guarded: bool,
    /// The kernel has something to do until then.
    pub(crate) busy_until: Instant,
    pub(crate) slow: bool,
    /// Until when it was slow.
    pub(crate) slow_until: Instant,
    /// A fault that allows no second one.
    pub(crate) occupied: bool,
    /// What came while nothing ran.
    pub(crate) pending: Vec<Event>,
    pub(crate) routers: Vec<Router>,
}

impl Node {
    pub(crate) fn runs(&self) -> bool {
        self.process == Process::Running && self.host == Host::Up
    }

    /// Whether it answers for addresses that it has.
    pub(crate) fn answers(&self) -> bool {
        self.host == Host::Up && !self.link_down
    }
}

/// What a client believes of one virtual IP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Belief {
    pub(crate) holder: Option<usize>,
    pub(crate) changed: Instant,
}

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// Addresses that came to another node than had them before.
    pub failovers: u64,
    /// Addresses that came to any node.
    pub acquisitions: u64,
    /// Adverts sent.
    pub adverts: u64,
    /// Announcements sent.
    pub announcements: u64,
    /// Packets discarded.
    pub discards: u64,
    /// Everything that happened.
    pub events: u64,
    /// Faults.
    pub faults: u64,
    /// Simulated time.
    pub time: Duration,
}

impl Stats {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.failovers += other.failovers;
        self.acquisitions += other.acquisitions;
        self.adverts += other.adverts;
        self.announcements += other.announcements;
        self.discards += other.discards;
        self.events += other.events;
        self.faults += other.faults;
        self.time += other.time;
    }
}

/// Everything there is.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) bounds: Bounds,
    pub(crate) bug: Option<Bug>,
    pub(crate) now: Instant,
    pub(crate) queue: Queue,
    pub(crate) prng: Prng,
    pub(crate) network: Network,
    pub(crate) nodes: Vec<Node>,
    /// By client, by virtual IP.
    pub(crate) beliefs: Vec<Vec<Belief>>,
    /// The last change that nobody in the group made.
    pub(crate) calm_since: Instant,
    /// Faults that stand and let nothing settle.
    pub(crate) restless: u32,
    /// When two had or claimed each virtual IP for the last time, or somebody began to.
    pub(crate) contested: Vec<Instant>,
    /// When that began, after a while without it.
    pub(crate) contest_began: Vec<Instant>,
    /// Who gave way to another Active router the last time, and when.
    pub(crate) yielded: Vec<Option<(usize, Instant)>>,
    /// And whether it had two at the last look.
    pub(crate) was_contested: Vec<bool>,
    /// When one node reached an API server and another did not for the last time: first by the one, then by the other.
    differed: Vec<Vec<Option<Instant>>>,
    /// Who had each virtual IP last.
    pub(crate) last_owner: Vec<Option<usize>>,
    pub(crate) stats: Stats,
    pub(crate) trace: Trace,
}

impl State {
    pub(crate) fn new(options: Options, bug: Option<Bug>, wanted: bool) -> Result<Self, ConfigError> {
        let mut prng = Prng::new(options.seed ^ WORLD);
        let mut nodes = Vec::new();
        for node in 0..options.routers {
            let drift =
                i64::try_from(prng.below(2 * options.drift.unsigned_abs() + 1)).unwrap_or(0) - options.drift;
            let offset = i64::try_from(prng.below(OFFSET_MAX)).unwrap_or(0);
            let routers = (0..options.virtual_ips).map(|vip| options.config(node, vip).map(Router::new));
            nodes.push(Node {
                clock: Clock::new(drift, offset),
                life: 0,
                process: Process::Dead,
                host: Host::Up,
                since: Instant::ORIGIN,
                deceived: Instant::ORIGIN,
                link_down: false,
                wedged: false,
                can_serve: true,
                can_serve_since: Instant::ORIGIN,
                reaches: true,
                reaches_since: Instant::ORIGIN,
                changes: 0,
                leaving: false,
                guarded: false,
                busy_until: Instant::ORIGIN,
                slow: false,
                slow_until: Instant::ORIGIN,
                occupied: false,
                pending: Vec::new(),
                routers: routers.collect::<Result<_, _>>()?,
            });
        }
        let belief = Belief { holder: None, changed: Instant::ORIGIN };
        Ok(Self {
            bounds: Bounds::of(&options),
            bug,
            now: Instant::ORIGIN,
            queue: Queue::default(),
            prng,
            network: Network::new(&options),
            nodes,
            beliefs: vec![vec![belief; options.virtual_ips]; options.clients],
            calm_since: Instant::ORIGIN,
            restless: 0,
            contested: vec![Instant::ORIGIN; options.virtual_ips],
            contest_began: vec![Instant::ORIGIN; options.virtual_ips],
            yielded: vec![None; options.virtual_ips],
            was_contested: vec![false; options.virtual_ips],
            differed: vec![vec![None; options.routers]; options.routers],
            last_owner: vec![None; options.virtual_ips],
            stats: Stats::default(),
            trace: Trace::new(wanted),
            options,
        })
    }

    pub(crate) fn seat(&self, node: usize, vip: usize) -> Seat {
        Seat { node, vip, life: self.nodes[node].life }
    }

    pub(crate) fn router(&self, node: usize, vip: usize) -> &Router {
        &self.nodes[node].routers[vip]
    }

    pub(crate) fn router_mut(&mut self, node: usize, vip: usize) -> &mut Router {
        &mut self.nodes[node].routers[vip]
    }

    pub(crate) fn local(&self, node: usize) -> Instant {
        self.nodes[node].clock.local(self.now)
    }

    pub(crate) fn draw(&mut self, most: Duration) -> Duration {
        up_to(&mut self.prng, most)
    }

    /// For how long nothing was done to the group, and nothing that unsettles it stands.
    pub(crate) fn calm(&self) -> Duration {
        if self.restless > 0 { Duration::ZERO } else { self.now.since(self.calm_since) }
    }

    /// Writes down who reaches more than whom; before anything changes about it.
    pub(crate) fn note_differences(&mut self) {
        for one in 0..self.options.routers {
            for other in 0..self.options.routers {
                self.differed[one][other] = self.differed(one, other);
            }
        }
    }

    /// When `one` reached an API server and `other` did not, for the last time.
    pub(crate) fn differed(&self, one: usize, other: usize) -> Option<Instant> {
        let differ = self.nodes[one].reaches && !self.nodes[other].reaches;
        if differ { Some(self.now) } else { self.differed[one][other] }
    }

    /// Whether `node` answers for `vip`.
    pub(crate) fn owns(&self, node: usize, vip: usize) -> bool {
        self.nodes[node].answers() && self.router(node, vip).address.is_some()
    }

    pub(crate) fn owners(&self, vip: usize) -> impl Iterator<Item = usize> {
        (0..self.options.routers).filter(move |&node| self.owns(node, vip))
    }

    /// Since when `node` has been a holder that does its part: Active, with the addresses, awake.
    pub(crate) fn healthy_since(&self, node: usize, vip: usize) -> Option<Instant> {
        let it = &self.nodes[node];
        let active = self.router(node, vip).active_since?;
        (it.runs() && it.answers() && self.owns(node, vip)).then(|| active.max(it.since))
    }

    /// Whether `node` would take over if there was no holder.
    pub(crate) fn is_eligible(&self, node: usize, vip: usize) -> bool {
        let it = &self.nodes[node];
        let fit = it.can_serve || self.options.when_all_bad == WhenAllBad::Keep;
        let status = self.router(node, vip).subject.as_ref().map(|subject| subject.machine().status());
        // What the kernel has refused is tried again later.
        let takes_part = status.is_some_and(|status| {
            status.state != RouterState::Initialize && status.fault != Some(Fault::NotHeld)
        });
        it.runs() && it.answers() && !it.wedged && !it.leaving && fit && takes_part
    }
}

impl Router {
    const fn new(config: Config) -> Self {
        Self {
            config,
            configured: Instant::ORIGIN,
            subject: None,
            foreign: None,
            wake: None,
            address: None,
            lease_watched: false,
            wanted: None,
            connected: false,
            active_since: None,
            stalled: false,
            died_active: false,
        }
    }

    /// When it wants its timeout, by its host's clock.
    pub(crate) fn due(&self) -> Option<Instant> {
        match (&self.subject, &self.foreign) {
            (Some(subject), _) => subject.poll_timeout(),
            (None, Some(foreign)) => foreign.poll_timeout(),
            (None, None) => None,
        }
    }

    pub(crate) fn state(&self) -> Option<RouterState> {
        self.subject.as_ref().map(|subject| subject.machine().status().state)
    }
}

/// Tells the world's randomness from that of its options.
const WORLD: u64 = 0x5bd1_e995_9d1b_54a5;

/// Hosts have been up for different times.
const OFFSET_MAX: u64 = 1_000_000_000_000;
