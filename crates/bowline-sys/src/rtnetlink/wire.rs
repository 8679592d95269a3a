//! What links and addresses are on a netlink socket. Names and numbers are those of linux/rtnetlink.h, linux/if_link.h,
//! linux/if_addr.h, linux/if.h and linux/veth.h.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::{Address, AddressFlags, Link, Scope};
use crate::mac::Mac;
use crate::netlink::{Encoder, attributes, u8_at, u16_at, u32_at};

pub(super) const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_DELLINK: u16 = 17;
pub(super) const RTM_GETLINK: u16 = 18;
pub(super) const RTM_SETLINK: u16 = 19;
pub(super) const RTM_NEWADDR: u16 = 20;
pub(super) const RTM_DELADDR: u16 = 21;
pub(super) const RTM_GETADDR: u16 = 22;

pub(super) const IFLA_ADDRESS: u16 = 1;
pub(super) const IFLA_IFNAME: u16 = 3;
pub(super) const IFLA_MTU: u16 = 4;
pub(super) const IFLA_LINK: u16 = 5;
pub(super) const IFLA_LINKINFO: u16 = 18;
pub(super) const IFLA_IFALIAS: u16 = 20;
pub(super) const IFLA_AF_SPEC: u16 = 26;
/// Inside [`IFLA_AF_SPEC`] and the family: which link-local address the kernel gives the link by itself, and none.
pub(super) const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
pub(super) const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
pub(super) const IFLA_MACVLAN_MODE: u16 = 1;
/// It hears and is heard by the outside, and by the parent's other links of its kind.
pub(super) const MACVLAN_MODE_BRIDGE: u32 = 4;
/// Inside [`IFLA_AF_SPEC`] and the family: values of `net.ipv4.conf`, by the numbers of linux/ip.h.
pub(super) const IFLA_INET_CONF: u16 = 1;
pub(super) const RP_FILTER: u16 = 8;
pub(super) const ARP_ANNOUNCE: u16 = 18;
pub(super) const ARP_IGNORE: u16 = 19;
pub(super) const IFLA_NET_NS_FD: u16 = 28;
pub(super) const IFLA_INFO_KIND: u16 = 1;
pub(super) const IFLA_INFO_DATA: u16 = 2;
pub(super) const VETH_INFO_PEER: u16 = 1;

pub(super) const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;
const IFF_RUNNING: u32 = 0x40;
/// `ARPHRD_ETHER` of linux/if_arp.h.
const ARPHRD_ETHER: u16 = 1;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_CACHEINFO: u16 = 6;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;

pub(super) const IFA_F_SECONDARY: u32 = 0x01;
pub(super) const IFA_F_NODAD: u32 = 0x02;
pub(super) const IFA_F_DADFAILED: u32 = 0x08;
pub(super) const IFA_F_DEPRECATED: u32 = 0x20;
pub(super) const IFA_F_TENTATIVE: u32 = 0x40;
pub(super) const IFA_F_PERMANENT: u32 = 0x80;
pub(super) const IFA_F_NOPREFIXROUTE: u32 = 0x200;

const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RT_SCOPE_HOST: u8 = 254;

pub(super) const AF_UNSPEC: u8 = 0;
pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;

/// The lifetime that never ends.
const FOREVER: u32 = u32::MAX;

/// `struct ifinfomsg`: family, padding, type, index (0: by name), flags, and which flags are meant.
pub(super) fn link_header(request: &mut Encoder, index: u32, flags: u32, change: u32) {
    request.structure(&[AF_UNSPEC, 0, 0, 0]);
    for word in [index, flags, change] {
        request.structure(&word.to_ne_bytes());
    }
}
pub(super) const LINK_HEADER: usize = 16;

/// `struct ifaddrmsg`: family, prefix length, the lower flags, scope, index.
pub(super) fn address_header(
    request: &mut Encoder,
    family: u8,
    prefix: u8,
    flags: u32,
    scope: u8,
    interface: u32,
) {
    request.structure(&[family, prefix, flags.to_le_bytes()[0], scope]);
    request.structure(&interface.to_ne_bytes());
}
const ADDRESS_HEADER: usize = 8;

/// An address to be added, changed or removed.
pub(super) struct Subject {
    pub(super) interface: u32,
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
    pub(super) flags: u32,
    pub(super) scope: Scope,
}

