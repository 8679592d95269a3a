//! Faults, the kernel's answers, and standing still.

use super::*;

#[test]
fn an_active_router_with_a_fault_gives_everything_up_at_once() {
    let mut subject = Subject::active(settings());
    let now = subject.now();
    let said = subject.step(Input::Fault(Fault::LinkDown), now);
    assert_eq!(done(said), [Said::Advert(0), Said::Release(Reason::Fault(Fault::LinkDown))]);
    assert_eq!((subject.state(), subject.router.get().poll_timeout()), (State::Fault, None));
}

#[test]
fn a_fault_ends_when_all_are_over_with_a_whole_wait() {
    let mut subject = Subject::backup(settings(), 1, 254);
    subject.step(Input::Fault(Fault::LinkDown), ms(10));
    subject.step(Input::Fault(Fault::NotServing), ms(20));
    subject.step(Input::Recovered(Fault::LinkDown), ms(30));
    assert_eq!((subject.state(), subject.status().fault), (State::Fault, Some(Fault::NotServing)));
    subject.step(Input::Recovered(Fault::NotServing), ms(1_000));
    assert_eq!((subject.state(), subject.status().reason), (State::Backup, Reason::Recovered));
    assert_eq!(subject.timeout().0, ms(1_000) + Duration::from_nanos(322_343_750));
}

#[test]
fn a_fault_before_the_start_counts() {
    let mut subject = Subject::new(settings());
    subject.step(Input::Fault(Fault::LinkDown), ms(0));
    subject.step(Input::Start, ms(0));
    assert_eq!(subject.state(), State::Fault);
    let mut subject = Subject::new(settings());
    subject.step(Input::Fault(Fault::LinkDown), ms(0));
    subject.step(Input::Recovered(Fault::LinkDown), ms(0));
    subject.step(Input::Start, ms(0));
    assert_eq!(subject.state(), State::Backup);
}

#[test]
fn in_fault_it_watches_and_does_nothing() {
    let mut subject = Subject::backup(settings(), 1, 254);
    subject.step(Input::Fault(Fault::LinkDown), ms(10));
    assert_eq!(done(subject.step(heard(3, 246), ms(400))), []);
    assert_eq!(subject.status().holder, Some(ip(3)));
    subject.step(heard(3, 0), ms(420));
    assert_eq!(subject.status().holder, None);
    assert_eq!(subject.router.get().poll_timeout(), None);
}

#[test]
fn an_owner_that_recovers_is_active_at_once() {
    let mut subject = Subject::active(with(|s| s.priority = Priority::OWNER));
    let now = subject.now();
    subject.step(Input::Fault(Fault::LinkDown), now);
    let said = subject.step(Input::Recovered(Fault::LinkDown), now + Duration::from_secs(1));
    assert_eq!(done(said), [Said::Advert(255), Said::Acquire]);
}

#[test]
fn without_its_addresses_it_does_not_stay_active() {
    let mut subject = Subject::started(settings());
    let (now, _) = subject.timeout();
    let refused = Input::NotHeld(subject.tenure());
    let release = Said::Release(Reason::Fault(Fault::NotHeld));
    assert_eq!(done(subject.step(refused, now)), [Said::Advert(0), release]);
    assert_eq!(subject.state(), State::Fault);
    // Others have five seconds; then it takes part again.
    let (due, _) = subject.timeout();
    assert_eq!((due, subject.state()), (now + Duration::from_secs(5), State::Backup));
}

#[test]
fn an_answer_that_does_not_come_is_a_refusal() {
    let mut subject = Subject::started(settings());
    let (now, _) = subject.timeout();
    let (due, said) = subject.run_until_change(now + Duration::from_secs(5)).unwrap();
    assert_eq!((due, subject.state()), (now + Duration::from_secs(2), State::Fault));
    assert_eq!(done(said), [Said::Advert(0), Said::Release(Reason::Fault(Fault::NotHeld))]);
}

#[test]
fn other_faults_do_not_put_the_next_attempt_off() {
    let mut subject = Subject::started(settings());
    let (now, _) = subject.timeout();
    subject.step(Input::NotHeld(subject.tenure()), now);
    subject.step(Input::Fault(Fault::LinkDown), now + Duration::from_secs(4));
    subject.step(Input::Recovered(Fault::LinkDown), now + Duration::from_millis(4_500));
    assert_eq!(subject.timeout().0, now + Duration::from_secs(5));
    assert_eq!(subject.state(), State::Backup);
}

