use serde_json::{Value as Json, json};

use super::*;
use crate::import::machines::MachineRole;

/// The sample of the documents, with addresses for its placeholders.
const DOCUMENTED: &str = "\
listen kubernetes-apiserver-https
  bind 10.0.0.100:8383
  option ssl-hello-chk
  mode tcp
  timeout client 3h
  timeout server 3h
  server master1 10.0.0.11:6443
  server master2 10.0.0.12:6443
  balance roundrobin
";

/// Of kubeadm's guide: HAProxy and keepalived on the control planes.
const GUIDE: &str = "\
global
    log stdout format raw local0
    daemon
    maxconn 4000
defaults
    mode                    http
    option                  httplog
    timeout client          35s
    timeout server          35s
frontend apiserver
    bind *:8443
    mode tcp
    option tcplog
    default_backend apiserverbackend
frontend stats
    bind 127.0.0.1:9000
    stats enable
backend apiserverbackend
    option httpchk
    http-check connect ssl
    http-check send meth GET uri /healthz
    http-check expect status 200
    mode tcp
    balance     leastconn
    default-server inter 10s downinter 5s rise 2 fall 2 slowstart 60s maxconn 250 maxqueue 256 weight 100
    server cp_1 10.0.0.11:6443 check verify none
    server cp_2 [fd00::12]:6443 check verify none
";

const KEEPALIVED: &str = "\
! Configuration File for keepalived
global_defs {
    router_id cp1
}
vrrp_script check_apiserver {
  script \"/etc/keepalived/check_apiserver.sh\"
  interval 3
  weight -2
  fall 10
  rise 2
}

vrrp_instance VI_1 {
    state MASTER
    interface eth0
    virtual_router_id 51
    priority 101
    authentication {
        auth_type PASS
        auth_pass 4be37dc3b4c90194d1600c483e10ad1d
    }
    virtual_ipaddress {
        10.0.0.100/24
    }
    track_script {
        check_apiserver
    }
}
";

fn haproxy(text: &str, machines: &[Machine]) -> Result<Imported, ImportFailed> {
    let haproxy = Some(("haproxy.cfg", text.as_bytes()));
    import(Sources { haproxy, machines, ..Sources::default() })
}

fn daemons(texts: &[&str], machines: &[Machine]) -> Result<Imported, ImportFailed> {
    const NAMES: [&str; 3] = ["a.conf", "b.conf", "c.conf"];
    let keepalived: Vec<File<'_>> =
        NAMES.iter().zip(texts).map(|(name, text)| (*name, text.as_bytes())).collect();
    import(Sources { keepalived: &keepalived, machines, ..Sources::default() })
}

fn machines(texts: &[&str], role: MachineRole) -> Vec<Machine> {
    texts.iter().map(|text| Machine::parse(text, role).unwrap()).collect()
}

fn control_planes() -> Vec<Machine> {
    machines(&["cp1=10.0.0.11", "cp2=10.0.0.12"], MachineRole::ControlPlane)
}

fn spec(imported: &Imported) -> &Json {
    &imported.description()["spec"]
}

fn said(imported: &Imported, what: &str) {
    let lines: Vec<String> = imported.remarks().iter().map(ToString::to_string).collect();
    assert!(lines.iter().any(|line| line.contains(what)), "{what} is not in {lines:#?}");
}

