use std::time::Instant;

use bowline_lab::outage::{Failure, Run, Sample};

use super::*;

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A run of 600 requests after a fault at its beginning: `cp1`, which it happened to, answers the first ten, then the other two servers
/// take turns, and the twentieth is slow.
fn report() -> Report {
    let samples = (0..600).map(|number: u64| {
        let server = if number < 10 { "cp1" } else { ["cp2", "cp3"][usize::from(number.is_multiple_of(2))] };
        let took = if number == 20 { 54 } else { 2 };
        Sample { start: ms(number * 10), took: ms(took), outcome: Ok(server.to_owned()) }
    });
    report_of(samples.collect())
}

fn report_of(samples: Vec<Sample>) -> Report {
    let lags = vec![ms(1); samples.len()];
    let epoch = Instant::now();
    Run { epoch, end: ms(6000), samples, talking: vec![], silent: vec![], lags }.report(epoch, epoch)
}

fn observation(
    fault: Fault,
    cut: Cut,
    report: &Report,
    served_after: Option<Option<Duration>>,
) -> Observation {
    Observation::new(fault, "cp1".to_owned(), cut, report, served_after)
}

#[test]
fn the_table_fits_a_terminal_and_says_how_each_fault_was_made() {
    let report = report();
    let served = |fault| (fault == Fault::AllDown).then_some(Some(ms(35)));
    let faults = Fault::ALL.map(|fault| observation(fault, Cut::Queue, &report, served(fault)));
    let text = Demo::new(Cut::Queue, faults.into(), ms(43_600)).text();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "killed 0/600 0ms 54ms 0 0 cp1 got SIGKILL",
        "cp1 stopped; no client was sent there",
        "its last new client came after 90ms",
        "accept queue (no root): new connections only",
        "0 watches were ended by it in good order",
        "served 35ms after the first was back",
    ] {
        assert!(words.contains(expected), "`{expected}` is not in\n{text}");
    }
}

#[test]
fn notes_tell_a_cut_link_a_late_client_and_a_service_that_did_not_come_back() {
    let mut report = report();
    assert_eq!(observation(Fault::Unreachable, Cut::Link, &report, None).note, "the link of cp1 was cut");
    report.lag.worst = ms(51);
    report.figures.caught = 2;
    let note = observation(Fault::AllDown, Cut::Link, &report, Some(None)).note;
    assert_eq!(note, "for 2 s; not served again; 2 under way then failed too; this machine stalled for 51ms");
}

#[test]
fn the_document_has_the_figures_and_their_schema() {
    let failed = Sample { start: ms(30), took: ms(1), outcome: Err(Failure::Refused) };
    let report = report_of(vec![failed]);
    let document =
        Demo::new(Cut::Link, vec![observation(Fault::Frozen, Cut::Link, &report, None)], ms(7_500));
    let json = serde_json::to_value(&document).expect("JSON");
    assert_eq!(json["schema"], "bowline.dev/demo/v1");
    assert_eq!((&json["cut"], &json["elapsedMs"]), (&"link".into(), &7500.into()));
    let fault = &json["faults"][0];
    assert_eq!(fault["failures"]["refused"], 1);
    assert_eq!(fault["lastFailureMs"], 30);
    assert_eq!(fault["talking"]["kept"], 0);
    let schema = serde_json::to_value(schemars::schema_for!(Demo)).expect("schema");
    let described = schema["$defs"]["Observation"]["properties"].as_object().expect("properties");
    let written = fault.as_object().expect("an object");
    assert_eq!(written.keys().collect::<Vec<_>>(), described.keys().collect::<Vec<_>>());
}
