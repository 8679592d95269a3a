//! What a process says about itself.

#![allow(dead_code, reason = "each test file uses its part of it")]

use std::process::Command;

/// Set in a process that a test has started for itself.
pub(crate) const CHILD: &str = "BOWLINE_TEST_CHILD";

/// A test of this program, to be run in a process of its own.
pub(crate) fn child(test: &str) -> Command {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    bowline_sys::child::end_with_parent(&mut child);
    child
}

/// Runs `test` in a process of its own, and returns what it printed.
#[track_caller]
pub(crate) fn run_child(test: &str) -> String {
    let output = child(test).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}\n{output:?}");
    text
}

/// Memory of this process that no file backs, in bytes (`Pss_Anon` of smaps_rollup).
pub(crate) fn anonymous_memory() -> u64 {
    field("/proc/self/smaps_rollup", "Pss_Anon:")
}

/// Resident memory of this process, in bytes.
pub(crate) fn resident_memory() -> u64 {
    field("/proc/self/status", "VmRSS:")
}

fn field(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Open descriptors of this process.
pub(crate) fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}
