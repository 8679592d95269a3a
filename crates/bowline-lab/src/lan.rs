//! A segment of Ethernet in network namespaces: hosts on a bridge, whose links can be cut, and whose adverts can be lost one way.
//!
//! Needs root, `ip` and `nft`. Nothing of it can outlive the process: a namespace ends with its last descriptor and process.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use bowline_sys::netns::{LinkState, Namespace};

use crate::wire::Mac;

/// The name of every host's link.
pub const LINK: &str = "eth0";
/// Prefix of every host's IPv4 address, 192.0.2.0/24 (RFC 5737).
pub const PREFIX: u8 = 24;
/// Prefix of every host's IPv6 address, 2001:db8::/64 (RFC 3849).
pub const PREFIX6: u8 = 64;
/// The bridge, in a namespace of its own.
const BRIDGE: &str = "segment";
/// Addresses below are left to routers, those from .100 on to what moves between hosts.
const FIRST_HOST: u8 = 11;
/// From .11 to .99.
const HOSTS_MAX: usize = 89;

/// Everything is lost.
const DROP: &str = "drop;";

/// What a cut takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The cable is pulled: the host has no carrier, and sees that it has none.
    Carrier,
    /// Everything is lost in both directions beyond what the host can see, as when a switch further away dies.
    Silent,
    /// What the host sends by VRRP is lost, it still hears the others.
    AdvertsFrom,
    /// What others send by VRRP does not reach the host.
    AdvertsTo,
    /// VRRP is lost in both directions, everything else gets through.
    Adverts,
}

/// A host on the segment: a namespace with one link.
#[derive(Debug)]
pub struct Host {
    name: String,
    number: u8,
    namespace: Namespace,
}

/// The segment with its hosts.
#[derive(Debug)]
pub struct Lan {
    hub: Namespace,
    hosts: Vec<Host>,
}

impl Lan {
    /// Why there can be no segment here, none when there can.
    pub fn missing() -> Option<String> {
        let programs = ["ip", "nft", "unshare", "mount"];
        if let Some(program) = programs.into_iter().find(|program| !installed(program)) {
            return Some(format!("{program} is not installed"));
        }
        match Namespace::create() {
            Ok(_) => None,
            Err(error) => Some(format!("network namespaces need root: {error}")),
        }
    }

    /// Makes a segment with these hosts, up and addressed: 192.0.2.11 and 2001:db8::11 for the first, .12 for the second, and so on.
    ///
    /// # Errors
    /// Without privileges, or when `ip` is missing.
    pub fn new(names: &[&str]) -> anyhow::Result<Self> {
        ensure!((1..=HOSTS_MAX).contains(&names.len()), "a segment has 1 to {HOSTS_MAX} hosts");
        let hub = Namespace::create().context("making a network namespace")?;
        batch(
            &hub,
            &format!("link add {BRIDGE} type bridge stp_state 0 mcast_snooping 0\nlink set {BRIDGE} up\n"),
        )?;
        let mut hosts = Vec::new();
        for (name, number) in names.iter().zip(FIRST_HOST..) {
            let host = Host::new(&hub, name, number).with_context(|| format!("making host {name}"))?;
            hosts.push(host);
        }
        let lan = Self { hub, hosts };
        lan.hosts.iter().try_for_each(Host::wait_usable)?;
        Ok(lan)
    }

    /// The address from which the host that will be named at `index` sends adverts of this family.
    pub fn planned(index: u8, v6: bool) -> IpAddr {
        source(FIRST_HOST + index, v6)
    }

    /// The addresses at which others reach the host that will be named at `index`: IPv4, and global IPv6.
    pub fn planned_addresses(index: u8) -> [IpAddr; 2] {
        let number = FIRST_HOST + index;
        [address(number).into(), address6(number).into()]
    }

