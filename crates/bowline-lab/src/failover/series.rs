//! Many observations of everything that may happen to a holder, on few rigs: what tables of outages are made of.

use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use serde::Serialize;

use super::{Daemons, Fault, Incumbent, Measured, Observation, Rig, System, Tuning, summary};
use crate::peer::Bowline;

/// A run in which the machine was later than this is left out.
const STALL_MAX: Duration = Duration::from_millis(50);
/// Runs of a case that may go wrong because of the rig until the case is given up.
const ERRORS_MAX: u32 = 3;
/// An address with adverts every 100 ms is renewed so often: the longest period that matters for most faults.
const RENEWAL: Duration = Duration::from_millis(334);
/// The longest period that matters for who can serve, and for adverts every second.
const SECOND: Duration = Duration::from_secs(1);
/// What has not come by then does not come, with adverts every 100 ms and every second.
const LIMIT: Duration = Duration::from_secs(6);
const LONG_LIMIT: Duration = Duration::from_secs(12);

/// A setting, and what happens in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Its name in tables and on the command line.
    pub name: &'static str,
    /// One after the other, in each run.
    pub faults: &'static [Fault],
    /// Between two adverts.
    interval: Duration,
    /// More of the virtual IP's entry in the description.
    more: &'static str,
    /// The moment of a fault is drawn from so much time.
    phase: Duration,
    limit: Duration,
    /// How keepalived is tuned that can stand beside it, where it knows such a setting.
    beside: Option<Tuning>,
}

impl Case {
    const fn new(name: &'static str, faults: &'static [Fault]) -> Self {
        let interval = Duration::from_millis(100);
        let beside = Some(Tuning::Tuned);
        Self { name, faults, interval, more: "", phase: RENEWAL, limit: LIMIT, beside }
    }

    const fn every(self, interval: Duration, beside: Option<Tuning>) -> Self {
        Self { interval, beside, ..self }
    }

    const fn with(self, more: &'static str) -> Self {
        Self { more, beside: None, ..self }
    }

    const fn slow(self, limit: Duration) -> Self {
        Self { phase: SECOND, limit, ..self }
    }

    /// Everything that is promised, those that take longest first.
    pub const ALL: [Self; 12] = [
        Self::new("adverts every 1 s", &[Fault::LinkCut]).every(SECOND, None).slow(LONG_LIMIT),
        Self::new("unreachable", &[Fault::Unreachable]).slow(LIMIT),
        Self::new("stop and return", &[Fault::Stop, Fault::Return]),
        Self::new("one way", &[Fault::OneWay, Fault::Heal]),
        Self::new("frozen", &[Fault::Freeze]),
        Self::new("link cut", &[Fault::LinkCut]),
        Self::new("adverts every 30 ms", &[Fault::LinkCut])
            .every(Duration::from_millis(30), Some(Tuning::Tuned30)),
        Self::new("equal backups", &[Fault::LinkCut]).with(", priorities: {lb1: 200, lb2: 150, lb3: 150}"),
        Self::new("near priorities", &[Fault::LinkCut]).with(", priorities: {lb1: 152, lb2: 151, lb3: 150}"),
        Self::new("killed", &[Fault::Kill]),
        Self::new("wedged", &[Fault::Wedged]).slow(LIMIT),
        Self::new("starved", &[Fault::Starved]).slow(LIMIT),
    ];

    fn systems(&self, settings: &Settings) -> Vec<Box<dyn System>> {
        let ours = Daemons {
            bowline: Bowline { binary: settings.binary.clone(), foreign: false },
            interval: self.interval,
            more: self.more.to_owned(),
        };
        let theirs = self.beside.filter(|_| settings.beside).map(|tuning| Box::new(Incumbent(tuning)) as _);
        std::iter::once(Box::new(ours) as Box<dyn System>).chain(theirs).collect()
    }
}

/// What to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Of bowline.
    pub binary: PathBuf,
    /// Of each case, with each system.
    pub runs: u32,
    /// With keepalived and HAProxy tuned to their best, run about with bowline.
    pub beside: bool,
    /// Cases at the same time, each on a rig of its own.
    pub at_once: usize,
}

/// What a fault did in one case, over all runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    pub case: &'static str,
    /// Between two adverts of bowline.
    pub interval_ms: u64,
    /// Runs that the rig spoilt.
    pub spoilt: u32,
    #[serde(flatten)]
    pub measured: Measured,
}

/// Observes all faults of `cases`, and tells each observation to `tell`; in the order of the cases.
///
/// # Errors
/// When something is missing, or a case was given up.
pub fn series(
    cases: &[Case],
    settings: &Settings,
    tell: &(dyn Fn(&str) + Sync),
) -> anyhow::Result<Vec<Shown>> {
    let faults = cases.iter().flat_map(|case| case.faults.iter().copied());
    let missing = faults.filter_map(Fault::missing).next();
    let systems = || cases.iter().flat_map(|case| case.systems(settings));
    if let Some(missing) = missing.or_else(|| systems().find_map(|system| system.missing())) {
        bail!("{missing}");
    }
    let (next, shown) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let lane = || {
        while let Some((place, case)) = {
            let place = next.fetch_add(1, Ordering::Relaxed);
            cases.get(place).map(|case| (place, case))
        } {
            let done = show(case, settings, tell);
            shown.lock().unwrap_or_else(PoisonError::into_inner).push((place, done));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..settings.at_once.clamp(1, cases.len().max(1)) {
            scope.spawn(lane);
        }
    });
    let mut shown = shown.into_inner().unwrap_or_else(PoisonError::into_inner);
    shown.sort_by_key(|(place, _)| *place);
    let mut all = Vec::new();
    for (_, done) in shown {
        all.extend(done?);
    }
    Ok(all)
}

