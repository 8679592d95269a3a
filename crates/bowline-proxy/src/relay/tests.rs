use super::*;
use crate::relay::direction::Waiting;
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
    is_bounded: bool,
    /// Fills that bring nothing although there is something, as before out-of-band data.
    barren_fills: u32,
}

/// A pipe, and how many bytes each of its pages gets.
struct Tube {
    inside: RefCell<VecDeque<u8>>,
    size: usize,
}

impl Tube {
    fn make(size: usize) -> io::Result<Self> {
        Ok(Self { inside: RefCell::default(), size })
    }
}

impl Wire for Peer {
    type Pipe = Tube;

    fn peek(&self, into: &mut [u8]) -> io::Result<usize> {
        let state = self.0.borrow();
        if state.incoming.is_empty() {
            drop(state);
            return self.receive(into);
        }
        let seen = state.incoming.len().min(into.len());
        into.iter_mut().zip(&state.incoming).for_each(|(to, from)| *to = *from);
        Ok(seen)
    }

    fn discard(&self, scratch: &mut [u8]) -> io::Result<usize> {
        assert!(!scratch.is_empty(), "a call for nothing");
        // Not all at once.
        let most = scratch.len().div_ceil(2);
        self.receive(&mut scratch[..most])
    }

    fn fill(&self, pipe: &Tube, most: usize) -> io::Result<usize> {
        assert!(pipe.inside.borrow().is_empty(), "read behind bytes that are still in the pipe");
        {
            let mut state = self.0.borrow_mut();
            if state.barren_fills > 0 && !state.incoming.is_empty() {
                state.barren_fills -= 1;
                let even = state.barren_fills.is_multiple_of(2);
                return if even { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
            }
        }
        let mut bytes = vec![0; most.min(pipe.size)];
        let filled = self.receive(&mut bytes)?;
        pipe.inside.borrow_mut().extend(&bytes[..filled]);
        Ok(filled)
    }

    fn drain(&self, pipe: &Tube, most: usize) -> io::Result<usize> {
        let mut inside = pipe.inside.borrow_mut();
        // Less than there is room for, at times.
        let bytes: Vec<u8> = inside.iter().copied().take(most.min(7)).collect();
        let sent = self.send(&bytes)?;
        inside.drain(..sent);
        Ok(sent)
    }

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

    fn bound_backlog(&self) {
        let mut state = self.0.borrow_mut();
        assert!(!state.is_bounded, "bounded twice");
        state.is_bounded = true;
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
    /// Sends something that is not in the stream.
    Shouts,
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
        1 => Just(Act::Shouts),
    ];
    (side, act)
}

/// The relay between two peers, driven like a worker drives it.
struct Run {
    client: Peer,
    endpoint: Peer,
    duplex: Duplex<Tube>,
    means: Means<Tube>,
    unsent_max: usize,
    over: Option<Verdict>,
}

/// What the relay is given to work with.
#[derive(Clone, Copy, Debug)]
struct Given {
    buffer: usize,
    pipes: usize,
    pipe: usize,
    unsent_max: usize,
}

/// Buffers down to a byte, no pipe to more than are needed, pipes smaller and larger than a buffer, and room for all, some or
/// nothing of what is refused.
fn given() -> impl Strategy<Value = Given> {
    let unsent_max = prop_oneof![Just(0), 0usize..200, Just(100_000)];
    (1usize..80, 0usize..3, 1usize..200, unsent_max).prop_map(|(buffer, pipes, pipe, unsent_max)| Given {
        buffer,
        pipes,
        pipe,
        unsent_max,
    })
}

impl Run {
    fn new(buffer: usize) -> Self {
        Self::given(Given { buffer, pipes: 2, pipe: 100, unsent_max: 100_000 })
    }

    fn given(given: Given) -> Self {
        let (client, endpoint) = (Peer::default(), Peer::default());
        let mut duplex = Duplex::new();
        // Both are connected, and writable as far as anybody knows.
        for side in [Side::Client, Side::Endpoint] {
            duplex.notice(side, Readiness { writable: true, ..Readiness::default() });
        }
        let means =
            Means::new(given.buffer, Pipes::new(given.pipes, given.pipe, Tube::make), given.unsent_max);
        Self { client, endpoint, duplex, means, unsent_max: given.unsent_max, over: None }
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
            Act::Shouts => peer.0.borrow_mut().barren_fills += 1,
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
            self.duplex.fail(side, error, &self.client, &self.endpoint, &mut self.means)
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
            match self.duplex.run(&self.client, &self.endpoint, &mut self.means) {
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

    /// Nothing that was lent is lost.
    fn take_apart(self) {
        let Self { duplex, mut means, .. } = self;
        duplex.dismantle(&mut means);
        assert_eq!((means.unsent(), means.pipes.lent, means.bulky), (0, 0, 0));
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
        assert!(self.means.unsent() <= self.unsent_max, "more is kept than may be");
        assert_eq!(self.means.unsent(), self.duplex.holds());
        let directions = [&self.duplex.up, &self.duplex.down].into_iter();
        let piped = directions.filter(|direction| matches!(direction.waiting, Waiting::Piped { .. }));
        assert_eq!(self.means.pipes.lent, piped.count());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_arrives_in_order_and_every_end_after_them(
        acts in prop::collection::vec(act(), 0..80), given in given(),
    ) {
        let mut run = Run::given(given);
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
        prop_assert_eq!((run.duplex.up.waits(), run.duplex.down.waits()), (0, 0));
        run.take_apart();
    }

    #[test]
    fn a_reset_of_either_side_is_a_failure_and_never_a_good_end(
        before in prop::collection::vec(act(), 0..60),
        after in prop::collection::vec(act(), 0..20),
        client_resets: bool,
        given in given(),
    ) {
        let mut run = Run::given(given);
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
        run.take_apart();
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
        self.duplex.start_over(&mut self.means);
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

#[test]
fn only_one_of_several_bulky_directions_is_bounded() {
    for others in [0, 1] {
        let mut run = Run::new(64);
        for _ in 0..others {
            run.means.another_is_bulky();
        }
        run.client.reads(10_000);
        run.endpoint.sends(6_000);
        run.act(Side::Endpoint, Act::Event);
        assert_eq!(run.means.bulky, others + 1);
        assert_eq!(run.endpoint.0.borrow().is_bounded, others > 0);
        assert!(!run.client.0.borrow().is_bounded);
    }
}
