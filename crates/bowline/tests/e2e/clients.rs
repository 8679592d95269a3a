//! Clients that people use, through a node-local balancer.

use std::net::SocketAddr;
use std::process::Command;

use crate::harness::{Cluster, Daemon, Fleet, Scratch, Tls, installed, output, skip};

fn node_local(scratch: &Scratch) -> (Fleet, Daemon) {
    let fleet = Fleet::start(scratch, 3);
    let daemon = Daemon::start(scratch, Cluster::node_local(&fleet));
    daemon.wait_graded("ready", 3);
    (fleet, daemon)
}

/// Where the daemon listens: 127.0.0.1, and ::1 where the host has it.
fn listeners(daemon: &Daemon) -> Vec<SocketAddr> {
    let status = daemon.status();
    let listeners = status["listeners"].as_array().cloned().unwrap_or_default();
    let address = |listener: &serde_json::Value| {
        let ip = listener["address"].as_str()?.parse().ok()?;
        Some(SocketAddr::new(ip, u16::try_from(listener["port"].as_u64()?).ok()?))
    };
    listeners.iter().filter_map(address).collect()
}

#[test]
fn curl_is_served_over_ipv4_and_ipv6_with_http1_and_http2() {
    if !installed("curl") {
        return skip("curl is not installed");
    }
    let scratch = Scratch::new("curl");
    let (fleet, daemon) = node_local(&scratch);
    let listeners = listeners(&daemon);
    let ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    assert_eq!(listeners.iter().any(SocketAddr::is_ipv6), ipv6, "{listeners:?}");
    assert!(listeners.iter().any(SocketAddr::is_ipv4), "{listeners:?}");
    for address in listeners {
        for (option, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
            let port = address.port();
            let host =
                if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() };
            let mut curl = Command::new("curl");
            curl.args([
                "--silent",
                "--show-error",
                "--fail",
                "--max-time",
                "20",
                "--noproxy",
                "*",
                option,
                "--cacert",
            ]);
            curl.arg(&fleet.ca_file).args(["--resolve", &format!("kubernetes:{port}:{host}")]);
            curl.args([
                "--write-out",
                " HTTP/%{http_version} %{remote_ip}",
                &format!("https://kubernetes:{port}/version"),
            ]);
            let printed = output(&mut curl);
            assert!(printed.contains("gitVersion"), "{printed}");
            assert!(printed.ends_with(&format!(" HTTP/{version} {}", address.ip())), "{printed}");
        }
    }
}

#[test]
fn openssl_verifies_the_server_behind_the_balancer() {
    if !installed("openssl") {
        return skip("openssl is not installed");
    }
    let scratch = Scratch::new("openssl");
    let (fleet, daemon) = node_local(&scratch);
    for version in ["-tls1_2", "-tls1_3"] {
        let mut openssl = Command::new("openssl");
        openssl.args([
            "s_client",
            "-brief",
            "-verify_return_error",
            "-verify_hostname",
            "kubernetes",
            version,
        ]);
        openssl.args(["-servername", "kubernetes", "-connect", &daemon.address().to_string(), "-CAfile"]);
        // With `-brief` it tells of the session on standard error.
        let told =
            openssl.arg(&fleet.ca_file).stdin(std::process::Stdio::null()).output().expect("run openssl");
        let text = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success() && text.contains("Verification: OK"), "{version}: {text}");
    }
}

#[test]
fn one_connection_stays_with_one_server_and_many_reach_it_by_policy() {
    let scratch = Scratch::new("policy");
    let fleet = Fleet::start(&scratch, 3);
    let ca = fleet.authority.pem();
    let mut cluster = Cluster::node_local(&fleet);
    cluster.balancing = "policy: round-robin".to_owned();
    let daemon = Daemon::start(&scratch, cluster);
    daemon.wait_graded("ready", 3);
    let mut servers = std::collections::BTreeSet::new();
    for _ in 0..6 {
        let mut client = Tls::connect(daemon.address(), &ca).expect("connect");
        let (status, first) = client.get("/version").expect("an answer");
        assert_eq!(status, 200);
        let (_, second) = client.get("/version").expect("a second answer on the same connection");
        assert_eq!(first, second);
        servers.insert(first);
    }
    assert_eq!(servers.len(), 3, "round-robin reaches all: {servers:?}");
}
