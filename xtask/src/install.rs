//! The programs the tests use as peers, from the distribution's packages, without starting any of their services.

use std::process::Command;

use anyhow::Result;

use crate::command;

/// What the tests that exist use; nothing in advance.
const PACKAGES: [&str; 11] = [
    "haproxy",
    "keepalived",
    "etcd-server",
    "etcd-client",
    "iproute2",
    "nftables",
    "frr",
    "curl",
    "openssl",
    "nginx-light",
    "libnginx-mod-stream",
];

/// Debian asks this file before a package starts its service; 101 means "not allowed". The shell's trap removes it on
/// every way out, signals included. A file that is there already is somebody's decision and stays.
const SCRIPT: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy" || exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q && apt-get install -q -y --no-install-recommends "$@"
"#;

/// Installs what is missing. What cannot be installed is said and left out: the tests that need it skip themselves.
pub(crate) fn missing() -> Result<()> {
    if !command::works("dpkg-query", &["--version"]) {
        println!("SKIPPED: installing peers: this is not a Debian-like system (no dpkg)");
        return Ok(());
    }
    let wanted: Vec<&str> = PACKAGES.into_iter().filter(|package| !installed(package)).collect();
    if wanted.is_empty() {
        println!("all peers are installed: {}", PACKAGES.join(" "));
        return Ok(());
    }
    if !command::is_root() {
        println!("SKIPPED: installing {}: not root", wanted.join(" "));
        return Ok(());
    }
    println!("installing {}", wanted.join(" "));
    let mut shell = Command::new("sh");
    shell.args(["-c", SCRIPT, "install"]).args(&wanted);
    if let Err(error) = command::run(&mut shell) {
        println!("SKIPPED: installing {}: {error:#}", wanted.join(" "));
    }
    Ok(())
}

fn installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${db:Status-Status}", package]);
    command::output(&mut query).is_ok_and(|status| status == "installed")
}
