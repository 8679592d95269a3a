//! What holds for every cluster: random ones are described, loaded, planned and compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::IpAddr;

use bowline_plan::{
    API_SERVERS, BALANCERS, Cluster, NodePlan, NodeRole, Plan, Policy, diff, find_node, lint, load, plan,
    spof, unserved,
};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

const ROLES: [&str; 4] = ["control-plane", "etcd", "worker", "load-balancer"];
const POLICIES: [&str; 6] =
    ["auto", "least-connections", "round-robin", "random-of-two", "preferred", "sticky"];

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
    (prop::collection::vec(node, 2..40), side(), side(), select(POLICIES.to_vec()), bind).prop_map(
        |(nodes, internal, external, policy, bind)| {
            let mut text = format!(
                "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nspec:\n  apiServer: {{bindAddress: {bind}}}\n  \
                 balancing: {{policy: {policy}}}\n  access:\n    internal: {internal}\n    external: {external}\n  nodes:\n"
            );
            for (index, (mut roles, addresses, v6)) in nodes.into_iter().enumerate() {
                roles.extend(["control-plane", "load-balancer"].get(index));
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
        let is_own = listener.address.is_loopback() || own.addresses.contains(&listener.address);
        assert!(is_own, "{name} listens on {}, which it has not", listener.address);
    }
    assert!(node.listeners.is_sorted());
    for (pool_name, pool) in &node.pools {
        assert!(node.listeners.iter().any(|listener| listener.pool == *pool_name), "nobody uses {pool_name}");
        let servers: BTreeSet<&str> = pool.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
        let role = match pool_name.as_str() {
            API_SERVERS => NodeRole::ControlPlane,
            BALANCERS => NodeRole::LoadBalancer,
            other => panic!("a pool named {other}"),
        };
        assert_eq!(servers, names(cluster, role), "{pool_name} of {name}");
        assert_eq!(servers.len(), pool.endpoints.len());
        assert!(
            pool.endpoints.iter().all(|endpoint| endpoint.port != 0 && !endpoint.address.is_unspecified())
        );
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
        for pool in [API_SERVERS, BALANCERS] {
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
            let listeners = node.listeners.iter().map(|listener| listener.address);
            let endpoints = node.pools.values().flat_map(|pool| pool.endpoints.iter().map(|e| e.address));
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
        prop_assert!(unserved(&cluster).is_empty());
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
