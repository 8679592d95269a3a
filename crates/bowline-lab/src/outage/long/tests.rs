use super::*;

const FAULT: Duration = Duration::from_millis(1000);
const END: Duration = Duration::from_millis(7000);

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn life(opened: u64, last_received: u64, ended: Option<(u64, End)>) -> Life {
    Life { opened: ms(opened), last_received: ms(last_received), ended: ended.map(|(at, end)| (ms(at), end)) }
}

fn slot(lives: Vec<Life>) -> Slot {
    Slot { lives, failed_dials: 0 }
}

fn reset() -> End {
    End::Broken(Failure::Reset(Stage::Answer))
}

#[test]
fn each_fate() {
    assert_eq!(life(100, 6950, None).fate(FAULT, END), Fate::Kept);
    assert_eq!(
        life(100, 6000, None).fate(FAULT, END),
        Fate::Kept,
        "a second of silence is not yet more than a second"
    );
    assert_eq!(life(100, 1005, None).fate(FAULT, END), Fate::Hung);
    assert_eq!(life(100, 1700, Some((1701, reset()))).fate(FAULT, END), Fate::Broken(ms(701)));
    assert_eq!(life(100, 4000, Some((4000, End::Clean))).fate(FAULT, END), Fate::Ended(ms(3000)));
}

#[test]
fn fates_are_counted_with_their_successors() {
    let slots = [
        slot(vec![life(100, 6950, None)]),
        slot(vec![life(100, 1000, None)]),
        slot(vec![life(100, 1700, Some((1700, reset()))), life(1750, 6990, None)]),
        slot(vec![life(100, 1900, Some((1900, reset()))), life(2000, 2000, None)]),
        slot(vec![life(100, 1500, Some((1500, reset())))]),
        slot(vec![life(100, 4000, Some((4000, End::Clean))), life(4002, 6900, None)]),
        slot(vec![life(100, 6500, Some((6500, End::Clean)))]),
        slot(vec![]),
        slot(vec![life(100, 500, Some((500, reset()))), life(510, 6900, None)]),
        slot(vec![life(1200, 6900, None)]),
    ];
    let expected = Fates {
        kept: 1,
        ended: 2,
        broken: 3,
        hung: 1,
        absent: 3,
        last_broken: Some(ms(900)),
        redialled: 2,
        redialled_hung: 2,
        redial: ms(5500),
    };
    assert_eq!(Fates::of(&slots, FAULT, END), expected);
}

#[test]
fn the_last_chunk_is_seen_however_it_is_cut() {
    let stream = b"5\r\nevent\r\n0\r\n\r\n";
    for cut in 0..stream.len() {
        let mut tail = Tail::default();
        tail.push(&stream[..cut]);
        assert!(!tail.is_last_chunk(), "{cut} bytes are not the whole stream");
        tail.push(&stream[cut..]);
        assert!(tail.is_last_chunk(), "cut at {cut}");
    }
}
