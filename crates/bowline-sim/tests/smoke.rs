//! Some of what `cargo xtask sim` runs for long.

use bowline_sim::{Options, Stats, run};

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
