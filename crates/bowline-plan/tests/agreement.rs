//! What is advertised, what is listened on and what certificates hold agree, over every combination of how one side, how
//! the other, over which family, with which names, ports and virtual IPs.
//!
//! The test looks at the plan's documents alone, and with other means than the lint: where the two disagree, one is wrong.

use std::collections::BTreeSet;
use std::net::IpAddr;

use bowline_plan::{Class, Client, Cluster, NodeRole, Plan, Severity, endpoints, lint, load, plan};

const MODES: [&str; 5] = ["node-local", "load-balancer", "virtual-ip", "external", "direct"];
const HOLDERS: [&str; 4] = ["control-plane", "load-balancer", "worker", "[cp2, lb1]"];

#[derive(Clone, Copy, Debug)]
enum Family {
    V4,
    V6,
    Dual,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    internal: &'static str,
    external: &'static str,
    family: Family,
    has_names: bool,
    has_own_port: bool,
    holders: &'static str,
    balance: bool,
    translated: bool,
    gateway: bool,
    /// Something that nobody here manages is before etcd.
    etcd_front: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let both = [false, true];
    for internal in MODES {
        for external in MODES {
            for (turn, family) in [Family::V4, Family::V6, Family::Dual].into_iter().enumerate() {
                for (has_names, has_own_port) in both.into_iter().flat_map(|a| both.map(|b| (a, b))) {
                    for holders in HOLDERS {
                        for balance in both {
                            let (translated, gateway) = (turn == 1 || has_names, has_own_port || turn == 2);
                            cases.push(Case {
                                internal,
                                external,
                                family,
                                has_names,
                                has_own_port,
                                holders,
                                balance,
                                translated,
                                gateway,
                                etcd_front: has_names && turn == 0,
                            });
                        }
                    }
                }
            }
        }
    }
    cases
}

impl Case {
    fn addresses(self, host: u8) -> String {
        match self.family {
            Family::V4 => format!("[10.0.0.{host}]"),
            Family::V6 => format!("[\"fd00::{host}\"]"),
            Family::Dual => format!("[10.0.0.{host}, \"fd00::{host}\"]"),
        }
    }

    fn side(self, name: &str, mode: &str) -> String {
        let port = if self.has_own_port && mode != "direct" { ", port: 7443" } else { "" };
        let names = if self.has_names { format!(", names: [{name}.example.net]") } else { String::new() };
        let address =
            if mode == "external" { ", addresses: [192.0.2.99, \"[2001:db8::9]:443\"]" } else { "" };
        format!("{{mode: {mode}{port}{names}{address}}}")
    }

    fn text(self) -> String {
        let mut text = format!(
            "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nspec:\n  etcd: {{gateway: {}{}}}\n  access:\n    internal: {}\n    \
             external: {}\n  virtualIPs:\n",
            self.gateway,
            if self.etcd_front { ", accessAddresses: [etcd.example.net, 192.0.2.99]" } else { "" },
            self.side("internal", self.internal),
            self.side("external", self.external)
        );
        let families = match self.family {
            Family::V4 => vec!["10.0.0.100"],
            Family::V6 => vec!["fd00::100"],
            Family::Dual => vec!["10.0.0.100", "fd00::100"],
        };
        let options = format!("on: {}, balance: {}, group: api", self.holders, self.balance);
        for (index, address) in families.into_iter().enumerate() {
            text += &format!("  - {{name: api{index}, address: \"{address}\", {options}}}\n");
        }
        text += "  nodes:\n";
        for (name, roles, host) in [
            ("cp1", "control-plane, etcd", 11),
            ("cp2", "control-plane, etcd", 12),
            ("lb1", "load-balancer", 31),
            ("lb2", "load-balancer", 32),
            ("w1", "worker", 41),
        ] {
            let elsewhere = if self.translated {
                format!(", accessAddress: 172.16.0.{host}, publicAddress: 203.0.113.{host}")
            } else {
                String::new()
            };
            let addresses = self.addresses(host);
            text += &format!("  - {{name: {name}, roles: [{roles}], addresses: {addresses}{elsewhere}}}\n");
        }
        text
    }
}