fn problems(result: Result<Imported, ImportFailed>) -> Vec<String> {
    result.unwrap_err().problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_documented_form() {
    let imported = haproxy(DOCUMENTED, &[]).unwrap();
    let side = json!({"mode": "virtual-ip", "port": 8383});
    assert_eq!(
        *spec(&imported),
        json!({
            "nodes": [
                {"name": "master1", "roles": ["control-plane"], "addresses": ["10.0.0.11"]},
                {"name": "master2", "roles": ["control-plane"], "addresses": ["10.0.0.12"]},
            ],
            "access": {"internal": side, "external": side},
            "virtualIPs": [{"name": "api", "address": "10.0.0.100", "on": "control-plane"}],
            "balancing": {"policy": "round-robin"},
        })
    );
    said(
        &imported,
        "haproxy.cfg:5: differs: timeout client 3h: HAProxy cuts a connection that is silent for so long",
    );
    said(&imported, "haproxy.cfg:6: differs: timeout server 3h");
    said(&imported, "haproxy.cfg:3: differs: option ssl-hello-chk");
    said(
        &imported,
        "haproxy.cfg:2: assumed: 10.0.0.100 is no machine's own address: taken for one that moves",
    );
    said(&imported, "haproxy.cfg:7: defect of the source: servers without `check`");
}

#[test]
fn the_documented_form_on_machines_of_its_own() {
    let balancers = machines(&["lb1=10.0.0.21", "lb2=10.0.0.22"], MachineRole::LoadBalancer);
    let imported = haproxy(DOCUMENTED, &balancers).unwrap();
    assert_eq!(spec(&imported)["virtualIPs"][0]["on"], "load-balancer");
    let own = machines(&["lb1=10.0.0.100"], MachineRole::LoadBalancer);
    let imported = haproxy(DOCUMENTED, &own).unwrap();
    let side = json!({"mode": "load-balancer", "port": 8383});
    assert_eq!(spec(&imported)["access"], json!({"internal": side, "external": side}));
    let local = haproxy(&DOCUMENTED.replace("10.0.0.100:8383", "127.0.0.1:6443"), &[]).unwrap();
    assert_eq!(spec(&local)["access"], json!({"internal": {"mode": "node-local"}}));
}

#[test]
fn a_frontend_and_its_backend() {
    let imported = haproxy(GUIDE, &[]).unwrap();
    let side = json!({"mode": "load-balancer", "port": 8443});
    assert_eq!(
        *spec(&imported),
        json!({
            "nodes": [
                {"name": "cp-1", "roles": ["control-plane", "load-balancer"], "addresses": ["10.0.0.11"]},
                {"name": "cp-2", "roles": ["control-plane", "load-balancer"], "addresses": ["fd00::12"]},
            ],
            "access": {"internal": side, "external": side},
            "balancing": {"policy": "least-connections", "fall": 2, "rise": 2, "connections": 4000},
        })
    );
    said(&imported, "haproxy.cfg:15: not understood: stats is in mode http: it is left out");
    said(&imported, "haproxy.cfg:25: differs: inter 10s");
    said(&imported, "haproxy.cfg:26: assumed: the server cp_1 is called cp-1");
    said(&imported, "haproxy.cfg:11: assumed: the file does not say which machines it is on");
}

#[test]
fn haproxy_and_keepalived_together() {
    let (a, b) = (
        KEEPALIVED,
        KEEPALIVED.replace("router_id cp1", "router_id cp2").replace("priority 101", "priority 100"),
    );
    let keepalived = [("a.conf", a.as_bytes()), ("b.conf", b.as_bytes())];
    let text = GUIDE.replace("cp_", "cp");
    let haproxy = Some(("haproxy.cfg", text.as_bytes()));
    let imported = import(Sources { haproxy, keepalived: &keepalived, ..Sources::default() }).unwrap();
    let side = json!({"mode": "virtual-ip", "port": 8443});
    assert_eq!(spec(&imported)["access"], json!({"internal": side, "external": side}));
    assert_eq!(
        spec(&imported)["virtualIPs"],
        json!([{
            "name": "vi-1", "address": "10.0.0.100", "on": "control-plane", "version": 2, "preempt": true, "vrid": 51,
            "interface": "eth0", "priorities": {"cp1": 101, "cp2": 100}, "password": "4be37dc3",
        }])
    );
    said(&imported, "a.conf:20: defect of the source: auth_pass is cut to its first 8 bytes");
    said(
        &imported,
        "a.conf:26: differs: /etc/keepalived/check_apiserver.sh decides who may hold the address today",
    );
}

#[test]
fn keepalived_alone() {
    assert_eq!(
        problems(daemons(&[KEEPALIVED], &[])),
        ["a.conf: no machine is known to run an API server; name the machines that run an API server: \
          --control-plane NAME=ADDRESS, once for each"]
    );
    let imported = daemons(&[KEEPALIVED], &control_planes()).unwrap();
    let side = json!({"mode": "virtual-ip"});
    assert_eq!(spec(&imported)["access"], json!({"internal": side, "external": side}));
    let vip = &spec(&imported)["virtualIPs"][0];
    assert_eq!((&vip["balance"], &vip["priorities"]), (&json!(false), &json!({"cp1": 101})));
    said(&imported, "a.conf: assumed: no file says on which port clients connect: 6443 is taken");
}

const UNICAST: &str = "
vrrp_sync_group API {
  group {
    v4
    v6
  }
}
vrrp_instance v4 {
  state BACKUP
  nopreempt
  interface bond0
  virtual_router_id 60
  priority 150
  advert_int 0.2
  version 3
  unicast_src_ip 10.0.0.11
  unicast_peer { 10.0.0.12
    10.0.0.13 }
  virtual_ipaddress {
    10.0.0.100/24 dev bond0.5 label bond0.5:1
    10.0.0.101
  }
  use_vmac vrrp.60
  vmac_xmit_base
  preempt_delay 30
  virtual_routes { 10.9.0.0/16 via 10.0.0.1 }
}
vrrp_instance v6 {
  interface bond0
  virtual_router_id 61
  unicast_src_ip 10.0.0.11
  virtual_ipaddress { fe80::100
    fd00::100/64 }
}
";

#[test]
fn unicast_peers_are_the_machines() {
    let imported = daemons(&[UNICAST], &[]).unwrap();
    let node = |number: u32| {
        let address = format!("10.0.0.{}", 10 + number);
        json!({"name": format!("control-plane-{number}"), "roles": ["control-plane"], "addresses": [address]})
    };
    assert_eq!(spec(&imported)["nodes"], json!([node(1), node(2), node(3)]));
    assert_eq!(
        spec(&imported)["virtualIPs"],
        json!([
            {
                "name": "v4", "addresses": ["10.0.0.100", "10.0.0.101"], "on": "control-plane", "interval": "200ms",
                "preemptDelay": "30s", "vrid": 60, "interface": "bond0.5", "group": "api",
                "priorities": {"control-plane-1": 150}, "unicast": true, "balance": false, "virtualMAC": true,
            },
            {
                "name": "v6", "addresses": ["fe80::100", "fd00::100"], "on": "control-plane", "interval": "1s",
                "preemptDelay": "30s", "vrid": 61, "interface": "bond0", "group": "api",
                "priorities": {"control-plane-1": 150}, "balance": false,
            },
        ])
    );
    said(&imported, "a.conf:28: differs: priority and preemption become those of v4");
    said(&imported, "a.conf:26: not understood: virtual_routes of v4 is not looked at");
    said(&imported, "a.conf:23: differs: the interface with the virtual MAC has the name");
    let lines: Vec<String> = imported.remarks().iter().map(ToString::to_string).collect();
    assert!(
        !lines.iter().any(|line| line.contains("vmac_xmit_base")),
        "unicast is the same either way: {lines:?}"
    );
    said(&imported, "a.conf:8: assumed: 10.0.0.12 is taken for a machine with the role control-plane");
}

#[test]
fn a_virtual_mac_that_adverts_do_not_come_from_is_reported_with_multicast() {
    let text = "vrrp_instance v4 {\n  interface eth0\n  virtual_router_id 60\n  use_vmac\n  vmac_xmit_base\n  virtual_ipaddress { 10.0.0.100 }\n}\n";
    let imported = daemons(&[text], &control_planes()).unwrap();
    assert_eq!(spec(&imported)["virtualIPs"][0]["virtualMAC"], json!(true));
    said(
        &imported,
        "a.conf:5: differs: adverts come from the virtual MAC, which a keepalived with vmac_xmit_base does not hear",
    );
}

#[test]
fn what_stands_in_the_way_of_haproxy() {
    let said = |text: &str| problems(haproxy(text, &[]));
    assert_eq!(
        said(""),
        [
            "haproxy.cfg: no section stands between clients and servers; give a file with `listen`, or `frontend` and \
          `backend`, in mode tcp, with `bind` and `server` lines"
        ]
    );
    assert_eq!(
        said(&DOCUMENTED.replace("10.0.0.100:8383", "${VIP}:8383")),
        [
            "haproxy.cfg:2: ${VIP}:8383 is not an address and port; write ADDRESS:PORT with an IP address and one port; \
          variables are not evaluated"
        ]
    );
    assert_eq!(
        said(&DOCUMENTED.replace("10.0.0.12:6443", "fd00::12:6443:x")),
        [
            "haproxy.cfg:8: fd00::12:6443:x is not an address and port; write ADDRESS:PORT, an IPv6 address in brackets; \
          variables are not evaluated"
        ]
    );
    assert_eq!(
        said(&DOCUMENTED.replace("10.0.0.12:6443", "10.0.0.12:7443")),
        ["haproxy.cfg:8: port 7443 here, another on the servers before; give all API servers one port: \
          a description has one for them all"]
    );
    assert_eq!(
        said(&DOCUMENTED.replace("10.0.0.12:6443", "cp2.example.net:6443")),
        [
            "haproxy.cfg:8: cp2.example.net is a name, and names are not looked up; write its address, or give \
          --control-plane master2=ADDRESS"
        ]
    );
    assert_eq!(
        said(&DOCUMENTED.replace("10.0.0.100:8383", "*:6443")),
        [
            "haproxy.cfg:2: it listens on every address of a machine that the file does not name, and which is none of the \
          servers; name the machines that HAProxy runs on: --load-balancer NAME=ADDRESS, once for each"
        ]
    );
    assert_eq!(
        said(&DOCUMENTED.replace("10.0.0.12", "10.0.0.11")),
        [
            "haproxy.cfg:8: 10.0.0.11 is the server master1 already; give every server its own name and address"
        ]
    );
}

#[test]
fn several_sections_with_different_servers() {
    let text = format!("{DOCUMENTED}listen web\n  mode tcp\n  bind *:443\n  server w1 10.0.0.31:443 check\n");
    assert_eq!(
        problems(haproxy(&text, &[])),
        ["haproxy.cfg:10: several sections with different servers: kubernetes-apiserver-https, web; \
          say which stands before the API servers: --section NAME"]
    );
    let haproxy = Some(("haproxy.cfg", text.as_bytes()));
    let section = Some("kubernetes-apiserver-https");
    let imported = import(Sources { haproxy, section, ..Sources::default() }).unwrap();
    assert_eq!(spec(&imported)["nodes"].as_array().unwrap().len(), 2);
}

#[test]
fn what_stands_in_the_way_of_keepalived() {
    let said = |from: &str, to: &str| problems(daemons(&[&KEEPALIVED.replace(from, to)], &control_planes()));
    assert_eq!(
        said("vrrp_instance", "# "),
        ["a.conf:28: a closing brace too many; remove it, or open its block"]
    );
    assert_eq!(
        said("        10.0.0.100/24\n    }\n", "        10.0.0.100/24\n"),
        ["a.conf:13: the block `vrrp_instance` is not closed; add a closing brace; is the file complete?"]
    );
    assert_eq!(
        said("priority 101", "priority 256"),
        ["a.conf:17: priority 256 is out of range; write a number from 1 to 255"]
    );
    assert_eq!(
        said("auth_type PASS", "auth_type AH"),
        [
            "a.conf:19: auth_type AH is not spoken by bowline; change it to PASS on all machines before they move over"
        ]
    );
    assert_eq!(
        said("10.0.0.100/24", "$VIP"),
        ["a.conf:23: $VIP is a variable; write the address out; variables are not evaluated"]
    );
    assert_eq!(
        said("10.0.0.100/24", "10.0.0.11"),
        ["a.conf:23: spec.virtualIPs[0].address: 10.0.0.11 is an address of node cp1; \
          give the virtual IP an address of its own"]
    );
    assert_eq!(
        said("state MASTER", "advert_int 0.05\n version 2"),
        ["a.conf:14: spec.virtualIPs[0].interval: 50ms is not within 1s and 255s; the default is 1s"]
    );
    assert_eq!(
        said("! Conf", "include other.conf\n! Conf"),
        [
            "a.conf:1: include other.conf: write it out for the import; give a file without variables, conditions and includes"
        ]
    );
    assert_eq!(
        problems(daemons(&["global_defs {\n}\n"], &[])),
        ["a.conf: no vrrp_instance; give a keepalived.conf with virtual routers; is it the right file?"]
    );
}

#[test]
fn a_file_that_is_no_such_file() {
    let said = problems(haproxy(&"\n".repeat(20_001), &[]));
    assert_eq!(said, ["haproxy.cfg: 20001 lines; at most 20000 are read; is it the right file?"]);
    let haproxy = Some(("haproxy.cfg", b"listen a\n\xff".as_slice()));
    let said = problems(import(Sources { haproxy, ..Sources::default() }));
    assert_eq!(said, ["haproxy.cfg:2: not UTF-8 text; save it as UTF-8; is it the right file?"]);
}
