//! `bowline run` with a description made by the test.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Fleet, PATIENCE, Process, Scratch, free_port, http_get, loopback, wait_for};

/// A description in the making, from the view of one node.
#[derive(Clone)]
pub(crate) struct Cluster {
    /// Name and address of each control-plane node.
    pub(crate) servers: Vec<(String, IpAddr)>,
    pub(crate) server_port: u16,
    /// Name and address of each dedicated balancer; without one every node balances for itself.
    pub(crate) balancers: Vec<(String, IpAddr)>,
    /// Where clients of this daemon connect: a balancer's address (it probes every second), or loopback on a worker.
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) ca_file: Option<PathBuf>,
    /// The inside of `balancing: {...}`.
    pub(crate) balancing: String,
}

impl Cluster {
    /// A dedicated balancer before a fleet, with all defaults.
    pub(crate) fn balancer(fleet: &Fleet) -> Cluster {
        let address = loopback(2, 1);
        let mut cluster = Cluster::on_worker(fleet, SocketAddr::new(address, free_port(&[address])));
        cluster.balancers.push(("lb1".to_owned(), address));
        cluster
    }

    /// A dedicated balancer that goes on choosing a server that fails until it knows better: least connections, its default, would
    /// hide much by avoiding the server on which connections pile up.
    pub(crate) fn round_robin(fleet: &Fleet) -> Cluster {
        Cluster { balancing: "policy: round-robin".to_owned(), ..Cluster::balancer(fleet) }
    }

    /// A node-local balancer before a fleet, with all defaults: on both loopback addresses.
    pub(crate) fn node_local(fleet: &Fleet) -> Cluster {
        let (v4, v6) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
        let both = if std::net::TcpListener::bind((v6, 0)).is_ok() { vec![v4, v6] } else { vec![v4] };
        Cluster::on_worker(fleet, SocketAddr::new(v4, free_port(&both)))
    }

    fn on_worker(fleet: &Fleet, listen: SocketAddr) -> Cluster {
        let local = IpAddr::from(Ipv4Addr::LOCALHOST);
        Cluster {
            servers: fleet.apis.iter().map(|api| (api.name.clone(), api.address.ip())).collect(),
            server_port: fleet.port,
            balancers: Vec::new(),
            listen,
            admin: SocketAddr::new(local, free_port(&[local])),
            ca_file: Some(fleet.ca_file.clone()),
            balancing: String::new(),
        }
    }

    /// The node whose part the daemon does: the one that has the address.
    fn node(&self) -> &str {
        let balancer = self.balancers.iter().find(|(_, address)| *address == self.listen.ip());
        balancer.map_or("worker1", |(name, _)| name)
    }

    /// The description as a file holds it.
    pub(crate) fn yaml(&self) -> String {
        let mut text = String::from(
            "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nmetadata: {name: test}\nspec:\n  nodes:\n",
        );
        let roles = [("control-plane", &self.servers), ("load-balancer", &self.balancers)];
        for (role, (name, address)) in
            roles.iter().flat_map(|(role, nodes)| nodes.iter().map(move |node| (role, node)))
        {
            text += &format!("  - {{name: {name}, roles: [{role}], addresses: [\"{address}\"]}}\n");
        }
        let mode = if self.balancers.is_empty() { "node-local" } else { "load-balancer" };
        let ca =
            self.ca_file.as_ref().map_or(String::new(), |path| format!(", caFile: \"{}\"", path.display()));
        text += "  - {name: worker1, roles: [worker]}\n";
        text += &format!("  apiServer: {{port: {}{ca}}}\n", self.server_port);
        text += &format!("  access: {{internal: {{mode: {mode}, port: {}}}}}\n", self.listen.port());
        text += &format!("  balancing: {{{}}}\n  admin: {{listen: \"{}\"}}\n", self.balancing, self.admin);
        text
    }
}

/// A running daemon.
pub(crate) struct Daemon {
    pub(crate) process: Process,
    pub(crate) cluster: Cluster,
    config: PathBuf,
    /// From the start of the process to the first accepted connection.
    pub(crate) listening_after: Duration,
}

impl Daemon {
    /// Starts it and waits until it listens.
    pub(crate) fn start(scratch: &Scratch, cluster: Cluster) -> Daemon {
        let config = scratch.file(&format!("{}.yaml", cluster.node()), &cluster.yaml());
        let mut command = run_command(&config, &cluster);
        let started = Instant::now();
        let mut process =
            Process::start(scratch.path(), &format!("bowline-{}", cluster.node()), &mut command);
        wait_for("the daemon's listener", PATIENCE, || {
            process.must_run();
            TcpStream::connect_timeout(&cluster.listen, PATIENCE).ok()
        });
        let listening_after = started.elapsed();
        wait_for("the admin listener", PATIENCE, || {
            process.must_run();
            TcpStream::connect_timeout(&cluster.admin, PATIENCE).ok()
        });
        Daemon { process, cluster, config, listening_after }
    }

