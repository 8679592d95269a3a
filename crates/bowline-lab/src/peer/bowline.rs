//! The balancer under test as a virtual router: whatever binary it is, driven by its description file and read by its own account.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use bowline_sys::netns::Namespace;
use rustix::process::Signal;
use serde_json::Value;

use super::jail::{Jail, Program, until};
use super::{Running, Setup, Subject};
use crate::lan::{Host, LINK};

/// Where its admin listener is, in its own namespace.
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9643);
/// Counters of packets it refused.
const DISCARDED: &str = "bowline_vrrp_discarded_total";
/// One of the threads that serve clients.
const WORKER: &str = "proxy-0";
/// What a Backup waits longer by design, for each place in the order of the group.
const RANK_WAIT: Duration = Duration::from_millis(20);

/// A binary that takes `run --node NAME --config FILE`.
#[derive(Debug, Clone)]
pub struct Bowline {
    pub binary: PathBuf,
    /// Whether adverts of routers that are not in its description count: those of other makes do.
    pub foreign: bool,
}

impl Bowline {
    /// A description of the group for the router on `host`.
    pub fn description(&self, host: &Host, setup: &Setup) -> String {
        let mut nodes = format!(
            "  - {{name: {}, roles: [load-balancer], addresses: [\"{}\", \"{}\"]}}\n",
            host.name(),
            host.address(),
            host.address6()
        );
        let mut on = vec![host.name().to_owned()];
        let mut priorities = vec![format!("{}: {}", host.name(), setup.priority)];
        for other in &setup.others {
            let name = &other.name;
            let listed: Vec<String> = other.addresses.iter().map(|one| format!("\"{one}\"")).collect();
            let listed = listed.join(", ");
            nodes += &format!("  - {{name: {name}, roles: [load-balancer], addresses: [{listed}]}}\n");
            on.push(name.clone());
            priorities.push(format!("{name}: {}", other.priority));
        }
        let addresses: Vec<String> = setup.addresses.iter().map(|one| format!("\"{one}\"")).collect();
        let mut more = String::new();
        if let Some(password) = &setup.password {
            more += &format!(", password: {password}");
        }
        if !setup.unicast.is_empty() {
            more += ", unicast: true";
        }
        if setup.virtual_mac {
            more += ", virtualMAC: true";
        }
        if self.foreign {
            more += ", peers: any";
        }
        format!(
            "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: lab}}\nspec:\n  nodes:\n{nodes}  \
             - {{name: api, roles: [control-plane], addresses: [192.0.2.250]}}\n  access:\n    internal: {{mode: \
             virtual-ip, port: 8443}}\n    external: {{mode: virtual-ip, virtualIPs: [lab], port: 8443}}\n  \
             virtualIPs:\n  - {{name: lab, addresses: [{}], on: [{}], version: {}, interval: {}ms, preempt: {}, vrid: \
             {}, interface: {LINK}, priorities: {{{}}}, track: none{more}}}\n  admin: {{listen: \"{ADMIN}\"}}\n",
            addresses.join(", "),
            on.join(", "),
            setup.version,
            setup.interval.as_millis(),
            setup.preempt,
            setup.vrid,
            priorities.join(", ")
        )
    }

    /// Starts it on `host` with any description, and files beside it, which it sees in `/tmp`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_with(
        &self,
        host: &Host,
        description: &str,
        files: &[(&str, &str)],
    ) -> anyhow::Result<Daemon> {
        self.start_by(&[], host, description, files)
    }

    /// The same by a program with its arguments, which becomes it.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_by(
        &self,
        launcher: &[&str],
        host: &Host,
        description: &str,
        files: &[(&str, &str)],
    ) -> anyhow::Result<Daemon> {
        let folder = Jail::folder("daemon")?;
        for (name, text) in [("cluster.yaml", description)].iter().chain(files) {
            std::fs::write(folder.path().join("tmp").join(name), text)
                .with_context(|| format!("writing {name}"))?;
        }
        let arguments = ["run", "--node", host.name(), "--config", "/tmp/cluster.yaml"];
        let program = Program::new(&self.binary, &arguments).by(launcher);
        let mut jail = Jail::start(folder, host.namespace(), &program)?;
        // The namespace outlives the borrow of its host.
        let namespace = host.namespace().inside(Namespace::current)??;
        let up = until(|| {
            let ended = (!jail.alive()).then_some(false);
            ended.or_else(|| get(&namespace, "/status").is_ok().then_some(true))
        });
        if up != Some(true) {
            bail!("it did not come up: {}", jail.log());
        }
        Ok(Daemon { jail, namespace })
    }
}

impl Subject for Bowline {
    fn name(&self) -> &str {
        "bowline"
    }

    fn missing(&self) -> Option<String> {
        (!self.binary.is_file()).then(|| format!("{} is not there", self.binary.display()))
    }

    fn lacks(&self, _setup: &Setup) -> Option<String> {
        None
    }

