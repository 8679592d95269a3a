//! Some routers on one link, on one virtual clock: packets with delay, links that are cut in one direction, a kernel that answers
//! late, processes that crash or stand still.

use bowline_sansio::contract::Checked;
use bowline_sansio::{Instant, Machine, Prng};
use bowline_vrrp::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Every router's outputs after one input fit.
const OUTPUTS_MAX: usize = 64;

pub(crate) fn address(node: usize) -> IpAddr {
    IpAddr::from([10, 0, 0, 1 + u8::try_from(node).unwrap()])
}

/// What a group agrees on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) size: usize,
    pub(crate) interval: u16,
    pub(crate) bands: bool,
    pub(crate) when_all_bad: WhenAllBad,
    pub(crate) equal: bool,
    pub(crate) preempt: bool,
}

impl Group {
    pub(crate) fn interval(&self) -> Duration {
        Centiseconds::new(self.interval).unwrap().duration()
    }

    pub(crate) fn config(&self, node: usize) -> Config {
        let place = u8::try_from(node).unwrap();
        let priority = if self.equal { 200 } else { 254 - 4 * place };
        let peers = if self.bands {
            Peers::Planned((0..self.size).filter(|&peer| peer != node).map(address).collect())
        } else {
            Peers::Any
        };
        let settings = Settings {
            vrid: Vrid::new(51).unwrap(),
            protocol: Protocol::V3 {
                interval: Centiseconds::new(self.interval).unwrap(),
                checksum: ChecksumForm::PseudoHeader,
            },
            addresses: Addresses::new(vec![IpAddr::from([10, 0, 0, 100])]).unwrap(),
            source: address(node),
            priority: Priority::new(priority).unwrap(),
            rank: place,
            preempt: self.preempt,
            preempt_delay: Duration::ZERO,
            peers,
            transport: Transport::Multicast,
            bands: self.bands,
            when_all_bad: self.when_all_bad,
            stability: STABILITY,
            lease: LEASE,
        };
        Config::new(settings).unwrap()
    }
}

pub(crate) const STABILITY: Duration = Duration::from_secs(2);
/// Two rounds of fresh evidence, and what the daemon needs for it.
pub(crate) const EVIDENCE_MAX: Duration = Duration::from_millis(120);
const LEASE: Duration = Duration::from_secs(1);

/// One host.
struct Node {
    config: Config,
    router: Option<Checked<VirtualRouter>>,
    /// As it believes.
    can_serve: bool,
    /// As fresh evidence would show.
    reaches: bool,
    /// How often that has changed.
    changes: u64,
    faulty: bool,
    paused_until: Instant,
    /// The kernel has the addresses.
    holds: bool,
    /// Answers from before a crash are for nobody.
    life: u64,
}

enum Arrival {
    Packet {
        from: usize,
        bytes: std::sync::Arc<[u8]>,
    },
    /// Of the kernel, for this life.
    Order {
        life: u64,
        output: Output,
    },
    /// Evidence, for this life, if nothing has changed while it was sought.
    Evidence {
        life: u64,
        changes: u64,
        inquiry: Inquiry,
    },
}

pub(crate) struct World {
    pub(crate) group: Group,
    nodes: Vec<Node>,
    /// When, and in which order of those; to whom.
    arrivals: BTreeMap<(Instant, u64), (usize, Arrival)>,
    sequence: u64,
    /// From, to.
    cut: Vec<Vec<bool>>,
    prng: Prng,
    pub(crate) now: Instant,
    pub(crate) transitions: Vec<(Instant, usize, State, State, Reason)>,
    pub(crate) adverts: usize,
    /// Moments at which two kernels had the addresses.
    pub(crate) both: Duration,
    pub(crate) nobody: Duration,
}

impl World {
    pub(crate) fn new(group: Group, seed: u64) -> Self {
        let nodes = (0..group.size)
            .map(|node| Node {
                config: group.config(node),
                router: None,
                can_serve: true,
                reaches: true,
                changes: 0,
                faulty: false,
                paused_until: Instant::ORIGIN,
                holds: false,
                life: 0,
            })
            .collect();
        let mut world = Self {
            group,
            nodes,
            arrivals: BTreeMap::new(),
            sequence: 0,
            cut: vec![vec![false; group.size]; group.size],
            prng: Prng::new(seed),
            now: Instant::ORIGIN,
            transitions: Vec::new(),
            adverts: 0,
            both: Duration::ZERO,
            nobody: Duration::ZERO,
        };
        for node in 0..group.size {
            world.start(node);
        }
        world
    }