    /// Runs it where it is expected to end by itself: status and what it printed.
    pub(crate) fn fails(scratch: &Scratch, cluster: &Cluster) -> (ExitStatus, String) {
        let config = scratch.file("cluster.yaml", &cluster.yaml());
        let mut process =
            Process::start(scratch.path(), "bowline-that-fails", &mut run_command(&config, cluster));
        let status = process.wait(PATIENCE);
        (status, process.log())
    }

    /// The node whose part it does.
    pub(crate) fn node(&self) -> &str {
        self.cluster.node()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.cluster.listen
    }

    /// Waits until `count` endpoints have `grade`.
    pub(crate) fn wait_graded(&self, grade: &str, count: usize) {
        wait_for(
            &format!("{count} endpoints being {grade}, status is {:#}", self.status()),
            PATIENCE,
            || (self.graded(grade).len() == count).then_some(()),
        );
    }

    /// Names of the endpoints with `grade`.
    pub(crate) fn graded(&self, grade: &str) -> Vec<String> {
        let status = self.status();
        let endpoints = status["endpoints"].as_array().cloned().unwrap_or_default();
        let with_grade = endpoints.iter().filter(|endpoint| endpoint["grade"] == grade);
        with_grade.map(|endpoint| endpoint["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// `GET /status`.
    pub(crate) fn status(&self) -> Value {
        let (code, body) = http_get(self.cluster.admin, "/status").expect("ask for the status");
        assert_eq!(code, 200, "{body}");
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error} in {body}"))
    }

    /// What the status says of an endpoint, at one moment.
    pub(crate) fn endpoint(&self, name: &str) -> Value {
        let status = self.status();
        let endpoints = status["endpoints"].as_array().cloned().unwrap_or_default();
        let found = endpoints.iter().find(|endpoint| endpoint["name"] == name);
        found.unwrap_or_else(|| panic!("no endpoint {name} in {status:#}")).clone()
    }

    /// Sum of all samples of a metric whose labels contain `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &str) -> f64 {
        let (code, body) = http_get(self.cluster.admin, "/metrics").expect("ask for the metrics");
        assert_eq!(code, 200, "{body}");
        let samples = body.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])) && line.contains(labels)
        });
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Client connections at the address that tests connect to, held ones included.
    pub(crate) fn connections(&self) -> u64 {
        let status = self.status();
        let listeners = status["listeners"].as_array().cloned().unwrap_or_default();
        let (address, port) = (self.cluster.listen.ip().to_string(), self.cluster.listen.port());
        let own =
            listeners.iter().find(|listener| listener["address"] == address && listener["port"] == port);
        own.and_then(|listener| listener["connections"].as_u64())
            .unwrap_or_else(|| panic!("no {address} in {status:#}"))
    }

    /// Waits until there are `count` of them.
    pub(crate) fn wait_connections(&self, count: u64) {
        wait_for(&format!("{count} connections"), PATIENCE, || (self.connections() == count).then_some(()));
    }

    /// Replaces the description as a configuration management does: a new file is renamed over the old one.
    pub(crate) fn describe(&mut self, cluster: Cluster) {
        self.write_config(&cluster.yaml());
        self.cluster = cluster;
    }

    /// Replaces the description by any text.
    pub(crate) fn write_config(&self, text: &str) {
        let fresh = self.config.with_extension("new");
        fs::write(&fresh, text).expect("write a new description");
        fs::rename(&fresh, &self.config).expect("put a new description in its place");
    }

    /// Waits until the daemon has taken up generation `generation`.
    pub(crate) fn wait_generation(&mut self, generation: u64) {
        wait_for(&format!("generation {generation}, log:\n{}", self.process.log()), PATIENCE, || {
            self.process.must_run();
            (self.status()["generation"].as_u64() == Some(generation)).then_some(())
        });
    }

    /// Waits until the log has a line with all of `words`.
    pub(crate) fn wait_logged(&self, words: &[&str]) -> String {
        wait_for(&format!("a line with {words:?} in the log"), PATIENCE, || {
            let log = self.process.log();
            log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
        })
    }
}

fn run_command(config: &Path, cluster: &Cluster) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bowline"));
    command.args(["run", "--node", cluster.node(), "--config"]).arg(config);
    command
}
