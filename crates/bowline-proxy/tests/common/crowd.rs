//! Thousands of clients and the endpoint behind them, in one thread: each sends a stream that can be checked to the byte.
//!
//! A client says its number and how much it and its endpoint will send (16 bytes), then both send their streams, end them, and
//! read to the end. Every byte depends on the connection, the direction and the place.

#![allow(dead_code, reason = "each test file uses its part of it")]

use bowline_sys::epoll::{Epoll, Events, Interest};
use bowline_sys::tcp;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, any_port};

/// How one connection goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// Bytes that the client sends after its preamble.
    pub(crate) up: u32,
    /// Bytes that the endpoint sends.
    pub(crate) down: u32,
    /// The most that is read at a time before others get their turn.
    pub(crate) gulp: usize,
    pub(crate) end: End,
}

/// Who ends it, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// Each side ends its stream when it is sent.
    Well,
    /// The client waits for the end of the other stream before it ends its own.
    Last,
    /// The client resets the connection when it has received so many bytes.
    ClientResets(u32),
    /// The endpoint does.
    EndpointResets(u32),
}

impl Script {
    fn is_cut(self) -> bool {
        match self.end {
            End::Well | End::Last => false,
            End::ClientResets(_) | End::EndpointResets(_) => true,
        }
    }
}

/// How connections ended, on the clients' side and on the endpoint's.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Tally {
    /// Every byte came, and then the end of the stream.
    pub(crate) whole: usize,
    /// A reset was sent or seen.
    pub(crate) reset: usize,
    /// It was closed without a byte: a client left while it was held, and nobody else came for the connection made for it.
    pub(crate) unused: usize,
}

const PREAMBLE: usize = 16;

/// Streams repeat after a prime number of bytes.
const PERIOD: usize = 65_521;

const BLOCK: usize = 64 * 1024;

struct Peer {
    socket: Option<OwnedFd>,
    is_client: bool,
    number: u32,
    /// Known to a client at once, to the endpoint after the preamble.
    script: Option<Script>,
    preamble: Vec<u8>,
    sent: usize,
    received: usize,
    writable: bool,
    readable: bool,
    finished: bool,
    ended: bool,
    queued: bool,
}

/// Clients, and the endpoint they are sent to.
pub(crate) struct Crowd {
    epoll: Epoll,
    events: Events,
    listeners: Vec<TcpListener>,
    peers: Vec<Peer>,
    free: Vec<usize>,
    queue: Vec<usize>,
    stream: Vec<u8>,
    block: Vec<u8>,
    next: u32,
    /// While it is set nothing is sent beyond so many bytes.
    pub(crate) hold_at: Option<usize>,
    scripts: Vec<Script>,
    pub(crate) clients: Tally,
    pub(crate) endpoints: Tally,
    /// Clients that were opened, and not over yet.
    pub(crate) open: usize,
    /// Both sides of connections that are not over yet.
    pub(crate) sides: usize,
}

const LISTENER_TOKENS: u64 = 1 << 40;

impl Crowd {
    pub(crate) fn new() -> Self {
        let stream = (0..PERIOD + BLOCK).map(|place| (place % PERIOD * 31 % 251) as u8).collect();
        Self {
            epoll: Epoll::new().unwrap(),
            events: Events::with_capacity(512),
            listeners: Vec::new(),
            peers: Vec::new(),
            free: Vec::new(),
            queue: Vec::new(),
            stream,
            block: vec![0; BLOCK],
            next: 0,
            hold_at: None,
            scripts: Vec::new(),
            clients: Tally::default(),
            endpoints: Tally::default(),
            open: 0,
            sides: 0,
        }
    }

    /// One more endpoint.
    pub(crate) fn listen(&mut self) -> SocketAddr {
        let listener = tcp::listen(
            any_port(),
            tcp::Sharing::Founding,
            tcp::Presence::Required,
            bowline_proxy::Config::KEEP_ALIVE,
        );
        let listener = TcpListener::from(listener.unwrap());
        let token = LISTENER_TOKENS + self.listeners.len() as u64;
        self.epoll.add(&listener, token, Interest::READABLE).unwrap();
        let address = listener.local_addr().unwrap();
        self.listeners.push(listener);
        address
    }

    /// A client begins to connect.
    pub(crate) fn connect(&mut self, address: SocketAddr, script: Script) {
        let number = self.next;
        self.next += 1;
        let words = [number, script.up, script.down, script.gulp as u32];
        self.scripts.push(script);
        let preamble = words.into_iter().flat_map(u32::to_be_bytes).collect();
        let socket = tcp::connect(address).unwrap();
        self.open += 1;
        self.enter(Peer { number, script: Some(script), preamble, ..Peer::of(socket, true) });
    }

