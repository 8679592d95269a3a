//! Kubespray's variables with their types and defaults, for one host.

use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

use super::groups::{CONTROL_PLANE, ETCD, Groups, HostId, NODES, ROUTE_REFLECTORS};
use super::scope::{Scope, Unknown, port, scalar};
use super::value::Value;
use crate::import::Place;
use crate::problem::Problem;

/// Control planes or members of etcd; what certificates hold grows with the square of it, and no cluster has more.
const SERVERS_LIMIT: usize = 128;

/// Service ranges unless the inventory says otherwise.
const SERVICES_V4: &str = "10.233.0.0/18";
const SERVICES_V6: &str = "fd85:ee78:d8a6:8607::1000/116";

/// A text and where it stands.
pub(super) type Placed = (String, Place);

/// The hosts that matter, by what they are for.
#[derive(Debug)]
pub(super) struct Members<'a> {
    pub(super) control_plane: &'a [HostId],
    pub(super) nodes: &'a [HostId],
    pub(super) reflectors: &'a [HostId],
    /// The group of that name; may be empty.
    pub(super) etcd: &'a [HostId],
    /// Where etcd runs: the group of that name, else the control planes.
    pub(super) etcd_hosts: &'a [HostId],
    pub(super) first: HostId,
}

/// An address that others or the host itself use, and how it came to be.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) text: String,
    pub(super) place: Place,
    pub(super) origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// The inventory says so.
    Variable,
    /// The default route goes out from it.
    Fact,
    /// Nothing is known; Kubespray takes the loopback address.
    Loopback,
}

/// IPv4 first, of the families that are on.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// Where the host's own services are.
    pub(super) main: Vec<Address>,
    /// Where others reach them.
    pub(super) access: Vec<Address>,
}

/// `loadbalancer_apiserver`.
#[derive(Clone, Debug)]
pub(super) struct LoadBalancer {
    pub(super) place: Place,
    pub(super) address: Option<Placed>,
    pub(super) port: Option<(u16, Place)>,
}

impl<'a> Members<'a> {
    /// # Errors
    /// There is no control plane, or there are too many.
    pub(super) fn of(groups: &'a Groups, root: &str) -> Result<Self, Problem> {
        let control_plane = groups.members(CONTROL_PLANE);
        let etcd = groups.members(ETCD);
        let group = groups.group(CONTROL_PLANE);
        let place = group.map_or_else(|| Place::new(root, None), |group| group.place.clone());
        let Some(first) = control_plane.first() else {
            let message = match group {
                Some(_) => "no host is in group kube_control_plane",
                None => "there is no group kube_control_plane (once kube-master)",
            };
            return Err(place.problem(message, "put the hosts that run an API server into it"));
        };
        let etcd_hosts = if etcd.is_empty() { control_plane } else { etcd };
        for (name, hosts) in [(CONTROL_PLANE, control_plane), (ETCD, etcd_hosts)] {
            if hosts.len() > SERVERS_LIMIT {
                let message = format!("{} hosts are in group {name}", hosts.len());
                return Err(place.problem(message, format!("at most {SERVERS_LIMIT} are possible")));
            }
        }
        let (nodes, reflectors) = (groups.members(NODES), groups.members(ROUTE_REFLECTORS));
        Ok(Self { control_plane, nodes, reflectors, etcd, etcd_hosts, first: *first })
    }

    pub(super) fn is_control_plane(&self, id: HostId) -> bool {
        self.control_plane.contains(&id)
    }
}

