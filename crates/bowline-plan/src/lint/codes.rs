//! Every kind of finding there is, with the page that explains them.

use core::fmt::Write as _;

use super::Severity::{self, Error, Info, Warning};

/// A kind of finding.
pub(super) struct Code {
    /// What is printed and denied.
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    /// What it means.
    meaning: &'static str,
    /// What to do about it, in general.
    remedy: &'static str,
}

impl Code {
    /// In alphabetical order of their names.
    const ALL: [Self; 30] = [
        Self::ADDRESS_IN_SERVICE_RANGE,
        Self::ADVERTISED_NOT_SERVED,
        Self::API_PORT_SHARED,
        Self::BALANCER_UNUSED,
        Self::CONTROL_PLANE_NOT_HA,
        Self::ETCD_COUNT_EVEN,
        Self::EXTERNAL_BALANCER_UNKNOWN,
        Self::EXTERNAL_ON_NODES_ONLY,
        Self::HOLD_TOO_LONG,
        Self::INGRESS_EXTRA_HOP,
        Self::INGRESS_NOT_SERVED,
        Self::NO_CA,
        Self::NO_EFFECT,
        Self::NO_EFFECT_YET,
        Self::NODE_ON_LOOPBACK,
        Self::NOT_SERVED_YET,
        Self::PLAINTEXT,
        Self::PORT_CLASH,
        Self::PRIORITY_OUT_OF_BAND,
        Self::PROBE_LOAD,
        Self::SAN_MISSING,
        Self::SINGLE_API_SERVER,
        Self::SPOF,
        Self::TIMER_BUDGET,
        Self::VIRTUAL_IP_OUTSIDE_SUBNET,
        Self::VIRTUAL_IP_PERHAPS_NETWORK_ADDRESS,
        Self::VIRTUAL_IP_PERHAPS_OUTSIDE_SUBNET,
        Self::VIRTUAL_IP_UNTRACKED,
        Self::VIRTUAL_IP_UNUSED,
        Self::VRID_COMMON,
    ];

    pub(super) const ADDRESS_IN_SERVICE_RANGE: Self = Self {
        name: "address-in-service-range",
        severity: Error,
        meaning: "An address of a node, or a virtual IP, lies in a range that Kubernetes gives to services: kube-proxy \
                 takes connections to it away.",
        remedy: "Choose another address, or another range in `spec.kubernetes.serviceCIDRs`.",
    };

    pub(super) const ADVERTISED_NOT_SERVED: Self = Self {
        name: "advertised-not-served",
        severity: Error,
        meaning: "Clients are told to connect to an address and port at which nothing answers.",
        remedy: "Give the side the port that the API servers or the balancers have, let the API servers listen \
                 on all addresses, or balance the virtual IP.",
    };

    pub(super) const API_PORT_SHARED: Self = Self {
        name: "api-port-shared",
        severity: Error,
        meaning: "A virtual IP is to be balanced at the port that the API servers of its holders have on all \
                 addresses, so that nobody else can listen there.",
        remedy: "Use another port for the side, or set `spec.apiServer.bindAddress` to the nodes' own address. Or set \
                `balance: false`, so that the holder's own API server answers.",
    };

    pub(super) const BALANCER_UNUSED: Self = Self {
        name: "balancer-unused",
        severity: Warning,
        meaning: "Nodes have the role `load-balancer`, but neither side's access goes through them, and \
                 there is no ingress.",
        remedy: "Set `mode: load-balancer` for the side that should, or take the role away.",
    };

    pub(super) const CONTROL_PLANE_NOT_HA: Self = Self {
        name: "control-plane-not-ha",
        severity: Info,
        meaning: "The components on a control-plane node use their own API server alone and wait for it when it is down; the \
                 other nodes do not. It is so wherever the node has no listener of its own: in node-local mode when its API \
                 server has the port, and in the modes without local listeners.",
        remedy: "Set `spec.access.internal.mode` to `node-local` with a port other than `spec.apiServer.port`, and point the \
                components at it.",
    };

    pub(super) const ETCD_COUNT_EVEN: Self = Self {
        name: "etcd-count-even",
        severity: Warning,
        meaning: "An even number of etcd members survives no more failures than one member less, and has more that can fail.",
        remedy: "Use 3 or 5 members.",
    };

    pub(super) const EXTERNAL_BALANCER_UNKNOWN: Self = Self {
        name: "external-balancer-unknown",
        severity: Info,
        meaning: "Access depends on a balancer that is not described here: whether it survives failures, and whether it \
                 checks the API servers, cannot be told.",
        remedy: "Make sure that it is redundant and that its health check asks `/readyz` over TLS.",
    };

