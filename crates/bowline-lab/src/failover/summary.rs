//! Many observations of one fault in a few figures.

use std::time::Duration;

use serde::Serialize;

use super::{Fault, Observation};

/// Median and extremes, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    pub median: u64,
    pub best: u64,
    pub worst: u64,
}

impl Spread {
    fn of(values: impl Iterator<Item = u64>) -> Self {
        let mut values: Vec<u64> = values.collect();
        values.sort_unstable();
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        Self { median: at(values.len() / 2), best: at(0), worst: at(values.len().saturating_sub(1)) }
    }
}

/// What a fault does with a system; fates are sums over all observations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    pub system: String,
    pub fault: &'static str,
    pub runs: usize,
    /// Runs left out because the machine stalled.
    pub disturbed: usize,
    pub outage_ms: Spread,
    pub hard_outage_ms: Spread,
    pub failed: Spread,
    /// Long connections that were neither served nor ended.
    pub hung: u32,
    /// Of those that were dialled again: hanging, or not connected.
    pub redialled_hung: u32,
    pub broken: u32,
    pub kept: u32,
    /// When another host announced itself as the holder, over runs in which one did.
    pub announced_ms: Option<Spread>,
    /// The last moment at which two kernels had the address, over runs in which that was so.
    pub two_addresses_ms: Option<u64>,
    /// ... two hosts answered for it.
    pub two_answers_ms: Option<u64>,
    /// The last packet of the former holder from the address.
    pub former_packet_ms: Option<u64>,
    /// Runs at whose end not exactly one host had the address.
    pub not_one_in_the_end: usize,
    /// Of the machine, in the runs that count.
    pub worst_stall_ms: u64,
}

/// Sums up; runs in which the machine stalled for longer than `stall_max` are left out, and counted.
pub fn summary(system: String, fault: Fault, observations: &[Observation], stall_max: Duration) -> Measured {
    let sound: Vec<&Observation> = observations.iter().filter(|one| one.disturbance() <= stall_max).collect();
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let spread = |figure: &dyn Fn(&Observation) -> u64| Spread::of(sound.iter().map(|one| figure(one)));
    let total = |figure: &dyn Fn(&Observation) -> u32| sound.iter().map(|one| figure(one)).sum();
    Measured {
        system,
        fault: fault.name(),
        runs: sound.len(),
        disturbed: observations.len() - sound.len(),
        outage_ms: spread(&|one| millis(one.report.figures.outage)),
        hard_outage_ms: spread(&|one| millis(one.report.figures.hard_outage)),
        failed: spread(&|one| u64::from(one.report.figures.failed)),
        hung: total(&|one| one.report.talking.hung + one.report.silent.hung),
        redialled_hung: total(&|one| one.report.talking.redialled_hung + one.report.silent.redialled_hung),
        broken: total(&|one| one.report.talking.broken + one.report.silent.broken),
        kept: total(&|one| one.report.talking.kept + one.report.silent.kept),
        announced_ms: announced(fault, &sound),
        two_addresses_ms: sound.iter().filter_map(|one| one.holders.last_two_addresses_ms).max(),
        two_answers_ms: sound.iter().filter_map(|one| one.holders.last_two_answers_ms).max(),
        former_packet_ms: sound.iter().filter_map(|one| one.holders.last_packet_of_former_ms).max(),
        not_one_in_the_end: sound.iter().filter(|one| one.holders.in_the_end.len() != 1).count(),
        worst_stall_ms: sound.iter().map(|one| millis(one.disturbance())).max().unwrap_or_default(),
    }
}

/// None of a fault after which nobody takes over: a holder announces itself again now and then.
fn announced(fault: Fault, sound: &[&Observation]) -> Option<Spread> {
    if matches!(fault, Fault::Heal | Fault::Return) {
        return None;
    }
    let moments = || sound.iter().filter_map(|one| one.holders.announced_ms);
    moments().next()?;
    Some(Spread::of(moments()))
}

#[cfg(test)]
mod tests;
