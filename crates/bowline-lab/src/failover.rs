//! What a client sees when the holder of a virtual IP fails: three balancer hosts, three API servers and a client on one segment.
//!
//! The same rig measures every balancer: it knows their [`System`] only as something that is started on a host, and killed.

mod bowline;
mod holders;
mod incumbent;
mod summary;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::certs::{Authority, Validity};
use crate::gauge::Gauge;
use crate::lan::{Cut, Host, Lan};
use crate::outage::{Client, Report, Settings};
use crate::peer::Running;
use crate::standin::{Options, Standin};
use crate::wire::Tap;

pub use bowline::Daemons;
pub use holders::{Holders, Watch};
pub use incumbent::{Incumbent, Tuning};
pub use summary::{Measured, Spread, summary};

/// The address that moves.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
/// The port of the API, at the virtual IP and at the servers.
pub const PORT: u16 = 6443;
/// The balancer hosts, in the order in which they should hold the address.
pub const BALANCERS: [&str; 3] = ["lb1", "lb2", "lb3"];
/// The API servers' hosts.
pub const SERVERS: [&str; 3] = ["cp1", "cp2", "cp3"];
const CLIENT: &str = "client";
/// What works is there within this, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(10);

/// What happens to the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its link loses the carrier.
    LinkCut,
    /// It is stopped as planned, by SIGTERM.
    Stop,
    /// SIGKILL to whatever speaks VRRP.
    Kill,
    /// SIGSTOP to it.
    Freeze,
    /// Its adverts do not reach the others any more, everything else does.
    OneWay,
    /// They do again.
    Heal,
    /// It was away, and is back: now a lesser one holds the address.
    Return,
    /// It reaches no API server any more, the others do.
    Unreachable,
}

impl Fault {
    /// In the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::LinkCut,
        Self::Stop,
        Self::Kill,
        Self::Freeze,
        Self::OneWay,
        Self::Heal,
        Self::Return,
        Self::Unreachable,
    ];

    /// Its name in tables, documents and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinkCut => "link-cut",
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::OneWay => "one-way",
            Self::Heal => "heal",
            Self::Return => "return",
            Self::Unreachable => "unreachable",
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

/// A way to balance that moves a virtual IP.
pub trait System: Sync {
    /// What it is called in tables.
    fn name(&self) -> String;

    /// Why it cannot be run here, none when it can.
    fn missing(&self) -> Option<String>;

    /// Starts it on the balancer host at `place` of [`BALANCERS`].
    ///
    /// # Errors
    /// When it does not start.
    fn start(&self, place: usize, host: &Host, site: &Site) -> anyhow::Result<Box<dyn Running>>;
}

/// What a balancer is told of its surroundings.
#[derive(Debug, Clone)]
pub struct Site {
    /// Names and addresses of the API servers.
    pub servers: Vec<(String, Ipv4Addr)>,
    /// Names and addresses of the balancers.
    pub balancers: Vec<(String, Ipv4Addr)>,
    /// The authority of the servers' certificates, PEM.
    pub authority: String,
}

/// The whole rig.
#[derive(Debug)]
pub struct Rig<'a> {
    system: &'a dyn System,
    site: Site,
    // Before the segment: programs end before their hosts do.
    balancers: [Option<Box<dyn Running>>; 3],
    servers: Vec<Standin>,
    tap: Tap,
    lan: Lan,
}

impl fmt::Debug for dyn System + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// What one fault did.
#[derive(Debug, Clone)]
pub struct Observation {
    pub report: Report,
    pub holders: Holders,
    /// The longest delay of the machine meanwhile: a figure with a large one says nothing.
    pub stall: Duration,
}

