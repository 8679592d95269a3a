//! A large cluster: linear, not quadratic.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test reads a clock")]

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bowline_plan::{endpoints, lint, load, plan};

/// Without optimisation 5,000 nodes take about a second, and with it 60 ms; something quadratic takes minutes.
const PATIENCE: Duration = Duration::from_secs(60);

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
    let begun = Instant::now();
    let cluster = load("cluster.yaml", description(20_000).as_bytes()).unwrap();
    let plan = plan(&cluster, 1);
    assert_eq!(plan.nodes.len(), 20_000);
    // Control planes, everybody else, pods, outsiders, and the clients of etcd.
    assert_eq!(endpoints(&cluster).len(), 20_000 + 2 + 5);
    assert!(lint(&cluster, &plan).iter().all(|finding| finding.code != "port-clash"));
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
}
