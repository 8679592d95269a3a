//! Who can serve, who cannot, and what moves because of it.

use super::*;

const UNABLE: u8 = 254 - BAND;

fn seconds(seconds: u64) -> Instant {
    ms(1_000 * seconds)
}

/// The holder says every 100 ms, until `end`, that its priority is `priority`; when the subject took over from it.
fn listen(subject: &mut Subject, priority: u8, end: Instant) -> Option<Instant> {
    let mut next = subject.now() + Duration::from_millis(100);
    while next <= end {
        if let Some((at, _)) = subject.run_until_change(next) {
            return Some(at);
        }
        subject.step(heard(1, priority), next);
        next += Duration::from_millis(100);
    }
    None
}

#[test]
fn a_router_that_cannot_serve_says_so_by_its_priority() {
    let mut subject = Subject::new(settings());
    assert_eq!(subject.status().priority, 122);
    subject.step(Input::Start, ms(0));
    subject.timeout();
    let now = subject.now() + Duration::from_millis(50);
    // The first advert with the new priority does not wait for its turn.
    assert_eq!(done(subject.step(Input::CanServe(true), now)), [Said::Advert(250)]);
    let said = subject.step(Input::CanServe(false), now + Duration::from_millis(20));
    assert_eq!(said, [Said::Event(Event::PriorityChanged { from: 250, to: 122 }), Said::Advert(122)]);
}

#[test]
fn the_ends_of_the_bands() {
    for (planned, unable) in [(129, 1), (254, 126), (255, 127)] {
        let subject = Subject::new(with(|s| s.priority = Priority::new(planned).unwrap()));
        assert_eq!(subject.status().priority, unable);
    }
    let subject = Subject::started(with(|s| s.priority = Priority::new(129).unwrap()));
    assert_eq!(subject.status().priority, 129);
}

#[test]
fn one_that_can_serve_takes_over_from_one_that_cannot_when_that_has_lasted() {
    let mut subject = Subject::backup(settings(), 1, 254);
    assert_eq!(listen(&mut subject, 254, seconds(10)), None);
    // From 10.1 s on the holder cannot: two seconds, and 6/256 of an interval; nobody else is before this router.
    let at = listen(&mut subject, UNABLE, seconds(20));
    assert_eq!(at, Some(ms(12_100) + Duration::from_nanos(2_343_750)));
    assert_eq!(subject.status().reason, Reason::HolderCannotServe);
}

#[test]
fn its_own_ability_has_to_last_as_well() {
    let mut subject = Subject::backup(settings(), 1, UNABLE);
    subject.step(Input::CanServe(false), ms(10));
    assert_eq!(listen(&mut subject, UNABLE, seconds(10)), None);
    subject.step(Input::CanServe(true), seconds(10));
    assert_eq!(
        listen(&mut subject, UNABLE, seconds(20)),
        Some(seconds(12) + Duration::from_nanos(2_343_750))
    );
}

/// All lose the only API server, each a moment apart: nothing moves, neither then nor when it is back.
#[test]
fn an_outage_that_everybody_sees_moves_nothing() {
    let mut subject = Subject::backup(settings(), 1, 254);
    assert_eq!(listen(&mut subject, UNABLE, seconds(1)), None);
    subject.step(Input::CanServe(false), seconds(1));
    assert_eq!(listen(&mut subject, UNABLE, seconds(20)), None);
    subject.step(Input::CanServe(true), seconds(20));
    assert_eq!(listen(&mut subject, UNABLE, ms(21_500)), None);
    assert_eq!(listen(&mut subject, 254, seconds(40)), None);
    assert_eq!(subject.state(), State::Backup);
}

/// Well for longer than its stability, it hears the holder fall at `at`.
fn fallen(at: Instant) -> Subject {
    let mut subject = Subject::backup(settings(), 1, 254);
    assert_eq!(listen(&mut subject, 254, at), None);
    assert!(subject.step(heard(1, UNABLE), at).contains(&Said::Inquire));
    subject
}

fn confirm(subject: &mut Subject, at: Instant) {
    subject.step(Input::Confirmed(Inquiry::FIRST), at);
}

