//! What holds for every cluster: random ones are described, loaded, planned and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use bowline_plan::{
    API_SERVERS, BALANCERS, Cluster, ETCD, INGRESS, NodePlan, NodeRole, OWN_API_SERVER, Plan, Policy,
    VirtualRouter, diff, find_node, lint, load, plan, spof, unserved,
};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

const ROLES: [&str; 4] = ["control-plane", "etcd", "worker", "load-balancer"];
const POLICIES: [&str; 6] =
    ["auto", "least-connections", "round-robin", "random-of-two", "preferred", "sticky"];

/// Virtual IPs, an etcd gateway and ingress, each perhaps.
fn extras() -> impl Strategy<Value = String> {
    let on = select(vec!["control-plane", "load-balancer", "[n1, n0]", "[n0]"]);
    let address = select(vec!["10.200.0.", "fd00:200::"]);
    let vip = (on, address, any::<bool>(), prop::option::of(1..255_u8), any::<bool>());
    (prop::collection::vec(vip, 0..4), any::<bool>(), any::<bool>()).prop_map(|(vips, gateway, ingress)| {
        let mut text = format!("  etcd: {{gateway: {gateway}}}\n");
        if ingress {
            text += "  ingress: [{name: https, port: 8443, targetPort: 30443}]\n";
        }
        for (index, (on, address, balance, priority, grouped)) in vips.into_iter().enumerate() {
            text += if index == 0 { "  virtualIPs:\n" } else { "" };
            let (vrid, group) =
                (index + 1, if grouped { format!(", group: g{index}") } else { String::new() });
            let priorities =
                priority.map_or(String::new(), |priority| format!(", priorities: {{n0: {priority}}}"));
            let options = format!("on: {on}, balance: {balance}, vrid: {vrid}{group}");
            // Those on balancers need not be on the first node.
            let priorities = if on == "load-balancer" { String::new() } else { priorities };
            text += &format!("  - {{name: v{index}, address: \"{address}{vrid}\", {options}{priorities}}}\n");
        }
        text
    })
}

/// A side's access that is valid whatever else the cluster has.
fn side() -> impl Strategy<Value = String> {
    let mode = select(vec!["node-local", "load-balancer", "direct", "external, address: 192.0.2.99"]);
    let port = select(vec![6443_u16, 7443, 443]);
    (mode, port).prop_map(|(mode, port)| {
        // Without a balancer of any kind, the API servers' port is the only one there is.
        let port = if mode == "direct" { 6443 } else { port };
        format!("{{mode: {mode}, port: {port}}}")
    })
}

/// A description of 1 to 40 nodes. The first is a control plane and the second a balancer, so that every mode is possible.
fn description() -> impl Strategy<Value = String> {
    let roles = subsequence(ROLES.to_vec(), 1..=3);
    let bind = select(vec!["\"::\"", "0.0.0.0", "127.0.0.1", "10.9.9.9"]);
    let node = (roles, 1..4_usize, any::<bool>());
    (prop::collection::vec(node, 2..40), side(), side(), select(POLICIES.to_vec()), bind, extras()).prop_map(
        |(nodes, internal, external, policy, bind, extras)| {
            let mut text = format!(
                "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nspec:\n  apiServer: {{bindAddress: {bind}}}\n  \
                 balancing: {{policy: {policy}}}\n  access:\n    internal: {internal}\n    external: {external}\n{extras}  nodes:\n"
            );
            for (index, (mut roles, addresses, v6)) in nodes.into_iter().enumerate() {
                roles.extend(["control-plane", "load-balancer"].get(index));
                // Whatever else there is, it has somebody to lead to.
                roles.extend(["etcd", "worker"].get(index));
                let address = |n: usize| if v6 { format!("\"fd00::{n}:{index}\"") } else { format!("10.{n}.0.{index}") };
                let addresses: Vec<String> = (0..addresses).map(address).collect();
                let (roles, addresses) = (roles.join(", "), addresses.join(", "));
                writeln!(text, "  - {{name: n{index}, roles: [{roles}], addresses: [{addresses}]}}").unwrap();
            }
            text
        },
    )
}

fn loaded(text: &str) -> Cluster {
    load("cluster.yaml", text.as_bytes()).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"))
}

