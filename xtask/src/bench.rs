//! `cargo xtask bench`: the figures beside the incumbents, in one run.
//!
//! Method: client, proxy and backend share one CPU, so that the rate is the inverse of what a connection costs in all, which
//! is what a node pays; one worker each; all in a network namespace of their own with cubic on both sides; rounds of
//! the variants interleaved, their order reversed every second round; ratios are taken inside a round, and the median
//! of the rounds counts. CPU comes from the scheduler's own account of each thread.

mod measure;
mod namespace;
mod proxies;
mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::command;
use crate::workspace::Workspace;
use measure::{Round, Sample};
use proxies::{Bench, Variant};

/// Rounds and their length of a run that counts, and of a run that only shows that every number is produced.
const ROUNDS: u32 = 7;
const SECONDS: f64 = 1.5;
const SMOKE_ROUNDS: u32 = 2;
const SMOKE_SECONDS: f64 = 0.25;

/// Connections that the client has open at a time.
const CONCURRENCY: u32 = 32;

/// How this program calls itself inside the namespace.
const INSIDE: &str = "--inside";

/// What was asked for on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    smoke: bool,
    inside: bool,
    rounds: u32,
    seconds: f64,
}

impl Options {
    pub(crate) fn smoke() -> Options {
        Options { smoke: true, inside: false, rounds: SMOKE_ROUNDS, seconds: SMOKE_SECONDS }
    }

    pub(crate) fn parse(words: &[&str]) -> Result<Options, String> {
        let smoke = words.contains(&"--smoke");
        let mut options = if smoke {
            Options::smoke()
        } else {
            Options { smoke, inside: false, rounds: ROUNDS, seconds: SECONDS }
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
                other => return Err(format!("bench: unknown option {other}")),
            }
        }
        Ok(options)
    }

    /// The profile that the measured programs are built with: a smoke run uses what the tests have built already.
    fn profile(&self) -> &'static str {
        if self.smoke { "debug" } else { "release" }
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

/// Runs inside the namespace, on one CPU.
fn measure_all(workspace: &Workspace, options: &Options) -> Result<()> {
    let conditions = namespace::prepare()?;
    for line in &conditions {
        println!("  {line}");
    }
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let bench = Bench::start(
        &folder,
        workspace.built(options.profile(), "bowline"),
        workspace.built(options.profile(), "examples/load"),
    )?;
    let mut rounds = Vec::new();
    for number in 0..options.rounds {
        let mut round = Round::default();
        let mut order: Vec<Variant> = bench.variants().collect();
        if number % 2 == 1 {
            order.reverse();
        }
        for variant in order {
            round.insert(variant, sample(&bench, variant, options)?);
        }
        println!("  round {} of {}: {round}", number + 1, options.rounds);
        rounds.push(round);
    }
    drop(bench);
    let report = report::Report::new(&rounds, conditions, options.seconds, options.smoke);
    print!("\n{}", report.table());
    let folder = if options.smoke { folder } else { workspace.root.join("docs/bench") };
    write(&folder, "connections.md", &report.markdown())?;
    write(&folder, "connections.json", &format!("{:#}\n", report.json()))?;
    if options.smoke {
        return report.complete();
    }
    report.judge()
}

/// One variant under load for the length of a round.
fn sample(bench: &Bench, variant: Variant, options: &Options) -> Result<Sample> {
    let before = bench.cpu(variant)?;
    let mut load = Command::new(&bench.load);
    load.args(["connect", "--to", &bench.address(variant)?.to_string()]);
    load.args(["--seconds", &options.seconds.to_string(), "--concurrency", &CONCURRENCY.to_string()]);
    let printed = command::output(&mut load)?;
    let proxy_cpu = bench.cpu(variant)?.saturating_sub(before);
    let told: Value =
        serde_json::from_str(&printed).with_context(|| format!("read the load's result: {printed}"))?;
    let connections = told["connections"].as_u64().context("`connections` of the load")?;
    let failed = told["failed"].as_u64().context("`failed` of the load")?;
    let seconds = told["seconds"].as_f64().context("`seconds` of the load")?;
    if connections == 0 {
        bail!("{}: no connection succeeded, {failed} failed", variant.name());
    }
    Ok(Sample { connections, failed, took: Duration::from_secs_f64(seconds), proxy_cpu })
}

fn write(folder: &Path, name: &str, text: &str) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let path: PathBuf = folder.join(name);
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    println!("written: {}", path.display());
    Ok(())
}
