//! Timers against those of Kubernetes, and what probing costs the API servers.

use core::time::Duration;

use super::codes::Code;
use super::{Lint, spec, spof};
use crate::lint::load::api_server_load;
use crate::plan::Plan;

/// Kubernetes' clients give up a TLS handshake after this (`net/http`'s default transport in Go).
const CLIENT_HANDSHAKE: Duration = Duration::from_secs(10);
/// Kubernetes takes a node for unreachable when its lease was not renewed for this long
/// (`--node-monitor-grace-period`), up to version 1.31.
const NODE_GRACE_OLD: Duration = Duration::from_secs(40);
/// And from 1.32.
const NODE_GRACE: Duration = Duration::from_secs(50);
const NODE_GRACE_SINCE: (u16, u16) = (1, 32);
/// A kubelet renews its lease this often, so the last renewal may be this old when something fails.
const LEASE_RENEWAL: Duration = Duration::from_secs(10);
/// Probes a second that one API server should not notice: about one in a hundred of what a core can answer.
const PROBES_LIMIT: f64 = 500.0;

impl Lint<'_> {
    pub(super) fn timers(&mut self, plan: &Plan) {
        let cluster = self.cluster;
        if cluster.api_server().ca_file.is_none() {
            let message = "no CA: the certificates of the API servers are not verified";
            let remedy = "give `caFile:`, usually /etc/kubernetes/pki/ca.crt";
            self.add(Code::NO_CA, &spec().key("apiServer").key("caFile"), message, remedy);
        }
        if cluster.balancing().hold >= CLIENT_HANDSHAKE {
            let message = "clients give up a TLS handshake after 10s, before they would be let go";
            self.add(Code::HOLD_TOO_LONG, &spec().key("balancing").key("hold"), message, "set it below 10s");
        }
        self.budget(plan);
        let busiest = api_server_load(cluster, plan)
            .into_iter()
            .max_by(|a, b| a.requests_per_second.total_cmp(&b.requests_per_second));
        if let Some(busiest) = busiest.filter(|load| load.requests_per_second > PROBES_LIMIT) {
            let message = format!(
                "the API server of {} would answer {:.0} probes a second",
                busiest.node, busiest.requests_per_second
            );
            let path = spec().key("balancing").key("probeInterval");
            self.add(Code::PROBE_LOAD, &path, message, "probe less often, or leave `probeInterval:` out");
        }
    }

    /// Kubernetes has to find a node alive again before it gives it up.
    fn budget(&mut self, plan: &Plan) {
        let (major, minor) = self.cluster.kubernetes().version;
        let grace = if (major, minor) < NODE_GRACE_SINCE { NODE_GRACE_OLD } else { NODE_GRACE };
        let budget = grace.saturating_sub(LEASE_RENEWAL).as_secs_f64();
        let rows = spof(self.cluster, plan);
        let of_nodes = rows.iter().filter(|row| row.clients.contains(&"node"));
        let worst = of_nodes.filter_map(|row| row.seconds).fold(0.0, f64::max);
        if worst > budget {
            let message = format!(
                "a node can be without an API server for {worst} s; Kubernetes {major}.{minor} gives it up {} s after \
                 its last heartbeat, which may be {} s old",
                grace.as_secs(),
                LEASE_RENEWAL.as_secs()
            );
            let remedy = "shorten `keepAlive:` and `probeInterval:`, or raise --node-monitor-grace-period";
            self.add(Code::TIMER_BUDGET, &spec().key("balancing"), message, remedy);
        }
    }
}
