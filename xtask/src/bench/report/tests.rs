use std::time::Duration;

use super::super::measure::Sample;
use super::*;

fn sample(connections: u64, failed: u64) -> Sample {
    Sample { connections, failed, took: Duration::from_secs(1), proxy_cpu: Duration::from_millis(700) }
}

fn report(bowline: u64, haproxy: u64, failed: u64) -> Report {
    let rounds = [(bowline, haproxy), (bowline * 2, haproxy * 2)].map(|(bowline, haproxy)| {
        let mut round = Round::default();
        round.insert(Variant::Direct, sample(16_000, 0));
        round.insert(Variant::HaProxy, sample(haproxy, 0));
        round.insert(Variant::Bowline, sample(bowline, failed));
        round
    });
    Report::new(&rounds, vec!["a machine".to_owned()], 1.0, false)
}

#[test]
fn a_figure_is_judged_by_the_ratio_inside_the_rounds() {
    assert!(report(7_500, 7_000, 0).judge().is_ok());
    assert!(report(6_900, 7_000, 0).judge().is_ok(), "within 3 %");
    assert!(report(6_700, 7_000, 0).judge().is_err());
    assert!(report(7_500, 7_000, 1).judge().is_err(), "a failed connection");
}

#[test]
fn a_number_that_is_missing_is_an_error() {
    let mut round = Round::default();
    round.insert(Variant::Direct, sample(16_000, 0));
    assert!(Report::new(&[round], Vec::new(), 1.0, true).complete().is_err());
    assert!(report(7_500, 7_000, 0).complete().is_ok());
}

#[test]
fn table_markdown_and_json_have_every_way() {
    let report = report(8_400, 7_000, 0);
    for text in [report.table(), report.markdown()] {
        for name in ["direct", "HAProxy", "bowline", "1.20"] {
            assert!(text.contains(name), "{name} in {text}");
        }
    }
    assert_eq!(report.json()["results"].as_array().unwrap().len(), 6);
}
