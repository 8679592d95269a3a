//! `render` and `hosts`: what they print, and what they do to files.

use crate::harness::{Bench, GOOD, assert_shown};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Names that lead somewhere.
const NAMED: &str = "\
apiVersion: bowline.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  access:
    internal: {mode: node-local, port: 7443, names: [api.internal]}
    external: {mode: load-balancer, names: [api.example.net]}
  nodes:
  - {name: cp1, roles: [control-plane, etcd], addresses: [192.0.2.11]}
  - {name: lb1, roles: [load-balancer], addresses: [192.0.2.21]}
  - {name: lb2, roles: [load-balancer], addresses: [192.0.2.22, \"2001:db8::22\"]}
";

const KUBECONFIG: &str = "\
# by hand
apiVersion: v1
kind: Config
clusters:
- {name: prod, cluster: {server: https://192.0.2.11:6443}}   # the first one
";

#[test]
fn lists() {
    let bench = Bench::new(NAMED);
    let render = ["render", "hosts", "--config", "cluster.yaml"];
    assert_shown!("render-hosts-text", bench.run(&render));
    assert_shown!(
        "render-hosts-json",
        bench.run(&[&render[..], &["--node", "lb1", "--output", "json"]].concat())
    );
    let render = ["render", "dns", "--config", "cluster.yaml"];
    assert_shown!("render-dns-text", bench.run(&render));
    assert_shown!("render-dns-json", bench.run(&[&render[..], &["--output", "json"]].concat()));
    assert_shown!(
        "render-dns-none",
        Bench::new(NAMED.replace(", names: [api.internal]", "").replace(", names: [api.example.net]", ""))
            .run(&render)
    );
    let render = ["render", "sans", "--config", "cluster.yaml"];
    assert_shown!("render-sans-text", bench.run(&render));
    assert_shown!("render-sans-json", bench.run(&[&render[..], &["--output", "json"]].concat()));
}

#[test]
fn artefacts() {
    let bench = Bench::new(NAMED);
    let of = |words: &[&str]| bench.run(&[&["render"], words, &["--config", "cluster.yaml"]].concat());
    assert_shown!("render-usage", bench.run(&["render"]));
    assert_shown!("render-kubeadm", of(&["kubeadm"]));
    assert_shown!("render-kubespray", of(&["kubespray"]));
    assert_shown!("render-haproxy", of(&["haproxy", "--node", "lb1"]));
    assert_shown!("render-systemd", of(&["systemd", "--node", "lb1"]));
    assert_shown!("render-static-pod", of(&["static-pod", "--installed", "/etc/bowline/prod.yaml"]));
    assert_shown!("render-keepalived-none", of(&["keepalived", "--node", "lb1"]));
    assert_shown!("render-cloud-none", of(&["cloud", "--provider", "elb"]));
    assert_shown!("render-unknown-node", of(&["haproxy", "--node", "lb9"]));
    assert_shown!("render-relative", of(&["systemd", "--installed", "cluster.yaml"]));
    let shown =
        Bench::new(GOOD).run(&["render", "cloud", "--provider", "octavia", "--config", "cluster.yaml"]);
    assert_shown!("render-cloud", shown);
}

#[test]
fn a_kubeconfig_is_rewritten_in_place() {
    let bench = Bench::new(NAMED);
    let file = bench.write("admin.conf", KUBECONFIG);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set its mode");
    let of =
        |words: &[&str]| bench.run(&[&["render", "kubeconfig", "--config", "cluster.yaml"], words].concat());
    assert_shown!("render-kubeconfig", of(&[]));
    assert_shown!("render-kubeconfig-from", of(&["--from", "admin.conf", "--class", "pod"]));
    assert_shown!("render-kubeconfig-stale", of(&["--check", "admin.conf"]));
    assert_eq!(fs::read_to_string(&file).expect("read it"), KUBECONFIG);
    assert_shown!("render-kubeconfig-write", of(&["--write", "admin.conf"]));
    let expected = KUBECONFIG.replace("https://192.0.2.11:6443", "https://api.example.net:6443");
    assert_eq!(fs::read_to_string(&file).expect("read it"), expected);
    assert_eq!(fs::metadata(&file).expect("look at it").permissions().mode() & 0o777, 0o600);
    assert_shown!("render-kubeconfig-fresh", of(&["--check", "admin.conf"]));
    assert_shown!("render-kubeconfig-again", of(&["--write", "admin.conf"]));
    assert_shown!("render-kubeconfig-cluster", of(&["--write", "admin.conf", "--cluster", "test"]));
    assert_shown!("render-kubeconfig-missing", of(&["--write", "elsewhere.conf"]));
}

#[test]
fn a_hosts_file_is_kept_and_left_as_it_was() {
    let bench = Bench::new(NAMED);
    let before = "127.0.0.1 localhost\n192.0.2.99 api.example.net # old\n\n# the end";
    let file = bench.write("hosts", before);
    let apply = ["hosts", "apply", "--config", "cluster.yaml", "--node", "cp1", "--file", "hosts"];
    assert_shown!("hosts-apply", bench.run(&apply));
    assert_shown!("hosts-file", fs::read_to_string(&file).expect("read it"));
    let first = fs::read(&file).expect("read it");
    assert_shown!("hosts-apply-again", bench.run(&apply));
    assert_eq!(fs::read(&file).expect("read it"), first);
    assert_shown!("hosts-remove", bench.run(&["hosts", "remove", "--file", "hosts"]));
    assert_eq!(fs::read_to_string(&file).expect("read it"), before);
    assert_shown!("hosts-remove-again", bench.run(&["hosts", "remove", "--file", "hosts"]));
    assert_shown!("hosts-missing", bench.run(&["hosts", "remove", "--file", "none"]));
    let left = fs::read_dir(bench.scratch.path()).expect("list the folder").count();
    assert_eq!(left, 2, "something is left beside");
}

#[test]
fn a_hosts_file_that_is_not_to_be_touched_is_not() {
    let bench = Bench::new(NAMED.replace("  nodes:", "  hosts: {manage: false}\n  nodes:"));
    let file = bench.write("hosts", "127.0.0.1 localhost\n");
    let apply = ["hosts", "apply", "--config", "cluster.yaml", "--node", "cp1", "--file", "hosts"];
    assert_shown!("hosts-apply-refused", bench.run(&apply));
    assert_eq!(fs::read_to_string(&file).expect("read it"), "127.0.0.1 localhost\n");
    assert_shown!("hosts-apply-forced", bench.run(&[&apply[..], &["--force"]].concat()));
    assert!(fs::read_to_string(&file).expect("read it").contains("api.internal"));
}
