//! Inventories of Kubespray: what it would have decided itself, against cases computed from its own rules, and what
//! becomes of whole inventories.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test reads its cases")]

use std::fs;
use std::path::{Path, PathBuf};

use bowline_plan::import::kubespray::{self, Edition, Inventory};
use bowline_plan::import::{Files, Imported};
use serde_json::{Map, Value as Json, json};

mod work;

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn cases(file: &str) -> Vec<Json> {
    serde_json::from_slice(&fs::read(vectors().join(file)).unwrap()).unwrap()
}

/// The files of a case, by the rules of the cases' description.
fn files_of(case: &Json) -> Files {
    let mut hosts = Map::new();
    for (name, variables) in case["hosts"].as_object().unwrap() {
        let mut own = variables.as_object().unwrap().clone();
        for (key, fact) in
            [("fact_default_ipv4", "ansible_default_ipv4"), ("fact_default_ipv6", "ansible_default_ipv6")]
        {
            if let Some(Json::String(address)) = own.remove(key) {
                own.insert(fact.to_owned(), json!({ "address": address }));
            }
        }
        hosts.insert(name.clone(), Json::Object(own));
    }
    let groups = case["groups"].as_object().unwrap();
    let is_old = groups.contains_key("kube-master");
    // Written by hand, because the order of hosts matters.
    let mut text = format!("all:\n  hosts: {}\n  children:\n", Json::Object(hosts));
    for (group, hosts) in groups {
        text.push_str(&format!("    {group}:\n      hosts:\n"));
        for host in hosts.as_array().unwrap() {
            text.push_str(&format!("        {}:\n", host.as_str().unwrap()));
        }
    }
    let (cluster, parts) = if is_old {
        ("k8s-cluster", ["kube-master", "kube-node"])
    } else {
        ("k8s_cluster", ["kube_control_plane", "kube_node"])
    };
    text.push_str(&format!("    {cluster}:\n      children: {{{}: , {}: }}\n", parts[0], parts[1]));
    let mut files = Files::new("case");
    files.insert("hosts.yaml", text.into_bytes()).unwrap();
    files.insert("group_vars/all/all.yml", case["group_vars_all"].to_string().into_bytes()).unwrap();
    files
}

fn explained(inventory: &Inventory, edition: Edition) -> Json {
    let explanation = kubespray::explain(inventory, edition).unwrap();
    serde_json::to_value(explanation.explained).unwrap()
}

#[track_caller]
fn assert_holds(id: &str, expected: &Json, actual: &Json) {
    match expected {
        Json::Object(fields) => {
            for (key, value) in fields {
                assert_holds(&format!("{id}.{key}"), value, &actual[key]);
            }
        }
        Json::Array(_) | Json::String(_) | Json::Number(_) | Json::Bool(_) | Json::Null => {
            assert_eq!(actual, expected, "{id}");
        }
    }
}

/// What a case does not name for a host does not apply to it.
#[track_caller]
fn assert_nothing_more(id: &str, expected: &Json, actual: &Json) {
    for (host, fields) in actual.as_object().unwrap() {
        for (field, value) in fields.as_object().unwrap() {
            assert!(expected[host].get(field).is_some() || value.is_null(), "{id}: {host} has {field}");
        }
    }
}

#[test]
fn the_rules_of_today_hold() {
    let cases = cases("kubespray.json");
    assert!(cases.len() >= 16);
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let actual = explained(&kubespray::read(&files_of(&case), None).unwrap(), Edition::Current);
        assert_holds(id, &case["expected"], &actual["hosts"]);
        assert_nothing_more(id, &case["expected"], &actual["hosts"]);
        for field in ["etcd_access_addresses", "kube_apiserver_ip"] {
            assert_eq!(actual[field], case[field], "{id}");
        }
    }
}

#[test]
fn the_tables_of_older_documents_hold() {
    let cases = cases("kubespray-documents.json");
    assert!(cases.len() >= 9);
    for case in cases {
        let edition = Edition::ALL.iter().find(|(name, _)| case["edition"] == *name).unwrap().1;
        let actual = explained(&kubespray::read(&files_of(&case), None).unwrap(), edition);
        assert_eq!(actual, case["expected"], "{}", case["id"]);
    }
}

/// A folder of the vectors, without its facts.
fn folder(name: &str) -> Files {
    let root = vectors().join("kubespray-inventories").join(name);
    let mut files = Files::new(name);
    let mut left = vec![root.clone()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let inner = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            files.insert(&inner, fs::read(&path).unwrap()).unwrap();
        }
    }
    files
}

fn inventory(name: &str, with_facts: bool) -> Inventory {
    let files = folder(name);
    let facts = files.get("facts.json").unwrap();
    kubespray::read(&files, with_facts.then_some(("facts.json", facts))).unwrap()
}

