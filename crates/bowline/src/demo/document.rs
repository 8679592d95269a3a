//! What a demonstration found, for programs and for people.

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_lab::fleet::{Cut, Fault};
use bowline_lab::outage::{Fates, Report};
use schemars::JsonSchema;
use serde::Serialize;

use super::human;
use crate::output::table;

/// A client that was later than this was on a machine that stalled; then its figures are the machine's, too.
const STALLED: Duration = Duration::from_millis(50);

/// A demonstration: `bowline demo --output json`.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Demo {
    /// `bowline.dev/demo/v1`.
    pub schema: &'static str,
    /// The version that was demonstrated.
    pub version: &'static str,
    /// How a server became unreachable: `link` (its link was taken down) or `queue` (a full accept queue, new connections only).
    pub cut: &'static str,
    /// How long the whole took, in milliseconds.
    pub elapsed_ms: u64,
    /// One for each fault, in the order in which they were shown.
    pub faults: Vec<Observation>,
}

/// What a client saw of one fault. It sent a request on a new connection every 10 ms; durations are in milliseconds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// `killed`, `frozen`, `not-ready`, `unreachable`, `graceful-stop` or `all-down`.
    pub fault: &'static str,
    /// The server it happened to; empty when it happened to all.
    pub server: String,
    /// For how long it was watched.
    pub observed_ms: u64,
    /// Requests sent after the fault.
    pub requests: u32,
    /// Those of them that failed.
    pub failed: u32,
    /// Why, and how many each.
    pub failures: BTreeMap<String, u32>,
    /// Requests that were under way when the fault came, and failed.
    pub caught: u32,
    /// From the first request that failed or took over 100 ms to the first of 25 in a row that did not.
    pub outage_ms: u64,
    /// The longest time without any success.
    pub hard_outage_ms: u64,
    /// The slowest success.
    pub extra_ms: u64,
    /// The median of all successes.
    pub median_ms: u64,
    /// When the last request that failed was sent, after the fault.
    pub last_failure_ms: Option<u64>,
    /// When the last request was sent that the faulty server answered, after the fault.
    pub last_answer_of_server_ms: Option<u64>,
    /// All down: from the first server that listened again to the first answer.
    pub served_after_ms: Option<u64>,
    /// Long connections that also sent something all the time.
    pub talking: LongConnections,
    /// Long connections that only received.
    pub silent: LongConnections,
    /// The worst lateness of the client itself: when it is large, the machine stalled.
    pub client_lag_ms: u64,
    /// What the figures alone do not say.
    pub note: String,
}

/// What became of long connections within the observation.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LongConnections {
    /// Open and receiving at the end.
    pub kept: u32,
    /// Ended by the server as HTTP ends an answer.
    pub ended: u32,
    /// Reset or closed in the middle.
    pub broken: u32,
    /// Open, with nothing received.
    pub hung: u32,
    /// Of those that ended or broke: dialled again, and receiving.
    pub redialled: u32,
}

impl LongConnections {
    fn new(fates: &Fates) -> Self {
        let Fates { kept, ended, broken, hung, redialled, .. } = *fates;
        Self { kept, ended, broken, hung, redialled }
    }
}

impl Observation {
    /// The observation of `fault` at `server`. `served_after` is some for all down, and some more if it was served again.
    pub(super) fn new(
        fault: Fault,
        server: String,
        cut: Cut,
        report: &Report,
        served_after: Option<Option<Duration>>,
    ) -> Self {
        let figures = &report.figures;
        let last_answer = figures.servers.get(&server).map(|served| served.last);
        let note = note(fault, &server, cut, report, served_after);
        Self {
            fault: fault.name(),
            server: if fault == Fault::AllDown { String::new() } else { server },
            observed_ms: millis(figures.observed),
            requests: figures.requests,
            failed: figures.failed,
            failures: figures.failures.clone(),
            caught: figures.caught,
            outage_ms: millis(figures.outage),
            hard_outage_ms: millis(figures.hard_outage),
            extra_ms: millis(figures.extra),
            median_ms: millis(figures.median),
            last_failure_ms: figures.last_failure.map(millis),
            last_answer_of_server_ms: if fault == Fault::AllDown { None } else { last_answer.map(millis) },
            served_after_ms: served_after.flatten().map(millis),
            talking: LongConnections::new(&report.talking),
            silent: LongConnections::new(&report.silent),
            client_lag_ms: millis(report.lag.worst),
            note,
        }
    }