/// Host and port of a URL, which has to be one.
fn parse(url: &str) -> (String, u16) {
    let rest = url.strip_prefix("https://").unwrap_or_else(|| panic!("{url} is not https"));
    let (host, port) = rest.rsplit_once(':').unwrap();
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    assert_eq!(bare.is_some(), host.contains(':'), "{url}: brackets are for IPv6, and only for it");
    let host = bare.unwrap_or(host).to_owned();
    assert!(host.parse::<IpAddr>().map_or(true, |ip| !ip.is_unspecified()), "{url} is a wildcard");
    (host, port.parse().unwrap())
}

/// Whether somebody answers at `host` and `port` for a client on `from`.
fn is_served(cluster: &Cluster, plan: &Plan, host: &str, port: u16, from: Option<&str>) -> bool {
    if host == "localhost" || host == "127.0.0.1" {
        let nodes = cluster.nodes().iter().filter(|node| from.is_none_or(|name| name == node.name));
        return nodes.into_iter().all(|node| {
            let own = node.roles.contains(&NodeRole::ControlPlane) && port == 6443;
            own || plan.nodes[&node.name].listener(IpAddr::from([127, 0, 0, 1]), port).is_some()
        });
    }
    let Ok(address) = host.parse::<IpAddr>() else { return true };
    if host == "192.0.2.99" || host == "2001:db8::9" {
        return true;
    }
    let holders =
        cluster.virtual_ips().iter().filter(|vip| vip.addresses.contains(&address)).flat_map(|vip| &vip.on);
    let owner = cluster.nodes().iter().filter(|node| {
        node.addresses.contains(&address)
            || node.access_address == Some(address)
            || node.public_address == Some(address)
    });
    let nodes: BTreeSet<&str> = holders.chain(owner.map(|node| &node.name)).map(String::as_str).collect();
    assert!(!nodes.is_empty(), "{host} is nobody's");
    nodes.into_iter().all(|name| {
        let node = cluster.nodes().iter().find(|node| node.name == name).unwrap();
        // A translated address arrives at one of the node's own.
        let is_translated = host.starts_with("172.16.") || host.starts_with("203.0.113.");
        let arrives =
            |listener: &IpAddr| *listener == address || is_translated && node.addresses.contains(listener);
        let own = node.roles.contains(&NodeRole::ControlPlane) && port == 6443;
        own || plan.nodes[name].listeners.iter().any(|l| l.port == port && arrives(&l.address))
    })
}

/// The addresses behind the names that are ours.
fn resolved(case: Case, cluster: &Cluster, host: &str) -> Vec<String> {
    let mode = match host {
        "internal.example.net" => case.internal,
        "external.example.net" => case.external,
        _ => return vec![host.to_owned()],
    };
    let node = |node: &bowline_plan::Node| {
        let outside = node.public_address.filter(|_| host.starts_with("external"));
        outside.or(node.access_address).unwrap().to_string()
    };
    match mode {
        "load-balancer" => cluster.with_role(NodeRole::LoadBalancer).map(node).collect(),
        "virtual-ip" => {
            cluster.virtual_ips().iter().flat_map(|vip| &vip.addresses).map(IpAddr::to_string).collect()
        }
        "direct" => cluster.with_role(NodeRole::ControlPlane).take(1).map(node).collect(),
        _ => Vec::new(),
    }
}

fn check_client(case: Case, cluster: &Cluster, plan: &Plan, client: &Client) -> bool {
    let sans = if client.class == Class::Etcd { &plan.sans.etcd } else { &plan.sans.apiserver };
    let from = client.node.as_deref();
    client.url.split(',').all(|url| {
        let (host, port) = parse(url);
        assert!(sans.contains(&host), "{case:?}: {host} is in no certificate: {sans:?}");
        let is_member = |name: &str| {
            cluster.with_role(NodeRole::Etcd).any(|node| node.name == name) && client.class == Class::Etcd
        };
        from.is_some_and(is_member)
            || resolved(case, cluster, &host).iter().all(|host| is_served(cluster, plan, host, port, from))
    })
}

