use std::collections::BTreeMap;

use super::super::measure::Sample;
use super::*;

fn sample(connections: f64, failed: u64) -> Sample {
    let values = [(Measure::Connections, connections), (Measure::ConnectionCpu, 0.7)];
    Sample { values: BTreeMap::from(values), failed }
}

fn report(bowline: f64, haproxy: f64, failed: u64) -> Report {
    let rounds = [1.0, 2.0].map(|speed| {
        let mut round = Round::default();
        round.insert(
            Variant::Direct,
            Sample { values: BTreeMap::from([(Measure::Connections, 16_000.0)]), failed: 0 },
        );
        round.insert(Variant::HaProxy, sample(haproxy * speed, 0));
        round.insert(Variant::Bowline, sample(bowline * speed, failed));
        round
    });
    let conditions = Conditions { lines: vec!["a machine".to_owned()], seconds: 1.0, smoke: false };
    Report::new(Scenario::Connections, &rounds, conditions)
}

#[test]
fn missed_bounds_are_counted() {
    assert_eq!(missed(&[report(8_000.0, 7_000.0, 0)]), 0);
    assert_eq!(missed(&[report(8_000.0, 7_000.0, 0), report(6_000.0, 7_000.0, 0)]), 1);
}

#[test]
fn a_number_that_is_missing_or_of_failed_connections_is_an_error() {
    assert!(report(7_500.0, 7_000.0, 0).complete().is_ok());
    assert!(report(7_500.0, 7_000.0, 1).complete().is_err());
    let mut round = Round::default();
    round.insert(Variant::Direct, sample(16_000.0, 0));
    let conditions = Conditions { lines: Vec::new(), seconds: 1.0, smoke: true };
    assert!(Report::new(Scenario::Connections, &[round], conditions).complete().is_err());
}

#[test]
fn every_form_has_every_way() {
    let report = report(8_400.0, 7_000.0, 0);
    for text in [report.table(), report.markdown()] {
        for name in ["direct", "HAProxy", "bowline", "1.20"] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }
    assert_eq!(report.json()["results"].as_array().unwrap().len(), 6);
    assert_eq!(report.json()["bounds"].as_array().unwrap().len(), 1);
    // The background; three ways have connections per second, and two a proxy's CPU time.
    assert_eq!(report.svg().matches("<rect").count(), 1 + 3 + 2);
}
