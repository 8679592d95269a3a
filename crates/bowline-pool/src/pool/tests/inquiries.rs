//! Questions whether clients would be served, and what counts as an answer.

use super::*;
use crate::message::InquiryId;

const FIRST: InquiryId = InquiryId(1);

/// Three endpoints, well for a while and at rest; at 900 ms none was probed for long.
fn resting() -> Bench {
    Bench::ready(&["a", "b", "c"])
}

fn ask(bench: &mut Bench, millis: u64, inquiry: InquiryId) -> Vec<Output> {
    bench.at(millis, Input::Inquire(inquiry))
}

fn answers(outputs: &[Output]) -> Vec<(InquiryId, bool)> {
    let answer = |output: &Output| match output {
        Output::Inquired { inquiry, served } => Some((*inquiry, *served)),
        Output::Probe { .. } | Output::Forget { .. } | Output::Publish(_) | Output::Event(_) => None,
    };
    outputs.iter().filter_map(answer).collect()
}

const fn timed_out() -> ProbeResult {
    ProbeResult::Failed(ProbeFailure::TimedOut(Stage::Request))
}

fn not_ready() -> ProbeResult {
    ProbeResult::Answered {
        readyz: Status::Failing(500),
        livez: Some(Status::Ok),
        certificate: Certificate::Verified,
        connect: None,
    }
}

#[test]
fn everybody_is_probed_at_once_and_two_good_rounds_are_a_yes() {
    let mut bench = resting();
    ask(&mut bench, 500, FIRST);
    assert_eq!(bench.open.len(), 3);
    assert_eq!(answers(&bench.answer(502, 1, ok(None))), []);
    // The second round does not wait for whoever is slow, and begins a fast interval after the answer.
    let (at, _) = bench.timeout();
    assert_eq!((at, bench.open.len()), (ms(602), 3), "{:?}", bench.open);
    assert_eq!(answers(&bench.answer(603, 1, ok(None))), [(FIRST, true)]);
    // Asked and answered: from here on only what is regular.
    bench.answer(604, 0, ok(None));
    bench.answer(604, 2, ok(None));
    assert!(bench.pool.get().poll_timeout() > Some(ms(1_300)), "{:?}", bench.pool.get().poll_timeout());
}

#[test]
fn a_probe_that_was_on_its_way_is_no_evidence_and_is_followed_by_one() {
    let mut bench = resting();
    while bench.open.is_empty() {
        bench.timeout();
    }
    let sent = bench.pool.now();
    let later = |millis| (sent + Duration::from_millis(millis)).as_nanos() / 1_000_000;
    let on_its_way = bench.open.len();
    ask(&mut bench, later(50), FIRST);
    assert_eq!(bench.open.len(), 3);
    for endpoint in 0..on_its_way as u64 {
        let before = bench.open.len();
        assert_eq!(answers(&bench.answer(later(60), endpoint, ok(None))), []);
        assert_eq!(bench.open.len(), before, "asked again at once");
    }
    for endpoint in [0, 1] {
        assert_eq!(answers(&bench.answer(later(70 + endpoint), endpoint, ok(None))), []);
    }
    bench.timeout();
    assert_eq!(answers(&bench.answer(later(200), 0, ok(None))), [(FIRST, true)]);
}

#[test]
fn a_round_in_which_all_fail_is_a_no() {
    for result in
        [timed_out, not_ready, || REFUSED, || ProbeResult::Failed(ProbeFailure::Local(String::new()))]
    {
        let mut bench = resting();
        ask(&mut bench, 500, FIRST);
        assert_eq!(answers(&bench.answer(700, 0, result())), []);
        assert_eq!(answers(&bench.answer(700, 2, result())), []);
        assert_eq!(answers(&bench.answer(700, 1, result())), [(FIRST, false)]);
    }
}

/// The standstill that they all share ends between the rounds, or begins there.
#[test]
fn one_good_round_is_not_enough() {
    let mut bench = resting();
    ask(&mut bench, 500, FIRST);
    for endpoint in 0..3 {
        assert_eq!(answers(&bench.answer(690 + endpoint, endpoint, ok(None))), []);
    }
    let (at, _) = bench.timeout();
    assert_eq!(at, ms(790), "a fast interval after the answer, not after the probe");
    let said: Vec<_> =
        (0..3).flat_map(|endpoint| answers(&bench.answer(990, endpoint, timed_out()))).collect();
    assert_eq!(said, [(FIRST, false)]);
}

#[test]
fn endpoints_that_are_down_are_not_asked_and_without_any_the_answer_is_no() {
    let mut bench = Bench::ready(&["a", "b"]);
    for _ in 0..2 {
        bench.report(10, 0, Evidence::Refused);
    }
    assert_eq!(bench.grades(), [Grade::Dead, Grade::Ready]);
    bench.open.clear();
    ask(&mut bench, 60, FIRST);
    assert_eq!(bench.open, [(EndpointId(1), false)]);
    assert_eq!(answers(&bench.answer(260, 1, timed_out())), [(FIRST, false)]);

    let mut empty = Bench::new(spec(&[]));
    assert_eq!(answers(&ask(&mut empty, 1, FIRST)), [(FIRST, false)]);
}

#[test]
fn endpoints_that_go_while_they_are_asked_are_not_waited_for() {
    let mut bench = resting();
    ask(&mut bench, 500, FIRST);
    bench.answer(501, 0, REFUSED);
    assert_eq!(answers(&bench.at(502, Input::Reconcile(spec(&["a", "c"])))), []);
    assert_eq!(answers(&bench.at(503, Input::Reconcile(spec(&["a"])))), [(FIRST, false)]);
}

#[test]
fn several_questions_are_answered_each_by_what_came_after_it() {
    let mut bench = resting();
    ask(&mut bench, 500, FIRST);
    ask(&mut bench, 550, InquiryId(2));
    for endpoint in 0..3 {
        assert_eq!(answers(&bench.answer(560, endpoint, ok(None))), []);
    }
    // The second question's first probes are sent at once; the first one's second round comes with its own.
    assert_eq!(bench.open.len(), 3);
    assert_eq!(answers(&bench.answer(570, 0, ok(None))), []);
    let mut said = Vec::new();
    while said.len() < 2 {
        let (at, outputs) = bench.timeout();
        said.extend(answers(&outputs));
        while let Some(&(EndpointId(endpoint), _)) = bench.open.first() {
            said.extend(answers(&bench.answer(at.as_nanos().div_ceil(1_000_000), endpoint, ok(None))));
        }
    }
    assert_eq!(said, [(FIRST, true), (InquiryId(2), true)]);
}

#[test]
fn questions_beyond_the_limit_are_answered_at_once() {
    let mut bench = resting();
    for number in 0..INQUIRIES_MAX as u64 {
        assert_eq!(answers(&ask(&mut bench, 500, InquiryId(number))), []);
    }
    assert_eq!(answers(&ask(&mut bench, 500, InquiryId(99))), [(InquiryId(99), false)]);
}

/// Whoever asks without an end gets no more probes than the budget allows.
#[test]
fn questions_stay_within_the_budget() {
    let mut bench = Bench::ready(&["a"]);
    let mut sent = 0;
    for number in 0..1_000 {
        ask(&mut bench, 100 + 10 * number, InquiryId(number));
        for (endpoint, _) in core::mem::take(&mut bench.open) {
            sent += 1;
            bench.at(100 + 10 * number, Input::Probed { endpoint, result: ok(None) });
        }
    }
    // Ten seconds of two a second, and the burst.
    assert!((20..=25).contains(&sent), "{sent}");
}
