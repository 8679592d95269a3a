//! Rules of Kubespray by worked examples, each a change to one plain inventory, and inventories that are wrong.

use bowline_plan::import::kubespray::{self, Edition, Explained, Host};
use bowline_plan::import::{Files, ImportFailed, Imported, Remark, RemarkKind};

/// Three control planes with etcd, and a worker.
const HOSTS: &str = "\
[all]
cp1 ip=10.0.0.11 ansible_host=203.0.113.11
cp2 ip=10.0.0.12 ansible_host=203.0.113.12
cp3 ip=10.0.0.13 ansible_host=203.0.113.13
w1 ip=10.0.0.21 ansible_host=203.0.113.21
[kube_control_plane]
cp[1:3]
[etcd:children]
kube_control_plane
[kube_node]
w1
";

fn files(hosts: &str, variables: &str) -> Files {
    let mut files = Files::new("prod");
    files.insert("hosts.ini", hosts.into()).unwrap();
    files.insert("group_vars/all.yml", variables.into()).unwrap();
    files
}

fn explain_as(edition: Edition, files: &Files) -> Result<(Explained, Vec<Remark>), ImportFailed> {
    let explanation = kubespray::explain(&kubespray::read(files, None)?, edition)?;
    Ok((explanation.explained, explanation.remarks))
}

/// Hosts by name, and the remarks.
#[track_caller]
fn explain(hosts: &str, variables: &str) -> (impl Fn(&str) -> Host + use<>, Vec<Remark>) {
    let (explained, remarks) = explain_as(Edition::Current, &files(hosts, variables)).unwrap();
    let Explained::Current(current) = explained else { panic!("another edition") };
    (move |name: &str| current.hosts[name].clone(), remarks)
}

fn import(files: &Files) -> Result<Imported, ImportFailed> {
    kubespray::import(&kubespray::read(files, None)?, Edition::Current)
}

/// What stands in the way, one line each.
#[track_caller]
fn problems(files: &Files) -> Vec<String> {
    import(files).unwrap_err().problems.iter().map(ToString::to_string).collect()
}

fn has_defect(remarks: &[Remark], words: &str) -> bool {
    remarks.iter().any(|remark| remark.kind == RemarkKind::SourceDefect && remark.message.contains(words))
}

/// The endpoints of a control plane and a worker, that of the CNI, and the exported kubeconfig's.
#[track_caller]
fn assert_endpoints(host: &impl Fn(&str) -> Host, expected: [&str; 4]) {
    let (cp1, cp2) = (host("cp1"), host("cp2"));
    let artifact = cp1.kubeconfig_artifact_server_if_run_here.unwrap();
    let urls = [cp2.endpoint, host("w1").endpoint, cp1.global_endpoint, artifact];
    assert_eq!(urls, expected.map(|url| format!("https://{url}")));
}

#[test]
fn an_external_balancer_without_a_port_has_that_of_the_api_servers() {
    let (host, _) = explain(HOSTS, "loadbalancer_apiserver: {address: 10.0.0.100}");
    assert_endpoints(&host, ["10.0.0.100:6443"; 4]);
    assert_eq!(host("w1").kubeadm_discovery, "10.0.0.100:6443");
}

#[test]
fn without_any_balancer_all_depend_on_the_first_control_plane() {
    let (host, remarks) = explain(HOSTS, "loadbalancer_apiserver_localhost: false");
    assert_endpoints(&host, ["127.0.0.1:6443", "10.0.0.11:6443", "10.0.0.11:6443", "10.0.0.11:6443"]);
    assert!(has_defect(&remarks, "no balancer at all"));
}

#[test]
fn a_real_ipv6_bind_address_is_garbled() {
    let hosts = HOSTS.replace("cp2 ip=", "cp2 kube_apiserver_bind_address=2001:db8::12 ip=");
    let (host, remarks) = explain(&hosts, "{}");
    let cp2 = host("cp2");
    assert_eq!(cp2.endpoint, "https://2001:db8127.0.0.112:6443");
    assert_eq!(cp2.kubeadm_discovery, "10.0.0.11:6443");
    assert!(cp2.local_proxy_installed);
    assert!(has_defect(&remarks, "2001:db8127.0.0.112"));
}

