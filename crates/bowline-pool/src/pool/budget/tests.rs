use super::*;

const fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Sends whenever it may until `until`, and returns when it did.
fn drain(budget: &mut Budget, urgency: Urgency, until: Instant) -> Vec<Instant> {
    let mut sent = Vec::new();
    let mut now = Instant::ORIGIN;
    for _ in 0..100 {
        now = now.max(budget.ready_at(urgency));
        if now > until {
            return sent;
        }
        budget.take(now);
        sent.push(now);
    }
    panic!("no end of probes at {now:?}");
}

#[test]
fn a_burst_and_then_two_a_second() {
    let mut budget = Budget::new(Duration::from_secs(30), ms(0));
    let sent = drain(&mut budget, Urgency::Urgent, ms(2_000));
    assert_eq!(sent, [0, 0, 0, 0, 0, 500, 1_000, 1_500, 2_000].map(ms));
}

#[test]
fn the_reserve_is_left_to_urgent_probes() {
    let mut budget = Budget::new(Duration::from_secs(30), ms(0));
    let sent = drain(&mut budget, Urgency::Patient, ms(1_000));
    assert_eq!(sent, [0, 0, 0, 500, 1_000].map(ms));
    assert!(budget.ready_at(Urgency::Urgent) <= ms(1_000));
    budget.take(ms(1_000));
    budget.take(ms(1_000));
    assert_eq!(budget.ready_at(Urgency::Urgent), ms(1_500));
}

#[test]
fn a_shorter_regular_interval_is_granted() {
    let mut budget = Budget::new(Duration::from_millis(200), ms(0));
    assert_eq!(drain(&mut budget, Urgency::Urgent, ms(2_000)).len(), 5 + 10);
    let mut budget = Budget::new(Duration::ZERO, ms(0));
    assert_eq!(drain(&mut budget, Urgency::Urgent, ms(100)).len(), 5 + 10);
}

#[test]
fn another_interval_keeps_what_was_spent() {
    let mut budget = Budget::new(Duration::from_millis(100), ms(0));
    for _ in 0..5 {
        budget.take(ms(0));
    }
    budget.set_interval(Duration::from_secs(1), ms(100));
    assert_eq!(budget.ready_at(Urgency::Urgent), ms(500));
}
