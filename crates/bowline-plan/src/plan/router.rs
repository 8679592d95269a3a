//! Virtual routers: which addresses move, between whom, in which order.

use core::net::IpAddr;
use core::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::milliseconds;
use crate::cluster::{Peers, Track, WhenAllBad};

/// A node's part in keeping a virtual IP somewhere. In JSON, durations are milliseconds, and a password is not shown.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualRouter {
    /// That of the virtual IP.
    pub name: String,
    /// Its number on the link, from 1 to 255.
    pub vrid: u8,
    /// Of the protocol: 2 (RFC 3768) or 3 (RFC 9568).
    pub version: u8,
    /// All of one family. Those of IPv6 begin with a link-local one (RFC 9568 section 5.2.9).
    pub addresses: Vec<IpAddr>,
    /// The link; `null` is the one whose subnet holds the address, which the host knows.
    pub interface: Option<String>,
    /// How much this node should hold the address; 255 is the owner.
    pub priority: u8,
    /// 0 should hold it, 1 comes next, and so on.
    pub rank: u16,
    /// Between two adverts.
    #[serde(rename = "intervalMs", serialize_with = "milliseconds")]
    #[schemars(with = "u64")]
    pub interval: Duration,
    /// Whether a better node takes over from a good one.
    pub preempt: bool,
    /// How long it waits first.
    #[serde(rename = "preemptDelayMs", serialize_with = "milliseconds")]
    #[schemars(with = "u64")]
    pub preempt_delay: Duration,
    /// Where this node's adverts come from; `null` when the description gives no address of the family.
    pub source: Option<IpAddr>,
    /// Whether adverts go to each peer instead of the multicast group.
    pub unicast: bool,
    /// The other nodes that may hold it, in the order of their ranks.
    pub peers: Vec<RouterPeer>,
    /// Whose adverts are accepted.
    pub accept: Peers,
    /// How adverts are authenticated.
    pub authentication: Authentication,
    /// With simple authentication, what is sent.
    #[serde(skip)]
    pub password: Option<String>,
    /// What makes this node fit to hold the address.
    pub track: Track,
    /// What a holder does when no node is fit.
    pub when_all_bad: WhenAllBad,
    /// Virtual routers of one group move together.
    pub group: Option<String>,
    /// Whether this node balances connections to the address, or hands them to its own API server.
    pub balance: bool,
    /// Whether the address has the virtual router's own hardware address.
    #[serde(rename = "virtualMAC")]
    pub virtual_mac: bool,
}

/// Another node that may hold the address.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouterPeer {
    /// Its name.
    pub node: String,
    /// Where it is reached, in the family of the virtual IP; `null` when the description gives no such address.
    pub address: Option<IpAddr>,
    /// Its priority.
    pub priority: u8,
}

/// How adverts are authenticated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Authentication {
    /// Not at all.
    None,
    /// By a password in clear text (RFC 2338 section 5.3.6).
    Password,
}
