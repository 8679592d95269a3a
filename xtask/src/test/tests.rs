use super::*;

fn count(line: &str) -> Count {
    let mut count = Count::default();
    count.add(line);
    count
}

#[test]
fn closing_lines_of_both_runners_are_read() {
    assert_eq!(
        count("     Summary [   1.234s] 12 tests run: 10 passed (1 slow), 2 failed, 3 skipped"),
        Count { passed: 10, failed: 2, skipped: 3 }
    );
    assert_eq!(
        count(
            "\u{1b}[32;1m     Summary\u{1b}[0m [   0.013s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m passed, 0 skipped"
        ),
        Count { passed: 2, failed: 0, skipped: 0 }
    );
    assert_eq!(
        count(
            "test result: FAILED. 7 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s"
        ),
        Count { passed: 7, failed: 1, skipped: 2 }
    );
}

#[test]
fn other_lines_count_nothing() {
    for line in ["", "test tests::three_passed ... ok", "12 passed the gate", "running 3 tests"] {
        assert_eq!(count(line), Count::default(), "{line}");
    }
}
