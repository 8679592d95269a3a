//! The result as a table for the terminal, Markdown for docs/bench/ and JSON for scripts.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::measure::{Measure, Round, Spread};
use super::proxies::{self, Variant};

/// What bowline's new connections per second must reach, times HAProxy's.
const CONNECTIONS_LEAST: f64 = 1.0;

/// A figure this near to its bound counts as met if three runs agree.
const NEAR: f64 = 0.03;

pub(super) struct Report {
    lines: Vec<Line>,
    conditions: Vec<String>,
    rounds: usize,
    seconds: f64,
    smoke: bool,
}

/// One measure of one variant.
struct Line {
    measure: Measure,
    variant: Variant,
    value: Option<Spread>,
    to_direct: Option<Spread>,
    to_haproxy: Option<Spread>,
    failed: u64,
}

impl Report {
    pub(super) fn new(rounds: &[Round], conditions: Vec<String>, seconds: f64, smoke: bool) -> Report {
        let mut lines = Vec::new();
        for measure in Measure::ALL {
            for variant in rounds.first().into_iter().flat_map(Round::variants) {
                let ratio =
                    |to| Spread::of(rounds.iter().filter_map(|round| round.ratio(measure, variant, to)));
                lines.push(Line {
                    measure,
                    variant,
                    value: Spread::of(rounds.iter().filter_map(|round| round.value(measure, variant))),
                    to_direct: ratio(Variant::Direct),
                    to_haproxy: ratio(Variant::HaProxy),
                    failed: rounds.iter().map(|round| round.failed(variant)).sum(),
                });
            }
        }
        Report { lines, conditions, rounds: rounds.len(), seconds, smoke }
    }

    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        for measure in Measure::ALL {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", measure.title());
            let _ = writeln!(
                text,
                "  {:<14}{:>10}  {:>17}{:>10}{:>11}  {:>13}",
                "", "median", "spread", "x direct", "x HAProxy", "spread"
            );
            for line in self.of(measure) {
                let _ = writeln!(
                    text,
                    "  {:<14}{:>10}  {:>17}{:>10}{:>11}  {:>13}",
                    line.variant.name(),
                    median(line.value, measure.digits()),
                    spread(line.value, measure.digits()),
                    median(line.to_direct, 2),
                    median(line.to_haproxy, 2),
                    spread(line.to_haproxy, 2),
                );
            }
            text.push('\n');
        }
        text
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = String::from(
            "# New connections\n\nWritten by `cargo xtask bench`; medians of the rounds, ratios taken inside a round.\n\n",
        );
        let _ = writeln!(text, "* {} rounds of {} s, variants interleaved", self.rounds, self.seconds);
        let _ = writeln!(text, "* {}", proxies::haproxy_version());
        for condition in &self.conditions {
            let _ = writeln!(text, "* {condition}");
        }
        for measure in Measure::ALL {
            let _ = writeln!(text, "\n## {}\n", measure.title());
            text.push_str(
                "| way | median | spread | x direct | x HAProxy | spread |\n|---|---|---|---|---|---|\n",
            );
            for line in self.of(measure) {
                let _ = writeln!(
                    text,
                    "| {} | {} | {} | {} | {} | {} |",
                    line.variant.name(),
                    median(line.value, measure.digits()),
                    spread(line.value, measure.digits()),
                    median(line.to_direct, 2),
                    median(line.to_haproxy, 2),
                    spread(line.to_haproxy, 2),
                );
            }
        }
        text
    }

    pub(super) fn json(&self) -> Value {
        let numbers = |spread: Option<Spread>| {
            spread.map(|spread| json!({"median": spread.median, "least": spread.least, "most": spread.most}))
        };
        let results: Vec<Value> = self
            .lines
            .iter()
            .map(|line| {
                json!({
                    "measure": line.measure.key(),
                    "way": line.variant.name(),
                    "value": numbers(line.value),
                    "toDirect": numbers(line.to_direct),
                    "toHaproxy": numbers(line.to_haproxy),
                    "failed": line.failed,
                })
            })
            .collect();
        json!({
            "schema": "bowline.dev/bench/v1",
            "smoke": self.smoke,
            "rounds": self.rounds,
            "secondsPerRound": self.seconds,
            "conditions": self.conditions,
            "results": results,
        })
    }

    /// Every number is there.
    pub(super) fn complete(&self) -> Result<()> {
        let bowline: Vec<&Line> = self.lines.iter().filter(|line| line.variant == Variant::Bowline).collect();
        if bowline.len() != Measure::ALL.len() || bowline.iter().any(|line| line.value.is_none()) {
            bail!("a measure of bowline has no number");
        }
        Ok(())
    }

    /// Holds the numbers against the bounds.
    pub(super) fn judge(&self) -> Result<()> {
        self.complete()?;
        for line in &self.lines {
            if line.failed > 0 {
                bail!(
                    "{}: {} connections failed: its numbers are worth nothing",
                    line.variant.name(),
                    line.failed
                );
            }
        }
        let found = self.of(Measure::NewConnections).find(|line| line.variant == Variant::Bowline);
        let Some(ratio) = found.and_then(|line| line.to_haproxy) else {
            println!("SKIPPED: comparing with HAProxy: it is not installed");
            return Ok(());
        };
        let text = format!("new connections: {:.3} x HAProxy, bound {CONNECTIONS_LEAST}", ratio.median);
        if ratio.median < CONNECTIONS_LEAST * (1.0 - NEAR) {
            bail!("missed: {text}");
        }
        let near = ratio.median < CONNECTIONS_LEAST;
        println!("{}: {text}", if near { "near (met if three runs agree)" } else { "met" });
        Ok(())
    }

    fn of(&self, measure: Measure) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.measure == measure)
    }
}

fn median(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or("-".to_owned(), |spread| format!("{:.digits$}", spread.median))
}

fn spread(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or("-".to_owned(), |spread| format!("{:.digits$}..{:.digits$}", spread.least, spread.most))
}

#[cfg(test)]
mod tests;