    /// All hosts, in the order in which they were named.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The host of this name.
    ///
    /// # Panics
    /// When there is none: names come from the test itself.
    pub fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name == name).unwrap_or_else(|| panic!("no host {name}"))
    }

    /// The namespace of the bridge, where each host's port has the host's name.
    pub fn hub(&self) -> &Namespace {
        &self.hub
    }

    /// Cuts what `cut` says at the host's port; a former cut of this host is over.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn cut(&self, host: &str, cut: Cut) -> anyhow::Result<()> {
        let port = self.host(host).name.as_str();
        if cut == Cut::Carrier {
            return self.hub.set_link(port, LinkState::Down).context("taking a port down");
        }
        let adverts = "ip protocol 112 drop; ip6 nexthdr 112 drop;";
        let (from, to) = match cut {
            Cut::Carrier | Cut::Silent => (DROP, DROP),
            Cut::AdvertsFrom => (adverts, ""),
            Cut::AdvertsTo => ("", adverts),
            Cut::Adverts => (adverts, adverts),
        };
        self.nft(&filter(port, from, to))
    }

    /// Cuts several hosts off at the same moment, beyond what they can see, or mends that of all of them: one after the other would take
    /// a busy machine so long that some still have what others lack.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn cut_off(&self, hosts: &[&str], off: bool) -> anyhow::Result<()> {
        let ports = hosts.iter().map(|host| self.host(host).name.as_str());
        let rules: String =
            ports.map(|port| if off { filter(port, DROP, DROP) } else { no_filter(port) }).collect();
        self.nft(&rules)
    }

    /// Takes away everything between the host and `others`, IPv4 addresses on the segment; a former cut of this host is over.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn part(&self, host: &str, others: &[Ipv4Addr]) -> anyhow::Result<()> {
        let list: Vec<String> = others.iter().map(ToString::to_string).collect();
        let list = list.join(", ");
        let port = self.host(host).name.as_str();
        let (from, to) = (format!("ip daddr {{ {list} }} drop;"), format!("ip saddr {{ {list} }} drop;"));
        self.nft(&filter(port, &from, &to))
    }

    /// Undoes every cut of the host.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn mend(&self, host: &str) -> anyhow::Result<()> {
        let port = self.host(host).name.as_str();
        self.nft(&no_filter(port))?;
        self.hub.set_link(port, LinkState::Up).context("taking a port up")
    }

    /// Names of the hosts that have `address` on their link now.
    ///
    /// # Errors
    /// When a namespace cannot be looked into.
    pub fn holders(&self, address: IpAddr) -> anyhow::Result<BTreeSet<String>> {
        let mut holders = BTreeSet::new();
        for host in &self.hosts {
            if host.has(address)? {
                holders.insert(host.name.clone());
            }
        }
        Ok(holders)
    }

    fn nft(&self, rules: &str) -> anyhow::Result<()> {
        feed(&self.hub, Command::new("nft").args(["-f", "-"]), rules)
    }
}

impl Host {
    fn new(hub: &Namespace, name: &str, number: u8) -> anyhow::Result<Self> {
        let namespace = Namespace::create().context("making a network namespace")?;
        hub.join(name, &namespace, LINK).context("joining it to the bridge")?;
        let host = Self { name: name.to_owned(), number, namespace };
        // Duplicate address detection would keep IPv6 addresses unusable for a second after each start and each mended cut.
        let settings = [
            (format!("/proc/sys/net/ipv6/conf/{LINK}/accept_dad"), "0"),
            (format!("/proc/sys/net/ipv6/conf/{LINK}/dad_transmits"), "0"),
            (format!("/proc/sys/net/ipv6/conf/{LINK}/keep_addr_on_down"), "1"),
            ("/proc/sys/net/ipv4/ip_nonlocal_bind".to_owned(), "0"),
        ];
        host.namespace.inside(|| {
            settings.iter().try_for_each(|(path, value)| {
                std::fs::write(path, value).with_context(|| format!("writing {path}"))
            })
        })??;
        batch(
            &host.namespace,
            &format!(
                "link set {LINK} address {}\naddress add {}/{PREFIX} dev {LINK}\nlink set {LINK} up\n\
                 address add {}/{PREFIX6} dev {LINK} nodad\n",
                host.mac(),
                host.address(),
                host.address6()
            ),
        )?;
        batch(hub, &format!("link set {name} master {BRIDGE}\nlink set {name} up\n"))?;
        Ok(host)
    }

