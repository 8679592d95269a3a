use super::*;
use crate::wire::{Content, Frame};

const MS: Duration = Duration::from_millis(1);

fn look(began: Instant, at: u32, hosts: &[&str]) -> Look {
    (began + MS * at, hosts.iter().map(|host| (*host).to_owned()).collect())
}

#[test]
fn two_holders_are_seen_until_the_last_look_at_both() {
    let began = Instant::now();
    let seen = [
        look(began, 0, &["lb1"]),
        look(began, 20, &["lb1", "lb2"]),
        look(began, 40, &["lb1", "lb2"]),
        look(began, 60, &["lb2"]),
        look(began, 80, &[]),
        look(began, 100, &["lb2"]),
    ];
    let holders = by_address(&seen, began);
    assert_eq!(holders.last_two_addresses_ms, Some(40));
    assert_eq!((holders.moves, holders.in_the_end.len()), (2, 1));
    assert_eq!(by_address(&[], began), Holders::default());
}

#[test]
fn two_hosts_answer_when_both_do_so_to_one_question() {
    let began = Instant::now();
    let answer = |at: u32, host: &str| Captured {
        at: began + MS * at,
        host: host.to_owned(),
        frame: Frame { destination: Mac([0; 6]), source: Mac([0; 6]), content: Content::Other(0) },
    };
    let apart = [answer(0, "lb1"), answer(20, "lb1"), answer(50, "lb2"), answer(70, "lb2")];
    assert_eq!(last_two_answers(&apart), None);
    let both = [answer(0, "lb1"), answer(1, "lb2"), answer(20, "lb1"), answer(22, "lb2"), answer(60, "lb2")];
    assert_eq!(last_two_answers(&both), Some(began + MS * 22));
}