#[test]
fn answers_of_an_earlier_tenure_mean_nothing() {
    let mut subject = Subject::started(settings());
    let (now, _) = subject.timeout();
    let first = subject.tenure();
    subject.step(heard(1, 254), now);
    let (now, _) = subject.run_until_change(now + Duration::from_secs(1)).unwrap();
    assert_ne!(subject.tenure(), first);
    for stale in
        [Input::Held(first), Input::NotHeld(first), Input::Lost(first, Loss::Removed), Input::Released(first)]
    {
        assert_eq!(subject.step(stale, now), []);
    }
    assert_eq!((subject.state(), subject.status().held), (State::Active, false));
}

#[test]
fn an_address_lost_while_active_is_put_back_and_announced() {
    let mut subject = Subject::active(settings());
    let now = subject.now() + Duration::from_millis(50);
    let lost = Input::Lost(subject.tenure(), Loss::Removed);
    assert_eq!(done(subject.step(lost, now)), [Said::Acquire]);
    assert!(!subject.status().held);
    let held = Input::Held(subject.tenure());
    assert_eq!(done(subject.step(held, now)), [Said::Announce]);
}

#[test]
fn putting_back_is_bounded() {
    let mut subject = Subject::active(settings());
    let (began, mut acquired) = (subject.now(), 0);
    for at in 0..200 {
        let now = began + Duration::from_millis(5 * at);
        while subject.router.get().poll_timeout().is_some_and(|due| due <= now) {
            acquired += subject.timeout().1.iter().filter(|&&said| said == Said::Acquire).count();
        }
        let (lost, held) = (Input::Lost(subject.tenure(), Loss::Removed), Input::Held(subject.tenure()));
        for input in [held, lost] {
            acquired += subject.step(input, now).iter().filter(|&&said| said == Said::Acquire).count();
        }
    }
    assert_eq!(acquired, 10);
}

#[test]
fn who_is_not_active_puts_nothing_back() {
    let mut subject = Subject::active(settings());
    let (now, tenure) = (subject.now(), subject.tenure());
    subject.step(heard(1, 254), now);
    assert_eq!(subject.step(Input::Lost(tenure, Loss::Removed), now), []);
}

#[test]
fn an_active_router_that_stood_still_gives_up_without_a_word() {
    let stood_still: [fn(&mut Subject) -> Vec<Said>; 3] = [
        // The shell says so.
        |subject| subject.step(Input::Stalled, subject.now()),
        // The timeout is handled too late: a Backup has waited three intervals by then.
        |subject| {
            let late = subject.status().since + Duration::from_millis(301);
            subject.step(Input::Timeout, late)
        },
        // The first thing it hears is the Backup that has taken over: no answer, no race.
        |subject| {
            let late = subject.status().since + Duration::from_millis(301);
            subject.step(heard(3, 246), late)
        },
    ];
    for stand_still in stood_still {
        let mut subject = Subject::active(settings());
        let said = stand_still(&mut subject);
        assert_eq!(done(said), [Said::Release(Reason::Stalled)]);
        assert_eq!(subject.state(), State::Backup);
        let now = subject.now();
        let (due, _) = subject.run_until_change(now + Duration::from_secs(1)).unwrap();
        assert!(due >= now + Duration::from_millis(300), "{due:?} after {now:?}");
    }
}

#[test]
fn an_advert_that_is_a_little_late_is_sent() {
    let mut subject = Subject::active(settings());
    let late = subject.status().since + Duration::from_millis(300);
    assert_eq!(done(subject.step(Input::Timeout, late))[0], Said::Advert(250));
    assert_eq!(subject.state(), State::Active);
}

#[test]
fn a_lease_shorter_than_the_interval_counts_as_well() {
    let slow = with(|s| {
        s.bands = false;
        s.protocol = Protocol::V2 { interval: Seconds::new(10).unwrap(), password: None };
    });
    let mut subject = Subject::active(slow);
    let since = subject.status().since;
    // The announcements go on meanwhile; nothing is late.
    assert_eq!(subject.run_until_change(since + Duration::from_secs(10)), None);
    let late = since + Duration::from_millis(21_001);
    assert_eq!(done(subject.step(Input::Timeout, late)), [Said::Release(Reason::Stalled)]);
}

#[test]
fn a_backup_that_stood_still_listens_again() {
    let mut subject = Subject::backup(settings(), 1, 254);
    // Due at 302.3 ms; 300 ms later it is too late to know anything.
    assert_eq!(done(subject.step(Input::Timeout, ms(603))), []);
    assert_eq!(subject.timeout().0, ms(603) + Duration::from_nanos(302_343_750));
    let mut subject = Subject::backup(settings(), 1, 254);
    assert_eq!(done(subject.step(Input::Timeout, ms(602))), [Said::Advert(250), Said::Acquire]);
    let mut subject = Subject::backup(settings(), 1, 254);
    subject.step(Input::Stalled, ms(200));
    assert_eq!(subject.timeout().0, ms(200) + Duration::from_nanos(302_343_750));
}

