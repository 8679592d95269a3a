use super::*;

#[test]
fn often_at_first_then_every_30_seconds() {
    let mut announcements = Announcements::begin(Instant::from_millis(100));
    let mut at = Vec::new();
    let mut now = Instant::from_millis(100);
    for _ in 0..8 {
        announcements.sent(now);
        now = announcements.next(now);
        at.push(now.since(Instant::from_millis(100)).as_millis());
    }
    assert_eq!(at, [50, 200, 500, 1_000, 2_000, 5_000, 35_000, 65_000]);
}

#[test]
fn one_out_of_turn_waits_for_the_gap_and_skips_none_of_the_others() {
    let mut announcements = Announcements::begin(Instant::ORIGIN);
    announcements.sent(Instant::from_millis(1_990));
    assert_eq!(announcements.soonest(), Instant::from_millis(2_040));
    assert_eq!(announcements.next(Instant::from_millis(1_900)), Instant::from_millis(2_040));
    assert_eq!(announcements.next(Instant::from_millis(2_040)), Instant::from_millis(5_000));
}
