//! What virtual IPs are made of, and what can be wrong with it.

use bowline_sys::capability::Capability;
use bowline_sys::rtnetlink::{VirtualLinkError, VirtualMac};
use bowline_sys::vrrp_socket::Family as SocketFamily;
use bowline_vrrp::{Config, Protocol, Vrid};
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// One virtual router of this host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Router {
    /// What it is called in status and events; each once.
    pub name: String,
    /// The interface it lives on, such as `eth0`.
    pub interface: String,
    /// Everything that goes over the wire, and how long the kernel keeps the addresses ([`lease_for`]).
    pub vrrp: Config,
    /// It has an Ethernet address of its own (RFC 9568 7.3), so that clients see no change when another node holds the addresses: while
    /// they are here, they are on a link of their own, a macvlan on the interface. Otherwise they are on the interface.
    pub virtual_mac: bool,
    /// Routers of one group move together, as those of both families of one endpoint should: a fault of one is a fault of all.
    pub group: Option<String>,
}

impl Router {
    /// Whose link its addresses are on; `None` when they are on the interface.
    pub(crate) fn virtual_link(&self) -> Option<VirtualMac> {
        let settings = self.vrrp.settings();
        let family = SocketFamily::of(settings.source);
        self.virtual_mac.then(|| VirtualMac { vrid: settings.vrid.get(), family })
    }

    /// Whether `next` is the same virtual router but for its number: it speaks of some of the same addresses, on the same link.
    pub(crate) fn is_renumbered(&self, next: &Self) -> bool {
        let (before, after) = (self.vrrp.settings(), next.vrrp.settings());
        let stays = |address: &IpAddr| after.addresses.contains(*address);
        self.interface == next.interface
            && before.vrid != after.vrid
            && before.addresses.as_slice().iter().any(stays)
    }
}

/// Whether each of two nodes takes in the other's adverts, where they differ in nothing else. Whether these are multicast is left out:
/// who listens for the one kind does not hear the other, whatever it would make of it.
pub(crate) fn understand_each_other(one: &Config, other: &Config) -> bool {
    match (&one.settings().protocol, &other.settings().protocol) {
        (Protocol::V3 { .. }, Protocol::V3 { .. }) => true,
        (Protocol::V2 { .. }, Protocol::V2 { .. }) => one.settings().protocol == other.settings().protocol,
        (Protocol::V2 { .. }, Protocol::V3 { .. }) | (Protocol::V3 { .. }, Protocol::V2 { .. }) => false,
    }
}

/// How long the kernel keeps an address without a renewal: three intervals, after which others take over, in whole seconds, and
/// three at most. So it is one second at 300 ms and less, and three at a second and more.
pub fn lease_for(interval: Duration) -> Duration {
    let whole = interval.saturating_mul(3).as_millis().div_ceil(1_000);
    Duration::from_secs(whole.clamp(1, LEASE_MAX_SECONDS) as u64)
}

/// Somebody else may hold a frozen holder's address for so long at most, however rare the adverts are.
const LEASE_MAX_SECONDS: u128 = 3;

/// How one router stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Its name.
    pub name: Arc<str>,
    /// The interface it lives on.
    pub interface: String,
    /// Its addresses, in the order of the advert.
    pub addresses: Vec<IpAddr>,
    /// Where its adverts come from.
    pub source: IpAddr,
    /// State, holder, reason, since when, priority and who was heard; times are those of this host's monotonic clock
    /// ([`bowline_sys::clock`]).
    pub vrrp: bowline_vrrp::Status,
    /// Whether connections that other processes have to the addresses are ended with them; not every kernel does that.
    pub ends_connections: bool,
}

/// Why virtual IPs cannot be started, or changed. Nothing was changed then.
#[derive(Debug)]
pub enum StartError {
    /// This process may not do it.
    Capabilities {
        /// What it lacks.
        missing: Vec<Capability>,
    },
    /// Two routers of one name.
    NameTwice {
        /// The name.
        name: String,
    },
    /// Two routers of one number, on one interface and in one family.
    VridTwice {
        /// Of the second one.
        name: String,
        /// The number.
        vrid: Vrid,
        /// The interface.
        interface: String,
    },
    /// Two routers with the same Ethernet address of their own, on two interfaces.
    VirtualMacTwice {
        /// Of the second one.
        name: String,
        /// The number.
        vrid: Vrid,
    },
    /// The link with the Ethernet address of a router cannot be made.
    VirtualLink {
        /// The router's name.
        name: String,
        /// The interface that it is to be on.
        interface: String,
        /// Why.
        source: VirtualLinkError,
    },
    /// An address is in two routers.
    AddressTwice {
        /// Of the second one.
        name: String,
        /// The address.
        address: IpAddr,
    },
    /// There is no such interface.
    NoInterface {
        /// The router's name.
        name: String,
        /// The interface.
        interface: String,
    },
    /// The host has the address already, and not by a lease of ours.
    Taken {
        /// The router's name.
        name: String,
        /// The address.
        address: IpAddr,
        /// Where it is.
        interface: String,
    },
    /// The system refused something.
    System {
        /// What was attempted.
        what: String,
        /// What it said.
        source: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capabilities { missing } => {
                let names: Vec<_> = missing.iter().map(|capability| capability.name()).collect();
                write!(
                    f,
                    "virtual IPs need {}, which this process lacks: run it as root, or give it to the unit \
                     (AmbientCapabilities=) or the container (capabilities: add)",
                    names.join(" and ")
                )
            }
            Self::NameTwice { name } => write!(f, "two virtual IPs are called {name}: rename one"),
            Self::VridTwice { name, vrid, interface } => {
                write!(f, "{name}: VRID {vrid} is used twice on {interface}: give one of them another vrid")
            }
            Self::VirtualMacTwice { name, vrid } => write!(
                f,
                "{name}: VRID {vrid} has a virtual MAC on another interface, too: give one of them another vrid"
            ),
            Self::VirtualLink { name, interface, source } => write!(
                f,
                "{name}: {interface} cannot have a virtual MAC: {source}; without one set virtualMAC to false"
            ),
            Self::AddressTwice { name, address } => {
                write!(f, "{name}: {address} is in another virtual IP, too: remove it from one")
            }
            Self::NoInterface { name, interface } => {
                write!(f, "{name}: this machine has no interface {interface}: correct `interface`")
            }
            Self::Taken { name, address, interface } => write!(
                f,
                "{name}: {address} is on {interface} already, by hand or by another program: stop that \
                 program, and remove it: ip address del {address} dev {interface}"
            ),
            Self::System { what, source } => write!(f, "cannot {what}: {source}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::System { source, .. } => Some(source),
            Self::VirtualLink { source, .. } => Some(source),
            Self::Capabilities { .. }
            | Self::NameTwice { .. }
            | Self::VridTwice { .. }
            | Self::VirtualMacTwice { .. }
            | Self::AddressTwice { .. }
            | Self::NoInterface { .. }
            | Self::Taken { .. } => None,
        }
    }
}

