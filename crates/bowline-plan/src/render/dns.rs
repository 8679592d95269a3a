//! Records for a DNS zone: where the names of the description lead for whoever has no line in a hosts file.

use core::net::IpAddr;
use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use super::NotRendered;
use crate::cluster::{Access, Cluster, Host, Mode, Node, NodeRole, VirtualIp};
use crate::planner::LOOPBACK;

/// How long a client may go on using an answer, in seconds: short, because a balancer that is taken away is in it.
const TTL: u32 = 60;

/// What a record holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
pub enum DnsType {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    #[serde(rename = "AAAA")]
    Aaaa,
    /// Another name.
    #[serde(rename = "CNAME")]
    Cname,
}

/// One record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, JsonSchema)]
pub struct DnsRecord {
    /// The name, without the dot at its end.
    pub name: String,
    /// Seconds.
    pub ttl: u32,
    /// What `data` is.
    #[serde(rename = "type")]
    pub kind: DnsType,
    /// An address or a name.
    pub data: String,
}

/// A record for each name and each address behind it. A name of both sides leads where outsiders go: nodes have lines in
/// their hosts files.
///
/// # Errors
/// Neither side has a name; or one would lead to several other names, which DNS does not have.
pub fn dns(cluster: &Cluster) -> Result<Vec<DnsRecord>, NotRendered> {
    let mut seen = BTreeSet::new();
    let mut records = Vec::new();
    for (access, is_internal) in [(cluster.external(), false), (cluster.internal(), true)] {
        let hosts = hosts(cluster, access, is_internal);
        for name in access.names.iter().filter(|name| seen.insert(name.as_str())) {
            let is_alias = |host: &Host| matches!(host, Host::Name(_));
            if hosts.len() > 1 && hosts.iter().any(is_alias) {
                let message = format!("{name} would lead to another name and to more beside it");
                return Err(NotRendered::new(message, "give addresses instead of names, or one name alone"));
            }
            let others = hosts.iter().filter(|host| **host != Host::Name(name.clone()));
            records.extend(others.map(|host| record(name, host)));
        }
    }
    if seen.is_empty() {
        let remedy = "give access.external or access.internal `names`";
        return Err(NotRendered::new("neither side has a name", remedy));
    }
    Ok(records)
}

/// As lines of a zone file.
pub fn dns_text(records: &[DnsRecord]) -> String {
    let dot = |kind| if kind == DnsType::Cname { "." } else { "" };
    let line = |record: &DnsRecord| {
        let DnsRecord { name, ttl, kind, data } = record;
        format!("{name}. {ttl} IN {} {data}{}\n", kind.as_str(), dot(*kind))
    };
    records.iter().map(line).collect()
}

fn record(name: &str, host: &Host) -> DnsRecord {
    let kind = match host {
        Host::Address(IpAddr::V4(_)) => DnsType::A,
        Host::Address(IpAddr::V6(_)) => DnsType::Aaaa,
        Host::Name(_) => DnsType::Cname,
    };
    DnsRecord { name: name.to_owned(), ttl: TTL, kind, data: host.to_string() }
}

/// What a side's names lead to.
fn hosts(cluster: &Cluster, access: &Access, is_internal: bool) -> Vec<Host> {
    let address = |node: &Node| if is_internal { node.access_address } else { node.outside_address() };
    let addresses: Vec<IpAddr> = match &access.mode {
        Mode::NodeLocal => LOOPBACK.to_vec(),
        Mode::LoadBalancer if is_internal => LOOPBACK.to_vec(),
        Mode::LoadBalancer => cluster.with_role(NodeRole::LoadBalancer).filter_map(address).collect(),
        Mode::VirtualIp(chosen) => {
            let vips = chosen.iter().filter_map(|index| cluster.virtual_ips().get(*index));
            vips.flat_map(VirtualIp::client_addresses).collect()
        }
        Mode::External(fronts) => return fronts.iter().map(|front| front.host.clone()).collect(),
        Mode::Direct => cluster.with_role(NodeRole::ControlPlane).find_map(address).into_iter().collect(),
    };
    addresses.into_iter().map(Host::Address).collect()
}

impl DnsType {
    /// As in a zone file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
        }
    }
}
