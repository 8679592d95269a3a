//! Commands that do what they are asked.

use crate::harness::{Bench, GOOD, assert_shown, free, occupied};
use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;

#[test]
fn usage() {
    let bench = Bench::new(GOOD);
    assert_shown!("usage-none", bench.run(&[]));
    assert_shown!("usage-version", bench.run(&["--version"]));
    assert_shown!("usage-command", bench.run(&["chek"]));
    assert_shown!("usage-option", bench.run(&["check", "--confg", "cluster.yaml"]));
    assert_shown!("usage-output", bench.run(&["check", "--output", "xml"]));
    assert_shown!("usage-run", bench.run(&["run", "--help"]));
}

#[test]
fn check() {
    let bench = Bench::new(GOOD);
    assert_shown!("check-text", bench.run(&["check", "--config", "cluster.yaml"]));
    assert_shown!("check-json", bench.run(&["check", "--config", "cluster.yaml", "--output", "json"]));
}

#[test]
fn denied_findings_fail_the_check() {
    let bench = Bench::new(GOOD);
    assert_shown!(
        "check-denied",
        bench.run(&["check", "--config", "cluster.yaml", "--deny", "control-plane-not-ha"])
    );
}

#[test]
fn an_error_fails_the_check_and_a_mode_not_served_yet_does_not() {
    let clash = GOOD.replace("spec:\n", "spec:\n  kubernetes: {serviceCIDRs: [192.0.2.0/24]}\n");
    assert_ne!(clash, GOOD);
    assert_shown!("check-error", Bench::new(&clash).run(&["check", "--config", "cluster.yaml"]));
    let later = format!("{GOOD}  etcd: {{gateway: true}}\n");
    assert_shown!("check-not-served-yet", Bench::new(&later).run(&["check", "--config", "cluster.yaml"]));
}

#[test]
fn a_code_that_does_not_exist_cannot_be_denied() {
    assert_shown!(
        "check-unknown-code",
        Bench::new(GOOD).run(&["check", "--config", "cluster.yaml", "--deny", "no-cas"])
    );
}

#[test]
fn a_missing_description_says_how_to_name_one() {
    assert_shown!("check-missing", Bench::new(GOOD).run(&["check", "--config", "elsewhere.yaml"]));
}

#[test]
fn plan() {
    let bench = Bench::new(GOOD);
    assert_shown!("plan-text", bench.run(&["plan", "--config", "cluster.yaml"]));
    assert_shown!(
        "plan-node-json",
        bench.run(&["plan", "--config", "cluster.yaml", "--node", "worker1", "--output", "json"])
    );
    assert_shown!("plan-unknown-node", bench.run(&["plan", "--config", "cluster.yaml", "--node", "worker9"]));
}

#[test]
fn endpoints() {
    let bench = Bench::new(GOOD);
    assert_shown!("endpoints-text", bench.run(&["endpoints", "--config", "cluster.yaml"]));
    let one = ["endpoints", "--config", "cluster.yaml", "--node", "worker1"];
    assert_shown!("endpoints-node-json", bench.run(&[&one[..], &["--output", "json"]].concat()));
    assert_shown!(
        "endpoints-unknown-node",
        bench.run(&["endpoints", "--config", "cluster.yaml", "--node", "worker9"])
    );
}

