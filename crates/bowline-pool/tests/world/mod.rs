//! A small world on virtual time: one pool with its probing shell, servers that fail, and clients that are dialled.

use bowline_pool::*;
use bowline_sansio::contract::Checked;
use bowline_sansio::{Instant, Machine};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Up,
    /// The process is gone.
    Refusing,
    /// The host is cut off: packets vanish.
    Silent,
    /// The kernel accepts, the process does nothing.
    Frozen,
    /// `/readyz` fails.
    NotReady,
    /// SYNs vanish, open connections work.
    BacklogFull,
}

pub(crate) struct Server {
    pub(crate) mode: Mode,
    pub(crate) rtt: Duration,
    /// The probe's connection is open.
    kept: bool,
}

enum What {
    ProbeArrives { endpoint: EndpointId, number: u64, anew: bool },
    ProbeEnds { endpoint: EndpointId, number: u64, result: ProbeResult },
    SynArrives { client: usize, attempt: Attempt, address: SocketAddr },
    AttemptEnds { client: usize, attempt: Attempt, refused: bool },
    FlightArrives { endpoint: EndpointId, address: SocketAddr },
    Report { endpoint: EndpointId, evidence: Evidence },
    Change { server: usize, mode: Mode },
    Call,
}

pub(crate) struct Client {
    pub(crate) dial: Option<Checked<Dial>>,
    pub(crate) called: Instant,
    pub(crate) picks: Vec<(Instant, usize)>,
    pub(crate) won: Option<(Instant, usize)>,
    pub(crate) gave_up: Option<(Instant, GiveUp)>,
    leases: BTreeMap<Attempt, ConnectionLease>,
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) pool: Checked<Pool>,
    pub(crate) servers: Vec<Server>,
    pub(crate) clients: Vec<Client>,
    pub(crate) probes: Vec<(Instant, usize)>,
    pub(crate) events: Vec<(Instant, Event)>,
    pub(crate) timers: Timers,
    addresses: Vec<SocketAddr>,
    agenda: BTreeMap<(Instant, u64), What>,
    sequence: u64,
    /// The number of the probe in flight of each endpoint.
    asked: BTreeMap<EndpointId, u64>,
}

pub(crate) fn spec(servers: usize, policy: Policy, timers: Timers) -> PoolSpec {
    let endpoints = (1..=servers)
        .map(|n| EndpointSpec {
            name: format!("cp{n}"),
            address: format!("10.0.0.{n}:6443").parse().unwrap(),
        })
        .collect();
    PoolSpec { policy, endpoints, probed: usize::MAX, timers }
}

impl World {
    pub(crate) fn new(servers: usize, policy: Policy, timers: Timers, seed: u64) -> Self {
        let spec = spec(servers, policy, timers);
        let addresses = spec.endpoints.iter().map(|endpoint| endpoint.address).collect();
        let mut pool = Pool::new(spec, seed, ms(0));
        let first: Vec<_> = std::iter::from_fn(|| pool.poll_output()).collect();
        let server = || Server { mode: Mode::Up, rtt: Duration::from_micros(200), kept: false };
        let mut world = Self {
            now: ms(0),
            pool: Checked::new(pool, 10_000),
            servers: std::iter::repeat_with(server).take(servers).collect(),
            clients: Vec::new(),
            probes: Vec::new(),
            events: Vec::new(),
            timers,
            addresses,
            agenda: BTreeMap::new(),
            sequence: 0,
            asked: BTreeMap::new(),
        };
        world.pool_outputs(first);
        world
    }

    fn plan(&mut self, at: Instant, what: What) {
        self.sequence += 1;
        self.agenda.insert((at, self.sequence), what);
    }

    pub(crate) fn change_at(&mut self, at: Instant, server: usize, mode: Mode) {
        self.plan(at, What::Change { server, mode });
    }

    pub(crate) fn report_at(&mut self, at: Instant, server: usize, evidence: Evidence) {
        self.plan(at, What::Report { endpoint: self.id(server), evidence });
    }

    /// One client every `every` in `from..to`.
    pub(crate) fn call(&mut self, from: Instant, to: Instant, every: Duration) {
        let mut at = from;
        while at < to {
            self.plan(at, What::Call);
            at += every;
        }
    }

    pub(crate) fn id(&self, server: usize) -> EndpointId {
        self.pool.get().snapshot().endpoints[server].id
    }

    pub(crate) fn grade(&self, server: usize) -> Grade {
        self.pool.get().snapshot().endpoints[server].grade
    }

    fn server(&self, address: SocketAddr) -> usize {
        self.addresses.iter().position(|&known| known == address).unwrap()
    }

