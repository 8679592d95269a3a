//! The fuzz target of what comes off the wire, run on the samples and on what proptest makes of them.

use bowline_sansio::Instant;
use bowline_sansio::contract::Checked;
use bowline_vrrp::*;
use checksum::repair;
use proptest::prelude::*;
use proptest::sample::Index;
use samples::samples;
use std::net::IpAddr;
use std::time::Duration;

mod checksum;
mod samples;

/// Outputs after one input of a router with one destination.
const OUTPUTS_MAX: usize = 64;

/// Backups of each kind that a sample could be for.
fn configs() -> Vec<Config> {
    let samples = samples();
    let config = |says: &Repr, transport: Transport| {
        let source = match says.addresses.family() {
            Family::V4 => "10.0.0.2",
            Family::V6 => "fe80::2",
        };
        Config::new(Settings {
            vrid: says.vrid,
            protocol: says.protocol,
            addresses: says.addresses.clone(),
            source: source.parse().unwrap(),
            priority: Priority::new(200).unwrap(),
            rank: 1,
            preempt: false,
            preempt_delay: Duration::ZERO,
            peers: Peers::Any,
            transport,
            bands: false,
            when_all_bad: WhenAllBad::Keep,
            stability: Duration::from_secs(2),
            lease: Duration::from_secs(1),
        })
        .unwrap()
    };
    let mut configs: Vec<_> =
        samples.iter().map(|sample| config(&sample.says, Transport::Multicast)).collect();
    configs.push(config(&samples[2].says, Transport::Unicast([IpAddr::from([10, 0, 0, 1])].into())));
    configs
}

fn backup(config: &Config) -> Checked<VirtualRouter> {
    let mut router = Checked::new(VirtualRouter::new(config.clone(), Instant::ORIGIN), OUTPUTS_MAX);
    router.step(Input::CanServe(true), Instant::ORIGIN);
    router.step(Input::Start, Instant::ORIGIN);
    router
}

/// Takes any bytes after any IP header: no panic; what is accepted is what was checked; whoever hears it stays a good machine;
/// what is not accepted changes nothing.
fn packet(bytes: &[u8]) {
    for config in configs() {
        let (source, group) = match config.family() {
            Family::V4 => (IpAddr::from([10, 0, 0, 1]), config.family().group()),
            Family::V6 => ("fe80::ff:fe00:a".parse().unwrap(), config.family().group()),
        };
        for destination in [group, config.settings().source] {
            let received = Received { source, destination, hop_limit: Some(255), bytes };
            let Ok(advert) = receive(&config, received) else { continue };
            assert_eq!(peek_vrid(bytes), Some(config.settings().vrid));
            assert!(!advert.interval.is_zero());
            let mut router = backup(&config);
            router.step(Input::Received(advert), Instant::from_millis(10));
            assert_eq!(router.get().status().state, State::Backup);
            for _ in 0..8 {
                router.step_timeout(Input::Timeout);
                router.get().check_invariants();
            }
        }
    }
    for family in [Family::V4, Family::V6] {
        let Ok(view) = Packet::new_checked(bytes, family) else { continue };
        assert_eq!(view.addresses().count(), usize::from(view.count()));
        let (source, group) = (view.addresses().next().unwrap(), family.group());
        if let Some(repr) = Repr::parse(&view, source, group) {
            let written = repr.emit(source, group);
            let again = Packet::new_checked(&written, family).unwrap();
            assert_eq!(Repr::parse(&again, source, group), Some(repr));
        }
    }
}

#[test]
fn samples_pass_and_are_for_somebody() {
    for sample in samples() {
        packet(&sample.bytes);
        let received = Received {
            source: sample.source,
            destination: sample.family.group(),
            hop_limit: Some(255),
            bytes: &sample.bytes,
        };
        assert!(configs().iter().any(|config| receive(config, received).is_ok()), "{}", sample.name);
    }
}

#[derive(Clone, Debug)]
enum Mutation {
    Cut(Index),
    Extend(Vec<u8>),
    Replace(Index, u8),
    /// The checksum is put right, so that what lies behind it is reached.
    Repair(bool),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let mutation = prop_oneof![
        1 => any::<Index>().prop_map(Mutation::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Mutation::Extend),
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        2 => any::<bool>().prop_map(Mutation::Repair),
    ];
    prop::collection::vec(mutation, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        packet(&bytes);
    }

    #[test]
    fn changed_samples_are_safe(which in any::<Index>(), mutations in mutations()) {
        let sample = &samples()[which.index(samples().len())];
        let mut bytes = sample.bytes.clone();
        for mutation in mutations {
            match mutation {
                Mutation::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
                Mutation::Extend(more) => bytes.extend(more),
                Mutation::Replace(at, byte) if !bytes.is_empty() => {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
                Mutation::Replace(..) => {}
                Mutation::Repair(pseudo_header) => {
                    repair(&mut bytes, sample.source, sample.family.group(), pseudo_header);
                }
            }
        }
        packet(&bytes);
    }
}
