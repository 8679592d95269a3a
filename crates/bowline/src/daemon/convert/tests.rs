use super::*;

fn balancing(settings: &str) -> Balancing {
    let text = format!(
        "{{apiVersion: bowline.dev/v1alpha1, kind: Cluster, metadata: {{name: test}}, spec: {{balancing: {settings}, nodes: [\
         {{name: cp1, roles: [control-plane, etcd], addresses: [192.0.2.1]}}]}}}}"
    );
    bowline_plan::load("cluster.yaml", text.as_bytes()).unwrap().balancing().clone()
}

fn config(settings: &str) -> bowline_proxy::Config {
    proxy_config(&balancing(settings), NonZeroUsize::MIN, 1)
}

#[test]
fn everybody_is_served_by_default_and_this_machine_always() {
    assert_eq!(config("{}").clients, []);
    let clients = config("{limits: {clients: [10.0.0.0/8]}}").clients;
    let served = |address: &str| clients.iter().any(|network| network.contains(address.parse().unwrap()));
    assert!(served("10.9.9.9") && served("127.0.0.1") && served("::1"));
    assert!(!served("192.0.2.1"));
}

#[test]
fn limits_have_defaults_and_can_be_changed() {
    let limits = |settings| {
        let config = config(settings);
        let sources = config.sources;
        let max = (sources.connections_max.map(NonZeroUsize::get), sources.per_second.map(|rate| rate.get()));
        assert_eq!(sources.exempt, Network::LOOPBACK);
        (max, config.first_byte.map(|first_byte| first_byte.as_secs()), config.unsent_max >> 20)
    };
    assert_eq!(limits("{}"), ((Some(10_000), Some(1_000)), Some(60), 64));
    let given =
        "{limits: {connectionsPerClient: 7, newConnectionsPerClient: 8, firstByte: 0s, unsentMiB: 9}}";
    assert_eq!(limits(given), ((Some(7), Some(8)), None, 9));
    assert_eq!(config("{}").loopback_congestion.as_deref(), Some("cubic"));
}

#[test]
fn only_endpoints_that_are_no_balancers_of_ours_are_told_who_the_client_is() {
    let on = balancing("{proxyProtocol: true}");
    assert!(introduces(&on, bowline_plan::API_SERVERS) && !introduces(&on, BALANCERS));
    assert!(!introduces(&balancing("{}"), bowline_plan::API_SERVERS));
}
