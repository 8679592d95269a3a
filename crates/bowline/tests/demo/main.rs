//! `bowline demo` as a newcomer runs it: what it prints, and that nothing of it is left, however it ends.
#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Three servers and the balancer.
const CHILDREN: usize = 4;
/// Far more than the start or the end of four processes takes.
const LIMIT: Duration = Duration::from_secs(30);

/// A folder for the temporary files of one test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bowline-demo-test-{test}-{}", std::process::id()));
        std::fs::create_dir(&path).expect("folder");
        Self(path)
    }

    fn is_empty(&self) -> bool {
        std::fs::read_dir(&self.0).expect("folder").next().is_none()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A failed test may leave it full; its name says whose it was.
        drop(std::fs::remove_dir_all(&self.0));
    }
}

fn demo(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
    command.arg("demo").args(arguments).env("TMPDIR", &folder.0).stdin(Stdio::null());
    command
}

/// The processes whose parent is `process`.
fn children(process: u32) -> Vec<u32> {
    let parent = format!("PPid:\t{process}");
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|child| {
            let status = std::fs::read_to_string(format!("/proc/{child}/status"));
            status.is_ok_and(|status| status.lines().any(|line| line == parent))
        })
        .collect()
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::yield_now();
    }
}

/// Whether `process` runs; one that is dead and not yet asked about does not.
fn runs(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/status"))
        .is_ok_and(|status| !status.contains("State:\tZ"))
}

#[test]
fn one_fault_is_shown_as_a_document() {
    let folder = Folder::new("document");
    let output = demo(&folder, &["--fault", "killed", "--output", "json"]).output().expect("running");
    let display = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{display}");
    let document: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("one document, and nothing else");
    assert_eq!(document["schema"], "bowline.dev/demo/v1");
    let faults = document["faults"].as_array().expect("faults");
    assert_eq!(faults.len(), 1);
    let fault = &faults[0];
    assert_eq!(fault["fault"], "killed");
    assert!(fault["requests"].as_u64().expect("requests") > 100, "{fault:#}");
    let long = |kind: &str| fault[kind].as_object().expect("long connections").clone();
    for kind in ["talking", "silent"] {
        let fates = ["kept", "ended", "broken", "hung"];
        let sum: u64 = fates.iter().map(|fate| long(kind)[*fate].as_u64().expect("a number")).sum();
        assert_eq!(sum, 10, "{fault:#}");
    }
    let broken = long("talking")["broken"].as_u64().max(long("silent")["broken"].as_u64());
    assert!(broken > Some(0), "the server that was killed had long connections: {fault:#}");
    assert!(folder.is_empty(), "temporary files are left");
}

#[test]
fn an_unknown_fault_is_answered_with_those_that_are_known() {
    let folder = Folder::new("unknown");
    let output = demo(&folder, &["--fault", "bored"]).output().expect("running");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("killed, frozen, not-ready, unreachable, graceful-stop, all-down"), "{said}");
}

/// Starts a demonstration, and returns when its servers and its balancer serve.
fn under_way(folder: &Folder) -> (Child, Vec<u32>) {
    let mut command = demo(folder, &[]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("starting");
    let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
    let serving = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with("serving on")));
    assert!(serving.is_some(), "it ended before it served");
    // Nobody reads the rest of the display, which must not matter.
    let started = children(child.id());
    assert_eq!(started.len(), CHILDREN);
    (child, started)
}

fn send(signal: &str, child: &Child) {
    // By the shell, which every machine has, while kill(1) comes in a package.
    let kill = format!("kill -s {signal} {}", child.id());
    let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
    assert!(sent.success(), "kill {signal}");
}

#[test]
fn a_signal_ends_everything_in_good_order() {
    for signal in ["TERM", "INT"] {
        let folder = Folder::new(&format!("signal{signal}"));
        let (mut child, started) = under_way(&folder);
        send(signal, &child);
        assert_eq!(child.wait().expect("its end").code(), Some(3));
        for process in started {
            assert!(!Path::new(&format!("/proc/{process}")).exists(), "process {process} is left");
        }
        assert!(folder.is_empty(), "temporary files are left");
    }
}

#[test]
fn its_processes_end_even_when_it_is_killed() {
    let folder = Folder::new("killed");
    let (mut child, started) = under_way(&folder);
    child.kill().expect("SIGKILL");
    child.wait().expect("its end");
    for process in started {
        eventually("the end of a child", || !runs(process));
    }
}

#[test]
fn a_virtual_ip_that_is_handed_over_leaves_no_connection_hanging() {
    if let Some(missing) = bowline_lab::lan::Lan::missing() {
        println!("skipped: {missing}");
        return;
    }
    let folder = Folder::new("vip");
    let arguments = ["--vip", "--alone", "--fault", "stop", "--output", "json"];
    let output = demo(&folder, &arguments).output().expect("running");
    let display = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{display}");
    let document: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("one document, and nothing else");
    assert_eq!(document["schema"], "bowline.dev/demo-vip/v1");
    let faults = document["faults"].as_array().expect("faults");
    assert_eq!(faults.len(), 1);
    let fault = &faults[0];
    assert_eq!((fault["fault"].as_str(), fault["system"].as_str()), (Some("stop"), Some("bowline")));
    if fault["runs"] == 0 {
        println!("skipped: the machine stood still while the address moved");
        return;
    }
    // Whatever is slow, nobody is left without an answer, and nobody else has the address.
    assert_eq!(
        (&fault["hung"], &fault["redialledHung"], &fault["notOneInTheEnd"]),
        (&0.into(), &0.into(), &0.into())
    );
    assert!(fault["broken"].as_u64().expect("a number") > 0, "{fault}");
    assert!(folder.is_empty(), "files are left");
}

#[test]
fn what_demo_with_a_virtual_ip_is_told_wrongly_is_said() {
    let folder = Folder::new("vip-refusals");
    for (arguments, said) in [
        (&["--runs", "2"][..], "--vip"),
        (&["--vip", "--fault", "killed"], "known are link-cut"),
        (&["--vip", "--runs", "0"], "from 1 to"),
        (&["--vip", "--interval", "5"], "from 10 to"),
    ] {
        let output = demo(&folder, arguments).output().expect("running");
        let display = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_allowed = bowline_lab::lan::Lan::missing().is_none() || arguments[0] == "--runs";
        assert!(
            !output.status.success() && (display.contains(said) || !is_allowed),
            "{arguments:?}: {display}"
        );
    }
}
