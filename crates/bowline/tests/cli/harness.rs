//! Runs the program in a folder of its own and makes what it printed comparable.

use bowline_lab::fleet::Scratch;
use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A good description, with what a test wants to change in it.
pub(crate) const GOOD: &str = "\
apiVersion: bowline.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  nodes:
  - {name: cp1, roles: [control-plane, etcd], addresses: [192.0.2.11]}
  - {name: cp2, roles: [control-plane, etcd], addresses: [192.0.2.12]}
  - {name: cp3, roles: [control-plane, etcd], addresses: [192.0.2.13]}
  - {name: worker1, roles: [worker]}
  apiServer: {caFile: ca.pem}
  access:
    external: {mode: external, address: api.example.net}
";

/// A folder with a description, and the program to run in it.
pub(crate) struct Bench {
    pub(crate) scratch: Scratch,
    replaced: Vec<(String, &'static str)>,
}

impl Bench {
    /// With `description` as cluster.yaml.
    pub(crate) fn new(description: impl AsRef<[u8]>) -> Self {
        let bench = Self { scratch: Scratch::new("cli").expect("a directory"), replaced: Vec::new() };
        bench.write("cluster.yaml", description);
        bench
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.scratch.path().join(name);
        fs::write(&path, content).expect("write a file");
        path
    }

    pub(crate) fn remove(&self, name: &str) {
        // Not there is as good.
        let _gone = fs::remove_file(self.scratch.path().join(name));
    }

    /// Shows `word` instead of what differs from run to run.
    pub(crate) fn replace(mut self, volatile: impl ToString, word: &'static str) -> Self {
        self.replaced.push((volatile.to_string(), word));
        self
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
        command
            .args(args)
            .current_dir(self.scratch.path())
            // Nobody should ever see one.
            .env("RUST_BACKTRACE", "full")
            .env_remove("BOWLINE_LOG")
            .stdin(Stdio::null());
        command
    }

    /// Runs `bowline` with `args`, and shows how it ended and what it printed.
    pub(crate) fn run(&self, args: &[&str]) -> String {
        self.show(args, &self.command(args).output().expect("run bowline"))
    }

    fn show(&self, args: &[&str], output: &Output) -> String {
        let code = output.status.code().map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        let mut shown = format!("$ bowline {}\nexit {code}\n", args.join(" "));
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            if !bytes.is_empty() {
                shown.push_str(&format!("--- {name}\n{}", String::from_utf8_lossy(bytes)));
            }
        }
        assert!(!shown.contains("stack backtrace"), "{shown}");
        let folder = self.scratch.path().display().to_string();
        let mut shown = shown.replace(&folder, "[DIR]").replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
        for (volatile, word) in &self.replaced {
            shown = shown.replace(volatile, word);
        }
        without_times(&shown)
    }
}

/// `shown` without the time at the start of log lines.
fn without_times(shown: &str) -> String {
    let is_time = |word: &str| word.len() == "2026-01-01T00:00:00.000000Z".len() && word.ends_with('Z');
    let lines = shown.lines().map(|line| match line.split_once(' ') {
        Some((time, rest)) if is_time(time) => format!("[TIME] {rest}\n"),
        Some(_) | None => format!("{line}\n"),
    });
    lines.collect()
}

/// A listener of this process, in the way of one of the program's.
pub(crate) fn occupied() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("its address");
    (listener, address)
}

/// An address where nobody listens.
pub(crate) fn free() -> SocketAddr {
    occupied().1
}

/// This process's name as the kernel has it, and its id.
pub(crate) fn own_name() -> String {
    let name = fs::read_to_string("/proc/self/comm").expect("the kernel knows this process");
    format!("{} (pid {})", OsStr::new(name.trim_end()).display(), std::process::id())
}

/// Compares what was shown with the snapshot of this name.
macro_rules! assert_shown {
    ($name:literal, $shown:expr) => {
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($name, $shown)
        })
    };
}
pub(crate) use assert_shown;
