//! Rung 2 of the codec: samples of another implementation, each prefix of them, and values there and back.

use bowline_vrrp::*;
use proptest::prelude::*;
use samples::samples;
use std::net::IpAddr;

mod samples;

#[test]
fn samples_are_read() {
    for sample in samples() {
        let group = sample.family.group();
        let packet = Packet::new_checked(&sample.bytes, sample.family).unwrap();
        assert_eq!(Repr::parse(&packet, sample.source, group), Some(sample.says), "{}", sample.name);
    }
}

#[test]
fn samples_are_written_to_the_last_bit() {
    for sample in samples() {
        let bytes = sample.says.emit(sample.source, sample.family.group());
        assert_eq!(bytes, sample.bytes, "{}", sample.name);
    }
}

/// keepalived 2.2.7 refuses the other form, so that it has to be told apart.
#[test]
fn the_samples_over_ipv4_have_a_pseudo_header() {
    for sample in samples() {
        let packet = Packet::new_checked(&sample.bytes, sample.family).unwrap();
        let form = packet.checksum_form(sample.source, sample.family.group());
        let expected = match sample.says.protocol {
            Protocol::V2 { .. } => ChecksumForm::MessageOnly,
            Protocol::V3 { checksum, .. } => checksum,
        };
        assert_eq!(form, Some(expected), "{}", sample.name);
    }
}

#[test]
fn no_prefix_is_taken_for_the_whole() {
    for sample in samples() {
        for length in 0..sample.bytes.len() {
            let prefix = &sample.bytes[..length];
            assert_eq!(
                Packet::new_checked(prefix, sample.family).unwrap_err(),
                Malformed::Truncated,
                "{} bytes of {}",
                length,
                sample.name
            );
        }
        let longer = [&sample.bytes[..], &[0]].concat();
        assert_eq!(Packet::new_checked(&longer, sample.family).unwrap_err(), Malformed::TrailingBytes);
    }
}

#[test]
fn the_number_is_read_off_anything() {
    assert_eq!(peek_vrid(&[]), None);
    assert_eq!(peek_vrid(&[0x21]), None);
    assert_eq!(peek_vrid(&[0x21, 0]), None);
    assert_eq!(peek_vrid(&[0xff, 7]), Vrid::new(7));
}

#[test]
fn the_interval_and_its_reserved_bits() {
    let mut bytes = samples().remove(2).bytes;
    for (high, low, read) in [(0xf0, 0x14, 20), (0x0f, 0xff, 4_095), (0x00, 0x01, 1)] {
        (bytes[4], bytes[5]) = (high, low);
        let interval = Packet::new_checked(&bytes, Family::V4).unwrap().interval();
        assert_eq!(interval, PacketInterval::V3(Centiseconds::new(read).unwrap()));
    }
    (bytes[4], bytes[5]) = (0xf0, 0);
    assert_eq!(Packet::new_checked(&bytes, Family::V4).unwrap_err(), Malformed::IntervalZero);
}

fn protocols(family: Family) -> BoxedStrategy<Protocol> {
    let forms = prop_oneof![Just(ChecksumForm::PseudoHeader), Just(ChecksumForm::MessageOnly)];
    let v3 =
        |interval: u16, checksum| Protocol::V3 { interval: Centiseconds::new(interval).unwrap(), checksum };
    match family {
        Family::V6 => {
            (1u16..=4_095).prop_map(move |interval| v3(interval, ChecksumForm::PseudoHeader)).boxed()
        }
        Family::V4 => {
            let passwords = prop::option::of("[a-z]{1,8}");
            let v2 = (1u8..=255, passwords).prop_map(|(interval, password)| Protocol::V2 {
                interval: Seconds::new(interval).unwrap(),
                password: password.map(|text| Password::new(text.as_bytes()).unwrap()),
            });
            prop_oneof![v2, (1u16..=4_095, forms).prop_map(move |(interval, form)| v3(interval, form))]
                .boxed()
        }
    }
}

fn addresses(family: Family) -> BoxedStrategy<Addresses> {
    let list = match family {
        Family::V4 => prop::collection::btree_set(0u16..1_000, 1..20)
            .prop_map(|hosts| {
                let address = |host: u16| IpAddr::from([10, 0, host.to_be_bytes()[0], host.to_be_bytes()[1]]);
                hosts.into_iter().map(address).collect::<Vec<_>>()
            })
            .boxed(),
        Family::V6 => prop::collection::btree_set(1u16..1_000, 1..20)
            .prop_map(|hosts| {
                let address = |host: u16| IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, host]);
                hosts.into_iter().map(address).collect::<Vec<_>>()
            })
            .boxed(),
    };
    list.prop_map(|list| Addresses::new(list).unwrap()).boxed()
}

fn reprs() -> impl Strategy<Value = Repr> {
    prop_oneof![Just(Family::V4), Just(Family::V6)].prop_flat_map(|family| {
        (1u8..=255, any::<u8>(), addresses(family), protocols(family)).prop_map(
            |(vrid, priority, addresses, protocol)| Repr {
                vrid: Vrid::new(vrid).unwrap(),
                priority,
                addresses,
                protocol,
            },
        )
    })
}

fn source(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from([10, 1, 0, 1]),
        Family::V6 => "fe80::ffff".parse().unwrap(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(repr in reprs()) {
        let family = repr.addresses.family();
        let bytes = repr.emit(source(family), family.group());
        let packet = Packet::new_checked(&bytes, family).unwrap();
        prop_assert_eq!(Repr::parse(&packet, source(family), family.group()), Some(repr));
    }

    #[test]
    fn one_bit_is_never_overlooked(repr in reprs(), bit in any::<prop::sample::Index>()) {
        let family = repr.addresses.family();
        let mut bytes = repr.emit(source(family), family.group());
        let bit = bit.index(8 * bytes.len());
        bytes[bit / 8] ^= 1 << (bit % 8);
        let read = Packet::new_checked(&bytes, family).ok();
        prop_assert_eq!(read.and_then(|packet| packet.checksum_form(source(family), family.group())), None);
    }
}
