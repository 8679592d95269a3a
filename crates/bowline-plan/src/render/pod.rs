//! A static pod, which the kubelet runs without asking an API server.

use std::collections::BTreeSet;

use super::service::{Needs, stop_seconds};
use super::{NotRendered, scalar};
use crate::cluster::{AdminListen, Cluster};
use crate::plan::Plan;

/// The manifest: of `node`, or one that does for every node.
///
/// # Errors
/// There is no such node.
pub fn static_pod(
    cluster: &Cluster,
    plan: &Plan,
    node: Option<&str>,
    image: &str,
    config: &str,
) -> Result<String, NotRendered> {
    let needs = Needs::of(cluster, plan, node)?;
    let mut command = format!("    - run\n    - --config\n    - {}\n", scalar(config));
    if let Some(node) = node {
        command.push_str(&format!("    - --node\n    - {}\n", scalar(node)));
    }
    let names: Vec<&str> = needs.capabilities.iter().map(|name| name.trim_start_matches("CAP_")).collect();
    let add = if names.is_empty() { String::new() } else { format!("        add: [{}]\n", names.join(", ")) };
    let folders = folders(cluster, config);
    let mounts: String = folders
        .iter()
        .enumerate()
        .map(|(index, folder)| {
            let read_only = folder.is_read_only;
            format!(
                "    - name: folder-{index}\n      mountPath: {}\n      readOnly: {read_only}\n",
                scalar(&folder.path)
            )
        })
        .collect();
    let volumes: String = folders
        .iter()
        .enumerate()
        .map(|(index, folder)| {
            let kind = if folder.is_read_only { "Directory" } else { "DirectoryOrCreate" };
            format!(
                "  - name: folder-{index}\n    hostPath:\n      path: {}\n      type: {kind}\n",
                scalar(&folder.path)
            )
        })
        .collect();
    let of_host = if needs.is_tuning { OF_HOST } else { "" };
    Ok(format!(
        "{of_host}apiVersion: v1\nkind: Pod\nmetadata:\n  name: bowline\n  namespace: kube-system\n  labels:\n    \
         app.kubernetes.io/name: bowline\nspec:\n  hostNetwork: true\n  dnsPolicy: Default\n  \
         priorityClassName: system-node-critical\n  terminationGracePeriodSeconds: {}\n  tolerations:\n  - operator: Exists\n  \
         containers:\n  - name: bowline\n    image: {}\n    imagePullPolicy: IfNotPresent\n    args:\n{command}\
         {}    resources:\n      requests:\n        cpu: 25m\n        memory: 32Mi\n    securityContext:\n      \
         # The files that the description names are for root alone.\n      runAsUser: 0\n      \
         allowPrivilegeEscalation: false\n      readOnlyRootFilesystem: true\n      capabilities:\n        drop: [ALL]\n{add}      \
         seccompProfile:\n        type: RuntimeDefault\n    volumeMounts:\n{mounts}  volumes:\n{volumes}",
        stop_seconds(cluster),
        scalar(image),
        probes(cluster.admin()),
    ))
}

/// What the host has to have where the interface of a virtual MAC cannot be told: a container's `/proc/sys` is read-only, and the
/// kubelet refuses `sysctls` of the network for a pod in the host's.
const OF_HOST: &str = "\
# Needs of the host, before the pod starts:
#   sysctl -w net.ipv6.conf.default.accept_ra=0     (kept in /etc/sysctl.d; 1 will do where net.ipv6.conf.all.forwarding is 1)
# The interface of a virtual MAC over IPv6 must not take routers' advertisements. New interfaces begin with the default, and
# in a container /proc/sys is read-only: bowline refuses to start there with another value. Interfaces that are there keep
# theirs.
";

/// Alive is a process that answers; ready is one that reaches an API server.
fn probes(admin: &AdminListen) -> String {
    let ask = |path: &str| match admin {
        AdminListen::Tcp(address) => format!(
            "      httpGet:\n        host: {}\n        port: {}\n        path: {path}\n",
            scalar(&address.ip().to_string()),
            address.port()
        ),
        AdminListen::Unix(socket) => format!(
            "      exec:\n        command: [bowline, status, --admin, {}]\n",
            scalar(&format!("unix:{socket}"))
        ),
    };
    format!(
        "    livenessProbe:\n{}      periodSeconds: 10\n      timeoutSeconds: 5\n      failureThreshold: 6\n    \
         readinessProbe:\n{}      periodSeconds: 5\n      timeoutSeconds: 5\n",
        ask("/livez"),
        ask("/readyz")
    )
}

/// A folder of the node that the container sees at the same path. Folders rather than files: a file that is replaced by
/// another would stay the old one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Folder {
    path: String,
    is_read_only: bool,
}

fn folders(cluster: &Cluster, config: &str) -> Vec<Folder> {
    let folder = |file: &str| file.rsplit_once('/').map_or("/", |(folder, _)| folder).to_owned();
    let home = folder(config);
    let named = cluster.files().into_iter().map(|reference| match reference.file.starts_with('/') {
        true => folder(&reference.file),
        false => folder(&format!("{home}/{}", reference.file)),
    });
    let paths: BTreeSet<String> = named.chain([home.clone()]).collect();
    let is_inside =
        |path: &String| paths.iter().any(|other| other != path && path.starts_with(&format!("{other}/")));
    let mut folders: Vec<Folder> = paths
        .iter()
        .filter(|path| !is_inside(path))
        .map(|path| Folder { path: path.clone(), is_read_only: true })
        .collect();
    if let AdminListen::Unix(socket) = cluster.admin() {
        folders.push(Folder { path: folder(socket), is_read_only: false });
    }
    folders
}
