//! `cargo xtask bench`: the figures beside the incumbents, in one run.
//!
//! Method: client, proxy and backend share one CPU, so that the rate is the inverse of what a connection costs in all, which
//! is what a node pays; one worker each; all in a network namespace of their own with cubic on both sides; rounds of
//! the variants interleaved, their order reversed every second round; ratios are taken inside a round, and the median
//! of the rounds counts. CPU comes from the scheduler's own account of each thread.

mod bounds;
mod measure;
mod namespace;
mod proxies;
mod report;
mod scenario;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;
use crate::workspace::Workspace;
use measure::Round;
use proxies::{Bench, Variant};
use report::{Conditions, Report};
use scenario::Scenario;

/// Rounds and their length of a run that counts, and of a run that only shows that every number is produced.
const ROUNDS: u32 = 7;
const SECONDS: f64 = 1.0;
const SMOKE_ROUNDS: u32 = 2;
const SMOKE_SECONDS: f64 = 0.1;

/// How this program calls itself inside the namespace.
const INSIDE: &str = "--inside";

/// What was asked for on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    smoke: bool,
    inside: bool,
    rounds: u32,
    seconds: f64,
    /// What is measured; all when none is named.
    scenarios: Vec<Scenario>,
}

impl Options {
    pub(crate) fn smoke() -> Options {
        let scenarios = Vec::new();
        Options { smoke: true, inside: false, rounds: SMOKE_ROUNDS, seconds: SMOKE_SECONDS, scenarios }
    }

    pub(crate) fn parse(words: &[&str]) -> Result<Options, String> {
        let smoke = words.contains(&"--smoke");
        let mut options = if smoke {
            Options::smoke()
        } else {
            Options { smoke, inside: false, rounds: ROUNDS, seconds: SECONDS, scenarios: Vec::new() }
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--smoke" => {}
                INSIDE => options.inside = true,
                "--rounds" => {
                    let number =
                        words.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                    options.rounds = number.ok_or("--rounds needs a number above 0")?;
                }
                "--seconds" => {
                    let number =
                        words.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0.0);
                    options.seconds = number.ok_or("--seconds needs a number above 0")?;
                }
                "--measure" => {
                    let name = words.next().copied().unwrap_or_default();
                    let names = Scenario::ALL.map(Scenario::name).join(", ");
                    let scenario = Scenario::named(name)
                        .ok_or_else(|| format!("--measure {name}: give one of {names}"))?;
                    options.scenarios.push(scenario);
                }
                other => return Err(format!("bench: unknown option {other}")),
            }
        }
        Ok(options)
    }

    /// The profile that the measured programs are built with: a smoke run uses what the tests have built already.
    fn profile(&self) -> &'static str {
        if self.smoke { "debug" } else { "release" }
    }

    /// Shows only that every number is produced.
    fn is_smoke(&self) -> bool {
        self.smoke
    }

    /// What was picked, each once, in the order of the pages.
    fn picked(&self) -> Vec<Scenario> {
        let all = Scenario::ALL.into_iter();
        all.filter(|scenario| self.scenarios.is_empty() || self.scenarios.contains(scenario)).collect()
    }

    fn words(&self) -> Vec<String> {
        let mut words = vec!["bench".to_owned(), INSIDE.to_owned()];
        words.extend(self.smoke.then(|| "--smoke".to_owned()));
        words.extend([
            "--rounds".to_owned(),
            self.rounds.to_string(),
            "--seconds".to_owned(),
            self.seconds.to_string(),
        ]);
        for scenario in &self.scenarios {
            words.extend(["--measure".to_owned(), scenario.name().to_owned()]);
        }
        words
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    run_in(&Workspace::load()?, options)
}

pub(crate) fn run_in(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.inside {
        return measure_all(workspace, options);
    }
    build(workspace, options)?;
    let own = own_program()?;
    let mut command = namespace::enter(&own);
    command::run(command.args(options.words()).current_dir(&workspace.root))
}

/// Where this program lies: `cargo build --workspace` may have put a new one in the place of the one that is running.
fn own_program() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find this program")?;
    Ok(match own.to_str().and_then(|path| path.strip_suffix(" (deleted)")) {
        Some(replaced) => PathBuf::from(replaced),
        None => own,
    })
}