fn names(cluster: &Cluster, role: NodeRole) -> BTreeSet<&str> {
    cluster.with_role(role).map(|node| node.name.as_str()).collect()
}

/// The number of nodes whose pool has each server at `rank`.
fn choices<'a>(plan: &'a Plan, pool: &str, rank: usize) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    let pools = plan.nodes.values().filter_map(|node| node.pools.get(pool));
    for pool in pools.filter(|pool| pool.policy == Policy::Preferred) {
        for (index, endpoint) in pool.endpoints.iter().enumerate() {
            *counts.entry(endpoint.name.as_str()).or_default() += usize::from(index == rank);
        }
    }
    counts
}

fn check_node(cluster: &Cluster, name: &str, node: &NodePlan) {
    let own = cluster.nodes().iter().find(|other| other.name == name).unwrap();
    let mut seen = BTreeSet::new();
    for listener in &node.listeners {
        assert!(!listener.address.is_unspecified(), "{name} listens on a wildcard");
        assert!(listener.port != 0);
        assert!(node.pools.contains_key(&listener.pool), "{name} has no pool {}", listener.pool);
        assert!(seen.insert((listener.address, listener.port)), "{name} listens twice on {listener:?}");
        let held = node.virtual_routers.iter().any(|router| router.addresses.contains(&listener.address));
        let is_own = listener.address.is_loopback() || own.addresses.contains(&listener.address) || held;
        assert!(is_own, "{name} listens on {}, which it has not", listener.address);
    }
    assert!(node.listeners.is_sorted());
    for (pool_name, pool) in &node.pools {
        let is_listened = node.listeners.iter().any(|listener| listener.pool == *pool_name);
        let is_tracked = |router: &VirtualRouter| node.tracked_pool(router) == Some(pool_name);
        assert!(is_listened || node.virtual_routers.iter().any(is_tracked), "nobody uses {pool_name}");
        if pool_name == OWN_API_SERVER {
            assert!(!is_listened, "a client would find one API server alone");
            assert_eq!(
                pool.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect::<Vec<_>>(),
                [name]
            );
            continue;
        }
        let servers: BTreeSet<&str> = pool.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
        let role = match pool_name.as_str() {
            API_SERVERS => NodeRole::ControlPlane,
            BALANCERS => NodeRole::LoadBalancer,
            ETCD => NodeRole::Etcd,
            other => {
                assert_eq!(other.strip_prefix(INGRESS), Some("https"));
                NodeRole::Worker
            }
        };
        assert_eq!(servers, names(cluster, role), "{pool_name} of {name}");
        assert_eq!(servers.len(), pool.endpoints.len());
        assert!(
            pool.endpoints.iter().all(|endpoint| endpoint.port != 0 && !endpoint.address.is_unspecified())
        );
    }
}

