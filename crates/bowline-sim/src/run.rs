//! One seed from beginning to end.

use crate::bug::Bug;
use crate::options::Options;
use crate::state::Stats;
use crate::world::{Violation, World};
use core::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a run was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// What happened, counted.
    pub stats: Stats,
    /// Of everything that happened, in order: two runs with one digest were the same.
    pub digest: u64,
    /// One line for each transition; empty unless replayed.
    pub lines: Vec<String>,
    /// What was wrong, if anything.
    pub violation: Option<Violation>,
}

/// A run that went wrong, with what it takes to look into it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// All that it depends on, with the code.
    pub options: Options,
    /// The run, with its lines.
    pub report: Report,
}

/// Runs `seed`; when something is wrong it is run again for its lines.
///
/// # Errors
///
/// What was wrong.
pub fn run(seed: u64) -> Result<Report, Box<Failure>> {
    run_options(&Options::draw(seed), None)
}

/// Runs `options`, with a planted bug or without.
///
/// # Errors
///
/// What was wrong.
pub fn run_options(options: &Options, bug: Option<Bug>) -> Result<Report, Box<Failure>> {
    let report = one(options, bug, false);
    if report.violation.is_none() {
        return Ok(report);
    }
    Err(Box::new(Failure { options: options.clone(), report: one(options, bug, true) }))
}

/// Runs `seed` with all its lines.
pub fn replay(seed: u64) -> Report {
    one(&Options::draw(seed), None, true)
}

fn one(options: &Options, bug: Option<Bug>, traced: bool) -> Report {
    let mut world = match World::new(options.clone(), bug, traced) {
        Ok(world) => world,
        Err(error) => {
            let violation = Violation { checker: "options", message: error.to_string() };
            return Report {
                stats: Stats::default(),
                digest: 0,
                lines: Vec::new(),
                violation: Some(violation),
            };
        }
    };
    // A broken invariant of a machine is a finding like any other.
    let outcome = catch_unwind(AssertUnwindSafe(|| world.run()));
    let violation = match outcome {
        Ok(outcome) => outcome.err(),
        Err(panic) => Some(Violation { checker: "panic", message: said(&panic) }),
    };
    let state = world.state;
    Report { stats: state.stats, digest: state.trace.digest(), lines: state.trace.into_lines(), violation }
}

fn said(panic: &Box<dyn core::any::Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.report.lines {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "{:#?}", self.options)?;
        match &self.report.violation {
            Some(violation) => writeln!(f, "seed {:#x}: {violation}", self.options.seed),
            None => writeln!(f, "seed {:#x}: not again: the run is not deterministic", self.options.seed),
        }
    }
}