impl Subject {
    pub(super) fn encode(&self) -> Encoder {
        let (family, octets) = match self.address {
            IpAddr::V4(address) => (AF_INET, address.octets().to_vec()),
            IpAddr::V6(address) => (AF_INET6, address.octets().to_vec()),
        };
        let mut request = Encoder::default();
        address_header(&mut request, family, self.prefix, self.flags, self.scope.number(), self.interface);
        request.attribute(IFA_LOCAL, &octets);
        request.attribute(IFA_ADDRESS, &octets);
        // All of the flags: the header has room for eight.
        request.attribute(IFA_FLAGS, &self.flags.to_ne_bytes());
        request
    }
}

/// Ends an address by itself after `valid` seconds, and keeps it from being chosen as a source; says who added it.
pub(super) fn finite(request: &mut Encoder, valid: u32, mark: u8) {
    // struct ifa_cacheinfo: preferred and valid lifetime; the two stamps are the kernel's.
    let cache_info: Vec<u8> = [0, valid, 0, 0].into_iter().flat_map(u32::to_ne_bytes).collect();
    request.attribute(IFA_CACHEINFO, &cache_info);
    request.attribute(IFA_PROTO, &[mark]);
}

impl Scope {
    fn number(self) -> u8 {
        match self {
            Self::Global => RT_SCOPE_UNIVERSE,
            Self::Link => RT_SCOPE_LINK,
            Self::Host => RT_SCOPE_HOST,
            Self::Other(number) => number,
        }
    }

    fn of_number(number: u8) -> Self {
        match number {
            RT_SCOPE_UNIVERSE => Self::Global,
            RT_SCOPE_LINK => Self::Link,
            RT_SCOPE_HOST => Self::Host,
            number => Self::Other(number),
        }
    }
}

/// Reads the body of `RTM_NEWLINK` and `RTM_DELLINK`; `None` for what is no link or has no name.
pub(super) fn link(body: &[u8]) -> Option<Link> {
    // A bridge's view of its ports has a family: a port that leaves it is no link that goes.
    if body.first() != Some(&AF_UNSPEC) {
        return None;
    }
    let kind = u16_at(body, 2)?;
    let index = u32_at(body, 4)?;
    let flags = u32_at(body, 8)?;
    let (mut name, mut mac, mut made_by) = (None, None, None);
    for (attribute, value) in attributes(body.get(LINK_HEADER..)?) {
        match attribute {
            IFLA_LINKINFO => {
                made_by =
                    attributes(value).find(|(part, _)| *part == IFLA_INFO_KIND).map(|(_, kind)| text(kind));
            }
            IFLA_IFNAME => name = Some(text(value)),
            IFLA_ADDRESS if kind == ARPHRD_ETHER => mac = value.try_into().ok().map(Mac),
            _ => {}
        }
    }
    Some(Link {
        index,
        name: name?,
        mac,
        up: flags & IFF_UP != 0,
        running: flags & IFF_UP != 0 && flags & IFF_RUNNING != 0,
        loopback: flags & IFF_LOOPBACK != 0,
        kind: made_by,
    })
}

pub(super) fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}

/// Reads the body of `RTM_NEWADDR` and `RTM_DELADDR`; `None` for what is no Internet address.
pub(super) fn address(body: &[u8]) -> Option<Address> {
    let family = u8_at(body, 0)?;
    let (mut local, mut subnet, mut proto) = (None, None, None);
    let mut flags = u32::from(u8_at(body, 2)?);
    let (mut valid, mut preferred, mut created) = (FOREVER, FOREVER, 0);
    for (attribute, value) in attributes(body.get(ADDRESS_HEADER..)?) {
        match attribute {
            IFA_LOCAL => local = Some(ip(family, value)?),
            IFA_ADDRESS => subnet = Some(ip(family, value)?),
            IFA_FLAGS => flags = u32_at(value, 0)?,
            IFA_PROTO => proto = u8_at(value, 0),
            IFA_CACHEINFO => {
                (preferred, valid, created) = (u32_at(value, 0)?, u32_at(value, 4)?, u32_at(value, 8)?);
            }
            _ => {}
        }
    }
    // IPv6 says IFA_LOCAL only of point-to-point links.
    let address = local.or(subnet)?;
    Some(Address {
        interface: u32_at(body, 4)?,
        address,
        prefix: u8_at(body, 1)?,
        subnet: subnet.unwrap_or(address),
        scope: Scope::of_number(u8_at(body, 3)?),
        flags: AddressFlags(flags),
        valid: lifetime(valid),
        preferred: lifetime(preferred),
        created,
        proto,
    })
}

fn ip(family: u8, value: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).into()),
        AF_INET6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).into()),
        _ => None,
    }
}

fn lifetime(seconds: u32) -> Option<Duration> {
    (seconds != FOREVER).then(|| Duration::from_secs(seconds.into()))
}