impl Scope<'_> {
    /// Where the host is named.
    pub(super) fn place(&self) -> &Place {
        &self.host.place
    }

    /// Which families are on, IPv4 and IPv6.
    pub(super) fn stacks(&self) -> Result<(bool, bool), Unknown> {
        let v4 = self.switch("ipv4_stack")?;
        let v6 = match self.switch("ipv6_stack")? {
            Some(given) => Some(given),
            None => self.switch("enable_dual_stack_networks")?,
        };
        let place = v4.as_ref().map(|(_, place)| place.clone());
        match (v4.is_none_or(|(is_on, _)| is_on), v6.is_some_and(|(is_on, _)| is_on)) {
            (false, false) => {
                let place = place.unwrap_or_else(|| self.place().clone());
                Err(place.problem("neither IPv4 nor IPv6 is on", "set ipv4_stack or ipv6_stack to true"))
            }
            stacks => Ok(stacks),
        }
    }

    /// The source address of the default route, if it was gathered.
    pub(super) fn fact(&self, name: &str) -> Result<Option<Placed>, Unknown> {
        let Some(fact) = self.get(name)? else { return Ok(None) };
        let Some(address) = fact.field("address") else { return Ok(None) };
        match address.value {
            Value::Null => Ok(None),
            Value::Bool(_)
            | Value::Int(_)
            | Value::Text(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Sealed(_) => {
                self.value(name, address)?.map(|address| scalar(name, &address)).transpose()
            }
        }
    }

    pub(super) fn addresses(&self) -> Result<Addresses, Unknown> {
        let (v4, v6) = self.stacks()?;
        let mut addresses = Addresses { main: Vec::new(), access: Vec::new() };
        let families = [
            (v4, ["ip", "access_ip", "ansible_default_ipv4"], "127.0.0.1"),
            (v6, ["ip6", "access_ip6", "ansible_default_ipv6"], "::1"),
        ];
        for (_, [own, access, fact], loopback) in families.into_iter().filter(|(is_on, ..)| *is_on) {
            let given = |name| -> Result<Option<Address>, Unknown> {
                let found = self.text(name)?;
                Ok(found.map(|(text, place)| Address { text, place, origin: Origin::Variable }))
            };
            let main = match (given(own)?, self.fact(fact)) {
                (Some(main), _) => main,
                (None, fact) => match fact? {
                    Some((text, place)) => Address { text, place, origin: Origin::Fact },
                    None => {
                        let place = self.place().clone();
                        Address { text: loopback.to_owned(), place, origin: Origin::Loopback }
                    }
                },
            };
            addresses.access.push(given(access)?.unwrap_or_else(|| main.clone()));
            addresses.main.push(main);
        }
        Ok(addresses)
    }

    /// The external balancer. That it is there at all is the switch, even with nothing in it.
    pub(super) fn load_balancer(&self) -> Result<Option<LoadBalancer>, Unknown> {
        const NAME: &str = "loadbalancer_apiserver";
        let Some(definition) = self.definition(NAME) else { return Ok(None) };
        let variable = self.value(NAME, definition)?;
        let place = definition.place.clone();
        let Some(variable) = variable else {
            return Ok(Some(LoadBalancer { place, address: None, port: None }));
        };
        if !matches!(variable.value, Value::Map(_)) {
            let message = format!("{NAME} is not a mapping");
            return Err(place.problem(message, "write `address:` and `port:` below it"));
        }
        const ADDRESS: &str = "loadbalancer_apiserver.address";
        const PORT: &str = "loadbalancer_apiserver.port";
        let address = variable.field("address").map(|field| self.value(ADDRESS, field)).transpose()?;
        let address = address.flatten().map(|address| scalar(ADDRESS, &address)).transpose()?;
        let given = variable.field("port").map(|field| self.value(PORT, field)).transpose()?;
        let port = given.flatten().map(|given| port(PORT, &given)).transpose()?;
        Ok(Some(LoadBalancer { place, address, port }))
    }

    /// Whether the node-local balancer is on: as said, else when there is no external one.
    pub(super) fn local_balancer(&self, has_external: bool) -> Result<bool, Unknown> {
        let given = self.switch("loadbalancer_apiserver_localhost")?;
        Ok(given.map_or(!has_external, |(is_on, _)| is_on))
    }

    pub(super) fn dns_domain(&self) -> Result<String, Unknown> {
        let given = match self.text("dns_domain")? {
            Some(given) => Some(given),
            None => self.text("cluster_name")?,
        };
        Ok(given.map_or_else(|| "cluster.local".to_owned(), |(domain, _)| domain))
    }

    /// Ranges of the families that are on, IPv4 first; what is not given has the place of the host.
    pub(super) fn service_ranges(&self) -> Result<Vec<Placed>, Unknown> {
        let (v4, v6) = self.stacks()?;
        let families =
            [(v4, "kube_service_addresses", SERVICES_V4), (v6, "kube_service_addresses_ipv6", SERVICES_V6)];
        let ranges = families.into_iter().filter(|(is_on, ..)| *is_on).map(|(_, name, default)| {
            Ok(self.text(name)?.unwrap_or_else(|| (default.to_owned(), self.place().clone())))
        });
        ranges.collect()
    }

    /// The texts of a list, lists in it flattened, a single text taken for a list of one; and what could not be told.
    pub(super) fn texts(&self, name: &str) -> Result<(Vec<Placed>, Vec<Unknown>), Unknown> {
        let Some(variable) = self.get(name)? else { return Ok((Vec::new(), Vec::new())) };
        let (mut texts, mut unknown) = (Vec::new(), Vec::new());
        let mut left = vec![variable.into_owned()];
        while let Some(item) = left.pop() {
            match self.value(name, &item) {
                Ok(None) => {}
                Err(problem) => unknown.push(problem),
                Ok(Some(item)) => match &item.value {
                    Value::List(items) => left.extend(items.iter().rev().cloned()),
                    Value::Null
                    | Value::Bool(_)
                    | Value::Int(_)
                    | Value::Text(_)
                    | Value::Map(_)
                    | Value::Sealed(_) => match scalar(name, &item) {
                        Ok(text) => texts.push(text),
                        Err(problem) => unknown.push(problem),
                    },
                },
            }
        }
        Ok((texts, unknown))
    }
}

/// The host part of a URL: IPv6 addresses in brackets.
pub(super) fn wrapped(host: &str) -> String {
    if Ipv6Addr::from_str(host).is_ok() { format!("[{host}]") } else { host.to_owned() }
}

pub(super) fn is_address(text: &str) -> bool {
    IpAddr::from_str(text).is_ok()
}

/// The first address after the network's own.
///
/// # Errors
/// It is no range.
pub(super) fn first_of_range((range, place): &Placed) -> Result<String, Unknown> {
    let parsed = range.split_once('/').and_then(|(address, prefix)| {
        let address = IpAddr::from_str(address.trim()).ok()?;
        let prefix = prefix.trim().parse::<u8>().ok()?;
        (prefix <= if address.is_ipv4() { 32 } else { 128 }).then_some((address, prefix))
    });
    let Some((address, prefix)) = parsed else {
        let message = format!("{} is not an address range", crate::source::excerpt(range));
        return Err(place.problem(message, "write one such as 10.233.0.0/18"));
    };
    let network = crate::cluster::masked(address, prefix);
    Ok(match network {
        IpAddr::V4(network) => IpAddr::V4(u32::from(network).saturating_add(1).into()).to_string(),
        IpAddr::V6(network) => IpAddr::V6(u128::from(network).saturating_add(1).into()).to_string(),
    })
}
