//! Addresses that move between nodes.

use core::net::IpAddr;
use core::num::NonZeroU8;
use core::time::Duration;
use std::collections::BTreeMap;

use super::{Checker, text};
use crate::cluster::{Node, NodeRole, Peers, Track, VirtualIp, VrrpVersion, WhenAllBad, is_link_local};
use crate::description::{self as raw, Placement};
use crate::source::{Path, excerpt};

/// As many as there are numbers of virtual routers on a link.
const VIRTUAL_IPS_LIMIT: usize = 255;
/// Adverts of version 3 count hundredths of a second in 12 bits (RFC 9568 section 5.2.7).
const INTERVAL_V3: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(40_950));
/// Adverts of version 2 count seconds in 8 bits (RFC 3768 section 5.3.7).
const INTERVAL_V2: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(255));
/// Fast enough to move within a third of a second, slow enough for a loaded machine.
const DEFAULT_INTERVAL_V3: Duration = Duration::from_millis(100);
/// What every other implementation takes.
const DEFAULT_INTERVAL_V2: Duration = Duration::from_secs(1);
const PREEMPT_DELAY: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(3600));
/// The authentication data of version 2 (RFC 2338 section 5.3.10).
const PASSWORD_LENGTH: usize = 8;
const OWNER: u8 = 255;
/// As many as there are priorities that say *able to serve*, from 129 to 254.
const HOLDERS_LIMIT: usize = 126;
/// As many addresses as bowline lists in one advert.
const ADDRESSES_LIMIT: usize = 64;
/// Each advert is sent to every peer.
const UNICAST_PEERS_LIMIT: usize = 64;

impl Checker<'_, '_> {
    pub(super) fn virtual_ips(
        &mut self,
        at: &Path,
        given: Vec<raw::VirtualIp>,
        nodes: &[Node],
    ) -> Vec<VirtualIp> {
        if given.len() > VIRTUAL_IPS_LIMIT {
            let message = format!("{} virtual IPs", given.len());
            self.problem(at, message, format!("at most {VIRTUAL_IPS_LIMIT} are possible"));
        }
        let mut vips = Vec::new();
        let ranks = (1..=u8::MAX).filter_map(NonZeroU8::new);
        for (index, (given, rank)) in given.iter().zip(ranks).enumerate() {
            let at = at.index(index);
            let vip = self.virtual_ip(&at, given, rank, nodes);
            self.refuse_clash(&at, &vip, &vips);
            self.refuse_same_router(&at, &vip, &vips);
            vips.push(vip);
        }
        self.refuse_node_addresses(at, &vips, nodes);
        self.refuse_torn_groups(at, &vips);
        vips
    }

    fn virtual_ip(
        &mut self,
        at: &Path,
        given: &raw::VirtualIp,
        rank: NonZeroU8,
        nodes: &[Node],
    ) -> VirtualIp {
        let version = if given.version == Some(2) { VrrpVersion::V2 } else { VrrpVersion::V3 };
        let addresses = self.vip_addresses(at, given, version);
        let on = self.vip_nodes(&at.key("on"), given.on.as_ref(), nodes);
        if self.knows_holders(at) {
            self.refuse_unicast(&at.key("unicast"), given.unicast, &on);
        }
        let interface = given.interface.as_ref();
        VirtualIp {
            name: self.name(&at.key("name"), given.name.clone()).unwrap_or_default(),
            addresses,
            priorities: self.priorities(at, &given.priorities, &on, nodes),
            on,
            version,
            interval: self.interval(at, given, version),
            preempt: given.preempt,
            preempt_delay: self.duration(
                &at.key("preemptDelay"),
                given.preempt_delay.as_ref(),
                Duration::ZERO,
                PREEMPT_DELAY,
            ),
            vrid: given.vrid.and_then(NonZeroU8::new).unwrap_or(rank),
            interface: interface.and_then(|name| self.read(&at.key("interface"), text::interface(name))),
            group: self.name(&at.key("group"), given.group.clone()),
            unicast: given.unicast,
            peers: match given.peers {
                None | Some(raw::Peers::Planned) => Peers::Planned,
                Some(raw::Peers::Any) => Peers::Any,
            },
            password: self.password(at, given.password.clone(), version),
            track: match given.track {
                None | Some(raw::Track::ApiServer) => Track::ApiServer,
                Some(raw::Track::None) => Track::None,
            },
            when_all_bad: match given.when_all_bad {
                None | Some(raw::WhenAllBad::Keep) => WhenAllBad::Keep,
                Some(raw::WhenAllBad::Release) => WhenAllBad::Release,
            },
            balance: given.balance.unwrap_or(true),
            virtual_mac: given.virtual_mac,
        }
    }

