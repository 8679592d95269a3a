//! Outages at a virtual IP, measured.
//!
//! `failover --series RUNS`: everything that may happen to a holder, `RUNS` times each, with progress on stderr and a table on stdout.
//! * `--binary FILE`: of bowline; by default the one that was built beside this.
//! * `--beside`: keepalived with HAProxy, tuned to their best, run about with bowline, where they know the setting.
//! * `--only CASE,CASE..`: not all of it. `--at-once N`: so many cases at a time (1).
//! * `--output json`: a document instead of the table. `--table FILE`: the table into a file, too.
//!
//! `failover SYSTEM,SYSTEM.. FAULT,FAULT.. RUNS [SECONDS]`: each fault on a rig of its own, interleaved, watched for a fixed time; a
//! JSON line for each pair. Systems: `documented`, `tuned`, `tuned30`, or `PATH[@MILLISECONDS[@equal|@near]]` of a bowline binary:
//! backups of one priority, or priorities that differ by 1. `all` stands for every fault.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail, ensure};
use bowline_lab::failover::{
    Case, Daemons, Fault, Incumbent, Observation, Rig, Settings, System, Tuning, markdown, series, summary,
};
use bowline_lab::lan::Lan;
use bowline_lab::peer::Bowline;
use serde_json::json;

/// A run in which the machine was later than this is left out.
const STALL_MAX: Duration = Duration::from_millis(50);
/// Phases are drawn from this: the longest period, but for the documented check of keepalived, which is 3 s.
const PHASE: Duration = Duration::from_secs(1);
const USAGE: &str = "failover --series RUNS [--binary FILE] [--beside] [--only CASE,..] [--at-once N] [--output json] \
                     [--table FILE], or failover SYSTEM,.. FAULT,.. RUNS [SECONDS]";

fn main() -> anyhow::Result<()> {
    if let Some(reason) = Lan::missing() {
        bail!("{reason}");
    }
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == "--series").is_some() {
        return in_series(arguments);
    }
    one_by_one(arguments)
}

/// Where this program was built, so was bowline: `target/PROFILE/examples/failover`, `target/PROFILE/bowline`.
fn sibling() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding this program")?;
    let folder = own.parent().and_then(|examples| examples.parent()).context("the folder of this program")?;
    let binary = folder.join("bowline");
    ensure!(binary.is_file(), "{} is not there: cargo build --release -p bowline", binary.display());
    Ok(binary)
}

fn in_series(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let runs = arguments.next().context(USAGE)?.parse().context(USAGE)?;
    let (mut binary, mut beside, mut at_once, mut as_json, mut table) = (None, false, 1, false, None);
    let mut cases = Case::ALL.to_vec();
    while let Some(option) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{option} wants a value; {USAGE}"));
        match option.as_str() {
            "--binary" => binary = Some(PathBuf::from(value()?).canonicalize().context("--binary")?),
            "--beside" => beside = true,
            "--only" => cases = named(&value()?)?,
            "--at-once" => at_once = value()?.parse().context("--at-once")?,
            "--output" => as_json = value()? == "json",
            "--table" => table = Some(PathBuf::from(value()?)),
            _ => bail!("{USAGE}"),
        }
    }
    let binary = binary.map_or_else(sibling, Ok)?;
    let began = Instant::now();
    let tell = |line: &str| eprintln!("{:7.1} s  {line}", began.elapsed().as_secs_f64());
    let settings = Settings { binary, runs, beside, at_once };
    let shown = series(&cases, &settings, &tell)?;
    let text = markdown(&shown);
    if let Some(path) = table {
        std::fs::write(&path, &text).with_context(|| format!("writing {}", path.display()))?;
    }
    if as_json {
        let elapsed = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let document = json!({
            "schema": "bowline.dev/failover-series/v1", "runs": runs, "atOnce": at_once, "elapsedMs": elapsed, "shown": shown,
        });
        println!("{}", serde_json::to_string_pretty(&document)?);
    } else {
        print!("{text}");
    }
    Ok(())
}

fn named(list: &str) -> anyhow::Result<Vec<Case>> {
    let find = |name: &str| Case::ALL.into_iter().find(|case| case.name == name);
    let names = Case::ALL.map(|case| case.name).join(", ");
    list.split(',')
        .map(|name| find(name).with_context(|| format!("no case {name}; there are {names}")))
        .collect()
}

fn system(name: &str) -> anyhow::Result<Box<dyn System>> {
    Ok(match name {
        "documented" => Box::new(Incumbent(Tuning::Documented)),
        "tuned" => Box::new(Incumbent(Tuning::Tuned)),
        "tuned30" => Box::new(Incumbent(Tuning::Tuned30)),
        path => {
            let mut parts = path.split('@');
            let bowline = Bowline { binary: parts.next().unwrap_or_default().into(), foreign: false };
            let millis = parts.next().unwrap_or("100").parse().context("milliseconds after @")?;
            let more = match parts.next() {
                Some("equal") => ", priorities: {lb1: 200, lb2: 150, lb3: 150}",
                Some("near") => ", priorities: {lb1: 152, lb2: 151, lb3: 150}",
                Some(other) => bail!("{other}: only `equal` and `near` may follow the milliseconds"),
                None => "",
            };
            Box::new(Daemons { bowline, interval: Duration::from_millis(millis), more: more.to_owned() })
        }
    })
}

fn one_by_one(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let systems: Vec<_> =
        arguments.next().context(USAGE)?.split(',').map(system).collect::<Result<_, _>>()?;
    let faults: Vec<Fault> = match arguments.next().context(USAGE)?.as_str() {
        "all" => Fault::ALL.to_vec(),
        list => list.split(',').map(str::parse).collect::<Result<_, _>>()?,
    };
    let runs: u32 = arguments.next().context(USAGE)?.parse().context(USAGE)?;
    let seconds: u64 = arguments.next().map_or(Ok(6), |text| text.parse()).context(USAGE)?;
    let missing = systems.iter().find_map(|one| one.missing());
    if let Some(reason) = missing.or_else(|| faults.iter().find_map(|fault| fault.missing())) {
        bail!("{reason}");
    }
    for fault in faults {
        let mut observed: BTreeMap<usize, Vec<Observation>> = BTreeMap::new();
        for _ in 0..runs {
            for (index, system) in systems.iter().enumerate() {
                let rig = Rig::start(&**system)?;
                match rig.observe(fault, phase(), Duration::from_secs(seconds)) {
                    Ok(one) => {
                        let outage = one.report.figures.outage;
                        eprintln!("{} {fault}: outage {outage:?}, {:?}", system.name(), one.holders);
                        observed.entry(index).or_default().push(one);
                    }
                    Err(error) => eprintln!("{} {fault}: {error:#}", system.name()),
                }
            }
        }
        for (index, observations) in observed {
            let measured = summary(systems[index].name(), fault, &observations, STALL_MAX);
            println!("{}", serde_json::to_string(&measured)?);
        }
    }
    Ok(())
}

/// A moment that has nothing to do with anybody's timers.
fn phase() -> Duration {
    let nanos = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
    PHASE * (nanos % 1_000_003) / 1_000_003
}
