//! Packets that must be ignored: with nothing else on the wire a Backup that ignores them takes over when it should have without them.

use super::stand::{GRACE, Side};
use super::{Check, HIGHER, Stand, Variant, Verdict, always};
use crate::wire::{Forge, Sum};

/// A check by the defect that it gives to a better router's advert.
macro_rules! ignores {
    ($number:literal, $name:literal, $applies:expr, $defect:expr) => {
        Check { number: $number, name: $name, applies: $applies, run: |stand| ignores(stand, $defect) }
    };
}

pub(super) const CHECKS: &[Check] = &[
    ignores!(24, "ignores_ttl_254", always, |forge| forge.hop_limit = 254),
    ignores!(25, "ignores_ttl_1", always, |forge| forge.hop_limit = 1),
    ignores!(26, "ignores_wrong_version", always, |forge| forge.version =
        if forge.version == 2 { 3 } else { 2 }),
    ignores!(27, "ignores_version_0", always, |forge| forge.version = 0),
    ignores!(28, "ignores_unknown_type", always, |forge| forge.kind = 2),
    ignores!(29, "ignores_bad_checksum", always, |forge| forge.sum = Some(Sum::Flipped(0x0101))),
    ignores!(30, "ignores_checksum_zero", always, |forge| forge.sum = Some(Sum::Value(0))),
    ignores!(31, "ignores_other_vrid", always, |forge| forge.vrid += 1),
    ignores!(32, "ignores_truncated_address", always, |forge| forge.keep = Some(10)),
    ignores!(33, "ignores_count_larger_than_body", always, |forge| forge.count = Some(200)),
    ignores!(34, "ignores_header_only_8_bytes", always, |forge| forge.keep = Some(8)),
    ignores!(38, "ignores_v2_interval_mismatch", Variant::is_v2, |forge| forge.interval = 3),
    ignores!(38, "ignores_v2_interval_0", Variant::is_v2, |forge| forge.interval = 0),
    ignores!(39, "ignores_v2_auth_type_unknown", Variant::is_v2, |forge| forge.fifth_byte = 7),
    ignores!(40, "ignores_v2_unexpected_password", Variant::is_v2, |forge| {
        *forge = forge.clone().with_password("sesame");
    }),
    Check { number: 35, name: "count_0", applies: always, run: count_0 },
    Check { number: 36, name: "trailing_bytes", applies: always, run: trailing_bytes },
    Check { number: 37, name: "other_addresses", applies: always, run: other_addresses },
    Check { number: 41, name: "own_source_address", applies: always, run: own_source_address },
    Check { number: 41, name: "fragment", applies: is_v4, run: fragment },
    Check { number: 41, name: "wrong_protocol", applies: always, run: wrong_protocol },
    Check { number: 41, name: "unicast_when_multicast", applies: always, run: unicast_when_multicast },
    Check {
        number: 42,
        name: "checksum_without_pseudo_header",
        applies: is_v3_ipv4,
        run: |stand| accepts(stand, |forge| forge.sum = Some(Sum::MessageOnly)),
    },
    Check {
        number: 43,
        name: "checksum_with_pseudo_header",
        applies: is_v3_ipv4,
        run: |stand| accepts(stand, |forge| forge.sum = Some(Sum::PseudoHeader)),
    },
    Check {
        number: 44,
        name: "accepts_reserved_bits",
        applies: is_v3,
        run: |stand| accepts(stand, |forge| forge.fifth_byte = 0x0f),
    },
    Check {
        number: 44,
        name: "accepts_priority_255",
        applies: always,
        run: |stand| accepts(stand, |forge| forge.priority = 255),
    },
    Check {
        number: 44,
        name: "accepts_ip_options",
        applies: is_v4,
        // Router alert (RFC 2113).
        run: |stand| accepts(stand, |forge| forge.options = vec![0x94, 4, 0, 0]),
    },
    Check {
        number: 44,
        name: "accepts_virtual_source_mac",
        applies: always,
        run: |stand| {
            accepts(stand, |forge| {
                forge.ethernet_source = crate::wire::Mac::of_router(forge.source.is_ipv6(), forge.vrid);
            })
        },
    },
];

fn is_v4(variant: Variant) -> bool {
    !variant.is_v6()
}

