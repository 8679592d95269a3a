use super::*;
use crate::interval::{Centiseconds, Seconds};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn settings() -> Settings {
    Settings {
        vrid: Vrid::new(51).unwrap(),
        protocol: Protocol::V3 { interval: Centiseconds::DEFAULT, checksum: ChecksumForm::PseudoHeader },
        addresses: Addresses::new(vec![ip("10.0.0.100")]).unwrap(),
        source: ip("10.0.0.1"),
        priority: Priority::new(254).unwrap(),
        rank: 0,
        preempt: false,
        preempt_delay: Duration::ZERO,
        peers: Peers::Any,
        transport: Transport::Multicast,
        bands: true,
        when_all_bad: WhenAllBad::Keep,
        stability: Duration::from_secs(2),
        lease: Duration::from_secs(1),
    }
}

fn error(change: impl FnOnce(&mut Settings)) -> ConfigError {
    let mut settings = settings();
    change(&mut settings);
    Config::new(settings).unwrap_err()
}

fn planned(peers: &[&str]) -> Peers {
    Peers::Planned(peers.iter().map(|peer| ip(peer)).collect())
}

#[test]
fn what_fits_is_taken() {
    let config = Config::new(settings()).unwrap();
    assert_eq!((config.family(), config.interval()), (Family::V4, Duration::from_secs(1)));
}

#[test]
fn what_does_not_fit_is_named() {
    let v2 = Protocol::V2 { interval: Seconds::DEFAULT, password: None };
    let v6 = Addresses::new(vec![ip("fe80::100")]).unwrap();
    assert_eq!(error(|s| s.source = ip("fe80::1")), ConfigError::Source(ip("fe80::1")));
    assert_eq!(error(|s| s.source = ip("0.0.0.0")), ConfigError::Source(ip("0.0.0.0")));
    assert_eq!(
        error(|s| (s.protocol, s.addresses, s.source) = (v2, v6, ip("fe80::1"))),
        ConfigError::Version2OverIpv6
    );
    assert_eq!(error(|s| s.peers = planned(&["fe80::2"])), ConfigError::Peer(ip("fe80::2")));
    assert_eq!(error(|s| s.peers = planned(&["10.0.0.1"])), ConfigError::Peer(ip("10.0.0.1")));
    assert_eq!(
        error(|s| s.peers = planned(&["10.0.0.2", "10.0.0.2"])),
        ConfigError::PeerTwice(ip("10.0.0.2"))
    );
    assert_eq!(error(|s| s.transport = Transport::Unicast([].into())), ConfigError::NobodyToSendTo);
    let many: Vec<_> = (0..=PEERS_MAX).map(|n| IpAddr::from([10, 0, 1, u8::try_from(n).unwrap()])).collect();
    assert_eq!(error(|s| s.transport = Transport::Unicast(many.into())), ConfigError::TooManyPeers(65));
    let low = Priority::new(128).unwrap();
    assert_eq!(error(|s| s.priority = low), ConfigError::PriorityBelowBand(low));
    assert_eq!(error(|s| s.lease = Duration::ZERO), ConfigError::NoLease);
}

#[test]
fn addresses_are_of_one_family_and_can_be_a_hosts() {
    let addresses = |texts: &[&str]| Addresses::new(texts.iter().map(|text| ip(text)).collect());
    assert_eq!(addresses(&[]), Err(ConfigError::NoAddress));
    assert_eq!(addresses(&["10.0.0.1", "fe80::1"]), Err(ConfigError::MixedFamilies(ip("fe80::1"))));
    assert_eq!(addresses(&["10.0.0.1", "10.0.0.1"]), Err(ConfigError::AddressTwice(ip("10.0.0.1"))));
    for text in ["0.0.0.0", "224.0.0.1", "127.0.0.1", "255.255.255.255", "::", "ff02::1", "::1"] {
        assert_eq!(addresses(&[text]), Err(ConfigError::NotAHostAddress(ip(text))));
    }
    assert_eq!(addresses(&["fd00::1"]), Err(ConfigError::LinkLocalFirst("fd00::1".parse().unwrap())));
    assert_eq!(addresses(&["fe80::1", "fd00::1"]).unwrap().count(), 2);
    let many: Vec<_> =
        (0..=ADDRESSES_MAX).map(|n| IpAddr::from([10, 0, 1, u8::try_from(n).unwrap()])).collect();
    assert_eq!(Addresses::new(many), Err(ConfigError::TooManyAddresses(65)));
}

#[test]
fn a_password_has_1_to_8_bytes_and_is_not_printed() {
    let password = Password::new(b"secret").unwrap();
    assert_eq!(password.bytes(), *b"secret\0\0");
    assert!(
        password.matches(*b"secret\0\0") && !password.matches(*b"secreT\0\0") && !password.matches([0; 8])
    );
    assert_eq!(format!("{password:?}"), "Password(hidden)");
    assert!(Password::new(b"12345678").is_ok());
    for text in [&b""[..], b"123456789", b"nul\0"] {
        assert_eq!(Password::new(text), Err(ConfigError::PasswordLength(text.len())));
    }
}

#[test]
fn zero_is_neither_a_number_nor_a_priority() {
    assert_eq!((Vrid::new(0), Priority::new(0)), (None, None));
}
