//! Rung 3 of several routers: what a group does whatever happened to it. The faults first, then peace, and then one router
//! holds the addresses, the right one, and nothing moves any more.

use bowline_vrrp::*;
use proptest::prelude::*;
use std::time::Duration;
use world::{EVIDENCE_MAX, Group, STABILITY, World};

mod world;

#[derive(Clone, Debug)]
enum Op {
    Crash(usize, bool),
    Start(usize),
    Leave(usize),
    Rejoin(usize),
    CanServe(usize, bool),
    Reaches(usize, bool),
    Fault(usize, bool),
    Cut(usize, usize, bool),
    Pause(usize, u64),
    Run(u64),
}

fn ops(size: usize) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        1 => (0..size, any::<bool>()).prop_map(|(node, guarded)| Op::Crash(node, guarded)),
        2 => (0..size).prop_map(Op::Start),
        1 => (0..size).prop_map(Op::Leave),
        2 => (0..size).prop_map(Op::Rejoin),
        2 => (0..size, any::<bool>()).prop_map(|(node, can)| Op::CanServe(node, can)),
        1 => (0..size, any::<bool>()).prop_map(|(node, reaches)| Op::Reaches(node, reaches)),
        1 => (0..size, any::<bool>()).prop_map(|(node, faulty)| Op::Fault(node, faulty)),
        2 => (0..size, 0..size, any::<bool>()).prop_map(|(from, to, cut)| Op::Cut(from, to, cut)),
        1 => (0..size, 0u64..3_000).prop_map(|(node, millis)| Op::Pause(node, millis)),
        6 => (0u64..3_000).prop_map(Op::Run),
    ];
    prop::collection::vec(op, 0..40)
}

fn groups() -> impl Strategy<Value = Group> {
    let when = prop_oneof![3 => Just(WhenAllBad::Keep), 1 => Just(WhenAllBad::Release)];
    let interval = prop_oneof![4 => Just(10u16), 1 => Just(1), 1 => Just(3), 1 => Just(100)];
    (1usize..=4, interval, any::<bool>(), when, any::<bool>(), any::<bool>()).prop_map(
        |(size, interval, bands, when_all_bad, equal, preempt)| Group {
            size,
            interval,
            bands,
            when_all_bad,
            equal,
            preempt,
        },
    )
}

fn apply(world: &mut World, op: &Op) {
    match *op {
        Op::Crash(node, guarded) => world.crash(node, guarded),
        Op::Start(node) => world.start(node),
        Op::Leave(node) => world.leave(node),
        Op::Rejoin(node) => world.rejoin(node),
        Op::CanServe(node, can_serve) => world.set_can_serve(node, can_serve),
        Op::Reaches(node, reaches) => world.set_reaches(node, reaches),
        Op::Fault(node, faulty) => world.set_fault(node, faulty),
        Op::Cut(from, to, cut) => world.cut(from, to, cut),
        Op::Pause(node, millis) => world.pause(node, Duration::from_millis(millis)),
        Op::Run(millis) => world.run(Duration::from_millis(millis)),
    }
}

/// Everybody is back, and hears everybody.
fn heal(world: &mut World) {
    for node in 0..world.group.size {
        world.pause(node, Duration::ZERO);
        world.start(node);
        world.set_fault(node, false);
        // What it believes is so from now on.
        world.set_reaches(node, world.can_serve(node));
        for other in 0..world.group.size {
            world.cut(node, other, false);
        }
    }
}

/// All pauses, hand-overs, retries and waits are over by then.
fn settling_time(group: &Group) -> Duration {
    let wait = group.interval() * 4 + Duration::from_millis(20) * 4;
    Duration::from_secs(3) + STABILITY + timers::HAND_OVER_MAX + timers::RETRY_AFTER + wait * 4
}

