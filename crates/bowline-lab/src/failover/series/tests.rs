use super::*;

#[test]
fn every_fault_is_in_some_case_and_every_name_is_of_one() {
    for fault in Fault::ALL {
        assert!(Case::ALL.iter().any(|case| case.faults.contains(&fault)), "{fault}");
    }
    for (place, case) in Case::ALL.iter().enumerate() {
        assert!(Case::ALL.iter().skip(place + 1).all(|other| other.name != case.name), "{}", case.name);
    }
}

#[test]
fn the_table_has_a_row_for_each_and_says_who_never_let_go() {
    let measured = summary("any".to_owned(), Fault::Kill, &[], Duration::ZERO);
    let shown = |measured| Shown { case: "killed", interval_ms: 100, spoilt: 1, measured };
    let table = markdown(&[
        shown(measured.clone()),
        shown(Measured { runs: 3, not_one_in_the_end: 2, two_answers_ms: Some(5), hung: 4, ..measured }),
    ]);
    let rows: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(
        rows,
        [
            "| killed | kill | any | 0 ms (0) | nobody | 0 | 1 | 0 of 0 | never |",
            "| killed | kill | any | 0 ms (0) | nobody | 3 | 1 | 4 of 4 | the end, 2 of 3 |",
        ]
    );
}

#[test]
fn a_moment_lies_within_its_period() {
    assert!((0..1000).all(|_| phase(SECOND) < SECOND));
}