#[test]
fn evidence_from_after_the_fall_is_enough() {
    let mut subject = fallen(seconds(3));
    confirm(&mut subject, ms(3_105));
    let (at, _) = subject.run_until_change(seconds(10)).unwrap();
    assert_eq!(at, ms(3_105) + Duration::from_nanos(2_343_750));
    assert_eq!(subject.status().reason, Reason::HolderCannotServe);
}

#[test]
fn ranks_keep_their_order_after_an_answer() {
    let lower = with(|s| {
        (s.rank, s.priority) = (2, Priority::new(246).unwrap());
        s.peers = Peers::Planned([ip(1), ip(3)].into());
    });
    let mut subject = Subject::backup(lower, 1, 254);
    assert_eq!(listen(&mut subject, 254, seconds(3)), None);
    subject.step(heard(1, UNABLE), seconds(3));
    confirm(&mut subject, ms(3_105));
    let (at, _) = subject.run_until_change(seconds(10)).unwrap();
    // 10/256 of an interval, and one place: the holder's own is not counted.
    assert_eq!(at, ms(3_105 + 20) + Duration::from_nanos(3_906_250));
}

#[test]
fn without_an_answer_it_waits_as_long_as_ever() {
    let mut subject = fallen(seconds(3));
    assert_eq!(listen(&mut subject, UNABLE, seconds(10)), Some(seconds(5) + Duration::from_nanos(2_343_750)));
}

#[test]
fn an_answer_after_the_wait_changes_nothing() {
    let mut subject = fallen(seconds(3));
    assert_eq!(listen(&mut subject, UNABLE, ms(4_990)), None);
    let due = subject.router.get().poll_timeout();
    confirm(&mut subject, ms(4_999));
    assert!(subject.router.get().poll_timeout() <= due);
    let (at, _) = subject.run_until_change(seconds(10)).unwrap();
    assert_eq!(at, ms(4_999) + Duration::from_nanos(2_343_750));
}

#[test]
fn the_answer_to_an_earlier_question_counts_for_nothing() {
    let mut subject = fallen(seconds(3));
    subject.step(heard(1, 254), ms(3_010));
    let said = subject.step(heard(1, UNABLE), ms(3_020));
    assert!(said.contains(&Said::Inquire), "another fall, another question");
    assert_eq!(done(subject.step(Input::Confirmed(Inquiry::FIRST), ms(3_105))), []);
    assert_eq!(listen(&mut subject, UNABLE, seconds(5)), None);
    assert_eq!(subject.state(), State::Backup);
}

#[test]
fn a_holder_that_recovers_before_it_is_replaced_keeps_the_addresses_whatever_was_answered() {
    let mut subject = fallen(seconds(3));
    confirm(&mut subject, ms(3_105));
    subject.step(heard(1, 254), ms(3_106));
    assert_eq!(listen(&mut subject, 254, seconds(20)), None);
    confirm(&mut subject, seconds(20));
    assert_eq!(listen(&mut subject, 254, seconds(40)), None);
}

/// Its own probes fail as well: it is everybody's trouble.
#[test]
fn who_cannot_serve_after_the_fall_does_not_take_over_on_an_answer() {
    for answered_first in [false, true] {
        let mut subject = fallen(seconds(3));
        if answered_first {
            confirm(&mut subject, ms(3_100));
        }
        subject.step(Input::CanServe(false), ms(3_101));
        confirm(&mut subject, ms(3_102));
        assert_eq!(listen(&mut subject, UNABLE, seconds(20)), None);
        // And back before the holder is: what was answered then was about another time.
        subject.step(Input::CanServe(true), seconds(20));
        confirm(&mut subject, ms(20_100));
        assert_eq!(listen(&mut subject, UNABLE, ms(21_900)), None);
        assert_eq!(subject.state(), State::Backup);
    }
}

