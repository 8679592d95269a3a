//! What is measured against what: each proxy as a child process with one worker before the same backend.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::command;

/// How long a proxy may take until a byte comes back through it.
const START_MAX: Duration = Duration::from_secs(10);

/// One way for a connection from the client to the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Variant {
    Direct,
    HaProxy,
    Nginx,
    Bowline,
}

impl Variant {
    pub(super) const ALL: [Variant; 4] =
        [Variant::Direct, Variant::HaProxy, Variant::Nginx, Variant::Bowline];

    pub(super) fn name(self) -> &'static str {
        match self {
            Variant::Direct => "direct",
            Variant::HaProxy => "HAProxy",
            Variant::Nginx => "nginx stream",
            Variant::Bowline => "bowline",
        }
    }

    /// The program's own words about its version, or none where it is not installed.
    fn version(self, bowline: &Path) -> Option<String> {
        let (program, argument) = match self {
            Variant::Direct => return Some(String::new()),
            Variant::HaProxy => (Path::new("haproxy"), "-v"),
            Variant::Nginx if !Path::new(NGINX_STREAM).exists() => return None,
            Variant::Nginx => (Path::new("nginx"), "-v"),
            Variant::Bowline => (bowline, "--version"),
        };
        let done = Command::new(program).arg(argument).output().ok()?;
        let text = [done.stdout, done.stderr].concat();
        Some(String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned())
    }
}

/// Debian's nginx-light has the module in a package of its own.
const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// The backend and all proxies, running; ended when this is dropped.
pub(super) struct Bench {
    /// The load tool.
    pub(super) load: PathBuf,
    backend: Running,
    proxies: Vec<(Variant, Running)>,
}

struct Running {
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

impl Bench {
    /// Starts the backend, then each proxy that is installed. bowline must be there.
    pub(super) fn start(folder: &Path, bowline: PathBuf, load: PathBuf) -> Result<Bench> {
        let address = free_address()?;
        let mut command = Command::new(&load);
        command.args(["echo", "--listen", &address.to_string()]);
        let backend = spawn("backend", command, address, folder)?;
        let mut proxies = Vec::new();
        for variant in Variant::ALL {
            let Some(version) = variant.version(&bowline) else {
                println!("SKIPPED: {}: not installed", variant.name());
                continue;
            };
            if let Some((command, own)) = prepare(variant, &bowline, folder, address)? {
                println!("  {}: {version}", variant.name());
                proxies.push((variant, spawn(variant.name(), command, own, folder)?));
            }
        }
        Ok(Bench { load, backend, proxies })
    }

    /// What runs, the direct way first.
    pub(super) fn variants(&self) -> impl Iterator<Item = Variant> {
        std::iter::once(Variant::Direct).chain(self.proxies.iter().map(|(variant, _)| *variant))
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

/// The proxy's command line and the address it will listen on, its configuration written; none for the direct way.
fn prepare(
    variant: Variant,
    bowline: &Path,
    folder: &Path,
    backend: SocketAddr,
) -> Result<Option<(Command, SocketAddr)>> {
    let own = free_address()?;
    let configured = |name: &str, text: String| -> Result<PathBuf> {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(path)
    };
    let mut command;
    match variant {
        Variant::Direct => return Ok(None),
        Variant::HaProxy => {
            command = Command::new("haproxy");
            command.args(["-db", "-f"]).arg(configured("haproxy.cfg", haproxy(own, backend))?);
        }
        Variant::Nginx => {
            command = Command::new("nginx");
            command.args(["-e", "stderr", "-p"]).arg(folder).arg("-c");
            command.arg(configured("nginx.conf", nginx(folder, own, backend))?);
        }
        Variant::Bowline => {
            command = Command::new(bowline);
            command.args(["run", "--node", "client", "--config"]);
            command.arg(configured("cluster.yaml", cluster(own, backend, free_address()?))?);
        }
    }
    Ok(Some((command, own)))
}

/// Defaults for TCP: no log, no check, one thread.
fn haproxy(own: SocketAddr, backend: SocketAddr) -> String {
    format!(
        "global\n    nbthread 1\n    maxconn 8000\ndefaults\n    mode tcp\n    timeout connect 5s\n    timeout client 1m\n    \
         timeout server 1m\nlisten all\n    bind {own}\n    server backend {backend}\n"
    )
}

fn nginx(folder: &Path, own: SocketAddr, backend: SocketAddr) -> String {
    let pid = folder.join("nginx.pid");
    format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\nerror_log stderr crit;\npid {};\nload_module {NGINX_STREAM};\n\
         events {{ worker_connections 8000; }}\nstream {{ server {{ listen {own}; proxy_pass {backend}; }} }}\n",
        pid.display()
    )
}

fn cluster(own: SocketAddr, backend: SocketAddr, admin: SocketAddr) -> String {
    format!(
        "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: bench}}\nspec:\n  nodes:\n  \
         - {{name: backend, roles: [control-plane], addresses: [\"{}\"]}}\n  - {{name: client, roles: [worker]}}\n  \
         apiServer: {{port: {}}}\n  access: {{internal: {{mode: node-local, port: {}}}}}\n  admin: {{listen: \"{admin}\"}}\n",
        backend.ip(),
        backend.port(),
        own.port()
    )
}

fn spawn(name: &str, mut command: Command, address: SocketAddr, folder: &Path) -> Result<Running> {
    let log = folder.join(format!("{}.log", name.replace(' ', "-")));
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
        stream.write_all(b"?")?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        Ok(answer == *b"?")
    };
    trial().unwrap_or(false)
}

/// A port that is free now. Nobody else takes ports in the run's own namespace.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("find a free port")?;
    listener.local_addr().context("ask for a bound address")
}

/// Which versions are compared, for the report.
pub(super) fn haproxy_version() -> String {
    let printed = command::output(Command::new("haproxy").arg("-v")).unwrap_or_default();
    printed.lines().next().unwrap_or("not installed").to_owned()
}