fn is_v3(variant: Variant) -> bool {
    !variant.is_v2()
}

fn is_v3_ipv4(variant: Variant) -> bool {
    variant == Variant::V3
}

/// Holds the subject in Backup, then sends nothing but defective adverts of a better router for longer than it should wait.
fn ignores(stand: &mut Stand<'_>, defect: impl Fn(&mut Forge)) -> anyhow::Result<Verdict> {
    let last = stand.backup()?;
    let mark = stand.tap().mark();
    let mut forge = stand.better();
    defect(&mut forge);
    // In the middle between what would have been right adverts: one that is believed moves the takeover by a visible amount.
    std::thread::sleep(stand.setup.interval / 2);
    let adverts = stand.adverts_in(stand.down_interval() + GRACE.min(stand.setup.interval * 3));
    let mut first = None;
    for _ in 0..adverts {
        first = first.or(stand.lead(&forge, stand.setup.interval, 1).map(Some)?);
        if !stand.adverts(mark).is_empty() {
            break;
        }
        std::thread::sleep(stand.setup.interval);
    }
    Ok(stand.takeover(mark, last + stand.setup.down_interval(stand.setup.interval)))
}

/// Holds the subject in Backup, then goes on with changed adverts alone: it stays there when it accepts them.
fn accepts(stand: &mut Stand<'_>, change: impl Fn(&mut Forge)) -> anyhow::Result<Verdict> {
    let (accepted, text) = is_accepted(stand, change)?;
    Ok(Verdict::of(accepted, text))
}

fn report(stand: &mut Stand<'_>, change: impl Fn(&mut Forge)) -> anyhow::Result<Verdict> {
    let (accepted, text) = is_accepted(stand, change)?;
    Ok(Verdict::Reported(format!("{}: {text}", if accepted { "accepted" } else { "ignored" })))
}

fn is_accepted(stand: &mut Stand<'_>, change: impl Fn(&mut Forge)) -> anyhow::Result<(bool, String)> {
    stand.backup()?;
    let mark = stand.tap().mark();
    let mut forge = stand.better();
    change(&mut forge);
    let adverts = stand.adverts_in(stand.down_interval() + stand.setup.interval * 2);
    std::thread::sleep(stand.setup.interval);
    stand.lead(&forge, stand.setup.interval, adverts)?;
    let sent = stand.adverts(mark).len();
    Ok((sent == 0, format!("{sent} own adverts")))
}

fn count_0(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    report(stand, |forge| forge.addresses.clear())
}

fn trailing_bytes(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    report(stand, |forge| forge.tail = vec![0; 4])
}

fn other_addresses(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    report(stand, |forge| forge.addresses.truncate(1))
}

fn own_source_address(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.backup()?;
    let own = stand.host().source(stand.setup.is_v6());
    let mark = stand.tap().mark();
    let mut forge = stand.better();
    forge.source = own;
    let adverts = stand.adverts_in(stand.down_interval() + stand.setup.interval * 2);
    std::thread::sleep(stand.setup.interval);
    stand.lead(&forge, stand.setup.interval, adverts)?;
    let accepted = stand.adverts(mark).is_empty();
    Ok(Verdict::Reported(if accepted { "accepted" } else { "ignored" }.to_owned()))
}

fn fragment(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    report(stand, |forge| forge.fragment = true)
}

fn wrong_protocol(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    // The next unassigned one beside VRRP's that no kernel handles.
    ignores(stand, |forge| forge.protocol = 253)
}

fn unicast_when_multicast(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.backup()?;
    let (to, mac) = (stand.host().source(stand.setup.is_v6()), stand.host().mac());
    let mark = stand.tap().mark();
    let mut forge = stand.forge(Side::High, HIGHER);
    (forge.destination, forge.ethernet_destination) = (to, Some(mac));
    let adverts = stand.adverts_in(stand.down_interval() + stand.setup.interval * 2);
    std::thread::sleep(stand.setup.interval);
    stand.lead(&forge, stand.setup.interval, adverts)?;
    let accepted = stand.adverts(mark).is_empty();
    Ok(Verdict::Reported(if accepted { "accepted" } else { "ignored" }.to_owned()))
}