/// It may have given way to another, which is heard in a moment; without bands it says nothing of the kind.
#[test]
fn the_least_priority_is_no_fall() {
    for settings in [settings(), without_bands(WhenAllBad::Keep)] {
        let mut subject = Subject::backup(settings, 1, 254);
        assert_eq!(listen(&mut subject, 254, seconds(3)), None);
        assert!(!subject.step(heard(1, LAST_RESORT), seconds(3)).contains(&Said::Inquire));
    }
}

#[test]
fn who_has_just_started_asks() {
    let mut subject = Subject::backup(settings(), 1, 254);
    assert!(subject.step(heard(1, UNABLE), ms(50)).contains(&Said::Inquire));
    confirm(&mut subject, ms(155));
    let (at, _) = subject.run_until_change(seconds(10)).unwrap();
    assert_eq!(at, ms(155) + Duration::from_nanos(2_343_750));
}

#[test]
fn who_was_not_well_for_long_does_not_ask() {
    let mut subject = Subject::backup(settings(), 1, 254);
    subject.step(Input::CanServe(false), ms(500));
    subject.step(Input::CanServe(true), ms(1_000));
    assert_eq!(listen(&mut subject, 254, ms(2_900)), None);
    assert!(!subject.step(heard(1, UNABLE), ms(2_999)).contains(&Said::Inquire));
    assert_eq!(listen(&mut subject, UNABLE, ms(4_998)), None);
}

/// Nobody heard it fall: it may have been so for everybody, and for long.
#[test]
fn a_holder_that_was_never_heard_as_able_is_not_asked_about() {
    let mut subject = Subject::backup(settings(), 1, 254);
    assert_eq!(listen(&mut subject, 254, seconds(3)), None);
    // Another one, in its place.
    let unable = 118;
    subject.step(heard(1, 0), seconds(3));
    assert!(!subject.step(heard(3, unable), ms(3_001)).contains(&Said::Inquire));
    // And again after it stood still, whatever it knew before.
    let mut subject = fallen(seconds(3));
    subject.step(Input::Stalled, ms(3_001));
    confirm(&mut subject, ms(3_002));
    assert!(!subject.step(heard(1, UNABLE), ms(3_003)).contains(&Said::Inquire));
    assert_eq!(listen(&mut subject, UNABLE, seconds(5)), None);
}

#[test]
fn a_holder_that_recovers_in_time_keeps_the_addresses() {
    let mut subject = Subject::backup(settings(), 1, 254);
    assert_eq!(listen(&mut subject, UNABLE, ms(1_900)), None);
    assert_eq!(listen(&mut subject, 254, seconds(3)), None);
    // The two seconds begin anew.
    assert_eq!(listen(&mut subject, UNABLE, ms(4_900)), None);
}

#[test]
fn nobody_preempts_within_a_band() {
    let lower = with(|s| s.priority = Priority::new(254).unwrap());
    let mut subject = Subject::backup(lower.clone(), 1, 250);
    assert_eq!(listen(&mut subject, 250, seconds(20)), None);
    let mut subject = Subject::backup(lower, 1, 122);
    subject.step(Input::CanServe(false), ms(1));
    assert_eq!(listen(&mut subject, 122, seconds(20)), None);
}

#[test]
fn who_cannot_serve_does_not_preempt_even_when_told_to() {
    let mut subject = Subject::backup(with(|s| s.preempt = true), 1, 254);
    subject.step(Input::CanServe(false), ms(1));
    assert_eq!(listen(&mut subject, 100, seconds(20)), None);
}

#[test]
fn preemption_within_a_band_where_it_is_configured_waits_the_rest_of_the_interval() {
    let mut subject = Subject::backup(with(|s| s.preempt = true), 3, 250);
    assert_eq!(subject.state(), State::Backup);
    // 3 * 100 ms + 6/256 * 100 ms + 20 ms from the last that was not lower; those that are do not prolong it.
    let mut taken = None;
    for at in [100, 200, 300, 400] {
        taken = taken.or_else(|| subject.run_until_change(ms(at)).map(|(at, _)| at));
        subject.step(heard(3, 246), ms(at));
    }
    assert_eq!(taken, Some(Instant::from_nanos(322_343_750)));
}

