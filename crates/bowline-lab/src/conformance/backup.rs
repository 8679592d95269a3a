//! What a Backup does (RFC 9568 section 6.4.2).

use super::stand::{EARLY, Side};
use super::{Check, LOWER, PRIORITY, Stand, Variant, Verdict, always};

pub(super) const CHECKS: &[Check] = &[
    Check { number: 6, name: "backup_stays_quiet", applies: always, run: stays_quiet },
    Check { number: 7, name: "backup_answers_no_arp", applies: always, run: answers_no_arp },
    Check { number: 8, name: "backup_equal_priority_no_preempt", applies: always, run: equal_no_preempt },
    Check { number: 9, name: "backup_takes_over_after_mdi", applies: always, run: takes_over_after_mdi },
    Check {
        number: 10,
        name: "backup_priority0_takes_over_after_skew",
        applies: always,
        run: priority0_takes_over_after_skew,
    },
    Check { number: 11, name: "backup_learns_interval", applies: is_v3, run: learns_interval },
    Check { number: 12, name: "backup_skew_uses_learned_interval", applies: is_v3, run: skew_of_learned },
    Check { number: 13, name: "backup_preempts_lower", applies: always, run: preempts_lower },
    Check { number: 14, name: "backup_nopreempt_keeps_lower", applies: always, run: nopreempt_keeps_lower },
    Check {
        number: 15,
        name: "backup_nopreempt_takes_over_dead",
        applies: always,
        run: nopreempt_takes_over_dead,
    },
    Check { number: 23, name: "backup_shutdown_is_silent", applies: always, run: shutdown_is_silent },
];

/// The Active Router's interval in the checks on learning it, in those of the subject.
const SLOWER: u32 = 3;

fn is_v3(variant: Variant) -> bool {
    !variant.is_v2()
}

fn stays_quiet(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.backup()?;
    let mark = stand.tap().mark();
    let adverts = stand.adverts_in(stand.down_interval() * 3);
    stand.lead(&stand.better(), stand.setup.interval, adverts)?;
    let sent = stand.adverts(mark).len();
    let held = stand.has_any();
    Ok(Verdict::of(
        sent == 0 && !held,
        format!("{sent} adverts in {adverts} intervals, address held: {held}"),
    ))
}

fn answers_no_arp(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.backup()?;
    for address in stand.setup.addresses.clone() {
        let answers = stand.answers(address)?;
        if !answers.is_empty() {
            return Ok(Verdict::Failed(format!("{address} is at {answers:?}")));
        }
    }
    Ok(Verdict::Passed("no answer".to_owned()))
}

fn equal_no_preempt(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.backup()?;
    let mark = stand.tap().mark();
    let adverts = stand.adverts_in(stand.down_interval());
    for side in [Side::Low, Side::High] {
        stand.lead(&stand.forge(side, PRIORITY), stand.setup.interval, adverts)?;
    }
    let sent = stand.adverts(mark).len();
    Ok(Verdict::of(sent == 0, format!("{sent} adverts under two equal routers")))
}

fn takes_over_after_mdi(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    let last = stand.backup()?;
    let mark = stand.tap().mark();
    Ok(stand.takeover(mark, last + stand.setup.down_interval(stand.setup.interval)))
}

fn priority0_takes_over_after_skew(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.backup()?;
    let mark = stand.tap().mark();
    let mut leaves = stand.better();
    leaves.priority = 0;
    let left = stand.send(&leaves)?;
    Ok(stand.takeover(mark, left + stand.setup.skew(stand.setup.interval)))
}

fn learns_interval(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.backup()?;
    let mark = stand.tap().mark();
    let interval = stand.setup.interval * SLOWER;
    let mut slow = stand.better();
    slow.interval = stand.setup.interval_field() * 3;
    let last = stand.lead(&slow, interval, SLOWER)?;
    let verdict = stand.takeover(mark, last + stand.setup.down_interval(interval));
    let own = stand.adverts(mark).first().map(|(_, advert)| advert.interval);
    if own != Some(stand.setup.interval_field()) {
        return Ok(Verdict::Failed(format!("its own adverts carry interval {own:?}")));
    }
    Ok(verdict)
}

fn skew_of_learned(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.backup()?;
    let mark = stand.tap().mark();
    let interval = stand.setup.interval * SLOWER;
    let mut slow = stand.better();
    slow.interval = stand.setup.interval_field() * 3;
    stand.lead(&slow, interval, 2)?;
    slow.priority = 0;
    let left = stand.send(&slow)?;
    Ok(stand.takeover(mark, left + stand.setup.skew(interval)))
}

fn preempts_lower(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    let last = stand.backup()?;
    let mark = stand.tap().mark();
    let worse = stand.forge(Side::High, LOWER);
    // Lower adverts do not touch the timer that runs since the last higher one.
    let adverts = stand.adverts_in(stand.down_interval());
    stand.lead(&worse, stand.setup.interval, adverts)?;
    Ok(stand.takeover(mark, last + stand.setup.down_interval(stand.setup.interval)))
}

fn nopreempt_keeps_lower(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.setup.preempt = false;
    stand.backup()?;
    let mark = stand.tap().mark();
    let adverts = stand.adverts_in(stand.down_interval() * 2);
    stand.lead(&stand.forge(Side::High, LOWER), stand.setup.interval, adverts)?;
    let sent = stand.adverts(mark).len();
    Ok(Verdict::of(sent == 0, format!("{sent} adverts under a lower router")))
}

fn nopreempt_takes_over_dead(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.setup.preempt = false;
    stand.backup()?;
    let mark = stand.tap().mark();
    let last = stand.lead(&stand.forge(Side::High, LOWER), stand.setup.interval, 2)?;
    Ok(stand.takeover(mark, last + stand.setup.down_interval(stand.setup.interval)))
}

fn shutdown_is_silent(stand: &mut Stand<'_>) -> anyhow::Result<Verdict> {
    stand.backup()?;
    let mark = stand.tap().mark();
    stand.running().ask_to_stop()?;
    // Held in Backup while it ends, however long that takes.
    for _ in 0..stand.adverts_in(stand.down_interval()) {
        stand.send(&stand.better())?;
        std::thread::sleep(stand.setup.interval.saturating_sub(EARLY));
    }
    stand.running().wait_end()?;
    let sent = stand.adverts(mark).len();
    Ok(Verdict::of(sent == 0, format!("{sent} adverts at its stop")))
}
