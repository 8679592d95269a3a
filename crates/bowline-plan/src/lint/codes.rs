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
    const ALL: [Self; 13] = [
        Self::ADDRESS_IN_SERVICE_RANGE,
        Self::BALANCER_UNUSED,
        Self::CONTROL_PLANE_NOT_HA,
        Self::ETCD_COUNT_EVEN,
        Self::EXTERNAL_BALANCER_UNKNOWN,
        Self::HOLD_TOO_LONG,
        Self::NO_CA,
        Self::NO_EFFECT_YET,
        Self::NOT_SERVED_YET,
        Self::PORT_CLASH,
        Self::SINGLE_API_SERVER,
        Self::SPOF,
        Self::VIRTUAL_IP_UNUSED,
    ];

    pub(super) const ADDRESS_IN_SERVICE_RANGE: Self = Self {
        name: "address-in-service-range",
        severity: Error,
        meaning: "An address of a node, or a virtual IP, lies in a range that Kubernetes gives to services: kube-proxy \
                 takes connections to it away.",
        remedy: "Choose another address, or another range in `spec.kubernetes.serviceCIDRs`.",
    };

    pub(super) const BALANCER_UNUSED: Self = Self {
        name: "balancer-unused",
        severity: Warning,
        meaning: "Nodes have the role `load-balancer`, but neither side's access goes through them.",
        remedy: "Set `mode: load-balancer` for the side that should, or take the role away.",
    };

    pub(super) const CONTROL_PLANE_NOT_HA: Self = Self {
        name: "control-plane-not-ha",
        severity: Info,
        meaning: "On a control-plane node the local port belongs to its own API server. The components there use that one \
                 alone and wait for it when it is down; the other nodes do not.",
        remedy: "Set `spec.access.internal.port` to a port other than `spec.apiServer.port`, and point the components at it.",
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

    pub(super) const HOLD_TOO_LONG: Self = Self {
        name: "hold-too-long",
        severity: Warning,
        meaning: "Clients are held longer than they wait: Kubernetes' clients give up a TLS handshake after 10 s.",
        remedy: "Set `spec.balancing.hold` below 10s.",
    };

    pub(super) const NO_CA: Self = Self {
        name: "no-ca",
        severity: Warning,
        meaning: "Without a CA the certificates of the API servers are not verified: whoever answers at such an address \
                 counts as a healthy API server.",
        remedy: "Set `spec.apiServer.caFile`, usually /etc/kubernetes/pki/ca.crt.",
    };

    pub(super) const NO_EFFECT_YET: Self = Self {
        name: "no-effect-yet",
        severity: Info,
        meaning: "The setting is understood, but this version does not act on it.",
        remedy: "Nothing; or leave it out.",
    };

    pub(super) const NOT_SERVED_YET: Self = Self {
        name: "not-served-yet",
        severity: Warning,
        meaning: "The description asks for something that `bowline run` of this version cannot do, and refuses to start with.",
        remedy: "Choose another mode, or leave it out.",
    };

    pub(super) const PORT_CLASH: Self = Self {
        name: "port-clash",
        severity: Error,
        meaning: "A listener needs an address and port that something else on the node has.",
        remedy: "Use another port for one of the two, or bind the other to a single address.",
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

    pub(super) const VIRTUAL_IP_UNUSED: Self = Self {
        name: "virtual-ip-unused",
        severity: Warning,
        meaning: "A virtual IP is described, but neither side's access uses it.",
        remedy: "Set `mode: virtual-ip` for a side, name it under `virtualIPs`, or remove it.",
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
