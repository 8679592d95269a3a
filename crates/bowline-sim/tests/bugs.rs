//! The checkers, tried on bugs that other implementations have had: each has to be seen, and by a checker that is meant for it.

use bowline_sim::{Bug, Kind, Options, run_options};
use bowline_vrrp::WhenAllBad;
use std::collections::BTreeMap;
use std::time::Duration;

/// A bug has to show itself within so many seeds, in each of a tenth of them.
const SEEDS: u64 = 60;

/// In how many seeds each checker found something.
fn caught(bug: Bug) -> BTreeMap<&'static str, u64> {
    let mut by = BTreeMap::new();
    for seed in 0..SEEDS {
        let options = provoking(bug, Options::draw(seed));
        if let Err(failure) = run_options(&options, Some(bug))
            && let Some(violation) = failure.report.violation
        {
            *by.entry(violation.checker).or_default() += 1;
        }
    }
    by
}

/// The same world with the faults under which the bug matters, and enough nodes for it to matter to.
fn provoking(bug: Bug, mut options: Options) -> Options {
    options.routers = options.routers.max(3);
    options.overlap = false;
    (options.loss, options.refusals) = (0, 0);
    if bug == Bug::PreemptsNever {
        (options.preempt, options.foreign) = (true, 0);
    }
    let kinds: &[Kind] = match bug {
        Bug::SkewLost | Bug::TieBreakMissing => &[Kind::PowerOff, Kind::Isolate],
        Bug::CentisecondsForSeconds
        | Bug::TimerLeftArmed
        | Bug::TimerNotRearmed
        | Bug::LeaseNotRenewed
        | Bug::AnnounceMissing
        | Bug::PreemptsAlways
        | Bug::PreemptsNever => &[Kind::PowerOff],
        Bug::PriorityZeroIgnored | Bug::ReleaseBeforeSuccessor => &[Kind::Leave],
        Bug::IntervalZeroAccepted => &[Kind::Spoof],
        Bug::LeaseNeverExpires | Bug::StallIgnored => &[Kind::Hang],
        Bug::CannotServeIgnored => &[Kind::Unable],
        Bug::ConnectionsKept => &[Kind::Remove, Kind::Isolate],
        Bug::GuardMissing => &[Kind::Crash],
        Bug::PeerTakenForStranger => &[Kind::Isolate],
        Bug::EvidenceFromBefore => {
            // Trouble of all, of which each finds out in its own time, and priorities that say so.
            (options.bands, options.foreign, options.when_all_bad) = (true, 0, WhenAllBad::Keep);
            options.stability = Duration::from_millis(200);
            &[Kind::AllUnable]
        }
    };
    options.kinds = kinds.to_vec();
    options
}

/// Whose business it is.
fn responsible(bug: Bug) -> &'static [&'static str] {
    match bug {
        Bug::SkewLost => &["economy"],
        Bug::CentisecondsForSeconds => &["absence"],
        Bug::TieBreakMissing => &["owners"],
        Bug::PriorityZeroIgnored | Bug::ReleaseBeforeSuccessor => &["hand-over"],
        Bug::TimerNotRearmed | Bug::PreemptsAlways => &["moves"],
        // The Backup that believes it takes over at once; the holder that believes it is nobody's Backup.
        Bug::IntervalZeroAccepted => &["moves", "absence"],
        Bug::PreemptsNever => &["preemption"],
        Bug::TimerLeftArmed => &["contract"],
        Bug::LeaseNotRenewed | Bug::LeaseNeverExpires | Bug::GuardMissing => &["leases"],
        Bug::AnnounceMissing => &["announcements"],
        Bug::StallIgnored | Bug::ConnectionsKept => &["silence"],
        Bug::CannotServeIgnored => &["service"],
        Bug::PeerTakenForStranger => &["errors"],
        Bug::EvidenceFromBefore => &["trouble"],
    }
}

#[test]
fn every_planted_bug_is_seen() {
    // What a planted bug makes a machine panic of is counted; it need not be printed.
    std::panic::set_hook(Box::new(|_| {}));
    let all = Bug::ALL.map(|bug| (bug, caught(bug)));
    let _ = std::panic::take_hook();
    for (bug, by) in &all {
        println!("{bug:?}: {by:?}");
    }
    for (bug, by) in all {
        let seen: u64 = responsible(bug).iter().filter_map(|checker| by.get(checker)).sum();
        assert!(seen * 10 >= SEEDS, "{bug:?} was seen by {by:?}");
    }
}

#[test]
fn without_a_bug_the_same_worlds_pass() {
    for bug in Bug::ALL {
        for seed in 0..10 {
            if let Err(failure) = run_options(&provoking(bug, Options::draw(seed)), None) {
                panic!("{bug:?}: {failure}");
            }
        }
    }
}
