//! Those whose adverts are heard: intervals, farewells, owners, floods; and another configuration.

use super::*;

fn of(advert: Advert) -> Input {
    Input::Received(advert)
}

#[test]
fn the_holders_interval_is_learned_and_ones_own_is_sent() {
    let mut subject = Subject::started(settings());
    let slow = Advert { interval: Duration::from_secs(1), ..advert(1, 254) };
    subject.step(of(slow), ms(0));
    // 3 * 1 s + 6/256 * 1 s.
    let due = Instant::from_nanos(3_023_437_500);
    assert_eq!(subject.router.get().poll_timeout(), Some(due));
    subject.step(of(Advert { priority: 0, ..slow }), ms(500));
    assert_eq!(subject.router.get().poll_timeout(), Some(ms(500) + Duration::from_nanos(23_437_500)));
    let outputs = subject.router.step(Input::Timeout, ms(524));
    let sent = outputs.into_iter().find_map(|output| match output {
        Output::Send(transmission) => Some(transmission),
        _ => None,
    });
    assert_eq!(sent.unwrap().bytes[4..6], [0, 10]);
}

#[test]
fn version_2_has_a_skew_of_its_own() {
    let mut subject = Subject::started(with(|s| {
        s.bands = false;
        s.priority = Priority::new(100).unwrap();
        s.rank = 0;
        s.protocol = Protocol::V2 { interval: Seconds::new(1).unwrap(), password: None };
    }));
    assert_eq!(subject.timeout().0, ms(3_609) + Duration::from_micros(375));
}

#[test]
fn an_equal_one_is_the_holder_whatever_its_address() {
    for source in [1, 3] {
        let mut subject = Subject::backup(settings(), source, 250);
        for at in 1..50 {
            assert_eq!(subject.run_until_change(ms(100 * at)), None);
            assert_eq!(done(subject.step(heard(source, 250), ms(100 * at))), []);
        }
    }
}

/// A holder's guard says goodbye for a process that has been replaced already.
#[test]
fn the_farewell_of_one_that_is_not_the_holder_changes_nothing() {
    let mut subject = Subject::backup(settings(), 1, 254);
    let due = subject.router.get().poll_timeout();
    subject.step(heard(3, 0), ms(10));
    assert_eq!((subject.router.get().poll_timeout(), subject.status().holder), (due, Some(ip(1))));
    // Unless nobody knows whether the holder is still there.
    subject.step(heard(3, 0), ms(301));
    assert_eq!(subject.router.get().poll_timeout(), due);
}

#[test]
fn a_farewell_repeated_does_not_put_the_takeover_off() {
    let mut subject = Subject::backup(settings(), 1, 254);
    subject.step(heard(1, 0), ms(10));
    let due = subject.router.get().poll_timeout();
    subject.step(heard(1, 0), ms(12));
    assert_eq!(subject.router.get().poll_timeout(), due);
}

/// Another sender's packets come another way: the farewell of the old holder may come after the new one's first advert. Who
/// races that one then is Active for a moment.
#[test]
fn a_farewell_after_the_successors_advert_starts_no_race() {
    let mut subject = Subject::backup(settings(), 1, 254);
    subject.step(heard(3, 246), ms(100));
    assert_eq!(done(subject.step(heard(1, 0), ms(101))), []);
    assert_eq!(subject.status().holder, Some(ip(3)));
    assert_eq!(subject.run_until_change(ms(401)), None);
    // A successor that has given up meanwhile is none.
    let mut subject = Subject::backup(settings(), 1, 254);
    subject.step(heard(3, 246), ms(100));
    subject.step(heard(3, 0), ms(101));
    subject.step(heard(1, 0), ms(102));
    let (at, _) = subject.run_until_change(ms(401)).expect("a takeover");
    assert_eq!(at, ms(102) + Duration::from_nanos(2_343_750));
}

/// It was sent by one that is not the holder (a guard, for a process that died while two were Active), or by the holder: then
/// whoever has heard that one waits for Skew_Time.
#[test]
fn a_farewell_does_not_shorten_the_first_wait() {
    let mut subject = Subject::started(settings());
    let due = subject.router.get().poll_timeout();
    assert_eq!(subject.step(heard(3, 0), ms(5)).len(), 1, "that it was heard of, once");
    assert_eq!(subject.router.get().poll_timeout(), due);
}

