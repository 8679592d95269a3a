//! Giving the addresses up without an outage.

use super::*;

#[test]
fn a_planned_stop_serves_until_the_successor_is_heard() {
    let mut subject = Subject::active(settings());
    let now = subject.now();
    assert_eq!(done(subject.step(Input::Leave, now)), [Said::Advert(0)]);
    assert_eq!((subject.state(), subject.status().held), (State::HandingOver, true));
    assert_eq!(subject.status().holder, Some(ip(2)));
    // Silent meanwhile, whatever leaves beside it.
    assert_eq!(done(subject.step(heard(1, 0), now + Duration::from_millis(1))), []);
    let said = subject.step(heard(3, 246), now + Duration::from_millis(5));
    let after = Duration::from_millis(5);
    assert!(said.contains(&Said::Event(Event::SuccessorHeard { peer: ip(3), after })));
    assert_eq!(done(said), [Said::Release(Reason::SuccessorHeard)]);
    assert_eq!((subject.state(), subject.status().held), (State::Initialize, false));
    assert_eq!(subject.router.get().poll_timeout(), None);
    let released = Input::Released(subject.tenure());
    assert_eq!(subject.step(released, now + Duration::from_millis(9)), []);
}

/// A router that gives way says so with the least priority there is. It is Backup then, and nobody would have the addresses.
#[test]
fn one_that_gives_way_is_no_successor() {
    let mut subject = Subject::active(settings());
    let now = subject.now();
    subject.step(Input::Leave, now);
    let known = Said::Event(Event::PeerHeard { peer: ip(3), checksum: advert(3, LAST_RESORT).checksum });
    assert_eq!(subject.step(heard(3, LAST_RESORT), now + Duration::from_millis(1)), [known]);
    assert_eq!(subject.state(), State::HandingOver);
    let said = subject.step(heard(3, 246), now + Duration::from_millis(30));
    assert_eq!(done(said), [Said::Release(Reason::SuccessorHeard)]);
}

/// Without bands it may be one that cannot serve, and has waited until this one should be gone.
#[test]
fn a_planned_stop_without_bands_takes_any_successor() {
    let mut subject = Subject::active(with(|s| s.bands = false));
    let now = subject.now();
    subject.step(Input::Leave, now);
    let said = subject.step(heard(1, LAST_RESORT), now + Duration::from_millis(1_600));
    assert_eq!(done(said), [Said::Release(Reason::SuccessorHeard)]);
}

/// Active beside this one since it is deaf, and no more able to serve: it would not notice that it is alone.
#[test]
fn an_offer_is_not_for_one_that_cannot_serve_either() {
    let mut subject = Subject::active(with(|s| s.bands = false));
    let now = subject.now();
    subject.step(Input::CanServe(false), now);
    // It is argued with meanwhile: the addresses are served here.
    for at in [60, 160, 260] {
        let said = done(subject.step(heard(1, LAST_RESORT), now + Duration::from_millis(at)));
        assert_eq!((subject.state(), said), (State::HandingOver, vec![Said::Announce]));
    }
    assert_eq!(done(subject.step(heard(1, LAST_RESORT), now + Duration::from_millis(300))), []);
    // And so it is when nobody took them.
    let (due, said) = subject.timeout();
    let again = vec![Said::Advert(LAST_RESORT), Said::Announce];
    assert_eq!((due, done(said)), (now + Duration::from_secs(2), again));
    // One that goes before it is another matter.
    let (now, _) = subject.run_until_change(due + Duration::from_secs(11)).expect("another offer");
    assert_eq!(subject.state(), State::HandingOver);
    subject.step(heard(3, LAST_RESORT), now + Duration::from_millis(50));
    assert_eq!(subject.state(), State::Backup);
}

#[test]
fn a_planned_stop_waits_two_seconds_for_a_successor() {
    let mut subject = Subject::active(settings());
    let now = subject.now();
    subject.step(Input::Leave, now);
    let (due, said) = subject.timeout();
    assert_eq!((due, done(said)), (now + Duration::from_secs(2), vec![Said::Release(Reason::NoSuccessor)]));
    assert_eq!(subject.state(), State::Initialize);
}

