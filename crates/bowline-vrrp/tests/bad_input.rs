//! Packets that are not right or not for this router, one kind after the other, and ten thousand without any sense: each is
//! discarded for its own reason, and the router that it came to is as it was, whatever it was doing.
//!
//! What is wrong is wrong with an advert that would move every one of these routers; the last test shows that it would.

use bowline_sansio::contract::Checked;
use bowline_sansio::{Instant, Machine, Prng};
use bowline_vrrp::*;
use checksum::repair;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

mod checksum;

/// Outputs after one input of a router with one destination.
const OUTPUTS_MAX: usize = 64;

/// What can be wrong depends on these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Variant {
    V2,
    V2Password,
    V3,
    V3Unicast,
    V3Ipv6,
}

const VARIANTS: [Variant; 5] =
    [Variant::V2, Variant::V2Password, Variant::V3, Variant::V3Unicast, Variant::V3Ipv6];

impl Variant {
    fn is_v2(self) -> bool {
        matches!(self, Self::V2 | Self::V2Password)
    }

    fn family(self) -> Family {
        match self {
            Self::V3Ipv6 => Family::V6,
            Self::V2 | Self::V2Password | Self::V3 | Self::V3Unicast => Family::V4,
        }
    }

    fn ip(self, last: u8) -> IpAddr {
        match self.family() {
            Family::V4 => IpAddr::from([10, 0, 0, last]),
            Family::V6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, u16::from(last)]),
        }
    }

    fn protocol(self) -> Protocol {
        let v2 = |password| Protocol::V2 { interval: Seconds::DEFAULT, password };
        match self {
            Self::V2 => v2(None),
            Self::V2Password => v2(Password::new(b"sesame").ok()),
            Self::V3 | Self::V3Unicast | Self::V3Ipv6 => {
                Protocol::V3 { interval: Centiseconds::DEFAULT, checksum: ChecksumForm::PseudoHeader }
            }
        }
    }

    fn addresses(self) -> Addresses {
        Addresses::new(vec![self.ip(100), self.ip(101)]).unwrap()
    }

    /// Node 2 of three.
    fn config(self) -> Config {
        let peers: std::sync::Arc<[IpAddr]> = [self.ip(1), self.ip(3)].into();
        Config::new(Settings {
            vrid: Vrid::new(51).unwrap(),
            protocol: self.protocol(),
            addresses: self.addresses(),
            source: self.ip(2),
            priority: Priority::new(200).unwrap(),
            rank: 1,
            preempt: false,
            preempt_delay: Duration::ZERO,
            peers: Peers::Planned(peers.clone()),
            transport: if self == Self::V3Unicast { Transport::Unicast(peers) } else { Transport::Multicast },
            bands: true,
            when_all_bad: WhenAllBad::Keep,
            stability: Duration::from_secs(2),
            lease: Duration::from_secs(3),
        })
        .unwrap()
    }

    /// From a planned peer that goes before every other router.
    fn right(self) -> Packet {
        let config = self.config();
        let (source, destination) =
            (self.ip(1), if self == Self::V3Unicast { self.ip(2) } else { config.family().group() });
        let says = Repr {
            vrid: config.settings().vrid,
            priority: 254,
            addresses: self.addresses(),
            protocol: self.protocol(),
        };
        Packet { source, destination, hop_limit: Some(255), bytes: says.emit(source, destination) }
    }
}

#[derive(Clone, Debug)]
struct Packet {
    source: IpAddr,
    destination: IpAddr,
    hop_limit: Option<u8>,
    bytes: Vec<u8>,
}

impl Packet {
    fn received(&self) -> Received<'_> {
        let Self { source, destination, hop_limit, bytes } = self;
        Received { source: *source, destination: *destination, hop_limit: *hop_limit, bytes }
    }

    /// Puts the checksum right, so that nothing but what was changed is wrong.
    fn repaired(mut self) -> Self {
        let pseudo_header = self.bytes.first().is_some_and(|first| first >> 4 != 2);
        repair(&mut self.bytes, self.source, self.destination, pseudo_header);
        self
    }
}

/// Where a message has what.
const VERSION_AND_TYPE: usize = 0;
const VRID: usize = 1;
const COUNT: usize = 3;
const AUTHENTICATION_TYPE: usize = 4;
const INTERVAL: usize = 5;
const CHECKSUM: usize = 6;
const ADDRESSES: usize = 8;

/// Everything that can be wrong with an advert to `variant`, and what it is discarded for.
fn bad(variant: Variant) -> Vec<(Discard, Packet)> {
    let mut all = bad_bytes(variant);
    all.extend(bad_ways(variant));
    if variant.is_v2() {
        all.extend(bad_in_version_2(variant));
    }
    // A right one of the other version.
    let other = match variant {
        Variant::V2 | Variant::V2Password => Variant::V3,
        Variant::V3 | Variant::V3Unicast | Variant::V3Ipv6 => Variant::V2,
    };
    all.push((Discard::Version, Packet { bytes: other.right().bytes, ..variant.right() }.repaired()));
    all
}