impl<'a> Rig<'a> {
    /// Makes the segment, starts servers and balancers, and waits until the first balancer has the address.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn start(system: &'a dyn System) -> anyhow::Result<Self> {
        let names: Vec<&str> = BALANCERS.into_iter().chain(SERVERS).chain([CLIENT]).collect();
        let lan = Lan::new(&names)?;
        let authority = Authority::new("stand-in authority")?;
        let servers =
            SERVERS.iter().map(|name| serve(&lan, name, &authority)).collect::<anyhow::Result<Vec<_>>>()?;
        let list = |names: &[&str]| -> Vec<_> {
            names.iter().map(|name| ((*name).to_owned(), lan.host(name).address())).collect()
        };
        let site = Site { servers: list(&SERVERS), balancers: list(&BALANCERS), authority: authority.pem() };
        let tap = Tap::start(&lan)?;
        let mut rig = Self { system, site, balancers: [const { None }; 3], servers, tap, lan };
        for place in 0..BALANCERS.len() {
            rig.balance(place)?;
            // The first one is to be first.
            rig.wait_holder(0)?;
        }
        Ok(rig)
    }

    fn balance(&mut self, place: usize) -> anyhow::Result<()> {
        let host = self.lan.host(BALANCERS[place]);
        let started = self.system.start(place, host, &self.site);
        self.balancers[place] = Some(started.with_context(|| format!("starting {}", BALANCERS[place]))?);
        Ok(())
    }

    /// The segment.
    pub fn lan(&self) -> &Lan {
        &self.lan
    }

    /// The API servers, for faults of their own.
    pub fn servers(&self) -> &[Standin] {
        &self.servers
    }

    /// Waits until the balancer at `place` alone has the address.
    ///
    /// # Errors
    /// When that does not come.
    pub fn wait_holder(&self, place: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let holders = self.lan.holders(VIP.into())?;
            if holders.len() == 1 && holders.contains(BALANCERS[place]) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the address is on {holders:?}, not on {}", BALANCERS[place]);
            std::thread::sleep(POLL);
        }
    }

    /// Starts a client before the virtual IP, lets `fault` happen to the holder after `phase`, and watches for `observed`.
    ///
    /// # Errors
    /// When the client is not served before the fault, or the fault cannot be made.
    pub fn observe(
        mut self,
        fault: Fault,
        phase: Duration,
        observed: Duration,
    ) -> anyhow::Result<Observation> {
        self.prepare(fault)?;
        let mut settings = Settings::new(SocketAddr::new(IpAddr::V4(VIP), PORT), self.site.authority.clone());
        settings.server_name = "kubernetes".to_owned();
        let client = self.lan.host(CLIENT).namespace().inside(|| Client::start(settings))??;
        ensure!(client.wait_warm(PATIENCE), "the client is not served: {:?}", client.progress());
        let gauge = Gauge::start()?;
        let watch = Watch::start(&self.lan, self.lan.host(CLIENT), VIP)?;
        std::thread::sleep(phase);
        let mark = self.tap.mark();
        let began = Instant::now();
        self.inject(fault)?;
        let complete = Instant::now();
        std::thread::sleep(observed.saturating_sub(complete.elapsed()));
        let run = client.finish()?;
        let stall = gauge.worst_since(began);
        let holders = watch.finish(&self.tap, mark, began);
        Ok(Observation { report: run.report(began, complete), holders, stall })
    }

    /// What must have happened before the fault.
    fn prepare(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::LinkCut
            | Fault::Stop
            | Fault::Kill
            | Fault::Freeze
            | Fault::OneWay
            | Fault::Unreachable => Ok(()),
            Fault::Heal => {
                let mark = self.tap.mark();
                self.lan.cut(BALANCERS[0], Cut::AdvertsFrom)?;
                let second = self.tap.wait(mark, PATIENCE, |captured| {
                    captured.host != BALANCERS[0] && captured.frame.advert().is_some()
                });
                second.context("nobody took over from a holder that was not heard")?;
                Ok(())
            }
            Fault::Return => {
                let first = self.balancers[0].as_mut().context("the first balancer does not run")?;
                first.stop()?;
                self.balancers[0] = None;
                self.wait_holder(1)
            }
        }
    }

    fn inject(&mut self, fault: Fault) -> anyhow::Result<()> {
        let servers: Vec<Ipv4Addr> = self.site.servers.iter().map(|(_, address)| *address).collect();
        if fault == Fault::Return {
            return self.balance(0);
        }
        let first = self.balancers[0].as_mut().context("the first balancer does not run")?;
        match fault {
            Fault::LinkCut => self.lan.cut(BALANCERS[0], Cut::Carrier),
            Fault::Stop => first.ask_to_stop(),
            Fault::Kill => first.kill(),
            Fault::Freeze => first.freeze(true),
            Fault::OneWay => self.lan.cut(BALANCERS[0], Cut::AdvertsFrom),
            Fault::Heal => self.lan.mend(BALANCERS[0]),
            Fault::Unreachable => self.lan.part(BALANCERS[0], &servers),
            Fault::Return => Ok(()),
        }
    }
}

/// Starts an API server on its host.
fn serve(lan: &Lan, name: &str, authority: &Authority) -> anyhow::Result<Standin> {
    /// No server is stopped here.
    const GRACE: Duration = Duration::from_secs(1);
    let host = lan.host(name);
    let address = host.address();
    let names = [name, "kubernetes", "localhost"];
    let identity = authority.server(name, &[address.into(), VIP.into()], &names, Validity::Current)?;
    let options = Options {
        name: name.to_owned(),
        listen: SocketAddr::new(address.into(), PORT),
        identity,
        grace: GRACE,
    };
    host.namespace().inside(|| Standin::start(options))?.with_context(|| format!("starting {name}"))
}
