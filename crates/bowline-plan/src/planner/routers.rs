//! Which node should hold which virtual IP, and who comes next.
//!
//! The first virtual IP's order is that of the nodes, the second's begins with the second node, and so on, so that several
//! are spread. Virtual IPs of one group have the order of the group's first. Nodes far down an order are still *able to
//! serve*: their priorities stay above 128.

use core::cmp::Reverse;
use core::net::{IpAddr, Ipv6Addr};
use std::collections::BTreeMap;

use crate::cluster::{Cluster, Node, VirtualIp, VrrpVersion, is_link_local};
use crate::plan::{Authentication, RouterPeer, VirtualRouter};

/// The best priority short of the owner's, 255.
const FIRST_PRIORITY: u8 = 254;
/// Between one node and the next: room for an operator to put something between.
const PRIORITY_STEP: usize = 4;
/// With more nodes than fit between [`FIRST_PRIORITY`] and [`LEAST_PRIORITY`] in steps of [`PRIORITY_STEP`].
const NARROW_STEP: usize = 1;
/// Lower ones say that a node cannot serve.
const LEAST_PRIORITY: u8 = 129;

/// Every virtual IP's nodes in the order in which they should hold it.
pub(super) struct Routers<'a>(Vec<Router<'a>>);

struct Router<'a> {
    vip: &'a VirtualIp,
    /// By rank.
    holders: Vec<Holder<'a>>,
}

struct Holder<'a> {
    node: &'a Node,
    priority: u8,
}

impl<'a> Routers<'a> {
    pub(super) fn of(cluster: &'a Cluster) -> Self {
        let vips = cluster.virtual_ips();
        let nodes: BTreeMap<&str, &Node> =
            cluster.nodes().iter().map(|node| (node.name.as_str(), node)).collect();
        let router = |(index, vip): (usize, &'a VirtualIp)| {
            // The group's first, or the virtual IP itself.
            let is_first = |other: &VirtualIp| vip.group.is_some() && other.group == vip.group;
            let turn = vips.iter().position(is_first).unwrap_or(index);
            Router { vip, holders: holders(&nodes, vip, turn) }
        };
        Self(vips.iter().enumerate().map(router).collect())
    }

    /// The node's part in all of them.
    pub(super) fn of_node(&self, node: &Node) -> Vec<VirtualRouter> {
        let part = |router: &Router<'_>| {
            let rank = router.holders.iter().position(|holder| holder.node.name == node.name)?;
            Some(router.part(node, rank))
        };
        let mut parts: Vec<VirtualRouter> = self.0.iter().filter_map(part).collect();
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        parts
    }
}

/// The nodes that may hold the address, by rank.
fn holders<'a>(nodes: &BTreeMap<&str, &'a Node>, vip: &VirtualIp, turn: usize) -> Vec<Holder<'a>> {
    let mut nodes: Vec<&Node> = vip.on.iter().filter_map(|name| nodes.get(name.as_str()).copied()).collect();
    let count = nodes.len();
    nodes.rotate_left(turn.checked_rem(count).unwrap_or(0));
    let mut holders: Vec<Holder<'_>> = nodes
        .into_iter()
        .enumerate()
        .map(|(place, node)| {
            let given = vip.priorities.get(&node.name).map(|priority| priority.get());
            Holder { node, priority: given.unwrap_or(planned_priority(place, count)) }
        })
        .collect();
    // Stable: of two with the same priority, the one that was planned first.
    holders.sort_by_key(|holder| Reverse(holder.priority));
    holders
}

fn planned_priority(place: usize, count: usize) -> u8 {
    let room = usize::from(FIRST_PRIORITY.saturating_sub(LEAST_PRIORITY));
    let step = if count.saturating_sub(1).saturating_mul(PRIORITY_STEP) <= room {
        PRIORITY_STEP
    } else {
        NARROW_STEP
    };
    let below = place.saturating_mul(step).min(room);
    FIRST_PRIORITY.saturating_sub(u8::try_from(below).unwrap_or(u8::MAX))
}

impl Router<'_> {
    fn part(&self, node: &Node, rank: usize) -> VirtualRouter {
        let vip = self.vip;
        let addresses = addresses(vip);
        let family = addresses.first().copied();
        let address = |node: &Node| family.and_then(|family| node.address_of_family(family));
        let others = self.holders.iter().filter(|holder| holder.node.name != node.name);
        let peers = others
            .map(|holder| RouterPeer {
                node: holder.node.name.clone(),
                address: address(holder.node),
                priority: holder.priority,
            })
            .collect();
        let priority = self.holders.get(rank).map_or(LEAST_PRIORITY, |holder| holder.priority);
        VirtualRouter {
            name: vip.name.clone(),
            vrid: vip.vrid.get(),
            version: match vip.version {
                VrrpVersion::V2 => 2,
                VrrpVersion::V3 => 3,
            },
            addresses,
            interface: vip.interface.clone(),
            priority,
            rank: u16::try_from(rank).unwrap_or(u16::MAX),
            interval: vip.interval,
            preempt: vip.preempt,
            preempt_delay: vip.preempt_delay,
            source: address(node),
            unicast: vip.unicast,
            peers,
            accept: vip.peers,
            authentication: match vip.password {
                Some(_) => Authentication::Password,
                None => Authentication::None,
            },
            password: vip.password.clone(),
            track: vip.track,
            when_all_bad: vip.when_all_bad,
            group: vip.group.clone(),
            balance: vip.balance,
            virtual_mac: vip.virtual_mac,
        }
    }
}

/// Those of IPv6 begin with a link-local one: that of the description, else the one that follows from the virtual
/// router's hardware address, 00-00-5E-00-02 and its number, as an EUI-64 (RFC 9568 section 7.3, RFC 4291 appendix A).
fn addresses(vip: &VirtualIp) -> Vec<IpAddr> {
    let (mut addresses, others): (Vec<IpAddr>, Vec<IpAddr>) =
        vip.addresses.iter().copied().partition(|address| is_link_local(*address));
    if addresses.is_empty() && others.iter().any(IpAddr::is_ipv6) {
        let vrid = u16::from(vip.vrid.get());
        let derived = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x0200, 0x5eff, 0xfe00, 0x0200 | vrid);
        addresses.push(IpAddr::V6(derived));
    }
    addresses.extend(others);
    addresses
}