    fn enter(&mut self, peer: Peer) {
        self.sides += 1;
        let at = self.free.pop().unwrap_or_else(|| {
            self.peers.push(Peer::gone());
            self.peers.len() - 1
        });
        self.epoll.add(peer.socket.as_ref().unwrap(), at as u64, Interest::STREAM).unwrap();
        self.peers[at] = peer;
    }

    /// Goes on until `done`.
    #[track_caller]
    pub(crate) fn run(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE * 3, "in vain: {what}; {} sides are left", self.sides);
            self.turn();
        }
    }

    /// Lets everybody do a part of what he can.
    pub(crate) fn turn(&mut self) {
        let wait = if self.queue.is_empty() { Duration::from_millis(5) } else { Duration::ZERO };
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        self.epoll.wait(&mut events, Some(wait)).unwrap();
        for event in (0..events.len()).filter_map(|index| events.get(index)) {
            match event.token().checked_sub(LISTENER_TOKENS) {
                Some(listener) => self.accept(listener as usize),
                None => {
                    let at = event.token() as usize;
                    let peer = &mut self.peers[at];
                    peer.readable |= event.readable();
                    peer.writable |= event.writable();
                    self.enqueue(at);
                }
            }
        }
        self.events = events;
        for at in std::mem::take(&mut self.queue) {
            self.peers[at].queued = false;
            self.step(at);
        }
    }

    /// Forgets the scripts of those who are gone; nobody may be there.
    pub(crate) fn forget(&mut self) {
        assert_eq!(self.open, 0);
        self.scripts.clear();
        self.next = 0;
    }

    /// Everybody may go on who was held.
    pub(crate) fn release(&mut self) {
        self.hold_at = None;
        (0..self.peers.len())
            .filter(|at| self.peers[*at].socket.is_some())
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|at| self.enqueue(at));
    }

    /// Sides of connections that have received so many bytes of their stream.
    pub(crate) fn received(&self, bytes: usize) -> usize {
        self.peers.iter().filter(|peer| peer.socket.is_some() && peer.received >= bytes).count()
    }

    fn enqueue(&mut self, at: usize) {
        if !std::mem::replace(&mut self.peers[at].queued, true) {
            self.queue.push(at);
        }
    }

    fn accept(&mut self, listener: usize) {
        for _ in 0..64 {
            match tcp::accept(&self.listeners[listener]) {
                Ok((socket, _)) => self.enter(Peer::of(socket, false)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn step(&mut self, at: usize) {
        let mut peer = std::mem::replace(&mut self.peers[at], Peer::gone());
        if peer.socket.is_none() {
            return;
        }
        let outcome = self.advance(&mut peer);
        match outcome {
            Step::Waits => {}
            Step::Again => {
                peer.queued = true;
                self.queue.push(at);
            }
            Step::Whole => {
                let tally = if peer.is_client { &mut self.clients } else { &mut self.endpoints };
                tally.whole += 1;
            }
            Step::Unused => self.endpoints.unused += 1,
            Step::Reset => {
                // Before its preamble has come, the endpoint does not know whether it was to be expected.
                let script = peer.script.or(peer.is_client.then(|| self.scripts[peer.number as usize]));
                assert!(script.is_none_or(Script::is_cut), "{} was cut: {script:?}", peer.describe());
                let tally = if peer.is_client { &mut self.clients } else { &mut self.endpoints };
                tally.reset += 1;
            }
        }
        match outcome {
            Step::Waits | Step::Again => self.peers[at] = peer,
            Step::Whole | Step::Reset | Step::Unused => {
                self.sides -= 1;
                self.open -= usize::from(peer.is_client);
                self.free.push(at);
            }
        }
    }

    fn advance(&mut self, peer: &mut Peer) -> Step {
        let receiving = self.receive(peer);
        match receiving {
            Step::Reset | Step::Unused => return receiving,
            Step::Waits | Step::Again | Step::Whole => {}
        }
        if let Some(script) = peer.script {
            let cut = match script.end {
                End::Well | End::Last => None,
                End::ClientResets(at) => peer.is_client.then_some(at),
                End::EndpointResets(at) => (!peer.is_client).then_some(at),
            };
            if cut.is_some_and(|at| peer.received >= at as usize) {
                peer.socket.take().into_iter().for_each(tcp::reset);
                return Step::Reset;
            }
        }
        match self.send(peer) {
            Step::Reset => Step::Reset,
            Step::Again => Step::Again,
            Step::Unused => unreachable!("something is sent there"),
            Step::Waits | Step::Whole if peer.finished && peer.ended => Step::Whole,
            Step::Waits | Step::Whole => receiving,
        }
    }

    /// Where the stream of this direction is at `place`.
    fn stream(&self, number: u32, up: bool, place: usize, length: usize) -> &[u8] {
        let start = (number as usize * 7_919 + usize::from(up) * 101 + place) % PERIOD;
        &self.stream[start..][..length.min(BLOCK)]
    }

    fn receive(&mut self, peer: &mut Peer) -> Step {
        let gulp = peer.script.map_or(PREAMBLE, |script| script.gulp).min(BLOCK);
        let want = if peer.script.is_none() { PREAMBLE - peer.preamble.len() } else { gulp };
        if !peer.readable || peer.ended {
            return Step::Waits;
        }
        let mut block = std::mem::take(&mut self.block);
        let result = tcp::receive(peer.socket.as_ref().unwrap(), &mut block[..want]);
        let step = match result {
            Ok(0) if peer.script.is_none() && peer.preamble.is_empty() => Step::Unused,
            Ok(0) => {
                let expected = peer.expects();
                assert_eq!(Some(peer.received), expected, "{}: an end before all bytes", peer.describe());
                peer.ended = true;
                Step::Waits
            }
            Ok(count) if peer.script.is_none() => {
                peer.preamble.extend_from_slice(&block[..count]);
                if peer.preamble.len() == PREAMBLE {
                    let word = |at: usize| u32::from_be_bytes(*peer.preamble[at..].first_chunk().unwrap());
                    peer.number = word(0);
                    // Both sides are in one process, so that the rest of the script need not be sent.
                    let script = self.scripts[word(0) as usize];
                    assert_eq!((word(4), word(8)), (script.up, script.down));
                    peer.script = Some(script);
                }
                Step::Again
            }
            Ok(count) => {
                let expected = self.stream(peer.number, !peer.is_client, peer.received, count);
                assert!(expected == &block[..count], "{}: wrong bytes", peer.describe());
                peer.received += count;
                Step::Again
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                peer.readable = false;
                Step::Waits
            }
            Err(_) => Step::Reset,
        };
        self.block = block;
        step
    }

    fn send(&mut self, peer: &mut Peer) -> Step {
        let Some(script) = peer.script else { return Step::Waits };
        let (preamble, total) =
            if peer.is_client { (PREAMBLE, script.up as usize) } else { (0, script.down as usize) };
        if !peer.writable || peer.finished {
            return Step::Waits;
        }
        let held = self.hold_at.is_some_and(|at| peer.sent >= preamble + at);
        if peer.sent == preamble + total {
            if held || (peer.is_client && script.end == End::Last && !peer.ended) {
                return Step::Waits;
            }
            peer.finished = true;
            return match tcp::finish(peer.socket.as_ref().unwrap()) {
                Ok(()) => Step::Waits,
                Err(_) => Step::Reset,
            };
        }
        if held {
            return Step::Waits;
        }
        let bytes = if peer.sent < preamble {
            &peer.preamble[peer.sent..]
        } else {
            let place = peer.sent - preamble;
            self.stream(peer.number, peer.is_client, place, total - place)
        };
        match tcp::send(peer.socket.as_ref().unwrap(), bytes) {
            Ok(count) => {
                peer.sent += count;
                Step::Again
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                peer.writable = false;
                Step::Waits
            }
            Err(_) => Step::Reset,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// For an event.
    Waits,
    /// It has more to do.
    Again,
    Whole,
    Reset,
    Unused,
}

impl Peer {
    fn of(socket: OwnedFd, is_client: bool) -> Self {
        Self { socket: Some(socket), is_client, ..Self::gone() }
    }

    /// In a place that is free.
    const fn gone() -> Self {
        Self {
            socket: None,
            is_client: false,
            number: 0,
            script: None,
            preamble: Vec::new(),
            sent: 0,
            received: 0,
            writable: false,
            readable: false,
            finished: false,
            ended: false,
            queued: false,
        }
    }

    fn expects(&self) -> Option<usize> {
        let script = self.script?;
        Some(if self.is_client { script.down } else { script.up } as usize)
    }

    fn describe(&self) -> String {
        let side = if self.is_client { "client" } else { "endpoint" };
        format!(
            "{side} {}, {} sent and {} received of {:?}",
            self.number, self.sent, self.received, self.script
        )
    }
}
