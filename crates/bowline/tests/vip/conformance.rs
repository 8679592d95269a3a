//! The checks that any virtual router has to stand.

use super::{among_others, possible};
use bowline_lab::conformance::{self, Check, Variant, Verdict};

/// Checks mostly wait: more at once than there are processors.
const AT_ONCE: usize = 8;

/// What differs over IPv6.
const IPV6_SMOKE: [&str; 10] = [
    "advert_format",
    "takeover_announces",
    "backup_answers_no_arp",
    "backup_takes_over_after_mdi",
    "master_answers_arp",
    "master_yields_to_equal_higher_address",
    "shutdown_sends_priority0",
    "ignores_ttl_254",
    "ignores_bad_checksum",
    "unicast_goes_to_the_peers",
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

fn conforms(variant: Variant, wanted: impl Fn(&Check) -> bool) {
    let subject = among_others();
    if !possible(&[&subject]) {
        return;
    }
    let mut checks = conformance::checks();
    checks.retain(wanted);
    let outcomes = conformance::run(&subject, variant, &checks, AT_ONCE).expect("a gauge");
    outcomes.iter().for_each(|outcome| println!("{outcome}"));
    let unexpected: Vec<String> =
        outcomes.iter().filter(|outcome| !outcome.is_expected()).map(ToString::to_string).collect();
    assert!(unexpected.is_empty(), "not as it has to be:\n{}", unexpected.join("\n"));
    assert!(
        outcomes.iter().any(|outcome| matches!(outcome.verdict, Verdict::Passed(_))),
        "nothing was checked:\n{outcomes:#?}"
    );
}

#[test]
fn it_conforms_to_version_3() {
    conforms(Variant::V3, |_| true);
}

#[test]
fn it_conforms_over_ipv6() {
    conforms(Variant::V3Ipv6, |check| IPV6_SMOKE.contains(&check.name));
}

#[test]
fn it_conforms_to_version_2() {
    conforms(Variant::V2, |check| V2_SMOKE.contains(&check.name));
}

#[test]
#[ignore = "takes a minute; a tenth of these checks is in every run, and version 3 stands for the rest"]
fn it_conforms_to_all_of_version_2_and_over_ipv6() {
    conforms(Variant::V3Ipv6, |_| true);
    conforms(Variant::V2, |_| true);
}