fn with_byte(variant: Variant, at: usize, byte: u8) -> Packet {
    let mut packet = variant.right();
    packet.bytes[at] = byte;
    packet.repaired()
}

fn bad_bytes(variant: Variant) -> Vec<(Discard, Packet)> {
    let right = variant.right();
    let mut all = Vec::new();
    let version = if variant.is_v2() { 2 } else { 3 };
    all.extend(
        [0, 1, 4, 15].map(|other| (Discard::Version, with_byte(variant, VERSION_AND_TYPE, other << 4 | 1))),
    );
    all.extend(
        [0, 2, 15].map(|other| (Discard::Type, with_byte(variant, VERSION_AND_TYPE, version << 4 | other))),
    );
    all.extend([0, 50, 52].map(|other| (Discard::OtherVrid, with_byte(variant, VRID, other))));
    // The length, which is that of the count.
    all.push((Discard::NoAddresses, with_byte(variant, COUNT, 0)));
    all.push((Discard::TrailingBytes, with_byte(variant, COUNT, 1)));
    all.extend([5, 200, 255].map(|count| (Discard::Truncated, with_byte(variant, COUNT, count))));
    for length in 0..right.bytes.len() {
        let bytes = right.bytes[..length].to_vec();
        all.push((Discard::Truncated, Packet { bytes, ..right.clone() }.repaired()));
    }
    for more in [1, 2, 4, 8, 16, 100] {
        let bytes = [&right.bytes[..], &vec![0; more]].concat();
        all.push((Discard::TrailingBytes, Packet { bytes, ..right.clone() }.repaired()));
    }
    for bit in 0..16 {
        let mut packet = right.clone();
        packet.bytes[CHECKSUM + bit / 8] ^= 1 << (bit % 8);
        all.push((Discard::Checksum, packet));
    }
    let mut packet = right.clone();
    packet.bytes[CHECKSUM..CHECKSUM + 2].fill(0);
    all.push((Discard::Checksum, packet));
    let mut packet = right.clone();
    packet.bytes[AUTHENTICATION_TYPE] &= if variant.is_v2() { 0xff } else { 0xf0 };
    packet.bytes[INTERVAL] = 0;
    all.push((Discard::IntervalZero, packet.repaired()));
    let mut packet = right;
    let own = packet.bytes.len() - if variant.is_v2() { 8 } else { 0 };
    packet.bytes[ADDRESSES..own].fill(9);
    all.push((Discard::OtherAddresses, packet.repaired()));
    all
}

/// The header of IP, over a message that is right for it.
fn bad_ways(variant: Variant) -> Vec<(Discard, Packet)> {
    let right = variant.right();
    let (group, unicast) = (variant.family().group(), variant == Variant::V3Unicast);
    let mut all = vec![
        (Discard::OwnSource, Packet { source: variant.ip(2), ..right.clone() }),
        (Discard::UnplannedPeer, Packet { source: variant.ip(4), ..right.clone() }),
        (Discard::Destination, Packet { destination: variant.ip(3), ..right.clone() }),
        (
            Discard::Destination,
            Packet { destination: if unicast { group } else { variant.ip(2) }, ..right.clone() },
        ),
    ];
    if !unicast {
        let beyond = [Some(254), Some(64), Some(1), Some(0), None];
        all.extend(beyond.map(|hop_limit| (Discard::HopLimit, Packet { hop_limit, ..right.clone() })));
    }
    let all = all.into_iter().map(|(why, packet)| (why, packet.repaired()));
    let other: IpAddr = match variant.family() {
        Family::V4 => "fe80::1".parse().unwrap(),
        Family::V6 => IpAddr::from([10, 0, 0, 1]),
    };
    let other_family = [
        (Discard::Family, Packet { source: other, ..right.clone() }),
        (Discard::Family, Packet { destination: other, ..right.clone() }),
    ];
    all.chain(other_family).collect()
}

fn bad_in_version_2(variant: Variant) -> Vec<(Discard, Packet)> {
    let mut all: Vec<_> =
        [2, 3, 255].map(|interval| (Discard::IntervalDiffers, with_byte(variant, INTERVAL, interval))).into();
    let expected = if variant == Variant::V2Password { 1 } else { 0 };
    let others = [0, 1, 2, 7, 255].into_iter().filter(|&kind| kind != expected);
    all.extend(
        others.map(|kind| (Discard::AuthenticationType, with_byte(variant, AUTHENTICATION_TYPE, kind))),
    );
    if variant == Variant::V2Password {
        let last = variant.right().bytes.len() - 8;
        for at in last..last + 8 {
            let byte = variant.right().bytes[at] ^ 0x20;
            all.push((Discard::Password, with_byte(variant, at, byte)));
        }
    }
    all
}

/// Everything a router can be doing when the packet comes.
const DOINGS: [&str; 5] = ["Initialize", "Backup", "Active", "HandingOver", "Fault"];

/// A router as its shell has it, with what was counted.
struct Node {
    router: Checked<VirtualRouter>,
    counted: BTreeMap<Discard, u64>,
}

