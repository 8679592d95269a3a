//! The configuration files of the compared proxies: one worker, no more than the comparison needs.

use std::net::SocketAddr;
use std::path::Path;

/// Debian's nginx-light has the module in a package of its own.
pub(super) const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

/// Clients at a time, each with two descriptors: as many as fit into 20,000, which is a usual hard limit.
const CONNECTIONS_MAX: u32 = 9_500;

/// Pipes of the HAProxy that splices: more than any load here uses. By default it wants so many that the descriptors run out.
const PIPES_MAX: u32 = 200;

/// What an HAProxy does beyond its defaults.
#[derive(Clone, Copy, Debug)]
pub(super) enum HaProxy {
    /// No log, as for the others.
    Default,
    /// A line of its usual TCP log for each connection, to this address.
    Log(SocketAddr),
    /// Buffers of 64 KiB instead of 16.
    Buffers,
    /// Every byte through a pipe, both ways.
    Splice,
}

/// Defaults for TCP: no check, one thread.
pub(super) fn haproxy(kind: HaProxy, own: SocketAddr, backend: SocketAddr) -> String {
    let (global, defaults) = match kind {
        HaProxy::Default => (String::new(), ""),
        HaProxy::Log(sink) => (format!("    log {sink} local0\n"), "    log global\n    option tcplog\n"),
        HaProxy::Buffers => ("    tune.bufsize 65536\n".to_owned(), ""),
        HaProxy::Splice => {
            (format!("    maxpipes {PIPES_MAX}\n"), "    option splice-request\n    option splice-response\n")
        }
    };
    format!(
        "global\n    nbthread 1\n    maxconn {CONNECTIONS_MAX}\n{global}defaults\n    mode tcp\n{defaults}    timeout connect 5s\n    \
         timeout client 1m\n    timeout server 1m\nlisten all\n    bind {own}\n    server backend {backend}\n"
    )
}

pub(super) fn nginx(folder: &Path, own: SocketAddr, backend: SocketAddr) -> String {
    let pid = folder.join(format!("nginx-{}.pid", own.port()));
    // A proxied connection counts twice; a few more are the listener's and nginx's own.
    let connections = CONNECTIONS_MAX * 2 + 100;
    format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\nworker_rlimit_nofile {connections};\nerror_log stderr crit;\n\
         pid {};\nload_module {NGINX_STREAM};\nevents {{ worker_connections {connections}; }}\n\
         stream {{ server {{ listen {own} backlog=4096; proxy_pass {backend}; }} }}\n",
        pid.display()
    )
}

/// A node-local listener before one API server; everything else as it is by default.
pub(super) fn cluster(own: SocketAddr, backend: SocketAddr, admin: SocketAddr) -> String {
    format!(
        "apiVersion: bowline.dev/v1alpha1\nkind: Cluster\nmetadata: {{name: bench}}\nspec:\n  nodes:\n  \
         - {{name: backend, roles: [control-plane], addresses: [\"{}\"]}}\n  - {{name: client, roles: [worker]}}\n  \
         apiServer: {{port: {}}}\n  access: {{internal: {{mode: node-local, port: {}}}}}\n  admin: {{listen: \"{admin}\"}}\n",
        backend.ip(),
        backend.port(),
        own.port()
    )
}
