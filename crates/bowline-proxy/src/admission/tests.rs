use super::*;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroUsize};

fn limits(connections: usize, per_second: u32) -> SourceLimits {
    SourceLimits {
        connections_max: NonZeroUsize::new(connections),
        per_second: NonZeroU32::new(per_second),
        exempt: Network::LOOPBACK.to_vec(),
    }
}

fn source(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + number).into()
}

#[test]
fn one_source_has_so_many_connections_and_no_more() {
    let admission = Admission::new(Vec::new(), limits(2, 0));
    let now = Instant::from_millis(0);
    for _ in 0..2 {
        assert_eq!(admission.enter(source(1), now), Ok(Seat::Counted));
    }
    assert_eq!(admission.enter(source(1), now), Err(Refusal::Connections));
    assert_eq!(admission.enter(source(2), now), Ok(Seat::Counted), "another one is not concerned");
    admission.leave(source(1), Seat::Counted, now);
    assert_eq!(admission.enter(source(1), now), Ok(Seat::Counted));
    assert_eq!(admission.census(), (2, 0));
}

#[test]
fn a_burst_and_then_the_rate() {
    let admission = Admission::new(Vec::new(), limits(0, 10));
    let mut now = Instant::from_millis(5_000);
    let taken = |now| {
        let seats = std::iter::repeat_with(|| admission.enter(source(1), now));
        seats.take_while(|seat| *seat == Ok(Seat::Counted)).count()
    };
    assert_eq!(taken(now), 40, "four seconds' worth at once");
    now += Duration::from_millis(99);
    assert_eq!(taken(now), 0);
    now += Duration::from_millis(1);
    assert_eq!(taken(now), 1);
    now += Duration::from_secs(1);
    assert_eq!(taken(now), 10);
    now += Duration::from_secs(3_600);
    assert_eq!(taken(now), 40, "no more is saved up");
    assert_eq!(admission.enter(source(1), now), Err(Refusal::Rate));
}

#[test]
fn addresses_of_one_ipv6_network_are_one_source() {
    let admission = Admission::new(Vec::new(), limits(1, 0));
    let now = Instant::from_millis(0);
    let address = |high: u128, low: u128| IpAddr::V6(Ipv6Addr::from((0x2001_0db8 << 96) | high << 64 | low));
    assert_eq!(admission.enter(address(1, 1), now), Ok(Seat::Counted));
    assert_eq!(admission.enter(address(1, 2), now), Err(Refusal::Connections));
    assert_eq!(admission.enter(address(2, 1), now), Ok(Seat::Counted));
}

#[test]
fn only_the_allowed_networks_come_in() {
    let allowed = vec![Network::new(source(0), 8).unwrap()];
    let admission = Admission::new(allowed, SourceLimits::default());
    let now = Instant::from_millis(0);
    assert_eq!(admission.enter(source(77), now), Ok(Seat::Uncounted));
    assert_eq!(admission.enter(Ipv4Addr::new(11, 0, 0, 1).into(), now), Err(Refusal::Network));
    assert_eq!(admission.enter(Ipv6Addr::LOCALHOST.into(), now), Err(Refusal::Network));
}

#[test]
fn those_who_are_exempt_are_not_counted() {
    let admission = Admission::new(Vec::new(), limits(1, 1));
    let now = Instant::from_millis(0);
    for _ in 0..100 {
        assert_eq!(admission.enter(Ipv4Addr::LOCALHOST.into(), now), Ok(Seat::Uncounted));
    }
    assert_eq!(admission.census(), (0, 0));
}

#[test]
fn the_table_of_sources_is_bounded_and_forgets_who_is_gone() {
    let admission = Admission::new(Vec::new(), limits(1, 1));
    let mut now = Instant::from_millis(0);
    let crowd = SOURCES_MAX as u32;
    for number in 0..crowd {
        assert_eq!(admission.enter(source(number), now), Ok(Seat::Counted));
    }
    assert_eq!(admission.enter(source(crowd), now), Ok(Seat::Uncounted));
    assert_eq!(admission.census(), (SOURCES_MAX as u64, 1));
    // Gone, and not yet forgotten: how fast they came is still known.
    (0..10).for_each(|number| admission.leave(source(number), Seat::Counted, now));
    now += Duration::from_millis(999);
    assert_eq!(admission.enter(source(crowd), now), Ok(Seat::Uncounted), "just swept");
    now += Duration::from_millis(1);
    assert_eq!(admission.enter(source(crowd), now), Ok(Seat::Counted));
    assert_eq!(admission.census(), (SOURCES_MAX as u64 - 9, 2));
    // One that leaves long after it came is forgotten at once.
    now += Duration::from_secs(10);
    admission.leave(source(20), Seat::Counted, now);
    assert_eq!(admission.census(), (SOURCES_MAX as u64 - 10, 2));
}
