use serde_json::{Value as Json, json};

use super::*;
use crate::import::machines::MachineRole;

const DOCUMENTED: &str = "\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint:
  advertiseAddress: 10.0.0.11
  bindPort: 6443
nodeRegistration:
  name: cp1
  kubeletExtraArgs:
  - name: node-ip
    value: 10.0.0.11,fd00::11
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: prod
kubernetesVersion: v1.32.1
controlPlaneEndpoint: api.example.net:8443
networking:
  serviceSubnet: 10.96.0.0/16,fd00:96::/108
  dnsDomain: k8s.example.net
apiServer:
  certSANs: [api.example.net, 203.0.113.10]
  extraArgs:
  - {name: bind-address, value: '::'}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
controlPlane:
  localAPIEndpoint: {advertiseAddress: 10.0.0.12}
nodeRegistration: {name: cp2}
discovery:
  bootstrapToken: {apiServerEndpoint: '10.0.0.11:6443', token: abcdef.0123456789abcdef}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
nodeRegistration: {name: w1}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
";

fn imported(text: &str, machines: &[&str]) -> Result<Imported, ImportFailed> {
    let machines: Vec<Machine> =
        machines.iter().map(|text| Machine::parse(text, MachineRole::ControlPlane).unwrap()).collect();
    import(&[("kubeadm.yaml", text.as_bytes())], &machines)
}

fn spec(imported: &Imported) -> &Json {
    &imported.description()["spec"]
}

fn remarks(imported: &Imported) -> Vec<String> {
    imported.remarks().iter().map(ToString::to_string).collect()
}

fn problems(text: &str) -> Vec<String> {
    imported(text, &[]).unwrap_err().problems.iter().map(ToString::to_string).collect()
}

#[test]
fn everything_that_kubeadm_is_told() {
    let imported = imported(DOCUMENTED, &[]).unwrap();
    assert_eq!(imported.description()["metadata"]["name"], "prod");
    let side = json!({"mode": "external", "port": 8443, "address": "api.example.net"});
    assert_eq!(
        *spec(&imported),
        json!({
            "kubernetes": {
                "version": "1.32",
                "dnsDomain": "k8s.example.net",
                "serviceCIDRs": ["10.96.0.0/16", "fd00:96::/108"],
            },
            "nodes": [
                {"name": "cp1", "roles": ["control-plane", "etcd"], "addresses": ["10.0.0.11", "fd00::11"]},
                {"name": "cp2", "roles": ["control-plane", "etcd"], "addresses": ["10.0.0.12"]},
                {"name": "w1", "roles": ["worker"]},
            ],
            "apiServer": {"bindAddress": "::", "caFile": "/etc/kubernetes/pki/ca.crt"},
            "access": {"internal": side, "external": side},
            "certificates": {"extraSANs": ["api.example.net", "203.0.113.10"]},
        })
    );
    let said = remarks(&imported);
    assert_eq!(
        said,
        [
            "kubeadm.yaml:16: assumed: who holds api.example.net is not in the file: taken for somebody else's balancer; an \
             address that keepalived holds is described under spec.virtualIPs, and bowline can hold it then",
            "kubeadm.yaml:31: defect of the source: joins by 10.0.0.11:6443, which is not the controlPlaneEndpoint",
        ]
    );
}

/// Flags are a mapping in the older version.
#[test]
fn the_older_version() {
    let text = "
apiVersion: kubeadm.k8s.io/v1beta3
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.0.0.11, bindPort: 7443}
nodeRegistration: {name: cp1}
---
apiVersion: kubeadm.k8s.io/v1beta3
kind: ClusterConfiguration
kubernetesVersion: stable-1.27
apiServer: {extraArgs: {bind-address: 10.0.0.11, audit-log-path: /x}}
etcd:
  external:
    endpoints: ['https://10.0.0.21:2379', 'https://10.0.0.22:2379', 'https://etcd.example.net:2379']
    caFile: /e/ca
    certFile: /e/cert
    keyFile: /e/key
";
    let imported = imported(text, &[]).unwrap();
    assert_eq!(
        *spec(&imported),
        json!({
            "kubernetes": {"version": "1.27"},
            "nodes": [
                {"name": "cp1", "roles": ["control-plane"], "addresses": ["10.0.0.11"]},
                {"name": "etcd-1", "roles": ["etcd"], "addresses": ["10.0.0.21"]},
                {"name": "etcd-2", "roles": ["etcd"], "addresses": ["10.0.0.22"]},
            ],
            "apiServer": {"port": 7443, "bindAddress": "10.0.0.11", "caFile": "/etc/kubernetes/pki/ca.crt"},
            "etcd": {
                "caFile": "/e/ca", "clientCertFile": "/e/cert", "clientKeyFile": "/e/key",
                "accessAddresses": ["10.0.0.21:2379", "10.0.0.22:2379", "etcd.example.net:2379"]
            },
        })
    );
    let said = remarks(&imported);
    assert!(said.iter().any(|line| line.contains("no controlPlaneEndpoint")), "{said:#?}");
}

/// What a running cluster shows, which knows no machine.
#[test]
fn the_config_map_of_a_running_cluster() {
    let text = "
apiVersion: v1
kind: ConfigMap
metadata: {name: kubeadm-config, namespace: kube-system}
data:
  ClusterConfiguration: |
    apiVersion: kubeadm.k8s.io/v1beta4
    kind: ClusterConfiguration
    controlPlaneEndpoint: \"[fd00::100]:6443\"
    kubernetesVersion: v1.33.0
";
    assert_eq!(
        problems(text),
        [
            "kubeadm.yaml: no machine is known to run an API server; name the machines that run an API server: \
          --control-plane NAME=ADDRESS, once for each"
        ]
    );
    let imported = imported(text, &["cp1=10.0.0.11", "cp2=10.0.0.12,fd00::12"]).unwrap();
    assert_eq!(spec(&imported)["nodes"][1]["addresses"], json!(["10.0.0.12", "fd00::12"]));
    assert_eq!(spec(&imported)["nodes"][1]["roles"], json!(["control-plane", "etcd"]));
    assert_eq!(spec(&imported)["access"]["internal"], json!({"mode": "external", "address": "fd00::100"}));
}