/// Everything that came meanwhile is read at one moment, and the holder's successor may not be among it.
#[test]
fn an_old_farewell_does_not_shorten_the_wait_after_standing_still() {
    let mut subject = Subject::backup(settings(), 1, 254);
    subject.step(heard(1, 254), ms(2_000));
    subject.step(heard(1, 0), ms(2_000));
    assert_eq!((subject.state(), subject.status().holder), (State::Backup, None));
    // 3 * 100 ms, 6/256 * 100 ms.
    assert_eq!(subject.router.get().poll_timeout(), Some(ms(2_000) + Duration::from_nanos(302_343_750)));
    // A new one does.
    subject.step(heard(1, 254), ms(2_001));
    subject.step(heard(1, 0), ms(2_002));
    assert_eq!(subject.timeout().0, ms(2_002) + Duration::from_nanos(2_343_750));
}

#[test]
fn ability_does_not_shorten_the_wait_after_standing_still() {
    let mut subject = Subject::backup(settings(), 1, 254);
    subject.step(Input::Stalled, ms(600));
    subject.step(Input::CanServe(false), ms(650));
    subject.step(Input::CanServe(true), ms(700));
    assert_eq!(subject.timeout().0, ms(600) + Duration::from_nanos(302_343_750));
}

#[test]
fn what_the_machine_finds_itself_nobody_tells_it() {
    let mut subject = Subject::active(settings());
    let now = subject.now();
    for fault in [Fault::NotHeld, Fault::CannotServe] {
        assert_eq!(subject.step(Input::Fault(fault), now), []);
    }
    let mut subject = Subject::new(with(|s| s.when_all_bad = WhenAllBad::Release));
    subject.step(Input::Start, ms(0));
    assert_eq!(subject.step(Input::Recovered(Fault::CannotServe), ms(0)), []);
}

#[test]
fn one_that_left_without_its_addresses_may_try_again() {
    let mut subject = Subject::started(settings());
    let (now, _) = subject.timeout();
    subject.step(Input::NotHeld(subject.tenure()), now);
    subject.step(Input::Leave, now);
    subject.step(Input::Start, now);
    assert_eq!(subject.state(), State::Backup);
}

#[test]
fn an_answer_that_comes_before_a_lost_address_is_put_back_is_not_for_it() {
    let mut subject = Subject::active(settings());
    let (now, tenure) = (subject.now(), subject.tenure());
    subject.step(Input::Lost(tenure, Loss::Removed), now);
    subject.step(Input::Lost(tenure, Loss::Removed), now + Duration::from_millis(1));
    // The answer to the first order; the address went after it.
    assert_eq!(subject.step(Input::Held(tenure), now + Duration::from_millis(2)), []);
    assert!(!subject.status().held);
}

/// What was learned before says nothing about those that are heard after standing still.
#[test]
fn a_router_that_stood_still_waits_by_its_own_interval() {
    let mut subject = Subject::started(settings());
    let slow = Advert { interval: Duration::from_secs(10), ..advert(1, 254) };
    subject.step(Input::Received(slow), ms(0));
    let (now, _) = subject.run_until_change(ms(60_000)).unwrap();
    subject.step(Input::Stalled, now);
    assert_eq!(subject.timeout().0, now + Duration::from_nanos(322_343_750));
}

#[test]
fn a_backup_that_stood_still_does_not_judge_by_what_it_knew() {
    let mut subject = Subject::backup(settings(), 1, 126);
    for at in 1..=19 {
        subject.run_until_change(ms(100 * at));
        subject.step(heard(1, 126), ms(100 * at));
    }
    subject.step(Input::Stalled, ms(1_950));
    assert_eq!(subject.router.get().poll_timeout(), Some(ms(1_950) + Duration::from_nanos(302_343_750)));
    subject.step(heard(1, 126), ms(1_960));
    // Two seconds from now on, not from the beginning.
    for at in 20..=39 {
        assert_eq!(subject.run_until_change(ms(100 * at)), None);
        subject.step(heard(1, 126), ms(100 * at));
    }
}

#[test]
fn addresses_are_released_when_the_kernel_says_so_of_this_tenure() {
    let mut subject = Subject::active(settings());
    assert!(subject.status().held && !subject.status().released);
    let (now, first) = (subject.now(), subject.tenure());
    subject.step(heard(1, 254), now);
    assert!(!subject.status().held && !subject.status().released);
    subject.step(Input::TakeOver, now);
    let second = subject.tenure();
    subject.step(heard(1, 254), now);
    subject.step(Input::Released(first), now);
    assert!(!subject.status().released);
    subject.step(Input::Released(second), now);
    assert!(subject.status().released);
}