fn imported(inventory: &Inventory, edition: Edition) -> Imported {
    let imported = kubespray::import(inventory, edition).unwrap();
    let cluster = bowline_plan::load("cluster.yaml", imported.yaml().as_bytes()).unwrap();
    assert_eq!(cluster.nodes(), imported.cluster().nodes());
    imported
}

fn upstreams(cluster: &bowline_plan::Cluster, node: &str) -> Vec<String> {
    let plan = bowline_plan::plan(cluster, 1);
    let pools = &plan.nodes[node].pools;
    let mut endpoints: Vec<String> = pools
        .values()
        .flat_map(|pool| &pool.endpoints)
        .map(|endpoint| format!("{}:{}", endpoint.address, endpoint.port))
        .collect();
    endpoints.sort();
    endpoints
}

#[test]
fn the_modern_inventory_gives_what_was_computed_for_it() {
    let inventory = inventory("A_modern_yaml", true);
    let actual = explained(&inventory, Edition::Current);
    let host = |name: &str, field: &str| actual["hosts"][name][field].clone();
    for name in ["node-a1", "node-a2", "node-a3"] {
        assert_eq!(host(name, "endpoint"), "https://127.0.0.1:6443");
        assert_eq!(host(name, "local_proxy_installed"), false);
    }
    for name in ["node-a4", "node-a5"] {
        assert_eq!(host(name, "endpoint"), "https://localhost:6443");
        assert_eq!(host(name, "proxy_listen"), json!(["127.0.0.1:6443"]));
        let upstreams = ["10.3.0.1:6443", "10.3.0.2:6443", "10.3.0.3:6443"];
        assert_eq!(host(name, "proxy_upstreams"), json!(upstreams));
    }
    assert_eq!(host("node-a5", "main_ips"), json!(["203.0.113.15"]));
    assert_eq!(host("node-a1", "global_endpoint"), "https://localhost:6443");
    assert_eq!(host("node-a4", "kubeadm_discovery"), "10.3.0.1:6443");
    assert_eq!(host("node-a1", "kubeadm_control_plane_endpoint"), "10.3.0.1:6443");
    assert_eq!(host("node-a1", "kubeconfig_artifact_server_if_run_here"), "https://10.3.0.1:6443");
    let etcd = "https://10.3.0.1:2379,https://10.3.0.2:2379,https://10.3.0.3:2379";
    assert_eq!(actual["etcd_access_addresses"], etcd);
    let sans = "kubernetes, kubernetes.default, kubernetes.default.svc, kubernetes.default.svc.cluster.local, \
        10.233.0.1, localhost, 127.0.0.1, ::1, api.prod.example.com, 203.0.113.100, 10.3.0.1, 10.3.0.2, 10.3.0.3, \
        203.0.113.11, 203.0.113.12, 203.0.113.13, node-a1, node-a2, node-a3, node-a1.example.net, \
        node-a2.example.net, node-a3.example.net";
    assert_eq!(host("node-a1", "apiserver_sans"), json!(sans.split(", ").collect::<Vec<_>>()));
    let names = ["localhost", "node-a1", "node-a2", "node-a3", "etcd.kube-system.svc.cluster.local"];
    let names: Vec<&str> =
        names.into_iter().chain(["etcd.kube-system.svc", "etcd.kube-system", "etcd"]).collect();
    assert_eq!(host("node-a1", "etcd_cert_dns"), json!(names));
    let addresses =
        ["10.3.0.1", "10.3.0.1", "10.3.0.2", "10.3.0.2", "10.3.0.3", "10.3.0.3", "127.0.0.1", "::1"];
    assert_eq!(host("node-a1", "etcd_cert_ips"), json!(addresses));

    let imported = imported(&inventory, Edition::Current);
    let expected = ["10.3.0.1:6443", "10.3.0.2:6443", "10.3.0.3:6443"];
    assert_eq!(upstreams(imported.cluster(), "node-a5"), expected);
    let plan = bowline_plan::plan(imported.cluster(), 1);
    for name in sans.split(", ") {
        assert!(plan.sans.apiserver.iter().any(|there| there == name), "{name} is lost");
    }
}

