//! A stand-in API server: the part of a kube-apiserver that a balancer and its clients can see, with every fault on command.
//!
//! It speaks TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2, and answers `/readyz`, `/livez`, `/version` (whose `gitVersion`, like the `server`
//! header of every answer, carries the server's name), `GET /api/v1/pods?watch=1` (a JSON line every 100 ms, none with `&events=0`)
//! and `GET` and `PUT` of leases with the `resourceVersion` check; anything else is 404.
//!
//! In a test it is a [`Standin`], a thread of the test's process; behind `bowline stand-in` it is [`run`], a process that takes the
//! same [`Command`]s as lines on stdin. Only the process can be frozen or killed, only the thread needs no binary.

mod answer;
mod process;
mod queue;
mod serve;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::{mpsc, oneshot};

use crate::certs::Identity;

pub use process::run;

/// What a stand-in is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Told to clients in `gitVersion` and in the `server` header.
    pub name: String,
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    pub identity: Identity,
    /// How long open watches go on after [`Command::Stop`], like a kube-apiserver's own shutdown (there up to 60 s).
    pub grace: Duration,
}

/// What a stand-in can be told; as text (stdin of the process) in the words of [`Command::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `/readyz` answers 500.
    NotReady,
    /// `/readyz` answers 200 again.
    Ready,
    /// `/livez` answers 500 (and `/readyz` with it, as in a kube-apiserver).
    LivezFail,
    LivezOk,
    /// Every request is answered 401, as when anonymous requests are turned off.
    Unauthorized,
    Authorized,
    /// Every request is answered 429.
    Overloaded,
    /// Connections are accepted and never answered; open ones fall silent.
    Hang,
    /// Open connections are closed, new ones get bytes that are not TLS.
    Garbage,
    /// Open connections are closed, new ones get TLS and then bytes that are not HTTP.
    GarbageHttp,
    /// Ends `hang`, `garbage`, `garbage-http`, `overloaded`.
    Normal,
    /// Accepting stops with a full accept queue: the kernel answers no SYN.
    FillQueue,
    DrainQueue,
    /// The listener closes at once, watches go on for the grace time and end cleanly, then the server is gone.
    Stop,
}

impl Command {
    /// Every command with its word.
    pub const ALL: [(&'static str, Self); 14] = [
        ("notready", Self::NotReady),
        ("ready", Self::Ready),
        ("livez-fail", Self::LivezFail),
        ("livez-ok", Self::LivezOk),
        ("unauthorized", Self::Unauthorized),
        ("authorized", Self::Authorized),
        ("overloaded", Self::Overloaded),
        ("hang", Self::Hang),
        ("garbage", Self::Garbage),
        ("garbage-http", Self::GarbageHttp),
        ("normal", Self::Normal),
        ("fill-queue", Self::FillQueue),
        ("drain-queue", Self::DrainQueue),
        ("stop", Self::Stop),
    ];
}

impl FromStr for Command {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> anyhow::Result<Self> {
        let known = Self::ALL.iter().find(|(name, _)| *name == word);
        known.map(|(_, command)| *command).with_context(|| format!("unknown command `{word}`"))
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::ALL.iter().find(|(_, command)| command == self).map(|(word, _)| *word);
        f.write_str(word.expect("every command is in ALL (tested)"))
    }
}

/// A command on its way to the server, and where to say that it took effect.
struct Order {
    command: Command,
    done: oneshot::Sender<Result<(), String>>,
}

/// A stand-in in a thread of this process; dropping it ends it at once.
#[derive(Debug)]
pub struct Standin {
    address: SocketAddr,
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Standin {
    /// Starts it and returns when it listens.
    ///
    /// # Errors
    /// When the address cannot be bound or the identity not be used.
    pub fn start(options: Options) -> anyhow::Result<Self> {
        let (orders, received) = mpsc::unbounded_channel();
        let (listening, is_listening) = std::sync::mpsc::sync_channel(1);
        let thread =
            std::thread::Builder::new().name(format!("stand-in {}", options.name)).spawn(move || {
                let runtime = match runtime() {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(listening.send(Err(error))),
                };
                runtime.block_on(async move {
                    match serve::Server::bind(options) {
                        Ok(server) => {
                            drop(listening.send(Ok(server.address())));
                            server.serve(received).await;
                        }
                        Err(error) => drop(listening.send(Err(error))),
                    }
                });
            })?;
        let address = is_listening.recv().context("the stand-in's thread ended before it listened")??;
        Ok(Self { address, orders: Some(orders), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Gives it a command and waits until it has taken effect.
    ///
    /// # Errors
    /// When the command failed, or the server has ended.
    ///
    /// # Panics
    /// When called from an async task (it blocks): there use `tokio::task::spawn_blocking`.
    pub fn command(&self, command: Command) -> anyhow::Result<()> {
        let (done, is_done) = oneshot::channel();
        let orders = self.orders.as_ref().context("the stand-in was dropped")?;
        orders
            .send(Order { command, done })
            .ok()
            .with_context(|| format!("{command}: the stand-in has ended"))?;
        let result = is_done.blocking_recv().with_context(|| format!("{command}: the stand-in has ended"))?;
        result.map_err(|reason| anyhow::anyhow!("{command}: {reason}"))
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the server's thread has been printed by then; a second one here would abort the test.
            drop(thread.join());
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the stand-in's runtime")
}

#[cfg(test)]
mod tests;
