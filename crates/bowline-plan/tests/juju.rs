//! What the charms decide, held against cases computed from their own rules.

use bowline_plan::import::juju::{Bundle, explain, import, read_model};
use bowline_plan::import::{ImportFailed, Imported};
use serde_json::{Value as Json, json};

#[test]
fn every_case_of_the_charms() {
    let cases: Vec<Json> = serde_json::from_str(include_str!("vectors/charmed.json")).unwrap();
    assert!(cases.len() >= 14, "only {} cases", cases.len());
    for case in cases {
        let name = &case["name"];
        let model = read_model(("model.json", case["input"].to_string().as_bytes()), None)
            .unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let explained = serde_json::to_value(explain(&model)).unwrap();
        assert_eq!(explained, case["output"], "{name}");
    }
}

/// The bundle of the vectors with its options edited, and its status.
fn fixture(edit: impl Fn(String) -> String) -> Bundle {
    let bundle = edit(include_str!("vectors/charmed-bundle.yaml").to_owned());
    imported(&bundle, include_str!("vectors/charmed-status.json"))
        .unwrap_or_else(|failed| panic!("{:?}", failed.problems))
}

fn imported(bundle: &str, status: &str) -> Result<Bundle, ImportFailed> {
    let status = Some(("status.json", status.as_bytes()));
    import(&[("bundle.yaml", bundle.as_bytes())], status, None)
}

/// Every distinct URL: of people, of workers.
fn urls(bundle: &Bundle) -> (Vec<Json>, Vec<Json>) {
    let explained = serde_json::to_value(explain(&bundle.model)).unwrap();
    let mut external = explained["external"].as_array().unwrap().clone();
    external.dedup();
    let mut workers: Vec<Json> = explained["worker"].as_object().unwrap().values().cloned().collect();
    workers.dedup();
    (external, workers)
}

fn remarks(imported: &Imported) -> Vec<String> {
    imported.remarks().iter().map(ToString::to_string).collect()
}

fn has(lines: &[String], what: &str) -> bool {
    lines.iter().any(|line| line.contains(what))
}

