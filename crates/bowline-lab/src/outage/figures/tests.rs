use super::super::request::Stage;
use super::*;

const INTERVAL_MS: u64 = 10;
const FAULT: Duration = Duration::from_millis(1000);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn timed_out() -> Result<String, Failure> {
    Err(Failure::TimedOut(Stage::Connect))
}

/// Requests every 10 ms from 0 on: 100 good ones, then at the fault `outcomes`, then good ones until the end at `end_ms`.
fn run(outcomes: &[(u64, Result<&str, ()>)], end_ms: u64) -> Vec<Sample> {
    (0..end_ms / INTERVAL_MS)
        .map(|number| {
            let start = ms(number * INTERVAL_MS);
            let told = number
                .checked_sub(100)
                .and_then(|index| outcomes.get(usize::try_from(index).expect("small")));
            match told {
                Some((took, Ok(server))) => {
                    Sample { start, took: ms(*took), outcome: Ok((*server).to_owned()) }
                }
                Some((took, Err(()))) => Sample { start, took: ms(*took), outcome: timed_out() },
                None => Sample { start, took: ms(2), outcome: Ok("cp1".to_owned()) },
            }
        })
        .collect()
}

#[test]
fn nothing_happened() {
    let figures = figures(&run(&[], 7000), FAULT, FAULT, ms(7000));
    assert_eq!((figures.requests, figures.failed, figures.caught), (600, 0, 0));
    assert_eq!(figures.outage, Duration::ZERO);
    assert_eq!(figures.hard_outage, ms(10), "from answer to answer");
    assert_eq!((figures.extra, figures.median), (ms(2), ms(2)));
    assert_eq!(figures.observed, ms(6000));
    assert_eq!(figures.last_failure, None);
    assert_eq!(figures.servers["cp1"], Served { requests: 600, last: ms(5990) });
}

#[test]
fn a_server_of_three_is_gone_for_600_ms() {
    // Every third request times out (1 s), until the one at 600 ms; the first bad one is the second request, at 10 ms.
    let outcomes: Vec<_> = (0..=60)
        .map(|number| if number % 3 == 1 && number < 59 { (1000, Err(())) } else { (3, Ok("cp2")) })
        .collect();
    let figures = figures(&run(&outcomes, 7000), FAULT, FAULT, ms(7000));
    // 1, 4, ... 58: twenty of them. The window ends at the request after the last, 59.
    assert_eq!(figures.failed, 20);
    assert_eq!(figures.failures, BTreeMap::from([("connecting timed out".to_owned(), 20)]));
    assert_eq!(figures.windows, [Window { start: ms(10), end: ms(590) }]);
    assert_eq!(figures.outage, ms(580));
    assert_eq!(figures.last_failure, Some(ms(580)));
    // Two good, one bad: answers at 990+2, then 1000+3, 1020+3, ... : 20 ms at most between two.
    assert_eq!(figures.hard_outage, ms(20));
}

#[test]
fn a_slow_success_is_an_outage_and_the_extra() {
    let figures = figures(&run(&[(190, Ok("cp2")), (100, Ok("cp2"))], 7000), FAULT, FAULT, ms(7000));
    assert_eq!(figures.failed, 0);
    assert_eq!(figures.extra, ms(190));
    // The second took exactly 100 ms, which is not over 100 ms.
    assert_eq!(figures.outage, ms(10));
}

#[test]
fn twenty_four_good_ones_do_not_end_an_outage_and_twenty_five_do() {
    let stretch = |good: usize| {
        let mut outcomes = vec![(1, Err(()))];
        outcomes.extend(std::iter::repeat_n((2, Ok("cp1")), good));
        outcomes.push((1, Err(())));
        figures(&run(&outcomes, 7000), FAULT, FAULT, ms(7000)).windows
    };
    assert_eq!(stretch(24), [Window { start: ms(0), end: ms(260) }]);
    assert_eq!(stretch(25), [Window { start: ms(0), end: ms(10) }, Window { start: ms(260), end: ms(270) }]);
}

#[test]
fn the_longest_window_is_the_outage() {
    let mut outcomes = vec![(1, Err(()))];
    outcomes.extend(std::iter::repeat_n((2, Ok("cp1")), 30));
    outcomes.extend(std::iter::repeat_n((1, Err(())), 7));
    let figures = figures(&run(&outcomes, 7000), FAULT, FAULT, ms(7000));
    assert_eq!(figures.outage, ms(70));
    assert_eq!(figures.windows.len(), 2);
}

#[test]
fn an_outage_lasts_to_the_end_of_the_observation() {
    let outcomes = vec![(1000, Err(())); 100];
    let figures = figures(&run(&outcomes, 2000), FAULT, FAULT, ms(2000));
    assert_eq!(figures.windows, [Window { start: ms(0), end: ms(1000) }]);
    // The last answer before the fault came at 992 ms.
    assert_eq!(figures.hard_outage, ms(1008));
    assert_eq!((figures.extra, figures.median), (Duration::ZERO, Duration::ZERO));
}

#[test]
fn all_down_and_back() {
    // Refused at once for 2 s; the first good one at 3000 ms takes 40 ms.
    let mut outcomes = vec![(0, Err(())); 200];
    outcomes.push((40, Ok("cp3")));
    let figures = figures(&run(&outcomes, 7000), FAULT, FAULT, ms(7000));
    assert_eq!(figures.failed, 200);
    assert_eq!(figures.outage, ms(2000));
    // From 992 ms to the first answer, which the request at 3010 ms gets (3012 ms, before 3040 ms).
    assert_eq!(figures.hard_outage, ms(2020));
}

#[test]
fn a_request_under_way_at_the_fault_is_caught_and_no_failed_new_request() {
    let mut samples = run(&[], 7000);
    samples[99] = Sample { start: ms(990), took: ms(30), outcome: timed_out() };
    samples[98] = Sample { start: ms(980), took: ms(5), outcome: timed_out() };
    assert_eq!(figures(&samples, ms(983), FAULT, ms(7000)).caught, 2, "it began before the second ended");
    let figures = figures(&samples, FAULT, FAULT, ms(7000));
    assert_eq!((figures.caught, figures.failed), (1, 0));
    assert_eq!(figures.outage, Duration::ZERO);
}

#[test]
fn no_requests_at_all_is_one_hard_outage() {
    let figures = figures(&[], FAULT, FAULT, ms(2000));
    assert_eq!(figures.requests, 0);
    assert_eq!(figures.hard_outage, ms(1000));
}

#[test]
fn the_document_is_in_whole_milliseconds() {
    let json =
        serde_json::to_value(figures(&run(&[(190, Ok("cp2")), (1, Err(()))], 1500), FAULT, FAULT, ms(1500)))
            .expect("JSON");
    assert_eq!(json["outageMs"], 20);
    assert_eq!(json["extraMs"], 190);
    assert_eq!(json["lastFailureMs"], 10);
    assert_eq!(json["servers"]["cp2"]["lastMs"], 0);
    assert_eq!(json["windows"][0]["endMs"], 20);
}