    fn vip_addresses(&mut self, at: &Path, given: &raw::VirtualIp, version: VrrpVersion) -> Vec<IpAddr> {
        if self.knows_fields(at, &["address", "addresses"])
            && given.address.is_some() != given.addresses.is_empty()
        {
            let message = if given.address.is_some() { "address and addresses both" } else { "no address" };
            self.problem(&at.key("address"), message, "give `address:`, or several as `addresses:`");
        }
        let mut addresses = Vec::new();
        if let Some(address) = &given.address {
            addresses.extend(self.read(&at.key("address"), text::virtual_address(address)));
        }
        let list_at = at.key("addresses");
        addresses.extend(self.list(&list_at, &given.addresses, text::virtual_address));
        if addresses.len() > ADDRESSES_LIMIT {
            let message = format!("{} addresses in one virtual router", addresses.len());
            let remedy =
                format!("give at most {ADDRESSES_LIMIT}, and the others a virtual IP with the same `group`");
            self.problem(&list_at, message, remedy);
        }
        let v6 = addresses.iter().filter(|address| address.is_ipv6()).count();
        if v6 != 0 && v6 != addresses.len() {
            let remedy = "describe one virtual IP for each family, with the same `group`";
            self.problem(&list_at, "addresses of both families in one virtual router", remedy);
        }
        let knows_all = self.knows_fields(at, &["address", "addresses"]);
        if knows_all && !addresses.is_empty() && addresses.iter().all(|address| is_link_local(*address)) {
            let message = "valid on one link alone, so nobody is told to connect to it";
            self.problem(&at.key("address"), message, "give an address that others can reach too");
        }
        if v6 != 0 && version == VrrpVersion::V2 {
            self.problem(&at.key("version"), "version 2 knows IPv4 alone", "use version 3");
        }
        addresses
    }

    /// Whether it is known which nodes the virtual IP at `at` may be on.
    fn knows_holders(&self, at: &Path) -> bool {
        self.knows(&at.key("on")) && self.knows_roles() && self.knows_nodes()
    }

    /// Whether it is known what all nodes are called.
    fn knows_nodes(&self) -> bool {
        self.findings.knows_all(&Path::root().key("spec").key("nodes"), "name")
    }

    /// The names of the nodes it may be on.
    fn vip_nodes(&mut self, at: &Path, given: Option<&Placement>, nodes: &[Node]) -> Vec<String> {
        let with_role = |role: NodeRole| -> Vec<String> {
            nodes.iter().filter(|node| node.roles.contains(&role)).map(|node| node.name.clone()).collect()
        };
        let names = match given {
            None => with_role(NodeRole::ControlPlane),
            Some(Placement::Role(role)) => with_role(NodeRole::from(*role)),
            Some(Placement::Nodes(names)) => {
                self.refuse_twice(at, names);
                for (index, name) in names.iter().enumerate() {
                    let at = at.index(index);
                    if self.knows(&at) {
                        self.refuse_unknown_node(&at, name, nodes);
                    }
                }
                names.clone()
            }
        };
        if self.knows(at) && self.knows_roles() && names.is_empty() {
            self.problem(at, "no node can hold the address", "name nodes, or a role that some have");
        }
        if names.len() > HOLDERS_LIMIT {
            let message = format!("{} nodes may hold the address", names.len());
            self.problem(at, message, format!("name at most {HOLDERS_LIMIT} of them"));
        }
        names
    }

    fn refuse_unknown_node(&mut self, path: &Path, name: &str, nodes: &[Node]) {
        if !self.can_be_name(path, name) || !self.knows_nodes() || nodes.iter().any(|node| node.name == *name)
        {
            return;
        }
        let roles = [NodeRole::ControlPlane, NodeRole::Etcd, NodeRole::Worker, NodeRole::LoadBalancer];
        let remedy = match roles.into_iter().find(|role| role.as_str() == name) {
            Some(role) => format!("for all nodes of that role write `on: {}`, without a list", role.as_str()),
            None => "name a node under spec.nodes".to_owned(),
        };
        self.problem(path, format!("no node is named {}", excerpt(name)), remedy);
    }

