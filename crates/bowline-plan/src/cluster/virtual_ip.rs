//! Addresses that move between nodes.

use core::net::IpAddr;
use core::num::NonZeroU8;
use core::time::Duration;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::is_link_local;

/// An address that moves between nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VirtualIp {
    /// No other virtual IP has it.
    pub name: String,
    /// At least one, all of one family.
    pub addresses: Vec<IpAddr>,
    /// Names of the nodes it may be on, at least one, in the order of the description.
    pub on: Vec<String>,
    /// Of the protocol.
    pub version: VrrpVersion,
    /// Between two adverts.
    pub interval: Duration,
    /// Whether a better node takes over from a good one.
    pub preempt: bool,
    /// How long it waits first.
    pub preempt_delay: Duration,
    /// Number of the virtual router on its link.
    pub vrid: NonZeroU8,
    /// The link it lives on; otherwise the one whose subnet holds the address.
    pub interface: Option<String>,
    /// Virtual IPs with the same group move together.
    pub group: Option<String>,
    /// By node name; 255 is the owner.
    pub priorities: BTreeMap<String, NonZeroU8>,
    /// Whether adverts go to each peer instead of the multicast group.
    pub unicast: bool,
    /// Whose adverts are accepted.
    pub peers: Peers,
    /// Version 2 only, at most 8 bytes.
    pub password: Option<String>,
    /// What makes a node fit to hold the address.
    pub track: Track,
    /// What a holder does when no node is fit.
    pub when_all_bad: WhenAllBad,
    /// Whether connections to the address are balanced, or handed to the holder's own API server.
    pub balance: bool,
    /// Whether it uses the virtual router's own hardware address.
    pub virtual_mac: bool,
}

/// Protocol version of a virtual router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VrrpVersion {
    /// RFC 3768: IPv4, whole seconds.
    V2,
    /// RFC 9568: both families, hundredths of a second.
    V3,
}

/// Whose adverts are accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Peers {
    /// Those of the nodes in the plan.
    Planned,
    /// Everybody's.
    Any,
}

/// What makes a node fit to hold a virtual IP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Track {
    /// It reaches an API server.
    ApiServer,
    /// Nothing beyond running.
    None,
}

/// What the holder of a virtual IP does when no node is fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WhenAllBad {
    /// It keeps the address.
    Keep,
    /// It gives the address up.
    Release,
}

impl VirtualIp {
    /// The addresses that clients can use: one that is valid on its link alone says nothing without the link.
    pub fn client_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().copied().filter(|address| !is_link_local(*address))
    }
}
