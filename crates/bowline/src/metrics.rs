//! What is counted and measured: one table, from which the exposition and docs/metrics.md are both made.
//!
//! Counters follow from events alone; gauges, and what the workers count themselves, are read from a [`View`] at every scrape.

mod count;
mod measure;
mod table;
#[cfg(test)]
mod tests;

pub use table::{ALL, Definition, Kind, markdown};

use crate::events::Event;
use crate::view::View;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Values of a metric's labels, in the order of its definition.
type Labels = Vec<String>;

/// The most label sets a counter keeps; beyond it they are counted under empty labels. Endpoints that come and go over years
/// would otherwise fill memory.
const LABEL_SETS_MAX: usize = 10_000;

/// Every counter.
#[derive(Debug)]
pub struct Metrics {
    counters: Mutex<BTreeMap<&'static str, BTreeMap<Labels, u64>>>,
}

impl Default for Metrics {
    /// Nothing counted; counters whose labels are known are there from the start, so that their first increase is seen.
    fn default() -> Self {
        let results = || ["applied", "refused"].map(|result| (vec![result.to_owned()], 0));
        let known = [table::RELOADS, table::CREDENTIALS];
        let counters = known.into_iter().map(|definition| (definition.name, BTreeMap::from(results())));
        Self { counters: Mutex::new(counters.collect()) }
    }
}

/// What one scrape shows.
#[derive(Debug, Default)]
struct Samples(BTreeMap<&'static str, Vec<(Labels, Value)>>);

#[derive(Clone, Copy, Debug)]
enum Value {
    Whole(u64),
    Real(f64),
}

impl Metrics {
    /// Counts `event`.
    pub fn count(&self, event: &Event) {
        count::count(event, &mut |definition, labels| self.increment(definition, labels));
    }

    fn increment(&self, definition: &'static Definition, labels: Labels) {
        debug_assert_eq!(labels.len(), definition.labels.len(), "labels of {}", definition.name);
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let family = counters.entry(definition.name).or_default();
        let labels = if family.len() < LABEL_SETS_MAX || family.contains_key(&labels) {
            labels
        } else {
            vec![String::new(); definition.labels.len()]
        };
        let counter = family.entry(labels).or_default();
        *counter = counter.saturating_add(1);
    }

    /// The exposition in OpenMetrics text.
    pub fn encode(&self, view: &View) -> String {
        let mut samples = Samples::default();
        {
            let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, family) in counters.iter() {
                let values = family.iter().map(|(labels, count)| (labels.clone(), Value::Whole(*count)));
                samples.0.entry(name).or_default().extend(values);
            }
        }
        measure::measure(view, &mut |definition, labels, value| {
            debug_assert_eq!(labels.len(), definition.labels.len(), "labels of {}", definition.name);
            samples.0.entry(definition.name).or_default().push((labels, value));
        });
        let mut registry = Registry::with_prefix(table::PREFIX);
        registry.register_collector(Box::new(samples));
        let mut exposition = String::new();
        // Writing into a string cannot fail.
        let _written: fmt::Result = text::encode(&mut exposition, &registry);
        exposition
    }
}

impl Collector for Samples {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for definition in ALL {
            let Some(values) = self.0.get(definition.name) else { continue };
            let mut metric = encoder.encode_descriptor(
                definition.name,
                definition.help,
                None,
                definition.kind.metric_type(),
            )?;
            if let ([], [(_, value)]) = (definition.labels, values.as_slice()) {
                encode_value(definition.kind, *value, metric)?;
                continue;
            }
            for (labels, value) in values {
                let labels: Vec<(&str, &str)> =
                    definition.labels.iter().copied().zip(labels.iter().map(String::as_str)).collect();
                encode_value(definition.kind, *value, metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn encode_value(kind: Kind, value: Value, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    match (kind, value) {
        (Kind::Counter, Value::Whole(value)) => ConstCounter::new(value).encode(encoder),
        (Kind::Counter, Value::Real(value)) => ConstCounter::new(value).encode(encoder),
        (Kind::Gauge, Value::Whole(value)) => {
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder)
        }
        (Kind::Gauge, Value::Real(value)) => ConstGauge::new(value).encode(encoder),
    }
}
