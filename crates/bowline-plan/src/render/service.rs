//! A unit for systemd.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::NotRendered;
use crate::cluster::{AdminListen, Cluster};
use crate::plan::{NodePlan, Plan, VirtualRouter};

/// Ports below this one are for processes with CAP_NET_BIND_SERVICE alone.
const FIRST_UNPRIVILEGED_PORT: u16 = 1024;
/// File descriptors beside those of connections: listeners, probes, logs, metrics.
const OTHER_DESCRIPTORS: u32 = 1024;
/// What stopping takes beside waiting for open connections, in seconds.
const STOP_MARGIN: u64 = 5;

/// The unit: of `node`, or one that does for every node.
///
/// # Errors
/// There is no such node.
pub fn systemd(
    cluster: &Cluster,
    plan: &Plan,
    node: Option<&str>,
    binary: &str,
    config: &str,
) -> Result<String, NotRendered> {
    let needs = Needs::of(cluster, plan, node)?;
    let name = node.map(|node| format!(" --node {node}")).unwrap_or_default();
    let hosts = if cluster.manage_hosts() {
        // With all of root's rights, for the rest of the unit has none to write; without it the node can still be served.
        format!("ExecStartPre=-+{binary} hosts apply --config {config}{name}\n")
    } else {
        String::new()
    };
    let descriptors = descriptors(cluster);
    let socket = match cluster.admin() {
        AdminListen::Tcp(_) => String::new(),
        AdminListen::Unix(path) => socket(path),
    };
    let capabilities: Vec<&str> = needs.capabilities.iter().copied().collect();
    // Adverts are sent in real time, so that a busy host does not lose its address.
    let realtime = if needs.capabilities.contains(REALTIME) { "" } else { "RestrictRealtime=yes\n" };
    let hardening = if needs.is_tuning { HARDENING.replace(NO_TUNING, TUNING) } else { HARDENING.to_owned() };
    Ok(format!(
        "[Unit]\nDescription=Keeps the Kubernetes API reachable from this node\nWants=network-online.target\n\
         After=network-online.target\nBefore=kubelet.service\nStartLimitIntervalSec=0\n\n\
         [Service]\nType=exec\n{hosts}ExecStart={binary} run --config {config}{name}\n\
         ExecReload=/bin/kill -HUP $MAINPID\nRestart=always\nRestartSec=1\nTimeoutStopSec={}\nLimitNOFILE={descriptors}\n\
         OOMScoreAdjust=-900\n{socket}\n\
         CapabilityBoundingSet={}\nRestrictAddressFamilies={}\n{realtime}{hardening}\n\
         [Install]\nWantedBy=multi-user.target\n",
        stop_seconds(cluster),
        capabilities.join(" "),
        needs.families.join(" "),
    ))
}

/// Allows real-time scheduling (capabilities(7)).
const REALTIME: &str = "CAP_SYS_NICE";

/// What stands in [`HARDENING`] and makes `/proc/sys` read-only.
const NO_TUNING: &str = "ProtectKernelTunables=yes\n";

/// What stands there instead where [`Needs::is_tuning`].
const TUNING: &str = "\
# Not ProtectKernelTunables: the interface of a virtual MAC is kept from taking routers' IPv6 advertisements by
# its accept_ra in /proc/sys alone. Add it where net.ipv6.conf.default.accept_ra is 0.
";

/// What no node needs, nearly.
const HARDENING: &str = "\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
";

/// What the kernel has to grant for the planned part.
pub(super) struct Needs {
    pub(super) capabilities: BTreeSet<&'static str>,
    pub(super) families: Vec<&'static str>,
    /// To write to `/proc/sys`: by nothing else the interface of a virtual MAC can be kept from taking routers' IPv6 advertisements.
    pub(super) is_tuning: bool,
}

impl Needs {
    pub(super) fn of(cluster: &Cluster, plan: &Plan, node: Option<&str>) -> Result<Self, NotRendered> {
        let nodes: Vec<&NodePlan> = match node {
            Some(name) => vec![super::node_plan(plan, name)?],
            None => plan.nodes.values().collect(),
        };
        let is_low = |port: u16| port < FIRST_UNPRIVILEGED_PORT;
        let admin_is_low = match cluster.admin() {
            AdminListen::Tcp(address) => is_low(address.port()),
            AdminListen::Unix(_) => false,
        };
        let mut capabilities = BTreeSet::new();
        let mut families = vec!["AF_INET", "AF_INET6", "AF_UNIX"];
        if admin_is_low || nodes.iter().any(|node| node.listeners.iter().any(|one| is_low(one.port))) {
            capabilities.insert("CAP_NET_BIND_SERVICE");
        }
        if nodes.iter().any(|node| !node.virtual_routers.is_empty()) {
            capabilities.extend(["CAP_NET_ADMIN", "CAP_NET_RAW", REALTIME, "CAP_IPC_LOCK"]);
            families.extend(["AF_NETLINK", "AF_PACKET"]);
        }
        let is_tuned =
            |router: &VirtualRouter| router.virtual_mac && router.addresses.iter().any(IpAddr::is_ipv6);
        let is_tuning = nodes.iter().any(|node| node.virtual_routers.iter().any(is_tuned));
        Ok(Self { capabilities, families, is_tuning })
    }
}

/// How long the daemon may take to stop, in seconds.
pub(super) fn stop_seconds(cluster: &Cluster) -> u64 {
    cluster.balancing().drain_grace.as_secs().saturating_add(STOP_MARGIN)
}

/// Two for every connection, one to each side.
fn descriptors(cluster: &Cluster) -> u32 {
    cluster.balancing().connections.get().saturating_mul(2).saturating_add(OTHER_DESCRIPTORS)
}

/// The folder of the admin socket, made or made writable.
fn socket(path: &str) -> String {
    let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
    match folder.strip_prefix("/run/") {
        Some(below) if !below.is_empty() => format!("RuntimeDirectory={below}\n"),
        Some(_) | None => format!("ReadWritePaths={}\n", if folder.is_empty() { "/" } else { folder }),
    }
}