    /// Waits for the address that the kernel adds by itself a moment after the link has a carrier.
    fn wait_usable(&self) -> anyhow::Result<()> {
        const LIMIT: Duration = Duration::from_secs(10);
        const POLL: Duration = Duration::from_millis(1);
        let deadline = Instant::now() + LIMIT;
        while !self.has(self.link_local().into())? {
            ensure!(Instant::now() < deadline, "{} has no link-local address after {LIMIT:?}", self.name);
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its primary IPv4 address.
    pub fn address(&self) -> Ipv4Addr {
        address(self.number)
    }

    /// Its global IPv6 address, whose last group reads like the last part of the IPv4 address.
    pub fn address6(&self) -> Ipv6Addr {
        address6(self.number)
    }

    /// Its link-local address, which the kernel makes of the hardware address (RFC 4291 appendix A).
    pub fn link_local(&self) -> Ipv6Addr {
        link_local(self.number)
    }

    /// The address from which it sends adverts of this family to the group.
    pub fn source(&self, v6: bool) -> IpAddr {
        source(self.number, v6)
    }

    /// The address at which others reach it, from which it sends adverts to each of them alone.
    pub fn reached(&self, v6: bool) -> IpAddr {
        if v6 { self.address6().into() } else { self.address().into() }
    }

    /// The hardware address of its link.
    pub fn mac(&self) -> Mac {
        Mac([2, 0, 0, 0, 0, self.number])
    }

    /// Runs a program in the host to its end.
    ///
    /// # Errors
    /// When it cannot be started or does not succeed.
    pub fn run(&self, command: &mut Command) -> anyhow::Result<()> {
        feed(&self.namespace, command, "")
    }

    /// Runs lines of `ip -batch` in the host.
    ///
    /// # Errors
    /// When one of them fails.
    pub fn ip(&self, lines: &str) -> anyhow::Result<()> {
        batch(&self.namespace, lines)
    }

    /// Whether the host's kernel takes `address` for its own now.
    ///
    /// # Errors
    /// When the namespace cannot be looked into.
    pub fn has(&self, address: IpAddr) -> anyhow::Result<bool> {
        let read = |path: &'static str| self.namespace.inside(|| std::fs::read_to_string(path));
        match address {
            IpAddr::V4(address) => {
                let table = read("/proc/thread-self/net/fib_trie")?.context("reading the routing table")?;
                Ok(has_v4(&table, address))
            }
            IpAddr::V6(address) => {
                let table = read("/proc/thread-self/net/if_inet6")?.context("reading the IPv6 addresses")?;
                let digits: String = address.octets().iter().map(|octet| format!("{octet:02x}")).collect();
                Ok(table.lines().any(|line| line.starts_with(&digits)))
            }
        }
    }
}

/// Filters what enters the segment at a port, and what leaves it there; replaced in one transaction.
fn filter(port: &str, from: &str, to: &str) -> String {
    format!(
        "{}table netdev cut-{port} {{\n\
         chain from {{ type filter hook ingress device \"{port}\" priority 0; {from} }}\n\
         chain to {{ type filter hook egress device \"{port}\" priority 0; {to} }}\n}}\n",
        no_filter(port)
    )
}

/// Takes the filter of a port away: `add` makes sure that there is something to delete.
fn no_filter(port: &str) -> String {
    format!("add table netdev cut-{port}\ndelete table netdev cut-{port}\n")
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

fn address6(number: u8) -> Ipv6Addr {
    let number = u16::from(number);
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, (number / 10) * 16 + number % 10)
}

fn link_local(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, u16::from(number))
}

fn source(number: u8, v6: bool) -> IpAddr {
    if v6 { link_local(number).into() } else { address(number).into() }
}

/// Whether `address` is a local one in the text of `/proc/net/fib_trie`: it lists an address, and in the next line what it is.
pub(crate) fn has_v4(table: &str, address: Ipv4Addr) -> bool {
    let leaf = format!("|-- {address}");
    let mut lines = table.lines();
    while let Some(line) = lines.next() {
        if line.trim_start() == leaf && lines.next().is_some_and(|next| next.contains("host LOCAL")) {
            return true;
        }
    }
    false
}

/// Whether `program` is on the search path, to which the folders of administrators' programs are added.
pub fn installed(program: &str) -> bool {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&search).chain(["/usr/sbin", "/sbin"].map(Into::into));
    folders.into_iter().any(|folder| folder.join(program).is_file())
}

fn batch(namespace: &Namespace, lines: &str) -> anyhow::Result<()> {
    feed(namespace, Command::new("ip").args(["-batch", "-"]), lines)
}

/// Runs a program in a namespace with `input` as its stdin.
fn feed(namespace: &Namespace, command: &mut Command, input: &str) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let spawned = namespace.inside(|| command.spawn()).context("entering a namespace")?;
    let mut child = spawned.with_context(|| format!("starting {program}"))?;
    let mut stdin = child.stdin.take().context("its stdin")?;
    stdin.write_all(input.as_bytes()).with_context(|| format!("telling {program}"))?;
    drop(stdin);
    let done = child.wait_with_output().with_context(|| format!("waiting for {program}"))?;
    if !done.status.success() {
        bail!("{program} refused `{}`: {}", input.trim(), String::from_utf8_lossy(&done.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
