use super::*;

#[test]
fn names_and_addresses_are_told_apart() {
    let sans = Sans {
        apiserver: vec!["api.example.net".to_owned(), "10.0.0.1".to_owned(), "fd00::1".to_owned()],
        etcd: Vec::new(),
    };
    assert_eq!(sans_text(&sans), "apiserver: DNS:api.example.net,IP:10.0.0.1,IP:fd00::1\n");
}

fn cluster(spec: &str) -> Cluster {
    let nodes = "  - {name: cp1, roles: [control-plane], addresses: [10.0.0.11], publicAddress: 203.0.113.11}\n  \
                 - {name: cp2, roles: [control-plane], addresses: [10.0.0.12]}\n  \
                 - {name: lb1, roles: [load-balancer], addresses: [10.0.0.21], publicAddress: 203.0.113.21}\n  \
                 - {name: lb2, roles: [load-balancer], addresses: [10.0.0.22]}\n";
    let text = format!(
        "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: a.rather.long.name.of.a.cluster-with-more}}\nspec:\n\
         {spec}  nodes:\n{nodes}"
    );
    crate::load("cluster.yaml", text.as_bytes()).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"))
}

/// What a cloud's balancer sends where, and what it takes for alive.
#[test]
fn clouds_are_told_every_target_and_a_check_that_takes_unauthorized_for_alive() {
    let cluster = cluster(
        "  apiServer: {port: 6444}\n  access:\n    internal: {mode: external, address: 10.0.0.99}\n    \
         external: {mode: external, addresses: [api.example.net], port: 443}\n",
    );
    let octavia = cloud(&cluster, Cloud::Octavia).unwrap();
    for (port, count) in [("--protocol-port 443 ", 1), ("--protocol-port 6444 ", 5)] {
        assert_eq!(octavia.matches(port).count(), count, "{octavia}");
    }
    for address in ["--address 10.0.0.11 ", "--address 10.0.0.12 "] {
        assert_eq!(octavia.matches(address).count(), 2, "once for each port: {octavia}");
    }
    assert_eq!(octavia.matches("--url-path /readyz").count(), 2);
    assert_eq!(octavia.matches("--expected-codes 200,401,403 ").count(), 2);
    assert_eq!(octavia.matches("--protocol TCP ").count(), 4, "TLS is passed through");
    assert!(octavia.contains("vip_port_id") && octavia.contains("api.example.net:443"));
    let elb = cloud(&cluster, Cloud::Elb).unwrap();
    assert_eq!(elb.matches("Id=10.0.0.11,Port=6444 Id=10.0.0.12,Port=6444").count(), 2);
    assert_eq!(elb.matches("--matcher '{\"HttpCode\": \"200,401,403\"}'").count(), 2);
    assert_eq!(elb.matches("--health-check-protocol HTTPS --health-check-path /readyz").count(), 2);
    for name in elb.split("--name ").skip(1) {
        let name = name.split(' ').next().unwrap();
        let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        assert!(name.len() <= 32 && is_plain && !name.ends_with('-'), "{name}");
    }
}

#[test]
fn names_lead_outsiders_to_public_addresses_and_to_other_names() {
    let of = |access: &str| dns(&cluster(&format!("  access:\n{access}"))).map(|records| dns_text(&records));
    let shared =
        of("    internal: {names: [api.x, in.x]}\n    external: {mode: load-balancer, names: [api.x]}\n");
    let expected = "api.x. 60 IN A 203.0.113.21\napi.x. 60 IN A 10.0.0.22\nin.x. 60 IN A 127.0.0.1\nin.x. 60 IN AAAA ::1\n";
    assert_eq!(shared.unwrap(), expected);
    let alias = of("    external: {mode: external, names: [api.x], address: lb.example.net}\n");
    assert_eq!(alias.unwrap(), "api.x. 60 IN CNAME lb.example.net.\n");
    let itself = of("    external: {mode: external, names: [api.x], address: api.x}\n");
    assert_eq!(itself.unwrap(), "");
    let direct = of("    external: {mode: direct, names: [api.x]}\n");
    assert_eq!(direct.unwrap(), "api.x. 60 IN A 203.0.113.11\n");
    let both = of("    external: {mode: external, names: [api.x], addresses: [192.0.2.1, lb.example.net]}\n");
    assert!(both.unwrap_err().message.contains("api.x would lead to another name"));
    assert!(dns(&cluster("")).unwrap_err().remedy.contains("names"));
}

#[test]
fn a_password_that_keepalived_would_misread_is_not_rendered() {
    let of = |password: &str| {
        let vip = format!(
            "  virtualIPs:\n  - {{name: api, address: 10.0.0.100, version: 2, on: load-balancer, password: {password}}}\n"
        );
        let cluster = cluster(&vip);
        keepalived(&cluster, &crate::plan(&cluster, 1), "lb1", Some("eth0"))
    };
    for (password, shown) in [("abc123", "auth_pass abc123\n"), ("'a b#!c'", "auth_pass \"a b#!c\"\n")] {
        let text = of(password).unwrap();
        assert!(text.contains(shown), "{text}");
    }
    for password in ["'a\"b'", "'a\\b'", "'a$b'", "'a}b'", "\"it's\""] {
        assert!(of(password).unwrap_err().remedy.contains("another password"), "{password}");
    }
}

#[test]
fn what_keepalived_does_otherwise_is_said_in_its_configuration() {
    let of = |options: &str| {
        let vip =
            format!("  virtualIPs:\n  - {{name: api, address: 10.0.0.100, on: load-balancer{options}}}\n");
        let cluster = cluster(&vip);
        keepalived(&cluster, &crate::plan(&cluster, 1), "lb1", Some("eth0")).unwrap()
    };
    assert!(of("").contains("With nopreempt keepalived cannot"));
    for options in [", preempt: true", ", whenAllBad: release", ", track: none"] {
        assert!(!of(options).contains("keepalived cannot"), "{options}");
    }
}