    pub(crate) fn start(&mut self, node: usize) {
        let host = &mut self.nodes[node];
        if host.router.is_none() {
            host.life += 1;
            let router = VirtualRouter::new(host.config.clone(), self.now);
            host.router = Some(Checked::new(router, OUTPUTS_MAX));
            let (can_serve, faulty) = (host.can_serve, host.faulty);
            self.input(node, Input::CanServe(can_serve));
            if faulty {
                self.input(node, Input::Fault(Fault::LinkDown));
            }
            self.input(node, Input::Start);
        }
    }

    /// The process dies; its guard says goodbye and removes the addresses.
    pub(crate) fn crash(&mut self, node: usize, guarded: bool) {
        let host = &mut self.nodes[node];
        if host.router.take().is_some() {
            host.life += 1;
            host.holds = false;
            if guarded {
                for transmission in adverts(&host.config.clone(), 0) {
                    self.send(node, &transmission);
                }
            }
        }
    }

    pub(crate) fn leave(&mut self, node: usize) {
        self.input(node, Input::Leave);
    }

    pub(crate) fn rejoin(&mut self, node: usize) {
        self.input(node, Input::Start);
    }

    /// It is so, and the node has found out.
    pub(crate) fn set_can_serve(&mut self, node: usize, can_serve: bool) {
        self.set_reaches(node, can_serve);
        self.believe(node, can_serve);
    }

    /// It is so, whatever the node believes.
    pub(crate) fn set_reaches(&mut self, node: usize, reaches: bool) {
        let host = &mut self.nodes[node];
        host.changes += u64::from(host.reaches != reaches);
        host.reaches = reaches;
    }

    /// The node believes it, whatever is so.
    pub(crate) fn believe(&mut self, node: usize, can_serve: bool) {
        self.nodes[node].can_serve = can_serve;
        self.input(node, Input::CanServe(can_serve));
    }

    pub(crate) fn can_serve(&self, node: usize) -> bool {
        self.nodes[node].can_serve
    }

    pub(crate) fn set_fault(&mut self, node: usize, faulty: bool) {
        self.nodes[node].faulty = faulty;
        let fault = Fault::LinkDown;
        self.input(node, if faulty { Input::Fault(fault) } else { Input::Recovered(fault) });
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize, cut: bool) {
        self.cut[from][to] = cut;
    }

    pub(crate) fn pause(&mut self, node: usize, length: Duration) {
        self.nodes[node].paused_until = self.now + length;
    }

    /// Who is Active, or still serves.
    pub(crate) fn holders(&self) -> Vec<usize> {
        (0..self.group.size)
            .filter(|&node| matches!(self.state(node), Some(State::Active | State::HandingOver)))
            .collect()
    }

    pub(crate) fn state(&self, node: usize) -> Option<State> {
        self.nodes[node].router.as_ref().map(|router| router.get().status().state)
    }

    pub(crate) fn who_holds(&self) -> Vec<usize> {
        (0..self.group.size).filter(|&node| self.nodes[node].holds).collect()
    }

    fn input(&mut self, node: usize, input: Input) {
        let now = self.now;
        let Some(router) = &mut self.nodes[node].router else { return };
        let outputs = router.step(input, now);
        router.get().check_invariants();
        for output in outputs {
            self.output(node, output);
        }
    }

    fn output(&mut self, node: usize, output: Output) {
        match output {
            Output::Send(transmission) => self.send(node, &transmission),
            Output::Acquire(_) | Output::Release(..) => {
                let life = self.nodes[node].life;
                let delay = Duration::from_micros(100 + self.prng.below(4_900));
                self.arrive(node, delay, Arrival::Order { life, output });
            }
            Output::Announce(_) => {}
            Output::Inquire(inquiry) => {
                let (life, changes) = (self.nodes[node].life, self.nodes[node].changes);
                let sought = EVIDENCE_MAX.as_micros() as u64 - self.prng.below(20_000);
                if self.nodes[node].reaches {
                    let delay = Duration::from_micros(sought);
                    self.arrive(node, delay, Arrival::Evidence { life, changes, inquiry });
                }
            }
            Output::Event(Event::Transition { from, to, reason }) => {
                self.transitions.push((self.now, node, from, to, reason));
            }
            Output::Event(_) => {}
        }
    }

