//! Every metric's name, kind, labels and meaning.

use prometheus_client::metrics::MetricType;
use std::fmt::Write as _;

/// Stands before every name.
pub(super) const PREFIX: &str = "bowline";

/// What kind of metric it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows while the daemon runs; `_total` is added to its name.
    Counter,
    /// Goes up and down.
    Gauge,
}

impl Kind {
    pub(super) const fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// One metric.
#[derive(PartialEq, Eq, Debug)]
pub struct Definition {
    /// Without the prefix and without `_total`.
    pub name: &'static str,
    /// What kind.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

impl Definition {
    /// The name a query uses.
    pub fn full_name(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{PREFIX}_{}_total", self.name),
            Kind::Gauge => format!("{PREFIX}_{}", self.name),
        }
    }
}

/// The page docs/metrics.md.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         `GET /metrics` on the admin listener, OpenMetrics text. This page is generated: `cargo xtask docs`.\n\n\
         | metric | kind | labels | meaning |\n|---|---|---|---|\n",
    );
    for definition in ALL {
        let labels: Vec<String> = definition.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing into a string cannot fail.
        let _written = writeln!(
            page,
            "| `{}` | {} | {} | {} |",
            definition.full_name(),
            definition.kind.as_str(),
            labels.join(" "),
            definition.help
        );
    }
    page
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $constant: &Definition =
            &Definition { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)*

        /// Every metric, in the order of the exposition and of docs/metrics.md.
        pub const ALL: &[&Definition] = &[$($constant),*];
    };
}

