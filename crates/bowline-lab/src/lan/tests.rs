use super::*;
use crate::wire::{Captured, Forge, Injector, Mark, Tap, announcement};

const LIMIT: Duration = Duration::from_secs(10);
/// How long something is watched not to come; a sent frame is on the other side within microseconds.
const SILENCE: Duration = Duration::from_millis(100);

fn lan() -> Option<Lan> {
    if let Some(reason) = Lan::missing() {
        println!("skipped: {reason}");
        return None;
    }
    Some(Lan::new(&["left", "right"]).expect("a segment"))
}

/// A listener at the host itself: what gets through to it.
fn ear(host: &Host) -> bowline_sys::packet::PacketSocket {
    host.namespace().inside(|| bowline_sys::packet::PacketSocket::open(LINK)).expect("enter").expect("open")
}

/// Whether a frame with this content arrives.
fn arrives(ear: &bowline_sys::packet::PacketSocket, frame: &[u8], limit: Duration) -> bool {
    let deadline = std::time::Instant::now() + limit;
    let mut buffer = [0; 2048];
    while std::time::Instant::now() < deadline {
        match ear.receive(&mut buffer) {
            Ok(Some(received)) if buffer[..received.length] == *frame => return true,
            Ok(Some(_) | None) | Err(_) => std::thread::yield_now(),
        }
    }
    false
}

#[test]
fn hosts_have_their_addresses_and_no_other() {
    let Some(lan) = lan() else { return };
    for host in lan.hosts() {
        for address in [host.address().into(), host.address6().into(), host.link_local().into()] {
            assert!(host.has(address).expect("look"), "{} has no {address}", host.name());
        }
        assert!(!host.has("192.0.2.100".parse().expect("an address")).expect("look"));
    }
    lan.host("left")
        .ip(&format!("address add 192.0.2.100/32 dev {LINK} scope host\n"))
        .expect("add an address");
    let holders = lan.holders("192.0.2.100".parse().expect("an address")).expect("look");
    assert_eq!(holders.into_iter().collect::<Vec<_>>(), ["left"]);
    assert_eq!(Lan::planned(1, false), lan.host("right").source(false));
    assert_eq!(Lan::planned(1, true), lan.host("right").source(true));
}

#[test]
fn the_tap_sees_what_a_host_sends_and_who_sent_it() {
    let Some(lan) = lan() else { return };
    let tap = Tap::start(&lan).expect("a tap");
    let right = lan.host("right");
    let injector = Injector::open(right.namespace(), LINK).expect("an injector");
    let address = "192.0.2.100".parse().expect("an address");
    injector.send(&announcement(address, right.mac())).expect("send");
    let is_it = |captured: &Captured| captured.frame.announces(address);
    let seen = tap.wait(Mark::default(), LIMIT, is_it).expect("the announcement");
    assert_eq!((seen.host.as_str(), seen.frame.source), ("right", right.mac()));
    assert_eq!(tap.select(Mark::default(), is_it).len(), 1, "seen where it entered the segment alone");
    assert!(tap.select(tap.mark(), is_it).is_empty());
}

#[test]
fn cuts_take_what_they_say() {
    let Some(lan) = lan() else { return };
    let (left, right) = (lan.host("left"), lan.host("right"));
    let send = |host: &Host| Injector::open(host.namespace(), LINK).expect("an injector");
    let (from_left, from_right) = (send(left), send(right));
    let advert = |host: &Host| {
        Forge::new(3, 51, 100, host.source(false), host.mac(), &["192.0.2.100".parse().expect("an address")])
            .frame()
    };
    let other = |host: &Host| announcement("192.0.2.100".parse().expect("an address"), host.mac());
    // What is cut, then whether these arrive: left's adverts, right's, and everything else in both directions.
    for (cut, expected) in [
        (None, [true, true, true]),
        (Some(Cut::AdvertsFrom), [false, true, true]),
        (Some(Cut::AdvertsTo), [true, false, true]),
        (Some(Cut::Adverts), [false, false, true]),
        (Some(Cut::Silent), [false, false, false]),
        (None, [true, true, true]),
    ] {
        match cut {
            Some(cut) => lan.cut("left", cut).expect("cut"),
            None => lan.mend("left").expect("mend"),
        }
        let (at_left, at_right) = (ear(left), ear(right));
        let limit = |expected: bool| if expected { LIMIT } else { SILENCE };
        from_left.send(&advert(left)).expect("send");
        assert_eq!(arrives(&at_right, &advert(left), limit(expected[0])), expected[0], "{cut:?}: from left");
        from_right.send(&advert(right)).expect("send");
        assert_eq!(arrives(&at_left, &advert(right), limit(expected[1])), expected[1], "{cut:?}: to left");
        from_left.send(&other(left)).expect("send");
        assert_eq!(
            arrives(&at_right, &other(left), limit(expected[2])),
            expected[2],
            "{cut:?}: else from left"
        );
        from_right.send(&other(right)).expect("send");
        assert_eq!(
            arrives(&at_left, &other(right), limit(expected[2])),
            expected[2],
            "{cut:?}: else to left"
        );
    }
}

#[test]
fn a_host_whose_cable_is_pulled_sees_it_and_recovers() {
    let Some(lan) = lan() else { return };
    let carrier = || {
        let mut show = Command::new("ip");
        show.args(["-oneline", "link", "show", LINK]);
        let output = lan.host("left").namespace().inside(|| show.output()).expect("enter").expect("ip");
        !String::from_utf8_lossy(&output.stdout).contains("NO-CARRIER")
    };
    assert!(carrier());
    lan.cut("left", Cut::Carrier).expect("cut");
    assert!(!carrier());
    lan.mend("left").expect("mend");
    let deadline = std::time::Instant::now() + LIMIT;
    while !carrier() {
        assert!(std::time::Instant::now() < deadline, "no carrier after it was mended");
        std::thread::yield_now();
    }
}