/// It was Active too, for instance while the two could not hear each other, and has clients that look for the addresses there.
#[test]
fn when_another_active_router_leaves_its_clients_are_told() {
    let mut subject = Subject::active(settings());
    let now = subject.now() + Duration::from_millis(70);
    assert_eq!(done(subject.step(heard(1, 0), now)), [Said::Advert(250), Said::Announce]);
    // As often as at the beginning.
    let timeouts = (0..30).map(|_| subject.timeout());
    let announced = timeouts.filter(|(_, said)| said.contains(&Said::Announce));
    let after: Vec<_> = announced.map(|(at, _)| at.since(now).as_millis()).collect();
    assert_eq!(after, [50, 200, 500, 1_000, 2_000]);
}

#[test]
fn while_two_are_active_the_one_that_will_stay_is_the_holder() {
    let mut subject = Subject::backup(settings(), 3, 246);
    subject.step(heard(1, 254), ms(10));
    subject.step(heard(3, 246), ms(20));
    assert_eq!(subject.status().holder, Some(ip(1)));
    // It goes, the other is still there: nobody takes over.
    for at in 1..=10 {
        assert_eq!(subject.run_until_change(ms(20 + 100 * at)), None);
        subject.step(heard(3, 246), ms(20 + 100 * at));
    }
    assert_eq!(subject.status().holder, Some(ip(3)));
}

#[test]
fn of_two_owners_one_stays_and_neither_claims_to_be_one_any_more() {
    let owner = || with(|s| s.priority = Priority::OWNER);
    let mut loser = Subject::active(owner());
    let now = loser.now();
    let said = loser.step(heard(3, 255), now);
    assert!(said.contains(&Said::Event(Event::TwoOwners { peer: ip(3) })));
    assert_eq!((loser.state(), loser.status().priority), (State::Backup, 254));
    let mut winner = Subject::active(owner());
    let now = winner.now() + Duration::from_millis(50);
    let said = done(winner.step(heard(1, 255), now));
    assert_eq!((said, winner.state()), (vec![Said::Advert(254), Said::Announce], State::Active));
    // Back after a fault, the loser listens like any other.
    let now = loser.now();
    loser.step(Input::Fault(Fault::LinkDown), now);
    assert_eq!(done(loser.step(Input::Recovered(Fault::LinkDown), now + Duration::from_secs(1))), []);
}

#[test]
fn an_owner_preempts() {
    let mut subject = Subject::new(with(|s| s.priority = Priority::OWNER));
    subject.step(Input::Start, ms(0));
    subject.step(heard(1, 254), ms(0));
    subject.step(Input::CanServe(true), ms(10));
    subject.step(heard(1, 254), ms(100));
    // 300 ms, 1/256 * 100 ms; the first advert was listened to, the later ones are not.
    assert_eq!(subject.run_until_change(ms(400)).unwrap().0, Instant::from_nanos(300_390_625));
}

#[test]
fn a_flood_of_lower_adverts_makes_no_flood_of_answers() {
    let mut subject = Subject::active(settings());
    let began = subject.now();
    let (mut adverts, mut announcements) = (0, 0);
    let mut count = |said: Vec<Said>| {
        adverts += said.iter().filter(|&&said| said == Said::Advert(250)).count();
        announcements += said.iter().filter(|&&said| said == Said::Announce).count();
    };
    for at in 0..10_000 {
        let now = began + Duration::from_micros(100 * at);
        while subject.router.get().poll_timeout().is_some_and(|due| due <= now) {
            count(subject.timeout().1);
        }
        count(subject.step(heard(3, if at % 2 == 0 { 246 } else { 0 }), now));
    }
    assert!((90..=101).contains(&adverts), "{adverts} adverts in a second");
    assert!((15..=21).contains(&announcements), "{announcements} announcements in a second");
}