#[test]
fn advertised_listening_and_certified_agree() {
    let (mut refused, mut served) = (0, 0);
    for case in cases() {
        let text = case.text();
        let cluster =
            load("cluster.yaml", text.as_bytes()).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"));
        let plan = plan(&cluster, 1);
        let findings = lint(&cluster, &plan);
        let has = |code: &str| findings.iter().any(|finding| finding.code == code);
        let clients = endpoints(&cluster);
        let all_served =
            clients.iter().filter(|client| !check_client(case, &cluster, &plan, client)).count() == 0;
        assert_eq!(all_served, !has("advertised-not-served"), "{case:?}\n{text}\n{findings:#?}");
        assert!(!has("san-missing"), "{case:?}");
        check_listeners(case, &cluster, &plan, has("port-clash"));
        // Every class has its endpoint, and every rule that lost says why.
        for class in [Class::ControlPlane, Class::Node, Class::Pod, Class::External, Class::Etcd] {
            assert!(clients.iter().any(|client| client.class == class), "{case:?}: nothing for {class:?}");
        }
        assert!(clients.iter().flat_map(|client| &client.lost).all(|lost| !lost.why.is_empty()));
        if all_served { served += 1 } else { refused += 1 }
    }
    assert!(served > 1_000 && refused > 100, "{served} served, {refused} refused");
}

/// Nobody listens where nobody is told to connect, and no listener leads to itself.
fn check_listeners(case: Case, cluster: &Cluster, plan: &Plan, clashes: bool) {
    for (name, node) in &plan.nodes {
        for listener in &node.listeners {
            let is_virtual =
                cluster.virtual_ips().iter().any(|vip| vip.addresses.contains(&listener.address));
            let is_balancer = cluster
                .with_role(NodeRole::LoadBalancer)
                .any(|node| node.addresses.contains(&listener.address));
            assert!(
                listener.address.is_loopback() || is_virtual || is_balancer,
                "{case:?}: {name} {listener:?}"
            );
            let pool = &node.pools[&listener.pool];
            let leads_back =
                pool.endpoints.iter().any(|e| (e.address, e.port) == (listener.address, listener.port));
            assert!(!leads_back || clashes, "{case:?}: {name} {listener:?}");
            if listener.port != cluster.etcd().client_port.get() {
                assert!(
                    plan.sans.apiserver.contains(&listener.address.to_string()),
                    "{case:?}: {listener:?}"
                );
            }
        }
    }
}

#[test]
fn a_certificate_that_lacks_a_name_is_found() {
    let case = Case {
        internal: "node-local",
        external: "virtual-ip",
        family: Family::V4,
        has_names: true,
        has_own_port: false,
        holders: "load-balancer",
        balance: true,
        translated: false,
        gateway: true,
        etcd_front: true,
    };
    let cluster = load("cluster.yaml", case.text().as_bytes()).unwrap();
    let mut plan = plan(&cluster, 1);
    plan.sans.apiserver.retain(|name| name != "external.example.net" && name != "127.0.0.1");
    plan.sans.etcd.retain(|name| name != "localhost");
    let findings = lint(&cluster, &plan);
    let missing: Vec<&str> =
        findings.iter().filter(|f| f.code == "san-missing").map(|f| f.message.as_str()).collect();
    assert_eq!(missing.len(), 3, "{missing:#?}");
    assert!(findings.iter().filter(|f| f.code == "san-missing").all(|f| f.severity == Severity::Error));
    // And a listener that is not there.
    for node in plan.nodes.values_mut() {
        node.listeners.retain(|listener| listener.address != IpAddr::from([10, 0, 0, 100]));
    }
    assert!(lint(&cluster, &plan).iter().any(|finding| finding.code == "advertised-not-served"));
}
