//! What is measured, from samples of a round to medians with their spread.

use std::collections::BTreeMap;

use super::proxies::Variant;

/// What the load saw of one variant in one round.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) values: BTreeMap<Measure, f64>,
    /// Connections that did not do what they were for: with any, the values are worth nothing.
    pub(super) failed: u64,
}

/// One number that a sample gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Measure {
    Connections,
    ConnectionCpu,
    TlsConnections,
    TlsConnectionCpu,
    AnswerP50,
    AnswerP99,
    Requests,
    Bulk,
    BulkCpu,
    BulkMany,
    BulkManyCpu,
    Memory,
}

/// How a measure is called and shown.
struct Facts {
    title: &'static str,
    key: &'static str,
    digits: usize,
    better: Better,
}

/// Which way is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    More,
    Less,
}

impl Measure {
    pub(super) fn title(self) -> &'static str {
        self.facts().title
    }

    /// In JSON.
    pub(super) fn key(self) -> &'static str {
        self.facts().key
    }

    /// Digits after the point.
    pub(super) fn digits(self) -> usize {
        self.facts().digits
    }

    pub(super) fn better(self) -> Better {
        self.facts().better
    }

    /// Says something about the proxy alone, so that the direct way has none.
    pub(super) fn is_proxy_cpu(self) -> bool {
        match self {
            Measure::ConnectionCpu | Measure::TlsConnectionCpu | Measure::BulkCpu | Measure::BulkManyCpu => {
                true
            }
            Measure::Connections
            | Measure::TlsConnections
            | Measure::AnswerP50
            | Measure::AnswerP99
            | Measure::Requests
            | Measure::Bulk
            | Measure::BulkMany
            | Measure::Memory => false,
        }
    }

    fn facts(self) -> Facts {
        use Better::{Less, More};
        let facts = |title, key, digits, better| Facts { title, key, digits, better };
        match self {
            Measure::Connections => facts("plain new connections/s", "newConnectionsPerSecond", 0, More),
            Measure::ConnectionCpu => facts(
                "proxy CPU seconds per 10,000 new connections",
                "proxyCpuSecondsPer10kConnections",
                3,
                Less,
            ),
            Measure::TlsConnections => facts("new TLS connections/s", "newTlsConnectionsPerSecond", 0, More),
            Measure::TlsConnectionCpu => facts(
                "proxy CPU seconds per 10,000 new TLS connections",
                "proxyCpuSecondsPer10kTlsConnections",
                3,
                Less,
            ),
            Measure::AnswerP50 => facts("microseconds to an answer, median", "answerMicrosP50", 1, Less),
            Measure::AnswerP99 => {
                facts("microseconds to an answer, 99th percentile", "answerMicrosP99", 1, Less)
            }
            Measure::Requests => facts("requests/s", "requestsPerSecond", 0, More),
            Measure::Bulk => facts("GB/s, one connection", "bulkGigabytesPerSecond", 2, More),
            Measure::BulkCpu => {
                facts("proxy CPU seconds per GB, one connection", "bulkProxyCpuSecondsPerGigabyte", 3, Less)
            }
            Measure::BulkMany => facts("GB/s, 16 connections", "bulk16GigabytesPerSecond", 2, More),
            Measure::BulkManyCpu => {
                facts("proxy CPU seconds per GB, 16 connections", "bulk16ProxyCpuSecondsPerGigabyte", 3, Less)
            }
            Measure::Memory => {
                facts("MB per 10,000 idle connections", "megabytesPer10kIdleConnections", 2, Less)
            }
        }
    }
}

/// All variants of one scenario, one after the other.
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
        self.0.get(&variant)?.values.get(&measure).copied()
    }

    pub(super) fn failed(&self, variant: Variant) -> u64 {
        self.0.get(&variant).map_or(0, |sample| sample.failed)
    }

    /// `variant` divided by `to`, both of this round: what disturbed the machine disturbed both.
    pub(super) fn ratio(&self, measure: Measure, variant: Variant, to: Variant) -> Option<f64> {
        Some(self.value(measure, variant)? / self.value(measure, to)?).filter(|ratio| ratio.is_finite())
    }

    /// A line for whoever watches.
    pub(super) fn shown(&self, measure: Measure) -> String {
        let digits = measure.digits();
        let values = self.variants().filter_map(|variant| {
            let value = self.value(measure, variant)?;
            Some(format!("{} {value:.digits$}", variant.name()))
        });
        values.collect::<Vec<_>>().join(", ")
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
