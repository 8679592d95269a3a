//! The ways in which a proxy is used, each with a page of its own: what the load does, which variants are compared, and
//! what one round of one variant gives.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Options;
use super::measure::{Measure, Sample};
use super::proxies::{Bench, Variant};

/// Connections that the client has open at a time when it opens and closes them.
const CONCURRENCY: usize = 32;

/// Connections of the bulk load that has many.
const MANY: usize = 16;

/// Idle connections: a proxy has two descriptors for each, and 20,000 is a usual limit of them.
const IDLE: usize = 9_000;
/// Enough to show that there is a number.
const IDLE_SMOKE: usize = 500;

/// What memory is scaled to.
const IDLE_SCALED: f64 = 10_000.0;

const GIGA: f64 = 1e9;

/// Which CPU time a sample has, per unit: so many seconds per 10,000 connections, and per gigabyte.
const TEN_THOUSAND: f64 = 10_000.0;

/// One way of using a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scenario {
    Connections,
    TlsConnections,
    TlsKeepAlive,
    Bulk,
    BulkMany,
    Memory,
}

impl Scenario {
    pub(super) const ALL: [Scenario; 6] = [
        Scenario::Connections,
        Scenario::TlsConnections,
        Scenario::TlsKeepAlive,
        Scenario::Bulk,
        Scenario::BulkMany,
        Scenario::Memory,
    ];

    /// On the command line, and of its files.
    pub(super) fn name(self) -> &'static str {
        match self {
            Scenario::Connections => "connections",
            Scenario::TlsConnections => "tls-connections",
            Scenario::TlsKeepAlive => "tls-keep-alive",
            Scenario::Bulk => "bulk",
            Scenario::BulkMany => "bulk-16",
            Scenario::Memory => "memory",
        }
    }

    pub(super) fn named(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Scenario::Connections => "New connections",
            Scenario::TlsConnections => "New TLS connections",
            Scenario::TlsKeepAlive => "TLS keep-alive",
            Scenario::Bulk => "Bulk, one connection",
            Scenario::BulkMany => "Bulk, 16 connections",
            Scenario::Memory => "Memory of idle connections",
        }
    }

    /// What the load does.
    pub(super) fn what(self) -> &'static str {
        match self {
            Scenario::Connections => "Connect, one byte there and back, close; 32 at a time.",
            Scenario::TlsConnections => {
                "Connect, full TLS 1.3 handshake (X25519, ECDSA P-256), one request with a 110-byte answer, close; 32 at a time."
            }
            Scenario::TlsKeepAlive => {
                "One TLS 1.3 connection, one request after the other, 110-byte answers."
            }
            Scenario::Bulk => "One plain connection that receives as much as comes.",
            Scenario::BulkMany => "16 plain connections at once that receive as much as comes.",
            Scenario::Memory => {
                "Idle connections after one byte each way, on a proxy just started: growth of its anonymous memory \
                 (Pss_Anon of /proc/PID/smaps_rollup), scaled to 10,000 connections. The kernel's sockets are not in it."
            }
        }
    }

    pub(super) fn variants(self) -> &'static [Variant] {
        match self {
            Scenario::Connections => {
                &[Variant::Direct, Variant::HaProxy, Variant::HaProxyLog, Variant::Nginx, Variant::Bowline]
            }
            Scenario::TlsConnections | Scenario::TlsKeepAlive => {
                &[Variant::Direct, Variant::HaProxy, Variant::Nginx, Variant::Bowline]
            }
            Scenario::Bulk | Scenario::BulkMany => &[
                Variant::Direct,
                Variant::HaProxy,
                Variant::HaProxyBuffers,
                Variant::HaProxySplice,
                Variant::Nginx,
                Variant::Bowline,
            ],
            Scenario::Memory => &[Variant::HaProxy, Variant::Nginx, Variant::Bowline],
        }
    }

    /// What the page shows, the main one first.
    pub(super) fn measures(self) -> &'static [Measure] {
        match self {
            Scenario::Connections => &[Measure::Connections, Measure::ConnectionCpu],
            Scenario::TlsConnections => &[Measure::TlsConnections, Measure::TlsConnectionCpu],
            Scenario::TlsKeepAlive => &[Measure::AnswerP50, Measure::AnswerP99, Measure::Requests],
            Scenario::Bulk => &[Measure::Bulk, Measure::BulkCpu],
            Scenario::BulkMany => &[Measure::BulkMany, Measure::BulkManyCpu],
            Scenario::Memory => &[Measure::Memory],
        }
    }

    /// One variant under load for the length of a round.
    pub(super) fn sample(self, bench: &Bench, variant: Variant, options: &Options) -> Result<Sample> {
        let sample = match self {
            Scenario::Connections => {
                let (told, cpu) = load(bench, variant, "connect", Some(CONCURRENCY), options)?;
                connections(&told, cpu, [Measure::Connections, Measure::ConnectionCpu])
            }
            Scenario::TlsConnections => {
                let (told, cpu) = load(bench, variant, "tls", Some(CONCURRENCY), options)?;
                connections(&told, cpu, [Measure::TlsConnections, Measure::TlsConnectionCpu])
            }
            Scenario::TlsKeepAlive => {
                let (told, _) = load(bench, variant, "keep-alive", None, options)?;
                answers(&told)
            }
            Scenario::Bulk => {
                let (told, cpu) = load(bench, variant, "bulk", Some(1), options)?;
                received(&told, cpu, [Measure::Bulk, Measure::BulkCpu])
            }
            Scenario::BulkMany => {
                let (told, cpu) = load(bench, variant, "bulk", Some(MANY), options)?;
                received(&told, cpu, [Measure::BulkMany, Measure::BulkManyCpu])
            }
            Scenario::Memory => memory(bench, variant, if options.is_smoke() { IDLE_SMOKE } else { IDLE }),
        };
        let mut sample = sample.with_context(|| format!("{} through {}", self.name(), variant.name()))?;
        if variant == Variant::Direct {
            // There is no proxy whose CPU time it could be.
            sample.values.retain(|measure, _| !measure.is_proxy_cpu());
        }
        Ok(sample)
    }
}

