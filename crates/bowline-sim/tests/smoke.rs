//! Some of what `cargo xtask sim` runs for long.

use bowline_sim::{Kind, Options, ROUTERS_MAX, Stats, run};
use bowline_vrrp::{Family, WhenAllBad};
use std::collections::BTreeMap;

/// Enough that every kind of fault and every option comes up many times, few enough for a test.
const SEEDS: u64 = 800;

#[test]
fn seeds_pass() {
    let mut stats = Stats::default();
    for seed in 0..SEEDS {
        match run(seed) {
            Ok(report) => stats.add(&report.stats),
            Err(failure) => panic!("{failure}"),
        }
    }
    // A world in which nothing happens passes as well.
    assert!(stats.failovers > 50 * SEEDS && stats.faults > 50 * SEEDS, "{stats:?}");
}

#[test]
fn a_seed_is_the_whole_of_what_a_run_depends_on() {
    let mut digests = Vec::new();
    for seed in 0..100 {
        let (once, again) = (run(seed), run(seed));
        let digest = |report: Result<bowline_sim::Report, _>| match report {
            Ok(report) => report.digest,
            Err(failure) => panic!("{failure}"),
        };
        let (once, again) = (digest(once), digest(again));
        assert_eq!(once, again, "seed {seed}");
        // With its lines or without.
        assert_eq!(bowline_sim::replay(seed).digest, once, "seed {seed}");
        digests.push(once);
    }
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 100, "different seeds, different runs");
}

/// What the seeds of [`seeds_pass`] are about, and in how many of them.
#[test]
fn every_fault_and_every_option_comes_up_many_times() {
    let mut seen = BTreeMap::<String, u64>::new();
    for seed in 0..SEEDS {
        let options = Options::draw(seed);
        let Options { routers, virtual_ips, spread, .. } = options;
        let said =
            [format!("{routers} routers"), format!("{virtual_ips} virtual IPs"), format!("spread {spread}")];
        let kinds = options.kinds.iter().map(|kind| format!("{kind:?}"));
        let holds = [
            ("foreign", options.foreign > 0),
            ("version 2", options.version2),
            ("IPv6", options.family == Family::V6),
            ("no bands", !options.bands),
            ("owner", options.owner),
            ("preempt", options.preempt),
            ("release", options.when_all_bad == WhenAllBad::Release),
            ("unicast", options.unicast),
            ("any peer", options.any_peer),
            ("loss", options.loss > 0),
            ("duplicates", options.duplicates > 0),
            ("reorder", options.reorder),
            ("drift", options.drift > 0),
            ("refusals", options.refusals > 0),
            ("locktime", options.locktime),
            ("overlap", options.overlap),
        ];
        let holds = holds.into_iter().filter(|(_, holds)| *holds).map(|(name, _)| name.to_owned());
        for name in said.into_iter().chain(kinds).chain(holds) {
            *seen.entry(name).or_default() += 1;
        }
    }
    let wanted = (1..=ROUTERS_MAX).map(|routers| format!("{routers} routers"));
    let wanted = wanted.chain((1..=3).map(|count| format!("{count} virtual IPs")));
    let wanted = wanted.chain([0, 1, 4].map(|spread| format!("spread {spread}")));
    for name in wanted.chain(Kind::ALL.map(|kind| format!("{kind:?}"))) {
        assert!(seen.contains_key(&name), "{name} never comes up");
    }
    for (name, count) in &seen {
        assert!(count * 40 >= SEEDS, "{name} in {count} of {SEEDS} seeds");
    }
    assert_eq!(seen.len(), ROUTERS_MAX + 3 + 3 + Kind::ALL.len() + 16, "{seen:?}");
}

#[test]
fn every_option_that_is_drawn_makes_a_configuration() {
    for seed in 0..5_000 {
        let options = Options::draw(seed);
        for node in 0..options.routers {
            for vip in 0..options.virtual_ips {
                assert!(options.config(node, vip).is_ok(), "{options:#?}");
            }
        }
    }
}
