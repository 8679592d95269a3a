//! keepalived as a peer, and its own account of what it received.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;

use super::jail::{Jail, Program, until};
use super::{Running, Setup, Subject};
use crate::lan::{Host, LINK, installed};

/// keepalived of the distribution.
#[derive(Debug, Clone, Copy)]
pub struct Keepalived;

/// The counters of one instance: keepalived's names without their colons, a heading before its entries with a slash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics(Vec<(String, u64)>);

impl Statistics {
    /// Reads the file that SIGUSR2 makes keepalived write, the sum over all instances.
    pub fn read(text: &str) -> Self {
        let mut counters: Vec<(String, u64)> = Vec::new();
        let mut heading = "";
        for line in text.lines() {
            let Some((name, value)) = line.trim().split_once(':') else { continue };
            let Ok(value) = value.trim().parse::<u64>() else {
                heading = name;
                continue;
            };
            let is_nested = line.starts_with("    ");
            let name = if is_nested { format!("{heading}/{name}") } else { name.to_owned() };
            match counters.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += value,
                None => counters.push((name, value)),
            }
        }
        Self(counters)
    }

    /// A counter by its name.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// The counters of errors that are not 0.
    pub fn errors(&self) -> Vec<(String, u64)> {
        let is_error = |name: &str| name.contains("Errors/");
        self.0.iter().filter(|(name, value)| is_error(name) && *value > 0).cloned().collect()
    }
}

/// What a line of its log says when it refuses a packet for a reason that no counter has.
const REFUSALS: [&str; 7] = ["nvalid", "bogus", "ismatch", "checksum", "ignoring", "discard", "expected"];

/// What it says about a right advert of a router that has to yield to it.
const YIELDED: &str = "received lower priority";

impl Keepalived {
    /// The whole configuration file of one instance.
    pub fn configuration(host: &Host, setup: &Setup) -> String {
        let version = setup.version;
        // `state MASTER` is what makes priority 255 an owner there, and shortens the first wait otherwise.
        let state = if setup.priority == 255 { "MASTER" } else { "BACKUP" };
        let mut text = format!(
            "global_defs {{\n  router_id lab\n  vrrp_version {version}\n}}\nvrrp_instance lab {{\n  state {state}\n  \
             interface {LINK}\n  version {version}\n  virtual_router_id {}\n  priority {}\n  advert_int {}\n",
            setup.vrid,
            setup.priority,
            setup.interval.as_secs_f64()
        );
        if !setup.preempt {
            text += "  nopreempt\n";
        }
        if let Some(password) = &setup.password {
            text += &format!("  authentication {{\n    auth_type PASS\n    auth_pass {password}\n  }}\n");
        }
        if !setup.unicast.is_empty() {
            let peers: Vec<String> = setup.unicast.iter().map(ToString::to_string).collect();
            let (source, peers) = (host.reached(setup.is_v6()), peers.join("\n    "));
            text += &format!("  unicast_src_ip {source}\n  unicast_peer {{\n    {peers}\n  }}\n");
        }
        if setup.virtual_mac {
            text += "  use_vmac\n";
            // It wants this with unicast, and hears nobody else's virtual address with multicast then.
            text += if setup.unicast.is_empty() { "" } else { "  vmac_xmit_base\n" };
        }
        text += "  virtual_ipaddress {\n";
        for address in &setup.addresses {
            let prefix = if address.is_ipv4() { 32 } else { 128 };
            text += &format!("    {address}/{prefix}\n");
        }
        text + "  }\n}\n"
    }

    /// Starts it on `host` with any configuration file.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_with(host: &Host, text: &str) -> anyhow::Result<Box<dyn Running>> {
        let folder = Jail::folder("keepalived")?;
        std::fs::write(folder.path().join("tmp/keepalived.conf"), text).context("writing a configuration")?;
        let program = Program::new("keepalived", &["-n", "-l", "-D", "-P", "-f", "/tmp/keepalived.conf"]);
        let jail = Jail::start(folder, host.namespace(), &program)?;
        // Until it has installed its handlers a SIGTERM would end it without a word to its peers.
        until(|| jail.log().contains("Startup complete").then_some(()))
            .with_context(|| format!("keepalived did not start: {}", jail.log()))?;
        Ok(Box::new(Alive { jail }))
    }
}

impl Subject for Keepalived {
    fn name(&self) -> &str {
        "keepalived"
    }

    fn missing(&self) -> Option<String> {
        (!installed("keepalived")).then(|| "keepalived is not installed".to_owned())
    }

    fn lacks(&self, _setup: &Setup) -> Option<String> {
        None
    }

    fn start(&self, host: &Host, setup: &Setup) -> anyhow::Result<Box<dyn Running>> {
        Self::start_with(host, &Self::configuration(host, setup))
    }

    fn deviations(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("checksum_without_pseudo_header", "2.2.7 demands the pseudo-header in version 3 over IPv4"),
            ("interval_0_does_not_trigger_a_takeover", "2.2.7 takes an interval of 0 for its own"),
        ]
    }

    fn patience(&self, _setup: &Setup) -> Duration {
        Duration::ZERO
    }
}

/// A keepalived that runs.
#[derive(Debug)]
struct Alive {
    jail: Jail,
}

impl Alive {
    fn statistics(&self) -> anyhow::Result<Statistics> {
        let path: PathBuf = self.jail.path().join("tmp/keepalived.stats");
        // One that is there is from the last time.
        drop(std::fs::remove_file(&path));
        self.jail.signal(Signal::USR2)?;
        let whole = until(|| {
            let text = std::fs::read_to_string(&path).ok()?;
            // The last section of the last instance: then the file is complete.
            text.contains("Priority Zero:")
                .then_some(text)
                .filter(|text| text.trim_end().ends_with(char::is_numeric))
        });
        Ok(Statistics::read(&whole.context("keepalived wrote no statistics")?))
    }
}

impl Running for Alive {
    fn ask_to_stop(&mut self) -> anyhow::Result<()> {
        self.jail.signal(Signal::TERM)
    }

    fn wait_end(&mut self) -> anyhow::Result<()> {
        self.jail.wait_end()
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        self.jail.signal_all(Signal::KILL)?;
        self.jail.wait_end()
    }

    fn freeze(&mut self, frozen: bool) -> anyhow::Result<()> {
        self.jail.signal_all(if frozen { Signal::STOP } else { Signal::CONT })
    }

    fn alive(&mut self) -> bool {
        self.jail.alive()
    }

    fn complaints(&mut self) -> anyhow::Result<Vec<(String, u64)>> {
        let mut complaints = self.statistics()?.errors();
        let log = self.jail.log();
        let refused =
            |line: &&str| REFUSALS.iter().any(|word| line.contains(word)) && !line.contains(YIELDED);
        complaints.extend(log.lines().filter(refused).map(|line| (line.to_owned(), 1)));
        Ok(complaints)
    }

    fn log(&self) -> String {
        self.jail.log()
    }
}

#[cfg(test)]
mod tests;
