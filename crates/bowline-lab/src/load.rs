//! Load for benchmarks: clients that use a proxy in one way each as fast as they are served, and the backend behind it. One
//! thread each, so that a CPU that they share with the proxy shows what each use costs in all.

mod backend;
mod bulk;
mod client;
mod idle;
mod keep_alive;
mod tls;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;

pub use backend::Backend;
pub use bulk::receive;
pub use client::connect;
pub use idle::Idle;
pub use keep_alive::ask;
pub use tls::ClientTls;

const USAGE: &str = "usage: load serve --listen ADDRESS:PORT --ca FILE
       load connect --to ADDRESS:PORT --seconds N --concurrency N
       load tls --to ADDRESS:PORT --seconds N --concurrency N --ca FILE
       load keep-alive --to ADDRESS:PORT --seconds N --ca FILE
       load bulk --to ADDRESS:PORT --seconds N --connections N
       load idle --to ADDRESS:PORT --connections N";

/// The first byte of a connection says what it is for. This one: send back what comes.
const ECHO: u8 = b'x';

/// This one: send as much as is taken, until the client closes.
const BULK: u8 = b'b';

/// An answer that is not there after this long has failed: a balancer holds a client 8 s at most.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What a client saw that opens, uses and closes connections.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Connections that were opened, had their answer and were closed.
    pub connections: u64,
    /// Connections that could not be opened, or ended without the answer.
    pub failed: u64,
    /// Wall time from the first connection to the last one counted.
    pub seconds: f64,
}

/// What a client saw that asks on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answers {
    /// Requests that were answered.
    pub requests: u64,
    /// Half of the answers were there within this many microseconds.
    pub p50_micros: f64,
    /// 99 of 100 were there within this many microseconds.
    pub p99_micros: f64,
    /// Wall time of all of them.
    pub seconds: f64,
}

/// What a client saw that only receives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Received {
    /// Over all connections.
    pub bytes: u64,
    /// Connections that ended before the time was over.
    pub failed: u64,
    /// Wall time from the first read to the last.
    pub seconds: f64,
}

/// The command line: runs the backend until it is killed, or a client for its time; a client prints what it saw as JSON.
///
/// # Errors
/// On wrong usage, an address that cannot be bound, a file that cannot be read or written, or when the kernel gives no epoll
/// instance.
pub fn run(args: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let mut args = args.into_iter();
    match args.next().as_deref() {
        Some("serve") => {
            let [listen, ca] = options(args, ["--listen", "--ca"])?;
            bowline_sys::limits::raise_descriptors().context("raise the limit of descriptors")?;
            let backend = Backend::bind(address(&listen)?)?;
            std::fs::write(&ca, backend.authority()).with_context(|| format!("write {ca}"))?;
            backend.serve()
        }
        Some("connect") => {
            let [to, seconds, concurrency] = options(args, ["--to", "--seconds", "--concurrency"])?;
            print(&connect(address(&to)?, time(&seconds)?, number("--concurrency", &concurrency)?, None)?)
        }
        Some("tls") => {
            let [to, seconds, concurrency, ca] =
                options(args, ["--to", "--seconds", "--concurrency", "--ca"])?;
            let (to, tls) = (address(&to)?, ClientTls::read(Path::new(&ca))?);
            print(&connect(to, time(&seconds)?, number("--concurrency", &concurrency)?, Some(&tls))?)
        }
        Some("keep-alive") => {
            let [to, seconds, ca] = options(args, ["--to", "--seconds", "--ca"])?;
            print(&ask(address(&to)?, time(&seconds)?, &ClientTls::read(Path::new(&ca))?)?)
        }
        Some("bulk") => {
            let [to, seconds, connections] = options(args, ["--to", "--seconds", "--connections"])?;
            print(&receive(address(&to)?, time(&seconds)?, number("--connections", &connections)?)?)
        }
        Some("idle") => {
            let [to, connections] = options(args, ["--to", "--connections"])?;
            bowline_sys::limits::raise_descriptors().context("raise the limit of descriptors")?;
            let idle = Idle::open(address(&to)?, number("--connections", &connections)?)?;
            print(&idle)?;
            idle.hold()
        }
        Some(_) | None => bail!("{USAGE}"),
    }
}

/// The values of exactly these options.
fn options<const N: usize>(
    args: impl Iterator<Item = String>,
    names: [&str; N],
) -> anyhow::Result<[String; N]> {
    let mut values = names.map(|_| String::new());
    let mut args = args;
    while let Some(word) = args.next() {
        let place = names.iter().position(|name| *name == word);
        let value =
            place.and_then(|place| values.get_mut(place)).with_context(|| format!("{word}: {USAGE}"))?;
        *value = args.next().with_context(|| format!("{word}: a value is missing; {USAGE}"))?;
    }
    if values.iter().any(String::is_empty) {
        bail!("{USAGE}");
    }
    Ok(values)
}

fn address(text: &str) -> anyhow::Result<SocketAddr> {
    text.parse().with_context(|| format!("{text}: no ADDRESS:PORT"))
}

fn time(seconds: &str) -> anyhow::Result<Duration> {
    let number = seconds.parse().with_context(|| format!("--seconds {seconds}: no number"))?;
    Duration::try_from_secs_f64(number).with_context(|| format!("--seconds {seconds}"))
}

fn number(option: &str, text: &str) -> anyhow::Result<usize> {
    text.parse().with_context(|| format!("{option} {text}: no number"))
}

fn print(outcome: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(outcome).context("write the outcome")?);
    Ok(())
}

#[cfg(test)]
mod tests;
