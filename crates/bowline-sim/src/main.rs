//! Runs seeds until there have been enough: `cargo xtask sim` calls it. Knows the clock and threads, which the simulator does
//! not: a thread each takes its share of the seeds.
#![forbid(unsafe_code)]

use bowline_sim::{Failure, Stats};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

const USAGE: &str = "\
bowline-sim [--seeds N] [--minutes M] [--failovers N] [--from SEED] [--threads N]   runs seeds until one of the limits is reached
bowline-sim --replay SEED                                                          one seed, with all that happened in it
";

/// Bad usage, as for the product's own commands.
const EXIT_USAGE: u8 = 2;

/// Seeds of a run without limits.
const SEEDS: u64 = 20_000;

/// Failures after which a run stops: one bug shows itself in many seeds.
const FAILURES_MAX: usize = 3;

/// Progress is shown so often.
const PROGRESS: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
struct Limits {
    seeds: u64,
    time: Option<Duration>,
    failovers: u64,
    from: u64,
    threads: usize,
}

enum Command {
    Run(Limits),
    Replay(u64),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // What panics is a finding of its seed and printed with it.
    std::panic::set_hook(Box::new(|_| {}));
    match parse(&arguments) {
        Ok(Command::Run(limits)) => run(limits),
        Ok(Command::Replay(seed)) => replay(seed),
        Err(message) => {
            eprint!("error: {message}\n\n{USAGE}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn parse(arguments: &[String]) -> Result<Command, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut limits = Limits { seeds: 0, time: None, failovers: 0, from: 0, threads };
    let mut words = arguments.iter();
    while let Some(option) = words.next() {
        let word = words.next().ok_or_else(|| format!("{option} wants a number"))?;
        let number = number(word).ok_or_else(|| format!("`{word}` is no number"))?;
        match option.as_str() {
            "--replay" => return Ok(Command::Replay(number)),
            "--seeds" => limits.seeds = number,
            "--minutes" => limits.time = Some(Duration::from_secs(number.saturating_mul(60))),
            "--failovers" => limits.failovers = number,
            "--from" => limits.from = number,
            "--threads" => limits.threads = usize::try_from(number).unwrap_or(1).max(1),
            other => return Err(format!("unknown option: {other}")),
        }
    }
    if limits.seeds == 0 {
        let unlimited = limits.time.is_none() && limits.failovers == 0;
        limits.seeds = if unlimited { SEEDS } else { u64::MAX - limits.from };
    }
    Ok(Command::Run(limits))
}

/// Decimal, or hexadecimal as failures print it.
fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

fn replay(seed: u64) -> ExitCode {
    let report = bowline_sim::replay(seed);
    for line in &report.lines {
        println!("{line}");
    }
    println!("{:#?}", bowline_sim::Options::draw(seed));
    println!("digest {:#018x}, {:?}", report.digest, report.stats);
    match report.violation {
        None => {
            println!("seed {seed:#x}: nothing is wrong");
            ExitCode::SUCCESS
        }
        Some(violation) => {
            println!("seed {seed:#x}: {violation}");
            ExitCode::FAILURE
        }
    }
}

/// What the threads share.
struct Work {
    limits: Limits,
    next: AtomicU64,
    failovers: AtomicU64,
    stop: AtomicBool,
}

/// What a thread says.
enum Said {
    Clean(Box<Stats>),
    Failed(Box<Failure>),
}

// The one place with a clock: how long a run takes is no part of what happens in it.
#[expect(clippy::disallowed_methods, clippy::disallowed_types)]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn run(limits: Limits) -> ExitCode {
    let began = now();
    let work = Work {
        limits,
        next: AtomicU64::new(limits.from),
        failovers: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    };
    let mut total = Total::default();
    let (say, hear) = mpsc::sync_channel(1_024);
    std::thread::scope(|scope| {
        for _ in 0..limits.threads {
            let (work, say) = (&work, say.clone());
            scope.spawn(move || work.through(&say));
        }
        drop(say);
        let mut shown = Duration::ZERO;
        for said in &hear {
            total.add(said);
            let passed = began.elapsed();
            if total.failures.len() >= FAILURES_MAX || limits.time.is_some_and(|most| passed >= most) {
                work.stop.store(true, Ordering::Relaxed);
            }
            if passed >= shown + PROGRESS {
                shown = passed;
                eprintln!("[{:>6.0}s] {}", passed.as_secs_f64(), total.line());
            }
        }
    });
    total.close(began.elapsed(), limits.threads)
}

impl Work {
    fn through(&self, say: &mpsc::SyncSender<Said>) {
        let end = self.limits.from.saturating_add(self.limits.seeds);
        while !self.stop.load(Ordering::Relaxed) {
            let seed = self.next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            let said = match bowline_sim::run(seed) {
                Ok(report) => {
                    let before = self.failovers.fetch_add(report.stats.failovers, Ordering::Relaxed);
                    let enough = self.limits.failovers;
                    if enough > 0 && before + report.stats.failovers >= enough {
                        self.stop.store(true, Ordering::Relaxed);
                    }
                    Said::Clean(Box::new(report.stats))
                }
                Err(failure) => Said::Failed(failure),
            };
            if say.send(said).is_err() {
                break;
            }
        }
    }
}

#[derive(Default)]
struct Total {
    seeds: u64,
    stats: Stats,
    failures: Vec<Failure>,
}

impl Total {
    fn add(&mut self, said: Said) {
        self.seeds += 1;
        match said {
            Said::Clean(stats) => self.stats.add(&stats),
            Said::Failed(failure) => {
                if let Some(violation) = &failure.report.violation {
                    eprintln!("seed {:#x}: {violation}", failure.options.seed);
                }
                self.failures.push(*failure);
            }
        }
    }

    fn line(&self) -> String {
        let (seeds, failures) = (self.seeds, self.failures.len());
        let Stats { failovers, events, faults, .. } = self.stats;
        format!("{seeds} seeds, {faults} faults, {failovers} failovers, {events} events, {failures} failed")
    }

    fn close(&self, took: Duration, threads: usize) -> ExitCode {
        for failure in &self.failures {
            println!("{failure}");
        }
        println!("{}", self.line());
        let Stats { failovers, acquisitions, adverts, announcements, time, .. } = self.stats;
        let each = |count: u64| count as f64 / failovers.max(1) as f64;
        println!(
            "a failover: {:.2} acquisitions, {:.1} adverts, {:.1} announcements",
            each(acquisitions),
            each(adverts),
            each(announcements)
        );
        println!(
            "{:.1} s for {:.1} hours of simulated time: {:.0} failovers a second and thread, {threads} threads",
            took.as_secs_f64(),
            time.as_secs_f64() / 3_600.0,
            failovers as f64 / took.as_secs_f64() / threads as f64
        );
        if self.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
