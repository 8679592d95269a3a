//! Outages at a virtual IP: `failover SYSTEM,SYSTEM.. FAULT,FAULT.. RUNS [SECONDS]`, interleaved, a JSON line for each pair.
//! Systems: `documented`, `tuned`, `tuned30`, or `PATH[@MILLISECONDS[@equal]]` of a bowline binary, `equal` for backups of one
//! priority. `all` stands for every fault.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use bowline_lab::failover::{Daemons, Fault, Incumbent, Observation, Rig, System, Tuning, summary};
use bowline_lab::lan::Lan;
use bowline_lab::peer::Bowline;

/// A run in which the machine was later than this is left out.
const STALL_MAX: Duration = Duration::from_millis(50);
/// Phases are drawn from this: the longest period, but for the documented check of keepalived, which is 3 s.
const PHASE: Duration = Duration::from_secs(1);

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
                Some(other) => bail!("{other}: only `equal` may follow the milliseconds"),
                None => "",
            };
            Box::new(Daemons { bowline, interval: Duration::from_millis(millis), more: more.to_owned() })
        }
    })
}

fn main() -> anyhow::Result<()> {
    const USAGE: &str = "failover SYSTEM,.. FAULT,.. RUNS [SECONDS]";
    let mut arguments = std::env::args().skip(1);
    let systems: Vec<_> =
        arguments.next().context(USAGE)?.split(',').map(system).collect::<Result<_, _>>()?;
    let faults: Vec<Fault> = match arguments.next().context(USAGE)?.as_str() {
        "all" => Fault::ALL.to_vec(),
        list => list.split(',').map(str::parse).collect::<Result<_, _>>()?,
    };
    let runs: u32 = arguments.next().context(USAGE)?.parse().context(USAGE)?;
    let seconds: u64 = arguments.next().map_or(Ok(6), |text| text.parse()).context(USAGE)?;
    if let Some(reason) = Lan::missing().or_else(|| systems.iter().find_map(|one| one.missing())) {
        bail!("{reason}");
    }
    for fault in faults {
        let mut observed: BTreeMap<usize, Vec<Observation>> = BTreeMap::new();
        for _ in 0..runs {
            for (index, system) in systems.iter().enumerate() {
                let rig = Rig::start(&**system)?;
                match rig.observe(fault, phase(), Duration::from_secs(seconds)) {
                    Ok(one) => {
                        eprintln!(
                            "{} {fault}: outage {:?}, {:?}",
                            system.name(),
                            one.report.figures.outage,
                            one.holders
                        );
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
