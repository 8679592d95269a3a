//! Three stand-in API servers as processes of their own, and the faults that can befall them.
//!
//! Without privileges each has a loopback address; as root each has a network namespace behind a link that can be cut. However the
//! process that started them ends, they end too: killed on drop, by the kernel when the starting thread dies, and by themselves when
//! their stdin closes.

mod member;
mod scratch;

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bowline_sys::netns::{LinkState, Namespace};

use crate::certs::{Authority, Validity};
use crate::standin::Command;

use member::{Member, Program};
pub use scratch::Scratch;

/// Ports that no outgoing connection takes by itself (Linux starts those at 32768), so that a server finds its port free again.
const PORTS: std::ops::Range<u16> = 20_000..30_000;
/// Attempts to find a port that is still free when the servers bind it.
const START_ATTEMPTS: usize = 5;
/// Where servers listen in namespaces of their own: the port of every API server.
const API_PORT: u16 = 6443;
/// Each link is a network of its own out of 192.0.2.0/24 (RFC 5737): two addresses each, so 64 servers.
const SERVERS_MAX: usize = 64;
/// The server's end of its link.
const LINK: &str = "eth0";

/// What happens to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL: its connections end, new ones are refused.
    Killed,
    /// SIGSTOP: the kernel still connects, nobody answers.
    Frozen,
    /// `/readyz` answers 500, everything else goes on.
    NotReady,
    /// Packets to it meet silence; how, says [`Fleet::cut`].
    Unreachable,
    /// SIGTERM: the listener closes at once, watches end some seconds later.
    GracefulStop,
    /// All servers are killed, and come back together.
    AllDown,
}

impl Fault {
    /// In the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Killed, Self::Frozen, Self::NotReady, Self::Unreachable, Self::GracefulStop, Self::AllDown];

