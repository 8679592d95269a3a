//! Pool, dials and servers together on virtual time, against the figures that a client would see.

mod world;

use bowline_pool::*;
use bowline_sansio::Instant;
use std::time::Duration;
use world::{Mode, World, ms};

const MS: Duration = Duration::from_millis(1);

fn node_local() -> Timers {
    Timers { probe_interval: Duration::from_secs(30), ..Timers::default() }
}

/// Both default probe intervals, and faults at many phases of their timers.
fn each(mut run: impl FnMut(Timers, Instant)) {
    for timers in [Timers::default(), node_local()] {
        for phase in 0..8 {
            run(timers, ms(35_000 + 131 * phase));
        }
    }
}

#[test]
fn a_killed_endpoint_costs_no_extra_wait() {
    for policy in [Policy::Preferred, Policy::LeastConnections, Policy::RoundRobin] {
        each(|timers, fault| {
            let mut world = World::new(3, policy, timers, 1);
            world.change_at(fault, 0, Mode::Refusing);
            world.call(fault, fault + 1_000 * MS, 10 * MS);
            world.run(fault + 2_000 * MS);
            assert!(world.slowest(fault) < 2 * MS, "{:?}", world.slowest(fault));
            assert_eq!(world.grade(0), Grade::Dead);
            let reason = world.pool.get().snapshot().endpoints[0].reason.clone();
            assert_eq!(reason, Reason::Refused);
        });
    }
}

#[test]
fn a_silent_endpoint_costs_a_stagger_and_is_left_soon() {
    for policy in [Policy::Preferred, Policy::RoundRobin, Policy::RandomOfTwo] {
        each(|timers, fault| {
            let mut world = World::new(3, policy, timers, 2);
            world.change_at(fault, 0, Mode::Silent);
            world.call(fault, fault + 2_000 * MS, 10 * MS);
            world.run(fault + 3_000 * MS);
            assert!(world.slowest(fault) <= 51 * MS, "{:?}", world.slowest(fault));
            assert_eq!(world.grade(0), Grade::Dead);
            let last = world.last_pick(0).unwrap();
            assert!(last.since(fault) <= 600 * MS, "{policy:?}: picked {:?} after", last.since(fault));
        });
    }
}

#[test]
fn two_silent_endpoints_cost_two_staggers() {
    let fault = ms(35_000);
    let mut world = World::new(3, Policy::Preferred, node_local(), 2);
    world.change_at(fault, 0, Mode::Silent);
    world.change_at(fault, 1, Mode::Silent);
    world.call(fault, fault + 2_000 * MS, 10 * MS);
    world.run(fault + 3_000 * MS);
    assert!(world.slowest(fault) <= 101 * MS, "{:?}", world.slowest(fault));
}

#[test]
fn a_frozen_endpoint_gets_no_new_connection_after_600_ms() {
    for policy in [Policy::Preferred, Policy::RoundRobin] {
        each(|timers, fault| {
            let mut world = World::new(3, policy, timers, 3);
            world.change_at(fault, 0, Mode::Frozen);
            world.call(fault, fault + 3_000 * MS, 10 * MS);
            world.run(fault + 4_000 * MS);
            assert_eq!(world.grade(0), Grade::Dead);
            let last = world.last_pick(0).unwrap();
            assert!(last.since(fault) <= 600 * MS, "{policy:?}: picked {:?} after", last.since(fault));
        });
    }
}

#[test]
fn a_frozen_endpoint_is_found_in_silence_within_the_interval_and_600_ms() {
    each(|timers, fault| {
        let mut world = World::new(3, Policy::Preferred, timers, 4);
        world.change_at(fault, 0, Mode::Frozen);
        // Intervals are spread by a tenth.
        world.run(fault + timers.probe_interval.mul_f64(1.1) + 600 * MS);
        assert_eq!(world.grade(0), Grade::Dead);
    });
}

