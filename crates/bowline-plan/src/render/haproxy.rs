//! haproxy.cfg with the same listeners, servers, timers and limits, as far as HAProxy has them.

use core::net::SocketAddr;
use core::time::Duration;

use super::{NotRendered, node_plan};
use crate::cluster::{Balancing, Cluster};
use crate::plan::{BALANCERS, Listener, NodePlan, Plan, Policy, PoolPlan, ProbeTarget};

/// HAProxy's longest timer is a little longer; bowline ends no connection for being quiet.
const FOR_EVER: &str = "24d";
/// A server that is down is looked at no less often.
const SLOWEST_DOWN: Duration = Duration::from_millis(500);
/// A client may open this many seconds' worth of its lasting rate at once.
const BURST_SECONDS: u32 = 4;
/// Answers of an API server that takes requests: anonymous ones may be forbidden, and a busy one is still alive.
const ALIVE: &str = "^(200|401|403|429)$";

/// The configuration of a node.
///
/// # Errors
/// There is no such node, or it listens nowhere.
pub fn haproxy(cluster: &Cluster, plan: &Plan, node: &str) -> Result<String, NotRendered> {
    let part = node_plan(plan, node)?;
    if part.listeners.is_empty() {
        return Err(NotRendered::new(
            format!("{node} listens nowhere"),
            "`bowline plan` shows which nodes do, and why",
        ));
    }
    let balancing = cluster.balancing();
    let mut text = head(balancing);
    for (name, pool) in &part.pools {
        text.push_str(&section(cluster, part, name, pool));
    }
    Ok(text)
}

fn head(balancing: &Balancing) -> String {
    let keep = &balancing.keep_alive;
    let first = balancing.limits.first_byte.map_or(FOR_EVER.to_owned(), time);
    let legs = ["cli", "srv"].map(|leg| {
        format!(
            "    option {leg}tcpka\n    {leg}tcpka-idle {}\n    {leg}tcpka-intvl {}\n    {leg}tcpka-cnt {}\n",
            time(keep.idle),
            time(keep.interval),
            keep.probes
        )
    });
    format!(
        "# What HAProxy does not do: hold clients while no server answers, try all servers when all look bad, and end\n\
         # connections to a server that fell silent.\n\
         global\n    maxconn {}\n    hard-stop-after {}\n\n\
         defaults\n    mode tcp\n    timeout connect {}\n    timeout client {first}\n    timeout server {first}\n    \
         timeout tunnel {FOR_EVER}\n    timeout check {}\n    retries 3\n    option redispatch 1\n{}",
        balancing.connections,
        time(balancing.drain_grace),
        time(balancing.stagger_max),
        time(balancing.handshake_timeout),
        legs.concat()
    )
}

fn section(cluster: &Cluster, part: &NodePlan, name: &str, pool: &PoolPlan) -> String {
    let listeners = part.listeners.iter().filter(|listener| listener.pool == name);
    let mut text = format!("\nlisten {name}\n");
    for listener in listeners {
        text.push_str(&bind(part, listener));
    }
    text.push_str(&limits(cluster.balancing()));
    let balance = match pool.policy {
        Policy::LeastConnections => "leastconn",
        Policy::RandomOfTwo => "random(2)",
        // With one server and the others as backups, in order, the algorithm has no say.
        Policy::RoundRobin | Policy::Preferred | Policy::Sticky => "roundrobin",
    };
    text.push_str(&format!("    balance {balance}\n"));
    if pool.probe.target == ProbeTarget::ApiServer {
        text.push_str(&format!(
            "    option httpchk\n    http-check send meth GET uri /readyz ver HTTP/1.1 hdr Host kubernetes\n    \
             http-check expect rstatus {ALIVE}\n"
        ));
    }
    text.push_str(&servers(cluster, name, pool));
    text
}

fn bind(part: &NodePlan, listener: &Listener) -> String {
    let address = SocketAddr::new(listener.address, listener.port);
    let is_virtual = part.virtual_routers.iter().any(|router| router.addresses.contains(&listener.address));
    // Also while another node has it.
    let transparent = if is_virtual { " transparent" } else { "" };
    format!("    bind {address}{transparent}\n")
}

/// What clients may have; this machine's own may have everything.
fn limits(balancing: &Balancing) -> String {
    let limits = &balancing.limits;
    let rate = limits.new_connections_per_client.get().saturating_mul(BURST_SECONDS);
    let mut text = format!(
        "    stick-table type ipv6 size 100k expire 1m store conn_cur,conn_rate({BURST_SECONDS}s)\n    \
         tcp-request connection accept if {{ src 127.0.0.0/8 ::1 }}\n"
    );
    if !limits.clients.is_empty() {
        let ranges: Vec<String> = limits.clients.iter().map(ToString::to_string).collect();
        text.push_str(&format!("    tcp-request connection reject unless {{ src {} }}\n", ranges.join(" ")));
    }
    text.push_str(&format!(
        "    tcp-request connection track-sc0 src,ipmask(32,64)\n    \
         tcp-request connection reject if {{ sc0_conn_cur gt {} }}\n    \
         tcp-request connection reject if {{ sc0_conn_rate gt {rate} }}\n",
        limits.connections_per_client
    ));
    text
}

fn servers(cluster: &Cluster, name: &str, pool: &PoolPlan) -> String {
    let probe = &pool.probe;
    // A certificate that does not match takes no server out: that is for `certs check` to say.
    let check = match probe.target {
        ProbeTarget::ApiServer => "check check-ssl verify none",
        ProbeTarget::Etcd | ProbeTarget::Tcp => "check",
    };
    let slow_start = match cluster.balancing().slow_start {
        Duration::ZERO => String::new(),
        slow_start => format!(" slowstart {}", time(slow_start)),
    };
    let proxy = if cluster.balancing().proxy_protocol && name != BALANCERS {
        " send-proxy-v2 check-send-proxy"
    } else {
        ""
    };
    let mut text = format!(
        "    default-server {check} inter {} fastinter {} downinter {} fall {} rise {} observe layer4 error-limit 1 on-error \
         fastinter{slow_start}{proxy}\n",
        time(probe.interval),
        time(probe.fast_interval),
        time(probe.interval.min(SLOWEST_DOWN)),
        probe.fall,
        probe.rise
    );
    for (index, endpoint) in pool.endpoints.iter().enumerate() {
        let backup = match pool.policy {
            Policy::Preferred | Policy::Sticky if index > 0 => " backup",
            Policy::Preferred
            | Policy::Sticky
            | Policy::LeastConnections
            | Policy::RoundRobin
            | Policy::RandomOfTwo => "",
        };
        let address = SocketAddr::new(endpoint.address, endpoint.port);
        text.push_str(&format!("    server {} {address}{backup}\n", endpoint.name));
    }
    text
}

/// As HAProxy writes durations.
fn time(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds.checked_rem(1_000) == Some(0) {
        format!("{}s", duration.as_secs())
    } else {
        format!("{milliseconds}ms")
    }
}