impl Node {
    fn new(variant: Variant, doing: &str) -> Self {
        let router = Checked::new(VirtualRouter::new(variant.config(), Instant::ORIGIN), OUTPUTS_MAX);
        let mut node = Self { router, counted: BTreeMap::new() };
        node.step(Input::CanServe(true));
        if doing != "Initialize" {
            node.step(Input::Start);
        }
        if doing == "Active" || doing == "HandingOver" {
            node.router.step_timeout(Input::Timeout);
            let tenure = node.router.get().status().tenure.unwrap();
            node.step(Input::Held(tenure));
        }
        match doing {
            "HandingOver" => node.step(Input::Leave),
            "Fault" => node.step(Input::Fault(Fault::LinkDown)),
            _ => {}
        }
        assert_eq!(node.router.get().status().state.as_str().replace('-', ""), doing.to_lowercase());
        node
    }

    fn step(&mut self, input: Input) {
        let now = self.router.now();
        self.router.step(input, now);
    }

    /// What there is to know of it.
    fn seen(&self) -> (Status, Option<Instant>) {
        (self.router.get().status(), self.router.get().poll_timeout())
    }

    fn hear(&mut self, packet: &Packet) -> Result<Advert, Discard> {
        let outcome = receive(self.router.get().config(), packet.received());
        match outcome {
            Ok(advert) => self.step(Input::Received(advert)),
            Err(why) => *self.counted.entry(why).or_default() += 1,
        }
        outcome
    }
}

#[test]
fn each_kind_is_discarded_for_its_own_reason_and_changes_nothing() {
    let mut seen = BTreeMap::<Discard, u64>::new();
    for variant in VARIANTS {
        for doing in DOINGS {
            let mut node = Node::new(variant, doing);
            let before = node.seen();
            for (why, packet) in bad(variant) {
                let counted = node.counted.get(&why).copied().unwrap_or(0);
                assert_eq!(node.hear(&packet), Err(why), "{variant:?}, {doing}: {packet:02x?}");
                assert_eq!(node.counted[&why], counted + 1);
                assert_eq!(node.seen(), before, "{variant:?}, {doing}: {packet:02x?}");
            }
            for (why, count) in node.counted {
                *seen.entry(why).or_default() += count;
            }
        }
    }
    assert_eq!(seen.into_keys().collect::<Vec<_>>(), Discard::ALL, "a reason without a packet");
}

/// What is left of an advert that a fragment has lost, if it came to this: its beginning or its end.
#[test]
fn neither_part_of_a_cut_advert_counts() {
    for variant in VARIANTS {
        let (mut node, right) = (Node::new(variant, "Active"), variant.right());
        let before = node.seen();
        for cut in 1..right.bytes.len() {
            for bytes in [&right.bytes[..cut], &right.bytes[cut..]] {
                let part = Packet { bytes: bytes.to_vec(), ..right.clone() };
                for part in [part.clone(), part.repaired()] {
                    assert!(node.hear(&part).is_err(), "{variant:?}: {part:02x?}");
                }
            }
        }
        assert_eq!(node.seen(), before);
    }
}

/// Check 48 of the conformance list, for each variant in each state: alive, and as if nothing had come.
#[test]
fn ten_thousand_random_packets_change_nothing() {
    let mut prng = Prng::new(48);
    for variant in VARIANTS {
        for doing in DOINGS {
            let mut node = Node::new(variant, doing);
            let before = node.seen();
            for _ in 0..10_000 {
                let packet = random(variant, &mut prng);
                assert!(node.hear(&packet).is_err(), "{variant:?}, {doing}: {packet:02x?}");
            }
            assert_eq!(node.seen(), before, "{variant:?}, {doing}");
            assert_eq!(node.counted.values().sum::<u64>(), 10_000);
            assert!(node.counted.len() >= 7, "{variant:?}: {:?}", node.counted);
        }
    }
}

/// Bytes without any sense; half of them begin as a right advert does, but are not one.
fn random(variant: Variant, prng: &mut Prng) -> Packet {
    let mut packet = variant.right();
    let length = prng.index(2 * packet.bytes.len());
    let mut bytes: Vec<u8> = (0..length).map(|_| prng.next_u64().to_be_bytes()[0]).collect();
    if prng.below(2) == 0 {
        let kept = prng.index(packet.bytes.len()).min(length);
        bytes[..kept].copy_from_slice(&packet.bytes[..kept]);
    }
    if bytes == packet.bytes {
        bytes.pop();
    }
    packet.bytes = bytes;
    if prng.below(8) == 0 {
        packet.source = variant.ip(prng.next_u64().to_be_bytes()[0].max(1));
    }
    packet
}

/// Without it, nothing above would show anything.
#[test]
fn the_right_one_moves_every_one_of_them() {
    for variant in VARIANTS {
        for doing in ["Backup", "Active", "HandingOver", "Fault"] {
            let mut node = Node::new(variant, doing);
            let before = node.seen();
            let advert = node.hear(&variant.right()).expect("a right one");
            assert_eq!((advert.source, advert.priority), (variant.ip(1), 254));
            assert_ne!(node.seen(), before, "{variant:?}, {doing}");
        }
    }
}