    /// Its name in tables, documents and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Frozen => "frozen",
            Self::NotReady => "not-ready",
            Self::Unreachable => "unreachable",
            Self::GracefulStop => "graceful-stop",
            Self::AllDown => "all-down",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> anyhow::Result<Self> {
        let known = Self::ALL.into_iter().find(|fault| fault.name() == name);
        known.with_context(|| {
            format!("unknown fault `{name}`; known are {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}

/// When a fault happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injected {
    /// Before this nothing was wrong.
    pub began: Instant,
    /// From here on it is in effect altogether: a process that is killed takes some milliseconds to be gone.
    pub complete: Instant,
}

/// How clients reach the servers, and with that how a server becomes unreachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// On loopback, by a full accept queue: new connections meet silence, established ones go on.
    Queue,
    /// In a namespace, by taking its link down: everything meets silence.
    Link,
}

/// What a fleet is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program that is a stand-in when started with `arguments` and the stand-in's own options.
    pub binary: PathBuf,
    pub arguments: Vec<String>,
    /// [`Cut::Link`] needs root, and makes the servers reachable only from the calling thread's namespace.
    pub cut: Cut,
    pub servers: usize,
    /// How long watches go on after a graceful stop.
    pub grace: Duration,
}

/// The running servers.
#[derive(Debug)]
pub struct Fleet {
    members: Vec<Member>,
    cut: Cut,
    authority: String,
    // Last: the servers' files are removed after the servers have ended.
    scratch: Scratch,
}

impl Fleet {
    /// Starts the servers and returns when all listen. Call it, like [`inject`](Self::inject) and [`undo`](Self::undo), from a thread
    /// that lives as long as the fleet: the kernel ends the servers with the thread that started them.
    ///
    /// # Errors
    /// When files cannot be written, no port be found, a namespace not be made, or a server does not come up.
    pub fn start(settings: &Settings) -> anyhow::Result<Self> {
        ensure!((1..=SERVERS_MAX).contains(&settings.servers), "a fleet has 1 to {SERVERS_MAX} servers");
        let scratch = Scratch::new("fleet")?;
        let authority = Authority::new("stand-in authority")?;
        std::fs::write(scratch.path().join("ca.crt"), authority.pem()).context("writing the CA file")?;
        let members = match settings.cut {
            Cut::Link => {
                let members = in_namespaces(settings, &authority, scratch.path())?;
                start_all(members)?
            }
            Cut::Queue => on_loopback(settings, &authority, scratch.path())?,
        };
        Ok(Self { members, cut: settings.cut, authority: authority.pem(), scratch })
    }

    /// Names and addresses of the servers.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        self.members.iter().map(|member| (member.name(), member.address()))
    }

    /// The CA file that verifies every server.
    pub fn ca_file(&self) -> PathBuf {
        self.scratch.path().join("ca.crt")
    }

    /// Its content.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// How a server becomes unreachable here.
    pub fn cut(&self) -> Cut {
        self.cut
    }

    /// Lets `fault` happen to the server at `index` (for [`Fault::AllDown`] to all).
    ///
    /// # Errors
    /// When there is no such server, or it does not do as told.
    pub fn inject(&mut self, fault: Fault, index: usize) -> anyhow::Result<Injected> {
        let cut = self.cut;
        let member = self.member(index)?;
        let began = Instant::now();
        match fault {
            Fault::Killed => member.kill()?,
            Fault::Frozen => member.freeze()?,
            Fault::NotReady => member.command(Command::NotReady)?,
            Fault::Unreachable => match cut {
                Cut::Queue => member.command(Command::FillQueue)?,
                Cut::Link => member.set_link(LinkState::Down)?,
            },
            Fault::GracefulStop => member.terminate()?,
            Fault::AllDown => self.members.iter_mut().try_for_each(Member::kill)?,
        }
        Ok(Injected { began, complete: Instant::now() })
    }

    /// Takes `fault` back. The moment returned is when it was gone; for all down, when the first server listened again.
    ///
    /// # Errors
    /// When there is no such server, or it does not come back.
    pub fn undo(&mut self, fault: Fault, index: usize) -> anyhow::Result<Instant> {
        let cut = self.cut;
        let member = self.member(index)?;
        match fault {
            Fault::Killed | Fault::GracefulStop => {
                member.spawn()?;
                return member.wait_listening();
            }
            Fault::Frozen => member.thaw()?,
            Fault::NotReady => member.command(Command::Ready)?,
            Fault::Unreachable => match cut {
                Cut::Queue => member.command(Command::DrainQueue)?,
                Cut::Link => member.set_link(LinkState::Up)?,
            },
            Fault::AllDown => {
                self.members.iter_mut().try_for_each(Member::spawn)?;
                let listening: Vec<Instant> =
                    self.members.iter_mut().map(Member::wait_listening).collect::<anyhow::Result<_>>()?;
                return listening.into_iter().min().context("a fleet has servers");
            }
        }
        Ok(Instant::now())
    }

    /// Gives the server at `index` a command that is no [`Fault`].
    ///
    /// # Errors
    /// When there is no such server, or it does not do as told.
    pub fn command(&mut self, index: usize, command: Command) -> anyhow::Result<()> {
        self.member(index)?.command(command)
    }

    /// The process of the server at `index`, none while it is down.
    pub fn process(&self, index: usize) -> Option<u32> {
        self.members.get(index).and_then(Member::process)
    }

    fn member(&mut self, index: usize) -> anyhow::Result<&mut Member> {
        let servers = self.members.len();
        self.members.get_mut(index).with_context(|| format!("server {index} of {servers}"))
    }
}

/// A port that is free on each of `addresses` now, outside the range from which outgoing connections are given theirs.
///
/// # Errors
/// When none is, or an address is not of this host.
pub fn free_port(addresses: &[IpAddr]) -> io::Result<u16> {
    let first = entropy();
    let count = u32::from(PORTS.end - PORTS.start);
    for step in 0..count {
        let offset = u16::try_from(first.wrapping_add(step) % count).unwrap_or_default();
        let port = PORTS.start + offset;
        let bind = |address: &IpAddr| TcpListener::bind((*address, port)).map(drop);
        match addresses.iter().try_for_each(bind) {
            Ok(()) => return Ok(port),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "no port is free"))
}

/// Where to begin the search for a port: two fleets that start at the same time shall not try the same ones.
fn entropy() -> u32 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library seeds its hasher from the kernel's random numbers.
    let number = std::hash::RandomState::new().build_hasher().finish();
    u32::try_from(number >> 32).unwrap_or_default()
}

