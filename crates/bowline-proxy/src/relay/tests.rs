use super::*;
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::VecDeque;

/// A peer behind a socket, as the kernel shows it to us: edge-triggered events, short reads only when nothing is left.
#[derive(Default)]
struct Peer(RefCell<State>);

#[derive(Default)]
struct State {
    /// Sent by the peer and not yet received by us, and all it ever sent.
    incoming: VecDeque<u8>,
    sent: Vec<u8>,
    ended: bool,
    /// What we may send before it is refused, and all that was taken.
    room: usize,
    taken: Vec<u8>,
    finished: bool,
    /// A send met too little room: more room will be an event.
    wants_room: bool,
    /// Set by a reset until it is told once, by a call or by the socket's error.
    error: bool,
    dead: bool,
    edge: bool,
}

impl Wire for Peer {
    fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        let received = state.incoming.len().min(into.len());
        for (to, from) in into.iter_mut().zip(state.incoming.drain(..received)) {
            *to = from;
        }
        match received {
            0 if std::mem::take(&mut state.error) => Err(io::ErrorKind::ConnectionReset.into()),
            // Once its error has been told, a dead socket reads as if it had ended well.
            0 if state.ended || state.dead => Ok(0),
            0 => Err(io::ErrorKind::WouldBlock.into()),
            received => Ok(received),
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.borrow_mut();
        assert!(!state.finished, "bytes after our end of stream");
        assert!(!bytes.is_empty(), "a call for nothing");
        if state.dead {
            state.error = false;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let sent = state.room.min(bytes.len());
        state.room -= sent;
        state.taken.extend_from_slice(&bytes[..sent]);
        state.wants_room |= sent < bytes.len();
        if sent == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(sent) }
    }

    fn finish(&self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        assert!(!state.finished, "finished twice");
        if state.dead {
            return Err(io::ErrorKind::NotConnected.into());
        }
        state.finished = true;
        Ok(())
    }
}

impl Peer {
    fn sends(&self, count: usize) {
        let mut state = self.0.borrow_mut();
        if !state.ended && !state.dead {
            for _ in 0..count {
                let byte = (state.sent.len() * 31 % 251) as u8;
                state.sent.push(byte);
                state.incoming.push_back(byte);
            }
            state.edge |= count > 0;
        }
    }

    fn ends(&self) {
        let mut state = self.0.borrow_mut();
        state.edge |= !state.ended && !state.dead;
        state.ended |= !state.dead;
    }

    fn reads(&self, count: usize) {
        let mut state = self.0.borrow_mut();
        state.room += count;
        if count > 0 && std::mem::take(&mut state.wants_room) {
            state.edge = true;
        }
    }