#[test]
fn ipv6_alone_without_a_balancer_is_put_in_brackets() {
    let hosts = HOSTS.replace("ip=10.0.0.", "ip6=fd00:10::");
    let variables = "ipv4_stack: false\nipv6_stack: true\nloadbalancer_apiserver_localhost: false\n";
    let (host, _) = explain(&hosts, variables);
    let first = "[fd00:10::11]:6443";
    assert_endpoints(&host, ["127.0.0.1:6443", first, first, first]);
}

#[test]
fn facts_stand_in_for_addresses() {
    let hosts = "\
[kube_control_plane]
cp1 ansible_default_ipv4=\"{'address': '172.16.5.11'}\"
cp2 ansible_default_ipv4=\"{'address': '172.16.5.12'}\"
[kube_node]
w1
";
    let (host, _) = explain(hosts, "{}");
    assert_endpoints(&host, ["127.0.0.1:6443", "localhost:6443", "localhost:6443", "172.16.5.11:6443"]);
    assert_eq!(host("w1").proxy_upstreams.unwrap(), ["172.16.5.11:6443", "172.16.5.12:6443"]);
}

#[test]
fn a_balancer_without_address_and_name_is_an_error() {
    let files = files(HOSTS, "a: 1\nloadbalancer_apiserver: {port: 8383}\n");
    let failed = explain_as(Edition::Current, &files).unwrap_err();
    assert_eq!(
        failed.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "prod/group_vars/all.yml:2: loadbalancer_apiserver has no address, and apiserver_loadbalancer_domain_name is not \
          set; give the balancer an `address:`, or set the domain name"
        ]
    );
}

#[test]
fn a_name_serves_as_the_address_of_a_balancer() {
    let (host, _) = explain(HOSTS, "loadbalancer_apiserver: {address: elb-123.eu.example.net, port: '443'}");
    assert_endpoints(&host, ["elb-123.eu.example.net:443"; 4]);
}

#[test]
fn the_address_of_kube_vip_alone_is_only_in_the_certificate() {
    let (host, remarks) = explain(HOSTS, "kube_vip_enabled: true\nkube_vip_address: 10.0.0.100\n");
    assert_endpoints(&host, ["127.0.0.1:6443", "localhost:6443", "localhost:6443", "10.0.0.11:6443"]);
    assert_eq!(host("cp1").apiserver_sans.unwrap().last().unwrap(), "10.0.0.100");
    assert!(has_defect(&remarks, "nobody is told to use it"));
}

#[test]
fn the_exported_kubeconfig_can_say_where_ansible_goes() {
    let (host, remarks) = explain(HOSTS, "kubeconfig_localhost_ansible_host: true");
    let ours = "203.0.113.11:6443";
    assert_endpoints(&host, ["127.0.0.1:6443", "localhost:6443", "localhost:6443", ours]);
    assert!(has_defect(&remarks, "not in the certificates"));
}

#[test]
fn names_in_certificates_differ_by_more_than_case_and_addresses_by_their_text() {
    let names = "supplementary_addresses_in_ssl_keys: [API.Example.com, api.example.com, 'FD00::1', 'fd00::1', 'fd00:0:0::1', '', [x]]";
    let (host, _) = explain(HOSTS, names);
    let sans = host("cp1").apiserver_sans.unwrap();
    let after = sans.iter().position(|name| name == "::1").unwrap();
    assert_eq!(sans[after + 1..after + 5], ["API.Example.com", "FD00::1", "fd00:0:0::1", "x"]);
}

#[test]
fn values_of_deeper_groups_and_of_hosts_win() {
    let mut files = files(HOSTS, "kube_apiserver_port: 1001\nip: 192.0.2.1\n");
    files.insert("group_vars/k8s_cluster/a.yml", "kube_apiserver_port: 1002".into()).unwrap();
    files.insert("group_vars/kube_node.yml", "kube_apiserver_port: 1003".into()).unwrap();
    files.insert("host_vars/cp2.yml", "kube_apiserver_port: 1004".into()).unwrap();
    let (Explained::Current(current), _) = explain_as(Edition::Current, &files).unwrap() else { panic!() };
    assert_eq!(current.hosts["cp1"].endpoint, "https://127.0.0.1:1002");
    assert_eq!(current.hosts["cp2"].endpoint, "https://127.0.0.1:1004");
    assert_eq!(current.hosts["w1"].endpoint, "https://localhost:1003");
    assert_eq!(current.hosts["w1"].main_ips, ["10.0.0.21"]);
}

