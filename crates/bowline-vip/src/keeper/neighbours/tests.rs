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

/// Two hosts on one link, where namespaces can be made.
fn ends() -> Option<(Namespace, Namespace)> {
    let near = match Namespace::create() {
        Ok(namespace) => namespace,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            println!("skipped: making a network namespace needs root");
            return None;
        }
        Err(error) => panic!("making a namespace: {error}"),
    };
    let far = Namespace::create().unwrap();
    near.join("lan0", &far, "lan0").unwrap();
    for end in [&near, &far] {
        end.set_link("lan0", LinkState::Up).unwrap();
    }
    Some((near, far))
}

fn link_of(namespace: &Namespace) -> (u32, Mac) {
    let interfaces = namespace.inside(|| Rtnetlink::open().and_then(|netlink| netlink.interfaces()));
    let link = interfaces.unwrap().unwrap().by_name("lan0").unwrap().clone();
    (link.index, link.mac.unwrap())
}

/// By an operator, say: it is asked again as soon as it has had its lease to let go, and not with the next round of questions.
#[test]
fn a_planned_peer_that_has_the_address_wrongly_is_asked_again_when_its_lease_is_over() {
    const PATIENCE: Duration = Duration::from_secs(20);
    let Some((near, far)) = ends() else { return };
    let ((index, own), (far_index, peer)) = (link_of(&near), link_of(&far));
    // Whoever sends is one of the planned peers.
    let config = config(&["10.0.0.9"], "10.0.0.1");
    let status = bowline_vrrp::VirtualRouter::new(config.clone(), Instant::ORIGIN).status();
    let cell = Cell::new("a".into(), None, None, config.clone(), index, status);
    let start = crate::shared::now();
    let open = || Neighbours::open(index, own, vec![own], &config, start);
    let mut neighbours = near.inside(open).unwrap().unwrap();
    let announcer = far.inside(|| Announcer::open(far_index)).unwrap().unwrap();
    let address = "10.0.0.9".parse().unwrap();
    let claim = Frame::announcement(address, peer, bowline_sys::announce::Role::Host);
    let claims = |neighbours: &mut Neighbours, is_wanted: bool, at: Instant| {
        let by = std::time::Instant::now() + PATIENCE;
        announcer.send(&claim).unwrap();
        loop {
            let told = neighbours.meet(&cell, is_wanted, |_| false, at);
            let heard =
                |claimant: &Claimant| matches!(claimant, Claimant::Other { heard, .. } if *heard == at);
            if neighbours.claimants.get(&peer).is_some_and(heard) {
                return told;
            }
            assert!(std::time::Instant::now() < by, "the claim is not heard");
            std::thread::yield_now();
        }
    };
    let outlasting = config.settings().lease + OUTLASTING_BY;
    neighbours.meet(&cell, false, |_| false, start);
    assert_eq!(neighbours.due(), start + ASK_EVERY);

    // In a Backup it is the holder's business.
    assert!(!claims(&mut neighbours, false, start));
    assert_eq!(neighbours.ask_again_at, None);
    let taken = start + Duration::from_secs(1);
    assert!(claims(&mut neighbours, true, taken));
    assert_eq!(neighbours.ask_again_at, Some(taken + outlasting));
    neighbours.meet(&cell, true, |_| false, taken + PEERS_ANSWER_WITHIN);
    assert_eq!(neighbours.due(), taken + outlasting, "a round of questions comes between");
    neighbours.meet(&cell, true, |_| false, taken + outlasting);
    assert_eq!(neighbours.ask_again_at, None);
    // The answer is one claim more of the same, and asked about no more.
    assert!(claims(&mut neighbours, true, taken + outlasting));
    assert_eq!(neighbours.ask_again_at, None);
    // It let go meanwhile.
    let anew = taken + outlasting + LET_GO_AFTER + Duration::from_secs(1);
    assert!(claims(&mut neighbours, true, anew));
    assert_eq!(neighbours.ask_again_at, Some(anew + outlasting));
    // With the tenure all that is over.
    assert!(!claims(&mut neighbours, false, anew + Duration::from_secs(1)));
    assert_eq!(neighbours.ask_again_at, None);
    assert!(claims(&mut neighbours, true, anew + Duration::from_secs(2)));
    assert_eq!(neighbours.ask_again_at, Some(anew + Duration::from_secs(2) + outlasting));
}