    fn server_of(&self, endpoint: EndpointId) -> Option<usize> {
        let snapshot = self.pool.get().snapshot();
        snapshot.endpoints.iter().find(|seen| seen.id == endpoint).map(|seen| self.server(seen.address))
    }

    /// Runs everything up to and including `end`: what arrives goes before timeouts of the same moment.
    pub(crate) fn run(&mut self, end: Instant) {
        loop {
            let arrival = self.agenda.keys().next().map(|&(at, _)| at);
            let pool = self.pool.get().poll_timeout();
            let dials = self.clients.iter().enumerate();
            let dial =
                dials.filter_map(|(n, client)| Some((client.dial.as_ref()?.get().poll_timeout()?, n))).min();
            let next = [arrival, pool, dial.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(next) = next.filter(|&next| next <= end) else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, what) = self.agenda.pop_first().unwrap();
                self.happen(what);
            } else if pool == Some(next) {
                let (_, outputs) = self.pool.step_timeout(Input::Timeout).unwrap();
                self.pool_outputs(outputs);
            } else {
                let (_, client) = dial.unwrap();
                let (_, outputs) =
                    self.clients[client].dial.as_mut().unwrap().step_timeout(DialInput::Timeout).unwrap();
                self.dial_outputs(client, outputs);
            }
            self.pool.get().check_invariants();
        }
        self.now = self.now.max(end);
    }

    fn pool_step(&mut self, input: Input) {
        let outputs = self.pool.step(input, self.now);
        self.pool_outputs(outputs);
    }

    fn dial_step(&mut self, client: usize, input: DialInput) {
        let now = self.now;
        if let Some(dial) = self.clients[client].dial.as_mut() {
            let outputs = dial.step(input, now);
            self.dial_outputs(client, outputs);
        }
    }

    fn pool_outputs(&mut self, outputs: Vec<Output>) {
        for output in outputs {
            match output {
                Output::Probe { endpoint, address, fresh, .. } => self.probe(endpoint, address, fresh),
                Output::Forget { .. } | Output::Inquired { .. } => {}
                Output::Event(event) => self.events.push((self.now, event)),
                Output::Publish(snapshot) => {
                    for client in 0..self.clients.len() {
                        self.dial_step(client, DialInput::Snapshot(Arc::clone(&snapshot)));
                    }
                }
            }
        }
    }

    fn probe(&mut self, endpoint: EndpointId, address: SocketAddr, fresh: bool) {
        let server = self.server(address);
        self.probes.push((self.now, server));
        let number = self.probes.len() as u64;
        assert_eq!(self.asked.insert(endpoint, number), None, "two probes of {address} in flight");
        let anew = fresh || !self.servers[server].kept;
        let arrival = self.now + self.servers[server].rtt * if anew { 2 } else { 1 };
        self.plan(arrival, What::ProbeArrives { endpoint, number, anew });
        let (timeout, stage) = if anew {
            (self.timers.probe_timeout_handshake, Stage::Handshake)
        } else {
            (self.timers.probe_timeout, Stage::Request)
        };
        let result = ProbeResult::Failed(ProbeFailure::TimedOut(stage));
        self.plan(self.now + timeout, What::ProbeEnds { endpoint, number, result });
    }

    fn happen(&mut self, what: What) {
        match what {
            What::ProbeArrives { endpoint, number, anew } => self.probe_arrives(endpoint, number, anew),
            What::ProbeEnds { endpoint, number, result } => {
                if self.asked.get(&endpoint) == Some(&number) {
                    self.asked.remove(&endpoint);
                    if let (Some(server), ProbeResult::Failed(_)) = (self.server_of(endpoint), &result) {
                        self.servers[server].kept = false;
                    }
                    self.pool_step(Input::Probed { endpoint, result });
                }
            }
            What::SynArrives { client, attempt, address } => {
                let server = &self.servers[self.server(address)];
                let refused = match server.mode {
                    Mode::Up | Mode::Frozen | Mode::NotReady => false,
                    Mode::Refusing => true,
                    Mode::Silent | Mode::BacklogFull => return,
                };
                self.plan(self.now + server.rtt / 2, What::AttemptEnds { client, attempt, refused });
            }
            What::AttemptEnds { client, attempt, refused } => {
                let input = if refused { DialInput::Refused(attempt) } else { DialInput::Connected(attempt) };
                self.dial_step(client, input);
            }
            What::FlightArrives { endpoint, address } => match self.servers[self.server(address)].mode {
                Mode::Up | Mode::NotReady | Mode::BacklogFull => {
                    let snapshot = self.pool.get().snapshot();
                    let seen = snapshot.endpoints.iter().find(|seen| seen.id == endpoint);
                    if seen.is_some_and(|seen| !seen.grade.is_usable()) {
                        self.pool_step(Input::Reported { endpoint, evidence: Evidence::Answered });
                    }
                }
                Mode::Frozen | Mode::Silent => {
                    let evidence = Evidence::UnansweredFlight;
                    self.plan(self.now + self.timers.first_flight, What::Report { endpoint, evidence });
                }
                Mode::Refusing => {}
            },
            What::Report { endpoint, evidence } => self.pool_step(Input::Reported { endpoint, evidence }),
            What::Change { server, mode } => {
                self.servers[server].mode = mode;
                if mode == Mode::Refusing {
                    self.servers[server].kept = false;
                }
            }
            What::Call => {
                let number = self.clients.len() as u64;
                let ticket = Ticket { turn: number, seed: number ^ 0x5eed, crowd: 0 };
                let mut dial = Dial::new(self.pool.get().snapshot(), ticket, self.now);
                let first: Vec<_> = std::iter::from_fn(|| dial.poll_output()).collect();
                self.clients.push(Client {
                    dial: Some(Checked::new(dial, 100)),
                    called: self.now,
                    picks: Vec::new(),
                    won: None,
                    gave_up: None,
                    leases: BTreeMap::new(),
                });
                self.dial_outputs(self.clients.len() - 1, first);
            }
        }
    }

    fn probe_arrives(&mut self, endpoint: EndpointId, number: u64, anew: bool) {
        let Some(server) = self.server_of(endpoint) else { return };
        let Server { mode, rtt, ref mut kept } = self.servers[server];
        let answer = |readyz, livez| ProbeResult::Answered {
            readyz,
            livez,
            certificate: Certificate::Verified,
            connect: anew.then_some(rtt),
        };
        let result = match mode {
            Mode::Up => answer(Status::Ok, None),
            Mode::BacklogFull if !anew => answer(Status::Ok, None),
            Mode::NotReady => answer(Status::Failing(500), Some(Status::Ok)),
            Mode::Refusing => ProbeResult::Failed(ProbeFailure::Refused),
            Mode::Silent | Mode::Frozen | Mode::BacklogFull => return,
        };
        *kept |= mode != Mode::Refusing;
        self.plan(self.now + rtt / 2, What::ProbeEnds { endpoint, number, result });
    }

    fn dial_outputs(&mut self, client: usize, outputs: Vec<DialOutput>) {
        for output in outputs {
            let now = self.now;
            match output {
                DialOutput::Connect { attempt, address, lease, .. } => {
                    let server = self.server(address);
                    self.clients[client].picks.push((now, server));
                    self.clients[client].leases.insert(attempt, lease);
                    let arrival = now + self.servers[server].rtt / 2;
                    self.plan(arrival, What::SynArrives { client, attempt, address });
                }
                DialOutput::Abort { attempt } => {
                    assert!(self.clients[client].leases.remove(&attempt).is_some())
                }
                DialOutput::Won { endpoint, .. } => {
                    let snapshot = self.pool.get().snapshot();
                    let address = snapshot.endpoints.iter().find(|seen| seen.id == endpoint).unwrap().address;
                    let server = self.server(address);
                    let client = &mut self.clients[client];
                    client.won = Some((now, server));
                    client.dial = None;
                    client.leases.clear();
                    let arrival = now + self.servers[server].rtt / 2;
                    self.plan(arrival, What::FlightArrives { endpoint, address });
                }
                DialOutput::GiveUp(reason) => {
                    self.clients[client].gave_up = Some((now, reason));
                    self.clients[client].dial = None;
                    self.clients[client].leases.clear();
                }
                DialOutput::Report { endpoint, evidence } => {
                    self.pool_step(Input::Reported { endpoint, evidence })
                }
            }
        }
    }

    /// When the last client whose first choice was `server` was called.
    pub(crate) fn last_pick(&self, server: usize) -> Option<Instant> {
        self.clients
            .iter()
            .flat_map(|client| &client.picks)
            .filter(|pick| pick.1 == server)
            .map(|pick| pick.0)
            .max()
    }

    /// How long the slowest client waited; panics when one was given up.
    pub(crate) fn slowest(&self, from: Instant) -> Duration {
        let clients = self.clients.iter().filter(|client| client.called >= from);
        clients
            .map(|client| client.won.expect("every client gets through").0.since(client.called))
            .max()
            .unwrap()
    }
}
