//! The fuzz target of Kubespray's inventories: whatever the files hold, there is no panic, and
//! either a description that loads or problems that say something.

use bowline_plan::import::kubespray::{self, Edition};
use bowline_plan::import::{Files, ImportFailed, Remark};
use proptest::prelude::*;
use proptest::sample::Index;

const INI: &str = r#"[all]
cp[1:3] etcd_access_address='db.example.net' x=[1,"'a'",(2,)] y='{"a": {"b": None}}'
w[01:04:2]:22 ansible_user=deploy # a comment
[kube-master]
cp1 ip=10.0.0.11
cp2 ip=10.0.0.12
cp3 ip=10.0.0.13
[etcd:children]
kube-master
[kube-node]
w[01:04:2]
[k8s-cluster:children]
kube-master
kube-node
[all:vars]
kube_apiserver_port=6443
"#;

const YAML: &str = r#"all:
  hosts:
    cp1: {ip: 10.0.0.11, ip6: "fd00::11", kube_apiserver_bind_address: 10.0.0.11}
    cp2: {<<: &anchor {a: 1, b: no}, ip: 10.0.0.12, ansible_default_ipv6: {address: "fd00::12"}}
    "w[1:3]": {<<: *anchor, c: "{{ ip }}"}
  children:
    kube_control_plane: {hosts: {cp1: , cp2: }}
    kube_node: {hosts: {w1: , w2: }, vars: {a: !vault x}}
    etcd: {children: {kube_control_plane: }}
    k8s_cluster: {children: {kube_control_plane: , kube_node: }}
"#;

const LISTING: &str = r#"{"_meta": {"hostvars": {"cp1": {"ip": "10.0.0.11", "s": {"__ansible_vault": "x"}}}},
 "all": {"children": ["ungrouped", "kube_control_plane"]}, "kube_control_plane": {"hosts": ["cp1"]}}"#;

const VARIABLES: &str = "\
loadbalancer_apiserver: {address: \"{{ kube_vip_address }}\", port: 8383}
kube_vip_address: 10.0.0.100
kube_vip_enabled: true
kube_vip_controlplane_enabled: true
apiserver_loadbalancer_domain_name: api.example.net
loadbalancer_apiserver_localhost: false
ipv6_stack: true
supplementary_addresses_in_ssl_keys: [a.example.net, [10.0.0.1], \"{{ a.b }}\"]
kube_service_addresses: 10.96.0.0/16
cluster_name: prod.local
dns_domain: \"{{ cluster_name }}\"
kube_version: v1.31.4
";

/// What is put into a file somewhere.
const WORDS: [&str; 24] = [
    "\n",
    " ",
    ":",
    "=",
    "[",
    "]",
    "{",
    "}",
    "'",
    "\"",
    "#",
    "{{ a }}",
    "{{ ip }}",
    "{{ b",
    "!vault x",
    "[a:children]\n",
    "kube_control_plane",
    "null",
    "true",
    "70000",
    "fd00::1",
    "[1:99999999]",
    "\u{7f}",
    "- ",
];

fn check(inventory: &str, content: &[u8], variables: &[u8], facts: &[u8]) {
    let mut files = Files::new("prod");
    files.insert(inventory, content.to_vec()).unwrap();
    files.insert("group_vars/all.yml", variables.to_vec()).unwrap();
    match kubespray::read(&files, Some(("facts.json", facts))) {
        Err(failed) => assert_says_something(&failed),
        Ok(read) => {
            for (_, edition) in Edition::ALL {
                match kubespray::explain(&read, edition) {
                    Ok(explanation) => {
                        serde_json::to_string(&explanation.explained).unwrap();
                    }
                    Err(failed) => assert_says_something(&failed),
                }
                match kubespray::import(&read, edition) {
                    Ok(imported) => {
                        bowline_plan::load("cluster.yaml", imported.yaml().as_bytes()).unwrap();
                        assert_on_one_line(imported.remarks());
                    }
                    Err(failed) => assert_says_something(&failed),
                }
            }
        }
    }
}

fn assert_says_something(failed: &ImportFailed) {
    assert!(!failed.problems.is_empty());
    for problem in &failed.problems {
        let line = problem.to_string();
        assert!(
            !problem.message.is_empty() && !problem.remedy.is_empty() && !problem.file.is_empty(),
            "{line}"
        );
        assert!(!line.contains(['\n', '\r']), "more than one line: {line:?}");
        assert!(!line.contains("bug in bowline"), "{line}");
    }
    assert_on_one_line(&failed.remarks);
}

fn assert_on_one_line(remarks: &[Remark]) {
    for remark in remarks {
        assert!(!remark.to_string().contains(['\n', '\r']), "{remark:?}");
    }
}

/// A change: at two places, what is between them is taken out or doubled, or something is put in.
fn change() -> impl Strategy<Value = (Index, Index, u8, Index)> {
    (any::<Index>(), any::<Index>(), 0..4_u8, any::<Index>())
}

fn changed(text: &str, changes: &[(Index, Index, u8, Index)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (from, to, kind, word) in changes {
        let (from, to) = (from.index(bytes.len() + 1), to.index(bytes.len() + 1));
        let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 40));
        match kind {
            0 => drop(bytes.drain(from..to)),
            1 => {
                let again = bytes[from..to].to_vec();
                bytes.splice(to..to, again);
            }
            _ => drop(bytes.splice(from..from, word.get(&WORDS).bytes())),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_files_hold(
        which in 0..3_usize,
        content in prop::collection::vec(change(), 0..6),
        variables in prop::collection::vec(change(), 0..4),
        facts in prop::collection::vec(change(), 0..2),
    ) {
        let (name, text) = [("hosts.ini", INI), ("hosts.yaml", YAML), ("list.json", LISTING)][which];
        let given = r#"{"cp1": {"hostname": "cp1", "fqdn": "cp1.example.net", "default_ipv4": "10.0.0.11"}}"#;
        check(name, &changed(text, &content), &changed(VARIABLES, &variables), &changed(given, &facts));
    }

    #[test]
    fn bytes_that_are_nothing(content in prop::collection::vec(any::<u8>(), 0..200), which in 0..4_usize) {
        check(["hosts", "hosts.ini", "hosts.yml", "hosts.json"][which], &content, b"{}", b"{}");
    }
}

/// A character that JSON allows and YAML does not, in a place that is carried over.
#[test]
fn a_character_that_yaml_does_not_allow() {
    for character in ['\u{7f}', '\u{80}', '\u{9f}', '\u{feff}', '\u{ffff}'] {
        let at = INI.find("example.net").unwrap();
        let mut text = INI.to_owned();
        text.insert(at, character);
        check("hosts.ini", text.as_bytes(), VARIABLES.as_bytes(), b"{}");
    }
}

#[test]
fn unchanged_they_are_good() {
    for (name, text) in [("hosts.ini", INI), ("hosts.yaml", YAML), ("list.json", LISTING)] {
        let mut files = Files::new("prod");
        files.insert(name, text.into()).unwrap();
        files.insert("group_vars/all.yml", VARIABLES.into()).unwrap();
        let read = kubespray::read(&files, None).unwrap();
        kubespray::import(&read, Edition::Current).unwrap_or_else(|failed| panic!("{name}: {failed}"));
        check(name, text.as_bytes(), VARIABLES.as_bytes(), b"{}");
    }
}
