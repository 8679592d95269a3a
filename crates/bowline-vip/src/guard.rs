//! The guard: a child that outlives the daemon by a moment, to do what the daemon could not when it was killed.
//!
//! ```text
//!   daemon ──"armed", "disarmed", "farewell"──▶ guard          a pair of sockets; its end is the daemon's end
//!      ╳ killed                                   │
//!                                                 └─▶ priority 0 for every router that is armed, then its addresses are removed
//! ```
//!
//! It holds nothing and decides nothing: the lease ends by itself when it fails. Nothing that stops the daemon in order may stop
//! the guard before it, so that it ignores the signals that a service manager or a terminal sends to both.

mod child;
mod word;

pub use child::watch_over;
pub(crate) use word::Will;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bowline_sansio::Instant;
use word::Word;

/// How the guard is started: a program that calls [`watch_over`], which is the daemon's own with a hidden subcommand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GuardCommand {
    /// Such as `/proc/self/exe`.
    pub program: PathBuf,
    /// What makes it the guard.
    pub arguments: Vec<OsString>,
}

/// Between two attempts to start a guard anew. One that ends again and again costs no more than this; meanwhile the lease guards.
const RESTART_AFTER: Duration = Duration::from_secs(1);

/// How long the end of a guard is waited for that was told to end; it needs a millisecond, or, with routers armed,
/// [`child::GONE_WITHIN`] more.
const END_WITHIN: Duration = Duration::from_secs(1);

/// The daemon's side.
#[derive(Debug)]
pub(crate) struct Guard {
    command: GuardCommand,
    running: Option<Running>,
    armed: BTreeMap<u32, Will>,
    restart_at: Instant,
}

#[derive(Debug)]
struct Running {
    child: Child,
    words: UnixStream,
}

impl Guard {
    /// Starts it, in the network namespace of the calling thread.
    pub(crate) fn start(command: GuardCommand) -> io::Result<Self> {
        let running = Some(Running::start(&command)?);
        Ok(Self { command, running, armed: BTreeMap::new(), restart_at: Instant::ORIGIN })
    }

    /// From now on the guard does this when the daemon ends.
    pub(crate) fn arm(&mut self, router: u32, will: &Will) {
        self.armed.insert(router, will.clone());
        self.say(&Word::Armed { router, will: will.clone() });
    }

    /// There is nothing more to be done for this router.
    pub(crate) fn disarm(&mut self, router: u32) {
        if self.armed.remove(&router).is_some() {
            self.say(&Word::Disarmed { router });
        }
    }

    /// Starts it anew when it has ended. What happened to it, when something did.
    pub(crate) fn look_after(&mut self, now: Instant) -> Option<String> {
        let lost = match &mut self.running {
            Some(running) => match running.child.try_wait() {
                Ok(None) => return None,
                Ok(Some(status)) => Some(format!("the guard has ended: {status}")),
                Err(error) => Some(format!("the guard cannot be watched: {error}")),
            },
            None => None,
        };
        if lost.is_some() {
            self.running = None;
        }
        if now < self.restart_at {
            return lost;
        }
        self.restart_at = now + RESTART_AFTER;
        match Running::start(&self.command) {
            Ok(running) => {
                self.running = Some(running);
                for (router, will) in self.armed.clone() {
                    self.say(&Word::Armed { router, will });
                }
                lost
            }
            Err(error) => Some(format!("the guard cannot be started: {error}")),
        }
    }

    /// Lets it end: the daemon ends in order and has nothing left to be guarded.
    pub(crate) fn dismiss(mut self) {
        self.say(&Word::Farewell);
    }

    fn say(&mut self, word: &Word) {
        let Some(running) = &mut self.running else { return };
        if running.words.write_all(format!("{word}\n").as_bytes()).is_err() {
            // Gone, or so stuck that its socket is full. A line cut short would make nonsense of the next one, so that
            // it gets none, and another guard takes its place.
            let _ = running.child.kill();
        }
    }
}

impl Running {
    fn start(command: &GuardCommand) -> io::Result<Self> {
        let (words, theirs) = UnixStream::pair()?;
        words.set_nonblocking(true)?;
        let child = Command::new(&command.program)
            .args(&command.arguments)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .current_dir("/")
            // Its own group: what a terminal sends to the daemon's does not reach it.
            .process_group(0)
            .spawn()?;
        // From here on it ends with this, also when the next line fails.
        let mut running = Self { child, words };
        running.words.write_all(format!("{}\n", Word::Daemon { pid: std::process::id() }).as_bytes())?;
        Ok(running)
    }
}

impl Drop for Running {
    /// The end of its words is the end of the guard, which does what it was armed for. It is waited for, so that neither the
    /// process nor what is left of it stays behind.
    fn drop(&mut self) {
        // It fails when the guard is gone already.
        let _ = self.words.shutdown(Shutdown::Write);
        let start = std::time::Instant::now();
        while start.elapsed() < END_WITHIN {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests;
