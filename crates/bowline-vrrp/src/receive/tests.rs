use super::*;
use crate::config::{Addresses, Password, Priority, Settings, Vrid, WhenAllBad};
use crate::interval::{Centiseconds, Seconds};
use crate::packet::Repr;

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

const V3: Protocol = Protocol::V3 { interval: Centiseconds::DEFAULT, checksum: ChecksumForm::PseudoHeader };
const V2: Protocol = Protocol::V2 { interval: Seconds::DEFAULT, password: None };

fn settings(protocol: Protocol) -> Settings {
    Settings {
        vrid: Vrid::new(51).unwrap(),
        protocol,
        addresses: Addresses::new(vec![ip(100), ip(101)]).unwrap(),
        source: ip(2),
        priority: Priority::new(250).unwrap(),
        rank: 1,
        preempt: false,
        preempt_delay: Duration::ZERO,
        peers: Peers::Planned([ip(1), ip(3)].into()),
        transport: Transport::Multicast,
        bands: true,
        when_all_bad: WhenAllBad::Keep,
        stability: Duration::from_secs(2),
        lease: Duration::from_secs(1),
    }
}

fn config(protocol: Protocol) -> Config {
    Config::new(settings(protocol)).unwrap()
}

fn repr(protocol: Protocol) -> Repr {
    let addresses = settings(protocol).addresses;
    Repr { vrid: Vrid::new(51).unwrap(), priority: 254, addresses, protocol }
}

/// From node 1 to everybody.
fn outcome(config: &Config, bytes: &[u8]) -> Result<Advert, Discard> {
    from(config, ip(1), Family::V4.group(), Some(255), bytes)
}

fn from(
    config: &Config,
    source: IpAddr,
    destination: IpAddr,
    hop_limit: Option<u8>,
    bytes: &[u8],
) -> Result<Advert, Discard> {
    receive(config, Received { source, destination, hop_limit, bytes })
}

fn good(protocol: Protocol) -> Vec<u8> {
    repr(protocol).emit(ip(1), Family::V4.group())
}

/// The advert with one byte changed and its checksum put right.
fn changed(protocol: Protocol, at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = good(protocol);
    bytes[at] = byte;
    repaired(bytes)
}

fn repaired(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes[6..8].copy_from_slice(&[0, 0]);
    let form = if bytes[0] >> 4 == 2 { ChecksumForm::MessageOnly } else { ChecksumForm::PseudoHeader };
    let field = crate::checksum::compute(&bytes, form, ip(1), Family::V4.group()).to_be_bytes();
    bytes[6..8].copy_from_slice(&field);
    bytes
}

#[test]
fn a_good_one_passes() {
    let advert = Advert {
        source: ip(1),
        priority: 254,
        interval: Duration::from_secs(1),
        checksum: Some(ChecksumForm::PseudoHeader),
        same_addresses: true,
    };
    assert_eq!(outcome(&config(V3), &good(V3)), Ok(advert));
    assert_eq!(outcome(&config(V2), &good(V2)), Ok(Advert { checksum: None, ..advert }));
}

#[test]
fn each_check_discards_for_its_own_reason() {
    let (v2, v3) = (config(V2), config(V3));
    let check = |config: &Config, bytes: Vec<u8>, discard| {
        assert_eq!(outcome(config, &bytes), Err(discard), "{bytes:02x?}");
    };
    check(&v3, good(V2), Discard::Version);
    check(&v2, good(V3), Discard::Version);
    check(&v3, changed(V3, 0, 0x41), Discard::Version);
    check(&v3, changed(V3, 0, 0x01), Discard::Version);
    check(&v3, changed(V3, 0, 0x32), Discard::Type);
    check(&v3, changed(V3, 1, 52), Discard::OtherVrid);
    check(&v3, changed(V3, 1, 0), Discard::OtherVrid);
    check(&v3, changed(V3, 3, 0), Discard::NoAddresses);
    check(&v3, changed(V3, 3, 3), Discard::Truncated);
    check(&v3, changed(V3, 3, 1), Discard::TrailingBytes);
    check(&v3, changed(V3, 5, 0), Discard::IntervalZero);
    check(&v3, repaired([good(V3), vec![0]].concat()), Discard::TrailingBytes);
    check(&v2, changed(V2, 4, 1), Discard::AuthenticationType);
    check(&v2, changed(V2, 4, 2), Discard::AuthenticationType);
    check(&v2, changed(V2, 5, 2), Discard::IntervalDiffers);
    check(&v2, changed(V2, 5, 0), Discard::IntervalZero);
    check(&v2, repaired(good(V2)[..16].to_vec()), Discard::Truncated);
    for at in 0..good(V3).len() {
        let mut bytes = good(V3);
        bytes[at] ^= 0x80;
        assert!(outcome(&v3, &bytes).is_err(), "byte {at}");
    }
    let mut bytes = good(V3);
    bytes[6..8].copy_from_slice(&[0, 0]);
    check(&v3, bytes, Discard::Checksum);
}