    fn refuse_unicast(&mut self, path: &Path, is_unicast: bool, on: &[String]) {
        if !is_unicast {
            return;
        }
        let peers = on.len().saturating_sub(1);
        if on.len() == 1 {
            let message = "there is no peer to send adverts to: the address can be on one node alone";
            self.problem(path, message, "let it be on at least two, or leave `unicast` out");
        }
        if peers > UNICAST_PEERS_LIMIT {
            let message = format!("{peers} peers are too many to send each advert to");
            let remedy = format!(
                "let it be on at most {} nodes, or leave `unicast` out",
                UNICAST_PEERS_LIMIT.saturating_add(1)
            );
            self.problem(path, message, remedy);
        }
    }

    fn interval(&mut self, at: &Path, given: &raw::VirtualIp, version: VrrpVersion) -> Duration {
        let path = &at.key("interval");
        if !self.knows(&at.key("version")) {
            // What either has.
            let bounds = (INTERVAL_V3.0, INTERVAL_V2.1);
            return self.duration(path, given.interval.as_ref(), DEFAULT_INTERVAL_V3, bounds);
        }
        let (default, bounds, unit) = match version {
            VrrpVersion::V2 => (DEFAULT_INTERVAL_V2, INTERVAL_V2, Duration::from_secs(1)),
            VrrpVersion::V3 => (DEFAULT_INTERVAL_V3, INTERVAL_V3, Duration::from_millis(10)),
        };
        let interval = self.duration(path, given.interval.as_ref(), default, bounds);
        if interval.as_millis().checked_rem(unit.as_millis()) != Some(0) {
            let message = format!("adverts of this version count in units of {}", text::Shown(unit));
            self.problem(path, message, format!("give a multiple of {}", text::Shown(unit)));
        }
        interval
    }

    fn priorities(
        &mut self,
        vip: &Path,
        given: &BTreeMap<String, u8>,
        on: &[String],
        nodes: &[Node],
    ) -> BTreeMap<String, NonZeroU8> {
        let at = &vip.key("priorities");
        let knows_holders = self.knows_holders(vip);
        let mut priorities = BTreeMap::new();
        for (name, priority) in given {
            let path = at.key(name);
            if !knows_holders {
                self.refuse_unknown_node(&path, name, nodes);
            } else if !on.contains(name) {
                let message = format!("the address cannot be on a node {}", excerpt(name));
                self.problem(&path, message, "name a node that `on` covers");
            }
            priorities.extend(NonZeroU8::new(*priority).map(|priority| (name.clone(), priority)));
        }
        if given.values().filter(|priority| **priority == OWNER).count() > 1 {
            self.problem(at, "two nodes own the address (priority 255)", "give 255 to one node at most");
        }
        priorities
    }

    fn password(&mut self, at: &Path, given: Option<String>, version: VrrpVersion) -> Option<String> {
        let path = &at.key("password");
        let password = given?;
        if version == VrrpVersion::V3 && self.knows(&at.key("version")) {
            self.problem(path, "version 3 has no authentication", "remove the password, or use version 2");
        }
        if password.is_empty() || password.len() > PASSWORD_LENGTH {
            let message = format!("the password has {} bytes", password.len());
            self.problem(path, message, format!("give 1 to {PASSWORD_LENGTH}"));
        }
        if password.contains(char::is_control) {
            // Not repeated: what is wrong goes to logs.
            let message = "the password holds a character that cannot be typed";
            self.problem(path, message, "use printable characters");
        }
        Some(password)
    }

    fn refuse_clash(&mut self, at: &Path, vip: &VirtualIp, others: &[VirtualIp]) {
        if others.iter().any(|other| other.name == vip.name && !vip.name.is_empty()) {
            let message = format!("another virtual IP is named {}", vip.name);
            self.problem(&at.key("name"), message, "give each its own name");
        }
        for address in &vip.addresses {
            let Some(other) = others.iter().find(|other| other.addresses.contains(address)) else { continue };
            let message = match other.name.as_str() {
                "" => format!("{address} belongs to another virtual IP already"),
                name => format!("{address} belongs to virtual IP {name} already"),
            };
            let path = self.address_path(at, *address);
            self.problem(&path, message, "give each its own address");
        }
    }