/// Variant A of the worked example: the VIP as the charms' guide has it.
#[test]
fn the_bundle_as_documented() {
    let bundle = fixture(|bundle| bundle);
    assert_eq!(
        urls(&bundle),
        (vec![json!("https://10.20.0.250:6443")], vec![json!("https://10.20.0.250:6443")])
    );
    let imported = bundle.imported.unwrap();
    let spec = &imported.description()["spec"];
    let expected = json!({
        "internal": {"mode": "virtual-ip", "virtualIPs": ["api"]},
        "external": {"mode": "virtual-ip", "virtualIPs": ["api"]},
    });
    assert_eq!(spec["access"], expected);
    let expected = json!([{
        "name": "api", "address": "10.20.0.250", "on": "load-balancer", "version": 2, "vrid": 77, "interface": "ens3",
    }]);
    assert_eq!(spec["virtualIPs"], expected);
    assert_eq!(spec["kubernetes"], json!({"version": "1.35", "serviceCIDRs": ["10.152.183.0/24"]}));
    let nodes = spec["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 9);
    let first =
        json!({"name": "juju-7c1e2a-0", "roles": ["control-plane", "etcd"], "addresses": ["10.20.0.11"]});
    assert_eq!(nodes[0], first);
    let balancer = json!({"name": "juju-7c1e2a-3", "roles": ["load-balancer"], "addresses": ["10.20.0.21"]});
    assert_eq!(nodes[3], balancer);

    // What the certificate of cp/0 holds today, but for the name that neither file has, is in the plan.
    let sans = bowline_plan::plan(imported.cluster(), 1).sans.apiserver;
    for san in [
        "10.152.183.1",
        "10.20.0.11",
        "10.20.0.21",
        "10.20.0.250",
        "127.0.0.1",
        "juju-7c1e2a-0",
        "k8s-api.example.com",
        "kubernetes",
        "kubernetes.cluster.local",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ] {
        assert!(sans.iter().any(|held| held == san), "{san} is not in {sans:?}");
    }
    let said = remarks(&imported);
    assert!(has(&said, "bundle.yaml:19: assumed: era O, by the channel 1.35/stable"), "{said:#?}");
    assert!(has(&said, "bundle.yaml:41: defect of the source: keepalived checks port 443, but"), "{said:#?}");
    assert!(
        has(&said, "bundle.yaml:27: defect of the source: loadbalancer-ips (10.20.0.250) win"),
        "{said:#?}"
    );
    assert!(!has(&said, "not advertised"), "{said:#?}");
}

/// Variant B: the VIP in the balancer's options.
#[test]
fn the_virtual_address_on_the_balancer() {
    let bundle = fixture(|bundle| {
        let bundle = bundle.replace("      loadbalancer-ips: \"10.20.0.250\"\n", "");
        bundle.replacen("      extra_sans: \"10.20.0.250 k8s-api.example.com\"\n", "", 1).replace(
            "      extra_sans: \"10.20.0.250 k8s-api.example.com\"\n      proxy",
            "      extra_sans: k8s-api.example.com\n      loadbalancer-ips: 10.20.0.250\n      proxy",
        )
    });
    assert_eq!(
        urls(&bundle),
        (vec![json!("https://10.20.0.250:443")], vec![json!("https://10.20.0.250:6443")])
    );
    let imported = bundle.imported.unwrap();
    let expected = json!({
        "internal": {"mode": "virtual-ip", "virtualIPs": ["api"]},
        "external": {"mode": "virtual-ip", "port": 443, "virtualIPs": ["api"]},
    });
    assert_eq!(imported.description()["spec"]["access"], expected);
    let said = remarks(&imported);
    assert!(
        has(&said, "k8s-api.example.com is not among the extra_sans of kubernetes-control-plane"),
        "{said:#?}"
    );
}

/// Variant C: keepalived alone, and nobody is told.
#[test]
fn a_virtual_address_that_nobody_is_told_of() {
    let bundle = fixture(|bundle| {
        let bundle = bundle.replace("      loadbalancer-ips: \"10.20.0.250\"\n", "");
        bundle.replace("      extra_sans: \"10.20.0.250 k8s-api.example.com\"\n", "")
    });
    assert_eq!(
        urls(&bundle),
        (vec![json!("https://10.20.0.21:443")], vec![json!("https://10.20.0.21:6443")])
    );
    let imported = bundle.imported.unwrap();
    let access = &imported.description()["spec"]["access"];
    let expected = json!({
        "internal": {"mode": "load-balancer"},
        "external": {"mode": "load-balancer", "port": 443},
    });
    assert_eq!(*access, expected);
    let said = remarks(&imported);
    assert!(has(&said, "defect of the source: the VIP 10.20.0.250 is configured and not advertised"));
    let findings = bowline_plan::lint(imported.cluster(), &bowline_plan::plan(imported.cluster(), 1));
    assert!(findings.iter().any(|finding| finding.code == "virtual-ip-unused"), "{findings:?}");
}

/// Documents 000 and 001: the legacy charms, without channels, first alone and then with keepalived between.
const LEGACY: &str = "
services:
  kubernetes-master: {charm: 'cs:~containers/kubernetes-master-754', num_units: 3}
  kubeapi-load-balancer: {charm: 'cs:~containers/kubeapi-load-balancer-682', num_units: 3}
  kubernetes-worker: {charm: 'cs:~containers/kubernetes-worker-590', num_units: 3}
relations:
- ['kubernetes-master:kube-api-endpoint', 'kubeapi-load-balancer:apiserver']
- ['kubernetes-master:loadbalancer', 'kubeapi-load-balancer:loadbalancer']
- ['kubernetes-worker:kube-api-endpoint', 'kubeapi-load-balancer:website']
";
const LEGACY_KEEPALIVED: &str = "
applications:
  keepalived:
    charm: cs:~containers/keepalived-28
    options: {virtual_ip: 10.20.0.250/24, vip_hostname: k8s-api.example.com, router_id: 23}
relations:
- ['keepalived:juju-info', 'kubeapi-load-balancer:juju-info']
- ['keepalived:lb-sink', 'kubeapi-load-balancer:website']
- ['keepalived:loadbalancer', 'kubernetes-master:loadbalancer']
- ['keepalived:website', 'kubernetes-worker:kube-api-endpoint']
";

fn legacy_status() -> String {
    include_str!("vectors/charmed-status.json").replace("kubernetes-control-plane", "kubernetes-master")
}

#[test]
fn a_legacy_bundle() {
    let bundle = imported(LEGACY, &legacy_status()).unwrap();
    let all =
        ["https://10.20.0.21:443", "https://10.20.0.22:443", "https://10.20.0.23:443"].map(|url| json!(url));
    assert_eq!(urls(&bundle), (all.to_vec(), all.to_vec()));
    let imported = bundle.imported.unwrap();
    let side = json!({"mode": "load-balancer", "port": 443});
    assert_eq!(imported.description()["spec"]["access"], json!({"internal": side, "external": side}));
    let said = remarks(&imported);
    assert!(has(&said, "era L, by the charm kubernetes-master, revision 754, without"), "{said:#?}");
    assert!(has(&said, "3 units of kubeapi-load-balancer without a VIP"), "{said:#?}");
}

#[test]
fn a_legacy_bundle_with_keepalived_between() {
    let status = legacy_status();
    let bundle =
        LEGACY.replace("- ['kubernetes-master:loadbalancer', 'kubeapi-load-balancer:loadbalancer']\n", "");
    let bundle =
        bundle.replace("- ['kubernetes-worker:kube-api-endpoint', 'kubeapi-load-balancer:website']\n", "");
    let files = [("bundle.yaml", bundle.as_bytes()), ("overlay.yaml", LEGACY_KEEPALIVED.as_bytes())];
    let bundle = import(&files, Some(("status.json", status.as_bytes())), None).unwrap();
    let worker = json!("https://k8s-api.example.com:443");
    assert_eq!(urls(&bundle), (vec![json!("https://10.20.0.250:443")], vec![worker]));
    let imported = bundle.imported.unwrap();
    let expected = json!({
        "internal": {"mode": "virtual-ip", "port": 443, "names": ["k8s-api.example.com"], "virtualIPs": ["api"]},
        "external": {"mode": "virtual-ip", "port": 443, "virtualIPs": ["api"]},
    });
    assert_eq!(imported.description()["spec"]["access"], expected);
    let said = remarks(&imported);
    assert!(has(&said, "overlay.yaml:5: defect of the source: router_id is 23"), "{said:#?}");
}

/// The OpenStack overlay takes the balancer away; the cloud's has no address in either file.
#[test]
fn an_overlay_takes_the_balancer_away() {
    let bundle = fixture(|bundle| {
        let bundle = bundle.replace("      loadbalancer-ips: \"10.20.0.250\"\n", "");
        bundle
            + "---\napplications:\n  kubeapi-load-balancer:\n  keepalived: null\n  \
               openstack-integrator: {charm: openstack-integrator, channel: 1.35/stable, num_units: 1}\nrelations:\n\
               - ['kubernetes-control-plane:loadbalancer-external', 'openstack-integrator:lb-consumers']\n"
    });
    let imported = bundle.imported.unwrap();
    assert!(!imported.yaml().contains("load-balancer"), "{}", imported.yaml());
    let said = remarks(&imported);
    assert!(has(
        &said,
        "the balancer that openstack-integrator makes has an address that is in neither file"
    ));
}

#[test]
fn hacluster_on_the_control_plane() {
    let bundle = fixture(|bundle| {
        let bundle = bundle
            .replace("loadbalancer-ips: \"10.20.0.250\"", "ha-cluster-vip: \"10.20.0.251 10.20.0.252\"");
        bundle
            + "- [\"kubernetes-control-plane:ha\", \"hacluster:ha\"]\n---\napplications:\n  \
               hacluster: {charm: hacluster, channel: 2.4/stable}\n"
    });
    assert_eq!(
        urls(&bundle),
        (vec![json!("https://10.20.0.251:6443")], vec![json!("https://10.20.0.251:6443")])
    );
    let imported = bundle.imported.unwrap();
    let vips = &imported.description()["spec"]["virtualIPs"];
    let names: Vec<_> =
        vips.as_array().unwrap().iter().map(|vip| (&vip["address"], &vip["balance"])).collect();
    let held = json!(false);
    let expected = [
        (&json!("10.20.0.250"), &Json::Null),
        (&json!("10.20.0.251"), &held),
        (&json!("10.20.0.252"), &held),
    ];
    assert_eq!(names, expected);
    assert!(has(&remarks(&imported), "hacluster has the default corosync_key"));
}

fn problems(result: Result<Bundle, ImportFailed>) -> Vec<String> {
    let failed = match result {
        Err(failed) => failed,
        Ok(bundle) => bundle.imported.unwrap_err(),
    };
    failed.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn what_stands_in_the_way() {
    let fixture = include_str!("vectors/charmed-bundle.yaml");
    let status = include_str!("vectors/charmed-status.json");
    assert_eq!(
        problems(import(&[("bundle.yaml", fixture.as_bytes())], None, None)),
        [
            "bundle.yaml: a bundle holds no address; give --status FILE with the output of `juju status --format=json`"
        ]
    );
    assert_eq!(
        problems(imported("a: [", status)),
        [
            "bundle.yaml:1: a[0]: not YAML: unclosed bracket '['; check indentation, quotes and brackets here and on the \
          line before; is the file complete?"
        ]
    );
    assert_eq!(
        problems(imported("applications: {a: {charm: etcd}}", status)),
        ["bundle.yaml: no application of the charm kubernetes-control-plane or kubernetes-master; \
          give the whole bundle: `juju export-bundle` writes it"]
    );
    assert_eq!(
        problems(imported(&fixture.replace("1.35/stable", "latest/edge"), status)),
        [
            "bundle.yaml:19: which era of the charms kubernetes-control-plane is of cannot be told: its channel names no \
          version; give --era L (up to 1.21), M (1.22 to 1.28) or O (from 1.29)"
        ]
    );
    assert_eq!(
        problems(imported(fixture, &status.replace("10.20.0.12", "10.20.0.11"))),
        [
            "status.json:75: spec.nodes[1].addresses[0]: 10.20.0.11 is an address of node juju-7c1e2a-0 already; \
          give every node its own addresses"
        ]
    );
    assert_eq!(
        problems(imported(fixture, "{\"machines\": {}, \"applications\": {}}")),
        ["bundle.yaml:19: no unit of kubernetes-control-plane is in the status; \
          give the status of the model that the bundle was made of"]
    );
    assert_eq!(
        problems(imported(
            &fixture.replace("virtual_ip: 10.20.0.250/24", "virtual_ip: 10.20.0.2500"),
            status
        )),
        ["bundle.yaml:41: spec.virtualIPs[0].address: 10.20.0.2500 is not an IP address; \
          write one such as 10.0.0.11 or fd00::11"]
    );
    assert_eq!(
        problems(imported(&fixture.replace("extra_sans: \"10.20", "extra_sans: \"K8S_API 10.20"), status))
            .len(),
        1
    );
}

#[test]
fn a_model_that_is_none() {
    let said = |text: &str| {
        let problems = read_model(("model.json", text.as_bytes()), None).unwrap_err();
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        said("{\"era\": \"X\", \"cp\": {}}"),
        [
            "model.json:1: era: X is no era; write L (up to 1.21), M (1.22 to 1.28) or O (from 1.29), or give --era"
        ]
    );
    assert_eq!(
        said("[]")[0],
        "model.json:1: a list is no model; give an object with era, cp, lb, keepalived, \
                               worker_kube_api_endpoint and workers"
    );
    assert_eq!(said("{\"era\": \"O\"}"), ["model.json:1: no control plane; add `cp` with a list of units"]);
    assert_eq!(
        said("{\"era\": \"O\", \"cp\": {\"unit\": []}}"),
        [
            "model.json:1: cp.unit: unknown field; known here: loadbalancer-ips, ha-cluster-vip, ha-cluster-dns, ha_related, \
         units, rel_loadbalancer, rel_ext, rel_int"
        ]
    );
    let leaderless = "{\"era\": \"O\", \"cp\": {}, \"lb\": {\"units\": [{\"n\": 4}]}}";
    assert_eq!(
        said(leaderless),
        [
            "model.json:1: lb: no unit has the number of the leader, 0; give `leader` the number of one of the units"
        ]
    );
}
