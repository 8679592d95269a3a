//! What is measured, from samples of a round to medians with their spread.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::proxies::Variant;

/// What the load saw of one variant in one round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Connections that had their byte back.
    pub(super) connections: u64,
    pub(super) failed: u64,
    pub(super) took: Duration,
    /// CPU time of all threads of the proxy meanwhile.
    pub(super) proxy_cpu: Duration,
}

/// One number that a sample gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Measure {
    /// Connect, one byte there and back, close: per second. More is better.
    NewConnections,
    /// CPU seconds of the proxy per 10,000 of these. Less is better.
    ProxyCpu,
}

impl Measure {
    pub(super) const ALL: [Measure; 2] = [Measure::NewConnections, Measure::ProxyCpu];

    pub(super) fn title(self) -> &'static str {
        match self {
            Measure::NewConnections => "plain new connections/s (connect, 1 byte there and back, close)",
            Measure::ProxyCpu => "proxy CPU seconds per 10,000 new connections",
        }
    }

    /// In JSON.
    pub(super) fn key(self) -> &'static str {
        match self {
            Measure::NewConnections => "newConnectionsPerSecond",
            Measure::ProxyCpu => "proxyCpuSecondsPer10kConnections",
        }
    }

    /// Digits after the point.
    pub(super) fn digits(self) -> usize {
        match self {
            Measure::NewConnections => 0,
            Measure::ProxyCpu => 3,
        }
    }

    /// The sample's value; none where the measure says nothing about the variant.
    pub(super) fn value(self, variant: Variant, sample: &Sample) -> Option<f64> {
        let connections = sample.connections as f64;
        match self {
            Measure::NewConnections => Some(connections / sample.took.as_secs_f64()),
            Measure::ProxyCpu if variant == Variant::Direct => None,
            Measure::ProxyCpu => Some(sample.proxy_cpu.as_secs_f64() / connections * 10_000.0),
        }
    }
}

/// All variants, one after the other.
#[derive(Debug, Default)]
pub(super) struct Round(BTreeMap<Variant, Sample>);

impl Round {
    pub(super) fn insert(&mut self, variant: Variant, sample: Sample) {
        self.0.insert(variant, sample);
    }

    pub(super) fn variants(&self) -> impl Iterator<Item = Variant> {
        self.0.keys().copied()
    }

    pub(super) fn value(&self, measure: Measure, variant: Variant) -> Option<f64> {
        measure.value(variant, self.0.get(&variant)?)
    }

    pub(super) fn failed(&self, variant: Variant) -> u64 {
        self.0.get(&variant).map_or(0, |sample| sample.failed)
    }

    /// `variant` divided by `to`, both of this round: what disturbed the machine disturbed both.
    pub(super) fn ratio(&self, measure: Measure, variant: Variant, to: Variant) -> Option<f64> {
        Some(self.value(measure, variant)? / self.value(measure, to)?)
    }
}

impl fmt::Display for Round {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for variant in self.variants() {
            let value = self.value(Measure::NewConnections, variant).unwrap_or_default();
            write!(to, "{separator}{} {value:.0}/s", variant.name())?;
            separator = ", ";
        }
        Ok(())
    }
}

/// The middle of some values and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// None without a value.
    pub(super) fn of(values: impl Iterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (low, high) = (values.get((values.len() - 1) / 2)?, values.get(values.len() / 2)?);
        Some(Spread { median: f64::midpoint(*low, *high), least, most })
    }
}

#[cfg(test)]
mod tests;
