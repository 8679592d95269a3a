//! A large cluster: linear, not quadratic.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test reads how long it took")]

use std::fmt::Write as _;

use bowline_plan::{API_SERVERS, api_server_load, endpoints, lint, load, plan};

mod work;

fn description(nodes: usize) -> String {
    let mut text = String::from("apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nspec:\n  nodes:\n");
    for node in 0..nodes {
        let role = match node {
            0..5 => "control-plane, etcd",
            5..9 => "load-balancer",
            _ => "worker",
        };
        let address = format!("10.{}.{}.{}", node >> 16, node >> 8 & 255, node & 255);
        writeln!(
            text,
            "  - {{name: node-{node}, roles: [{role}], addresses: [{address}, \"fd00::{node:x}\"]}}"
        )
        .unwrap();
    }
    text
}

#[test]
fn twenty_thousand_nodes_are_planned() {
    work::assert_linear("nodes", 2_500, &mut |count| {
        let cluster = load("cluster.yaml", description(count).as_bytes()).unwrap();
        let plan = plan(&cluster, 1);
        assert_eq!(plan.nodes.len(), count);
        // Control planes, everybody else, pods, outsiders, and the clients of etcd.
        assert_eq!(endpoints(&cluster).len(), count + 2 + 5);
        assert!(lint(&cluster, &plan).iter().all(|finding| finding.code != "port-clash"));
    });
}

/// Nodes probe all API servers as long as they are not too many, then their own and the next; balancers always all.
#[test]
fn many_nodes_probe_the_endpoints_they_are_likely_to_use() {
    for (nodes, probed) in [(500, 5), (501, 2), (5_000, 2)] {
        let cluster = load("cluster.yaml", description(nodes).as_bytes()).unwrap();
        let plan = plan(&cluster, 1);
        let pool = |node: &str| &plan.nodes[node].pools[API_SERVERS];
        assert_eq!((pool("node-9").probed, pool("node-9").endpoints.len()), (probed, 5));
        assert_eq!(pool("node-5").probed, 5, "a balancer");
        // Five API servers, four balancers that ask each once a second, and the others every 30 s, spread evenly.
        let of_nodes = (nodes - 9) as f64 * probed as f64 / 5.0 / 30.0;
        for load in api_server_load(&cluster, &plan) {
            let off = (load.requests_per_second - 4.0 - of_nodes).abs();
            assert!(off <= 2.0 / 30.0 + 0.01, "{nodes} nodes: {load:?}, expected {}", 4.0 + of_nodes);
        }
    }
}