    pub(super) const EXTERNAL_ON_NODES_ONLY: Self = Self {
        name: "external-on-nodes-only",
        severity: Info,
        meaning: "Clients from outside are to use the nodes' loopback addresses, so there is no way in from \
                 anywhere else.",
        remedy: "Choose another mode for `spec.access.external`, unless everybody works on a node.",
    };

    pub(super) const HOLD_TOO_LONG: Self = Self {
        name: "hold-too-long",
        severity: Warning,
        meaning: "Clients are held longer than they wait: Kubernetes' clients give up a TLS handshake after 10 s.",
        remedy: "Set `spec.balancing.hold` below 10s.",
    };

    pub(super) const INGRESS_EXTRA_HOP: Self = Self {
        name: "ingress-extra-hop",
        severity: Info,
        meaning: "A connection for the workers goes to any of them, and from there over the network once more \
                 when its pod is elsewhere.",
        remedy: "Nothing; or run the ingress controller on every worker, with `externalTrafficPolicy: Local`.",
    };

    pub(super) const INGRESS_NOT_SERVED: Self = Self {
        name: "ingress-not-served",
        severity: Warning,
        meaning: "Ports for the workers are described, but no node takes connections to them: there is neither a balancer \
                 nor a virtual IP that is on balancers and workers alone. Or workers have no address to connect to.",
        remedy: "Give nodes the role `load-balancer`, or describe a virtual IP on workers; and give every worker its \
                `addresses`.",
    };

    pub(super) const NO_CA: Self = Self {
        name: "no-ca",
        severity: Warning,
        meaning: "Without a CA the certificates of the API servers are not verified: whoever answers at such an address \
                 counts as a healthy API server.",
        remedy: "Set `spec.apiServer.caFile`, usually /etc/kubernetes/pki/ca.crt.",
    };

    pub(super) const NO_EFFECT: Self = Self {
        name: "no-effect",
        severity: Warning,
        meaning: "A setting is given that does nothing beside the others, so that something else was meant, perhaps.",
        remedy: "Leave it out, or give what it needs: see the message.",
    };

    pub(super) const NO_EFFECT_YET: Self = Self {
        name: "no-effect-yet",
        severity: Info,
        meaning: "The setting is understood, but this version does not act on it.",
        remedy: "Nothing; or leave it out.",
    };

    pub(super) const NODE_ON_LOOPBACK: Self = Self {
        name: "node-on-loopback",
        severity: Warning,
        meaning: "An address of a node is one of loopback, which leads everybody who is told it to their own machine: \
                 good for trying a cluster out on one.",
        remedy: "Give the node an address that the others reach.",
    };

    pub(super) const NOT_SERVED_YET: Self = Self {
        name: "not-served-yet",
        severity: Warning,
        meaning: "The description asks for something that `bowline run` of this version cannot do, and refuses to start with.",
        remedy: "Choose another mode, or leave it out.",
    };

    pub(super) const PLAINTEXT: Self = Self {
        name: "plaintext",
        severity: Warning,
        meaning: "A secret goes over the network in clear text: the password of a virtual router of version 2 \
                 (RFC 2338) is in every advert, for everybody on the link to read.",
        remedy: "Use version 3, or take the password for what it is: a guard against mistakes.",
    };

    pub(super) const PORT_CLASH: Self = Self {
        name: "port-clash",
        severity: Error,
        meaning: "A listener needs an address and port that something else on the node has.",
        remedy: "Use another port for one of the two, or bind the other to a single address.",
    };

    pub(super) const PRIORITY_OUT_OF_BAND: Self = Self {
        name: "priority-out-of-band",
        severity: Warning,
        meaning: "A node's priority says whether it can serve: 129 to 254 if it can, 128 less if it cannot. Other \
                 priorities cannot follow that, so a holder that reaches no API server may keep the address.",
        remedy: "Leave `priorities` out: 254, 250, 246 and so on are planned. Keep them where keepalived takes \
                 part.",
    };

    pub(super) const PROBE_LOAD: Self = Self {
        name: "probe-load",
        severity: Warning,
        meaning: "The API servers would have much to do with answering probes alone.",
        remedy: "Probe less often: raise `spec.balancing.probeInterval`, or leave it out.",
    };

    pub(super) const SAN_MISSING: Self = Self {
        name: "san-missing",
        severity: Error,
        meaning: "Clients are told to use a name or address that the certificates do not hold, and would refuse \
                 what answers there.",
        remedy: "Add it to the certificates: `bowline plan` prints all that they have to name.",
    };