#[test]
fn a_not_ready_endpoint_gets_no_new_connection_250_ms_after_the_probe_that_saw_it() {
    each(|timers, fault| {
        let mut world = World::new(3, Policy::Preferred, timers, 5);
        world.change_at(fault, 0, Mode::NotReady);
        let end = fault + timers.probe_interval.mul_f64(1.1) + 1_000 * MS;
        world.call(fault, end, 10 * MS);
        world.run(end);
        assert_eq!(world.grade(0), Grade::Draining);
        let saw = world.probes.iter().find(|probe| probe.0 >= fault && probe.1 == 0).unwrap().0;
        let last = world.last_pick(0).unwrap();
        assert!(last.since(saw) <= 250 * MS, "picked {:?} after", last.since(saw));
        assert!(world.slowest(fault) < 2 * MS);
    });
}

#[test]
fn all_down_and_back_serves_within_145_ms() {
    for policy in [Policy::Preferred, Policy::LeastConnections] {
        each(|timers, fault| {
            let back = fault + 3_137 * MS;
            let mut world = World::new(3, policy, timers, 6);
            for server in 0..3 {
                world.change_at(fault, server, Mode::Refusing);
            }
            world.change_at(back, 1, Mode::Up);
            // Clients held since the beginning, and new ones.
            world.call(fault, fault + 100 * MS, 10 * MS);
            world.call(back, back + 10_000 * MS, 500 * MS);
            world.run(back + 145 * MS);
            for client in &world.clients {
                let (won, server) = client.won.expect("held clients get through");
                assert!(won.since(back) <= 145 * MS && server == 1, "{:?}", won.since(back));
            }
            world.run(back + 10_000 * MS);
            assert!(world.slowest(back) < 5 * MS, "{:?}", world.slowest(back));
            assert!(world.grade(1).is_usable());
            let opened = world.events.iter().filter(|(_, event)| *event == Event::FailOpen).count();
            let ended = world.events.iter().filter(|(_, event)| *event == Event::FailOpenEnded).count();
            assert_eq!((opened, ended), (1, 1));
        });
    }
}

#[test]
fn all_silent_and_back_serves_as_soon_as_a_probe_knows() {
    let (fault, back) = (ms(35_000), ms(38_137));
    let mut world = World::new(3, Policy::Preferred, Timers::default(), 7);
    for server in 0..3 {
        world.change_at(fault, server, Mode::Silent);
    }
    world.change_at(back, 2, Mode::Up);
    world.call(fault, fault + 100 * MS, 10 * MS);
    world.run(back + 8_000 * MS);
    for client in &world.clients {
        let (won, server) = client.won.expect("held clients get through");
        // A probe waits out its handshake, and the next one may be half a second away.
        assert!(won.since(back) <= 1_500 * MS && server == 2, "{:?}", won.since(back));
    }
}

#[test]
fn the_last_endpoint_is_never_ejected() {
    each(|timers, fault| {
        let mut world = World::new(1, Policy::LeastConnections, timers, 8);
        world.change_at(fault, 0, Mode::Refusing);
        world.call(fault, fault + 500 * MS, 10 * MS);
        world.run(fault + 12_000 * MS);
        assert_eq!(world.grade(0), Grade::Dead);
        for client in &world.clients {
            let (gave_up, reason) = client.gave_up.expect("nobody serves");
            assert_eq!(reason, GiveUp::AllRefused);
            assert_eq!(gave_up.since(client.called), timers.hold);
            assert!(client.picks.len() > 60, "{} attempts", client.picks.len());
        }
    });
}

#[test]
fn most_of_the_pool_bad_at_once_leaves_everyone_to_try() {
    let fault = ms(35_000);
    let mut world = World::new(5, Policy::Preferred, node_local(), 9);
    for server in 0..4 {
        world.change_at(fault, server, Mode::Silent);
    }
    world.call(fault, fault + 3_000 * MS, 10 * MS);
    world.run(fault + 4_000 * MS);
    assert!(world.slowest(fault) <= 4 * 51 * MS, "{:?}", world.slowest(fault));
    assert!(world.slowest(fault + 1_000 * MS) < 2 * MS);
    // Now the last one goes as well, and one that looks dead is back: clients get there before any probe knows.
    let later = fault + 5_000 * MS;
    world.change_at(later, 4, Mode::Refusing);
    world.change_at(later, 3, Mode::Up);
    world.call(later, later + 2_000 * MS, 10 * MS);
    world.run(later + 3_000 * MS);
    assert!(world.slowest(later) <= 4 * 51 * MS, "{:?}", world.slowest(later));
}

