//! What is measured against what: each proxy as a child process with one worker before the same backend.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use config::{HaProxy, NGINX_STREAM};

mod config;

/// How long a proxy may take until a byte comes back through it.
const START_MAX: Duration = Duration::from_secs(10);

/// One way for a connection from the client to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Variant {
    Direct,
    HaProxy,
    HaProxyLog,
    HaProxyBuffers,
    HaProxySplice,
    Nginx,
    Bowline,
}

impl Variant {
    pub(super) const ALL: [Variant; 7] = [
        Variant::Direct,
        Variant::HaProxy,
        Variant::HaProxyLog,
        Variant::HaProxyBuffers,
        Variant::HaProxySplice,
        Variant::Nginx,
        Variant::Bowline,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Variant::Direct => "direct",
            Variant::HaProxy => "HAProxy",
            Variant::HaProxyLog => "HAProxy, log on",
            Variant::HaProxyBuffers => "HAProxy, 64 KiB buffers",
            Variant::HaProxySplice => "HAProxy, forced splice",
            Variant::Nginx => "nginx stream",
            Variant::Bowline => "bowline",
        }
    }

    /// The program's own words about its version, or none where it is not installed.
    fn version(self, bowline: &Path) -> Option<String> {
        let (program, argument) = match self {
            Variant::Direct => return Some(String::new()),
            Variant::HaProxy | Variant::HaProxyLog | Variant::HaProxyBuffers | Variant::HaProxySplice => {
                (Path::new("haproxy"), "-v")
            }
            Variant::Nginx if !Path::new(NGINX_STREAM).exists() => return None,
            Variant::Nginx => (Path::new("nginx"), "-v"),
            Variant::Bowline => (bowline, "--version"),
        };
        let done = Command::new(program).arg(argument).output().ok()?;
        let text = [done.stdout, done.stderr].concat();
        Some(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
    }
}

/// The backend and all proxies, running; ended when this is dropped.
pub(super) struct Bench {
    programs: Programs,
    backend: Running,
    proxies: Vec<(Variant, Running)>,
    /// One line for each program that is compared.
    pub(super) versions: Vec<String>,
}

/// What is run, and where its files lie.
struct Programs {
    bowline: PathBuf,
    load: PathBuf,
    folder: PathBuf,
    /// Where logs go: a socket that nobody reads, so that a log costs its writer and nobody else.
    log_sink: UdpSocket,
}

/// A process that listens; ended when this is dropped.
pub(super) struct Running {
    child: Child,
    address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes of anonymous memory, each divided by the number of its users (`Pss_Anon`, proc_pid_smaps_rollup(5)).
    pub(super) fn anonymous_memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss_Anon:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        Ok(kibibytes.with_context(|| format!("Pss_Anon in {path}"))? * 1024)
    }
}

impl Bench {
    /// Starts the backend, then each of these proxies that is installed. bowline must be there.
    pub(super) fn start(
        folder: &Path,
        bowline: PathBuf,
        load: PathBuf,
        variants: &[Variant],
    ) -> Result<Bench> {
        let log_sink = UdpSocket::bind("127.0.0.1:0").context("open a socket for logs")?;
        let programs = Programs { bowline, load, folder: folder.to_owned(), log_sink };
        let address = free_address()?;
        let mut command = Command::new(&programs.load);
        command.args(["serve", "--listen", &address.to_string(), "--ca"]).arg(programs.authority());
        let backend = spawn("backend", command, address, folder)?;
        let (mut proxies, mut versions) = (Vec::new(), Vec::new());
        for variant in variants.iter().copied().filter(|variant| *variant != Variant::Direct) {
            let Some(version) = variant.version(&programs.bowline) else {
                println!("SKIPPED: {}: not installed", variant.name());
                continue;
            };
            if !versions.contains(&version) {
                versions.push(version);
            }
            proxies.push((variant, programs.start(variant, address)?));
        }
        Ok(Bench { programs, backend, proxies, versions })
    }

    /// What runs of these, in their order.
    pub(super) fn running_of(&self, variants: &[Variant]) -> Vec<Variant> {
        variants.iter().copied().filter(|variant| self.running(*variant).is_ok()).collect()
    }

    /// One more process of this kind, before the same backend.
    pub(super) fn another(&self, variant: Variant) -> Result<Running> {
        self.programs.start(variant, self.backend.address)
    }

    /// The load tool.
    pub(super) fn load(&self) -> &Path {
        &self.programs.load
    }

