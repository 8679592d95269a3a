//! Load for benchmarks: a client that opens, uses and closes plain connections as fast as they are served, and the backend that
//! echoes. One thread each, so that a CPU that they share with a proxy shows what a connection costs in all.

mod backend;
mod client;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;

pub use backend::Backend;
pub use client::connect;

const USAGE: &str = "usage: load echo --listen ADDRESS:PORT
       load connect --to ADDRESS:PORT --seconds N --concurrency N";

/// What the client saw.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Connections that were opened, had their byte back and were closed.
    pub connections: u64,
    /// Connections that could not be opened, or ended without the byte.
    pub failed: u64,
    /// Wall time from the first connection to the last one counted.
    pub seconds: f64,
}

/// The command line: runs the backend until it is killed, or the client for its time; the client prints its [`Outcome`] as JSON.
///
/// # Errors
/// On wrong usage, an address that cannot be bound, or when the kernel gives no epoll instance.
pub fn run(args: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let mut args = args.into_iter();
    match args.next().as_deref() {
        Some("echo") => {
            let [listen] = options(args, ["--listen"])?;
            Backend::bind(address(&listen)?)?.serve()
        }
        Some("connect") => {
            let [to, seconds, concurrency] = options(args, ["--to", "--seconds", "--concurrency"])?;
            let seconds = seconds.parse().with_context(|| format!("--seconds {seconds}: no number"))?;
            let time =
                Duration::try_from_secs_f64(seconds).with_context(|| format!("--seconds {seconds}"))?;
            let concurrency =
                concurrency.parse().with_context(|| format!("--concurrency {concurrency}: no number"))?;
            let outcome = connect(address(&to)?, time, concurrency)?;
            println!("{}", serde_json::to_string(&outcome).context("write the outcome")?);
            Ok(())
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

#[cfg(test)]
mod tests;
