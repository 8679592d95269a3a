//! What the format has and this version does not do. Empty one day.

use super::spec;
use crate::cluster::Cluster;
use crate::problem::Problem;
use crate::source::Path;

/// What the description asks for and `run` of this version cannot do, so that it has to refuse.
pub fn unserved(cluster: &Cluster) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |path: &Path, what: &str, remedy: &str| {
        let message = format!("{what} cannot be served by this version yet");
        problems.push(cluster.source.problem(path, message, remedy.to_owned()));
    };
    if cluster.etcd().gateway {
        add(&spec().key("etcd").key("gateway"), "etcd.gateway", "set it to false");
    }
    if !cluster.ingress().is_empty() {
        add(&spec().key("ingress"), "ingress", "remove it");
    }
    problems
}

/// A setting that does no harm when nothing acts on it, and what to say where the description has it.
pub(super) struct Idle {
    pub(super) path: Path,
    pub(super) message: &'static str,
    pub(super) remedy: &'static str,
}

/// All there are.
pub(super) fn without_effect(cluster: &Cluster) -> Vec<Idle> {
    let idle = |path| Idle {
        path,
        message: "this version does not act on it",
        remedy: "leave it out, or leave it be",
    };
    let balancing = ["connectTime", "drainTimeout", "freezeAfter", "slowStart", "shedRate", "cutRate"];
    let mut settings: Vec<Idle> =
        balancing.iter().map(|field| idle(spec().key("balancing").key(field))).collect();
    if cluster.manage_hosts() {
        settings.push(Idle {
            path: spec().key("hosts").key("manage"),
            message: "`bowline run` does not act on it: `bowline hosts apply` writes hosts files, and units of \
                      `bowline render systemd` begin with it",
            remedy: "use such a unit, or run `bowline hosts apply` on every node",
        });
    }
    if cluster.etcd().multiaccess {
        settings.push(idle(spec().key("etcd").key("multiaccess")));
    }
    settings
}
