//! A scenario's result as a table for the terminal, Markdown with a chart for docs/bench/ and JSON for scripts.

mod chart;

use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::bounds::{BOUNDS, Judged, Verdict};
use super::measure::{Better, Measure, Round, Spread};
use super::proxies::Variant;
use super::scenario::Scenario;

/// Under which conditions all scenarios of a run came about.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    /// Machine, namespace, versions: a line each.
    pub(super) lines: Vec<String>,
    pub(super) seconds: f64,
    pub(super) smoke: bool,
}

pub(super) struct Report {
    scenario: Scenario,
    lines: Vec<Line>,
    judged: Vec<Judged>,
    rounds: usize,
    conditions: Conditions,
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
    pub(super) fn new(scenario: Scenario, rounds: &[Round], conditions: Conditions) -> Report {
        let mut lines = Vec::new();
        for measure in scenario.measures().iter().copied() {
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
        let bounds = BOUNDS.iter().filter(|bound| scenario.measures().contains(&bound.measure));
        let judged = bounds.map(|bound| bound.judge(rounds)).collect();
        Report { scenario, lines, judged, rounds: rounds.len(), conditions }
    }

    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        for measure in self.scenario.measures().iter().copied() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", measure.title());
            let _ = writeln!(
                text,
                "  {:<24}{:>10}  {:>17}{:>10}{:>11}  {:>13}",
                "", "median", "spread", "x direct", "x HAProxy", "spread"
            );
            for line in self.of(measure) {
                let [median, spread, direct, haproxy, haproxy_spread] = line.cells();
                let _ = writeln!(
                    text,
                    "  {:<24}{median:>10}  {spread:>17}{direct:>10}{haproxy:>11}  {haproxy_spread:>13}",
                    line.variant.name(),
                );
            }
            text.push('\n');
        }
        text
    }

    pub(super) fn markdown(&self) -> String {
        let name = self.scenario.name();
        let mut text = format!(
            "# {}\n\n{} Written by `cargo xtask bench`; medians of the rounds, ratios taken inside a round.\n\n\
             ![{}]({name}.svg)\n",
            self.scenario.title(),
            self.scenario.what(),
            self.scenario.title(),
        );
        for measure in self.scenario.measures().iter().copied() {
            let better = match measure.better() {
                Better::More => "more",
                Better::Less => "less",
            };
            let _ = writeln!(text, "\n## {}\n\n{better} is better\n", measure.title());
            text.push_str(
                "| way | median | spread | x direct | x HAProxy | spread |\n|---|---|---|---|---|---|\n",
            );
            for line in self.of(measure) {
                let _ = writeln!(text, "| {} | {} |", line.variant.name(), line.cells().join(" | "));
            }
        }
        if !self.judged.is_empty() {
            text.push_str("\n## Bounds\n\n");
        }
        for judged in &self.judged {
            let _ = writeln!(text, "* {judged}");
        }
        text.push_str("\n## Conditions\n\n");
        let _ = writeln!(
            text,
            "* {} rounds, variants interleaved, each under load for {} s of a round",
            self.rounds, self.conditions.seconds
        );
        for condition in &self.conditions.lines {
            let _ = writeln!(text, "* {condition}");
        }
        text
    }

    /// Bars of the medians.
    pub(super) fn svg(&self) -> String {
        let panels = self.scenario.measures().iter().copied().map(|measure| {
            let bars = self.of(measure).filter_map(|line| {
                let value = line.value?;
                Some(chart::Bar {
                    name: line.variant.name(),
                    value: value.median,
                    text: format!("{:.*}", measure.digits(), value.median),
                    ours: line.variant == Variant::Bowline,
                })
            });
            chart::Panel { title: measure.title(), bars: bars.collect() }
        });
        chart::svg(&panels.collect::<Vec<_>>())
    }

    pub(super) fn json(&self) -> Value {
        let numbers = |spread: Option<Spread>| {
            spread.map(|spread| json!({"median": spread.median, "least": spread.least, "most": spread.most}))
        };
        let results = self.lines.iter().map(|line| {
            json!({
                "measure": line.measure.key(),
                "way": line.variant.name(),
                "value": numbers(line.value),
                "toDirect": numbers(line.to_direct),
                "toHaproxy": numbers(line.to_haproxy),
                "failed": line.failed,
            })
        });
        let bounds = self.judged.iter().map(|judged| {
            json!({
                "measure": judged.bound.measure.key(),
                "found": numbers(judged.found),
                "verdict": judged.verdict.word(),
                "text": judged.to_string(),
            })
        });
        json!({
            "schema": "bowline.dev/bench/v1",
            "scenario": self.scenario.name(),
            "smoke": self.conditions.smoke,
            "rounds": self.rounds,
            "secondsPerRound": self.conditions.seconds,
            "conditions": self.conditions.lines,
            "results": results.collect::<Vec<_>>(),
            "bounds": bounds.collect::<Vec<_>>(),
        })
    }

    /// Every number of bowline is there, and comes from connections that all did what they were for.
    pub(super) fn complete(&self) -> Result<()> {
        for measure in self.scenario.measures().iter().copied() {
            let found = self.of(measure).find(|line| line.variant == Variant::Bowline);
            if found.and_then(|line| line.value).is_none() {
                bail!("{}: bowline has no number", measure.title());
            }
        }
        if let Some(line) = self.lines.iter().find(|line| line.failed > 0) {
            let (scenario, way) = (self.scenario.name(), line.variant.name());
            bail!(
                "{scenario}: {} connections failed through {way}: its numbers are worth nothing",
                line.failed
            );
        }
        Ok(())
    }

    /// The promises that this scenario is about.
    pub(super) fn judged(&self) -> &[Judged] {
        &self.judged
    }

    fn of(&self, measure: Measure) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.measure == measure)
    }
}

/// How many promises were not kept.
pub(super) fn missed(reports: &[Report]) -> usize {
    let judged = reports.iter().flat_map(Report::judged);
    judged.filter(|judged| judged.verdict == Verdict::Missed).count()
}

impl Line {
    /// Value, its spread, ratio to direct, ratio to HAProxy, its spread.
    fn cells(&self) -> [String; 5] {
        let digits = self.measure.digits();
        [
            median(self.value, digits),
            spread(self.value, digits),
            median(self.to_direct, 2),
            median(self.to_haproxy, 2),
            spread(self.to_haproxy, 2),
        ]
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
