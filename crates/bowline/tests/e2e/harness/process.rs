//! Child processes with their output in a file, ended with the test on every path.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::{PATIENCE, wait_for};

/// A running child.
pub(crate) struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

/// What the kernel accounts to a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Time on a CPU, of all its threads.
    pub(crate) cpu: Duration,
    /// Resident memory.
    pub(crate) rss_kib: u64,
}

impl Process {
    /// Starts it with both outputs in `folder`/`name`.log.
    pub(crate) fn start(folder: &Path, name: &str, command: &mut Command) -> Process {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("open a log file");
        let errors = file.try_clone().expect("share a log file");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("start {name}: {error}"));
        Process { child, name: name.to_owned(), log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// None while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap_or_else(|error| panic!("look after {}: {error}", self.name))
    }

    /// Fails the test, with what it printed, when it has ended.
    pub(crate) fn must_run(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended with {status}; it printed:\n{}", self.name, self.log());
        }
    }

    /// Sends a signal by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_for(&what, limit, || self.ended())
    }

    /// Ends it at once, as a crash of its machine would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap_or_else(|error| panic!("kill {}: {error}", self.name));
        self.wait(PATIENCE);
    }

    pub(crate) fn usage(&self) -> Usage {
        usage(self.pid())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- {} printed, at the end:", self.name);
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Time on a CPU and memory of a process that runs.
pub(crate) fn usage(pid: u32) -> Usage {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).expect("list the threads of a child").flatten() {
        // A thread may end while it is looked at. The first number is the time on a CPU in nanoseconds.
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        nanoseconds += text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("read the status of a child");
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a child's memory");
    let rss_kib = rss.trim().trim_end_matches(" kB").parse().expect("a child's memory in kB");
    Usage { cpu: Duration::from_nanos(nanoseconds), rss_kib }
}

/// Sends a signal by its name without `SIG`: by the shell, which every machine has, while kill(1) comes in a package.
pub(crate) fn signal(pid: u32, name: &str) {
    output(Command::new("sh").args(["-c", &format!("kill -s {name} {pid}")]));
}

/// Runs to the end and returns what it printed; fails the test when it does not succeed.
pub(crate) fn output(command: &mut Command) -> String {
    let done =
        command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    let printed = String::from_utf8_lossy(&done.stdout).into_owned();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?} ended with {}:\n{printed}\n{errors}", done.status);
    printed
}
