//! `bowline demo --vip`: a virtual IP moves between three balancer hosts, and what a client on the segment sees of it, beside
//! keepalived with HAProxy where they are installed.

mod document;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bowline_lab::failover::{Daemons, Fault, Incumbent, Observation, Rig, System, Tuning, summary};
use bowline_lab::lan::Lan;
use bowline_lab::peer::Bowline;
use bowline_sansio::Prng;

pub(crate) use document::VipDemo;
use document::VipObservation;

use super::human;
use super::interrupt::Interrupt;
use super::progress::Progress;

/// How long a fault is watched.
const OBSERVATION: Duration = Duration::from_secs(6);
/// From the start of the client to the fault at most: faults fall on every phase of everybody's timers.
const PHASE_MAX: Duration = Duration::from_secs(1);
/// A run during which the machine stood still for longer is left out: its figures are the machine's.
const STALL_MAX: Duration = Duration::from_millis(100);
/// More than anybody waits for.
const RUNS_MAX: usize = 1_000;

/// What `bowline demo --vip` can be told.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct VipArgs {
    /// A virtual IP moves between three hosts, instead of servers that fail behind one balancer (needs root)
    #[arg(long)]
    pub(super) vip: bool,
    /// With --vip: how often each fault is shown, at random phases
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "vip")]
    runs: usize,
    /// With --vip: between two adverts, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100, requires = "vip")]
    interval: u64,
    /// With --vip: bowline alone
    #[arg(long, requires = "vip")]
    alone: bool,
}

/// Shows the faults that are asked for.
pub(super) fn demonstrate(args: &VipArgs, mut faults: Vec<Fault>) -> anyhow::Result<VipDemo> {
    let started = Instant::now();
    if let Some(missing) = Lan::missing() {
        bail!("demo --vip: {missing}");
    }
    if !(1..=RUNS_MAX).contains(&args.runs) {
        bail!("demo --vip: --runs is from 1 to {RUNS_MAX}");
    }
    if !(10..=40_950).contains(&args.interval) {
        bail!("demo --vip: --interval is from 10 to 40950 milliseconds");
    }
    let interrupt = Interrupt::install()?;
    let mut progress = Progress::new();
    let is_asked_for = faults.len() == 1;
    for (fault, reason) in cannot_be_made(&faults) {
        if is_asked_for {
            bail!("demo --vip --fault {fault}: {reason}");
        }
        progress.say(&format!("{fault} is left out: {reason}"));
        faults.retain(|one| *one != fault);
    }
    let systems = systems(args, &mut progress)?;
    let mut observations = Vec::new();
    let mut prng = Prng::new(bowline_sys::clock::monotonic_nanos());
    let of = faults.len() * systems.len();
    for (number, fault) in faults.iter().enumerate() {
        for (place, system) in systems.iter().enumerate() {
            progress.begin(number * systems.len() + place + 1, of);
            let measured = show(&**system, *fault, args.runs, &mut prng, &interrupt, &mut progress)?;
            progress.say(&format!("{fault}, {}: {}", system.name(), measured.summary()));
            observations.push(measured);
        }
    }
    progress.clear();
    Ok(VipDemo::new(args.runs, args.interval, started.elapsed(), observations))
}

fn cannot_be_made(faults: &[Fault]) -> Vec<(Fault, String)> {
    faults.iter().filter_map(|fault| Some((*fault, fault.missing()?))).collect()
}

fn systems(args: &VipArgs, progress: &mut Progress) -> anyhow::Result<Vec<Box<dyn System>>> {
    let binary = std::env::current_exe().context("finding this program")?;
    let ours = Daemons {
        bowline: Bowline { binary, foreign: false },
        interval: Duration::from_millis(args.interval),
        more: String::new(),
    };
    let mut systems: Vec<Box<dyn System>> = vec![Box::new(ours)];
    if !args.alone {
        let theirs = Incumbent(Tuning::Tuned);
        match theirs.missing() {
            None => systems.push(Box::new(theirs)),
            Some(missing) => progress.say(&format!("{} is left out: {missing}", theirs.name())),
        }
    }
    Ok(systems)
}

/// Each run on a segment of its own, so that nothing of one is left in the next.
fn show(
    system: &dyn System,
    fault: Fault,
    runs: usize,
    prng: &mut Prng,
    interrupt: &Interrupt,
    progress: &mut Progress,
) -> anyhow::Result<VipObservation> {
    let mut observations: Vec<Observation> = Vec::new();
    for run in 1..=runs {
        progress.show(&format!("{fault}, {}: run {run} of {runs}", system.name()));
        interrupt.wait(Duration::ZERO)?;
        let phase = Duration::from_nanos(prng.below(PHASE_MAX.as_nanos() as u64));
        let rig = Rig::start(system).with_context(|| format!("{fault}, {}: setting it up", system.name()))?;
        let observation = rig.observe(fault, phase, OBSERVATION);
        observations.push(observation.with_context(|| format!("{fault}, {}: showing it", system.name()))?);
    }
    Ok(VipObservation::new(&summary(system.name(), fault, &observations, STALL_MAX)))
}

/// Milliseconds as people read them.
fn millis(milliseconds: u64) -> String {
    human(Duration::from_millis(milliseconds))
}