    /// A file with the authority of the backend's certificate.
    pub(super) fn authority(&self) -> PathBuf {
        self.programs.authority()
    }

    /// Where the client connects to.
    pub(super) fn address(&self, variant: Variant) -> Result<SocketAddr> {
        Ok(self.running(variant)?.address)
    }

    /// CPU time of all threads of the proxy since its start; none for the direct way.
    pub(super) fn cpu(&self, variant: Variant) -> Result<Duration> {
        if variant == Variant::Direct {
            return Ok(Duration::ZERO);
        }
        let tasks = format!("/proc/{}/task", self.running(variant)?.child.id());
        let mut nanoseconds = 0;
        for task in fs::read_dir(&tasks).with_context(|| format!("list {tasks}"))? {
            let path = task.with_context(|| format!("list {tasks}"))?.path().join("schedstat");
            // The first number: nanoseconds on a CPU (Documentation/scheduler/sched-stats.rst). A thread may just have ended.
            let text = fs::read_to_string(path).unwrap_or_default();
            nanoseconds +=
                text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn running(&self, variant: Variant) -> Result<&Running> {
        if variant == Variant::Direct {
            return Ok(&self.backend);
        }
        let found = self.proxies.iter().find(|(running, _)| *running == variant);
        found.map(|(_, running)| running).with_context(|| format!("{} does not run", variant.name()))
    }
}

impl Programs {
    fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// Writes the proxy's configuration and starts it.
    fn start(&self, variant: Variant, backend: SocketAddr) -> Result<Running> {
        let own = free_address()?;
        let command = match variant {
            Variant::Direct => bail!("the direct way is no program"),
            Variant::HaProxy => self.haproxy(HaProxy::Default, own, backend)?,
            Variant::HaProxyLog => {
                let sink = self.log_sink.local_addr().context("ask for a bound address")?;
                self.haproxy(HaProxy::Log(sink), own, backend)?
            }
            Variant::HaProxyBuffers => self.haproxy(HaProxy::Buffers, own, backend)?,
            Variant::HaProxySplice => self.haproxy(HaProxy::Splice, own, backend)?,
            Variant::Nginx => {
                let text = config::nginx(&self.folder, own, backend);
                let mut command = Command::new("nginx");
                command.args(["-e", "stderr", "-p"]).arg(&self.folder).arg("-c");
                command.arg(self.write(&format!("nginx-{}.conf", own.port()), &text)?);
                command
            }
            Variant::Bowline => {
                let text = config::cluster(own, backend, free_address()?);
                let mut command = Command::new(&self.bowline);
                command.args(["run", "--node", "client", "--config"]);
                command.arg(self.write(&format!("cluster-{}.yaml", own.port()), &text)?);
                command
            }
        };
        spawn(variant.name(), command, own, &self.folder)
    }

    fn haproxy(&self, kind: HaProxy, own: SocketAddr, backend: SocketAddr) -> Result<Command> {
        let text = config::haproxy(kind, own, backend);
        let mut command = Command::new("haproxy");
        command.args(["-db", "-f"]).arg(self.write(&format!("haproxy-{}.cfg", own.port()), &text)?);
        Ok(command)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    }
}

fn spawn(name: &str, mut command: Command, address: SocketAddr, folder: &Path) -> Result<Running> {
    let log = folder.join(format!("{}-{}.log", name.replace([' ', ','], "-"), address.port()));
    let file = File::create(&log).with_context(|| format!("make {}", log.display()))?;
    let errors = file.try_clone().context("share a log file")?;
    let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn();
    let mut running = Running { child: child.with_context(|| format!("start {name}"))?, address };
    let deadline = Instant::now() + START_MAX;
    loop {
        if echoes(address) {
            return Ok(running);
        }
        let ended = running.child.try_wait().context("look after a child")?;
        if ended.is_some() || Instant::now() > deadline {
            let said = fs::read_to_string(&log).unwrap_or_default();
            let state = ended.map_or("does not answer".to_owned(), |status| format!("ended with {status}"));
            bail!("{name} at {address} {state}; it said:\n{said}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One byte goes there and comes back.
fn echoes(address: SocketAddr) -> bool {
    let trial = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"x")?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        Ok(answer == *b"x")
    };
    trial().unwrap_or(false)
}

/// A port that is free now. Nobody else takes ports in the run's own namespace.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    listener.local_addr().context("ask for a bound address")
}
