//! The stand-in as a process: options from the command line, commands from stdin, SIGTERM as the graceful stop.
//!
//! It does not outlive whoever gives it commands: stdin at its end ends it at once.

use std::io::{BufRead, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use super::serve::Server;
use super::{Command, Options, Order, runtime};
use crate::certs::Identity;

const USAGE: &str =
    "usage: stand-in --name NAME --listen ADDRESS:PORT --certificate FILE --key FILE [--grace-ms N]";
/// Long enough to see watches go on after a stop, short enough for a demonstration.
const DEFAULT_GRACE: Duration = Duration::from_secs(3);

/// Runs the stand-in as this process, until stdin ends, SIGTERM or `stop`.
///
/// Says `listening ADDRESS` on stdout, then for each line on stdin `done COMMAND` when it has taken effect, or
/// `failed COMMAND: REASON`.
///
/// # Errors
/// On wrong usage, unreadable files, or an address that cannot be bound.
pub fn run(args: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
    let options = parse(args)?;
    runtime()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let server = Server::bind(options)?;
        say(&format!("listening {}", server.address()))?;
        let (orders, received) = mpsc::unbounded_channel();
        let from_signal = orders.clone();
        tokio::spawn(async move {
            if terminate.recv().await.is_some() {
                drop(from_signal.send(Order { command: Command::Stop, done: oneshot::channel().0 }));
            }
        });
        let (gone, parent_gone) = oneshot::channel::<()>();
        std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
            read_commands(&orders);
            drop(gone);
        })?;
        tokio::select! {
            () = server.serve(received) => {}
            _ = parent_gone => {}
        }
        Ok(())
    })
}

fn parse(args: impl IntoIterator<Item = String>) -> anyhow::Result<Options> {
    let mut args = args.into_iter();
    let (mut name, mut listen, mut certificate, mut key, mut grace) = (None, None, None, None, DEFAULT_GRACE);
    while let Some(option) = args.next() {
        let value = args.next().with_context(|| format!("{option}: a value is missing; {USAGE}"))?;
        match option.as_str() {
            "--name" => name = Some(value),
            "--listen" => {
                listen =
                    Some(value.parse::<SocketAddr>().with_context(|| format!("{value}: no ADDRESS:PORT"))?);
            }
            "--certificate" => certificate = Some(value),
            "--key" => key = Some(value),
            "--grace-ms" => {
                grace = Duration::from_millis(value.parse().with_context(|| format!("{value}: no number"))?);
            }
            _ => bail!("unknown option {option}; {USAGE}"),
        }
    }
    let read = |path: Option<String>| {
        let path = path.context(USAGE)?;
        std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    };
    Ok(Options {
        name: name.context(USAGE)?,
        listen: listen.context(USAGE)?,
        identity: Identity { certificate: read(certificate)?, key: read(key)? },
        grace,
    })
}

/// Obeys one line after the other, until stdin ends or the server has gone.
fn read_commands(orders: &mpsc::UnboundedSender<Order>) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let word = line.trim();
        let result = word.parse::<Command>().map_err(|error| error.to_string()).and_then(|command| {
            let (done, is_done) = oneshot::channel();
            let sent = orders.send(Order { command, done }).is_ok();
            if sent {
                is_done.blocking_recv().unwrap_or_else(|_| Err("ended".to_owned()))
            } else {
                Err("ended".to_owned())
            }
        });
        let said = match result {
            Ok(()) => say(&format!("done {word}")),
            Err(reason) => say(&format!("failed {word}: {reason}")),
        };
        if said.is_err() {
            return;
        }
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("writing to stdout")
}
