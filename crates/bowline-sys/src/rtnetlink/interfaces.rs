//! Finding an interface, and an address of it, in what the kernel listed.

use std::net::{IpAddr, Ipv6Addr};

use super::{Address, Link, Scope};

/// The upper half of the link-local addresses (RFC 4291 2.5.6).
const LINK_LOCAL: u64 = 0xfe80 << 48;

/// Turned round in the first byte of an Ethernet address when an interface identifier is made of it (RFC 4291 2.5.1).
const UNIVERSAL: u8 = 0x02;

/// All links and addresses at one time.
#[derive(Clone, Debug, Default)]
pub struct Interfaces {
    links: Vec<Link>,
    addresses: Vec<Address>,
}

/// What an address is in a subnet in which no host can have it for itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reserved {
    /// IPv4: the first one, which means the subnet (RFC 1812 section 4.2.2.11).
    Network,
    /// IPv4: the last one, which means everybody in it (RFC 1122 section 3.2.1.3).
    Broadcast,
    /// IPv6: the first one, which means any of the routers: every host that forwards answers for it (RFC 4291 section 2.6.1).
    RouterAnycast,
}

impl Interfaces {
    pub(super) fn new(links: Vec<Link>, addresses: Vec<Address>) -> Self {
        Self { links, addresses }
    }

    /// Every link.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Every address.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// The link called `name`.
    pub fn by_name(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The link with this [`Link::index`].
    pub fn by_index(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }

    /// The links whose subnet holds `address`: those with the longest such prefix, loopback and single addresses (/32, /128)
    /// aside. More than one means that the description must name the interface, as it must for IPv6 link-local addresses,
    /// whose subnet is on every link.
    pub fn with_subnet_of(&self, address: IpAddr) -> Vec<&Link> {
        let holding: Vec<_> = self
            .links
            .iter()
            .filter(|link| !link.loopback)
            .filter_map(|link| Some((link, self.subnet_of(link.index, address)?.prefix)))
            .collect();
        let longest = holding.iter().map(|(_, prefix)| *prefix).max();
        holding.into_iter().filter(|(_, prefix)| Some(*prefix) == longest).map(|(link, _)| link).collect()
    }

    /// What a virtual router says it comes from on this interface, when it serves `address`: for IPv4 the first address of the
    /// subnet that holds it, else the interface's first; for IPv6 the link-local address (RFC 9568 5.1.1.1, 5.1.2.1). Never a
    /// lease of ours, never one that is not usable (yet).
    pub fn source_for(&self, interface: u32, address: IpAddr) -> Option<IpAddr> {
        match address {
            IpAddr::V4(_) => {
                let near = self.subnet_of(interface, address);
                let first = || self.candidates(interface).find(|own| own.address.is_ipv4());
                near.or_else(first).map(|own| own.address)
            }
            IpAddr::V6(_) => self.link_local(interface).map(IpAddr::V6),
        }
    }

    /// The interface's IPv6 link-local address; `None` also while the kernel still asks whether another host has it.
    pub fn link_local(&self, interface: u32) -> Option<Ipv6Addr> {
        self.candidates(interface).find_map(|own| match own.address {
            IpAddr::V6(address) if own.scope == Scope::Link => Some(address),
            IpAddr::V6(_) | IpAddr::V4(_) => None,
        })
    }

    /// The same, and while there is none the one about which the kernel still asks: nothing can be sent from it yet.
    pub fn coming_link_local(&self, interface: u32) -> Option<Ipv6Addr> {
        let of_link = self.addresses.iter().filter(|own| own.interface == interface && !own.is_ours());
        let coming = of_link.filter_map(|own| match own.address {
            IpAddr::V6(address) if own.scope == Scope::Link => Some(address),
            IpAddr::V6(_) | IpAddr::V4(_) => None,
        });
        self.link_local(interface).or_else(|| coming.into_iter().next())
    }

    /// The link-local address that the kernel will give the interface when that has its carrier; `None` where it will not, or
    /// makes it of something else than the Ethernet address (`net.ipv6.conf.*.addr_gen_mode`). In the namespace of the calling
    /// thread.
    pub fn promised_link_local(&self, interface: u32) -> Option<Ipv6Addr> {
        let link = self.by_index(interface)?;
        let setting = |name: &str| {
            let path = format!("/proc/sys/net/ipv6/conf/{}/{name}", link.name);
            std::fs::read_to_string(path).is_ok_and(|text| text.trim() == "0")
        };
        let [a, b, c, d, e, f] = link.mac?.0;
        // RFC 4291 appendix A.
        let identifier = [a ^ UNIVERSAL, b, c, 0xff, 0xfe, d, e, f];
        let address = (u128::from(LINK_LOCAL) << 64) | u128::from(u64::from_be_bytes(identifier));
        (setting("disable_ipv6") && setting("addr_gen_mode")).then(|| Ipv6Addr::from_bits(address))
    }

    /// What `address` means in the interface's subnet that holds it, with the prefix of that, where no host can have it for
    /// itself.
    pub fn reserved(&self, interface: u32, address: IpAddr) -> Option<(Reserved, u8)> {
        let prefix = self.subnet_of(interface, address)?.prefix;
        Some((reserved(address, prefix)?, prefix))
    }

    /// Where this host has `address`, whoever added it.
    pub fn having(&self, address: IpAddr) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |own| own.address == address)
    }

    /// Whether a packet can leave from `source` on this interface.
    pub fn can_send_from(&self, interface: u32, source: IpAddr) -> bool {
        self.having(source).any(|own| own.interface == interface && own.is_usable())
    }

    /// The address of the interface with the longest prefix that covers `address`; of equals the first.
    fn subnet_of(&self, interface: u32, address: IpAddr) -> Option<&Address> {
        let covering = |own: &&Address| !own.is_single() && own.covers(address);
        let of_longest = |best: &Address, own: &Address| own.prefix > best.prefix;
        self.candidates(interface)
            .filter(covering)
            .reduce(|best, own| if of_longest(best, own) { own } else { best })
    }

    fn candidates(&self, interface: u32) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |own| {
            own.interface == interface && own.scope != Scope::Host && !own.is_ours() && own.is_usable()
        })
    }
}

/// Subnets of two addresses have no such address (RFC 3021, RFC 6164), nor have single ones.
fn reserved(address: IpAddr, prefix: u8) -> Option<Reserved> {
    match address {
        IpAddr::V4(_) if prefix >= 31 => None,
        IpAddr::V4(v4) => {
            let hosts = u32::MAX >> prefix;
            match v4.to_bits() & hosts {
                0 => Some(Reserved::Network),
                host if host == hosts => Some(Reserved::Broadcast),
                _ => None,
            }
        }
        IpAddr::V6(_) if prefix >= 127 => None,
        IpAddr::V6(v6) => (v6.to_bits() & (u128::MAX >> prefix) == 0).then_some(Reserved::RouterAnycast),
    }
}

impl Address {
    /// Whether its subnet holds `address`.
    pub fn covers(&self, address: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.subnet, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                prefix <= 32 && differing.leading_zeros() >= prefix
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differing = own.to_bits() ^ other.to_bits();
                prefix <= 128 && differing.leading_zeros() >= prefix
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    /// Whether it can be sent from: IPv6 asks first whether another host has it, and does without it then.
    pub fn is_usable(&self) -> bool {
        !self.flags.is_tentative() && !self.flags.is_duplicate()
    }

    fn is_single(&self) -> bool {
        self.prefix == if self.address.is_ipv4() { 32 } else { 128 }
    }
}

#[cfg(test)]
mod tests;
