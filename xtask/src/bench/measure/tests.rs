use super::*;

fn round(haproxy: f64, bowline: f64) -> Round {
    let mut round = Round::default();
    for (variant, value) in [(Variant::HaProxy, haproxy), (Variant::Bowline, bowline)] {
        round.insert(variant, Sample { values: BTreeMap::from([(Measure::Bulk, value)]), failed: 0 });
    }
    round
}

#[test]
fn the_median_of_an_even_number_lies_between_the_middle_two() {
    let spread = Spread::of([4.0, 1.0, 3.0, 2.0].into_iter()).unwrap();
    assert_eq!(spread, Spread { median: 2.5, least: 1.0, most: 4.0 });
    assert_eq!(Spread::of([7.0].into_iter()).unwrap().median, 7.0);
    assert_eq!(Spread::of(std::iter::empty()), None);
}

#[test]
fn a_ratio_needs_both_values_and_a_divisor() {
    assert_eq!(round(2.0, 5.0).ratio(Measure::Bulk, Variant::Bowline, Variant::HaProxy), Some(2.5));
    assert_eq!(round(0.0, 5.0).ratio(Measure::Bulk, Variant::Bowline, Variant::HaProxy), None);
    assert_eq!(round(2.0, 5.0).ratio(Measure::Bulk, Variant::Bowline, Variant::Nginx), None);
    assert_eq!(round(2.0, 5.0).ratio(Measure::Memory, Variant::Bowline, Variant::HaProxy), None);
}

#[test]
fn a_round_is_shown_with_the_measure_s_digits() {
    assert_eq!(round(2.0, 5.125).shown(Measure::Bulk), "HAProxy 2.00, bowline 5.12");
}