#[test]
fn the_preempt_delay_counts_from_the_first_lower_advert() {
    let delayed = with(|s| {
        s.preempt = true;
        s.preempt_delay = Duration::from_secs(5);
    });
    let mut subject = Subject::backup(delayed, 1, 246);
    // It stops listening to the advert at 5 s; the one at 4.9 s still counts.
    let at = listen(&mut subject, 246, seconds(10));
    assert_eq!(at, Some(ms(4_900) + Duration::from_nanos(302_343_750)));
    assert_eq!(subject.status().reason, Reason::Preempting);
}

fn without_bands(when_all_bad: WhenAllBad) -> Settings {
    with(|s| {
        s.bands = false;
        s.peers = Peers::Any;
        s.when_all_bad = when_all_bad;
    })
}

#[test]
fn without_bands_a_holder_that_cannot_serve_lets_others_and_goes_to_fault() {
    let mut subject = Subject::active(without_bands(WhenAllBad::Release));
    let now = subject.now();
    assert_eq!(done(subject.step(Input::CanServe(false), now)), [Said::Advert(0)]);
    assert_eq!(subject.state(), State::HandingOver);
    let now = now + Duration::from_millis(600);
    assert_eq!(done(subject.step(heard(1, 100), now)), [Said::Release(Reason::SuccessorHeard)]);
    assert_eq!((subject.state(), subject.status().fault), (State::Fault, Some(Fault::CannotServe)));
    assert_eq!(done(subject.step(Input::CanServe(true), now + Duration::from_secs(1))), []);
    assert_eq!((subject.state(), subject.status().reason), (State::Backup, Reason::CanServe));
}

#[test]
fn who_releases_does_so_without_a_successor_too() {
    for settings in [without_bands(WhenAllBad::Release), with(|s| s.when_all_bad = WhenAllBad::Release)] {
        let mut subject = Subject::active(settings);
        let now = subject.now();
        subject.step(Input::CanServe(false), now);
        let (due, said) = subject.run_until_change(now + Duration::from_secs(5)).unwrap();
        assert_eq!(due, now + Duration::from_secs(2));
        assert_eq!(done(said), [Said::Release(Reason::NoSuccessor)]);
        assert_eq!(subject.state(), State::Fault);
        assert_eq!(subject.router.get().poll_timeout(), None);
    }
}

#[test]
fn who_keeps_goes_on_as_the_last_resort_and_offers_the_addresses_again() {
    let mut subject = Subject::active(without_bands(WhenAllBad::Keep));
    let tenure = subject.tenure();
    let mut now = subject.now();
    subject.step(Input::CanServe(false), now);
    for pause in [2, 12, 12] {
        assert_eq!(subject.state(), State::HandingOver);
        let (due, said) = subject.run_until_change(now + Duration::from_secs(3)).unwrap();
        let again = vec![Said::Advert(LAST_RESORT), Said::Announce];
        assert_eq!((due.since(now).as_secs(), done(said)), (2, again));
        assert_eq!((subject.state(), subject.tenure()), (State::Active, tenure));
        let (due, said) = subject.run_until_change(now + Duration::from_secs(15)).unwrap();
        assert_eq!(done(said).last(), Some(&Said::Advert(0)));
        assert_eq!(due.since(now).as_secs(), 12, "{pause}");
        now = due;
    }
    // Any other is better.
    subject.step(heard(1, 2), now);
    assert_eq!(subject.state(), State::Backup);
}

/// Two are Active, because one does not hear the other, and the better one cannot serve any more: the one beside it can, and stays.
#[test]
fn of_two_active_routers_the_one_that_can_serve_is_the_holder() {
    let mut subject = Subject::backup(settings(), 1, 254);
    for round in 1..=30 {
        subject.step(heard(3, 246), ms(100 * round - 10));
        let holder = if round < 5 { (1, 254) } else { (1, 126) };
        subject.step(heard(holder.0, holder.1), ms(100 * round));
        assert_eq!(subject.run_until_change(ms(100 * round + 80)), None);
        assert_eq!(subject.status().holder, Some(ip(if round < 5 { 1 } else { 3 })));
    }
    // Until it is not heard any more.
    for round in 31..=60 {
        if subject.run_until_change(ms(100 * round)).is_some() {
            break;
        }
        subject.step(heard(1, 126), ms(100 * round));
    }
    assert_eq!((subject.state(), subject.status().reason), (State::Active, Reason::HolderCannotServe));
}