#[test]
fn where_it_comes_from_and_goes_to() {
    let (v3, group) = (config(V3), Family::V4.group());
    let discard = |source, destination, hop_limit| {
        from(&v3, source, destination, hop_limit, &repr(V3).emit(source, destination)).err()
    };
    assert_eq!(discard(ip(1), group, Some(255)), None);
    assert_eq!(discard(ip(1), group, Some(254)), Some(Discard::HopLimit));
    assert_eq!(discard(ip(1), group, Some(1)), Some(Discard::HopLimit));
    assert_eq!(discard(ip(1), group, None), Some(Discard::HopLimit));
    assert_eq!(discard(ip(1), ip(2), Some(255)), Some(Discard::Destination));
    assert_eq!(discard(ip(2), group, Some(255)), Some(Discard::OwnSource));
    assert_eq!(discard(ip(4), group, Some(255)), Some(Discard::UnplannedPeer));
    assert_eq!(discard("fe80::1".parse().unwrap(), group, Some(255)), Some(Discard::Family));
    assert_eq!(discard(ip(1), "ff02::12".parse().unwrap(), Some(255)), Some(Discard::Family));
    let mut any = settings(V3);
    any.peers = Peers::Any;
    let any = Config::new(any).unwrap();
    let discard = |source| from(&any, source, group, Some(255), &repr(V3).emit(source, group)).err();
    assert_eq!(discard(ip(4)), None);
    for nobody in [[0, 0, 0, 0], [127, 0, 0, 1], [224, 0, 0, 18], [255, 255, 255, 255]] {
        assert_eq!(discard(nobody.into()), Some(Discard::UnplannedPeer), "{nobody:?}");
    }
}

#[test]
fn unicast_is_for_this_router_from_its_peers_with_any_hop_limit() {
    let mut unicast = settings(V3);
    (unicast.peers, unicast.transport) = (Peers::Any, Transport::Unicast([ip(1), ip(3)].into()));
    let unicast = Config::new(unicast).unwrap();
    let outcome = |source, destination, hop_limit| {
        from(&unicast, source, destination, hop_limit, &repr(V3).emit(source, destination)).err()
    };
    assert_eq!(outcome(ip(1), ip(2), Some(255)), None);
    assert_eq!(outcome(ip(1), ip(2), Some(64)), None);
    assert_eq!(outcome(ip(1), ip(2), None), None);
    assert_eq!(outcome(ip(1), ip(3), Some(255)), Some(Discard::Destination));
    assert_eq!(outcome(ip(1), Family::V4.group(), Some(255)), Some(Discard::Destination));
    assert_eq!(outcome(ip(4), ip(2), Some(255)), Some(Discard::UnplannedPeer));
}

#[test]
fn both_checksums_of_version_3_over_ipv4_are_accepted_and_told_apart() {
    for checksum in [ChecksumForm::PseudoHeader, ChecksumForm::MessageOnly] {
        let protocol = Protocol::V3 { interval: Centiseconds::DEFAULT, checksum };
        assert_eq!(outcome(&config(V3), &good(protocol)).unwrap().checksum, Some(checksum));
    }
}

#[test]
fn the_interval_of_version_3_is_the_senders_and_reserved_bits_are_ignored() {
    let interval = |bytes: &[u8]| outcome(&config(V3), bytes).unwrap().interval;
    assert_eq!(interval(&changed(V3, 5, 1)), Duration::from_millis(10));
    assert_eq!(interval(&changed(V3, 4, 0xf0)), Duration::from_secs(1));
    assert_eq!(interval(&changed(V3, 4, 0x0f)), Duration::from_millis(39_400));
}

#[test]
fn a_password_has_to_be_there_and_right() {
    let with = |text: &[u8]| Protocol::V2 {
        interval: Seconds::DEFAULT,
        password: Some(Password::new(text).unwrap()),
    };
    let guarded = config(with(b"secret"));
    assert!(outcome(&guarded, &good(with(b"secret"))).is_ok());
    assert_eq!(outcome(&guarded, &good(with(b"secreT"))), Err(Discard::Password));
    assert_eq!(outcome(&guarded, &good(V2)), Err(Discard::AuthenticationType));
    assert_eq!(outcome(&config(V2), &good(with(b"secret"))), Err(Discard::AuthenticationType));
}

/// RFC 3768 section 5.3.10: without authentication the data is ignored.
#[test]
fn authentication_data_without_authentication_is_ignored() {
    assert!(outcome(&config(V2), &changed(V2, 16, 0xff)).is_ok());
}

#[test]
fn a_list_with_some_of_our_addresses_is_accepted_and_told() {
    let outcome = |last: &[u8]| {
        let addresses = Addresses::new(last.iter().map(|&last| ip(last)).collect()).unwrap();
        let bytes = Repr { addresses, ..repr(V3) }.emit(ip(1), Family::V4.group());
        super::tests::outcome(&config(V3), &bytes).map(|advert| advert.same_addresses)
    };
    assert_eq!(outcome(&[100, 101]), Ok(true));
    assert_eq!(outcome(&[101, 100]), Ok(true));
    assert_eq!(outcome(&[100]), Ok(false));
    assert_eq!(outcome(&[100, 101, 102]), Ok(false));
    assert_eq!(outcome(&[102, 103]), Err(Discard::OtherAddresses));
}

#[test]
fn reasons_have_names_of_their_own() {
    let names: std::collections::BTreeSet<_> = Discard::ALL.iter().map(|discard| discard.as_str()).collect();
    assert_eq!(names.len(), Discard::ALL.len());
}
