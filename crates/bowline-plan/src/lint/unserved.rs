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

/// Settings that do no harm when nothing acts on them: those that the description may have.
pub(super) fn without_effect(cluster: &Cluster) -> Vec<Path> {
    let balancing = ["connectTime", "drainTimeout", "freezeAfter", "slowStart", "shedRate", "cutRate"];
    let mut paths: Vec<Path> = balancing.iter().map(|field| spec().key("balancing").key(field)).collect();
    if cluster.manage_hosts() {
        paths.push(spec().key("hosts").key("manage"));
    }
    if cluster.etcd().multiaccess {
        paths.push(spec().key("etcd").key("multiaccess"));
    }
    paths
}