/// Runs the load tool: what it printed, and the CPU time that the proxy took meanwhile.
fn load(
    bench: &Bench,
    variant: Variant,
    way: &str,
    at_once: Option<usize>,
    options: &Options,
) -> Result<(Value, Duration)> {
    let before = bench.cpu(variant)?;
    let mut load = Command::new(bench.load());
    load.args([way, "--to", &bench.address(variant)?.to_string()]);
    load.args(["--seconds", &options.seconds.to_string()]);
    if let Some(number) = at_once {
        load.args([if way == "bulk" { "--connections" } else { "--concurrency" }, &number.to_string()]);
    }
    if matches!(way, "tls" | "keep-alive") {
        load.arg("--ca").arg(bench.authority());
    }
    let printed = crate::command::output(&mut load)?;
    let cpu = bench.cpu(variant)?.saturating_sub(before);
    let told =
        serde_json::from_str(&printed).with_context(|| format!("read the load's result: {printed}"))?;
    Ok((told, cpu))
}

fn connections(told: &Value, cpu: Duration, [rate, per_unit]: [Measure; 2]) -> Result<Sample> {
    let (done, seconds) = (number(told, "connections")?, number(told, "seconds")?);
    if done == 0.0 {
        bail!("no connection succeeded: {told}");
    }
    let values = [(rate, done / seconds), (per_unit, cpu.as_secs_f64() / done * TEN_THOUSAND)];
    Ok(Sample { values: BTreeMap::from(values), failed: told["failed"].as_u64().unwrap_or_default() })
}

fn answers(told: &Value) -> Result<Sample> {
    let values = [
        (Measure::AnswerP50, number(told, "p50Micros")?),
        (Measure::AnswerP99, number(told, "p99Micros")?),
        (Measure::Requests, number(told, "requests")? / number(told, "seconds")?),
    ];
    Ok(Sample { values: BTreeMap::from(values), failed: 0 })
}

fn received(told: &Value, cpu: Duration, [rate, per_unit]: [Measure; 2]) -> Result<Sample> {
    let (gigabytes, seconds) = (number(told, "bytes")? / GIGA, number(told, "seconds")?);
    if gigabytes == 0.0 {
        bail!("nothing was received: {told}");
    }
    let values = [(rate, gigabytes / seconds), (per_unit, cpu.as_secs_f64() / gigabytes)];
    Ok(Sample { values: BTreeMap::from(values), failed: told["failed"].as_u64().unwrap_or_default() })
}

/// On a proxy of its own: one that has served before may have memory left that the connections then take.
fn memory(bench: &Bench, variant: Variant, connections: usize) -> Result<Sample> {
    let proxy = bench.another(variant)?;
    let before = proxy.anonymous_memory()?;
    let mut load = Command::new(bench.load());
    load.args(["idle", "--to", &proxy.address().to_string(), "--connections", &connections.to_string()]);
    let child = load.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("start the load")?;
    let mut idle = Idle(child);
    let printed = idle.0.stdout.take().context("the load's output")?;
    let mut line = String::new();
    BufReader::new(printed).read_line(&mut line).context("wait for the idle connections")?;
    let told: Value =
        serde_json::from_str(&line).with_context(|| format!("read the load's result: {line}"))?;
    let held = number(&told, "connections")?;
    let grown = proxy.anonymous_memory()?.saturating_sub(before);
    idle.end()?;
    let megabytes = grown as f64 / 1e6 / held * IDLE_SCALED;
    Ok(Sample { values: BTreeMap::from([(Measure::Memory, megabytes)]), failed: 0 })
}

/// The load that holds idle connections; ended when this is dropped.
struct Idle(Child);

impl Idle {
    /// Lets the connections go; an error if one was gone already.
    fn end(mut self) -> Result<()> {
        drop(self.0.stdin.take());
        let status = self.0.wait().context("wait for the load")?;
        if !status.success() {
            bail!("the idle connections did not stay: {status}");
        }
        Ok(())
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn number(told: &Value, key: &str) -> Result<f64> {
    told[key].as_f64().with_context(|| format!("`{key}` of the load's result {told}"))
}
