//! What keepalived's virtual routers become.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::{Assembler, node_name};
use crate::description::{DurationText, Placement, Role, VirtualIp};
use crate::import::keepalived::{Instance, Keepalived};
use crate::import::{Place, RemarkKind};
use crate::source::excerpt;

/// What keepalived takes without `virtual_router_id`.
const VRID: u8 = 51;
/// What it takes without `priority`.
const PRIORITY: u8 = 100;
/// What it takes without `advert_int`, in milliseconds; it is also what bowline takes for version 2.
const INTERVAL: u64 = 1_000;

/// A virtual router as all its machines describe it.
struct Router<'k> {
    first: &'k Instance,
    /// With the machine that each file is of, if that is known.
    members: Vec<(&'k Instance, Option<String>)>,
}

impl Assembler<'_> {
    pub(super) fn routers(&mut self, daemons: &[(&str, Keepalived)]) {
        let mut routers: Vec<Router<'_>> = Vec::new();
        for (_, daemon) in daemons {
            for instance in &daemon.instances {
                let machine = self.machine(instance, daemon);
                let is_same = |router: &&mut Router<'_>| {
                    addresses(router.first) == addresses(instance) && vrid(router.first) == vrid(instance)
                };
                match routers.iter_mut().find(is_same) {
                    Some(router) => router.members.push((instance, machine)),
                    None => routers.push(Router { first: instance, members: vec![(instance, machine)] }),
                }
            }
        }
        for router in &routers {
            let groups = daemons.iter().flat_map(|(_, daemon)| &daemon.groups);
            let group = groups
                .filter(|(_, members)| members.contains(&router.first.name))
                .map(|(name, _)| node_name(name))
                .next();
            self.router(router, group);
        }
    }

    /// The machine that a file is of, made known if it is not: by its own address, else by what it calls itself.
    fn machine(&mut self, instance: &Instance, daemon: &Keepalived) -> Option<String> {
        let by_id = daemon.router_id.as_deref().map(node_name);
        let Some(own) = &instance.unicast_source else {
            return by_id.filter(|name| self.nodes.find_name(name).is_some());
        };
        let name = self.nodes.find_address(own).and_then(|node| node.name.clone());
        Some(name.unwrap_or_else(|| self.unknown(own, by_id, &instance.place)))
    }

    /// A machine that no other file knows: a balancer where something balances, else an API server.
    fn unknown(&mut self, address: &str, name: Option<String>, place: &Place) -> String {
        let role = if self.is_balanced { Role::LoadBalancer } else { Role::ControlPlane };
        let word = if self.is_balanced { "load-balancer" } else { "control-plane" };
        let name = name.unwrap_or_else(|| self.nodes.free_name(word));
        self.nodes.add(&name, &[address], role, place);
        let message = format!("{address} is taken for a machine with the role {word}, called {name}");
        self.draft.remark(RemarkKind::Assumed, place, message);
        name
    }

    fn router(&mut self, router: &Router<'_>, group: Option<String>) {
        let instance = router.first;
        let holders = self.holders(router);
        let (v6, v4): (Vec<_>, Vec<_>) =
            instance.addresses.iter().partition(|(address, _, _)| address.contains(':'));
        let is_split = !v4.is_empty() && !v6.is_empty();
        let group = group.or_else(|| is_split.then(|| node_name(&instance.name)));
        if is_split {
            let message = "addresses of both families: two virtual routers that move together";
            self.draft.remark(RemarkKind::Differs, &instance.place, message);
        }
        if instance.addresses.is_empty() {
            let remedy = "give it a virtual_ipaddress block";
            let message = format!("{} moves no address", excerpt(&instance.name));
            self.draft.problem(instance.place.problem(message, remedy));
        }
        for (family, suffix) in [(v4, ""), (v6, if is_split { "-v6" } else { "" })] {
            if !family.is_empty() {
                let name = format!("{}{suffix}", node_name(&instance.name));
                self.entry(router, name, &family, group.clone(), &holders);
            }
        }
    }

    fn entry(
        &mut self,
        router: &Router<'_>,
        name: String,
        family: &[&(String, Option<String>, Place)],
        group: Option<String>,
        holders: &Placement,
    ) {
        let instance = router.first;
        let index = self.draft.spec.virtual_ips.len();
        let at = format!("spec.virtualIPs[{index}]");
        self.draft.came_from(&at, &instance.place);
        let texts: Vec<String> = family.iter().map(|(address, _, _)| address.clone()).collect();
        if let [(_, _, place)] = family {
            self.draft.came_from(format!("{at}.address"), place);
        }
        for (position, (_, _, place)) in family.iter().enumerate() {
            self.draft.came_from(format!("{at}.addresses[{position}]"), place);
        }
        let is_v6 = texts.iter().any(|address| address.contains(':'));
        let version = if is_v6 { 3 } else { instance.version };
        let device = family.iter().find_map(|(_, device, _)| device.clone());
        let (single, several) = match texts.as_slice() {
            [one] => (Some(one.clone()), Vec::new()),
            _ => (None, texts),
        };
        let is_unbalanced = !self.is_balanced && matches!(holders, Placement::Role(Role::ControlPlane));
        if is_unbalanced {
            let message = "the address leads to the API server of the machine that holds it, as it does today (balance: false)";
            self.draft.remark(RemarkKind::Assumed, &instance.place, message);
        }
        let entry = VirtualIp {
            name: Some(name),
            address: single,
            addresses: several,
            on: Some(holders.clone()),
            version: Some(version).filter(|version| *version != 3),
            interval: self.interval(instance, version, &at),
            preempt: instance.has_preempt,
            preempt_delay: self.preempt_delay(instance, &at),
            vrid: Some(vrid(instance)),
            interface: device.or_else(|| instance.interface.clone()),
            group,
            priorities: self.priorities(router),
            unicast: !instance.unicast_peers.is_empty(),
            password: instance
                .password
                .as_ref()
                .map(|(password, _)| password.clone())
                .filter(|_| version == 2),
            balance: is_unbalanced.then_some(false),
            virtual_mac: instance.has_virtual_mac,
            ..VirtualIp::default()
        };
        let entry = self.as_its_group(entry, &instance.place);
        self.draft.spec.virtual_ips.push(entry);
    }

    /// What moves together has one order of machines; where the files have several, the first counts.
    fn as_its_group(&mut self, mut entry: VirtualIp, place: &Place) -> VirtualIp {
        let mut before = self.draft.spec.virtual_ips.iter();
        let Some(first) = before.find(|first| first.group.is_some() && first.group == entry.group) else {
            return entry;
        };
        let differs = first.priorities != entry.priorities || first.preempt != entry.preempt;
        entry.priorities = first.priorities.clone();
        entry.preempt = first.preempt;
        entry.preempt_delay = first.preempt_delay.clone();
        entry.on = first.on.clone();
        if differs {
            let name = first.name.clone().unwrap_or_default();
            let message =
                format!("priority and preemption become those of {name}, which it moves together with");
            self.draft.remark(RemarkKind::Differs, place, message);
        }
        entry
    }

    fn interval(&mut self, instance: &Instance, version: u8, at: &str) -> Option<DurationText> {
        let place = instance.interval.as_ref().map_or(&instance.place, |(_, place)| place).clone();
        let milliseconds = instance.interval.as_ref().map_or(INTERVAL, |(interval, _)| *interval);
        self.draft.came_from(format!("{at}.interval"), &place);
        if milliseconds >= INTERVAL {
            let message = "adverts stay as far apart as they are, so that machines can move over one by one; once all have, \
                           `version: 3` without an interval moves the address in a third of a second";
            self.draft.remark(RemarkKind::Differs, &place, message);
        }
        let is_default = version == 2 && milliseconds == INTERVAL;
        (!is_default).then(|| DurationText(shown(milliseconds)))
    }

    fn preempt_delay(&mut self, instance: &Instance, at: &str) -> Option<DurationText> {
        let (delay, place) = instance.preempt_delay.as_ref()?;
        self.draft.came_from(format!("{at}.preemptDelay"), place);
        Some(DurationText(format!("{delay}s")))
    }

    /// Of the machines whose files are known; all others would be told by files that are not there.
    fn priorities(&mut self, router: &Router<'_>) -> std::collections::BTreeMap<String, u8> {
        let mut priorities = std::collections::BTreeMap::new();
        for (instance, machine) in &router.members {
            let priority = instance.priority.as_ref().map_or(PRIORITY, |(priority, _)| *priority);
            match machine {
                Some(name) => {
                    priorities.insert(name.clone(), priority);
                }
                None => {
                    let place = instance.priority.as_ref().map_or(&instance.place, |(_, place)| place);
                    let message = format!(
                        "priority {priority} is of a machine that the file does not name: priorities follow the order of the \
                         nodes"
                    );
                    self.draft.remark(RemarkKind::NotUnderstood, place, message);
                }
            }
        }
        priorities
    }

    /// Who may hold the addresses: those that send adverts to each other, or all that a role has.
    fn holders(&mut self, router: &Router<'_>) -> Placement {
        let mut names = BTreeSet::new();
        for (instance, machine) in &router.members {
            names.extend(machine.clone());
            for peer in &instance.unicast_peers {
                let known = self.nodes.find_address(peer).and_then(|node| node.name.clone());
                let is_address = peer.parse::<IpAddr>().is_ok();
                match (known, is_address) {
                    (Some(name), _) => {
                        names.insert(name);
                    }
                    (None, true) => {
                        let name = self.unknown(peer, None, &instance.place);
                        names.insert(name);
                    }
                    (None, false) => {
                        let message = format!("the peer {} is not an address", excerpt(peer));
                        let problem = instance.place.problem(message, "write an IP address");
                        self.draft.problem(problem);
                    }
                }
            }
        }
        let likely = self.likely_holders();
        for role in [likely, Role::ControlPlane, Role::LoadBalancer] {
            let all: BTreeSet<String> =
                self.nodes.with_role(role).filter_map(|node| node.name.clone()).collect();
            if !all.is_empty() && all == names {
                return Placement::Role(role);
            }
        }
        if router.members.iter().any(|(instance, _)| !instance.unicast_peers.is_empty()) && !names.is_empty()
        {
            let mut in_order: Vec<String> = names.into_iter().collect();
            in_order.sort();
            return Placement::Nodes(in_order);
        }
        let who = if likely == Role::LoadBalancer { "balancers" } else { "control planes" };
        let message = format!("no file says which machines may hold it: taken for all {who}");
        self.draft.remark(RemarkKind::Assumed, &router.first.place, message);
        Placement::Role(likely)
    }
}

fn vrid(instance: &Instance) -> u8 {
    instance.vrid.as_ref().map_or(VRID, |(vrid, _)| *vrid)
}

fn addresses(instance: &Instance) -> BTreeSet<&str> {
    instance.addresses.iter().map(|(address, _, _)| address.as_str()).collect()
}

fn shown(milliseconds: u64) -> String {
    match milliseconds.checked_rem(1_000) {
        Some(0) => format!("{}s", milliseconds / 1_000),
        Some(_) | None => format!("{milliseconds}ms"),
    }
}
