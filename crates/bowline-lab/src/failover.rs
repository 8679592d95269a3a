//! What a client sees when the holder of a virtual IP fails: three balancer hosts, three API servers and a client on one segment.
//!
//! The same rig measures every balancer: it knows their [`System`] only as something that is started on a host, and killed.

mod bowline;
mod ground;
mod holders;
mod incumbent;
mod rig;
mod series;
mod summary;

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;

use crate::lan::Host;
use crate::outage::Report;
use crate::peer::{Running, quota_missing};

pub use bowline::Daemons;
pub use ground::Ground;
pub use holders::{Holders, Watch};
pub use incumbent::{Incumbent, Tuning};
pub use rig::Rig;
pub use series::{Case, Settings, Shown, markdown, series};
pub use summary::{Measured, Spread, summary};

/// The address that moves.
pub const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
/// The port of the API, at the virtual IP and at the servers.
pub const PORT: u16 = 6443;
/// The balancer hosts, in the order in which they should hold the address.
pub const BALANCERS: [&str; 3] = ["lb1", "lb2", "lb3"];
/// The API servers' hosts.
pub const SERVERS: [&str; 3] = ["cp1", "cp2", "cp3"];
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
    /// One of the threads that serve clients hangs, adverts go on.
    Wedged,
    /// What serves clients gets a hundredth of a CPU.
    Starved,
}

impl Fault {
    /// In the order in which they are shown.
    pub const ALL: [Self; 10] = [
        Self::LinkCut,
        Self::Stop,
        Self::Kill,
        Self::Freeze,
        Self::OneWay,
        Self::Heal,
        Self::Return,
        Self::Unreachable,
        Self::Wedged,
        Self::Starved,
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
            Self::Wedged => "wedged",
            Self::Starved => "starved",
        }
    }

    /// Why it cannot be made on this machine, `None` when it can.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::LinkCut
            | Self::Stop
            | Self::Kill
            | Self::Freeze
            | Self::OneWay
            | Self::Heal
            | Self::Return
            | Self::Unreachable
            | Self::Wedged => None,
            Self::Starved => quota_missing(),
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

    /// Whether a balancer takes the address from one that stands behind it in [`BALANCERS`] as soon as it is back.
    fn preempts(&self) -> bool;
}

impl fmt::Debug for dyn System + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
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

/// What one fault did.
#[derive(Debug, Clone)]
pub struct Observation {
    pub report: Report,
    pub holders: Holders,
    /// The longest delay of the machine meanwhile, as somebody saw it who needs hardly any of its time.
    pub stall: Duration,
}

impl Observation {
    /// The longest delay that nobody but the machine is to blame for, also the client's own: figures with a large one say nothing.
    pub fn disturbance(&self) -> Duration {
        self.stall.max(self.report.lag.worst)
    }
}