#[test]
fn variables_of_the_cluster_do_not_reach_members_of_etcd_outside_of_it() {
    let hosts = HOSTS.replace("[etcd:children]\nkube_control_plane", "[etcd]\ndb1 ip=10.0.0.31");
    let mut files = files(&hosts, "{}");
    files
        .insert("group_vars/k8s_cluster.yml", "cluster_name: prod.local\nkube_apiserver_port: 7443".into())
        .unwrap();
    let (Explained::Current(current), remarks) = explain_as(Edition::Current, &files).unwrap() else {
        panic!()
    };
    let names = current.hosts["db1"].etcd_cert_dns.clone().unwrap();
    assert_eq!(names[1..3], ["db1", "etcd.kube-system.svc.cluster.local"]);
    assert_eq!(current.hosts["cp1"].etcd_cert_dns, None);
    assert_eq!(current.hosts["db1"].endpoint, "https://localhost:6443");
    assert!(has_defect(&remarks, "etcd.kube-system.svc.cluster.local"));
    assert!(has_defect(&remarks, "db1 takes 6443"));
}

#[test]
fn older_documents_answer_by_their_tables_and_tell_where_code_differed() {
    let both = "loadbalancer_apiserver: {address: 10.0.0.100}\nloadbalancer_apiserver_localhost: true\n";
    let (explained, remarks) = explain_as(Edition::Doc2019, &files(HOSTS, both)).unwrap();
    let Explained::Document(document) = explained else { panic!("another edition") };
    assert_eq!(document.hosts["cp1"].endpoint, "https://127.0.0.1:6443");
    assert_eq!(document.hosts["w1"].endpoint, "https://lb-apiserver.kubernetes.local:6443");
    assert_eq!(document.external.as_deref(), Some("https://lb-apiserver.kubernetes.local:6443"));
    let said: Vec<&str> = remarks.iter().map(|remark| remark.message.as_str()).collect();
    assert!(
        said.iter().any(|said| said.ends_with("the code of its day said https://localhost:6443")),
        "{said:?}"
    );
    assert!(said.iter().any(|said| said.contains("wrote https://10.0.0.100:6443 into")), "{said:?}");
    assert!(has_defect(&remarks, "mutually exclusive"));

    let (explained, remarks) =
        explain_as(Edition::Kargo, &files(HOSTS, "loadbalancer_apiserver_localhost: true")).unwrap();
    let Explained::Document(document) = explained else { panic!("another edition") };
    assert_eq!(document.hosts["cp1"].endpoint, "http://localhost:8080");
    assert_eq!(document.hosts["w1"].endpoint, "https://localhost:443");
    assert!(remarks.iter().any(|remark| remark.message.ends_with("said https://10.0.0.11:443")));
}

#[test]
fn inventories_that_contradict_themselves_are_told_where() {
    let ring = HOSTS.to_owned() + "[a:children]\nb\n[b:children]\nc\n[c:children]\na\n";
    assert_eq!(
        problems(&files(&ring, "{}")),
        [
            "prod/hosts.ini:13: groups within each other: b > c > a > b; a group cannot be within itself: remove one of \
          these `children`"
        ]
    );
    let missing = HOSTS.replace("kube_control_plane\n[kube_node]", "kube_masters\n[kube_node]");
    assert_eq!(
        problems(&files(&missing, "{}")),
        [
            "prod/hosts.ini:9: there is no group kube_masters; add a section [kube_masters], or remove this line"
        ]
    );
    let nobody = "[kube_node]\nw1\n";
    assert_eq!(
        problems(&files(nobody, "{}")),
        [
            "prod: there is no group kube_control_plane (once kube-master); put the hosts that run an API server into it"
        ]
    );
    let itself = problems(&files(HOSTS, "kube_apiserver_port: '{{ a }}'\na: '{{ b }}'\nb: '{{ a }}'\n"));
    assert_eq!(
        itself,
        [
            "prod/group_vars/all.yml:3: a refers to itself: kube_apiserver_port > a > b > a; write the value out in one of them"
        ]
    );
    let undefined = problems(&files(HOSTS, "loadbalancer_apiserver: {address: '{{ vip }}'}\n"));
    assert!(
        undefined[0].starts_with("prod/group_vars/all.yml:1: refers to vip, which is not defined for cp1;")
    );
}

