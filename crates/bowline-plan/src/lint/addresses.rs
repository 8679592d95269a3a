//! Addresses that cannot work where they are.

use core::net::IpAddr;

use super::codes::Code;
use super::{Lint, spec};
use crate::cluster::{Node, VirtualIp, is_link_local, masked};

/// Subnets are rarely smaller than this, and the nodes' own addresses show when they are larger.
const SUBNET_V4: u8 = 24;
/// What a subnet is (RFC 4291 section 2.5.4).
const SUBNET_V6: u8 = 64;
/// No link of nodes has a larger subnet than this.
const LEAST_V4: u8 = 16;
/// What a site has at most (RFC 6177).
const LEAST_V6: u8 = 48;

impl Lint<'_> {
    pub(super) fn addresses(&mut self) {
        self.service_ranges();
        for index in 0..self.cluster.virtual_ips().len() {
            self.subnet(index);
        }
    }

    fn service_ranges(&mut self) {
        let remedy = "use another address or another range";
        let ranges = &self.cluster.kubernetes().service_cidrs;
        let range_of = |address: &IpAddr| ranges.iter().find(|range| range.contains(*address));
        for (index, node) in self.cluster.nodes().iter().enumerate() {
            let own = node.addresses.iter().copied().chain(node.access_address);
            if let Some((address, range)) =
                own.into_iter().find_map(|address| Some((address, range_of(&address)?)))
            {
                let path = spec().key("nodes").index(index);
                let message =
                    format!("address {address} of node {} lies in the service range {range}", node.name);
                self.add(Code::ADDRESS_IN_SERVICE_RANGE, &path, message, remedy);
            }
        }
        for (index, vip) in self.cluster.virtual_ips().iter().enumerate() {
            for (address, range) in
                vip.addresses.iter().filter_map(|address| Some((address, range_of(address)?)))
            {
                let path = spec().key("virtualIPs").index(index).key("address");
                let message = format!("virtual IP {address} lies in the service range {range}");
                self.add(Code::ADDRESS_IN_SERVICE_RANGE, &path, message, remedy);
            }
        }
    }

    /// A virtual IP has to be in a subnet of every node that may hold it. The description has no prefixes, but nodes that
    /// can hold one address are neighbours, so their own addresses show how large the subnet is at least.
    fn subnet(&mut self, index: usize) {
        let cluster = self.cluster;
        let Some(vip) = cluster.virtual_ips().get(index) else { return };
        let Some(address) = vip.addresses.iter().copied().find(|address| !is_link_local(*address)) else {
            return;
        };
        let at = spec().key("virtualIPs").index(index).key("address");
        let holders: Vec<&Node> = cluster.nodes().iter().filter(|node| vip.on.contains(&node.name)).collect();
        let remedy =
            "use a free address of the subnet that the nodes share, or name its link as `interface:`";
        if vip.interface.is_some() {
            return;
        }
        if let Some(node) = holders.iter().find(|node| node.address_of_family(address).is_none()) {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            let message = format!("{} has no {family} address beside which {address} could be", node.name);
            let remedy = format!("give the node an {family} address, or take it out of `on`");
            self.add(Code::VIRTUAL_IP_OUTSIDE_SUBNET, &at, message, remedy);
            return;
        }
        let least = if address.is_ipv4() { LEAST_V4 } else { LEAST_V6 };
        let is_apart = |node: &&&Node| {
            let nearest = own(vip, node, address).map(|own| common_prefix(own, address)).max();
            nearest.is_some_and(|bits| bits < least)
        };
        if let Some(node) = holders.iter().find(is_apart) {
            let message = format!("{address} is in no subnet of {}, which may hold it", node.name);
            self.add(Code::VIRTUAL_IP_OUTSIDE_SUBNET, &at, message, remedy);
        } else if let Some((subnet, prefix)) = estimate(vip, &holders, address)
            && masked(address, prefix) != subnet
        {
            let message =
                format!("{address} is not in {subnet}/{prefix}, where the nodes are that may hold it");
            self.add(Code::VIRTUAL_IP_PERHAPS_OUTSIDE_SUBNET, &at, message, remedy);
        }
    }
}

/// A node's own addresses of the family of `address`; an owner of the virtual IP has that too.
fn own(vip: &VirtualIp, node: &Node, address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let own = node.addresses.iter().copied().chain(node.access_address);
    own.filter(move |own| own.is_ipv4() == address.is_ipv4() && !vip.addresses.contains(own))
}

/// The least subnet that can hold the address nearest to `address` of each node.
fn estimate(vip: &VirtualIp, holders: &[&Node], address: IpAddr) -> Option<(IpAddr, u8)> {
    let nearest = |node: &&Node| own(vip, node, address).max_by_key(|own| common_prefix(*own, address));
    let mut nearest = holders.iter().filter_map(nearest);
    let first = nearest.next()?;
    let limit = if address.is_ipv4() { SUBNET_V4 } else { SUBNET_V6 };
    let prefix = nearest.map(|other| common_prefix(first, other)).min().unwrap_or(limit).min(limit);
    Some((masked(first, prefix), prefix))
}

/// Leading bits that two addresses of one family have in common.
fn common_prefix(a: IpAddr, b: IpAddr) -> u8 {
    let bits = match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u32::from(a) ^ u32::from(b)).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a) ^ u128::from(b)).leading_zeros(),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => 0,
    };
    u8::try_from(bits).unwrap_or(u8::MAX)
}
