//! A program with process, mount and network namespaces of its own: what it leaves behind is gone with it, and two of a kind do not
//! meet in `/run` or `/tmp`.

use std::io::{PipeReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bowline_sys::hold::HeldThread;
use bowline_sys::netns::Namespace;
use rustix::process::{Pid, Signal, kill_process};

use super::quota::Quota;
use crate::fleet::Scratch;

/// What anything that works needs to start or to end, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);
/// Printed bytes kept; whoever prints more has lost its way.
const LOG_MAX: usize = 64 << 20;
const POLL: Duration = Duration::from_millis(2);
/// The first process: makes the folders private, starts the program, and lives on after it, for the namespace dies with it and
/// what a program left behind on purpose shall do its work.
const INIT: &str = "\
    if [ -n \"$2\" ]; then mount --bind \"$2\" \"$1/run/program\" || exit 1; fi; \
    mount --rbind \"$1/run\" /run && mount --bind \"$1/tmp\" /tmp && mount --bind /tmp /var/tmp && cd / || exit 1; \
    shift 2; \"$@\" & wait $!; exec sleep infinity";
/// What the first process becomes when the program has ended.
const AFTERWARDS: &str = "sleep";
/// Where a program is found that was given by its path, which may lie in a folder that is hidden then.
const PROGRAM: &str = "/run/program";
/// A program with its arguments.
#[derive(Debug, Clone)]
pub struct Program {
    pub path: PathBuf,
    pub arguments: Vec<String>,
    /// A program with its arguments that starts it, and becomes it.
    launcher: Vec<String>,
}

impl Program {
    pub fn new(path: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        Self { path: path.into(), arguments: owned(arguments), launcher: Vec::new() }
    }

    /// The same, started by another program with its arguments, which becomes it.
    pub fn by(self, launcher: &[&str]) -> Self {
        Self { launcher: owned(launcher), ..self }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|one| (*one).to_owned()).collect()
}

/// A program in its jail; all processes in it are killed when dropped.
#[derive(Debug)]
pub struct Jail {
    child: Child,
    main: Pid,
    log: Log,
    held: Option<HeldThread>,
    quota: Option<Quota>,
    folder: Scratch,
}

/// What a program prints, kept in memory.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Keeps what comes through the pipe until everybody who could write to it has ended.
    fn collect(&self, mut pipe: PipeReader) -> anyhow::Result<()> {
        let log = self.clone();
        let read = move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut buffer) {
                let mut kept = log.0.lock().unwrap_or_else(PoisonError::into_inner);
                let room = LOG_MAX.saturating_sub(kept.len());
                kept.extend(buffer.iter().take(length.min(room)));
            }
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(read)?;
        Ok(())
    }
}

