use super::*;
use crate::testing::{config, ends};
use crate::wiring;
use bowline_sys::netns::{LinkState, Namespace};
use bowline_sys::rtnetlink::Link;
use bowline_sys::vrrp_socket::Membership;
use std::sync::mpsc::{Receiver, sync_channel};

const SOURCES: [&str; 2] = ["10.0.0.1", "10.0.0.2"];
const LATER: Duration = Duration::from_secs(10);

/// More than is read in a round, and less than a socket has room for.
const FLOOD: u64 = 3 * PACKETS_MAX as u64;

/// What rounds are told to, and nobody reads.
struct Around {
    said: SyncSender<Said>,
    _heard: Receiver<Said>,
    ordered: Flag<bool>,
    spoke: Flag<bool>,
}

impl Around {
    fn new() -> Self {
        let (said, heard) = sync_channel(1);
        Self { said, _heard: heard, ordered: Flag::new(false), spoke: Flag::new(false) }
    }

    /// One in which clients would be served.
    const fn round(&self, now: Instant, late: Duration) -> Round<'_> {
        let Self { said, ordered, spoke, .. } = self;
        Round { now, late, alive: true, starved: false, said, ordered, spoke }
    }
}

fn wired(namespace: &Namespace, link: &Link, config: &Config) -> Wiring {
    namespace.inside(|| wiring::open(link, config, None)).unwrap().unwrap()
}

fn lane(namespace: &Namespace, link: &Link) -> Lane {
    let config = config(&["10.0.0.9"], SOURCES[0]);
    let wiring = wired(namespace, link, &config);
    let status = VirtualRouter::new(config.clone(), now()).status();
    let cell = Cell::new("api".into(), None, None, config.clone(), link.index, status);
    Lane::new(Known { id: 0, cell: Arc::new(cell) }, config, None, wiring, now())
}

#[test]
fn a_flood_is_read_a_part_at_a_time_except_before_a_takeover_and_after_a_standstill() {
    let Some([(here, link), (there, far)]) = ends(&SOURCES) else { return };
    let sender = there
        .inside(|| VrrpSocket::open(&far, bowline_sys::vrrp_socket::Family::V4, Membership::None))
        .unwrap()
        .unwrap();
    let around = Around::new();
    let round = |now, late| around.round(now, late);
    let begun = now();
    for (is_backup, at, late, read_at_once) in [
        (true, begun, Duration::ZERO, PACKETS_MAX as u64),
        (true, begun + LATER, Duration::ZERO, FLOOD),
        (false, begun + LATER, LATER, FLOOD),
    ] {
        let mut lane = lane(&here, &link);
        if is_backup {
            lane.start(Faults::default(), round(begun, Duration::ZERO));
        }
        for _ in 0..FLOOD {
            sender.send(SOURCES[1].parse().unwrap(), "224.0.0.18".parse().unwrap(), b"noise").unwrap();
        }
        let read =
            |lane: &Lane| lane.cell.counters.read().discarded.iter().map(|(_, count)| count).sum::<u64>();
        let others = |_| false;
        let mut buffer = Box::new([0; ROOM]);
        lane.hear_link(&mut buffer, others, round(at, late));
        assert_eq!(read(&lane), read_at_once, "Backup: {is_backup}, late: {late:?}");
        while read(&lane) < FLOOD {
            lane.hear_link(&mut buffer, others, round(at, late));
        }
    }
}

/// In Backup until its first wait is over, then Active.
fn active<'a>(lane: &mut Lane, round: impl Fn(Instant) -> Round<'a>) -> Instant {
    lane.start(Faults::default(), round(now()));
    let due = lane.due().unwrap();
    lane.fire(round(due));
    assert_eq!(lane.machine.status().state, State::Active);
    due
}

#[test]
fn what_goes_on_for_ever_is_told_ever_less_often_and_what_is_new_soon() {
    let mut discards = Discards::default();
    let mut at = now();
    let mut told = Vec::new();
    // A day of another virtual router on the link, ten adverts a second.
    for _ in 0..10 * 60 * 60 * 24 {
        at += Duration::from_millis(100);
        told.extend(discards.note(Discard::OtherVrid, at));
    }
    assert_eq!(told.first(), Some(&0), "the first one at once");
    assert!((20..50).contains(&told.len()), "{} lines a day", told.len());
    // Every packet is counted in one line or the next.
    let counted = told.iter().map(|before| before + 1).sum::<u64>();
    let rest = discards.note(Discard::Checksum, at + Duration::from_secs(1)).expect("another reason is news");
    assert_eq!(counted + rest, 10 * 60 * 60 * 24);
    assert_eq!(
        discards.note(Discard::Password, at + Duration::from_secs(1)),
        None,
        "too soon after the last"
    );
    let again = at + Duration::from_secs(60 * 60 * 2);
    assert!(discards.note(Discard::Checksum, again).is_some(), "it had stopped");
    assert!(discards.note(Discard::Checksum, again + Duration::from_secs(1)).is_some(), "it began anew");
}

