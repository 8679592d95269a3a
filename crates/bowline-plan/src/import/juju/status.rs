//! What `juju status --format=json` says of units and their machines.

use core::net::IpAddr;
use core::str::FromStr;
use std::collections::{BTreeMap, BTreeSet};

use crate::import::Place;
use crate::import::cursor::Cursor;
use crate::problem::Problem;

use super::bundle::place;

/// Machines and units by name.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) file: String,
    /// By number, such as `3` or `0/lxd/1`.
    pub(super) machines: BTreeMap<String, Machine>,
    pub(super) applications: BTreeMap<String, Application>,
}

#[derive(Debug)]
pub(super) struct Machine {
    /// Empty when the status has none.
    pub(super) hostname: String,
    pub(super) addresses: Vec<IpAddr>,
}

#[derive(Debug)]
pub(super) struct Application {
    pub(super) channel: Option<String>,
    /// Of what the charm runs.
    pub(super) version: Option<String>,
    /// By number.
    pub(super) units: Vec<Unit>,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) struct Unit {
    pub(super) number: u32,
    pub(super) machine: String,
    pub(super) public: Option<IpAddr>,
    pub(super) is_leader: bool,
    pub(super) place: Place,
}

/// Reads a status.
pub(super) fn read(root: &Cursor<'_>) -> Result<Status, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut status = Status { file: root.file().to_owned(), ..Status::default() };
    if root.get("applications").is_none() || root.get("machines").is_none() {
        let remedy = "give the output of `juju status --format=json`";
        problems.push(root.problem("no machines and applications", remedy));
    }
    for (name, at) in root.get("machines").iter().flat_map(Cursor::entries) {
        machine(&mut status, name, &at, &mut problems);
    }
    for (name, at) in root.get("applications").iter().flat_map(Cursor::entries) {
        let application = application(&at, &mut problems);
        status.applications.insert(name.to_owned(), application);
    }
    if problems.is_empty() { Ok(status) } else { Err(problems) }
}

/// A machine and the containers in it; the parser bounds how deep they nest.
fn machine(status: &mut Status, name: &str, at: &Cursor<'_>, problems: &mut Vec<Problem>) {
    let mut addresses = Vec::new();
    for item in at.get("ip-addresses").iter().flat_map(Cursor::items) {
        match item.scalar().map(IpAddr::from_str) {
            Some(Ok(address)) if !addresses.contains(&address) => addresses.push(address),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => {
                problems.push(item.problem(format!("{} is not an IP address", item.shown()), "correct it"));
            }
        }
    }
    let hostname = at.get("hostname").and_then(|at| at.scalar()).unwrap_or_default().to_owned();
    status.machines.insert(name.to_owned(), Machine { hostname, addresses });
    for (name, container) in at.get("containers").iter().flat_map(Cursor::entries) {
        machine(status, name, &container, problems);
    }
}

fn application(at: &Cursor<'_>, problems: &mut Vec<Problem>) -> Application {
    let text = |key: &str| at.get(key).and_then(|at| at.scalar()).map(str::to_owned);
    let units = at.get("units").map(|at| at.entries()).unwrap_or_default();
    let mut units: Vec<Unit> = units.iter().filter_map(|(name, at)| unit(name, at, problems)).collect();
    units.sort_by_key(|unit| unit.number);
    Application { channel: text("charm-channel"), version: text("version"), units, place: place(at) }
}

fn unit(name: &str, at: &Cursor<'_>, problems: &mut Vec<Problem>) -> Option<Unit> {
    let number = name.rsplit_once('/').and_then(|(_, number)| number.parse().ok());
    if number.is_none() {
        problems.push(at.problem(format!("{name} is no unit"), "name it as Juju does: application/0"));
    }
    let public = at.get("public-address").and_then(|at| match at.scalar().map(IpAddr::from_str) {
        Some(Ok(address)) => Some(address),
        Some(Err(_)) | None => {
            let remedy = "correct it; names are not looked up";
            problems.push(at.problem(format!("{} is not an IP address", at.shown()), remedy));
            None
        }
    });
    Some(Unit {
        number: number?,
        machine: at.get("machine").and_then(|at| at.scalar()).unwrap_or_default().to_owned(),
        public,
        is_leader: at.get("leader").is_some_and(|at| at.bool(problems)),
        place: place(at),
    })
}

impl Status {
    /// Addresses that several machines have, as those of bridges for containers.
    pub(super) fn shared(&self) -> BTreeSet<IpAddr> {
        let mut seen = BTreeSet::new();
        let all = self.machines.values().flat_map(|machine| machine.addresses.iter().copied());
        all.filter(|address| !seen.insert(*address)).collect()
    }

    /// Addresses by which a machine is reached: not valid on its link or in the machine alone, and none of `others`.
    pub(super) fn own_addresses(&self, machine: &str, others: &BTreeSet<IpAddr>) -> Vec<IpAddr> {
        let is_local = |address: &IpAddr| match address {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_loopback(),
            IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.is_loopback(),
        };
        let addresses = self.machines.get(machine).map(|machine| machine.addresses.iter());
        let own =
            addresses.into_iter().flatten().filter(|address| !is_local(address) && !others.contains(address));
        own.copied().collect()
    }
}