impl Jail {
    /// Makes the folder whose `tmp` and `run` the program will see as `/tmp` (and `/var/tmp`) and `/run`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(purpose: &str) -> anyhow::Result<Scratch> {
        let folder = Scratch::new(purpose)?;
        for name in ["tmp", "run"] {
            std::fs::create_dir(folder.path().join(name)).with_context(|| format!("making {name}"))?;
        }
        Ok(folder)
    }

    /// Starts the program in a namespace. Call it from a thread that lives as long as the program shall.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(folder: Scratch, namespace: &Namespace, program: &Program) -> anyhow::Result<Self> {
        let name = program.path.display().to_string();
        // Not a file: a program that writes to a disk waits for the disk.
        let (printed, printer) = std::io::pipe().context("making a pipe")?;
        let mut program = program.clone();
        let mut source = PathBuf::new();
        if program.path.is_absolute() {
            source = std::mem::replace(&mut program.path, PROGRAM.into());
            std::fs::write(folder.path().join("run/program"), "")
                .context("making a place for the program")?;
        }
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c", INIT, "init"])
            .arg(folder.path())
            .arg(&source)
            .args(&program.launcher)
            .arg(&program.path)
            .args(&program.arguments)
            .stdin(Stdio::null())
            .stdout(printer.try_clone().context("sharing a pipe")?)
            .stderr(printer);
        bowline_sys::child::end_with_parent(&mut command);
        let spawned = namespace.inside(|| command.spawn()).context("entering a namespace")?;
        let child = spawned.context("starting unshare")?;
        // The writing ends that `command` holds would keep the pipe open for ever.
        drop(command);
        let log = Log::default();
        log.collect(printed)?;
        // `unshare`, its child the shell, the shell's child.
        let mut jail = Self { main: Pid::from_child(&child), child, log, held: None, quota: None, folder };
        let started = until(|| {
            let init = children(jail.child.id()).into_iter().next()?;
            if let Some(main) = children(init).into_iter().find(|pid| runs(*pid, &program)) {
                return Some(Pid::from_raw(main.cast_signed()));
            }
            // What ends at once may never be seen.
            (first_word(init) == AFTERWARDS.as_bytes()).then_some(None)
        });
        let Some(main) = started.flatten() else { bail!("{name} did not start: {}", jail.log()) };
        jail.main = main;
        Ok(jail)
    }

    /// The folder with `tmp` and `run`, as seen from outside.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The program's process.
    pub fn main(&self) -> Pid {
        self.main
    }

    /// Whether the program's process is there.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None)) && !is_gone(self.main)
    }

    /// Everything that was printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Sends a signal to the program's process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill_process(self.main, signal).with_context(|| format!("sending {signal:?}"))
    }

    /// Sends a signal to the program's process and all its descendants, children first when it kills: nobody sees another die.
    ///
    /// # Errors
    /// When the program has ended.
    pub fn signal_all(&self, signal: Signal) -> anyhow::Result<()> {
        let family = self.family();
        // Whoever is stopped cannot react to what happens to the others.
        let rounds = if signal == Signal::KILL { vec![Signal::STOP, Signal::KILL] } else { vec![signal] };
        for signal in rounds {
            for pid in &family {
                if let Err(error) = kill_process(*pid, signal)
                    && *pid == self.main
                {
                    return Err(error).with_context(|| format!("sending {signal:?}"));
                }
            }
        }
        Ok(())
    }

    /// The program's process and all its descendants.
    fn family(&self) -> Vec<Pid> {
        let mut family = vec![self.main];
        let mut next = 0;
        while let Some(pid) = family.get(next).copied() {
            let young = children(pid.as_raw_nonzero().get().cast_unsigned()).into_iter();
            family.extend(young.filter_map(|pid| Pid::from_raw(pid.cast_signed())));
            next += 1;
        }
        family
    }

    /// Holds one of the program's threads still while the others run on, or lets it go: the last whose name begins with `name`.
    ///
    /// # Errors
    /// When there is none, or it may not be held.
    pub fn hold_thread(&mut self, name: &str, held: bool) -> anyhow::Result<()> {
        self.held = None;
        if !held {
            return Ok(());
        }
        let named = self.threads()?.into_iter().filter(|(comm, _)| comm.starts_with(name));
        let last = named.filter_map(|(_, thread)| thread.file_name()?.to_str()?.parse().ok()).max();
        let last: u32 = last.with_context(|| format!("no thread is called {name}"))?;
        self.held = Some(HeldThread::hold(last).with_context(|| format!("holding a thread {name}"))?);
        Ok(())
    }

    /// Names of the program's threads, and their folders in `/proc`.
    ///
    /// # Errors
    /// When it has ended.
    pub fn threads(&self) -> anyhow::Result<Vec<(String, PathBuf)>> {
        let tasks = format!("/proc/{}/task", self.main.as_raw_nonzero());
        let threads = std::fs::read_dir(&tasks).with_context(|| format!("reading {tasks}"))?;
        let named = |thread: std::fs::DirEntry| {
            // One that has ended meanwhile is none.
            let name = std::fs::read_to_string(thread.path().join("comm")).ok()?;
            Some((name.trim_end().to_owned(), thread.path()))
        };
        Ok(threads.flatten().filter_map(named).collect())
    }

    /// Gives the program and its descendants a hundredth of a CPU, or as much as there is.
    ///
    /// # Errors
    /// When there is no such quota here.
    pub fn starve(&mut self, starved: bool) -> anyhow::Result<()> {
        self.quota = None;
        if starved {
            let quota = Quota::new()?;
            self.family().into_iter().try_for_each(|process| quota.take(process))?;
            self.quota = Some(quota);
        }
        Ok(())
    }

    /// Waits until the program's process has ended.
    ///
    /// # Errors
    /// When it does not.
    pub fn wait_end(&mut self) -> anyhow::Result<()> {
        match until(|| is_gone(self.main).then_some(())) {
            Some(()) => Ok(()),
            None => bail!("it did not end: {}", self.log()),
        }
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        // Who is killed while he is held, or has hardly any time to die, dies late.
        self.held = None;
        self.quota = None;
        // `--kill-child`: the first process of the namespace dies with `unshare`, and everything in the namespace with it.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asks until there is an answer, or patience ends.
pub(super) fn until<T>(mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(POLL);
    }
}

fn children(pid: u32) -> Vec<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// The name under which a process runs.
fn first_word(pid: u32) -> Vec<u8> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

/// Whether the process has become `program`: between fork and exec it is still the shell that starts it.
fn runs(pid: u32, program: &Program) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let first = program.path.as_os_str().as_encoded_bytes();
    let words = std::iter::once(first).chain(program.arguments.iter().map(String::as_bytes));
    let expected: Vec<u8> = words.flat_map(|word| word.iter().chain(&[0])).copied().collect();
    line == expected
}

/// Whether it has ended; one that nobody has waited for yet has.
fn is_gone(pid: Pid) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    // The state follows the name, which stands in brackets and may hold anything.
    text.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}
