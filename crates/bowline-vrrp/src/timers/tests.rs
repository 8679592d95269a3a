use super::*;
use crate::config::ChecksumForm;
use crate::interval::{Centiseconds, Seconds};

fn v2(seconds: u8) -> Protocol {
    Protocol::V2 { interval: Seconds::new(seconds).unwrap(), password: None }
}

fn v3(centiseconds: u16) -> Protocol {
    let interval = Centiseconds::new(centiseconds).unwrap();
    Protocol::V3 { interval, checksum: ChecksumForm::PseudoHeader }
}

/// Worked out by hand from RFC 3768 section 6.1 and RFC 9568 section 6.1; the first two of each version were also measured on
/// keepalived: 3612 and 616 ms, 726 and 130 ms.
#[test]
fn skew_time_and_active_down_interval() {
    let table: [(Protocol, u8, u64, u64); 12] = [
        // 156/256 s = 0.609375 s.
        (v2(1), 100, 609_375, 3_609_375),
        (v2(1), 254, 7_812, 3_007_812),
        (v2(1), 1, 996_093, 3_996_093),
        // The skew of version 2 does not grow with the interval.
        (v2(10), 100, 609_375, 30_609_375),
        (v2(255), 1, 996_093, 765_996_093),
        // 156 * 20 / 256 = 12.1875 centiseconds.
        (v3(20), 100, 121_875, 721_875),
        (v3(100), 100, 609_375, 3_609_375),
        // 2 * 10 / 256 centiseconds: rounded to whole ones it would be none.
        (v3(10), 254, 781, 300_781),
        (v3(10), 126, 50_781, 350_781),
        (v3(1), 254, 78, 30_078),
        // 255 * 4095 / 256 centiseconds: more than 16 bits before the division.
        (v3(4_095), 1, 40_790_039, 163_640_039),
        (v3(4_095), 255, 159_960, 123_009_960),
    ];
    for (protocol, priority, skew_us, down_us) in table {
        let interval = protocol.interval();
        let skew = skew(priority, skew_base(&protocol, interval));
        assert_eq!(skew.as_micros(), skew_us.into(), "{protocol:?} {priority}");
        assert_eq!(active_down(interval, skew).as_micros(), down_us.into(), "{protocol:?} {priority}");
    }
}

#[test]
fn every_place_in_the_order_waits_20_ms_more() {
    assert_eq!([0, 1, 5, 255].map(|rank| rank_wait(rank).as_millis()), [0, 20, 100, 5_100]);
}

#[test]
fn nothing_overflows() {
    assert_eq!(active_down(Duration::MAX, Duration::MAX), Duration::MAX);
    assert_eq!(skew(0, Duration::from_secs(1)), Duration::from_secs(1));
}
