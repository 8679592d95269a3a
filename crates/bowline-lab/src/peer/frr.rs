//! FRR's vrrpd as a peer: zebra and vrrpd, without the rest of the suite.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;

use super::jail::{Jail, Program, until};
use super::{Running, Setup, Subject};
use crate::lan::{Host, LINK, PREFIX, PREFIX6};
use crate::wire::Mac;

const FOLDER: &str = "/usr/lib/frr";
/// vrrpd asks zebra about interfaces, so zebra comes first and both end together.
const START: &str = "/usr/lib/frr/zebra -A 127.0.0.1 -f /tmp/frr.conf -i /run/frr/zebra.pid --log stdout & \
    n=0; while [ ! -S /run/frr/zserv.api ] && [ $n -lt 1000 ]; do n=$((n+1)); sleep 0.01; done; \
    /usr/lib/frr/vrrpd -A 127.0.0.1 -f /tmp/frr.conf -i /run/frr/vrrpd.pid --log stdout & \
    trap 'kill $!; wait $!; exit' TERM; wait $!";

/// Why most of its known differences are there.
const KEEPS: &str = "8.4 keeps the addresses on a macvlan that is down, for which the kernel answers";

/// FRR of the distribution.
#[derive(Debug, Clone, Copy)]
pub struct Frr;

impl Frr {
    /// The configuration of both daemons.
    pub fn configuration(setup: &Setup) -> String {
        let mut text = format!("interface {LINK}\n vrrp {} version {}\n", setup.vrid, setup.version);
        let vrid = setup.vrid;
        // FRR counts milliseconds.
        text += &format!(" vrrp {vrid} priority {}\n", setup.priority);
        text += &format!(" vrrp {vrid} advertisement-interval {}\n", setup.interval.as_millis());
        let preempt = if setup.preempt { "" } else { "no " };
        text += &format!(" {preempt}vrrp {vrid} preempt\n");
        for address in &setup.addresses {
            let family = if address.is_ipv4() { "ip" } else { "ipv6" };
            text += &format!(" vrrp {vrid} {family} {address}\n");
        }
        text
    }

    fn link_name(setup: &Setup) -> String {
        format!("vrrp{}-{}", if setup.is_v6() { 6 } else { 4 }, setup.vrid)
    }

    /// The macvlan on which FRR keeps the addresses: it wants to find it ready.
    fn link(setup: &Setup) -> String {
        let v6 = setup.is_v6();
        let name = Self::link_name(setup);
        let mac = Mac::of_router(v6, setup.vrid);
        let prefix = if v6 { PREFIX6 } else { PREFIX };
        let mut lines = format!("link add {name} link {LINK} type macvlan mode bridge\n");
        lines += &format!("link set {name} address {mac}\n");
        for address in &setup.addresses {
            lines += &format!("address add {address}/{prefix} dev {name} nodad\n");
        }
        lines + &format!("link set {name} up\n")
    }
}

impl Subject for Frr {
    fn name(&self) -> &str {
        "frr"
    }

    fn missing(&self) -> Option<String> {
        let present = ["zebra", "vrrpd"].iter().all(|one| std::path::Path::new(FOLDER).join(one).is_file());
        (!present).then(|| "FRR is not installed".to_owned())
    }

    fn lacks(&self, setup: &Setup) -> Option<String> {
        let lacks = [
            (!setup.unicast.is_empty(), "unicast"),
            (setup.password.is_some(), "passwords"),
            (setup.priority == 255, "an owner that does not have the address yet"),
        ];
        lacks.into_iter().find(|(wanted, _)| *wanted).map(|(_, what)| format!("FRR does not know {what}"))
    }

    fn start(&self, host: &Host, setup: &Setup) -> anyhow::Result<Box<dyn Running>> {
        // There when it was started here before; FRR leaves it alone.
        if host.ip(&format!("link show dev {}\n", Self::link_name(setup))).is_err() {
            host.ip(&Self::link(setup))?;
        }
        let folder = Jail::folder("frr")?;
        let runtime = folder.path().join("run/frr");
        std::fs::create_dir(&runtime).context("making FRR's folder")?;
        // The daemons drop to a user of their own, as they do everywhere.
        for path in [runtime, folder.path().join("tmp")] {
            std::fs::set_permissions(path, Permissions::from_mode(0o777)).context("opening FRR's folders")?;
        }
        std::fs::write(folder.path().join("tmp/frr.conf"), Self::configuration(setup))
            .context("writing a configuration")?;
        let jail = Jail::start(folder, host.namespace(), &Program::new("sh", &["-c", START]))?;
        until(|| jail.path().join("run/frr/vrrpd.vty").exists().then_some(()))
            .with_context(|| format!("FRR did not start: {}", jail.log()))?;
        Ok(Box::new(Alive { jail }))
    }

    fn deviations(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("backup_stays_quiet", KEEPS),
            ("backup_answers_no_arp", KEEPS),
            ("master_answers_arp", "8.4: the kernel answers for the interface as well as for the macvlan"),
            ("master_yields_to_higher", KEEPS),
            ("master_yields_to_equal_higher_address", KEEPS),
            ("master_keeps_against_lower_and_asserts", "8.4 does as RFC 5798 says: nothing"),
            ("shutdown_sends_priority0", KEEPS),
            ("checksum_without_pseudo_header", "8.4 demands the pseudo-header unless it is told otherwise"),
            ("interval_0_does_not_trigger_a_takeover", "8.4 takes an interval of 0 for its own"),
        ]
    }

    fn patience(&self, _setup: &Setup) -> Duration {
        Duration::ZERO
    }
}

/// Both daemons.
#[derive(Debug)]
struct Alive {
    jail: Jail,
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
        let refused =
            |line: &&str| line.contains("Received") && line.contains("dropping") || line.contains("nvalid");
        Ok(self.jail.log().lines().filter(refused).map(|line| (line.to_owned(), 1)).collect())
    }

    fn log(&self) -> String {
        self.jail.log()
    }
}