#[test]
fn a_full_backlog_is_seen_although_open_connections_answer() {
    each(|timers, fault| {
        let mut world = World::new(3, Policy::Preferred, timers, 10);
        world.change_at(fault, 0, Mode::BacklogFull);
        world.call(fault, fault + 3_000 * MS, 10 * MS);
        world.run(fault + 5_000 * MS);
        assert_eq!(world.grade(0), Grade::Dead);
        assert!(world.last_pick(0).unwrap().since(fault) <= 600 * MS);
        world.change_at(fault + 5_000 * MS, 0, Mode::Up);
        world.run(fault + 8_000 * MS);
        assert_eq!(world.grade(0), Grade::Ready, "one connection from a new probe clears it");
    });
}

#[test]
fn slow_clients_do_not_take_a_healthy_endpoint_out() {
    let mut world = World::new(2, Policy::Preferred, Timers::default(), 11);
    for n in 0..2_000 {
        world.report_at(ms(5_000 + n * 5), 0, Evidence::UnansweredFlight);
    }
    world.run(ms(20_000));
    let changes =
        world.events.iter().filter(|(_, event)| matches!(event, Event::GradeChanged { to: Grade::Dead, .. }));
    assert_eq!(changes.count(), 0);
    assert_eq!(world.grade(0), Grade::Ready);
}

#[test]
fn a_flood_of_reports_makes_two_probes_a_second() {
    for evidence in Evidence::ALL {
        for mode in [Mode::Up, Mode::Refusing, Mode::NotReady] {
            let mut world = World::new(2, Policy::Preferred, node_local(), 12);
            world.change_at(ms(1), 0, mode);
            for n in 0..2_000 {
                world.report_at(ms(40_000 + 5 * n), 0, evidence);
            }
            world.run(ms(51_000));
            let probes = world.probes.iter().filter(|probe| probe.1 == 0);
            let times: Vec<_> = probes.map(|probe| probe.0).filter(|&at| at >= ms(40_000)).collect();
            // Any window of n seconds holds at most the burst and two a second.
            for (at, first) in times.iter().enumerate() {
                for (more, last) in times.iter().enumerate().skip(at) {
                    let allowed = 5 + (last.since(*first).as_millis() / 500) as usize;
                    assert!(
                        more - at < allowed,
                        "{evidence:?} {mode:?}: {} in {:?}",
                        more - at,
                        last.since(*first)
                    );
                }
            }
        }
    }
}

#[test]
fn a_flapping_endpoint_changes_grade_no_faster_than_rise_and_fall_allow() {
    let mut world = World::new(2, Policy::Preferred, Timers::default(), 13);
    for n in 0..400 {
        let mode = if n % 2 == 0 { Mode::Refusing } else { Mode::Up };
        world.change_at(ms(5_000 + n * 73), 0, mode);
    }
    world.run(ms(40_000));
    let changes: Vec<_> = world
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::GradeChanged { .. }))
        .map(|&(at, _)| at)
        .collect();
    let probes = world.probes.iter().filter(|probe| probe.1 == 0).count();
    // Down needs two bad probes and up two good ones.
    assert!(changes.len() <= probes / 2 + 1, "{} changes in {probes} probes", changes.len());
    let times: Vec<_> = world.probes.iter().filter(|probe| probe.1 == 0).map(|probe| probe.0).collect();
    let seconds = times.last().unwrap().since(times[0]).as_secs();
    assert!(times.len() as u64 <= 5 + 2 * (seconds + 1), "{} probes in {seconds} s", times.len());
    assert!(world.grade(0).is_usable(), "it ends up, so it is back");
}