#[test]
fn values_that_make_no_sense_are_told_where_they_stand() {
    let same = HOSTS.replace("10.0.0.12", "10.0.0.11");
    let [line] = &problems(&files(&same, "{}"))[..] else { panic!() };
    assert!(line.starts_with(
        "prod/hosts.ini:3: spec.nodes[1].addresses[0]: 10.0.0.11 is an address of node cp1 already;"
    ));
    for (address, what) in [
        ("[fd00::12]", "is in brackets"),
        ("10.0.0.12/24", "is a range, not an address"),
        ("10.0.0.12:6443", "has a port"),
        ("10.0.0.1234", "is not an IP address"),
    ] {
        let wrong = HOSTS.replace("10.0.0.12", address);
        let lines = problems(&files(&wrong, "{}"));
        assert!(lines[0].starts_with("prod/hosts.ini:3: ") && lines[0].contains(what), "{lines:?}");
    }
    let name = HOSTS.replace("w1", "w_1");
    let lines = problems(&files(&name, "{}"));
    assert!(
        lines[0].starts_with("prod/hosts.ini:5: spec.nodes[3].name: w_1 is not a DNS name;"),
        "{lines:?}"
    );
    let lines = problems(&files(HOSTS, "kube_apiserver_port: 70000"));
    assert!(
        lines[0].starts_with("prod/group_vars/all.yml:1: kube_apiserver_port is not a port: 70000;"),
        "{lines:?}"
    );
    let lines = problems(&files(HOSTS, "kube_service_addresses: 10.96.0.0"));
    assert!(
        lines[0].starts_with("prod/group_vars/all.yml:1: 10.96.0.0 is not an address range;"),
        "{lines:?}"
    );
}

#[test]
fn what_has_to_be_computed_or_decrypted_is_not() {
    let variables = "secret: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  31\nhidden: \"{{ lookup('env', 'X') }}\"\n\
                     supplementary_addresses_in_ssl_keys: [a.example.net, \"{{ b | c }}\"]\n";
    let imported = import(&files(HOSTS, variables)).unwrap();
    let told: Vec<(Option<u32>, &str)> = imported
        .remarks()
        .iter()
        .filter(|remark| remark.kind == RemarkKind::NotEvaluated)
        .map(|remark| (remark.line, remark.message.as_str()))
        .collect();
    let list = "supplementary_addresses_in_ssl_keys";
    assert!(told.contains(&(Some(1), "secret: !vault")), "{told:?}");
    assert!(told.contains(&(Some(4), "hidden: {{ lookup(\\'env\\', \\'X\\') }}")), "{told:?}");
    assert!(told.iter().any(|(line, what)| *line == Some(5) && what.starts_with(list)), "{told:?}");
    assert!(imported.yaml().contains("a.example.net"));
    // What decides about the way to the API cannot be left out.
    let [line] = &problems(&files(HOSTS, "loadbalancer_apiserver: {address: \"{{ a.b }}\"}"))[..] else {
        panic!()
    };
    assert!(
        line.contains(
            "all.yml:1: loadbalancer_apiserver.address: {{ a.b }} is not evaluated; write the value out"
        ),
        "{line}"
    );
}

#[test]
fn switches_that_contradict_each_other_are_told() {
    let both =
        "loadbalancer_apiserver: {address: 10.0.0.100, port: 8383}\nloadbalancer_apiserver_localhost: true\n";
    let imported = import(&files(HOSTS, both)).unwrap();
    assert!(has_defect(imported.remarks(), "both a local and an external balancer are on"));
    assert!(has_defect(imported.remarks(), "becomes localhost:8383, where nothing listens"));
    assert!(imported.yaml().contains("address: 10.0.0.100"));
    let text = import(&files(HOSTS, "loadbalancer_apiserver_localhost: \"false\"\n")).unwrap();
    assert!(has_defect(text.remarks(), "which Ansible takes for true"));
    assert!(text.yaml().contains("mode: node-local"));
}

#[test]
fn an_address_that_kube_vip_moves_becomes_a_virtual_ip() {
    let variables = "kube_vip_enabled: true\nkube_vip_controlplane_enabled: true\nkube_vip_address: 10.0.0.100\n\
                     loadbalancer_apiserver: {address: '{{ kube_vip_address }}', port: 6443}\n";
    let imported = import(&files(HOSTS, variables)).unwrap();
    let spec = &imported.description()["spec"];
    assert_eq!(spec["virtualIPs"][0]["address"], "10.0.0.100");
    assert_eq!(spec["access"]["internal"]["mode"], "virtual-ip");
    assert_eq!(spec["access"]["external"]["mode"], "virtual-ip");
}