#[test]
fn a_stop_before_the_addresses_are_there_is_over_at_once() {
    let mut subject = Subject::started(settings());
    let (now, _) = subject.timeout();
    assert_eq!(done(subject.step(Input::Leave, now)), [Said::Advert(0), Said::Release(Reason::Leaving)]);
    assert_eq!(subject.state(), State::Initialize);
}

#[test]
fn a_backup_leaves_without_a_word() {
    let mut subject = Subject::backup(settings(), 1, 254);
    assert_eq!(done(subject.step(Input::Leave, ms(10))), []);
    assert_eq!((subject.state(), subject.router.get().poll_timeout()), (State::Initialize, None));
}

#[test]
fn one_that_left_can_start_again_and_waits() {
    let mut subject = Subject::active(settings());
    let now = subject.now();
    subject.step(Input::Leave, now);
    subject.timeout();
    let now = subject.now() + Duration::from_secs(1);
    assert_eq!(done(subject.step(Input::Start, now)), []);
    let (due, _) = subject.timeout();
    assert_eq!(due, now + Duration::from_nanos(322_343_750));
    assert_eq!(subject.tenure().get(), 2);
}

#[test]
fn a_start_of_one_that_takes_part_changes_nothing() {
    for mut subject in [Subject::backup(settings(), 1, 254), Subject::active(settings())] {
        let (state, now) = (subject.state(), subject.now());
        assert_eq!(subject.step(Input::Start, now), []);
        assert_eq!(subject.state(), state);
    }
}

#[test]
fn a_hand_over_ends_when_the_addresses_are_lost() {
    let mut subject = Subject::active(settings());
    let (now, tenure) = (subject.now(), subject.tenure());
    subject.step(Input::Leave, now);
    let said = subject.step(Input::Lost(tenure, Loss::Removed), now + Duration::from_millis(10));
    assert_eq!(done(said), [Said::Release(Reason::AddressLost)]);
}

#[test]
fn a_fault_ends_a_hand_over() {
    let mut subject = Subject::active(settings());
    let now = subject.now();
    subject.step(Input::Leave, now);
    let said = subject.step(Input::Fault(Fault::NotServing), now + Duration::from_millis(10));
    assert_eq!(done(said), [Said::Release(Reason::Fault(Fault::NotServing))]);
    assert_eq!(subject.state(), State::Initialize);
}

#[test]
fn a_stop_during_an_offer_is_a_stop() {
    let mut subject = Subject::active(with(|s| s.bands = false));
    let now = subject.now();
    subject.step(Input::CanServe(false), now);
    subject.step(Input::Leave, now + Duration::from_millis(10));
    subject.step(Input::CanServe(true), now + Duration::from_millis(20));
    assert_eq!(subject.state(), State::HandingOver);
    subject.step(heard(3, 246), now + Duration::from_millis(30));
    assert_eq!(subject.state(), State::Initialize);
}

#[test]
fn after_a_hand_over_for_others_the_successors_interval_is_learned() {
    let mut subject = Subject::active(with(|s| s.bands = false));
    let now = subject.now();
    subject.step(Input::CanServe(false), now);
    let slow = Advert { interval: Duration::from_secs(1), ..advert(3, 246) };
    subject.step(Input::Received(slow), now);
    assert_eq!((subject.state(), subject.status().holder), (State::Backup, Some(ip(3))));
    // 3 * 1 s, 255/256 s, and its place before the holder's.
    let due = now + Duration::from_nanos(3_000_000_000 + 996_093_750 + 20_000_000);
    assert_eq!(subject.router.get().poll_timeout(), Some(due));
}

#[test]
fn one_that_left_unfit_is_unfit_when_it_starts_again() {
    let mut subject = Subject::active(with(|s| s.when_all_bad = WhenAllBad::Release));
    let now = subject.now();
    subject.step(Input::Leave, now);
    subject.step(Input::CanServe(false), now);
    subject.timeout();
    let now = subject.now();
    subject.step(Input::Start, now);
    assert_eq!((subject.state(), subject.status().fault), (State::Fault, Some(Fault::CannotServe)));
}

#[test]
fn a_group_takes_over_together() {
    let mut subject = Subject::backup(settings(), 1, 254);
    assert_eq!(done(subject.step(Input::TakeOver, ms(10))), [Said::Advert(250), Said::Acquire]);
    assert_eq!((subject.state(), subject.status().reason), (State::Active, Reason::Group));
    assert_eq!(subject.step(Input::TakeOver, ms(11)), []);
}