#[test]
fn another_active_router_is_told_once_in_a_while() {
    let mut subject = Subject::active(settings());
    let began = subject.now();
    let told =
        |said: Vec<Said>| said.contains(&Said::Event(Event::OtherActive { peer: ip(3), priority: 246 }));
    let at = |millis| began + Duration::from_millis(millis);
    assert!(told(subject.step(heard(3, 246), at(10))));
    assert!(!told(subject.step(heard(3, 246), at(110))));
    assert!(!told(subject.step(heard(3, 246), at(200))));
    subject.run_until_change(at(500));
    assert!(told(subject.step(heard(3, 246), at(510))));
}

#[test]
fn what_is_new_about_a_peer_is_told_once() {
    let mut subject = Subject::backup(settings(), 1, 254);
    let plain = Advert { checksum: Some(ChecksumForm::MessageOnly), same_addresses: false, ..advert(3, 246) };
    let said = subject.step(of(plain), ms(1));
    let peer_heard = Event::PeerHeard { peer: ip(3), checksum: plain.checksum };
    assert_eq!(said, [Said::Event(peer_heard), Said::Event(Event::AddressesDiffer { peer: ip(3) })]);
    assert_eq!(subject.step(of(plain), ms(2)), []);
    // One that changes its mind is told of a few times, not for ever.
    let mut told = 0;
    for at in 3..100 {
        let checksum = Some(if at % 2 == 0 { ChecksumForm::MessageOnly } else { ChecksumForm::PseudoHeader });
        told += subject.step(of(Advert { checksum, ..plain }), ms(at)).len();
    }
    assert_eq!(told, 2);
}

#[test]
fn a_conflict_is_answered_and_a_lasting_one_reported() {
    let mut subject = Subject::active(settings());
    let conflict = Conflict { address: ip(100), hardware: [2, 0, 0, 0, 0, 9], planned_peer: false };
    let now = subject.now() + Duration::from_millis(70);
    let said = subject.step(Input::Conflict(conflict), now);
    assert_eq!(said, [Said::Event(Event::DuplicateAddress(conflict)), Said::Announce]);
    let mut backup = Subject::backup(settings(), 1, 254);
    let holder = Conflict { planned_peer: true, ..conflict };
    assert_eq!(backup.step(Input::Conflict(holder), ms(10)), []);
}

/// Where a peer's adverts are lost one way, it tells the neighbours one thing and this router another.
#[test]
fn a_planned_peer_that_claims_the_address_is_argued_with_by_whoever_hears_it() {
    let conflict = Conflict { address: ip(100), hardware: [2, 0, 0, 0, 0, 9], planned_peer: true };
    let after = |subject: &Subject, millis| subject.now() + Duration::from_millis(millis);
    let mut deaf = Subject::active(settings());
    let claimed = after(&deaf, 60);
    assert!(!done(deaf.step(Input::Conflict(conflict), claimed)).contains(&Said::Announce));
    // Three intervals after the last claim it is the only one that is left.
    let announced = loop {
        let (due, said) = deaf.timeout();
        if said.contains(&Said::Announce) {
            break due;
        }
    };
    assert_eq!(announced, claimed + Duration::from_millis(300));

    let mut better = Subject::active(settings());
    better.step(heard(1, 1), after(&better, 10));
    let said = better.step(Input::Conflict(conflict), after(&better, 60));
    assert!(done(said).contains(&Said::Announce));
}

#[test]
fn unicast_goes_to_each_peer_with_a_checksum_of_its_own() {
    let subject = Subject::started(with(|s| s.transport = Transport::Unicast([ip(1), ip(3)].into())));
    let mut router = subject.router;
    let (_, outputs) = router.step_timeout(Input::Timeout).unwrap();
    let sent: Vec<_> = outputs
        .into_iter()
        .filter_map(|output| match output {
            Output::Send(transmission) => Some(transmission),
            _ => None,
        })
        .collect();
    assert_eq!(sent.iter().map(|sent| sent.destination).collect::<Vec<_>>(), [ip(1), ip(3)]);
    assert_ne!(sent[0].bytes, sent[1].bytes);
}