metrics! {
    BUILD: Gauge "build_info" ["version", "node"] "Always 1; the labels say which version does which node's part";
    UPTIME: Gauge "uptime_seconds" [] "How long the daemon has run";
    GENERATION: Gauge "plan_generation" [] "Counts the plans put in force since the start";
    DRAINING: Gauge "draining" [] "1 while the daemon is stopping and waits for open connections";
    FAILOVER: Gauge "failover_seconds" ["pool", "kind"]
        "How long clients can suffer from a failure at most, computed from the timers in force: new connections when a server is killed, unreachable, frozen or not ready; established ones when it has vanished";
    ENDPOINT_GRADE: Gauge "endpoint_grade" ["pool", "endpoint", "address", "grade"]
        "1 for the grade the endpoint has, 0 for the others";
    ENDPOINT_REASON: Gauge "endpoint_reason" ["pool", "endpoint", "address", "reason"]
        "Always 1; the label says why the endpoint has its grade";
    ENDPOINT_CONNECTIONS: Gauge "endpoint_connections" ["pool", "endpoint", "address"]
        "Connections open to the endpoint";
    ENDPOINT_CONNECT: Gauge "endpoint_connect_seconds" ["pool", "endpoint", "address"]
        "How long the last measured TCP connect to the endpoint took";
    ENDPOINT_EVIDENCE: Gauge "endpoint_evidence_age_seconds" ["pool", "endpoint", "address"]
        "How old the newest evidence about the endpoint is";
    POOL_FAIL_OPEN: Gauge "pool_fail_open" ["pool"] "1 while every endpoint of the pool looks bad and all are tried";
    PROBES: Counter "probes" ["pool", "endpoint", "outcome"] "Probes that ended, by what came of them";
    GRADE_CHANGES: Counter "endpoint_grade_changes" ["pool", "endpoint", "from", "to", "reason"]
        "Changes of an endpoint's grade";
    SUSPICIONS: Counter "endpoint_suspicions" ["pool", "endpoint", "reason"]
        "First bad evidence against an endpoint that was not dead";
    CLEARED: Counter "endpoint_suspicions_cleared" ["pool", "endpoint"] "Suspicions that were not confirmed";
    PROBES_LOST: Counter "probes_lost" ["pool", "endpoint"] "Probes that never ended; a bug if it is not 0";
    FAIL_OPENS: Counter "pool_fail_opens" ["pool"] "Times every endpoint of the pool looked bad";
    ENDPOINTS_LEFT_OUT: Counter "pool_endpoints_left_out" ["pool"]
        "Times a pool was asked to hold more endpoints than it can, or one twice";
    EVIDENCE_DROPPED: Counter "evidence_dropped" ["pool"] "Reports of workers that their pool had no room for";
    LISTENER_ACCEPTED: Counter "listener_accepted" ["listener", "pool"] "Client connections accepted";
    LISTENER_CONNECTIONS: Gauge "listener_connections" ["listener", "pool", "state"]
        "Client connections now: held while an endpoint is dialled, open while bytes are relayed";
    LISTENER_REDIALLED: Counter "listener_redialled" ["listener", "pool"]
        "Client connections moved to another endpoint because the first one left their ClientHello unanswered";
    LISTENER_BYTES: Counter "listener_bytes" ["listener", "pool", "direction"]
        "Bytes relayed: up from clients, down from endpoints";
    LISTENER_ENDED: Counter "listener_ended" ["listener", "pool", "reason"] "Client connections that ended, by reason";
    PARKED: Gauge "parked_connections" []
        "Connections that lost a race of dials and wait for the next client of their endpoint";
    ACCEPT_PAUSES: Counter "accept_pauses" []
        "Times a worker stopped accepting, for want of descriptors, memory or room below the connection limit";
    ACCEPT_PAUSED: Gauge "accept_paused_workers" [] "Workers that do not accept now";
    WORKERS_STUCK: Gauge "stuck_workers" [] "Workers that do not answer now; their connections stand still";
    WORKER_STALLS: Counter "worker_stalls" [] "Times a worker did not answer within 300 ms";
    UNSENT: Gauge "unsent_bytes" [] "Bytes kept for peers that do not take them";
    PIPES: Gauge "pipes" [] "Pipes for bulky connections, in use and idle";
    SOURCES: Gauge "sources" [] "Client addresses that are counted for their limits";
    UNCOUNTED: Counter "clients_uncounted" []
        "Clients let in without being counted for their address, because there were too many addresses";
    REPORTS_DROPPED: Counter "reports_dropped" [] "Reports of workers that the daemon had no room for";
    EVENTS_SUPPRESSED: Counter "events_suppressed" [] "Events beyond the rate at which they are logged";
    VIRTUAL_IP_STATE: Gauge "virtual_ip_state" ["virtual_ip", "state"]
        "1 for the state of this node's virtual router, 0 for the others";
    VIRTUAL_IP_HELD: Gauge "virtual_ip_held" ["virtual_ip", "address"] "1 while the address is held on this node";
    VIRTUAL_IP_PRIORITY: Gauge "vrrp_priority" ["virtual_ip"] "What the virtual router advertises, or would";
    VIRTUAL_IP_CAN_SERVE: Gauge "virtual_ip_can_serve" ["virtual_ip"] "1 while clients would be served on this node";
    VIRTUAL_IP_ENDS_CONNECTIONS: Gauge "virtual_ip_ends_connections" ["virtual_ip"]
        "1 where the kernel can end connections of other processes to an address that goes";
    VIRTUAL_IP_TRANSITIONS: Counter "vrrp_transitions" ["virtual_ip", "to"]
        "Changes of the virtual router's state, by the state they led to";
    ADVERTS_SENT: Counter "vrrp_adverts_sent" ["virtual_ip"] "Adverts sent; over unicast, one to each peer";
    ADVERTS_WITHHELD: Counter "vrrp_adverts_withheld" ["virtual_ip"]
        "Adverts not sent because the proxy did not answer";
    ADVERTS_FAILED: Counter "vrrp_adverts_failed" ["virtual_ip"] "Adverts the kernel did not take";
    ADVERTS_RECEIVED: Counter "vrrp_adverts_received" ["virtual_ip"] "Adverts that passed every check";
    ADVERTS_DISCARDED: Counter "vrrp_discarded" ["virtual_ip", "reason"]
        "Packets of VRRP that were discarded, by reason";
    ANNOUNCEMENTS: Counter "vrrp_announcements" ["virtual_ip"]
        "Gratuitous ARP requests and unsolicited neighbour advertisements sent";
    LEASE_RENEWALS: Counter "virtual_ip_lease_renewals" ["virtual_ip"] "Renewals of the addresses' lease";
    LEASE_RENEWALS_FAILED: Counter "virtual_ip_lease_renewals_failed" ["virtual_ip"]
        "Renewals the kernel did not do";
    LEASE_RENEWAL_SECONDS: Counter "virtual_ip_lease_renewal_seconds" ["virtual_ip"]
        "How long the kernel took for all renewals together";
    LEASE_RENEWAL_MAX: Gauge "virtual_ip_lease_renewal_max_seconds" ["virtual_ip"]
        "How long the kernel took for the slowest renewal";
    LEASES_LOST: Counter "virtual_ip_leases_lost" ["virtual_ip"] "Times an address was gone without our doing";
    DUPLICATE_HOLDERS: Counter "virtual_ip_duplicate_holders" ["virtual_ip"]
        "Times another host was heard to answer for an address";
    VIRTUAL_IP_STALLS: Counter "virtual_ip_stalls" ["virtual_ip"]
        "Times this host stood still for longer than the others wait";
    RELOADS: Counter "reloads" ["result"] "Reloads by result: applied or refused";
    CREDENTIALS: Counter "credential_reloads" ["result"]
        "Changed CA bundles, client certificates and tokens by result: applied or refused";
}
