//! The endpoint table that Kubespray's document on high availability gives (control plane, other node, outside, for each
//! of four layouts), and what follows from each symbol in it.

use bowline_plan::{Class, endpoints, load};

const NODES: &str = "  nodes:\n  \
    - {name: cp1, roles: [control-plane, etcd], addresses: [10.0.0.11], accessAddress: 192.0.2.11}\n  \
    - {name: cp2, roles: [control-plane, etcd], addresses: [10.0.0.12], accessAddress: 192.0.2.12}\n  \
    - {name: w1, roles: [worker]}\n";

/// The URL of the first client of each class.
fn table(spec: &str) -> [String; 3] {
    let text = format!("apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nspec:\n{spec}{NODES}");
    let cluster =
        load("cluster.yaml", text.as_bytes()).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"));
    let clients = endpoints(&cluster);
    let url = |class| clients.iter().find(|client| client.class == class).unwrap().url.clone();
    [url(Class::ControlPlane), url(Class::Node), url(Class::External)]
}

#[test]
fn every_layout_has_the_endpoints_of_its_row() {
    let external = "{mode: external, address: lb.example.net, port: 8383}";
    for (layout, spec, row) in [
        ("local balancer", String::new(), ["127.0.0.1:6443", "localhost:6443", "192.0.2.11:6443"]),
        (
            "local balancer, and one for the outside that nobody here manages",
            format!("  access: {{external: {external}}}\n"),
            ["127.0.0.1:6443", "localhost:6443", "lb.example.net:8383"],
        ),
        (
            "external balancer",
            format!("  access: {{internal: {external}, external: {external}}}\n"),
            ["127.0.0.1:6443", "lb.example.net:8383", "lb.example.net:8383"],
        ),
        (
            "none",
            "  access: {internal: {mode: direct}}\n".to_owned(),
            ["127.0.0.1:6443", "192.0.2.11:6443", "192.0.2.11:6443"],
        ),
    ] {
        assert_eq!(table(&spec), row.map(|row| format!("https://{row}")), "{layout}");
    }
}

#[test]
fn a_port_that_is_not_given_is_the_api_servers() {
    let given = "  apiServer: {port: 8443}\n";
    assert_eq!(table(given), ["https://127.0.0.1:8443", "https://localhost:8443", "https://192.0.2.11:8443"]);
    let balancer = "  apiServer: {port: 8443}\n  access: {internal: {mode: external, address: 192.0.2.99}}\n";
    assert_eq!(table(balancer)[1], "https://192.0.2.99:8443");
}

#[test]
fn a_local_port_of_its_own_serves_the_control_plane_too() {
    let [own, node, _] = table("  access: {internal: {port: 7443}}\n");
    assert_eq!([own.as_str(), &node], ["https://localhost:7443"; 2]);
}

#[test]
fn an_api_server_on_one_address_is_found_there() {
    let bound = "  apiServer: {bindAddress: 10.0.0.11}\n  access: {internal: {mode: direct}}\n";
    assert_eq!(table(bound)[0], "https://10.0.0.11:6443");
    let loopback = "  apiServer: {bindAddress: \"::1\"}\n";
    assert_eq!(table(loopback)[0], "https://[::1]:6443");
}

#[test]
fn several_equal_endpoints_are_shared_out_evenly() {
    let mut text = "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nspec:\n  access: {internal: {mode: virtual-ip}}\n  \
        virtualIPs:\n  - {name: a, address: 10.0.0.100}\n  - {name: b, address: 10.0.0.101}\n  - {name: c, address: 10.0.0.102}\n  \
        nodes:\n  - {name: cp1, roles: [control-plane], addresses: [10.0.0.11]}\n"
        .to_owned();
    (0..30).for_each(|node| text += &format!("  - {{name: w{node}}}\n"));
    let clients = endpoints(&load("cluster.yaml", text.as_bytes()).unwrap());
    for last in 0..3 {
        let url = format!("https://10.0.0.10{last}:6443");
        let nodes = clients.iter().filter(|client| client.class == Class::Node && client.url == url);
        assert_eq!(nodes.count(), 10, "{url}");
        assert!(clients.iter().any(|client| client.class == Class::External && client.url == url), "{url}");
    }
}