/// Virtual IPs before two balancers, a name, and an etcd gateway.
const VIRTUAL: &str = "\
apiVersion: bowline.dev/v1alpha1
kind: Cluster
spec:
  etcd: {gateway: true}
  access:
    internal: {mode: virtual-ip, names: [api.internal]}
    external: {mode: virtual-ip, port: 443}
  virtualIPs:
  - {name: api, address: 192.0.2.100, on: load-balancer, vrid: 7, group: api}
  - {name: api6, address: \"2001:db8::100\", on: load-balancer, vrid: 7, group: api}
  nodes:
  - {name: cp1, roles: [control-plane, etcd], addresses: [192.0.2.11, \"2001:db8::11\"]}
  - {name: lb1, roles: [load-balancer], addresses: [192.0.2.21, \"2001:db8::21\"]}
  - {name: lb2, roles: [load-balancer], addresses: [192.0.2.22, \"2001:db8::22\"]}
";

#[test]
fn virtual_ips_are_planned_in_every_format() {
    let bench = Bench::new(VIRTUAL);
    let plan = ["plan", "--config", "cluster.yaml"];
    assert_shown!("plan-virtual-text", bench.run(&plan));
    assert_shown!(
        "plan-virtual-yaml",
        bench.run(&[&plan[..], &["--node", "lb1", "--output", "yaml"]].concat())
    );
    assert_shown!("check-virtual-text", bench.run(&["check", "--config", "cluster.yaml"]));
    assert_shown!(
        "check-virtual-yaml",
        bench.run(&["check", "--config", "cluster.yaml", "--output", "yaml"])
    );
    assert_shown!("endpoints-virtual-text", bench.run(&["endpoints", "--config", "cluster.yaml"]));
    let before = VIRTUAL.replace("on: load-balancer", "on: [lb1]").replacen("vrid: 7", "vrid: 9", 1);
    bench.write("before.yaml", before);
    assert_shown!("plan-virtual-diff", bench.run(&[&plan[..], &["--diff", "before.yaml"]].concat()));
    let diff = |before: String| {
        bench.write("before.yaml", before);
        bench.run(&[&plan[..], &["--diff", "before.yaml"]].concat())
    };
    // Nodes with another version do not understand each other; those with another interval do, but for version 2.
    for (other, remarks) in [("version: 2", 2), ("interval: 1s", 0)] {
        let shown = diff(VIRTUAL.replacen("vrid: 7", &format!("vrid: 7, {other}"), 1));
        let remark = "; nodes with the former description do not understand it: reload the holder last\n";
        assert_eq!(shown.matches(remark).count(), remarks, "{shown}");
        assert!(shown.contains("set virtual router api: "), "{shown}");
    }
}

#[test]
fn what_is_advertised_and_not_served_fails_the_check() {
    let bench = Bench::new(VIRTUAL.replace("on: load-balancer", "on: load-balancer, balance: false"));
    assert_shown!("check-not-served", bench.run(&["check", "--config", "cluster.yaml"]));
}

#[test]
fn a_single_point_of_failure_can_be_denied() {
    let bench = Bench::new(VIRTUAL);
    let shown = bench.run(&["check", "--config", "cluster.yaml", "--deny", "spof", "--output", "json"]);
    assert!(shown.contains("\nexit 1\n") && shown.contains("\"API server of cp1\""), "{shown}");
    let others = "cp2, roles: [control-plane, etcd], addresses: [192.0.2.12]}\n  - {name: cp3, roles: [control-plane, etcd], addresses: [192.0.2.13]}";
    let redundant = VIRTUAL.replace("  - {name: lb1", &format!("  - {{name: {others}\n  - {{name: lb1"));
    let shown = Bench::new(redundant).run(&["check", "--config", "cluster.yaml", "--deny", "spof"]);
    assert!(shown.contains("\nexit 0\n"), "{shown}");
}

#[test]
fn plan_diff() {
    let bench = Bench::new(GOOD);
    let fewer: String =
        GOOD.lines().filter(|line| !line.contains("cp3")).map(|line| format!("{line}\n")).collect();
    bench.write("old.yaml", fewer);
    let diff = ["plan", "--config", "cluster.yaml", "--diff", "old.yaml"];
    assert_shown!("plan-diff-text", bench.run(&diff));
    assert_shown!("plan-diff-json", bench.run(&[&diff[..], &["--output", "json"]].concat()));
    assert_shown!(
        "plan-diff-none",
        bench.run(&["plan", "--config", "cluster.yaml", "--diff", "cluster.yaml"])
    );
    assert_shown!(
        "plan-diff-bad",
        bench.run(&["plan", "--config", "cluster.yaml", "--diff", "missing.yaml"])
    );
}

#[test]
fn status_without_a_daemon() {
    let nobody = free();
    let bench = Bench::new(GOOD).replace(nobody, "[ADMIN]");
    assert_shown!("status-nobody", bench.run(&["status", "--admin", &nobody.to_string()]));
    assert_shown!("status-no-description", bench.run(&["status", "--config", "elsewhere.yaml"]));
    assert_shown!("status-no-socket", bench.run(&["status", "--admin", "unix:/nonexistent/bowline.sock"]));
    assert_shown!("status-relative-socket", bench.run(&["status", "--admin", "unix:bowline.sock"]));
    assert_shown!("status-public", bench.run(&["status", "--admin", "192.0.2.1:9643"]));
    assert_shown!("status-no-address", bench.run(&["status", "--admin", "here"]));
}

#[test]
fn status_of_something_else() {
    for (name, answer) in [
        ("status-not-found", "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
        ("status-not-json", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        ("status-not-http", "220 mail.example.net ESMTP\r\n"),
    ] {
        let (listener, address) = occupied();
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("the program connects");
            let mut request = [0; 1024];
            let _asked = stream.read(&mut request).expect("it asks");
            stream.write_all(answer.as_bytes()).expect("answer");
        });
        let bench = Bench::new(GOOD).replace(address, "[ADMIN]");
        let shown = bench.run(&["status", "--admin", &address.to_string()]);
        peer.join().expect("the peer");
        match name {
            "status-not-found" => assert_shown!("status-not-found", shown),
            "status-not-json" => assert_shown!("status-not-json", shown),
            _ => assert_shown!("status-not-http", shown),
        }
    }
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let bench = Bench::new(GOOD);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut child = bench
        .command(&["plan", "--config", "cluster.yaml"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .expect("run bowline");
    let mut printed = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut printed).expect("read");
    let status = child.wait().expect("wait");
    assert_eq!((status.code(), printed.as_str()), (Some(0), ""));
}

#[test]
fn a_full_disk_is_an_error() {
    let bench = Bench::new(GOOD);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let output = bench
        .command(&["plan", "--config", "cluster.yaml"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .expect("run bowline");
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "cannot write to standard output: No space left on device (os error 28)\n"
    );
}
