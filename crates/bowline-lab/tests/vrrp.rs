//! The checks against programs whose behaviour is known: what proves the checks, by their right answers and by their wrong ones.

use bowline_lab::conformance::{self, Check, Variant, Verdict};
use bowline_lab::interop::{Dialect, Story, Told};
use bowline_lab::lan::Lan;
use bowline_lab::peer::{Frr, Keepalived, Subject};

/// Checks mostly wait: more at once than there are processors. With many more the kernel is busy with making and ending namespaces.
const AT_ONCE: usize = 6;

/// What differs over IPv6.
const IPV6_SMOKE: [&str; 8] = [
    "advert_format",
    "takeover_announces",
    "backup_answers_no_arp",
    "backup_takes_over_after_mdi",
    "master_yields_to_equal_higher_address",
    "shutdown_sends_priority0",
    "ignores_ttl_254",
    "unicast_goes_to_the_peers",
];

/// The rest of FRR's outcomes, those that differ above all, tell nothing new of the checks.
const FRR_SMOKE: [&str; 8] = [
    "advert_format",
    "backup_answers_no_arp",
    "backup_takes_over_after_mdi",
    "master_answers_arp",
    "master_yields_to_higher",
    "master_keeps_against_lower_and_asserts",
    "shutdown_sends_priority0",
    "checksum_without_pseudo_header",
];

/// Of version 2, whose shortest interval is a second, those that no other version has, and one of each kind.
const V2_SMOKE: [&str; 8] = [
    "advert_format",
    "backup_takes_over_after_mdi",
    "backup_priority0_takes_over_after_skew",
    "shutdown_sends_priority0",
    "ignores_v2_interval_mismatch",
    "ignores_v2_auth_type_unknown",
    "v2_password_is_sent",
    "v2_password_is_demanded",
];

fn conforms(subject: &dyn Subject, variant: Variant, wanted: impl Fn(&Check) -> bool) {
    if let Some(reason) = Lan::missing().or(subject.missing()) {
        return skip(&reason);
    }
    let mut checks = conformance::checks();
    checks.retain(wanted);
    let outcomes = conformance::run(subject, variant, &checks, AT_ONCE).expect("a gauge");
    outcomes.iter().for_each(|outcome| println!("{outcome}"));
    let unexpected: Vec<String> =
        outcomes.iter().filter(|outcome| !outcome.is_expected()).map(ToString::to_string).collect();
    assert!(unexpected.is_empty(), "{} is not as it is known:\n{}", subject.name(), unexpected.join("\n"));
    assert!(
        outcomes.iter().any(|outcome| matches!(outcome.verdict, Verdict::Passed(_))),
        "nothing was checked:\n{outcomes:#?}"
    );
}

/// Says why the test cannot do its work here, also in the list that a run of all tests keeps.
fn skip(reason: &str) {
    use std::io::Write;
    eprintln!("SKIPPED: {reason}");
    if let Some(path) = std::env::var_os("BOWLINE_TEST_SKIPS") {
        let list = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        writeln!(list.expect("open the list of skipped tests"), "{name}: {reason}")
            .expect("note a skipped test");
    }
}

#[test]
fn keepalived_is_as_it_is_known_in_version_3() {
    conforms(&Keepalived, Variant::V3, |_| true);
}

#[test]
fn keepalived_is_as_it_is_known_over_ipv6() {
    conforms(&Keepalived, Variant::V3Ipv6, |check| IPV6_SMOKE.contains(&check.name));
}

#[test]
fn keepalived_is_as_it_is_known_in_version_2() {
    conforms(&Keepalived, Variant::V2, |check| V2_SMOKE.contains(&check.name));
}

#[test]
#[ignore = "takes a minute and a half; version 3 of keepalived has nearly all of these checks"]
fn both_are_as_they_are_known_in_every_check() {
    conforms(&Keepalived, Variant::V2, |_| true);
    conforms(&Keepalived, Variant::V3Ipv6, |_| true);
    conforms(&Frr, Variant::V3, |_| true);
}

#[test]
fn frr_is_as_it_is_known_in_version_3() {
    conforms(&Frr, Variant::V3, |check| FRR_SMOKE.contains(&check.name));
}

/// Stories of pairs at the same time, each on a segment of its own.
fn agree(dialect: Dialect, tales: &[(Story, [&dyn Subject; 2])]) {
    let missing = || tales.iter().flat_map(|(_, subjects)| *subjects).find_map(Subject::missing);
    if let Some(reason) = Lan::missing().or_else(missing) {
        return skip(&reason);
    }
    let told: Vec<Told> = std::thread::scope(|scope| {
        let told = tales.iter().map(|(story, subjects)| scope.spawn(|| story.tell(dialect, *subjects)));
        let told: Vec<_> = told.collect();
        told.into_iter().map(|one| one.join().expect("a story without panic")).collect()
    });
    for ((story, subjects), told) in tales.iter().zip(told) {
        let what =
            format!("{} as {story:?} of {} and {}", dialect.name(), subjects[0].name(), subjects[1].name());
        match told {
            Told::AsItShould => println!("{what}: as it should be"),
            Told::Disturbed(error) => skip(&format!("{what}: {error:#}")),
            Told::Otherwise(error) => panic!("{what}: {error:#}"),
        }
    }
}

#[test]
fn keepalived_agrees_with_its_own_kind_and_with_frr() {
    agree(
        Dialect::V3Fast,
        &[
            (Story::Life { better: 0 }, [&Keepalived, &Keepalived]),
            (Story::Equals { cut: 1 }, [&Keepalived, &Keepalived]),
            (Story::Polite { better: 1 }, [&Keepalived, &Keepalived]),
            (Story::Life { better: 1 }, [&Keepalived, &Frr]),
        ],
    );
}

#[test]
#[ignore = "takes minutes; the shortest dialect is told in every run"]
fn two_keepaliveds_agree_in_every_dialect() {
    let tales = Story::ALL.map(|story| -> (Story, [&dyn Subject; 2]) { (story, [&Keepalived, &Keepalived]) });
    Dialect::ALL.into_iter().for_each(|dialect| agree(dialect, &tales));
}