#[test]
fn an_endpoint_on_the_machine_itself_or_on_one_control_plane() {
    let text = DOCUMENTED.replace("api.example.net:8443", "127.0.0.1:7443");
    assert_eq!(
        spec(&imported(&text, &[]).unwrap())["access"],
        json!({"internal": {"mode": "node-local", "port": 7443}})
    );
    let text = DOCUMENTED.replace("api.example.net:8443", "10.0.0.11");
    let imported = imported(&text, &[]).unwrap();
    assert_eq!(spec(&imported)["access"], Json::Null);
    assert!(
        remarks(&imported).iter().any(|line| line.contains("depends on the one control plane 10.0.0.11"))
    );
}

#[test]
fn a_machine_without_a_name_is_given_one() {
    let text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 10.0.0.11}\n";
    let imported = imported(text, &[]).unwrap();
    assert_eq!(spec(&imported)["nodes"][0]["name"], "control-plane-1");
    let said = remarks(&imported);
    assert!(said.iter().any(|line| line.contains("the node is called control-plane-1")), "{said:#?}");
}

#[test]
fn what_stands_in_the_way() {
    assert_eq!(
        problems("apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\n")[0],
        "kubeadm.yaml: no machine is known to run an API server; name the machines that run an API server: \
         --control-plane NAME=ADDRESS, once for each"
    );
    assert_eq!(
        problems("apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\n")[1],
        "kubeadm.yaml:1: kubeadm.k8s.io/v1beta2 is not read; write it anew with `kubeadm config migrate`: \
         v1beta3 and v1beta4 are read"
    );
    assert_eq!(
        problems(
            &DOCUMENTED.replace("  advertiseAddress: 10.0.0.11\n", "").replace("10.0.0.11,fd00::11", "")
        ),
        [
            "kubeadm.yaml:1: no advertiseAddress: kubeadm takes the address of the default route, which no file holds; \
          give localAPIEndpoint.advertiseAddress, or --control-plane cp1=ADDRESS"
        ]
    );
    assert_eq!(
        problems(&DOCUMENTED.replace("api.example.net:8443", "fd00::100:x")),
        [
            "kubeadm.yaml:16: fd00::100:x is not an address and port; write HOST:PORT, an IPv6 address in brackets"
        ]
    );
    assert_eq!(
        problems(&DOCUMENTED.replace("203.0.113.10", "10.0.0.0/8")),
        [
            "kubeadm.yaml:21: spec.certificates.extraSANs[1]: 10.0.0.0/8 is a range, not an address; write 10.0.0.0"
        ]
    );
    assert_eq!(
        problems(
            &DOCUMENTED.replace("advertiseAddress: 10.0.0.12", "advertiseAddress: 10.0.0.12, bindPort: 7443")
        ),
        [
            "kubeadm.yaml:28: controlPlane.localAPIEndpoint.bindPort: port 7443 here, 6443 on another control plane; \
          give all API servers one port: a description has one for them all"
        ]
    );
}

#[test]
fn hosts_and_ports() {
    for (text, expected) in [
        ("10.0.0.1", Some(("10.0.0.1", None))),
        ("10.0.0.1:6443", Some(("10.0.0.1", Some(6443)))),
        ("fd00::1", Some(("fd00::1", None))),
        ("[fd00::1]:6443", Some(("fd00::1", Some(6443)))),
        ("[fd00::1]", Some(("fd00::1", None))),
        ("api.example.net", Some(("api.example.net", None))),
        ("api.example.net:0", None),
        ("a:b:c", None),
        (":6443", None),
        ("", None),
        ("[fd00::1", None),
    ] {
        assert_eq!(cluster::host_and_port(text), expected, "{text}");
    }
}

#[test]
fn names_of_a_local_etcd_stay_in_its_certificates() {
    let text = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\netcd:\n  local:\n    dataDir: /var/lib/etcd\n    \
                serverCertSANs: [etcd.example.net, 10.0.0.99]\n    peerCertSANs: [etcd.example.net]\n";
    let imported = imported(text, &["cp1=10.0.0.11"]).unwrap();
    assert_eq!(spec(&imported)["certificates"], json!({"etcdExtraSANs": ["etcd.example.net", "10.0.0.99"]}));
    let wrong = text.replace("10.0.0.99]", "10.0.0.0/24]");
    let problems = super::tests::imported(&wrong, &["cp1=10.0.0.11"]).unwrap_err().to_string();
    assert!(problems.contains("kubeadm.yaml:6: ") && problems.contains("is a range"), "{problems}");
}

#[test]
fn two_control_planes_with_one_address_are_refused() {
    let text = DOCUMENTED.replace("advertiseAddress: 10.0.0.12", "advertiseAddress: 10.0.0.11");
    let problems = imported(&text, &[]).unwrap_err().to_string();
    assert!(problems.contains("10.0.0.11 is an address of node cp1 already"), "{problems}");
    assert!(problems.starts_with("kubeadm.yaml:28: "), "{problems}");
    let beside = imported(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n",
        &["a=10.0.0.1", "b=10.0.0.1"],
    );
    assert!(beside.unwrap_err().to_string().contains("10.0.0.1 is an address of node a already"));
}
