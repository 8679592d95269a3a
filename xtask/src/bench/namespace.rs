//! Where a benchmark runs: a network and a process namespace that end with it, one CPU, a fixed congestion control.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;

/// The ways in, the best first: as root; as a user where the system allows it; with nothing but the CPU.
///
/// `--kill-child` ends everything inside when the outer process ends, however it ends; the namespaces have no name, so
/// nothing is left behind. `setsid` gives the run an autogroup of its own, whose weight can be raised without touching
/// the caller's.
const WAYS: [&[&str]; 3] = [
    &["unshare", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "setsid", "--wait"],
    &[
        "unshare",
        "--map-root-user",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "setsid",
        "--wait",
    ],
    &["setsid", "--wait"],
];

/// Set where the namespace is the run's own: only there may settings be written.
const OWN: &str = "BOWLINE_BENCH_NAMESPACE";

/// The command that starts `program` there; its arguments are to be added.
pub(super) fn enter(program: &Path) -> Command {
    let cpu = first_cpu().to_string();
    let pinned = ["taskset", "--cpu-list", &cpu];
    for way in WAYS {
        let Some((first, rest)) = way.split_first() else { continue };
        let trial: Vec<&str> = rest.iter().chain(pinned.iter()).chain(["true"].iter()).copied().collect();
        if command::works(first, &trial) {
            let mut entry = Command::new(first);
            entry.args(rest).args(pinned).arg(program);
            if *first == "unshare" {
                entry.env(OWN, "1");
            }
            return entry;
        }
    }
    Command::new(program)
}

/// Sets the namespace up and says, a line each, under which conditions the numbers come about.
pub(super) fn prepare() -> Result<Vec<String>> {
    let mut lines = vec![machine()];
    let allowed = status("Cpus_allowed_list:").unwrap_or_default();
    lines.push(format!("client, proxy and backend on CPU {allowed}"));
    if std::env::var_os(OWN).is_none() {
        lines.push(
            "in the host's network namespace (no right to make one): settings are the host's".to_owned(),
        );
    } else {
        command::run(Command::new("ip").args(["link", "set", "lo", "up"]))
            .context("bring up the loopback device")?;
        // By the route, for both sides: as a default of a namespace the kernel takes only what every user may choose, and
        // cubic is not always among that.
        for destination in ["127.0.0.0/8", "127.0.0.1"] {
            let words =
                ["route", "replace", "local", destination, "dev", "lo", "proto", "kernel", "scope", "host"];
            let mut route = Command::new("ip");
            route.args(words).args(["src", "127.0.0.1", "table", "local", "congctl", "cubic"]);
            command::run(&mut route).context("choose the congestion control")?;
        }
        // A client port is free again a second after its connection has ended, and there are enough of them for that second.
        set("/proc/sys/net/ipv4/tcp_tw_reuse", "1")?;
        set("/proc/sys/net/ipv4/ip_local_port_range", "1024 65535")?;
        lines.push("network namespace of its own, cubic, time-wait ports reused".to_owned());
    }
    // Neighbours on a shared machine distort less when the run weighs more. Not every user may ask for it.
    match fs::write("/proc/self/autogroup", "-20") {
        Ok(()) => lines.push("autogroup nice -20".to_owned()),
        Err(error) => lines.push(format!("autogroup as it is ({error})")),
    }
    lines.push(load_average("at the start"));
    Ok(lines)
}

/// How busy the machine is, this run included.
pub(super) fn load_average(when: &str) -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("load average {when} {}", load.split_whitespace().next().unwrap_or("unknown"))
}

fn machine() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':')).map_or("unknown CPU", |(_, name)| name.trim());
    format!("{model}, Linux {}", kernel.trim())
}

fn set(path: &str, value: &str) -> Result<()> {
    fs::write(path, value).with_context(|| format!("write {value} to {path}"))
}

fn first_cpu() -> u32 {
    let list = status("Cpus_allowed_list:").unwrap_or_default();
    list.split(['-', ',']).next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

fn status(key: &str) -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim().to_owned())
}