#[test]
fn a_farewell_that_is_lost_with_the_link_keeps_nobody_away_when_the_link_is_back() {
    let Some([(here, link), _there]) = ends(&SOURCES) else { return };
    let around = Around::new();
    let round = |now| around.round(now, Duration::ZERO);
    let mut lane = lane(&here, &link);
    let begun = active(&mut lane, round);
    here.set_link("lan0", LinkState::Down).unwrap();
    lane.hear_shell(Faults::default().with(Fault::LinkDown, true), round(begun));
    assert_eq!(lane.cell.counters.read().send_failures, 1, "the farewell");
    lane.hear_shell(Faults::default().with(Fault::LinkDown, true), round(begun + LATER));
    let mut listens_at = |now| {
        lane.hear_shell(Faults::default(), round(now));
        (lane.machine.status().state, lane.machine.status().fault)
    };
    assert_eq!(
        listens_at(begun + LATER),
        (State::Fault, Some(Fault::LinkDown)),
        "what is up may not pass on yet"
    );
    assert_eq!(listens_at(begun + LATER + super::link::SETTLES_IN), (State::Backup, None));
}

#[test]
fn who_cannot_send_takes_part_again_after_a_while_or_with_another_socket() {
    let Some([(here, link), _there]) = ends(&SOURCES) else { return };
    let around = Around::new();
    let round = |now| around.round(now, Duration::ZERO);
    for rewired in [false, true] {
        here.set_link("lan0", LinkState::Up).unwrap();
        let mut lane = lane(&here, &link);
        let begun = active(&mut lane, round);
        here.set_link("lan0", LinkState::Down).unwrap();
        let mut at = begun;
        while lane.machine.status().state == State::Active {
            assert!(at < begun + LATER, "nothing was sent, and that is no fault");
            at = lane.due().unwrap().max(at);
            lane.fire(round(at));
            lane.hear_shell(Faults::default(), round(at));
        }
        assert_eq!(lane.machine.status().fault, Some(Fault::CannotSend));
        if rewired {
            let other = wired(&here, &link, lane.machine.config());
            let _ = lane.rewire(other, round(at));
        } else {
            lane.hear_shell(Faults::default(), round(at));
            assert_eq!(lane.machine.status().fault, Some(Fault::CannotSend), "too soon");
            at += LATER;
        }
        lane.hear_shell(Faults::default(), round(at));
        assert_eq!((lane.machine.status().state, lane.machine.status().fault), (State::Backup, None));
    }
}

#[test]
fn another_hardware_address_is_told_at_once_and_once_more_by_who_has_the_addresses() {
    let Some([(here, link), (there, far)]) = ends(&SOURCES) else { return };
    let around = Around::new();
    let round = |now| around.round(now, Duration::ZERO);
    let mut lane = lane(&here, &link);
    let mut at = active(&mut lane, round);
    let told = |lane: &Lane| lane.cell.counters.read().announcements;
    for (held, times) in [(false, [0, 0]), (true, [1, 2])] {
        lane.held = held;
        let other = wired(&here, &link, lane.machine.config());
        let _ = lane.rewire(other, round(at));
        assert_eq!(told(&lane), times[0]);
        let end = at + TELL_AGAIN_AFTER;
        while at < end {
            assert_eq!(told(&lane), times[0]);
            at = lane.due().unwrap().min(end);
            lane.fire(round(at));
        }
        assert_eq!(told(&lane), times[1]);
        lane.fire(round(at));
        assert_eq!(told(&lane), times[1], "that is enough");
        // Another tenure: this one's kernel never answers.
        lane.machine = VirtualRouter::new(lane.machine.config().clone(), at);
        lane.start(Faults::default(), round(at));
        at = lane.due().unwrap();
        lane.fire(round(at));
    }
    lane.held = true;
    let elsewhere = there.inside(|| wiring::open(&far, lane.machine.config(), None)).unwrap().unwrap();
    let _ = lane.rewire(Wiring { interface: link.index + 1, ..elsewhere }, round(at));
    assert_eq!(told(&lane), 2, "they are not on that interface");
}
