//! What the format has and this version does not do. Empty one day.

use super::{side, spec};
use crate::cluster::{AdminListen, Cluster, Mode};
use crate::problem::Problem;
use crate::source::Path;

/// What the description asks for and `run` of this version cannot do, so that it has to refuse.
pub fn unserved(cluster: &Cluster) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |path: &Path, what: &str, remedy: &str| {
        let message = format!("{what} cannot be served by this version yet");
        problems.push(cluster.source.problem(path, message, remedy.to_owned()));
    };
    for (name, access) in [("internal", cluster.internal()), ("external", cluster.external())] {
        if access.mode_given && matches!(access.mode, Mode::VirtualIp(_)) {
            add(
                &side(name).key("mode"),
                "mode virtual-ip",
                "use node-local, load-balancer, external or direct",
            );
        }
    }
    if !cluster.virtual_ips().is_empty() {
        add(
            &spec().key("virtualIPs"),
            "virtual-ip: a virtual IP",
            "remove it, or keep it elsewhere as mode external",
        );
    }
    if cluster.etcd().gateway {
        add(&spec().key("etcd").key("gateway"), "etcd.gateway", "set it to false");
    }
    if !cluster.ingress().is_empty() {
        add(&spec().key("ingress"), "ingress", "remove it");
    }
    if let AdminListen::Unix(_) = cluster.admin() {
        let remedy = "use a loopback address and port such as 127.0.0.1:9643";
        add(&spec().key("admin").key("listen"), "a unix socket", remedy);
    }
    problems
}

/// Settings that do no harm when nothing acts on them.
pub(super) fn without_effect() -> Vec<Path> {
    let balancing = ["connectTime", "drainTimeout", "freezeAfter", "slowStart", "shedRate", "cutRate"];
    let mut paths: Vec<Path> = balancing.iter().map(|field| spec().key("balancing").key(field)).collect();
    paths.push(spec().key("hosts").key("manage"));
    paths.push(spec().key("etcd").key("multiaccess"));
    paths
}