    fn resets(&self) {
        let mut state = self.0.borrow_mut();
        if !state.dead {
            (state.dead, state.error, state.edge) = (true, true, true);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Sends(usize),
    Ends,
    Reads(usize),
    Resets,
    /// Its events are looked at; until then they gather.
    Event,
}

fn act() -> impl Strategy<Value = (Side, Act)> {
    let side = prop_oneof![Just(Side::Client), Just(Side::Endpoint)];
    let act = prop_oneof![
        8 => (0usize..100).prop_map(Act::Sends),
        8 => (0usize..100).prop_map(Act::Reads),
        8 => Just(Act::Event),
        1 => Just(Act::Ends),
    ];
    (side, act)
}

/// The relay between two peers, driven like a worker drives it.
struct Run {
    client: Peer,
    endpoint: Peer,
    duplex: Duplex,
    buffer: Vec<u8>,
    over: Option<Verdict>,
}

impl Run {
    fn new(buffer: usize) -> Self {
        let (client, endpoint) = (Peer::default(), Peer::default());
        let mut duplex = Duplex::new();
        // Both are connected, and writable as far as anybody knows.
        for side in [Side::Client, Side::Endpoint] {
            duplex.notice(side, Readiness { writable: true, ..Readiness::default() });
        }
        Self { client, endpoint, duplex, buffer: vec![0; buffer], over: None }
    }

    fn peer(&self, side: Side) -> &Peer {
        match side {
            Side::Client => &self.client,
            Side::Endpoint => &self.endpoint,
        }
    }

    fn act(&mut self, side: Side, act: Act) {
        let peer = self.peer(side);
        match act {
            Act::Sends(count) => peer.sends(count),
            Act::Ends => peer.ends(),
            Act::Reads(count) => peer.reads(count),
            Act::Resets => peer.resets(),
            Act::Event => self.event(side),
        }
    }

    fn event(&mut self, side: Side) {
        if self.over.is_some() || !std::mem::take(&mut self.peer(side).0.borrow_mut().edge) {
            return;
        }
        let (readiness, failed) = {
            let state = self.peer(side).0.borrow();
            let readable = !state.incoming.is_empty() || state.ended || state.dead;
            let finished = state.ended || state.dead;
            (Readiness { readable, writable: state.room > 0 || state.dead, finished }, state.error)
        };
        self.duplex.notice(side, readiness);
        let verdict = if failed {
            self.peer(side).0.borrow_mut().error = false;
            let error = io::ErrorKind::ConnectionReset.into();
            self.duplex.fail(side, error, &self.client, &self.endpoint, &mut self.buffer)
        } else {
            self.run()
        };
        match verdict {
            Verdict::Waiting => {}
            Verdict::Unfinished => unreachable!("run() goes on until it is finished"),
            Verdict::Unanswered | Verdict::Closed | Verdict::Failed(..) => self.over = Some(verdict),
        }
    }

    fn run(&mut self) -> Verdict {
        for _ in 0..10_000 {
            let before = self.duplex.received();
            match self.duplex.run(&self.client, &self.endpoint, &mut self.buffer) {
                Verdict::Unfinished => assert_ne!(self.duplex.received(), before, "no progress"),
                verdict
                @ (Verdict::Waiting | Verdict::Unanswered | Verdict::Closed | Verdict::Failed(..)) => {
                    return verdict;
                }
            }
        }
        panic!("a run without end");
    }

    /// Everybody reads everything, and every event is looked at.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            for side in [Side::Client, Side::Endpoint] {
                self.act(side, Act::Reads(1_000));
                self.act(side, Act::Event);
            }
        }
    }

    fn check(&self) {
        for (from, to) in [(&self.client, &self.endpoint), (&self.endpoint, &self.client)] {
            let (from, to) = (from.0.borrow(), to.0.borrow());
            assert!(from.sent.starts_with(&to.taken), "bytes were lost, changed or swapped");
            if to.finished {
                assert!(from.ended, "an end of stream that nobody sent");
                assert_eq!(from.sent, to.taken, "an end of stream before all bytes");
            }
        }
        for direction in [&self.duplex.up, &self.duplex.down] {
            assert!(direction.refused.len() <= self.buffer.len(), "more is kept than one buffer");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_in_order_and_every_end_after_them(
        acts in prop::collection::vec(act(), 0..80), buffer in 1usize..80,
    ) {
        let mut run = Run::new(buffer);
        for (side, act) in acts {
            run.act(side, act);
            run.check();
        }
        run.settle();
        for side in [Side::Client, Side::Endpoint] {
            let (this, other) = match side {
                Side::Client => (run.client.0.borrow(), run.endpoint.0.borrow()),
                Side::Endpoint => (run.endpoint.0.borrow(), run.client.0.borrow()),
            };
            prop_assert_eq!(&this.sent, &other.taken);
            // When both have ended, closing the sockets says so.
            prop_assert!(!this.ended || other.finished || matches!(run.over, Some(Verdict::Closed)));
        }
        let both_ended = run.client.0.borrow().ended && run.endpoint.0.borrow().ended;
        prop_assert_eq!(both_ended, matches!(run.over, Some(Verdict::Closed)));
        prop_assert!(run.duplex.up.refused.is_empty() && run.duplex.down.refused.is_empty());
    }

    #[test]
    fn a_reset_of_either_side_is_a_failure_and_never_a_good_end(
        before in prop::collection::vec(act(), 0..60),
        after in prop::collection::vec(act(), 0..20),
        client_resets: bool,
        buffer in 1usize..80,
    ) {
        let mut run = Run::new(buffer);
        for (side, act) in before {
            run.act(side, act);
            run.check();
        }
        let side = if client_resets { Side::Client } else { Side::Endpoint };
        run.act(side, Act::Resets);
        for (side, act) in after {
            run.act(side, act);
            run.check();
        }
        run.settle();
        run.check();
        match run.over {
            Some(Verdict::Failed(..)) => {}
            // The reset came when there was nothing left to do.
            Some(Verdict::Closed) => {
                let (client, endpoint) = (run.client.0.borrow(), run.endpoint.0.borrow());
                prop_assert!(client.ended && endpoint.ended);
                prop_assert_eq!((&client.sent, &endpoint.sent), (&endpoint.taken, &client.taken));
            }
            Some(Verdict::Waiting | Verdict::Unfinished | Verdict::Unanswered) | None => {
                prop_assert!(false, "nobody noticed the reset");
            }
        }
    }
}

/// A ClientHello as a real client sends it.
const HELLO: &[u8] = include_bytes!("../../tests/wire/openssl-tls13.bin");

impl Peer {
    fn sends_bytes(&self, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        state.sent.extend(bytes);
        state.incoming.extend(bytes);
        state.edge = true;
    }
}

impl Run {
    /// Puts another endpoint in the place of the one that said nothing.
    fn start_over(&mut self) {
        self.over = None;
        self.duplex.start_over();
        self.endpoint = Peer::default();
        self.duplex.notice(Side::Endpoint, Readiness { writable: true, ..Readiness::default() });
        let verdict = self.run();
        assert!(matches!(verdict, Verdict::Waiting), "{verdict:?}");
    }
}

proptest! {
    #[test]
    fn the_second_endpoint_gets_all_that_the_first_one_was_sent(
        pieces in prop::collection::vec((1usize..200, 0usize..200), 1..12),
        leaves in 0usize..3,
        buffer in 1usize..400,
    ) {
        let mut run = Run::new(buffer);
        let mut rest = HELLO;
        for (sent, read) in pieces {
            let (piece, later) = rest.split_at(sent.min(rest.len()));
            rest = later;
            run.client.sends_bytes(piece);
            run.act(Side::Client, Act::Event);
            run.act(Side::Endpoint, Act::Reads(read));
            run.act(Side::Endpoint, Act::Event);
        }
        let relayed = run.duplex.received().up;
        let whole = relayed == HELLO.len() as u64;
        match leaves {
            0 => run.endpoint.ends(),
            1 => run.endpoint.resets(),
            _ => {} // it is silent
        }
        run.act(Side::Endpoint, Act::Event);
        prop_assert_eq!(run.duplex.is_repeatable(), whole, "{} bytes were relayed", relayed);
        prop_assert_eq!(matches!(run.over, Some(Verdict::Unanswered)), whole && leaves == 0);
        if whole {
            run.start_over();
            run.endpoint.sends(40);
            run.settle();
            run.check();
            prop_assert_eq!(&run.endpoint.0.borrow().taken, HELLO);
            prop_assert_eq!(run.client.0.borrow().taken.len(), 40);
            prop_assert!(!run.duplex.is_repeatable(), "it was answered");
            run.client.sends(30);
            run.endpoint.ends();
            run.client.ends();
            run.settle();
            run.check();
            prop_assert!(matches!(run.over, Some(Verdict::Closed)), "{:?}", run.over);
        }
    }
}

#[test]
fn a_client_that_stays_learns_that_its_endpoint_has_ended() {
    let mut run = Run::new(1_000);
    run.client.sends_bytes(HELLO);
    run.endpoint.reads(1_000);
    run.act(Side::Client, Act::Event);
    run.endpoint.ends();
    run.act(Side::Endpoint, Act::Event);
    assert!(matches!(run.over.take(), Some(Verdict::Unanswered)));
    assert!(!run.client.0.borrow().finished);
    run.duplex.stay();
    assert!(matches!(run.run(), Verdict::Waiting));
    assert!(run.client.0.borrow().finished);
}

#[test]
fn last_words_are_passed_on_before_a_reset() {
    let mut run = Run::new(64);
    run.client.reads(100);
    run.endpoint.sends(20);
    run.endpoint.resets();
    // The client's bytes are what first meets the dead endpoint.
    run.client.sends(5);
    run.act(Side::Client, Act::Event);
    assert!(matches!(run.over, Some(Verdict::Failed(Side::Endpoint, _))));
    assert!(!run.client.0.borrow().finished);

    let mut run = Run::new(64);
    run.client.reads(100);
    run.endpoint.sends(20);
    run.endpoint.resets();
    run.act(Side::Endpoint, Act::Event);
    assert!(matches!(run.over, Some(Verdict::Failed(Side::Endpoint, _))));
    assert_eq!(run.client.0.borrow().taken.len(), 20);
}

#[test]
fn an_endpoint_that_closes_before_it_answers_is_noticed() {
    let mut run = Run::new(64);
    run.endpoint.reads(100);
    run.client.sends(5);
    run.act(Side::Client, Act::Event);
    assert!(!run.duplex.closed_unanswered());
    run.endpoint.ends();
    run.act(Side::Endpoint, Act::Event);
    assert!(run.duplex.closed_unanswered());
    assert_eq!(run.duplex.received(), Received { up: 5, down: 0 });
}