    fn start(&self, host: &Host, setup: &Setup) -> anyhow::Result<Box<dyn Running>> {
        Ok(Box::new(self.start_with(host, &self.description(host, setup), &[])?))
    }

    fn deviations(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn patience(&self, setup: &Setup) -> Duration {
        RANK_WAIT * u32::try_from(setup.others.len()).unwrap_or(u32::MAX)
    }
}

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    jail: Jail,
    namespace: Namespace,
}

impl Daemon {
    /// `GET /status`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&get(&self.namespace, "/status")?).context("reading the status")
    }

    /// What the status says of a virtual IP.
    ///
    /// # Errors
    /// When it does not answer, or says nothing of it.
    pub fn virtual_ip(&self, name: &str) -> anyhow::Result<Value> {
        let status = self.status()?;
        let all = status["virtualIPs"].as_array().context("no virtual IPs in the status")?;
        let found = all.iter().find(|one| one["name"] == name);
        Ok(found.with_context(|| format!("no virtual IP {name} in {status}"))?.clone())
    }

    /// Samples of the metrics whose name begins with `prefix`: name with labels, and value.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn metrics(&self, prefix: &str) -> anyhow::Result<Vec<(String, f64)>> {
        let body = get(&self.namespace, "/metrics")?;
        let samples = body.lines().filter(|line| line.starts_with(prefix));
        Ok(samples
            .filter_map(|line| {
                let (name, value) = line.rsplit_once(' ')?;
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect())
    }

    /// Replaces its description, as a configuration management does.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn describe(&self, description: &str) -> anyhow::Result<()> {
        let folder = self.jail.path().join("tmp");
        std::fs::write(folder.join("new.yaml"), description).context("writing a description")?;
        std::fs::rename(folder.join("new.yaml"), folder.join("cluster.yaml")).context("putting it in place")
    }

    /// Its process.
    pub fn jail(&self) -> &Jail {
        &self.jail
    }
}

impl Running for Daemon {
    fn ask_to_stop(&mut self) -> anyhow::Result<()> {
        self.jail.signal(Signal::TERM)
    }

    fn wait_end(&mut self) -> anyhow::Result<()> {
        self.jail.wait_end()
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.jail.signal(Signal::KILL)?;
        self.jail.wait_end()
    }

    fn freeze(&mut self, frozen: bool) -> anyhow::Result<()> {
        self.jail.signal(if frozen { Signal::STOP } else { Signal::CONT })
    }

    fn wedge(&mut self, wedged: bool) -> anyhow::Result<()> {
        self.jail.hold_thread(WORKER, wedged)
    }

    fn starve(&mut self, starved: bool) -> anyhow::Result<()> {
        self.jail.starve(starved)
    }

    fn is_ready(&mut self) -> anyhow::Result<bool> {
        let status = self.status()?;
        let all = |list: &str, is_well: &dyn Fn(&Value) -> bool| {
            status[list].as_array().is_some_and(|list| list.iter().all(is_well))
        };
        let takes_part =
            |one: &Value| one["canServe"] == true && (one["state"] == "backup" || one["state"] == "active");
        Ok(all("virtualIPs", &takes_part) && all("endpoints", &|one| one["grade"] == "ready"))
    }

    fn alive(&mut self) -> bool {
        self.jail.alive()
    }

    fn complaints(&mut self) -> anyhow::Result<Vec<(String, u64)>> {
        let samples = self.metrics(DISCARDED)?;
        let counted = samples.into_iter().filter(|(_, value)| *value >= 1.0);
        // Counters are whole numbers, far below what a float holds exactly.
        Ok(counted.map(|(name, value)| (name, format!("{value:.0}").parse().unwrap_or(u64::MAX))).collect())
    }

    fn log(&self) -> String {
        self.jail.log()
    }
}

/// The body of an answer of the admin listener.
fn get(namespace: &Namespace, path: &str) -> anyhow::Result<String> {
    const LIMIT: Duration = Duration::from_secs(5);
    let stream = namespace.inside(|| TcpStream::connect_timeout(&ADMIN, LIMIT))?;
    let mut stream = stream.context("connecting to the admin listener")?;
    stream.set_read_timeout(Some(LIMIT)).context("setting a timeout")?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {ADMIN}\r\nconnection: close\r\n\r\n").context("asking")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("reading an answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a head")?;
    let head = head.to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        bail!("{path}: {}", head.lines().next().unwrap_or_default());
    }
    Ok(if head.contains("transfer-encoding: chunked") { unchunked(body) } else { body.to_owned() })
}

/// A chunked body (RFC 9112 section 7.1) without its chunk lines.
fn unchunked(body: &str) -> String {
    let (mut whole, mut rest) = (String::new(), body);
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        let Some(chunk) = after.get(..size).filter(|chunk| !chunk.is_empty()) else { break };
        whole += chunk;
        rest = after.get(size + 2..).unwrap_or_default();
    }
    whole
}
