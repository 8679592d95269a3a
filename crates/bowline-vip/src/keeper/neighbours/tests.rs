use super::*;
use crate::cell::Faults;
use crate::testing::{config, ends, soon};
use bowline_vrrp::{Settings, VirtualRouter};
use std::sync::Arc;

fn changed(change: impl FnOnce(&mut Settings)) -> Config {
    let mut settings = config(&["10.0.0.9"], "10.0.0.1").settings().clone();
    change(&mut settings);
    Config::new(settings).unwrap()
}

#[test]
fn a_stranger_is_found_after_others_have_claimed_by_more_addresses_than_are_remembered() {
    let Some([(namespace, link), _far]) = ends(&[]) else { return };
    // Only planned peers may have it, of which there are none.
    let config = changed(|settings| settings.peers = Peers::Planned(Arc::from([])));
    let start = crate::shared::now();
    let own = link.mac.unwrap();
    let open = || Neighbours::open(link.index, own, vec![own], None, &config, start);
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

#[test]
fn a_stranger_that_claims_once_is_told_once_and_a_planned_peer_is_no_stranger() {
    let Some([(namespace, link), _far]) = ends(&[]) else { return };
    let peer: IpAddr = "10.0.0.2".parse().unwrap();
    let config = changed(|settings| settings.peers = Peers::Planned(Arc::from([peer])));
    let start = crate::shared::now();
    let own = link.mac.unwrap();
    let open = || Neighbours::open(link.index, own, vec![own], None, &config, start);
    let mut neighbours = namespace.inside(open).unwrap().unwrap();
    let [stranger, planned] = [1, 2].map(|number| Mac([2, 0, 0, 0, 0, number]));
    let claims = |address: &str, mac| Claim { address: address.parse().unwrap(), mac, kind: ClaimKind::Has };
    for mac in [stranger, planned] {
        assert_eq!(neighbours.judge(claims("10.0.0.9", mac), |_| false, start), None);
    }
    assert_eq!(neighbours.judge(claims("10.0.0.2", planned), |_| false, start), None);
    assert_eq!(neighbours.due(), start, "it is asked at once");
    let later = start + PEERS_ANSWER_WITHIN;
    assert_eq!(neighbours.stranger(start + PEERS_ANSWER_WITHIN / 2), None);
    assert_eq!(neighbours.stranger(later), Some((0, stranger)));
    assert_eq!(neighbours.stranger(later), None);
}

/// By an operator, say: it is asked again as soon as it has had its lease to let go, and not with the next round of questions.
#[test]
fn a_planned_peer_that_has_the_address_wrongly_is_asked_again_when_its_lease_is_over() {
    const PATIENCE: Duration = Duration::from_secs(20);
    let Some([(near, near_link), (far, far_link)]) = ends(&[]) else { return };
    let (own, peer) = (near_link.mac.unwrap(), far_link.mac.unwrap());
    // Whoever sends is one of the planned peers.
    let config = config(&["10.0.0.9"], "10.0.0.1");
    let status = bowline_vrrp::VirtualRouter::new(config.clone(), Instant::ORIGIN).status();
    let cell = Cell::new("a".into(), None, None, config.clone(), near_link.index, status);
    let start = crate::shared::now();
    let open = || Neighbours::open(near_link.index, own, vec![own], None, &config, start);
    let mut neighbours = near.inside(open).unwrap().unwrap();
    let announcer = far.inside(|| Announcer::open(far_link.index)).unwrap().unwrap();
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
    // Whoever had it before is asked when its lease is over.
    let taken = start + Duration::from_secs(1);
    neighbours.meet(&cell, true, |_| false, taken);
    assert_eq!(neighbours.ask_again_at, Some(taken + outlasting));
    neighbours.meet(&cell, true, |_| false, taken + outlasting);
    assert_eq!(neighbours.ask_again_at, None);
    let found = taken + outlasting + Duration::from_secs(1);
    assert!(claims(&mut neighbours, true, found));
    assert_eq!(neighbours.ask_again_at, Some(found + outlasting));
    neighbours.meet(&cell, true, |_| false, found + PEERS_ANSWER_WITHIN);
    assert_eq!(neighbours.due(), found + outlasting, "a round of questions comes between");
    neighbours.meet(&cell, true, |_| false, found + outlasting);
    assert_eq!(neighbours.ask_again_at, None);
    // The answer is one claim more of the same, and asked about no more.
    assert!(claims(&mut neighbours, true, found + outlasting));
    assert_eq!(neighbours.ask_again_at, None);
    // It let go meanwhile.
    let anew = found + outlasting + LET_GO_AFTER + Duration::from_secs(1);
    assert!(claims(&mut neighbours, true, anew));
    assert_eq!(neighbours.ask_again_at, Some(anew + outlasting));
    // With the tenure all that is over, and begins with the next.
    assert!(!claims(&mut neighbours, false, anew + Duration::from_secs(1)));
    assert_eq!(neighbours.ask_again_at, None);
    assert!(claims(&mut neighbours, true, anew + Duration::from_secs(2)));
    assert_eq!(neighbours.ask_again_at, Some(anew + Duration::from_secs(2) + outlasting));
}

#[test]
fn peers_that_send_to_this_host_alone_learn_where_it_is_as_soon_as_they_can_be_told() {
    let Some([(namespace, link), (far, far_link)]) = ends(&[]) else { return };
    let own = link.mac.unwrap();
    let source: IpAddr = "10.0.0.1".parse().unwrap();
    let hears = far.inside(|| Listener::open(far_link.index, &[source])).unwrap().unwrap();
    let start = crate::shared::now();
    let is_there = Claim { address: source, mac: own, kind: ClaimKind::Has };
    let unicast = Transport::Unicast(Arc::from(["10.0.0.2".parse().unwrap()]));
    for (transport, told) in [(Transport::Multicast, None), (unicast, Some(is_there))] {
        let config = changed(|settings| {
            settings.peers = Peers::Planned(Arc::from(["10.0.0.2".parse().unwrap()]));
            settings.transport = transport;
        });
        let status = VirtualRouter::new(config.clone(), start).status();
        let cell = Cell::new("api".into(), None, None, config.clone(), link.index, status);
        let open = || Neighbours::open(link.index, own, vec![own], None, &config, start);
        let mut neighbours = namespace.inside(open).unwrap().unwrap();
        let mut meets = |faults, at, told: Option<Claim>| {
            cell.set_faults(faults);
            neighbours.meet(&cell, false, |_| false, at);
            if told.is_some() {
                assert_eq!(soon(|| hears.next_claim().unwrap()), told);
            }
            assert_eq!(hears.next_claim().unwrap(), None);
        };
        let down = Faults::default().with(Fault::LinkDown, true);
        // Nothing is lost by trying.
        meets(down, start, told);
        meets(down, start, None);
        // The link is back, twice.
        meets(Faults::default(), start, told);
        meets(Faults::default(), start, None);
        meets(down, start, None);
        meets(Faults::default(), start, told);
        // What stands between may pass nothing on yet.
        let times = u32::try_from(INTRODUCED_FOR.as_millis() / INTRODUCED_EVERY.as_millis()).unwrap();
        for time in 1..=times {
            meets(Faults::default(), start + INTRODUCED_EVERY * time, told);
            meets(Faults::default(), start + INTRODUCED_EVERY * time, None);
        }
        meets(Faults::default(), start + INTRODUCED_EVERY * (times + 1), None);
        meets(Faults::default(), start + ASK_EVERY, told);
    }
}