/// One case: a rig for each system, on which the runs follow one another.
fn show(case: &Case, settings: &Settings, tell: &dyn Fn(&str)) -> anyhow::Result<Vec<Shown>> {
    let systems = case.systems(settings);
    let mut rigs: Vec<Option<Rig<'_>>> = systems.iter().map(|_| None).collect();
    let mut seen: Vec<Vec<Vec<Observation>>> = vec![vec![Vec::new(); case.faults.len()]; systems.len()];
    let mut spoilt = vec![0; systems.len()];
    for run in 1..=settings.runs {
        for (place, system) in systems.iter().enumerate() {
            let began = Instant::now();
            let what = format!("{}, {}, {run} of {}", case.name, system.name(), settings.runs);
            let once = once(case, &**system, &mut rigs[place], &mut seen[place]);
            let took = began.elapsed().as_secs_f64();
            match once {
                Ok(line) => tell(&format!("{what}: {line} ({took:.1} s)")),
                Err(error) => {
                    tell(&format!("{what}: spoilt: {error:#} ({took:.1} s)"));
                    spoilt[place] += 1;
                    // Nobody knows what it is like.
                    rigs[place] = None;
                    if spoilt[place] > ERRORS_MAX {
                        return Err(error).with_context(|| format!("{}, {}", case.name, system.name()));
                    }
                }
            }
        }
    }
    let summed = systems.iter().zip(seen).zip(spoilt).flat_map(|((system, seen), spoilt)| {
        case.faults.iter().zip(seen).map(move |(fault, observations)| Shown {
            case: case.name,
            interval_ms: u64::try_from(case.interval.as_millis()).unwrap_or(u64::MAX),
            spoilt,
            measured: summary(system.name(), *fault, &observations, STALL_MAX),
        })
    });
    Ok(summed.collect())
}

/// One run of one system; what was seen, in a line.
fn once<'a>(
    case: &Case,
    system: &'a dyn System,
    rig: &mut Option<Rig<'a>>,
    seen: &mut [Vec<Observation>],
) -> anyhow::Result<String> {
    let rig = match rig {
        Some(rig) => rig,
        None => rig.insert(Rig::start(system)?),
    };
    let mut line = String::new();
    for (fault, seen) in case.faults.iter().zip(seen) {
        let one = rig.observe_settling(*fault, phase(case.phase), case.limit)?;
        let (talking, silent) = (one.report.talking, one.report.silent);
        let comma = if line.is_empty() { "" } else { "; " };
        let outage = one.report.figures.outage.as_millis();
        write!(line, "{comma}{fault} {outage} ms")?;
        match talking.hung + silent.hung + talking.redialled_hung + silent.redialled_hung {
            0 => {}
            hung => write!(line, ", {hung} hung")?,
        }
        if one.disturbance() > STALL_MAX {
            write!(line, ", left out: the machine stood still for {} ms", one.disturbance().as_millis())?;
        }
        seen.push(one);
    }
    Ok(line)
}

/// A moment that has nothing to do with anybody's timers.
fn phase(longest: Duration) -> Duration {
    let nanos = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().subsec_nanos();
    longest * (nanos % 1_000_003) / 1_000_003
}

/// A table of all that was shown, in Markdown.
pub fn markdown(shown: &[Shown]) -> String {
    let mut table =
        "| setting | fault of the holder | system | outage, median (worst) | successor announced | runs | \
                     left out | hung | two holders until |\n|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
    let ms = |value: Option<u64>| value.map_or_else(|| "never".to_owned(), |value| format!("{value} ms"));
    for Shown { case, spoilt, measured, .. } in shown {
        let announced = measured
            .announced_ms
            .map_or_else(|| "nobody".to_owned(), |spread| format!("{} ms ({})", spread.median, spread.worst));
        let two = match measured.not_one_in_the_end {
            0 => ms(measured.two_addresses_ms.max(measured.two_answers_ms)),
            runs => format!("the end, {runs} of {}", measured.runs),
        };
        let hung = measured.hung + measured.redialled_hung;
        let all = hung + measured.kept + measured.broken;
        table += &format!(
            "| {case} | {} | {} | {} ms ({}) | {announced} | {} | {} | {hung} of {all} | {two} |\n",
            measured.fault,
            measured.system,
            measured.outage_ms.median,
            measured.outage_ms.worst,
            measured.runs,
            measured.disturbed + usize::try_from(*spoilt).unwrap_or(usize::MAX),
        );
    }
    table
}

#[cfg(test)]
mod tests;
