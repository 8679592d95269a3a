//! Addresses that cannot work where they are.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::codes::Code;
use super::{Lint, named, spec};
use crate::cluster::{Node, VirtualIp, is_link_local, masked};
use crate::source::Path;

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
        self.loopback();
        let cluster = self.cluster;
        for (index, vip) in cluster.virtual_ips().iter().enumerate() {
            self.subnets(index, vip);
        }
    }

    fn service_ranges(&mut self) {
        let remedy = "use another address or another range";
        let ranges = &self.cluster.kubernetes().service_cidrs;
        let range_of = |address: &IpAddr| ranges.iter().find(|range| range.contains(*address));
        for (index, node) in self.cluster.nodes().iter().enumerate() {
            let own = node.addresses.iter().copied().chain(node.access_address);
            // The access address is usually one of the addresses.
            let own: BTreeSet<IpAddr> = own.collect();
            for (address, range) in own.into_iter().filter_map(|address| Some((address, range_of(&address)?)))
            {
                let path = spec().key("nodes").index(index);
                let message =
                    format!("address {address} of node {} lies in the service range {range}", node.name);
                self.add(Code::ADDRESS_IN_SERVICE_RANGE, &path, message, remedy);
            }
        }
        for (index, vip) in self.cluster.virtual_ips().iter().enumerate() {
            let in_range = vip.addresses.iter().enumerate();
            for (position, address, range) in
                in_range.filter_map(|(position, address)| Some((position, address, range_of(address)?)))
            {
                let path = self.address_path(index, position);
                let message = format!("virtual IP {address} lies in the service range {range}");
                self.add(Code::ADDRESS_IN_SERVICE_RANGE, &path, message, remedy);
            }
        }
    }

    /// For trying out on one machine: in a cluster everybody who is told such an address finds themselves.
    fn loopback(&mut self) {
        let nodes = self.cluster.nodes();
        if nodes.len() < 2 {
            return;
        }
        for (index, node) in nodes.iter().enumerate() {
            let own = node.addresses.iter().copied().chain(node.access_address).chain(node.public_address);
            if let Some(address) = own.into_iter().find(IpAddr::is_loopback) {
                let path = spec().key("nodes").index(index);
                let message =
                    format!("address {address} of node {} leads others to their own machine", node.name);
                let remedy = "give the node an address that the others reach, unless all are on one machine";
                self.add(Code::NODE_ON_LOOPBACK, &path, message, remedy);
            }
        }
    }

    /// A virtual IP has to be in a subnet of every node that may hold it. The description has no prefixes, but nodes that
    /// can hold one address are neighbours, so their own addresses show how large the subnet is at least.
    fn subnets(&mut self, index: usize, vip: &VirtualIp) {
        let nodes = self.cluster.nodes().iter();
        let holders: Vec<&Node> = nodes.filter(|node| vip.on.contains(&node.name)).collect();
        for (position, address) in vip.addresses.iter().copied().enumerate() {
            if is_link_local(address) {
                continue;
            }
            let at = self.address_path(index, position);
            let estimated = estimate(vip, &holders, address);
            if vip.interface.is_none() && !self.is_beside(vip, &holders, address, estimated, &at) {
                continue;
            }
            if let Some((subnet, prefix)) = estimated
                && let Some(what) = special(address, subnet, prefix)
            {
                let message =
                    format!("{address} is {what} of {subnet}/{prefix}, if that is the nodes' subnet");
                let remedy = "use a free address between the first and the last of the subnet";
                self.add(Code::VIRTUAL_IP_PERHAPS_NETWORK_ADDRESS, &at, message, remedy);
            }
        }
    }

    /// Where the description has the address at `position` of a virtual IP.
    fn address_path(&self, index: usize, position: usize) -> Path {
        let at = spec().key("virtualIPs").index(index);
        let single = at.key("address");
        if self.cluster.source.has(&single) { single } else { at.key("addresses").index(position) }
    }

    /// Whether `address` can be on the link of all its holders; a finding says why not.
    fn is_beside(
        &mut self,
        vip: &VirtualIp,
        holders: &[&Node],
        address: IpAddr,
        estimated: Option<(IpAddr, u8)>,
        at: &Path,
    ) -> bool {
        let remedy =
            "use a free address of the subnet that the nodes share, or name its link as `interface:`";
        let names = |is_it: &dyn Fn(&&&Node) -> bool| -> Vec<&str> {
            holders.iter().filter(is_it).map(|node| node.name.as_str()).collect()
        };
        let without = names(&|node| node.address_of_family(address).is_none());
        if !without.is_empty() {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            let message = format!(
                "there is no {family} address on {} beside which {address} could be",
                named(&without)
            );
            let remedy = format!("give such a node an {family} address, or take it out of `on`");
            self.add(Code::VIRTUAL_IP_OUTSIDE_SUBNET, at, message, remedy);
            return false;
        }
        let least = if address.is_ipv4() { LEAST_V4 } else { LEAST_V6 };
        let apart = names(&|node| {
            let nearest = own(vip, node, address).map(|own| common_prefix(own, address)).max();
            nearest.is_some_and(|bits| bits < least)
        });
        if !apart.is_empty() {
            let message = format!("{address} is in no subnet of {}, which may hold it", named(&apart));
            self.add(Code::VIRTUAL_IP_OUTSIDE_SUBNET, at, message, remedy);
            return false;
        }
        if let Some((subnet, prefix)) = estimated
            && masked(address, prefix) != subnet
        {
            let message =
                format!("{address} is not in {subnet}/{prefix}, where the nodes are that may hold it");
            self.add(Code::VIRTUAL_IP_PERHAPS_OUTSIDE_SUBNET, at, message, remedy);
            return false;
        }
        true
    }
}

/// What an address is in a subnet in which no host can have it.
fn special(address: IpAddr, subnet: IpAddr, prefix: u8) -> Option<&'static str> {
    match address {
        IpAddr::V4(_) if address == subnet => Some("the network address"),
        IpAddr::V4(v4) => {
            let hosts = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            let is_last = masked(address, prefix) == subnet && v4.to_bits() & hosts == hosts;
            is_last.then_some("the broadcast address")
        }
        // RFC 4291 section 2.6.1.
        IpAddr::V6(_) => (address == subnet).then_some("the anycast address of the routers"),
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