#[test]
fn another_configuration_keeps_an_active_router_active() {
    let mut subject = Subject::active(settings());
    let (now, tenure) = (subject.now() + Duration::from_millis(50), subject.tenure());
    let next = with(|s| {
        s.priority = Priority::new(200).unwrap();
        s.addresses = Addresses::new(vec![ip(100), ip(101)]).unwrap();
        s.protocol =
            Protocol::V3 { interval: Centiseconds::new(30).unwrap(), checksum: ChecksumForm::PseudoHeader };
    });
    let said = done(subject.step(Input::Reconfigure(Config::new(next).unwrap().into()), now));
    assert_eq!(said, [Said::Advert(200), Said::Acquire]);
    assert_eq!((subject.state(), subject.tenure(), subject.status().held), (State::Active, tenure, true));
    assert_eq!(done(subject.step(Input::Held(tenure), now)), [Said::Announce]);
    assert_eq!(subject.run_until_change(now + Duration::from_secs(60)), None);
}

#[test]
fn the_same_configuration_changes_nothing() {
    let mut subject = Subject::active(settings());
    let now = subject.now();
    assert_eq!(subject.step(Input::Reconfigure(Config::new(settings()).unwrap().into()), now), []);
}

#[test]
fn another_virtual_router_is_refused() {
    let mut subject = Subject::active(settings());
    let now = subject.now();
    let other = Config::new(with(|s| s.vrid = Vrid::new(52).unwrap())).unwrap();
    assert_eq!(subject.step(Input::Reconfigure(other.into()), now), [Said::Event(Event::ReconfigureRefused)]);
    assert_eq!(subject.router.get().config().settings().vrid.get(), 51);
}

#[test]
fn a_backup_waits_as_its_new_configuration_says() {
    let mut subject = Subject::backup(settings(), 1, 254);
    let next = with(|s| s.priority = Priority::new(130).unwrap());
    subject.step(Input::Reconfigure(Config::new(next).unwrap().into()), ms(10));
    // 126/256 * 100 ms instead of 6/256.
    assert_eq!(subject.timeout().0, Instant::from_nanos(349_218_750));
}

#[test]
fn while_two_are_active_the_interval_of_the_one_that_will_stay_counts() {
    let mut subject = Subject::backup(settings(), 1, 254);
    let slow = Advert { interval: Duration::from_secs(10), ..advert(3, 246) };
    subject.step(of(slow), ms(10));
    assert_eq!(subject.timeout().0, ms(10) + Duration::from_nanos(302_343_750));
}

#[test]
fn one_that_yields_learns_the_interval_at_once() {
    let mut subject = Subject::active(settings());
    let now = subject.now();
    subject.step(of(Advert { interval: Duration::from_secs(1), ..advert(1, 254) }), now);
    assert_eq!(subject.router.get().poll_timeout(), Some(now + Duration::from_nanos(3_023_437_500)));
}

#[test]
fn an_owner_may_be_one_again_after_another_priority() {
    let owner = || Config::new(with(|s| s.priority = Priority::OWNER)).unwrap().into();
    let mut subject = Subject::active(with(|s| s.priority = Priority::OWNER));
    let now = subject.now();
    subject.step(heard(1, 255), now);
    assert_eq!(subject.status().priority, 254);
    subject.step(Input::Reconfigure(Config::new(settings()).unwrap().into()), now);
    subject.step(Input::Reconfigure(owner()), now);
    assert_eq!(subject.status().priority, 255);
}

#[test]
fn a_new_interval_of_ones_own_counts_where_nothing_else_is_known() {
    let slow = || {
        let interval = Centiseconds::new(100).unwrap();
        let protocol = Protocol::V3 { interval, checksum: ChecksumForm::PseudoHeader };
        Input::Reconfigure(Config::new(with(|s| s.protocol = protocol)).unwrap().into())
    };
    let mut subject = Subject::started(settings());
    subject.step(slow(), ms(10));
    assert_eq!(subject.timeout().0, Instant::from_nanos(3_043_437_500));
    // A holder's interval is not replaced by it.
    let mut subject = Subject::backup(settings(), 1, 254);
    subject.step(slow(), ms(10));
    assert_eq!(subject.timeout().0, Instant::from_nanos(302_343_750));
}
