//! How it starts, what its adverts look like and how often they come.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::stand::{EARLY, GRACE, LATE};
use super::{Check, Stand, Verdict, always};
use crate::wire::{Checksum, Content, GROUP, GROUP6, Mac, Mark};

pub(super) const CHECKS: &[Check] = &[
    Check { number: 1, name: "startup_nonowner_waits", applies: always, run: startup_nonowner_waits },
    Check {
        number: 2,
        name: "startup_owner_is_master_at_once",
        applies: always,
        run: startup_owner_is_master_at_once,
    },
    Check { number: 3, name: "advert_format", applies: always, run: advert_format },
    Check { number: 4, name: "advert_period", applies: always, run: advert_period },
    Check { number: 5, name: "takeover_announces", applies: always, run: takeover_announces },
];

fn startup_nonowner_waits(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    let before = stand.start()?;
    let first = stand.wait_active(Mark::default())?;
    let waited = first.at.saturating_duration_since(before);
    let due = stand.setup.down_interval(stand.setup.interval);
    Ok(Verdict::of(waited + EARLY >= due, format!("first advert after {waited:?}, due after {due:?}")))
}

fn startup_owner_is_master_at_once(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.setup.priority = 255;
    stand.start()?;
    let started = Instant::now();
    let Some(first) = stand.advert_until(Mark::default(), started + GRACE) else {
        return Ok(Verdict::Failed("the owner never advertised".to_owned()));
    };
    let waited = first.at.saturating_duration_since(started);
    let limit = stand.setup.interval.max(LATE);
    Ok(Verdict::of(waited <= limit, format!("first advert {waited:?} after it was up")))
}

fn advert_format(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.start()?;
    let captured = stand.wait_active(Mark::default())?;
    let advert = captured.frame.advert().context("no advert")?;
    let Content::Vrrp(packet) = &captured.frame.content else { unreachable!("an advert is VRRP") };
    let setup = &stand.setup;
    let v6 = setup.is_v6();
    let group: IpAddr = if v6 { GROUP6.into() } else { GROUP.into() };
    let size = if v6 { 16 } else { 4 };
    let length = 8 + size * setup.addresses.len() + if setup.version == 2 { 8 } else { 0 };
    let sum = if setup.version == 2 { Checksum::MessageOnly } else { Checksum::PseudoHeader };
    let macs = [stand.host().mac(), Mac::of_router(v6, setup.vrid)];
    let wrong: Vec<String> = [
        ("destination", packet.destination == group, packet.destination.to_string()),
        ("source", packet.source == stand.host().source(v6), packet.source.to_string()),
        ("TTL", packet.hop_limit == 255, packet.hop_limit.to_string()),
        ("TOS", packet.traffic_class == 0xc0, packet.traffic_class.to_string()),
        ("IP header checksum", packet.header_sound, String::new()),
        (
            "target MAC",
            Some(captured.frame.destination) == Mac::of_group(group),
            captured.frame.destination.to_string(),
        ),
        ("source MAC", macs.contains(&captured.frame.source), captured.frame.source.to_string()),
        ("version", advert.version == setup.version, advert.version.to_string()),
        ("type", advert.kind == 1, advert.kind.to_string()),
        ("VRID", advert.vrid == setup.vrid, advert.vrid.to_string()),
        ("priority", advert.priority == setup.priority, advert.priority.to_string()),
        ("count", usize::from(advert.count) == setup.addresses.len(), advert.count.to_string()),
        ("fifth byte", advert.fifth_byte == 0, advert.fifth_byte.to_string()),
        ("interval", advert.interval == setup.interval_field(), advert.interval.to_string()),
        ("checksum", advert.checksum == sum, format!("{:?}", advert.checksum)),
        ("addresses", advert.addresses == setup.addresses, format!("{:?}", advert.addresses)),
        ("length", advert.length == length && advert.trailing == 0, advert.length.to_string()),
        (
            "authentication",
            advert.authentication.iter().all(|byte| *byte == 0),
            format!("{:?}", advert.authentication),
        ),
    ]
    .into_iter()
    .filter(|(_, right, _)| !right)
    .map(|(field, _, value)| format!("{field} is {value}"))
    .collect();
    Ok(if wrong.is_empty() {
        Verdict::Passed(format!("{} bytes", advert.length))
    } else {
        Verdict::Failed(wrong.join(", "))
    })
}

fn advert_period(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.active()?;
    let mark = stand.tap().mark();
    let wanted = if stand.setup.version == 2 { 4 } else { 16 };
    let interval = stand.setup.interval;
    let deadline = Instant::now() + interval * wanted * 2 + GRACE;
    let enough = usize::try_from(wanted).unwrap_or(usize::MAX);
    stand.eventually_by(deadline, "enough adverts", || stand.adverts(mark).len() >= enough)?;
    let times: Vec<Instant> = stand.adverts(mark).into_iter().map(|(at, _)| at).collect();
    let mut gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_unstable();
    let median = gaps[gaps.len() / 2];
    let range = interval * 9 / 10..=interval * 11 / 10;
    Ok(Verdict::of(range.contains(&median), format!("median {median:?}, longest {:?}", gaps[gaps.len() - 1])))
}

fn takeover_announces(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.start()?;
    let first = stand.wait_active(Mark::default())?;
    let mut late = Duration::ZERO;
    for address in stand.setup.addresses.clone() {
        let deadline = first.at + stand.setup.interval + GRACE;
        let found = stand.tap().wait_until(Mark::default(), deadline, |captured| {
            stand.is_own(captured) && captured.frame.announces(address)
        });
        let Some(found) = found else { return Ok(Verdict::Failed(format!("{address} was not announced"))) };
        if found.at < first.at {
            return Ok(Verdict::Failed(format!("{address} was announced before the first advert")));
        }
        late = late.max(found.at - first.at);
    }
    Ok(Verdict::of(late < LATE, format!("all announced {late:?} after the first advert")))
}