#[test]
fn what_ansible_lists_is_read_like_what_it_was_made_of() {
    let listing = r#"{
        "_meta": {"hostvars": {
            "cp1": {"ip": "10.0.0.11", "kube_apiserver_port": 7443},
            "w1": {"ip": "10.0.0.21", "kube_apiserver_port": 7443, "s": {"__ansible_vault": "x"}}
        }},
        "all": {"children": ["ungrouped", "k8s_cluster", "etcd"]},
        "etcd": {"children": ["kube_control_plane"]},
        "k8s_cluster": {"children": ["kube_control_plane", "kube_node"]},
        "kube_control_plane": {"hosts": ["cp1"]},
        "kube_node": {"hosts": ["w1"]}
    }"#;
    let mut files = Files::new("");
    files.insert("list.json", listing.into()).unwrap();
    let (Explained::Current(current), remarks) = explain_as(Edition::Current, &files).unwrap() else {
        panic!()
    };
    assert_eq!(current.hosts["w1"].proxy_upstreams.clone().unwrap(), ["10.0.0.11:7443"]);
    assert!(remarks.iter().any(|remark| remark.kind == RemarkKind::NotEvaluated && remark.line == Some(4)));
}

/// What an inventory says of etcd behind a balancer, in its two forms of the documents: by name and by address.
#[test]
fn etcd_behind_a_balancer_is_carried_over() {
    for (front, names) in [
        ("https://etcd.example.com:2379", "etcd_cert_alt_names: [etcd.kube-system, etcd.example.com]\n"),
        ("https://2.3.7.9:2379", "etcd_cert_alt_ips: [2.3.7.9]\n"),
    ] {
        let variables = format!("etcd_access_addresses: {front}\netcd_client_url: {front}\n{names}");
        let imported = import(&files(HOSTS, &variables)).unwrap();
        let host = front.trim_start_matches("https://").trim_end_matches(":2379");
        let etcd = &imported.description()["spec"]["etcd"];
        assert_eq!(etcd["accessAddresses"], serde_json::json!([host]));
        assert_eq!(etcd["advertisedAddress"], host);
        let clients = bowline_plan::endpoints(imported.cluster());
        let of_etcd = clients.iter().filter(|client| client.class == bowline_plan::Class::Etcd);
        assert!(of_etcd.clone().count() == 3 && of_etcd.clone().all(|client| client.url == front));
        let plan = bowline_plan::plan(imported.cluster(), 1);
        assert!(plan.sans.etcd.iter().any(|name| name == host));
        assert!(plan.sans.etcd.iter().any(|name| name == "etcd.kube-system"));
        let kubeadm = bowline_plan::render::kubeadm(imported.cluster(), &plan, None).unwrap();
        assert!(kubeadm.contains(front), "{kubeadm}");
        let kubespray = bowline_plan::render::kubespray(imported.cluster(), &plan).unwrap();
        for line in ["etcd_access_addresses", "etcd_client_url", "etcd_access_endpoint"] {
            assert!(kubespray.contains(&format!("{line}: \"{front}\"\n")), "{kubespray}");
        }
    }
    // The members themselves, in other words: nothing to describe.
    let own = "etcd_access_addresses: 'https://10.0.0.11:2379,https://10.0.0.12:2379,https://10.0.0.13:2379'";
    assert!(import(&files(HOSTS, own)).unwrap().cluster().etcd().access_addresses.is_empty());
    let wrong = problems(&files(HOSTS, "etcd_access_addresses: 'https://fd00::9:99999:1'"));
    assert!(wrong[0].starts_with("prod/group_vars/all.yml:1: ") && wrong[0].contains("; "), "{wrong:?}");
}

#[test]
fn names_of_etcd_without_a_word_of_them_are_those_of_kubespray() {
    let imported = import(&files(HOSTS, "etcd_cert_alt_ips: [192.0.2.7]")).unwrap();
    let plan = bowline_plan::plan(imported.cluster(), 1);
    let expected = [
        "cp1",
        "cp2",
        "cp3",
        "etcd",
        "etcd.kube-system",
        "etcd.kube-system.svc",
        "etcd.kube-system.svc.cluster.local",
        "localhost",
        "10.0.0.11",
        "10.0.0.12",
        "10.0.0.13",
        "127.0.0.1",
        "192.0.2.7",
        "::1",
    ];
    assert_eq!(plan.sans.etcd, expected);
}
