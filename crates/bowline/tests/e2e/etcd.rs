//! A real etcd behind the pass-through listener, etcdctl as its client.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::Command;

use bowline_lab::certs::{Authority, Validity};

use crate::harness::{
    Cluster, Daemon, PATIENCE, Process, Scratch, free_port, installed, loopback, output, skip, wait_for,
};

/// Three members, as in a cluster; all serve clients at one port.
struct Etcd {
    members: Vec<Process>,
    port: u16,
    addresses: Vec<IpAddr>,
}

impl Etcd {
    fn start(scratch: &Scratch, authority: &Authority, balancer: IpAddr) -> Etcd {
        let addresses: Vec<IpAddr> = (1..=3).map(|last| loopback(3, last)).collect();
        let (port, peer_port) = (free_port(&addresses), free_port(&addresses));
        let peer = |address: &IpAddr| format!("http://{}", SocketAddr::new(*address, peer_port));
        let name = |index: usize| format!("etcd{}", index + 1);
        let cluster: Vec<String> = addresses
            .iter()
            .enumerate()
            .map(|(index, one)| format!("{}={}", name(index), peer(one)))
            .collect();
        let mut members = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            let identity =
                authority.server(&name(index), &[*address, balancer], &["localhost"], Validity::Current);
            let identity = identity.expect("make a certificate");
            let certificate = scratch.file(&format!("etcd{index}.crt"), &identity.certificate);
            let key = scratch.file(&format!("etcd{index}.key"), &identity.key);
            let client = format!("https://{}", SocketAddr::new(*address, port));
            let mut etcd = Command::new("etcd");
            etcd.args(["--name", &name(index), "--data-dir"]).arg(scratch.path().join(name(index)));
            etcd.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
            etcd.args([
                "--listen-peer-urls",
                &peer(address),
                "--initial-advertise-peer-urls",
                &peer(address),
            ]);
            etcd.args(["--initial-cluster", &cluster.join(","), "--initial-cluster-state", "new"]);
            etcd.arg("--cert-file").arg(certificate).arg("--key-file").arg(key);
            members.push(Process::start(scratch.path(), &name(index), &mut etcd));
        }
        Etcd { members, port, addresses }
    }
}

/// etcdctl for `address`, its words to be added.
fn etcdctl(address: SocketAddr, ca: &Path) -> Command {
    let mut command = Command::new("etcdctl");
    command.env("ETCDCTL_API", "3").args([
        "--endpoints",
        &format!("https://{address}"),
        "--command-timeout",
        "10s",
    ]);
    command.arg("--cacert").arg(ca);
    command
}

#[test]
fn etcdctl_puts_gets_and_watches_while_a_member_dies() {
    if !installed("etcd") || !installed("etcdctl") {
        return skip("etcd and etcdctl are not installed");
    }
    let scratch = Scratch::new("etcd");
    let authority = Authority::new("etcd").expect("make a certificate authority");
    let ca = scratch.file("etcd-ca.crt", &authority.pem());
    let balancer = loopback(2, 1);
    let mut etcd = Etcd::start(&scratch, &authority, balancer);
    let cluster = Cluster {
        servers: etcd
            .addresses
            .iter()
            .enumerate()
            .map(|(index, one)| (format!("etcd{}", index + 1), *one))
            .collect(),
        server_port: etcd.port,
        balancers: vec![("lb1".to_owned(), balancer)],
        listen: SocketAddr::new(balancer, free_port(&[balancer])),
        admin: SocketAddr::new(loopback(0, 1), free_port(&[loopback(0, 1)])),
        ca_file: Some(ca.clone()),
        balancing: String::new(),
    };
    let daemon = Daemon::start(&scratch, cluster);
    let address = daemon.address();
    wait_for("an etcd that takes writes", PATIENCE, || {
        etcd.members.iter_mut().for_each(Process::must_run);
        etcdctl(address, &ca).args(["put", "first", "1"]).output().ok().filter(|done| done.status.success())
    });
    assert_eq!(output(etcdctl(address, &ca).args(["get", "first", "--print-value-only"])).trim(), "1");

    let watch = Process::start(scratch.path(), "watch", etcdctl(address, &ca).args(["watch", "seen"]));
    let mut number = 0;
    wait_for("the watch seeing a write", PATIENCE, || {
        number += 1;
        output(etcdctl(address, &ca).args(["put", "seen", &format!("value-{number}")]));
        watch.log().contains("value-").then_some(())
    });

    etcd.members[0].kill();
    wait_for("a write after a member died", PATIENCE, || {
        etcdctl(address, &ca).args(["put", "after", "2"]).output().ok().filter(|done| done.status.success())
    });
    assert_eq!(output(etcdctl(address, &ca).args(["get", "after", "--print-value-only"])).trim(), "2");
}
