//! What a client sees when the holder of a virtual IP fails. Bounds are several times the figures that are promised, which only a
//! quiet machine can show; the long test prints the figures themselves, beside keepalived's with HAProxy.

use super::{among_its_own, skip};
use bowline_lab::failover::{Daemons, Fault, Observation, Rig, System};
use bowline_lab::lan::Lan;
use bowline_lab::outage::Report;
use std::time::Duration;

/// Observations made until one is sound.
pub(super) const ATTEMPTS: usize = 3;
/// A machine later than this measured itself, ...
pub(super) const STALL_MAX: Duration = Duration::from_millis(60);
/// ... and so did one on which every second request takes longer, of which each needs a millisecond or two of its time.
const MEDIAN_MAX: Duration = Duration::from_millis(25);
/// So long two kernels may have the address when nobody is waited for who hangs; with such a wait it would be a quarter of a second.
const TWO_HOLDERS_MAX: Duration = Duration::from_millis(150);
/// Any moment will do: nobody's timers are at the same place twice.
const PHASE: Duration = Duration::from_millis(250);

/// The balancer under test, with adverts every 100 ms.
pub(super) fn system() -> Daemons {
    Daemons { bowline: among_its_own(), interval: Duration::from_millis(100), more: String::new() }
}

/// A sound observation of the fault, none when the machine has no time for one.
pub(super) fn observe(fault: Fault, observed: Duration) -> Option<Observation> {
    let system = system();
    if let Some(reason) = Lan::missing().or_else(|| system.missing()).or_else(|| fault.missing()) {
        skip(&reason);
        return None;
    }
    for _ in 0..ATTEMPTS {
        let rig = Rig::start(&system).expect("three balancers with a virtual IP");
        let observation = rig.observe(fault, PHASE, observed).expect("an observation");
        let report = serde_json::to_string(&observation.report).expect("print the figures");
        println!("{fault}: {report}, {:?}, stall {:?}", observation.holders, observation.stall);
        if is_sound(&observation.report, observation.stall) {
            return Some(observation);
        }
    }
    skip(&format!("{fault}: the machine is too busy for a sound observation, {ATTEMPTS} were made"));
    None
}

/// Whether the machine had time for what it was to measure.
pub(super) fn is_sound(report: &Report, stall: Duration) -> bool {
    stall.max(report.lag.worst) <= STALL_MAX && report.figures.median <= MEDIAN_MAX
}

#[test]
fn outage_of_a_planned_stop_hangs_nobody() {
    let Some(seen) = observe(Fault::Stop, Duration::from_secs(4)) else { return };
    let report = &seen.report;
    assert_eq!((report.talking.hung, report.silent.hung), (0, 0), "{report:?}");
    assert_eq!((report.talking.redialled_hung, report.silent.redialled_hung), (0, 0), "{report:?}");
    assert!(report.figures.outage < Duration::from_millis(200), "{report:?}");
    assert_eq!(seen.holders.in_the_end.len(), 1, "{:?}", seen.holders);
}

#[test]
fn outage_of_a_killed_daemon_leaves_one_holder() {
    let Some(seen) = observe(Fault::Kill, Duration::from_secs(4)) else { return };
    let (talking, silent) = (seen.report.talking, seen.report.silent);
    assert_eq!((talking.redialled_hung, silent.redialled_hung), (0, 0), "{:?}", seen.report);
    assert!(seen.report.figures.outage < Duration::from_secs(1), "{:?}", seen.report);
    assert_eq!(seen.holders.in_the_end.len(), 1, "{:?}", seen.holders);
}

#[test]
fn outage_of_a_link_cut_is_the_time_others_wait() {
    let Some(seen) = observe(Fault::LinkCut, Duration::from_secs(3)) else { return };
    assert!(seen.report.figures.outage < Duration::from_secs(1), "{:?}", seen.report);
    assert_eq!(seen.holders.in_the_end.len(), 1, "{:?}", seen.holders);
}

#[test]
fn outage_of_a_wedged_worker_moves_the_address() {
    let Some(seen) = observe(Fault::Wedged, Duration::from_secs(3)) else { return };
    moved(&seen, Duration::from_secs(2));
    // Adverts went on until the proxy was found not to answer: nobody can have taken over before.
    let announced = seen.holders.announced_ms.filter(|ms| *ms >= 400).expect("a successor, and in time");
    let alone = Duration::from_millis(seen.holders.last_two_addresses_ms.unwrap_or_default());
    // It is known not to answer, and is not waited for.
    assert!(alone < Duration::from_millis(announced) + TWO_HOLDERS_MAX, "{:?}", seen.holders);
}

#[test]
fn outage_of_a_starved_daemon_moves_the_address() {
    let Some(seen) = observe(Fault::Starved, Duration::from_secs(4)) else { return };
    moved(&seen, Duration::from_secs(3));
}

/// Whether another one had announced itself `within` that time, has the address in the end alone, and nobody is left hanging.
#[track_caller]
fn moved(seen: &Observation, within: Duration) {
    let (report, holders) = (&seen.report, &seen.holders);
    let announced = holders.announced_ms.map(Duration::from_millis);
    assert!(announced.is_some_and(|announced| announced < within), "{holders:?}, {report:?}");
    assert!(holders.in_the_end.len() == 1 && !holders.in_the_end.contains("lb1"), "{holders:?}");
    assert_eq!((report.talking.hung, report.silent.hung), (0, 0), "{report:?}");
    assert_eq!((report.talking.redialled_hung, report.silent.redialled_hung), (0, 0), "{report:?}");
}
