//! Descriptions that cannot be used: each has a line, a reason and a remedy, and all problems are told at once.

use crate::harness::{Bench, GOOD, assert_shown};

fn check(description: impl AsRef<[u8]>) -> String {
    Bench::new(description).run(&["check", "--config", "cluster.yaml"])
}

#[test]
fn empty() {
    assert_shown!("bad-empty", check(""));
}

#[test]
fn not_text() {
    assert_shown!("bad-not-text", check(b"apiVersion: \xff\xfe\n"));
}

#[test]
fn truncated() {
    assert_shown!(
        "bad-truncated",
        check(&GOOD[..GOOD.find("etcd], addresses: [192.0.2.13").expect("in it")])
    );
}

#[test]
fn not_yaml() {
    assert_shown!("bad-not-yaml", check("spec: {nodes: [}\n"));
}

#[test]
fn another_kind() {
    assert_shown!("bad-another-kind", check("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n"));
}

#[test]
fn too_large() {
    let mut description = GOOD.to_owned();
    description.push_str(&"# padding\n".repeat(1 << 20));
    assert_shown!("bad-too-large", check(description));
}

#[test]
fn alias_bomb() {
    let mut description = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        description.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert_shown!("bad-alias-bomb", check(description));
}

#[test]
fn unknown_fields_and_wrong_values_are_all_told() {
    let description = GOOD
        .replace("metadata: {name: prod}", "metadata: {name: prod, labels: {}}")
        .replace("apiServer: {caFile: ca.pem}", "apiServer: {port: 70000, cafile: ca.pem}")
        .replace("roles: [worker]", "roles: [work]")
        .replace("mode: external, address", "mode: cloud, adress");
    assert_shown!("bad-fields", check(description));
}

#[test]
fn port_zero() {
    assert_shown!("bad-port-zero", check(GOOD.replace("caFile: ca.pem", "port: 0")));
}

#[test]
fn duplicate_names_and_addresses() {
    let description = GOOD.replace("name: cp2", "name: cp1").replace("192.0.2.13", "192.0.2.11");
    assert_shown!("bad-duplicates", check(description));
}

#[test]
fn no_nodes() {
    let description =
        "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nmetadata: {name: prod}\nspec: {nodes: []}\n";
    assert_shown!("bad-no-nodes", check(description));
}

#[test]
fn public_admin_listener() {
    assert_shown!("bad-admin", check(format!("{GOOD}  admin: {{listen: \"0.0.0.0:9643\"}}\n")));
}

#[test]
fn bad_balancing() {
    let balancing = "  balancing: {policy: fastest, fall: 0, probeTimeout: 5, staggerMin: 1s}\n";
    assert_shown!("bad-balancing", check(format!("{GOOD}{balancing}")));
}
