//! The arithmetic: from requests to outage, hard outage, extra and failed. Pure, so that it is tested against sequences worked out
//! by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{Counts, Failure};

/// A request slower than this belongs to an outage like one that failed.
pub(super) const SLOW: Duration = Duration::from_millis(100);
/// An outage is over with this many good requests in a row: with three servers of which one is bad, two thirds of the requests are
/// good by chance.
pub(super) const GOOD_IN_A_ROW: usize = 25;

/// One request. `start` is since the epoch of its run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    pub start: Duration,
    pub took: Duration,
    /// The name of the server that answered.
    pub outcome: Result<String, Failure>,
}

impl Sample {
    /// Answered, and not slow.
    pub fn is_good(&self) -> bool {
        self.outcome.is_ok() && self.took <= SLOW
    }

    fn end(&self) -> Duration {
        self.start + self.took
    }
}

/// A stretch of bad service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Start of the first request that failed or was slow, since the fault.
    #[serde(rename = "startMs", serialize_with = "millis")]
    pub start: Duration,
    /// Start of the first of 25 good requests in a row, since the fault; the end of the observation when that did not come.
    #[serde(rename = "endMs", serialize_with = "millis")]
    pub end: Duration,
}

/// What one server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Served {
    pub requests: u32,
    /// Start of the last request it answered, since the fault.
    #[serde(rename = "lastMs", serialize_with = "millis")]
    pub last: Duration,
}

/// What the requests tell of a fault. All but `caught` is about requests that started after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    #[serde(rename = "observedMs", serialize_with = "millis")]
    pub observed: Duration,
    pub requests: u32,
    pub failed: u32,
    pub failures: Counts,
    /// Requests that were under way when the fault came, or sent while it came, and failed: bytes had been passed on, nobody can take
    /// them back.
    pub caught: u32,
    /// The longest window. A second one is not hidden: see `windows`.
    #[serde(rename = "outageMs", serialize_with = "millis")]
    pub outage: Duration,
    pub windows: Vec<Window>,
    /// The longest time without any success, from answer to answer: about one interval when nothing happened.
    #[serde(rename = "hardOutageMs", serialize_with = "millis")]
    pub hard_outage: Duration,
    /// The slowest success.
    #[serde(rename = "extraMs", serialize_with = "millis")]
    pub extra: Duration,
    #[serde(rename = "medianMs", serialize_with = "millis")]
    pub median: Duration,
    /// Start of the last request that failed, since the fault.
    #[serde(rename = "lastFailureMs", serialize_with = "optional_millis")]
    pub last_failure: Option<Duration>,
    /// By the name of the server, as far as servers say it.
    pub servers: BTreeMap<String, Served>,
}

/// Computes the figures of a fault that `began` and was complete at `fault` (both since the epoch) in an observation that ended at
/// `end`; `samples` in the order of their starts.
pub fn figures(samples: &[Sample], began: Duration, fault: Duration, end: Duration) -> Figures {
    let after: Vec<&Sample> = samples.iter().filter(|sample| sample.start >= fault).collect();
    let caught = samples
        .iter()
        .filter(|sample| sample.start < fault && sample.end() > began && sample.outcome.is_err());
    let mut failures = Counts::new();
    let mut servers: BTreeMap<String, Served> = BTreeMap::new();
    let mut took = Vec::new();
    for sample in &after {
        match &sample.outcome {
            Ok(server) => {
                took.push(sample.took);
                let served =
                    servers.entry(server.clone()).or_insert(Served { requests: 0, last: Duration::ZERO });
                served.requests += 1;
                served.last = sample.start - fault;
            }
            Err(failure) => *failures.entry(failure.to_string()).or_default() += 1,
        }
    }
    took.sort_unstable();
    let windows = windows(&after, fault, end);
    Figures {
        observed: end.saturating_sub(fault),
        requests: count(after.len()),
        failed: failures.values().sum(),
        failures,
        caught: count(caught.count()),
        outage: windows.iter().map(|window| window.end - window.start).max().unwrap_or_default(),
        windows,
        hard_outage: hard_outage(samples, fault, end),
        extra: took.last().copied().unwrap_or_default(),
        median: took.get(took.len() / 2).copied().unwrap_or_default(),
        last_failure: after.iter().rfind(|sample| sample.outcome.is_err()).map(|sample| sample.start - fault),
        servers,
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn windows(after: &[&Sample], fault: Duration, end: Duration) -> Vec<Window> {
    let mut windows = Vec::new();
    let mut open: Option<Duration> = None;
    let mut good: Option<(usize, Duration)> = None;
    for sample in after {
        if !sample.is_good() {
            open.get_or_insert(sample.start);
            good = None;
            continue;
        }
        let Some(start) = open else { continue };
        let (in_a_row, first) = good.map_or((1, sample.start), |(in_a_row, first)| (in_a_row + 1, first));
        if in_a_row == GOOD_IN_A_ROW {
            windows.push(Window { start: start - fault, end: first - fault });
            (open, good) = (None, None);
        } else {
            good = Some((in_a_row, first));
        }
    }
    if let Some(start) = open {
        // The observation ended first. Good requests at its very end count as the end of the outage all the same: they are all that
        // could be seen.
        let closed = good.map_or(end, |(_, first)| first);
        windows.push(Window { start: start - fault, end: closed.max(start) - fault });
    }
    windows
}

fn hard_outage(samples: &[Sample], fault: Duration, end: Duration) -> Duration {
    let mut answers: Vec<Duration> = samples
        .iter()
        .filter(|sample| sample.outcome.is_ok())
        .map(Sample::end)
        .filter(|at| *at <= end)
        .collect();
    answers.sort_unstable();
    let first_after = answers.partition_point(|at| *at < fault);
    let mut last = answers.get(first_after.wrapping_sub(1)).copied().unwrap_or(fault);
    let mut longest = Duration::ZERO;
    for at in answers.into_iter().skip(first_after).chain([end]) {
        longest = longest.max(at.saturating_sub(last));
        last = at;
    }
    longest
}

/// Whole milliseconds, the unit of every machine-readable duration.
pub(super) fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

pub(super) fn optional_millis<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => millis(duration, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests;