fn build(workspace: &Workspace, options: &Options) -> Result<()> {
    for what in
        [["--package", "bowline", "--bin", "bowline"], ["--package", "bowline-lab", "--example", "load"]]
    {
        let mut cargo = command::cargo(&workspace.root);
        cargo.args(["build", "--quiet"]).args(what);
        if !options.smoke {
            cargo.arg("--release");
        }
        command::run(&mut cargo)?;
    }
    Ok(())
}

/// What was measured, by its commit.
fn measured_commit(root: &Path) -> String {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        command::output(git.arg("-C").arg(root).args(arguments)).map(|text| text.trim().to_owned())
    };
    let Ok(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "commit: unknown (no repository)".to_owned();
    };
    let code = ["status", "--porcelain", "--untracked-files=no", "--", "crates", "xtask", "Cargo.lock"];
    let changed = git(&code).is_ok_and(|text| !text.is_empty());
    format!("commit: {commit}{}", if changed { ", with changes" } else { "" })
}

/// Runs inside the namespace, on one CPU.
fn measure_all(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut conditions = namespace::prepare()?;
    for line in &conditions {
        println!("  {line}");
    }
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let scenarios = options.picked();
    let mut variants = Variant::ALL.to_vec();
    variants.retain(|variant| scenarios.iter().any(|scenario| scenario.variants().contains(variant)));
    let bench = Bench::start(
        &folder,
        workspace.built(options.profile(), "bowline"),
        workspace.built(options.profile(), "examples/load"),
        &variants,
    )?;
    let mut rounds: Vec<Vec<Round>> = scenarios.iter().map(|_| Vec::new()).collect();
    for number in 0..options.rounds {
        for (scenario, rounds) in scenarios.iter().zip(&mut rounds) {
            let round = one_round(&bench, *scenario, number, options)?;
            let main = scenario.measures().first().map(|measure| round.shown(*measure)).unwrap_or_default();
            println!("  round {} of {}: {}: {main}", number + 1, options.rounds, scenario.name());
            rounds.push(round);
        }
    }
    conditions.extend(bench.versions.iter().cloned());
    drop(bench);
    conditions.push(namespace::load_average("at the end"));
    conditions.push(measured_commit(&workspace.root));
    let conditions = Conditions { lines: conditions, seconds: options.seconds, smoke: options.smoke };
    let reports: Vec<Report> = scenarios
        .iter()
        .zip(&rounds)
        .map(|(scenario, rounds)| Report::new(*scenario, rounds, conditions.clone()))
        .collect();
    let folder = if options.smoke { folder } else { workspace.root.join("docs/bench") };
    conclude(&scenarios, &reports, &folder, options)
}

/// One scenario with all its variants, in the other order every second time.
fn one_round(bench: &Bench, scenario: Scenario, number: u32, options: &Options) -> Result<Round> {
    let mut order = bench.running_of(scenario.variants());
    if number % 2 == 1 {
        order.reverse();
    }
    let mut round = Round::default();
    for variant in order {
        round.insert(variant, scenario.sample(bench, variant, options)?);
    }
    Ok(round)
}

/// Shows and writes everything, then judges.
fn conclude(scenarios: &[Scenario], reports: &[Report], folder: &Path, options: &Options) -> Result<()> {
    for (scenario, report) in scenarios.iter().zip(reports) {
        print!("\n{}", report.table());
        let name = scenario.name();
        write(folder, &format!("{name}.md"), &report.markdown())?;
        write(folder, &format!("{name}.svg"), &report.svg())?;
        write(folder, &format!("{name}.json"), &format!("{:#}\n", report.json()))?;
    }
    for report in reports {
        report.complete()?;
    }
    if options.smoke {
        return Ok(());
    }
    for judged in reports.iter().flat_map(Report::judged) {
        println!("{judged}");
    }
    match report::missed(reports) {
        0 => Ok(()),
        missed => bail!("{missed} bounds missed"),
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let path: PathBuf = folder.join(name);
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}
