//! The balancer of a demonstration: `bowline run` as a child, with a description made for the servers at hand.

use std::fmt::Write;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bowline_lab::fleet::{Fleet, Scratch, free_port};
use bowline_plan::AdminListen;

use crate::client;
use crate::documents::Status;

use super::interrupt::Interrupt;

/// The balancer's node in the description.
const NODE: &str = "lb1";
/// Its address: on loopback, which every process has, but not the one on which a node serves itself, so that it is planned as the
/// balancer of others that it is here.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
/// It listens in milliseconds and probes at once; on a machine that swaps it may take longer.
const START_LIMIT: Duration = Duration::from_secs(20);
/// A server that is well again is ready after two probes, of which at least two a second are sent.
const RECOVERY_LIMIT: Duration = Duration::from_secs(15);
/// Between two questions to the balancer while waiting for it.
const POLL: Duration = Duration::from_millis(20);

/// The running balancer; dropping it ends it.
#[derive(Debug)]
pub(super) struct Balancer {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    log: PathBuf,
    // Last: its files go after it.
    _scratch: Scratch,
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // Both fail only when it is gone already, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Balancer {
    /// Starts it for the servers of `fleet`, and waits until it finds all of them ready.
    pub(super) fn start(fleet: &Fleet, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let scratch = Scratch::new("demo")?;
        let port = |address: Ipv4Addr| free_port(&[address.into()]).context("looking for a free port");
        let address = SocketAddr::from((ADDRESS, port(ADDRESS)?));
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, port(Ipv4Addr::LOCALHOST)?));
        let config = scratch.path().join("cluster.yaml");
        std::fs::write(&config, description(fleet, address, admin)).context("writing the description")?;
        let log = scratch.path().join("balancer.log");
        let output = File::create(&log).context("making the balancer's log")?;
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        command
            .args(["run", "--node", NODE, "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C goes to the foreground group: the demonstration ends its children in its own order.
            .process_group(0);
        bowline_sys::child::end_with_parent(&mut command);
        let child = command.spawn().context("starting the balancer")?;
        let mut balancer = Self { child, address, admin, log, _scratch: scratch };
        balancer.wait(interrupt, START_LIMIT, "/readyz", |_| true)?;
        balancer.wait_all_ready(interrupt, START_LIMIT)?;
        Ok(balancer)
    }

    /// Where clients connect to.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it is asked how it is.
    pub(super) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Waits until the balancer finds every server ready again.
    pub(super) fn wait_recovery(&mut self, interrupt: &Interrupt) -> anyhow::Result<()> {
        self.wait_all_ready(interrupt, RECOVERY_LIMIT)
    }

    fn wait_all_ready(&mut self, interrupt: &Interrupt, limit: Duration) -> anyhow::Result<()> {
        self.wait(interrupt, limit, "/status", |body| {
            let status = serde_json::from_slice::<Status>(body);
            status.is_ok_and(|status| status.endpoints.iter().all(|endpoint| endpoint.grade == "ready"))
        })
    }

    fn wait(
        &mut self,
        interrupt: &Interrupt,
        limit: Duration,
        path: &'static str,
        is_good: impl Fn(&[u8]) -> bool,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let answer = client::get(&AdminListen::Tcp(self.admin), path);
            if answer.as_ref().is_ok_and(|body| is_good(body)) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait().context("asking for the balancer")? {
                bail!("the balancer ended ({status}): {}", self.last_words());
            }
            if Instant::now() >= deadline {
                let last = answer.map(|body| String::from_utf8_lossy(&body).into_owned());
                let last = last.unwrap_or_else(|error| error.to_string());
                bail!(
                    "the balancer's {path} is not good after {limit:?}: {last}; its log: {}",
                    self.last_words()
                );
            }
            interrupt.wait(POLL)?;
        }
    }

    fn last_words(&self) -> String {
        const LINES: usize = 5;
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join(" | ")
    }
}

/// The file that an operator would write for these servers. JSON strings are YAML strings, which spares us the quoting.
fn description(fleet: &Fleet, address: SocketAddr, admin: SocketAddr) -> String {
    let mut nodes =
        format!("  - {{name: {NODE}, roles: [load-balancer], addresses: [\"{}\"]}}\n", address.ip());
    let mut port = 0;
    for (name, server) in fleet.endpoints() {
        port = server.port();
        // Writing to a string does not fail.
        let _ok = writeln!(
            nodes,
            "  - {{name: {name}, roles: [control-plane, etcd], addresses: [\"{}\"]}}",
            server.ip()
        );
    }
    format!(
        "apiVersion: bowline.dev/v1alpha1
kind: Cluster
metadata: {{name: demo}}
spec:
  nodes:
{nodes}  apiServer: {{port: {port}, caFile: {ca_file:?}}}
  access:
    internal: {{mode: direct}}
    external: {{mode: load-balancer, port: {access_port}}}
  admin: {{listen: \"{admin}\"}}
",
        ca_file = fleet.ca_file().display().to_string(),
        access_port = address.port(),
    )
}
