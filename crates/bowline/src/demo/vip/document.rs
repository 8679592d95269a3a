//! What the demonstration of a virtual IP found, for programs and for people.

use std::time::Duration;

use bowline_lab::failover::{Measured, Spread};
use schemars::JsonSchema;
use serde::Serialize;

use super::millis;
use crate::demo::human;
use crate::output::table;

/// A demonstration of a virtual IP: `bowline demo --vip --output json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VipDemo {
    /// `bowline.dev/demo-vip/v1`.
    pub schema: &'static str,
    /// The version that was demonstrated.
    pub version: &'static str,
    /// How often each fault was shown.
    pub runs: usize,
    /// Between two adverts of bowline, in milliseconds.
    pub interval_ms: u64,
    /// How long the whole took, in milliseconds.
    pub elapsed_ms: u64,
    /// One for each fault and system, in the order in which they were shown.
    pub faults: Vec<VipObservation>,
}

/// What clients on the segment saw of one fault, over all runs. Each sent a request on a new connection every 10 ms, and held
/// long connections; durations are in milliseconds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VipObservation {
    /// `link-cut`, `stop`, `kill`, `freeze`, `one-way`, `heal`, `return`, `unreachable`, `wedged` or `starved`.
    pub fault: String,
    /// Which balancer.
    pub system: String,
    /// Runs that count.
    pub runs: usize,
    /// Runs left out because the machine stood still meanwhile.
    pub disturbed: usize,
    /// From the first request that failed or took over 100 ms to the first of 25 in a row that did not.
    pub outage_ms: Extremes,
    /// The longest time without any success.
    pub hard_outage_ms: Extremes,
    /// Requests that failed.
    pub failed: Extremes,
    /// Long connections that went on, over all runs.
    pub kept: u32,
    /// Those that were reset or closed.
    pub broken: u32,
    /// Those that were neither served nor ended.
    pub hung: u32,
    /// Of those that were dialled again: hanging, or not connected.
    pub redialled_hung: u32,
    /// The last moment at which two kernels had the address, if there was one.
    pub two_addresses_ms: Option<u64>,
    /// The last moment at which two hosts answered for it, if there was one.
    pub two_answers_ms: Option<u64>,
    /// The last packet of the former holder from the address, if there was one.
    pub former_packet_ms: Option<u64>,
    /// Runs at whose end not exactly one host had the address.
    pub not_one_in_the_end: usize,
}

/// Over the runs that count.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct Extremes {
    /// The median.
    pub median: u64,
    /// The least.
    pub best: u64,
    /// The most.
    pub worst: u64,
}

impl From<Spread> for Extremes {
    fn from(Spread { median, best, worst }: Spread) -> Self {
        Self { median, best, worst }
    }
}

impl VipObservation {
    pub(super) fn new(measured: &Measured) -> Self {
        Self {
            fault: measured.fault.to_owned(),
            system: measured.system.clone(),
            runs: measured.runs,
            disturbed: measured.disturbed,
            outage_ms: measured.outage_ms.into(),
            hard_outage_ms: measured.hard_outage_ms.into(),
            failed: measured.failed.into(),
            kept: measured.kept,
            broken: measured.broken,
            hung: measured.hung,
            redialled_hung: measured.redialled_hung,
            two_addresses_ms: measured.two_addresses_ms,
            two_answers_ms: measured.two_answers_ms,
            former_packet_ms: measured.former_packet_ms,
            not_one_in_the_end: measured.not_one_in_the_end,
        }
    }

    /// In a line.
    pub(super) fn summary(&self) -> String {
        format!(
            "outage {}, {} failed, {} of {} long connections hung",
            self.outage(),
            self.failed.median,
            self.hung,
            self.hung + self.kept + self.broken
        )
    }

    fn outage(&self) -> String {
        let Extremes { median, best, worst } = self.outage_ms;
        match self.runs {
            0 => "unknown: the machine stood still".to_owned(),
            1 => millis(median),
            _ => format!("{} ({}..{})", millis(median), millis(best), millis(worst)),
        }
    }

    /// Until when there were two holders, as their kernels and those who asked for the address had it.
    fn two_holders(&self) -> String {
        let last = self.two_addresses_ms.max(self.two_answers_ms);
        match (last, self.not_one_in_the_end) {
            (None, 0) => "no".to_owned(),
            (Some(last), 0) => format!("until {}", millis(last)),
            (_, runs) => format!("in the end, {runs} of {}", self.runs),
        }
    }
}

impl VipDemo {
    pub(super) fn new(runs: usize, interval_ms: u64, elapsed: Duration, faults: Vec<VipObservation>) -> Self {
        Self {
            schema: "bowline.dev/demo-vip/v1",
            version: env!("CARGO_PKG_VERSION"),
            runs,
            interval_ms,
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            faults,
        }
    }

    /// As a table.
    pub(in crate::demo) fn text(&self) -> String {
        let rows = self.faults.iter().map(|one| {
            [
                one.fault.clone(),
                one.system.clone(),
                one.outage(),
                one.failed.median.to_string(),
                one.kept.to_string(),
                one.broken.to_string(),
                one.hung.to_string(),
                one.two_holders(),
            ]
        });
        let head =
            ["FAULT OF THE HOLDER", "SYSTEM", "OUTAGE", "FAILED", "KEPT", "BROKEN", "HUNG", "TWO HOLDERS"];
        format!(
            "{}\nOne new TLS connection and request every 10 ms through the virtual IP, 20 long connections, adverts every \
             {}; {} of each fault, in {}. OUTAGE: from the first request that failed or took over 100ms to the first of 25 \
             in a row that did not. KEPT, BROKEN, HUNG: long connections of all runs together.\n",
            table(head, rows),
            millis(self.interval_ms),
            if self.runs == 1 { "one run".to_owned() } else { format!("{} runs", self.runs) },
            human(Duration::from_millis(self.elapsed_ms)),
        )
    }
}