fn name(index: usize) -> String {
    format!("cp{}", index + 1)
}

fn program(
    settings: &Settings,
    authority: &Authority,
    directory: &Path,
    index: usize,
    address: IpAddr,
) -> anyhow::Result<Program> {
    let name = name(index);
    // Clients that come through a balancer know the servers by its address.
    let addresses = [address, Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
    let names = [name.as_str(), "localhost", "kubernetes", "kubernetes.default"];
    let identity = authority.server(&name, &addresses, &names, Validity::Current)?;
    let (certificate, key) = (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")));
    std::fs::write(&certificate, &identity.certificate).context("writing a certificate")?;
    std::fs::write(&key, &identity.key).context("writing a key")?;
    Ok(Program {
        binary: settings.binary.clone(),
        arguments: settings.arguments.clone(),
        log: directory.join(format!("{name}.log")),
        grace: settings.grace,
        name,
        certificate,
        key,
    })
}

fn start_all(mut members: Vec<Member>) -> anyhow::Result<Vec<Member>> {
    members.iter_mut().try_for_each(Member::spawn)?;
    members.iter_mut().try_for_each(|member| member.wait_listening().map(drop))?;
    Ok(members)
}

/// All on one port, which may be taken by somebody else between the look and the use: then another one is tried.
fn on_loopback(settings: &Settings, authority: &Authority, directory: &Path) -> anyhow::Result<Vec<Member>> {
    let addresses: Vec<IpAddr> = (0..settings.servers)
        .map(|index| {
            Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + 1 + u32::try_from(index).unwrap_or_default())
                .into()
        })
        .collect();
    let mut failure = None;
    for _ in 0..START_ATTEMPTS {
        let port = free_port(&addresses).context("looking for a free port")?;
        let mut members = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            let program = program(settings, authority, directory, index, *address)?;
            members.push(Member::new(program, SocketAddr::new(*address, port), None));
        }
        match start_all(members) {
            Ok(members) => return Ok(members),
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) => Err(error),
        None => bail!("no attempt to start the servers was made"),
    }
}

/// Each behind a link of its own: 192.0.2.1/30 here and 192.0.2.2/30 there for the first, .5 and .6 for the second, and so on.
fn in_namespaces(
    settings: &Settings,
    authority: &Authority,
    directory: &Path,
) -> anyhow::Result<Vec<Member>> {
    const PREFIX: u8 = 30;
    let here = Namespace::current().context("opening the own network namespace")?;
    let mut members = Vec::new();
    for index in 0..settings.servers {
        let network = u8::try_from(index * 4).context("too many servers")?;
        let (near, far) = (Ipv4Addr::new(192, 0, 2, network + 1), Ipv4Addr::new(192, 0, 2, network + 2));
        let there = Namespace::create().context("making a network namespace")?;
        let name = name(index);
        here.join(&name, &there, LINK).with_context(|| format!("joining {name} to this namespace"))?;
        for (namespace, link, address) in [(&here, name.as_str(), near), (&there, LINK, far)] {
            namespace
                .add_address(link, address.into(), PREFIX)
                .with_context(|| format!("addressing {link}"))?;
            namespace.set_link(link, LinkState::Up).with_context(|| format!("setting {link} up"))?;
        }
        let program = program(settings, authority, directory, index, far.into())?;
        members.push(Member::new(program, (far, API_PORT).into(), Some(there)));
    }
    Ok(members)
}