    fn broken(&self) -> u32 {
        self.talking.broken + self.silent.broken
    }

    fn hung(&self) -> u32 {
        self.talking.hung + self.silent.hung
    }

    /// The figures in one line.
    pub(super) fn summary(&self) -> String {
        format!(
            "{} of {} requests failed, outage {}, slowest answer {}, {} long connections broken, {} hung",
            self.failed,
            self.requests,
            human(Duration::from_millis(self.outage_ms)),
            human(Duration::from_millis(self.extra_ms)),
            self.broken(),
            self.hung()
        )
    }

    fn row(&self) -> [String; 7] {
        [
            self.fault.to_owned(),
            format!("{}/{}", self.failed, self.requests),
            human(Duration::from_millis(self.outage_ms)),
            human(Duration::from_millis(self.extra_ms)),
            self.broken().to_string(),
            self.hung().to_string(),
            self.note.clone(),
        ]
    }
}

impl Demo {
    pub(super) fn new(cut: Cut, faults: Vec<Observation>, elapsed: Duration) -> Self {
        Self {
            schema: "bowline.dev/demo/v1",
            version: env!("CARGO_PKG_VERSION"),
            cut: match cut {
                Cut::Link => "link",
                Cut::Queue => "queue",
            },
            elapsed_ms: millis(elapsed),
            faults,
        }
    }

    /// The table for people.
    pub(super) fn text(&self) -> String {
        let header = ["FAULT", "FAILED", "OUTAGE", "EXTRA", "BROKEN", "HUNG", "NOTE"];
        let mut text = table(header, self.faults.iter().map(Observation::row));
        text.push_str(
            "
One new connection with a request every 10 ms, and 20 long ones; each fault was
watched for 6 s, in one run. FAILED: requests sent after the fault that got no
answer within 1 s. OUTAGE: from the first that failed or took over 100 ms to the
first of 25 good ones in a row. EXTRA: the slowest success. BROKEN, HUNG: of the
20 long connections.
",
        );
        text
    }
}

fn note(
    fault: Fault,
    server: &str,
    cut: Cut,
    report: &Report,
    served_after: Option<Option<Duration>>,
) -> String {
    let figures = &report.figures;
    let last_answer = figures.servers.get(server).map(|served| served.last);
    let mut notes = vec![match fault {
        Fault::Killed => format!("{server} got SIGKILL"),
        Fault::Frozen => match figures.last_failure {
            Some(last) => format!("{server} stopped; the last client was sent there after {}", human(last)),
            None => format!("{server} stopped; no client was sent there"),
        },
        Fault::NotReady => match last_answer {
            Some(last) => format!("{server} failed /readyz; its last new client came after {}", human(last)),
            None => format!("{server} failed /readyz; no new client came"),
        },
        Fault::Unreachable => match cut {
            Cut::Queue => format!("{server} with a full accept queue (no root): new connections only"),
            Cut::Link => format!("the link of {server} was cut"),
        },
        Fault::GracefulStop => {
            let ended = report.talking.ended + report.silent.ended;
            format!("{server} got SIGTERM; {ended} watches were ended by it in good order")
        }
        Fault::AllDown => match served_after {
            Some(Some(after)) => format!("for 2 s; served {} after the first was back", human(after)),
            Some(None) | None => "for 2 s; not served again".to_owned(),
        },
    }];
    if figures.caught > 0 {
        notes.push(format!("{} under way then failed too", figures.caught));
    }
    if report.lag.worst > STALLED {
        notes.push(format!("this machine stalled for {}", human(report.lag.worst)));
    }
    notes.join("; ")
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
