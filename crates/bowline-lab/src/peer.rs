//! Programs that speak VRRP, each on a host of a segment: what a test starts, stops, kills and freezes without knowing which it is.

mod bowline;
mod frr;
mod jail;
mod keepalived;
mod quota;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::bail;

use crate::lan::Host;

pub use bowline::{Bowline, Daemon};
pub use frr::Frr;
pub use jail::{Jail, Program};
pub use keepalived::{Keepalived, Statistics};

/// What a virtual router is to be, whoever plays it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// 2 or 3.
    pub version: u8,
    pub vrid: u8,
    /// 255 is the owner.
    pub priority: u8,
    /// Version 2: whole seconds.
    pub interval: Duration,
    pub preempt: bool,
    /// Simple authentication, version 2 only.
    pub password: Option<String>,
    /// One family; of IPv6 the link-local one first.
    pub addresses: Vec<IpAddr>,
    /// The addresses have the Ethernet address of the virtual router.
    pub virtual_mac: bool,
    /// Adverts go to these instead of the group when there are any.
    pub unicast: Vec<IpAddr>,
    /// The other routers of the group by name, addresses and priority, for programs that want to know them.
    pub others: Vec<Other>,
}

/// Another router of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    pub name: String,
    /// At which it is reached, of both families.
    pub addresses: Vec<IpAddr>,
    pub priority: u8,
}

impl Setup {
    pub fn is_v6(&self) -> bool {
        self.addresses.iter().any(IpAddr::is_ipv6)
    }

    /// Its interval in the unit of its adverts.
    pub fn interval_field(&self) -> u16 {
        let unit = if self.version == 2 { Duration::from_secs(1) } else { Duration::from_millis(10) };
        u16::try_from(self.interval.as_millis() / unit.as_millis()).unwrap_or(u16::MAX)
    }

    /// Time that a Backup of this priority waits beside three intervals (RFC 3768 section 6.1, RFC 9568 section 6.1), when the Active
    /// Router has this interval.
    pub fn skew(&self, interval: Duration) -> Duration {
        let unit = if self.version == 2 { Duration::from_secs(1) } else { interval };
        unit * (256 - u32::from(self.priority)) / 256
    }

    /// Active_Down_Interval (RFC 9568 section 6.1) when the Active Router has this interval.
    pub fn down_interval(&self, interval: Duration) -> Duration {
        interval * 3 + self.skew(interval)
    }
}

/// A program that can be a virtual router.
pub trait Subject: Sync {
    /// What it is called in reports.
    fn name(&self) -> &str;

    /// Why it cannot be run here, none when it can.
    fn missing(&self) -> Option<String>;

    /// What of `setup` it does not know, none when it knows all.
    fn lacks(&self, setup: &Setup) -> Option<String>;

    /// Starts it on `host`; returns once it is running, not when it has found its role.
    ///
    /// # Errors
    /// When it cannot be started.
    fn start(&self, host: &Host, setup: &Setup) -> anyhow::Result<Box<dyn Running>>;

    /// Checks by name in which it is known to differ, each with the reason: there the difference is demanded.
    fn deviations(&self) -> &'static [(&'static str, &'static str)];

    /// How much longer than its Active_Down_Interval it may wait by design.
    fn patience(&self, setup: &Setup) -> Duration;
}

impl fmt::Debug for dyn Subject + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why nobody's CPU time can be limited here, `None` when it can.
pub fn quota_missing() -> Option<String> {
    quota::Quota::missing()
}

/// A virtual router that runs; ended, with everything it started, when dropped.
pub trait Running: fmt::Debug + Send {
    /// The planned stop: SIGTERM; returns when it has ended.
    ///
    /// # Errors
    /// When it does not end.
    fn stop(&mut self) -> anyhow::Result<()> {
        self.ask_to_stop()?;
        self.wait_end()
    }

    /// SIGTERM alone.
    ///
    /// # Errors
    /// When it has ended already.
    fn ask_to_stop(&mut self) -> anyhow::Result<()>;

    /// Waits for the end that was asked for.
    ///
    /// # Errors
    /// When it does not end.
    fn wait_end(&mut self) -> anyhow::Result<()>;

    /// SIGKILL to the program, all processes of it at once; a guard that it keeps for this moment lives on.
    ///
    /// # Errors
    /// When it has ended already.
    fn kill(&mut self) -> anyhow::Result<()>;

    /// SIGSTOP, and SIGCONT.
    ///
    /// # Errors
    /// When it has ended.
    fn freeze(&mut self, frozen: bool) -> anyhow::Result<()>;

    /// Holds one of the threads that serve clients still, or lets it go; everything else runs on.
    ///
    /// # Errors
    /// When it has ended, or serves nobody.
    fn wedge(&mut self, wedged: bool) -> anyhow::Result<()> {
        bail!("it has nobody to {} who serves clients", if wedged { "hold" } else { "let go" })
    }

    /// Leaves a hundredth of a CPU to what serves clients, or gives it back.
    ///
    /// # Errors
    /// When it has ended, serves nobody, or there is no such quota here.
    fn starve(&mut self, starved: bool) -> anyhow::Result<()> {
        bail!("it has nobody to {} who serves clients", if starved { "starve" } else { "feed" })
    }

    /// Whether it takes part by now, as one that could take over.
    ///
    /// # Errors
    /// When it does not tell.
    fn is_ready(&mut self) -> anyhow::Result<bool> {
        Ok(true)
    }

    /// Whether it still runs.
    fn alive(&mut self) -> bool;

    /// What it counted as wrong with packets it got: kind and number, none when all is well.
    ///
    /// # Errors
    /// When it does not tell.
    fn complaints(&mut self) -> anyhow::Result<Vec<(String, u64)>>;

    /// What it has printed.
    fn log(&self) -> String;
}