impl StartError {
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}

/// What can be seen without asking the system.
pub(crate) fn check(routers: &[Router]) -> Result<(), StartError> {
    for (index, router) in routers.iter().enumerate() {
        let name = || router.name.clone();
        let settings = router.vrrp.settings();
        for before in routers.iter().take(index) {
            let others = before.vrrp.settings();
            if before.name == router.name {
                return Err(StartError::NameTwice { name: name() });
            }
            let one_link =
                before.interface == router.interface && before.vrrp.family() == router.vrrp.family();
            if one_link && others.vrid == settings.vrid {
                let interface = router.interface.clone();
                return Err(StartError::VridTwice { name: name(), vrid: settings.vrid, interface });
            }
            if router.virtual_link().is_some() && before.virtual_link() == router.virtual_link() {
                return Err(StartError::VirtualMacTwice { name: name(), vrid: settings.vrid });
            }
            let twice = |address: &&IpAddr| others.addresses.contains(**address) && is_of_one_host(**address);
            if let Some(address) = settings.addresses.as_slice().iter().find(twice) {
                return Err(StartError::AddressTwice { name: name(), address: *address });
            }
        }
    }
    Ok(())
}

/// Link-local addresses may be the same on every link.
fn is_of_one_host(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !address.is_link_local(),
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::router;

    #[test]
    fn leases_are_whole_seconds_and_end_when_others_take_over() {
        let millis = [10, 100, 300, 310, 1_000, 40_950, 255_000];
        let leases = millis.map(|millis| lease_for(Duration::from_millis(millis)).as_secs());
        assert_eq!(leases, [1, 1, 1, 1, 3, 3, 3]);
        assert_eq!(lease_for(Duration::from_millis(340)).as_secs(), 2);
    }

    #[test]
    fn a_router_is_known_by_its_addresses_when_its_number_changes() {
        let a = router("a", "eth0", 1, &["10.0.0.9", "10.0.0.10"], "10.0.0.1");
        let is_renumbered = |interface, vrid, addresses: &[&str]| {
            a.is_renumbered(&router("b", interface, vrid, addresses, "10.0.0.1"))
        };
        assert!(is_renumbered("eth0", 2, &["10.0.0.8", "10.0.0.10"]));
        assert!(!is_renumbered("eth0", 2, &["10.0.0.8"]), "another one");
        assert!(!is_renumbered("eth1", 2, &["10.0.0.9"]), "where its adverts are not heard");
        assert!(!is_renumbered("eth0", 1, &["10.0.0.9"]), "it has its number");
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_remedy() {
        let a = || router("a", "eth0", 1, &["10.0.0.9"], "10.0.0.1");
        let said = |other: Router| check(&[a(), other]).map_err(|error| error.to_string());
        assert_eq!(said(router("b", "eth0", 2, &["10.0.0.8"], "10.0.0.1")), Ok(()));
        assert_eq!(said(router("b", "eth1", 1, &["10.0.0.8"], "10.0.0.1")), Ok(()));
        assert_eq!(said(router("b", "eth0", 1, &["fe80::9"], "fe80::1")), Ok(()));
        assert_eq!(
            said(router("b", "eth0", 1, &["10.0.0.8"], "10.0.0.1")).unwrap_err(),
            "b: VRID 1 is used twice on eth0: give one of them another vrid"
        );
        let with_mac = |router: Router| Router { virtual_mac: true, ..router };
        let elsewhere = || router("b", "eth1", 1, &["10.0.0.8"], "10.0.0.1");
        let both = check(&[with_mac(a()), with_mac(elsewhere())]).map_err(|error| error.to_string());
        assert_eq!(
            both.unwrap_err(),
            "b: VRID 1 has a virtual MAC on another interface, too: give one of them another vrid"
        );
        check(&[with_mac(a()), elsewhere()]).unwrap();
        check(&[with_mac(a()), with_mac(router("b", "eth1", 1, &["fe80::9"], "fe80::1"))]).unwrap();
        assert_eq!(
            said(router("a", "eth0", 2, &["10.0.0.8"], "10.0.0.1")).unwrap_err(),
            "two virtual IPs are called a: rename one"
        );
        assert_eq!(
            said(router("b", "eth1", 2, &["10.0.0.9"], "10.0.0.1")).unwrap_err(),
            "b: 10.0.0.9 is in another virtual IP, too: remove it from one"
        );
    }
}
