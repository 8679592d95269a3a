//! A host whose virtual IPs run in a process of their own, to be killed and frozen.
#![allow(dead_code, reason = "each test file uses its part of it")]

use super::*;
use bowline_vip::{Router, VirtualIps};
use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const NUMBER: &str = "BOWLINE_TEST_HOST";
const SOURCE: &str = "BOWLINE_TEST_SOURCE";
const VIPS: &str = "BOWLINE_TEST_VIPS";
const SLOW: &str = "BOWLINE_TEST_SLOW";
const VIRTUAL_MAC: &str = "BOWLINE_TEST_VIRTUAL_MAC";

/// Killed when it is dropped.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Runs this test binary again, for the ignored test `child_daemon`, which calls [`run`].
    pub(crate) fn start(host: &Host, vips: &[&str]) -> Self {
        Self::start_with(host, vips, false)
    }

    /// With settings that are [`slow`], or not.
    pub(crate) fn start_with(host: &Host, vips: &[&str], is_slow: bool) -> Self {
        Self::spawn(host, vips, is_slow.then_some(SLOW))
    }

    /// With an Ethernet address of its own.
    pub(crate) fn start_virtual(host: &Host, vips: &[&str]) -> Self {
        Self::spawn(host, vips, Some(VIRTUAL_MAC))
    }

    fn spawn(host: &Host, vips: &[&str], special: Option<&str>) -> Self {
        let settings = settings(host, vips);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child_daemon", "--ignored", "--nocapture"]);
        command.env(NUMBER, host.number.to_string()).env(SOURCE, settings.source.to_string());
        command.env(VIPS, vips.join(" ")).stdin(Stdio::piped()).stdout(Stdio::null());
        if let Some(special) = special {
            command.env(special, "yes");
        }
        Self(host.inside(|| command.spawn()).unwrap())
    }

    fn send(&self, signal: Signal) {
        kill_process(pid(self.0.id()), signal).unwrap();
    }

    pub(crate) fn freeze(&self) {
        self.send(Signal::STOP);
    }

    pub(crate) fn thaw(&self) {
        self.send(Signal::CONT);
    }

    /// Kills it; its end may take the kernel a moment.
    pub(crate) fn kill(&mut self) {
        self.0.kill().unwrap();
    }

    /// Lets it end in order.
    pub(crate) fn end(&mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }

    /// The process that watches over it.
    #[track_caller]
    pub(crate) fn guard(&self) -> u32 {
        let mut guard = None;
        wait_until("a guard", || {
            guard = children(self.0.id()).first().copied();
            guard.is_some()
        });
        guard.unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It fails when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn pid(number: u32) -> Pid {
    Pid::from_raw(number.cast_signed()).unwrap()
}

/// The children of all threads of a process.
fn children(process: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let of_task = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("children")).ok()
    };
    let all = tasks.filter_map(of_task).collect::<Vec<_>>().join(" ");
    all.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

/// Whether there is such a process that has not ended.
pub(crate) fn lives(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = status.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z')
}

/// What the child does: virtual IPs that can serve, until its standard input ends.
pub(crate) fn run() {
    let variable = |name| std::env::var(name).unwrap();
    let vips = variable(VIPS);
    let vips: Vec<&str> = vips.split(' ').collect();
    let settings = settings_of(variable(NUMBER).parse().unwrap(), ip(&variable(SOURCE)), &vips);
    let settings = if std::env::var(SLOW).is_ok() { slow(settings) } else { settings };
    let sink = Arc::new(Memory::default());
    let serving = Arc::new(Stand::default());
    let virtual_mac = std::env::var(VIRTUAL_MAC).is_ok();
    let router = Router { virtual_mac, ..router(settings) };
    let started = VirtualIps::start(vec![router], serving, sink, guard_command()).unwrap();
    started.set_can_serve("api", true);
    let _ = std::io::stdin().read_line(&mut String::new());
    started.leave();
}