    fn send(&mut self, from: usize, transmission: &Transmission) {
        self.adverts += 1;
        for to in 0..self.group.size {
            if to != from && !self.cut[from][to] && !self.nodes[from].faulty && !self.nodes[to].faulty {
                let delay = Duration::from_micros(50 + self.prng.below(950));
                let bytes = transmission.bytes.clone();
                self.arrive(to, delay, Arrival::Packet { from, bytes });
            }
        }
    }

    fn arrive(&mut self, node: usize, delay: Duration, arrival: Arrival) {
        // In order on each way, as links and the kernel's queue are.
        let is_same_way = |other: &Arrival| match (&arrival, other) {
            (Arrival::Packet { from, .. }, Arrival::Packet { from: other, .. }) => from == other,
            (Arrival::Order { .. }, Arrival::Order { .. }) => true,
            _ => false,
        };
        let last = self.arrivals.iter().rev().find(|(_, (to, other))| *to == node && is_same_way(other));
        let at = (self.now + delay).max(last.map_or(Instant::ORIGIN, |((at, _), _)| *at));
        self.sequence += 1;
        self.arrivals.insert((at, self.sequence), (node, arrival));
    }

    /// The next arrival or timeout: when, and whether it is a node's timeout. Who stands still gets both later, packets first.
    fn next(&self) -> Option<(Instant, Option<usize>)> {
        let arrival = self.arrivals.iter().map(|((at, _), (node, _))| self.late(*node, *at)).min();
        let timeouts = (0..self.group.size).filter_map(|node| {
            let due = self.nodes[node].router.as_ref()?.get().poll_timeout()?;
            Some((self.late(node, due), Some(node)))
        });
        arrival
            .map(|at| (at, None))
            .into_iter()
            .chain(timeouts)
            .min_by_key(|&(at, node)| (at, node.is_some()))
    }

    fn late(&self, node: usize, at: Instant) -> Instant {
        at.max(self.nodes[node].paused_until).max(self.now)
    }

    /// Lets the time pass.
    pub(crate) fn run(&mut self, length: Duration) {
        let end = self.now + length;
        while let Some((at, timeout)) = self.next().filter(|&(at, _)| at <= end) {
            self.pass(at);
            match timeout {
                Some(node) => self.input(node, Input::Timeout),
                None => {
                    let key = self
                        .arrivals
                        .iter()
                        .find(|((due, _), (node, _))| self.late(*node, *due) <= at)
                        .map(|(key, _)| *key)
                        .unwrap();
                    let (node, arrival) = self.arrivals.remove(&key).unwrap();
                    self.arrived(node, arrival);
                }
            }
        }
        self.pass(end);
    }

    fn pass(&mut self, to: Instant) {
        let passed = to.since(self.now);
        match self.who_holds().len() {
            0 => self.nobody += passed,
            1 => {}
            _ => self.both += passed,
        }
        self.now = to;
    }

    fn arrived(&mut self, node: usize, arrival: Arrival) {
        match arrival {
            Arrival::Packet { from, bytes } => {
                let config = &self.nodes[node].config;
                let packet = Received {
                    source: address(from),
                    destination: Family::V4.group(),
                    hop_limit: Some(255),
                    bytes: &bytes,
                };
                let advert = receive(config, packet).expect("an advert of a router is accepted by its peers");
                self.input(node, Input::Received(advert));
            }
            Arrival::Order { life, output } if life == self.nodes[node].life => match output {
                Output::Acquire(tenure) => {
                    self.nodes[node].holds = true;
                    self.input(node, Input::Held(tenure));
                }
                Output::Release(tenure, _) => {
                    self.nodes[node].holds = false;
                    self.input(node, Input::Released(tenure));
                }
                Output::Send(_) | Output::Announce(_) | Output::Inquire(_) | Output::Event(_) => {}
            },
            Arrival::Order { .. } => {}
            Arrival::Evidence { life, changes, inquiry } => {
                let host = &self.nodes[node];
                if (life, changes) == (host.life, host.changes) {
                    self.input(node, Input::Confirmed(inquiry));
                }
            }
        }
    }
}
