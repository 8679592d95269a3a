//! What an Active Router does (RFC 9568 section 6.4.3), and how it leaves.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::stand::{GRACE, Side};
use super::{Check, HIGHER, LOWER, PRIORITY, Stand, Verdict, always};
use crate::wire::{Forge, Mac, Mark};

pub(super) const CHECKS: &[Check] = &[
    Check { number: 16, name: "master_answers_arp", applies: always, run: answers_arp },
    Check { number: 17, name: "master_yields_to_higher", applies: always, run: yields_to_higher },
    Check {
        number: 18,
        name: "master_yields_to_equal_higher_address",
        applies: always,
        run: yields_to_equal_higher_address,
    },
    Check {
        number: 19,
        name: "master_keeps_against_equal_lower_address",
        applies: always,
        run: keeps_against_equal_lower_address,
    },
    Check {
        number: 20,
        name: "master_keeps_against_lower_and_asserts",
        applies: always,
        run: keeps_against_lower_and_asserts,
    },
    Check { number: 21, name: "master_answers_priority0", applies: always, run: answers_priority0 },
    Check { number: 22, name: "shutdown_sends_priority0", applies: always, run: shutdown_sends_priority0 },
];

/// Adverts of a rival that wants the address.
const INSISTENT: u32 = 3;

fn answers_arp(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.active()?;
    let mut told = Vec::new();
    for address in stand.setup.addresses.clone() {
        let answers = stand.answers(address)?;
        match answers.iter().next() {
            Some(mac) if answers.len() == 1 => told.push(format!("{address} is at {}", whose(stand, *mac))),
            Some(_) | None => return Ok(Verdict::Failed(format!("{address} is at {answers:?}"))),
        }
    }
    Ok(Verdict::Passed(told.join(", ")))
}

fn whose(stand: &Stand<'_>, mac: Mac) -> String {
    if mac == stand.host().mac() {
        "the interface's MAC".to_owned()
    } else if mac == Mac::of_router(stand.setup.is_v6(), stand.setup.vrid) {
        "the virtual MAC".to_owned()
    } else {
        mac.to_string()
    }
}

fn yields_to(stand: &mut Stand<'_>, side: Side, priority: u8) -> anyhow::Result<Verdict> {
    stand.active()?;
    let rival = stand.forge(side, priority);
    let first = stand.send(&rival)?;
    // What was on its way when the rival's first advert arrived is no disobedience.
    stand.lead(&rival, stand.setup.interval, 2)?;
    let mark = stand.tap().mark();
    stand.lead(&rival, stand.setup.interval, INSISTENT)?;
    let sent = stand.adverts(mark).len();
    if sent > 0 {
        return Ok(Verdict::Failed(format!("{sent} adverts under the rival")));
    }
    if stand.has_any() {
        return Ok(Verdict::Failed(format!(
            "it has the address {:?} after the rival's advert",
            first.elapsed()
        )));
    }
    for address in stand.setup.addresses.clone() {
        let answers = stand.answers(address)?;
        if !answers.is_empty() {
            return Ok(Verdict::Failed(format!("{address} is still at {answers:?}")));
        }
    }
    Ok(Verdict::Passed("silent, without address and answers".to_owned()))
}

fn yields_to_higher(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    yields_to(stand, Side::Low, HIGHER)
}

fn yields_to_equal_higher_address(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    yields_to(stand, Side::High, PRIORITY)
}

/// Sends a rival's advert in the middle of a period: how long until the subject's next advert.
fn provoke(stand: &Stand<'_>, rival: &Forge) -> anyhow::Result<(Mark, Duration)> {
    let mark = stand.tap().mark();
    stand
        .advert_until(mark, Instant::now() + stand.setup.interval + GRACE)
        .context("it does not advertise")?;
    std::thread::sleep(stand.setup.interval / 4);
    let mark = stand.tap().mark();
    let provoked = stand.send(rival)?;
    let deadline = provoked + stand.setup.interval + GRACE;
    let next = stand.advert_until(mark, deadline).context("it fell silent")?;
    Ok((mark, next.at.saturating_duration_since(provoked)))
}

fn keeps_against_equal_lower_address(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.active()?;
    let mark = stand.tap().mark();
    let adverts = stand.adverts_in(stand.setup.interval * 4);
    stand.lead(&stand.forge(Side::Low, PRIORITY), stand.setup.interval, adverts)?;
    let sent = stand.adverts(mark).len();
    // One less than periods: the first advert may have come just before the mark.
    let enough = sent + 2 >= usize::try_from(adverts)?;
    Ok(Verdict::of(enough && stand.has_all(), format!("{sent} adverts in {adverts} periods of the rival")))
}

fn keeps_against_lower_and_asserts(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.active()?;
    let rival = stand.forge(Side::High, LOWER);
    let (mark, after) = provoke(stand, &rival)?;
    let (at_once, address) = (after < stand.setup.interval / 2, stand.setup.addresses[0]);
    let deadline = Instant::now() + stand.setup.interval;
    let announced = stand
        .tap()
        .wait_until(mark, deadline, |captured| stand.is_own(captured) && captured.frame.announces(address));
    let text = format!("next advert after {after:?}, announced again: {}", announced.is_some());
    Ok(Verdict::of(at_once && announced.is_some() && stand.has_all(), text))
}

fn answers_priority0(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.active()?;
    let (_, after) = provoke(stand, &stand.forge(Side::High, 0))?;
    Ok(Verdict::of(after < stand.setup.interval / 2, format!("next advert after {after:?}")))
}

fn shutdown_sends_priority0(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.active()?;
    let mark = stand.tap().mark();
    let asked = Instant::now();
    stand.running().stop()?;
    if let Err(error) = stand.eventually("the end of its addresses", || !stand.has_any()) {
        return Ok(Verdict::Failed(error.to_string()));
    }
    let adverts = stand.adverts(mark);
    let zeros: Vec<_> = adverts.iter().filter(|(_, advert)| advert.priority == 0).collect();
    let Some((at, _)) = zeros.first() else {
        return Ok(Verdict::Failed("no advert with priority 0".to_owned()));
    };
    let after = adverts.iter().filter(|(sent, advert)| sent > at && advert.priority != 0).count();
    let text = format!("{} with priority 0, the first {:?} after SIGTERM", zeros.len(), *at - asked);
    Ok(Verdict::of(zeros.len() == 1 && after == 0, text))
}
