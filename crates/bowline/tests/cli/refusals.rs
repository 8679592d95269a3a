//! `bowline run` that does not start: everything that is in the way is told, and nothing was begun.

use crate::harness::{Bench, GOOD, assert_shown, free, occupied, own_name};
use bowline_lab::certs::{Authority, Validity};

/// `run` as the worker, with an admin listener that is free.
fn run(bench: &Bench) -> String {
    let admin = free().to_string();
    let shown = bench.run(&["run", "--config", "cluster.yaml", "--node", "worker1", "--admin", &admin]);
    shown.replace(&admin, "[ADMIN]")
}

#[test]
fn modes_that_this_version_does_not_serve() {
    let description = GOOD.replace(
        "external: {mode: external, address: api.example.net}",
        "external: {mode: virtual-ip, virtualIPs: [api]}",
    ) + "  virtualIPs:\n  - {name: api, address: 192.0.2.100, on: control-plane}\n"
        + "  etcd: {gateway: true}\n"
        + "  ingress:\n  - {name: https, port: 443, targetPort: 30443}\n";
    assert_shown!("run-unserved", run(&Bench::new(description)));
}

#[test]
fn no_node_of_that_name() {
    let bench = Bench::new(GOOD);
    assert_shown!("run-unknown-node", bench.run(&["run", "--config", "cluster.yaml", "--node", "worker9"]));
}

#[test]
fn no_node_is_this_machine() {
    let bench = Bench::new(GOOD).replace(bowline_sys::host::name(), "[HOST]");
    assert_shown!("run-no-node", bench.run(&["run", "--config", "cluster.yaml"]));
}

#[test]
fn two_nodes_are_this_machine() {
    let host = bowline_sys::host::name();
    if host.contains('.') {
        println!("skipped: the name of this machine, {host}, has a domain and can match one node only");
        return;
    }
    let description = GOOD
        .replace("name: cp1", &format!("name: {host}.a.test"))
        .replace("name: cp2", &format!("name: {host}.b.test"));
    assert_shown!(
        "run-two-nodes",
        Bench::new(description).replace(host, "[HOST]").run(&["run", "--config", "cluster.yaml"])
    );
}

#[test]
fn a_missing_ca_file() {
    assert_shown!("run-missing-ca", run(&Bench::new(GOOD)));
}

#[test]
fn files_that_hold_something_else() {
    let bench =
        Bench::new(GOOD.replace(
            "caFile: ca.pem",
            "caFile: ca.pem, clientCertFile: client.pem, clientKeyFile: client.key",
        ));
    bench.write("ca.pem", "garbage");
    bench.write("client.pem", "garbage");
    bench.write("client.key", "garbage");
    assert_shown!("run-garbage-files", run(&bench));
}

#[test]
fn an_empty_token_file() {
    let bench = Bench::new(GOOD.replace("caFile: ca.pem", "tokenFile: token"));
    bench.write("token", "\n");
    assert_shown!("run-empty-token", run(&bench));
}

#[test]
fn a_key_of_another_certificate() {
    let authority = Authority::new("test").expect("an authority");
    let [one, other] =
        ["one", "other"].map(|name| authority.client(name, Validity::Current).expect("a certificate"));
    let bench =
        Bench::new(GOOD.replace("caFile: ca.pem", "clientCertFile: client.pem, clientKeyFile: client.key"));
    bench.write("client.pem", one.certificate);
    bench.write("client.key", other.key);
    assert_shown!("run-wrong-key", run(&bench));
}

#[test]
fn a_taken_port_and_a_taken_admin_port_are_told_together() {
    let (_listener, taken) = occupied();
    let (_admin_listener, admin) = occupied();
    let description = GOOD.replace("  apiServer: {caFile: ca.pem}\n", "").replace(
        "    external:",
        &format!("    internal: {{mode: node-local, port: {}}}\n    external:", taken.port()),
    );
    let bench = Bench::new(description)
        .replace(own_name(), "[THIS TEST]")
        .replace(admin, "[ADMIN]")
        .replace(taken.port(), "[PORT]");
    let args = ["run", "--config", "cluster.yaml", "--node", "worker1", "--admin", &admin.to_string()];
    let shown = bench.run(&args);
    assert_eq!(shown.matches("[THIS TEST]").count(), 2, "{shown}");
    assert!(shown.starts_with("$ bowline") && shown.contains("\nexit 3\n"), "{shown}");
}

#[test]
fn an_address_of_another_machine() {
    let description = GOOD
        .replace("  apiServer: {caFile: ca.pem}\n", "")
        .replace(
            "{name: worker1, roles: [worker]}",
            "{name: worker1, roles: [load-balancer], addresses: [192.0.2.21]}",
        )
        .replace("    external:", "    internal: {mode: load-balancer, port: 16443}\n    external:");
    let shown = run(&Bench::new(description));
    let told = "cannot listen on 192.0.2.21:16443: Cannot assign requested address (os error 99); \
                give this machine the address, or correct it in the description\n";
    assert!(shown.contains("\nexit 3\n") && shown.ends_with(told), "{shown}");
}
