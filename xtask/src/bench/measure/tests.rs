use super::*;

#[test]
fn the_median_of_an_even_number_lies_between_the_middle_two() {
    let spread = Spread::of([4.0, 1.0, 3.0, 2.0].into_iter()).unwrap();
    assert_eq!(spread, Spread { median: 2.5, least: 1.0, most: 4.0 });
    assert_eq!(Spread::of([7.0].into_iter()).unwrap().median, 7.0);
    assert_eq!(Spread::of(std::iter::empty()), None);
}

#[test]
fn a_sample_gives_its_numbers_and_the_direct_way_has_no_proxy() {
    let sample = Sample {
        connections: 5_000,
        failed: 0,
        took: Duration::from_millis(500),
        proxy_cpu: Duration::from_millis(300),
    };
    assert_eq!(Measure::NewConnections.value(Variant::Bowline, &sample), Some(10_000.0));
    let cpu = Measure::ProxyCpu.value(Variant::Bowline, &sample).unwrap();
    assert!((cpu - 0.6).abs() < 1e-9, "{cpu}");
    assert_eq!(Measure::ProxyCpu.value(Variant::Direct, &sample), None);
}