    /// Two virtual routers with one number on one link are one to everybody else.
    fn refuse_same_router(&mut self, at: &Path, vip: &VirtualIp, others: &[VirtualIp]) {
        let list = Path::root().key("spec").key("virtualIPs");
        // Numbers and links that could not be read are their defaults meanwhile, and clash with nobody.
        let known = |path: &Path| self.knows_fields(path, &["vrid", "interface"]);
        if !known(at) {
            return;
        }
        let others: Vec<&VirtualIp> = others
            .iter()
            .enumerate()
            .filter(|(index, _)| known(&list.index(*index)))
            .map(|(_, other)| other)
            .collect();
        let family = |vip: &VirtualIp| vip.addresses.first().map(IpAddr::is_ipv4);
        let is_same_router = |other: &&&VirtualIp| {
            other.vrid == vip.vrid && other.interface == vip.interface && family(other) == family(vip)
        };
        if let Some(other) = others.iter().find(is_same_router) {
            let message = format!("virtual router {} is that of virtual IP {} already", vip.vrid, other.name);
            self.problem(&at.key("vrid"), message, "give each its own `vrid:`, from 1 to 255");
            return;
        }
        let has_same_mac = |other: &&&VirtualIp| {
            let on_one_node = other.on.iter().any(|node| vip.on.contains(node));
            let both = other.virtual_mac && vip.virtual_mac;
            both && on_one_node && other.vrid == vip.vrid && family(other) == family(vip)
        };
        if let Some(other) = others.iter().find(has_same_mac) {
            let message = format!(
                "virtual router {} has the virtual MAC of virtual IP {} already, on another interface",
                vip.vrid, other.name
            );
            self.problem(&at.key("vrid"), message, "give each its own `vrid:`, from 1 to 255");
        }
    }

    fn refuse_node_addresses(&mut self, at: &Path, vips: &[VirtualIp], nodes: &[Node]) {
        let own: BTreeMap<IpAddr, &str> = nodes
            .iter()
            .flat_map(|node| {
                node.addresses.iter().copied().chain(node.access_address).map(|ip| (ip, &*node.name))
            })
            .collect();
        for (index, vip) in vips.iter().enumerate() {
            for address in &vip.addresses {
                // Also of an owner (priority 255): a virtual IP is held for seconds and renewed, a node's own for good.
                let Some(node) = own.get(address) else {
                    continue;
                };
                let message = format!("{address} is an address of node {node}");
                let path = self.address_path(&at.index(index), *address);
                self.problem(&path, message, "give the virtual IP an address of its own");
            }
        }
    }

    /// Where the virtual IP at `at` has `address`.
    fn address_path(&self, at: &Path, address: IpAddr) -> Path {
        let (single, list) = (at.key("address"), at.key("addresses"));
        let is_it = |path: &Path| self.source.text(path).and_then(|text| text.parse().ok()) == Some(address);
        let items = (0..ADDRESSES_LIMIT).map(|index| list.index(index));
        core::iter::once(single).chain(items).find(is_it).unwrap_or(list)
    }

    /// Virtual IPs that move together can be on the same nodes, in the same order.
    fn refuse_torn_groups(&mut self, at: &Path, vips: &[VirtualIp]) {
        for (index, vip) in vips.iter().enumerate() {
            let mut before = vips.iter().enumerate().take(index);
            let first = before.find(|(_, other)| vip.group.is_some() && other.group == vip.group);
            let Some((first_index, first)) = first else { continue };
            let (first_at, at) = (at.index(first_index), at.index(index));
            for (field, differs) in [
                ("on", first.on != vip.on),
                ("priorities", first.priorities != vip.priorities),
                ("track", first.track != vip.track),
                ("preempt", first.preempt != vip.preempt),
                ("preemptDelay", first.preempt_delay != vip.preempt_delay),
                ("whenAllBad", first.when_all_bad != vip.when_all_bad),
            ] {
                // Holders by a role are known when the roles are.
                let is_known = (field != "on" || self.knows_roles())
                    && [&first_at, &at].into_iter().all(|at| self.knows(&at.key(field)));
                if differs && is_known {
                    let message =
                        format!("not that of virtual IP {}, which is in the same group", first.name);
                    let remedy = "virtual IPs of one group move together: give all of them the same";
                    self.problem(&at.key(field), message, remedy);
                }
            }
        }
    }
}
