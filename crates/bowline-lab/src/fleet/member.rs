//! One server of a fleet: its process, its voice, its namespace.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bowline_sys::netns::{LinkState, Namespace};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::LINK;
use crate::standin::Command;

/// A server answers in milliseconds; one that does not within this never will, even on a machine that swaps.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);
/// A server that was stopped gracefully is gone after its grace time and a second; then patience ends.
const STOP_MARGIN: Duration = Duration::from_secs(3);

/// What to start.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) binary: PathBuf,
    pub(super) arguments: Vec<String>,
    pub(super) name: String,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) grace: Duration,
    /// Takes its stderr.
    pub(super) log: PathBuf,
}

/// A server, running or not.
#[derive(Debug)]
pub(super) struct Member {
    program: Program,
    address: SocketAddr,
    // Before the namespace: the process ends before its network does.
    running: Option<Running>,
    namespace: Option<Namespace>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    stdin: ChildStdin,
    /// What it said, and when.
    said: Receiver<(Instant, String)>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Running {
    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Waits for the first line that `wanted` takes.
    fn wait_for<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> anyhow::Result<(Instant, T)> {
        let deadline = Instant::now() + ANSWER_LIMIT;
        loop {
            match self.said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok((at, line)) => {
                    if let Some(found) = wanted(&line) {
                        return Ok((at, found));
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("no answer within {ANSWER_LIMIT:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("ended: {}", self.child.wait()?),
            }
        }
    }
}

impl Member {
    pub(super) fn new(program: Program, address: SocketAddr, namespace: Option<Namespace>) -> Self {
        Self { program, address, running: None, namespace }
    }

    pub(super) fn name(&self) -> &str {
        &self.program.name
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn process(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.child.id())
    }

    /// Starts the process, after a former one has ended.
    pub(super) fn spawn(&mut self) -> anyhow::Result<()> {
        if let Some(former) = self.running.take() {
            wait_for_end(former, self.program.grace + STOP_MARGIN)?;
        }
        let program = &self.program;
        let log = File::create(&program.log).with_context(|| format!("{}: making its log", program.name))?;
        let mut command = std::process::Command::new(&program.binary);
        command
            .args(&program.arguments)
            .args(["--name", &program.name, "--listen", &self.address.to_string()])
            .arg("--certificate")
            .arg(&program.certificate)
            .arg("--key")
            .arg(&program.key)
            .args(["--grace-ms", &program.grace.as_millis().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            // Ctrl-C in a terminal goes to the foreground group: whoever started the fleet ends it in its own order.
            .process_group(0);
        bowline_sys::child::end_with_parent(&mut command);
        let spawned = match &self.namespace {
            Some(namespace) => namespace.inside(|| command.spawn()).context("entering its namespace")?,
            None => command.spawn(),
        };
        let mut child = spawned.with_context(|| format!("starting {}", program.binary.display()))?;
        let stdin = child.stdin.take().context("its stdin")?;
        let stdout = child.stdout.take().context("its stdout")?;
        let (say, said) = channel();
        self.running = Some(Running { child, stdin, said });
        // Ends with the process, whose end closes the pipe.
        std::thread::Builder::new().name(format!("hears {}", program.name)).spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if say.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        })?;
        Ok(())
    }

    /// Waits until it says that it listens; the moment at which it did.
    pub(super) fn wait_listening(&mut self) -> anyhow::Result<Instant> {
        let heard = self.running()?.wait_for(|line| line.strip_prefix("listening ").map(drop));
        let (at, ()) = heard.with_context(|| self.complaint())?;
        Ok(at)
    }

    /// Gives a command and waits until it has taken effect.
    pub(super) fn command(&mut self, command: Command) -> anyhow::Result<()> {
        let (done, failed) = (format!("done {command}"), format!("failed {command}: "));
        let running = self.running()?;
        writeln!(running.stdin, "{command}").with_context(|| format!("telling it to {command}"))?;
        let heard = running.wait_for(|line| match line.strip_prefix(&failed) {
            Some(reason) => Some(Err(reason.to_owned())),
            None => (line == done).then_some(Ok(())),
        });
        match heard.with_context(|| self.complaint())?.1 {
            Ok(()) => Ok(()),
            Err(reason) => bail!("{}: {command}: {reason}", self.program.name),
        }
    }

    /// SIGKILL; returns when nothing of it is left.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.running()?;
        self.running = None;
        Ok(())
    }

    /// SIGSTOP; returns when it has stopped.
    pub(super) fn freeze(&mut self) -> anyhow::Result<()> {
        let running = self.running()?;
        running.signal(Signal::STOP)?;
        waitid(WaitId::Pid(Pid::from_child(&running.child)), WaitIdOptions::STOPPED)
            .context("waiting for it to stop")?;
        Ok(())
    }

    pub(super) fn thaw(&mut self) -> anyhow::Result<()> {
        self.running()?.signal(Signal::CONT)
    }

    /// SIGTERM; returns at once.
    pub(super) fn terminate(&mut self) -> anyhow::Result<()> {
        self.running()?.signal(Signal::TERM)
    }

    pub(super) fn set_link(&mut self, state: LinkState) -> anyhow::Result<()> {
        let namespace = self.namespace.as_ref().context("only a server in a namespace has a link")?;
        namespace.set_link(LINK, state).with_context(|| format!("{}: setting its link", self.program.name))
    }

    fn running(&mut self) -> anyhow::Result<&mut Running> {
        self.running.as_mut().with_context(|| format!("{} is down", self.program.name))
    }

    /// Its name and the last it wrote to stderr.
    fn complaint(&self) -> String {
        let log = std::fs::read_to_string(&self.program.log).unwrap_or_default();
        match log.trim() {
            "" => self.program.name.clone(),
            text => format!("{}: {text}", self.program.name),
        }
    }
}

/// A process that ends has closed its stdout, which is what the thread that hears it waits for.
fn wait_for_end(running: Running, limit: Duration) -> anyhow::Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        match running.said.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(_) => {}
            // Dropping it kills what is left; after a graceful end there is nothing.
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => return Ok(()),
        }
    }
}