fn check_peace(world: &mut World) -> Result<(), TestCaseError> {
    world.run(settling_time(&world.group.clone()));
    for node in 0..world.group.size {
        // Whoever was still leaving.
        world.rejoin(node);
    }
    // An offer of one that cannot serve is answered within its period.
    world.run(settling_time(&world.group.clone()) + timers::OFFER_EVERY);
    let able: Vec<usize> = (0..world.group.size).filter(|&node| world.can_serve(node)).collect();
    let holders = world.holders();
    let trace = &world.transitions;
    if able.is_empty() && world.group.when_all_bad == WhenAllBad::Release {
        prop_assert!(holders.is_empty(), "{holders:?} hold, and none can serve: {trace:#?}");
        return Ok(());
    }
    prop_assert_eq!(holders.len(), 1, "{:?} hold: {:#?}", holders, trace);
    prop_assert_eq!(&world.who_holds(), &holders, "{:#?}", trace);
    prop_assert!(
        able.is_empty() || able.contains(&holders[0]),
        "{holders:?} holds, {able:?} can serve: {trace:#?}"
    );
    let (before, both) = (world.transitions.len(), world.both);
    world.run(Duration::from_secs(30));
    prop_assert_eq!(world.holders(), holders, "something moved: {:#?}", &world.transitions[before..]);
    prop_assert_eq!(world.both, both);
    if !able.is_empty() {
        prop_assert_eq!(world.transitions.len(), before, "{:#?}", &world.transitions[before..]);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happened_one_holds_and_nothing_moves(
        (group, ops) in groups().prop_flat_map(|group| (Just(group), ops(group.size))),
        seed in any::<u64>(),
    ) {
        let mut world = World::new(group, seed);
        for op in &ops {
            apply(&mut world, op);
        }
        heal(&mut world);
        check_peace(&mut world)?;
    }
}

const THREE: Group = Group {
    size: 3,
    interval: 10,
    bands: true,
    when_all_bad: WhenAllBad::Keep,
    equal: false,
    preempt: false,
};

/// Of the kernel in this world, both ways, and the link.
const SLACK: Duration = Duration::from_millis(10);

/// A world in which node 0 has been Active for a while.
fn settled(group: Group, seed: u64) -> World {
    let mut world = World::new(group, seed);
    world.run(Duration::from_secs(3));
    assert_eq!((world.holders(), world.who_holds()), (vec![0], vec![0]));
    (world.nobody, world.both) = (Duration::ZERO, Duration::ZERO);
    world.transitions.clear();
    world
}

/// Fifty times each, at any phase, with different and with equal priorities: no tail.
#[test]
fn a_holder_that_dies_is_replaced_within_the_active_down_interval_by_one() {
    for seed in 0..50 {
        let mut world = settled(Group { equal: seed % 2 == 0, ..THREE }, seed);
        world.run(Duration::from_millis(seed * 7));
        world.crash(0, false);
        world.run(Duration::from_secs(2));
        assert_eq!(world.holders(), [1], "seed {seed}");
        assert_eq!(world.transitions.len(), 1, "seed {seed}: {:?}", world.transitions);
        let wait = world.group.interval() * 3 + timers::skew(200, world.group.interval());
        assert!(world.nobody <= wait + SLACK, "seed {seed}: {:?} without a holder", world.nobody);
        assert_eq!(world.both, Duration::ZERO, "seed {seed}");
    }
}

#[test]
fn one_that_returns_moves_nothing() {
    for seed in 0..50 {
        let mut world = settled(Group { equal: seed % 2 == 0, ..THREE }, seed);
        world.crash(0, seed % 3 == 0);
        world.run(Duration::from_secs(2));
        assert_eq!(world.holders(), [1], "seed {seed}");
        world.start(0);
        world.run(Duration::from_secs(20));
        assert_eq!((world.holders(), world.who_holds()), (vec![1], vec![1]), "seed {seed}");
    }
}

#[test]
fn a_planned_stop_has_an_outage_of_one_step() {
    for seed in 0..50 {
        let mut world = settled(THREE, seed);
        world.run(Duration::from_millis(seed * 7));
        world.leave(0);
        world.run(Duration::from_secs(5));
        assert_eq!((world.holders(), world.state(0)), (vec![1], Some(State::Initialize)), "seed {seed}");
        assert!(world.nobody <= SLACK && world.both <= SLACK, "{:?}, {:?}", world.nobody, world.both);
    }
}

#[test]
fn a_holder_that_stood_still_comes_back_as_a_backup() {
    for seed in 0..50 {
        let mut world = settled(THREE, seed);
        world.pause(0, Duration::from_millis(1_200));
        world.run(Duration::from_secs(20));
        assert_eq!((world.holders(), world.who_holds()), (vec![1], vec![1]), "seed {seed}");
        let reasons: Vec<_> =
            world.transitions.iter().map(|&(_, node, _, _, reason)| (node, reason)).collect();
        assert_eq!(reasons, [(1, Reason::NobodyHeard), (0, Reason::Stalled)], "seed {seed}");
    }
}

/// Nobody hears the holder: another one takes over; healed, one of them stays, and nobody was without an address for long.
#[test]
fn one_way_loss_and_healing() {
    for seed in 0..50 {
        let mut world = settled(THREE, seed);
        for other in [1, 2] {
            world.cut(0, other, true);
        }
        world.run(Duration::from_secs(3));
        assert_eq!(world.holders(), [0, 1], "seed {seed}: {:?}", world.transitions);
        for other in [1, 2] {
            world.cut(0, other, false);
        }
        world.run(Duration::from_secs(3));
        assert_eq!((world.holders(), world.who_holds()), (vec![0], vec![0]), "seed {seed}");
        assert_eq!(world.nobody, Duration::ZERO);
    }
}

#[test]
fn an_outage_seen_by_all_a_moment_apart_moves_nothing() {
    for seed in 0..50 {
        let mut world = settled(THREE, seed);
        for can_serve in [false, true] {
            (0..3).for_each(|node| world.set_reaches(node, can_serve));
            for node in [0, 2, 1] {
                world.believe(node, can_serve);
                world.run(Duration::from_millis(900));
            }
            world.run(Duration::from_secs(10));
        }
        assert_eq!(world.transitions, [], "seed {seed}");
    }
}

/// All lose everything for a moment, and only the holder notices: it is back before anybody has fresh evidence.
#[test]
fn a_holder_that_alone_believed_in_an_outage_of_all_keeps_the_addresses() {
    for seed in 0..50 {
        let mut world = settled(THREE, seed);
        world.believe(0, false);
        world.run(Duration::from_millis(80));
        world.believe(0, true);
        world.run(Duration::from_secs(20));
        assert_eq!(world.transitions, [], "seed {seed}");
    }
}

#[test]
fn what_is_found_out_after_the_fall_decides() {
    for seed in 0..50 {
        let mut world = settled(THREE, seed);
        world.run(Duration::from_millis(seed * 7));
        world.set_can_serve(0, false);
        world.run(EVIDENCE_MAX + timers::skew(250, world.group.interval()) + SLACK);
        assert_eq!((world.holders(), world.who_holds()), (vec![1], vec![1]), "seed {seed}");
        world.run(Duration::from_secs(20));
        let reasons: Vec<_> =
            world.transitions.iter().map(|&(_, node, _, _, reason)| (node, reason)).collect();
        assert_eq!(reasons, [(1, Reason::HolderCannotServe), (0, Reason::HigherHeard)], "seed {seed}");
    }
}

/// Each in turn believes that it cannot serve: once every one has been moved away from, nobody is well for long enough to ask.
#[test]
fn routers_that_come_and_go_are_not_followed_at_once() {
    for seed in 0..50 {
        let mut world = settled(THREE, seed);
        for _ in 0..20 {
            for node in world.holders() {
                world.set_can_serve(node, false);
                world.run(Duration::from_millis(300));
                world.set_can_serve(node, true);
            }
        }
        let taken = world.transitions.iter().filter(|(_, _, _, to, _)| *to == State::Active).count();
        let seconds = 20 * 300 / 1_000;
        let most = world.group.size * (1 + seconds / STABILITY.as_secs() as usize);
        assert!(taken <= most, "seed {seed}: {taken} moves");
    }
}

#[test]
fn a_holder_that_cannot_serve_is_replaced_by_one_that_can() {
    for seed in 0..50 {
        let mut world = settled(THREE, seed);
        world.set_can_serve(1, false);
        world.set_can_serve(0, false);
        world.run(STABILITY + Duration::from_millis(100) + timers::RANK_WAIT * 2 + SLACK);
        assert_eq!((world.holders(), world.who_holds()), (vec![2], vec![2]), "seed {seed}");
        assert!(world.nobody <= SLACK, "{:?}", world.nobody);
        // It stays, whoever can serve again.
        world.set_can_serve(0, true);
        world.set_can_serve(1, true);
        world.run(Duration::from_secs(20));
        assert_eq!(world.holders(), [2], "seed {seed}");
    }
}

/// Adverts are what one router sends in its period, and one more for each change of hands.
#[test]
fn nobody_talks_more_than_needed() {
    let mut world = settled(THREE, 1);
    let before = world.adverts;
    world.run(Duration::from_secs(10));
    assert_eq!(world.adverts - before, 100);
}
