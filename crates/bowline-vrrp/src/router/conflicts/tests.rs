use super::*;
use core::net::IpAddr;

const LEASE: Duration = Duration::from_secs(1);

fn conflict(host: u8, planned_peer: bool) -> Conflict {
    Conflict { address: IpAddr::from([10, 0, 0, 100]), hardware: [2, 0, 0, 0, 0, host], planned_peer }
}

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

#[test]
fn a_foreign_host_is_reported_once() {
    let mut conflicts = Conflicts::default();
    assert!(conflicts.is_news(conflict(1, false), LEASE, ms(0)));
    assert!(!conflicts.is_news(conflict(1, false), LEASE, ms(5_000)));
    assert!(conflicts.is_news(conflict(2, false), LEASE, ms(5_000)));
}

#[test]
fn a_planned_peer_has_its_lease_and_half_a_second() {
    let mut conflicts = Conflicts::default();
    assert!(!conflicts.is_news(conflict(1, true), LEASE, ms(0)));
    assert!(!conflicts.is_news(conflict(1, true), LEASE, ms(1_500)));
    assert!(conflicts.is_news(conflict(1, true), LEASE, ms(1_501)));
    assert!(!conflicts.is_news(conflict(1, true), LEASE, ms(3_000)));
}

/// Two that were Active for a moment, twice within a minute.
#[test]
fn a_planned_peer_that_let_go_meanwhile_begins_anew() {
    let mut conflicts = Conflicts::default();
    assert!(!conflicts.is_news(conflict(1, true), LEASE, ms(0)));
    assert!(!conflicts.is_news(conflict(1, true), LEASE, ms(12_001)));
    assert!(conflicts.is_news(conflict(1, true), LEASE, ms(22_001)));
    let mut conflicts = Conflicts::default();
    for host in [(1, true), (2, false)] {
        conflicts.is_news(conflict(host.0, host.1), LEASE, ms(0));
    }
    conflicts.begin_tenure();
    assert!(!conflicts.is_news(conflict(1, true), LEASE, ms(5_000)));
    assert!(!conflicts.is_news(conflict(2, false), LEASE, ms(5_000)), "it was told of before");
}

#[test]
fn what_stopped_for_a_minute_is_news_again() {
    let mut conflicts = Conflicts::default();
    assert!(conflicts.is_news(conflict(1, false), LEASE, ms(0)));
    assert!(conflicts.is_news(conflict(1, false), LEASE, ms(60_001)));
}

#[test]
fn there_is_an_end_to_what_is_remembered() {
    let mut conflicts = Conflicts::default();
    for host in 0..=u8::MAX {
        assert_eq!(conflicts.is_news(conflict(host, false), LEASE, ms(0)), usize::from(host) < HOSTS_MAX);
    }
    assert_eq!(conflicts.len(), HOSTS_MAX);
}
