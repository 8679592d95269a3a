use super::*;
use crate::failover::Holders;
use crate::outage::{Fates, Lag, Report, figures};

/// An observation in which every request failed until `outage`, and the machine stalled for `stall`.
fn observation(outage: Duration, stall: Duration, hung: u32) -> Observation {
    let sample = |at: u32| crate::outage::Sample {
        start: Duration::from_millis(10) * at,
        took: Duration::from_millis(1),
        outcome: if Duration::from_millis(10) * at < outage {
            Err(crate::outage::Failure::Refused)
        } else {
            Ok("cp1".to_owned())
        },
    };
    let samples: Vec<_> = (0..200).map(sample).collect();
    let figures = figures(&samples, Duration::ZERO, Duration::ZERO, Duration::from_secs(2));
    let lag = Lag { worst: Duration::ZERO, median: Duration::ZERO };
    let fates = Fates { hung, ..Fates::default() };
    Observation {
        report: Report { figures, talking: Fates::default(), silent: fates, lag },
        holders: Holders {
            last_two_answers_ms: (hung > 0).then_some(7),
            announced_ms: (hung > 0).then_some(9),
            ..Holders::default()
        },
        stall,
    }
}

#[test]
fn figures_are_those_of_the_runs_that_count() {
    let ms = Duration::from_millis;
    let seen = [
        observation(ms(300), ms(1), 0),
        observation(ms(100), ms(2), 3),
        observation(ms(200), ms(3), 0),
        observation(ms(900), ms(60), 5),
    ];
    let measured = summary("any".to_owned(), Fault::LinkCut, &seen, ms(50));
    assert_eq!((measured.runs, measured.disturbed, measured.worst_stall_ms), (3, 1, 3));
    assert_eq!(measured.outage_ms, Spread { median: 200, best: 100, worst: 300 });
    assert_eq!((measured.hung, measured.two_answers_ms), (3, Some(7)));
    assert_eq!(measured.announced_ms, Some(Spread { median: 9, best: 9, worst: 9 }));
    assert_eq!(measured.not_one_in_the_end, 3, "nobody had it, by these holders");
}

#[test]
fn nothing_is_summed_up_to_nothing() {
    let measured = summary("any".to_owned(), Fault::Stop, &[], Duration::ZERO);
    assert_eq!((measured.runs, measured.outage_ms), (0, Spread::default()));
}
