use super::*;
use crate::testing::config;
use bowline_sys::netns::{LinkState, Namespace};
use bowline_sys::rtnetlink::Rtnetlink;

#[test]
fn a_stranger_is_found_after_others_have_claimed_by_more_addresses_than_are_remembered() {
    let namespace = match Namespace::create() {
        Ok(namespace) => namespace,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return println!("skipped: making a network namespace needs root");
        }
        Err(error) => panic!("making a namespace: {error}"),
    };
    let netlink = namespace.inside(Rtnetlink::open).unwrap().unwrap();
    let far = Namespace::create().unwrap();
    namespace.join("lan0", &far, "lan0").unwrap();
    namespace.set_link("lan0", LinkState::Up).unwrap();
    let link = netlink.interfaces().unwrap().by_name("lan0").unwrap().clone();
    // Only planned peers may have it, of which there are none.
    let settings = bowline_vrrp::Settings {
        peers: Peers::Planned(std::sync::Arc::from([])),
        ..config(&["10.0.0.9"], "10.0.0.1").settings().clone()
    };
    let config = Config::new(settings).unwrap();
    let start = crate::shared::now();
    let own = link.mac.unwrap();
    let open = || Neighbours::open(link.index, own, vec![own], &config, start);
    let mut neighbours = namespace.inside(open).unwrap().unwrap();
    let mut claims = |last: u16, at: Instant| {
        let [high, low] = last.to_be_bytes();
        let mac = Mac([2, 0, 0, 0, high, low]);
        let claim = Claim { address: "10.0.0.9".parse().unwrap(), mac, kind: ClaimKind::Has };
        let told = neighbours.judge(claim, |_| false, at);
        neighbours.forget(at);
        told
    };
    for number in 0..1_000 {
        assert_eq!(claims(number, start), None);
    }
    assert_eq!(claims(2_000, start + PEERS_ANSWER_WITHIN), None);
    assert_eq!(claims(2_000, start + PEERS_ANSWER_WITHIN * 2), None, "there is no room for it");
    let later = start + FORGOTTEN_AFTER;
    assert_eq!(claims(2_000, later), None, "forgotten are they only now");
    assert_eq!(claims(2_000, later), None);
    assert_eq!(claims(2_000, later + PEERS_ANSWER_WITHIN), Some((0, false)));
}