/// Every virtual IP has exactly one first holder, ranks are what priorities say, and all holders agree on both.
fn check_routers(cluster: &Cluster, plan: &Plan) {
    for vip in cluster.virtual_ips() {
        let parts: Vec<_> = plan
            .nodes
            .iter()
            .filter_map(|(name, node)| Some((name, node.virtual_router(&vip.name)?)))
            .collect();
        let holders: BTreeSet<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(holders, vip.on.iter().map(String::as_str).collect());
        let mut ranked: Vec<_> =
            parts.iter().map(|(name, part)| (part.rank, part.priority, name.as_str())).collect();
        ranked.sort_unstable();
        assert!(
            ranked.iter().enumerate().all(|(index, (rank, ..))| usize::from(*rank) == index),
            "{ranked:?}"
        );
        assert!(ranked.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{ranked:?}");
        for (name, part) in &parts {
            let peers: Vec<_> = part.peers.iter().map(|peer| (peer.priority, peer.node.as_str())).collect();
            let others = ranked
                .iter()
                .filter(|(.., other)| other != name)
                .map(|(_, priority, other)| (*priority, *other));
            assert_eq!(peers, others.collect::<Vec<_>>());
            let planned = vip.priorities.get(*name).map(|priority| priority.get());
            assert!(planned.is_none_or(|priority| priority == part.priority));
            assert!(planned.is_some() || (129..=254).contains(&part.priority), "{part:?}");
            let is_v6 = part.addresses.iter().any(IpAddr::is_ipv6);
            assert_eq!(part.addresses[0].to_string().starts_with("fe80::"), is_v6, "{part:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn plans_hold_together(text in description()) {
        let cluster = loaded(&text);
        let made = plan(&cluster, 7);
        prop_assert_eq!(&made, &plan(&loaded(&text), 7), "the same description gives the same plan");
        prop_assert_eq!(made.nodes.len(), cluster.nodes().len());
        for (name, node) in &made.nodes {
            check_node(&cluster, name, node);
        }
        check_routers(&cluster, &made);
        for pool in [API_SERVERS, BALANCERS, ETCD] {
            for rank in [0, 1] {
                let counts = choices(&made, pool, rank);
                let (most, least) = (counts.values().max(), counts.values().min());
                // With a single server there is no second choice.
                if counts.len() > rank {
                    prop_assert!(most.unwrap() - least.unwrap() <= 1, "{} {}: {:?}", pool, rank, counts);
                }
            }
        }
    }

    #[test]
    fn certificates_hold_every_address_that_is_planned(text in description()) {
        let cluster = loaded(&text);
        let made = plan(&cluster, 1);
        let sans: BTreeSet<&str> = made.sans.apiserver.iter().map(String::as_str).collect();
        for node in made.nodes.values() {
            let is_ours = |pool: &str| [API_SERVERS, BALANCERS].contains(&pool);
            let listeners = node.listeners.iter().filter(|listener| is_ours(&listener.pool));
            let listeners = listeners.map(|listener| listener.address);
            let pools = node.pools.iter().filter(|(name, _)| is_ours(name));
            let endpoints = pools.flat_map(|(_, pool)| pool.endpoints.iter().map(|e| e.address));
            for address in listeners.chain(endpoints).map(|address: IpAddr| address.to_string()) {
                prop_assert!(sans.contains(address.as_str()), "{} is in no certificate: {:?}", address, sans);
            }
        }
    }

    #[test]
    fn steps_lead_from_one_plan_to_the_next(old in description(), new in description(), cut in any::<Index>()) {
        let (old, new) = (plan(&loaded(&old), 1), plan(&loaded(&new), 2));
        for (name, target) in &new.nodes {
            let mut running = old.nodes.get(name).cloned().unwrap_or_default();
            let steps = diff(&running, target);
            for (done, step) in steps.iter().enumerate() {
                running.apply(step);
                for listener in &running.listeners {
                    prop_assert!(running.pools.contains_key(&listener.pool), "after step {} of {:?}", done, steps);
                }
                let once = running.clone();
                running.apply(step);
                prop_assert_eq!(&running, &once, "a step is idempotent");
            }
            prop_assert_eq!(&running, target);
            prop_assert!(diff(&running, target).is_empty());
            // Interrupted anywhere, the steps from there lead to the same.
            let mut interrupted = old.nodes.get(name).cloned().unwrap_or_default();
            let stop = if steps.is_empty() { 0 } else { cut.index(steps.len()) };
            steps.iter().take(stop).for_each(|step| interrupted.apply(step));
            diff(&interrupted, target).iter().for_each(|step| interrupted.apply(step));
            prop_assert_eq!(&interrupted, target);
        }
    }

    #[test]
    fn what_is_planned_is_reported(text in description()) {
        let cluster = loaded(&text);
        let made = plan(&cluster, 1);
        let is_refused = cluster.etcd().gateway || !cluster.ingress().is_empty();
        prop_assert_eq!(unserved(&cluster).is_empty(), !is_refused);
        for finding in lint(&cluster, &made) {
            prop_assert!(finding.line.is_some() && !finding.path.is_empty());
        }
        for row in spof(&cluster, &made) {
            prop_assert!(!row.clients.is_empty());
        }
        for node in cluster.nodes() {
            let is_own = |address: IpAddr| node.addresses.contains(&address);
            prop_assert_eq!(find_node(&cluster, None, "no-such-host", &is_own), Ok(node.name.as_str()));
            prop_assert_eq!(find_node(&cluster, None, &node.name, &|_| false), Ok(node.name.as_str()));
        }
    }
}