#[test]
fn the_old_inventory_gives_what_was_computed_for_it() {
    let inventory = inventory("B_legacy_ini", true);
    let actual = explained(&inventory, Edition::Current);
    let host = |name: &str, field: &str| actual["hosts"][name][field].clone();
    for name in ["fra-m1", "fra-m2", "fra-m3", "fra-w1", "fra-w2", "fra-rr1"] {
        assert_eq!(host(name, "endpoint"), "https://k8s-api.fra.example.net:8383", "{name}");
        assert_eq!(host(name, "global_endpoint"), "https://k8s-api.fra.example.net:8383");
        assert_eq!(host(name, "kubeadm_discovery"), "k8s-api.fra.example.net:8383");
        assert_eq!(host(name, "local_proxy_installed"), false);
    }
    assert_eq!(host("fra-m1", "kubeadm_control_plane_endpoint"), "k8s-api.fra.example.net:8383");
    assert_eq!(host("fra-m1", "kubeconfig_artifact_server_if_run_here"), "https://10.20.0.100:8383");
    assert_eq!(actual["hosts"]["bastion"], Json::Null);
    let etcd = "https://10.20.0.31:2379,https://10.20.0.32:2379,https://10.20.0.33:2379";
    assert_eq!(actual["etcd_access_addresses"], etcd);
    let sans = "kubernetes, kubernetes.default, kubernetes.default.svc, kubernetes.default.svc.fra.local, 10.96.0.1, \
        localhost, 127.0.0.1, ::1, k8s-api.fra.example.net, 10.20.0.100, 198.51.100.50, 172.30.1.11, 172.30.1.12, \
        172.30.1.13, 10.20.0.11, 10.20.0.12, 10.20.0.13, fra-m1, fra-m2, fra-m3, fra-m1.example.net, \
        fra-m2.example.net, fra-m3.example.net";
    assert_eq!(host("fra-m1", "apiserver_sans"), json!(sans.split(", ").collect::<Vec<_>>()));
    let names = "localhost, fra-db1, fra-db2, fra-db3, etcd.kube-system.svc.cluster.local, etcd.kube-system.svc, \
        etcd.kube-system, etcd";
    assert_eq!(host("fra-db1", "etcd_cert_dns"), json!(names.split(", ").collect::<Vec<_>>()));

    let imported = imported(&inventory, Edition::Current);
    let plan = bowline_plan::plan(imported.cluster(), 1);
    for name in sans.split(", ") {
        assert!(plan.sans.apiserver.iter().any(|there| there == name), "{name} is lost");
    }
    let access = &imported.description()["spec"]["access"];
    let expected = json!({
        "mode": "external", "port": 8383, "address": "10.20.0.100", "names": ["k8s-api.fra.example.net"]
    });
    assert_eq!(access, &json!({ "internal": expected, "external": expected }));
}

#[test]
fn both_inventories_import_without_facts_and_name_who_has_no_address() {
    for (name, without) in [("A_modern_yaml", vec!["node-a5"]), ("B_legacy_ini", vec!["fra-w1", "fra-w2"])] {
        let imported = imported(&inventory(name, false), Edition::Current);
        for node in imported.cluster().nodes() {
            assert_eq!(node.addresses.is_empty(), without.contains(&node.name.as_str()), "{}", node.name);
        }
        for host in without {
            let said = imported
                .remarks()
                .iter()
                .any(|remark| remark.message.contains(&format!("{host} has no known address")));
            assert!(said, "{:#?}", imported.remarks());
        }
        bowline_plan::plan(imported.cluster(), 1);
    }
}

#[test]
fn every_case_with_addresses_becomes_a_cluster() {
    for case in cases("kubespray.json") {
        let id = case["id"].as_str().unwrap();
        let inventory = kubespray::read(&files_of(&case), None).unwrap();
        match kubespray::import(&inventory, Edition::Current) {
            Ok(_) => assert_ne!(id, "M15"),
            Err(failed) => {
                assert_eq!(id, "M15", "{failed}");
                assert!(failed.problems.iter().all(|problem| problem.line.is_some()), "{failed}");
            }
        }
    }
}

/// 5,000 nodes, every one with variables of its own in a file and in the inventory.
#[test]
fn five_thousand_nodes_are_imported() {
    work::assert_linear("nodes", 5_000 / work::GROWTH, &mut |count| {
        let mut files = Files::new("big");
        let last = count - 1;
        let mut text = format!("[kube_control_plane]\nnode[0:2]\n[kube_node]\nnode[0:{last}]\n[all]\n");
        for node in 0..count {
            text.push_str(&format!("node{node} ip=10.{}.{}.1\n", node / 250, node % 250));
            let access = format!("access_ip: 10.{}.{}.2", node / 250, node % 250);
            files.insert(&format!("host_vars/node{node}.yml"), access.into()).unwrap();
        }
        files.insert("hosts.ini", text.into()).unwrap();
        let read = kubespray::read(&files, None).unwrap();
        let imported = kubespray::import(&read, Edition::Current).unwrap();
        assert_eq!(bowline_plan::plan(imported.cluster(), 1).nodes.len(), count);
    });
}
