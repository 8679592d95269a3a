//! Descriptions of other systems.

use crate::harness::{Bench, GOOD, assert_shown};
use std::fs;

const HOSTS: &str = "\
[kube_control_plane]
cp1 ip=10.0.0.11
cp2 ip=10.0.0.12

[kube_node]
w1

[etcd:children]
kube_control_plane
";

/// An inventory in the folder `prod`.
fn inventory(hosts: &str, variables: &str) -> Bench {
    let bench = Bench::new(GOOD);
    for folder in ["prod", "prod/group_vars"] {
        fs::create_dir(bench.scratch.path().join(folder)).expect("make a folder");
    }
    bench.write("prod/inventory.ini", hosts);
    bench.write("prod/group_vars/all.yml", variables);
    bench
}

#[test]
fn an_inventory_becomes_a_description_that_loads() {
    let bench = inventory(HOSTS, "loadbalancer_apiserver_port: 8443\n");
    assert_shown!("import-kubespray", bench.run(&["import", "kubespray", "prod"]));
    assert_shown!(
        "import-kubespray-file",
        bench.run(&["import", "kubespray", "prod/inventory.ini", "-o", "new.yaml"])
    );
    assert_shown!("import-kubespray-check", bench.run(&["check", "--config", "new.yaml"]));
    assert_shown!("import-kubespray-json", bench.run(&["import", "kubespray", "prod", "--output", "json"]));
}

#[test]
fn what_the_source_itself_decides_is_explained() {
    let bench = inventory(HOSTS, "loadbalancer_apiserver: {address: 10.0.0.100}\n");
    bench.write("facts.json", r#"{"w1": {"default_ipv4": "10.0.0.21"}, "cp1": {"fqdn": "cp1.example.net"}}"#);
    let explain = ["import", "kubespray", "prod", "--facts", "facts.json", "--explain"];
    assert_shown!("explain-kubespray", bench.run(&explain));
    assert_shown!("explain-kubespray-json", bench.run(&[&explain[..], &["--output", "json"]].concat()));
    assert_shown!("explain-kubespray-2019", bench.run(&[&explain[..], &["--edition", "doc2019"]].concat()));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let hosts =
        HOSTS.replace("cp2 ip=10.0.0.12", "cp2 ip=[10.0.0.11]").replace("kube_control_plane\n", "masters\n");
    let bench = inventory(&hosts, "{}\n");
    assert_shown!("import-bad-group", bench.run(&["import", "kubespray", "prod"]));
    let bench =
        inventory(&HOSTS.replace("10.0.0.12", "10.0.0.11/24"), "loadbalancer_apiserver: {port: 8383}\n");
    assert_shown!("import-bad-balancer", bench.run(&["import", "kubespray", "prod"]));
    let bench =
        inventory(&HOSTS.replace("10.0.0.12", "10.0.0.11/24"), "a: \"{{ b | c }}\"\nd: !vault |\n  abc\n");
    assert_shown!("import-bad-address", bench.run(&["import", "kubespray", "prod"]));
    assert_shown!("import-missing", bench.run(&["import", "kubespray", "elsewhere"]));
    assert_shown!("import-no-inventory", bench.run(&["import", "kubespray", "prod/group_vars"]));
}
