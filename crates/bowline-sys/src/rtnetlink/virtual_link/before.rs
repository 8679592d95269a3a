//! How an interface is without virtual links on it.

use super::super::wire;
use std::fmt;

/// Answer for addresses of the interface that was asked.
pub(super) const ANSWER_FOR_OWN: u32 = 1;
/// Ask as an address of the interface that asks.
const ASK_AS_OWN: u32 = 2;

/// How the alias of a link begins.
const ALIAS: &str = "bowline virtual router";

/// How an interface was before a virtual link was made on it, to be given back when that goes. As text it is `7/0/0`: the interface's
/// number, `arp_ignore` and `arp_announce`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Before {
    /// The interface's number in the kernel.
    pub(super) parent: u32,
    pub(super) arp: Arp,
}

impl Before {
    /// The number of the interface that it is about.
    pub const fn parent(self) -> u32 {
        self.parent
    }

    /// What a text says; `None` when it says nothing of the kind.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<u32>> = text.split('/').map(|number| number.parse().ok()).collect();
        let &[parent, ignore, announce] = numbers?.as_slice() else { return None };
        Some(Self { parent, arp: Arp { ignore, announce } })
    }
}

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.parent, self.arp.ignore, self.arp.announce)
    }
}

/// How an interface speaks of addresses (`net.ipv4.conf`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Arp {
    pub(super) ignore: u32,
    pub(super) announce: u32,
}

impl Arp {
    pub(super) fn raised(self) -> Self {
        Self { ignore: self.ignore.max(ANSWER_FOR_OWN), announce: self.announce.max(ASK_AS_OWN) }
    }

    pub(super) fn settings(self) -> [(u16, u32); 2] {
        [(wire::ARP_IGNORE, self.ignore), (wire::ARP_ANNOUNCE, self.announce)]
    }

    pub(super) fn to_alias(self) -> String {
        format!("{ALIAS}; before it arp_ignore={} arp_announce={}", self.ignore, self.announce)
    }

    pub(super) fn of_alias(alias: &str) -> Option<Self> {
        let rest = alias.strip_prefix(ALIAS)?.strip_prefix("; before it arp_ignore=")?;
        let (ignore, announce) = rest.split_once(" arp_announce=")?;
        Some(Self { ignore: ignore.parse().ok()?, announce: announce.parse().ok()? })
    }
}