    pub(super) const SINGLE_API_SERVER: Self = Self {
        name: "single-api-server",
        severity: Warning,
        meaning: "There is one API server. Nothing can keep it reachable while it is down.",
        remedy: "Give two more nodes the role `control-plane`.",
    };

    pub(super) const SPOF: Self = Self {
        name: "spof",
        severity: Warning,
        meaning: "A single failure cuts off all clients of one side until it is repaired.",
        remedy: "See the message: it depends on the mode.",
    };

    pub(super) const TIMER_BUDGET: Self = Self {
        name: "timer-budget",
        severity: Warning,
        meaning: "By the configured timers a node can lose the API servers for longer than Kubernetes waits for \
                 it: 40 s before version 1.32, 50 s since then, less the 10 s that the last heartbeat may be \
                 old. Its pods would be moved away.",
        remedy: "Shorten `spec.balancing.keepAlive` and `probeInterval`, or raise `--node-monitor-grace-period` \
                 of the controller manager.",
    };

    pub(super) const VIRTUAL_IP_OUTSIDE_SUBNET: Self = Self {
        name: "virtual-ip-outside-subnet",
        severity: Error,
        meaning: "A virtual IP is in no subnet of a node that may hold it, so nobody would find it there: the node \
                 has no address of its family, or none that shares the first 16 bits (of IPv6: 48) with it.",
        remedy: "Use a free address of the nodes' subnet; where they have one that is not described, name its link \
                 as `interface`.",
    };

    pub(super) const VIRTUAL_IP_PERHAPS_NETWORK_ADDRESS: Self = Self {
        name: "virtual-ip-perhaps-network-address",
        severity: Warning,
        meaning: "A virtual IP seems to be the first or the last address of the subnet, which mean the network and everybody \
                 in it (in IPv6 the first one means any of the routers; RFC 4291 section 2.6.1). Prefix lengths are not \
                 described: the subnet is taken for the smallest of at least /24 (or /64) that holds the nodes' own \
                 addresses. `bowline run` knows them, and refuses such an address.",
        remedy: "Use a free address in between.",
    };

    pub(super) const VIRTUAL_IP_PERHAPS_OUTSIDE_SUBNET: Self = Self {
        name: "virtual-ip-perhaps-outside-subnet",
        severity: Warning,
        meaning: "A virtual IP does not seem to be in the subnet of the nodes that may hold it. Prefix lengths are \
                 not described: the subnet is the smallest of at least /24 (or /64) that holds the nodes' own \
                 addresses.",
        remedy: "Use a free address of the nodes' subnet; where the subnet is larger, name the link as \
                 `interface`.",
    };

    pub(super) const VIRTUAL_IP_UNTRACKED: Self = Self {
        name: "virtual-ip-untracked",
        severity: Warning,
        meaning: "A virtual IP with `track: none` stays on a node that reaches no API server.",
        remedy: "Leave `track` out, or set it to `api-server`.",
    };

    pub(super) const VIRTUAL_IP_UNUSED: Self = Self {
        name: "virtual-ip-unused",
        severity: Warning,
        meaning: "A virtual IP is described and would be kept somewhere, but no client is told to use it: neither side's access \
                 goes through it, and it carries no ingress.",
        remedy: "Set `mode: virtual-ip` for a side, name it under `virtualIPs`, or remove it.",
    };

    pub(super) const VRID_COMMON: Self = Self {
        name: "vrid-common",
        severity: Info,
        meaning: "The number of a virtual router is not given, or is one that examples have. Two virtual routers \
                 with one number on one link take each other's adverts for their own.",
        remedy: "Look for VRRP on the link, and give `vrid` a number that nobody has.",
    };
}

/// Every code there is, in alphabetical order.
pub fn finding_codes() -> impl Iterator<Item = &'static str> {
    Code::ALL.into_iter().map(|code| code.name)
}

/// The page that explains every code, in Markdown.
pub fn findings_markdown() -> String {
    let mut page = String::from(
        "# Findings\n\n\
         What `bowline check` can find in a description that is valid. An error makes it end with exit code 1; `--deny CODE` does so for any other.\n",
    );
    for code in Code::ALL {
        let Code { name, severity, meaning, remedy } = code;
        let severity = severity.as_str();
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {name}\n\n*{severity}.* {meaning}\n\n**Remedy:** {remedy}\n");
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_case_sorted_and_each_has_its_section() {
        let names: Vec<&str> = Code::ALL.iter().map(|code| code.name).collect();
        assert!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]));
        let page = findings_markdown();
        for name in names {
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{name}");
            assert!(page.contains(&format!("\n## {name}\n")), "{name} is not explained");
        }
    }
}
