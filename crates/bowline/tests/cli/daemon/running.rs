//! A daemon of a test's own: described, started, asked, signalled, and gone with the test.

use crate::harness::{Bench, free};
use bowline::admin::parse_listen;
use bowline::client::{self, AskError};
use bowline_plan::AdminListen;
use serde_json::Value;
use std::fs;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Addresses of the control-plane nodes; loopback, so that nothing leaves the machine.
pub(crate) const SERVERS: [&str; 3] = ["127.0.3.1", "127.0.3.2", "127.0.3.3"];

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// How often other ports are tried when somebody was faster to take them.
const TRIES: usize = 5;

/// What a daemon is told.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) node: &'static str,
    pub(crate) server_port: u16,
    /// Of the node's listeners; 0 is a free one.
    pub(crate) port: u16,
    pub(crate) admin: String,
    /// Whether the admin address is given on the command line, rather than in the description.
    pub(crate) admin_given: bool,
    /// The content of ca.pem.
    pub(crate) ca: Option<String>,
    pub(crate) ca_file: &'static str,
    pub(crate) balancing: String,
    pub(crate) log_format: &'static str,
    /// Whether standard error leads to a reader that has gone, instead of to a file.
    pub(crate) is_log_unread: bool,
}

impl Default for Description {
    fn default() -> Self {
        Self {
            node: "worker1",
            server_port: 0,
            port: 0,
            admin: String::new(),
            admin_given: true,
            ca: None,
            ca_file: "ca.pem",
            balancing: "{}".into(),
            log_format: "text",
            is_log_unread: false,
        }
    }
}

impl Description {
    fn yaml(&self) -> String {
        let [one, two, three] = SERVERS;
        let Self { server_port, port, ca_file, balancing, admin, .. } = self;
        format!(
            "apiVersion: bowline.dev/v1alpha1\n\
             kind: Cluster\n\
             metadata: {{name: test}}\n\
             spec:\n  \
               nodes:\n  \
               - {{name: cp1, roles: [control-plane], addresses: [{one}]}}\n  \
               - {{name: cp2, roles: [control-plane], addresses: [{two}]}}\n  \
               - {{name: cp3, roles: [control-plane], addresses: [{three}]}}\n  \
               - {{name: worker1, roles: [worker]}}\n  \
               apiServer: {{port: {server_port}, caFile: {ca_file}}}\n  \
               access:\n    \
                 internal: {{mode: node-local, port: {port}}}\n  \
               balancing: {balancing}\n  \
               admin: {{listen: \"{admin}\"}}\n"
        )
    }
}

/// A daemon; killed when dropped.
pub(crate) struct Running {
    pub(crate) bench: Bench,
    pub(crate) description: Description,
    pub(crate) admin: AdminListen,
    child: Child,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Running {
    /// Starts a daemon and returns when it answers.
    pub(crate) fn start(description: Description) -> Self {
        for _ in 0..TRIES {
            if let Some(running) = Self::try_start(description.clone()) {
                return running;
            }
        }
        panic!("somebody took the ports {TRIES} times");
    }

    fn try_start(mut description: Description) -> Option<Self> {
        if description.port == 0 {
            description.port = free().port();
        }
        description.admin = free().to_string();
        let bench = Bench::new(description.yaml());
        if let Some(ca) = &description.ca {
            bench.write("ca.pem", ca);
        }
        let log = fs::File::create(bench.scratch.path().join("log")).expect("a log");
        let mut args = vec!["run", "--config", "cluster.yaml", "--node", description.node];
        args.extend(["--log-format", description.log_format]);
        if description.admin_given {
            args.extend(["--admin", &description.admin]);
        }
        let mut command = bench.command(&args);
        command.stdout(Stdio::null());
        if description.is_log_unread {
            let (_gone, writer) = std::io::pipe().expect("a pipe");
            command.stderr(writer);
        } else {
            command.stderr(log);
        }
        let child = command.spawn().expect("run bowline");
        let admin = parse_listen(&description.admin).expect("an admin address");
        let mut running = Self { bench, description, admin, child };
        let is_up = wait_for("the daemon to answer", || {
            if running.child.try_wait().expect("its state").is_some() {
                let log = running.log();
                assert!(log.contains("listens there") || log.contains("taken by"), "it ended: {log}");
                return Some(false);
            }
            running.get("/livez").is_ok().then_some(true)
        });
        is_up.then_some(running)
    }

    /// Puts another description in the old one's place.
    pub(crate) fn describe(&mut self, description: &Description) {
        let new = self.bench.write("cluster.yaml.new", description.yaml());
        fs::rename(new, self.bench.scratch.path().join("cluster.yaml")).expect("replace the description");
        self.description = description.clone();
    }

    pub(crate) fn get(&self, path: &'static str) -> Result<String, AskError> {
        client::get(&self.admin, path).map(|body| String::from_utf8_lossy(&body).into_owned())
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&self.get("/status").expect("a status")).expect("JSON")
    }

