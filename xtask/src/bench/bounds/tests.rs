use std::collections::BTreeMap;

use super::super::measure::Sample;
use super::*;

fn round(measure: Measure, haproxy: f64, bowline: f64) -> Round {
    let mut round = Round::default();
    for (variant, value) in [(Variant::HaProxy, haproxy), (Variant::Bowline, bowline)] {
        round.insert(variant, Sample { values: BTreeMap::from([(measure, value)]), failed: 0 });
    }
    round
}

fn verdict(bound: Bound, haproxy: f64, bowline: f64) -> Verdict {
    // The second round is twice as fast all in all: the ratio stays.
    let rounds = [1.0, 2.0].map(|speed| round(bound.measure, haproxy * speed, bowline * speed));
    bound.judge(&rounds).verdict
}

#[test]
fn where_more_is_better_the_bound_is_the_least() {
    let bound = Bound::against(Measure::Connections, Variant::HaProxy, 1.08);
    assert_eq!(verdict(bound, 100.0, 108.0), Verdict::Met);
    assert_eq!(verdict(bound, 100.0, 105.0), Verdict::Near);
    assert_eq!(verdict(bound, 100.0, 104.0), Verdict::Missed);
}

#[test]
fn where_less_is_better_the_bound_is_the_most() {
    let bound = Bound::against(Measure::BulkCpu, Variant::HaProxy, 0.15);
    assert_eq!(verdict(bound, 1.0, 0.15), Verdict::Met);
    assert_eq!(verdict(bound, 1.0, 0.154), Verdict::Near);
    assert_eq!(verdict(bound, 1.0, 0.156), Verdict::Missed);
}

#[test]
fn a_bound_without_another_is_the_value_s_own() {
    let bound = Bound { measure: Measure::Memory, against: None, bound: 4.0 };
    let judged = |value| bound.judge(&[round(Measure::Memory, 30.0, value)]);
    assert_eq!(judged(1.5).verdict, Verdict::Met);
    assert_eq!(judged(5.0).verdict, Verdict::Missed);
    assert_eq!(judged(5.0).to_string(), "missed: MB per 10,000 idle connections: 5.000, bound: at most 4");
}

#[test]
fn what_cannot_be_compared_is_not_judged() {
    let bound = Bound::against(Measure::Bulk, Variant::HaProxySplice, 1.1);
    assert_eq!(verdict(bound, 1.0, 9.0), Verdict::Unknown);
}