#[test]
fn a_hand_over_is_called_off_when_it_can_serve_again() {
    let mut subject = Subject::active(without_bands(WhenAllBad::Keep));
    let now = subject.now();
    subject.step(Input::CanServe(false), now);
    let said = subject.step(Input::CanServe(true), now + Duration::from_millis(300));
    assert_eq!(done(said), [Said::Advert(250), Said::Announce]);
    assert_eq!((subject.state(), subject.status().held), (State::Active, true));
    assert_eq!(subject.run_until_change(now + Duration::from_secs(30)), None);
}

/// The holder says priority 0 and goes on when nobody better is there: those that are no better stay out of it.
#[test]
fn without_bands_one_that_cannot_serve_does_not_follow_an_offer() {
    let mut subject = Subject::backup(without_bands(WhenAllBad::Keep), 1, 1);
    subject.step(Input::CanServe(false), ms(1));
    subject.step(heard(1, 0), ms(50));
    assert_eq!(subject.run_until_change(ms(2_049)), None);
    subject.step(heard(1, 1), ms(2_050));
    assert_eq!(subject.run_until_change(ms(2_400)), None);
    // It was no offer but the end.
    subject.step(heard(1, 0), ms(2_401));
    let (due, _) = subject.run_until_change(ms(5_000)).unwrap();
    // 2 s, 3 * 100 ms, 255/256 * 100 ms, and its place.
    assert_eq!(due, ms(2_401 + 2_000 + 300 + 20) + Duration::from_nanos(99_609_375));
}

/// It gave the holder the time to find another one, and is that one now.
#[test]
fn without_bands_one_that_can_serve_by_now_follows_an_offer() {
    let mut subject = Subject::backup(without_bands(WhenAllBad::Keep), 1, 254);
    subject.step(Input::CanServe(false), ms(1));
    subject.step(heard(1, 0), ms(50));
    subject.step(Input::CanServe(true), ms(60));
    let (due, said) = subject.run_until_change(ms(200)).expect("a takeover");
    // 6/256 * 100 ms, and its place.
    assert_eq!(due, ms(60 + 20) + Duration::from_nanos(2_343_750));
    assert_eq!(done(said), [Said::Advert(250), Said::Acquire]);
}

#[test]
fn without_bands_low_priorities_mean_nothing_but_the_last_resort() {
    let mut subject = Subject::backup(without_bands(WhenAllBad::Keep), 1, 100);
    assert_eq!(listen(&mut subject, 100, seconds(20)), None);
    assert!(listen(&mut subject, LAST_RESORT, seconds(40)).is_some());
}

#[test]
fn a_router_that_has_to_release_does_not_start_until_it_can_serve() {
    let mut subject = Subject::new(with(|s| s.when_all_bad = WhenAllBad::Release));
    assert_eq!(done(subject.step(Input::Start, ms(0))), []);
    assert_eq!((subject.state(), subject.status().fault), (State::Fault, Some(Fault::CannotServe)));
    subject.step(Input::CanServe(true), ms(10));
    assert_eq!(subject.state(), State::Backup);
    subject.step(Input::CanServe(false), ms(20));
    assert_eq!(subject.state(), State::Fault);
}

/// It let the timer run on against a lower one, and does not want to preempt any more: the holder's adverts count from then on, and
/// those that it heard count too.
#[test]
fn who_cannot_serve_any_more_does_not_preempt_with_the_rest_of_its_wait() {
    let mut subject = Subject::backup(with(|s| s.preempt = true), 3, 246);
    for at in [100, 200, 300] {
        subject.step(heard(3, 246), ms(at));
    }
    subject.step(Input::CanServe(false), ms(301));
    assert_eq!(subject.run_until_change(ms(400)), None);
    assert_eq!(subject.state(), State::Backup);
}
