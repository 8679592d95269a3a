//! What a virtual router must do, checked from outside by hand-made packets: the checks know no implementation.
//!
//! Each check has a segment, a fresh subject and two hosts to send from of its own, so that many run side by side. A check that fails
//! is repeated: it may have measured the machine.

mod active;
mod backup;
mod format;
mod ignores;
mod special;
mod stand;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::peer::{Setup, Subject};

use stand::Lacks;
pub use stand::Stand;

use crate::gauge::Gauge;

/// The subject's priority: both others are on the same side of 128, where they mean the same to a router that tells who can serve.
pub const PRIORITY: u8 = 150;
/// That of a better router.
pub const HIGHER: u8 = 200;
/// That of a worse one.
pub const LOWER: u8 = 140;
/// The subject's virtual router.
pub const VRID: u8 = 51;
/// A check counts as failed only while the machine was never later than this. Taking over needs a program several turns of the
/// processor, and all of them together may take 100 ms.
const STALL_MAX: Duration = Duration::from_millis(15);
/// Repetitions of a check until enough were undisturbed.
const ATTEMPTS: usize = 8;
/// A check fails with this many undisturbed failures in a row: a stall of the subject's process alone cannot be seen from outside.
const UNDISTURBED: usize = 3;

/// A version and family to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    V2,
    V3,
    V3Ipv6,
}

impl Variant {
    pub const ALL: [Self; 3] = [Self::V2, Self::V3, Self::V3Ipv6];

    pub fn is_v2(self) -> bool {
        self == Self::V2
    }

    pub fn is_v6(self) -> bool {
        self == Self::V3Ipv6
    }

    /// The subject as the checks have it when they say nothing else.
    pub fn setup(self) -> Setup {
        let addresses: &[&str] = match self {
            Self::V2 | Self::V3 => &["192.0.2.100", "192.0.2.101"],
            Self::V3Ipv6 => &["fe80::100", "2001:db8::100"],
        };
        Setup {
            version: if self.is_v2() { 2 } else { 3 },
            vrid: VRID,
            priority: PRIORITY,
            interval: if self.is_v2() { Duration::from_secs(1) } else { Duration::from_millis(100) },
            preempt: true,
            password: None,
            addresses: addresses.iter().filter_map(|address| address.parse().ok()).collect(),
            virtual_mac: false,
            unicast: Vec::new(),
            others: Vec::new(),
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V2 => "v2",
            Self::V3 => "v3",
            Self::V3Ipv6 => "v3-ipv6",
        })
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As demanded; with what was measured.
    Passed(String),
    /// Not as demanded.
    Failed(String),
    /// Nothing is demanded; what was found.
    Reported(String),
    /// It cannot be checked here; why.
    Skipped(String),
    /// The check itself came to nothing: never as expected.
    Broken(String),
}

impl Verdict {
    /// Passed or failed, with the same words.
    fn of(good: bool, what: impl Into<String>) -> Self {
        if good { Self::Passed(what.into()) } else { Self::Failed(what.into()) }
    }
}

/// A check; numbers are those of the table in the project's facts about VRRP.
#[derive(Clone, Copy)]
pub struct Check {
    pub number: u8,
    pub name: &'static str,
    applies: fn(Variant) -> bool,
    run: fn(&mut Stand<'_>) -> anyhow::Result<Verdict>,
}

/// What one check came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub check: &'static str,
    pub number: u8,
    pub variant: Variant,
    pub verdict: Verdict,
    /// Why the subject is known to fail it, where it is.
    pub deviation: Option<&'static str>,
    /// Until it was as expected, or was believed not to be.
    pub attempts: usize,
    pub took: Duration,
}

impl Outcome {
    /// Whether it is as expected: passed, or failed where that is known.
    pub fn is_expected(&self) -> bool {
        match &self.verdict {
            Verdict::Passed(_) => self.deviation.is_none(),
            Verdict::Failed(_) => self.deviation.is_some(),
            Verdict::Reported(_) | Verdict::Skipped(_) => true,
            Verdict::Broken(_) => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match &self.verdict {
            Verdict::Passed(text) => ("passed", text),
            Verdict::Failed(text) => ("FAILED", text),
            Verdict::Reported(text) => ("report", text),
            Verdict::Skipped(text) => ("skipped", text),
            Verdict::Broken(text) => ("BROKEN", text),
        };
        let Self { number, variant, check, .. } = self;
        write!(f, "{number:>2} {variant:<8} {check:<44} {word:<8} {text}")?;
        if self.attempts > 1 {
            write!(f, " (attempt {})", self.attempts)?;
        }
        match self.deviation {
            Some(reason) => write!(f, " (known: {reason})"),
            None => Ok(()),
        }
    }
}

fn always(_: Variant) -> bool {
    true
}

/// Every check, in the order of their numbers.
pub fn checks() -> Vec<Check> {
    let mut checks: Vec<Check> =
        [format::CHECKS, backup::CHECKS, active::CHECKS, ignores::CHECKS, special::CHECKS].concat();
    checks.sort_by_key(|check| check.number);
    checks
}

/// Runs `checks` of `variant` against the subject, `at_once` at a time, in the order of their numbers.
///
/// # Errors
/// Without the privilege to make a namespace.
pub fn run(
    subject: &dyn Subject,
    variant: Variant,
    checks: &[Check],
    at_once: usize,
) -> anyhow::Result<Vec<Outcome>> {
    let gauge = Gauge::start()?;
    let queue: Mutex<VecDeque<Check>> =
        Mutex::new(checks.iter().copied().filter(|check| (check.applies)(variant)).collect());
    let outcomes = Mutex::new(Vec::new());
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while let Some(check) = next() {
                    let outcome = attempt(subject, variant, check, &gauge);
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcomes.sort_by_key(|outcome| outcome.number);
    Ok(outcomes)
}

/// Repeats the check until it is as expected, or was undisturbed often enough.
fn attempt(subject: &dyn Subject, variant: Variant, check: Check, gauge: &Gauge) -> Outcome {
    let began = Instant::now();
    let known = subject.deviations().iter().find(|(name, _)| *name == check.name);
    let deviation = known.map(|(_, reason)| *reason);
    let (mut stall, mut undisturbed) = (Duration::ZERO, 0);
    for attempts in 1..=ATTEMPTS {
        let start = Instant::now();
        let mut stand = Stand::new(subject, variant.setup());
        let verdict = (check.run)(&mut stand).unwrap_or_else(|error| match error.downcast::<Lacks>() {
            Ok(Lacks(what)) => Verdict::Skipped(what),
            Err(error) => Verdict::Broken(format!("{error:#}; the subject printed:\n{}", stand.log())),
        });
        stall = gauge.worst_since(start);
        let took = began.elapsed();
        let outcome =
            Outcome { check: check.name, number: check.number, variant, verdict, deviation, attempts, took };
        let is_broken = matches!(outcome.verdict, Verdict::Broken(_));
        undisturbed += usize::from(stall < STALL_MAX || is_broken);
        if outcome.is_expected() || undisturbed >= UNDISTURBED {
            return outcome;
        }
    }
    let verdict = Verdict::Skipped(format!("the machine stalls, at last for {stall:?}"));
    let (took, attempts) = (began.elapsed(), ATTEMPTS);
    Outcome { check: check.name, number: check.number, variant, verdict, deviation, attempts, took }
}
