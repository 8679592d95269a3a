//! What RFC 9568 section 6.4 asks of any router.

use super::*;

#[test]
fn a_start_waits_for_the_active_down_interval_and_its_place() {
    let mut subject = Subject::started(settings());
    assert_eq!(subject.state(), State::Backup);
    // 3 * 100 ms + 6/256 * 100 ms + 20 ms.
    let (due, said) = subject.timeout();
    assert_eq!(due, Instant::from_nanos(322_343_750));
    assert_eq!(done(said), [Said::Advert(250), Said::Acquire]);
    assert_eq!((subject.state(), subject.status().reason), (State::Active, Reason::NobodyHeard));
}

#[test]
fn the_owner_is_active_at_once() {
    let mut subject = Subject::new(with(|settings| settings.priority = Priority::OWNER));
    subject.step(Input::CanServe(true), ms(0));
    assert_eq!(done(subject.step(Input::Start, ms(0))), [Said::Advert(255), Said::Acquire]);
    assert_eq!(subject.state(), State::Active);
}

#[test]
fn the_owner_is_active_as_soon_as_it_can_serve_unless_somebody_was_heard() {
    let owner = || with(|settings| settings.priority = Priority::OWNER);
    let mut subject = Subject::new(owner());
    assert_eq!(done(subject.step(Input::Start, ms(0))), []);
    let said = subject.step(Input::CanServe(true), ms(5));
    assert_eq!(done(said), [Said::Advert(255), Said::Acquire]);
    assert_eq!((subject.state(), subject.status().reason), (State::Active, Reason::Owner));

    let mut subject = Subject::new(owner());
    subject.step(Input::Start, ms(0));
    subject.step(heard(1, 254), ms(3));
    assert_eq!(done(subject.step(Input::CanServe(true), ms(5))), []);
    assert_eq!(subject.state(), State::Backup);
}

#[test]
fn the_addresses_are_announced_when_they_are_there() {
    let mut subject = Subject::started(settings());
    let (now, _) = subject.timeout();
    let held = Input::Held(subject.tenure());
    assert_eq!(done(subject.step(held, now)), [Said::Announce]);
}

#[test]
fn a_backup_waits_for_the_holder_alone() {
    let mut subject = Subject::backup(settings(), 1, 254);
    assert_eq!(subject.status().holder, Some(ip(1)));
    // The holder was before it in the order, so that nobody has to be waited for.
    let (due, _) = subject.timeout();
    assert_eq!(due, Instant::from_nanos(302_343_750));
}

#[test]
fn a_backup_takes_over_after_its_skew_from_a_holder_that_leaves() {
    let mut subject = Subject::backup(settings(), 1, 254);
    assert_eq!(done(subject.step(heard(1, 0), ms(50))), []);
    let (due, said) = subject.timeout();
    assert_eq!(due, ms(50) + Duration::from_nanos(2_343_750));
    assert_eq!(done(said), [Said::Advert(250), Said::Acquire]);
    assert_eq!(subject.status().reason, Reason::HolderLeft);
}

#[test]
fn an_active_router_keeps_its_period() {
    let mut subject = Subject::active(settings());
    let began = subject.status().since;
    let mut adverts = Vec::new();
    while adverts.len() < 30 {
        let (due, said) = subject.timeout();
        if said.contains(&Said::Advert(250)) {
            adverts.push(due);
        }
    }
    let planned: Vec<_> = (1..=30).map(|n| began + Duration::from_millis(100 * n)).collect();
    assert_eq!(adverts, planned);
}

#[test]
fn an_active_router_yields_to_a_higher_one() {
    let mut subject = Subject::active(settings());
    let now = subject.now() + Duration::from_millis(60);
    // One word more: the other may not have heard that there were two.
    assert_eq!(done(subject.step(heard(1, 254), now)), [Said::Advert(1), Said::Release(Reason::HigherHeard)]);
    assert_eq!((subject.state(), subject.status().holder), (State::Backup, Some(ip(1))));
}

#[test]
fn of_two_equal_ones_the_higher_address_stays() {
    let mut subject = Subject::active(settings());
    let now = subject.now() + Duration::from_millis(60);
    assert_eq!(done(subject.step(heard(1, 250), now)), [Said::Advert(250), Said::Announce]);
    assert_eq!(
        done(subject.step(heard(3, 250), now + Duration::from_millis(1))),
        [Said::Advert(1), Said::Release(Reason::EqualHeard)]
    );
}

#[test]
fn a_lower_one_and_one_that_leaves_are_answered_at_once() {
    let mut subject = Subject::active(settings());
    let now = subject.now() + Duration::from_millis(60);
    assert_eq!(done(subject.step(heard(3, 246), now)), [Said::Advert(250), Said::Announce]);
    let now = now + Duration::from_millis(20);
    assert_eq!(done(subject.step(heard(3, 0), now)), [Said::Advert(250)]);
    assert_eq!(subject.state(), State::Active);
}

#[test]
fn timeouts_handled_late_do_not_stretch_the_period() {
    let mut subject = Subject::active(settings());
    let began = subject.status().since;
    let mut last = began;
    for _ in 0..200 {
        let due = subject.router.get().poll_timeout().unwrap();
        let now = due + Duration::from_millis(4);
        if subject.step(Input::Timeout, now).contains(&Said::Advert(250)) {
            last = now;
        }
    }
    let periods = last.since(began).as_millis();
    assert_eq!(periods % 100, 4, "{periods} ms after the first");
}

/// A neighbour that was told something else may be deaf for a second after that: once is not enough.
#[test]
fn after_a_lower_advert_announcements_are_repeated_as_at_the_beginning() {
    let mut subject = Subject::active(settings());
    let began = subject.now() + Duration::from_secs(10);
    subject.run_until_change(began);
    subject.step(heard(3, 246), began);
    let mut at = Vec::new();
    while subject.now() < began + Duration::from_secs(8) {
        let (now, said) = subject.timeout();
        if said.contains(&Said::Announce) {
            at.push(now.since(began).as_millis());
        }
    }
    assert_eq!(at, [50, 200, 500, 1_000, 2_000, 5_000]);
}