    /// Waits until the status is as `wanted`, and returns it.
    pub(crate) fn wait_status(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(what, || {
            let status = serde_json::from_str(&self.get("/status").ok()?).expect("JSON");
            wanted(&status).then_some(status)
        })
    }

    pub(crate) fn metrics(&self) -> String {
        self.get("/metrics").expect("metrics")
    }

    /// What a command prints when it asks this daemon.
    pub(crate) fn command(&self, args: &[&str]) -> String {
        let admin = self.admin.to_string();
        let output =
            self.bench.command(&[args, &["--admin", &admin]].concat()).output().expect("run bowline");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.bench.scratch.path().join("log")).expect("the log")
    }

    pub(crate) fn signal(&self, name: &str) {
        // By the shell, which every machine has, while kill(1) comes in a package.
        let kill = format!("kill -s {name} {}", self.child.id());
        let status = std::process::Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(status.success());
    }

    /// Waits until the daemon has ended.
    pub(crate) fn wait_end(&mut self) -> ExitStatus {
        wait_for("the daemon to end", || self.child.try_wait().expect("its state"))
    }

    /// `shown` without what differs from run to run: ports, times, counts of what went on meanwhile.
    pub(crate) fn masked(&self, shown: &str) -> String {
        let ports = [(self.description.port, "[PORT]"), (self.description.server_port, "[API]")];
        let mut shown = shown.replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
        for (port, word) in ports {
            shown = shown.replace(&port.to_string(), word);
        }
        shown.lines().map(|line| format!("{}\n", mask_line(line))).collect()
    }
}

/// Fields and metrics whose numbers are times.
const TIMES: [&str; 5] = [
    "\"uptimeMs\": ",
    "\"evidenceAgeMs\": ",
    "bowline_uptime_seconds ",
    "bowline_endpoint_connect_seconds",
    "bowline_endpoint_evidence_age_seconds",
];

fn mask_line(line: &str) -> String {
    if line.starts_with("node ") {
        let (start, _) = line.split_once(", up ").expect("an uptime");
        return format!("{start}, up [TIME]");
    }
    if line.starts_with("ENDPOINT ") {
        // Its columns are as wide as the ages below them.
        return line.split_whitespace().collect::<Vec<_>>().join("  ");
    }
    if let Some((row, reason)) = line.split_once("/readyz") {
        // A row of the table of endpoints: the age stands before the reason.
        let words: Vec<&str> = row.split_whitespace().collect();
        if let [first @ .., age] = words.as_slice()
            && age.ends_with('s')
        {
            return format!("{}  [AGE]  /readyz{reason}", first.join("  "));
        }
    }
    let is_time = TIMES.iter().any(|name| line.trim_start().starts_with(name));
    match line.rsplit_once(' ') {
        Some((name, number)) if is_time => {
            format!("{name} [TIME]{}", if number.ends_with(',') { "," } else { "" })
        }
        Some(_) | None => line.to_owned(),
    }
}

/// Looks until there is something.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(LOOK);
    }
    panic!("waited {PATIENCE:?} for {what}");
}
