//! Every kind of finding there is, with the page that explains them.

use core::fmt::Write as _;

use super::Severity;

/// A kind of finding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Code {
    AddressInServiceRange,
    BalancerUnused,
    ControlPlaneNotHa,
    EtcdCountEven,
    ExternalBalancerUnknown,
    HoldTooLong,
    NoCa,
    NoEffectYet,
    NotServedYet,
    PortClash,
    SingleApiServer,
    Spof,
    VirtualIpUnused,
}

/// What there is to know about a kind of finding.
pub(super) struct About {
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
        Self::AddressInServiceRange,
        Self::BalancerUnused,
        Self::ControlPlaneNotHa,
        Self::EtcdCountEven,
        Self::ExternalBalancerUnknown,
        Self::HoldTooLong,
        Self::NoCa,
        Self::NoEffectYet,
        Self::NotServedYet,
        Self::PortClash,
        Self::SingleApiServer,
        Self::Spof,
        Self::VirtualIpUnused,
    ];

    pub(super) fn about(self) -> About {
        use Severity::{Error, Info, Warning};
        let (name, severity, meaning, remedy) = match self {
            Self::AddressInServiceRange => (
                "address-in-service-range",
                Error,
                "An address of a node, or a virtual IP, lies in a range that Kubernetes gives to services: kube-proxy \
                 takes connections to it away.",
                "Choose another address, or another range in `spec.kubernetes.serviceCIDRs`.",
            ),
            Self::BalancerUnused => (
                "balancer-unused",
                Warning,
                "Nodes have the role `load-balancer`, but neither side's access goes through them.",
                "Set `mode: load-balancer` for the side that should, or take the role away.",
            ),
            Self::ControlPlaneNotHa => (
                "control-plane-not-ha",
                Info,
                "On a control-plane node the local port belongs to its own API server. The components there use that one \
                 alone and wait for it when it is down; the other nodes do not.",
                "Set `spec.access.internal.port` to a port other than `spec.apiServer.port`, and point the components at it.",
            ),
            Self::EtcdCountEven => (
                "etcd-count-even",
                Warning,
                "An even number of etcd members survives no more failures than one member less, and has more that can fail.",
                "Use 3 or 5 members.",
            ),
            Self::ExternalBalancerUnknown => (
                "external-balancer-unknown",
                Info,
                "Access depends on a balancer that is not described here: whether it survives failures, and whether it \
                 checks the API servers, cannot be told.",
                "Make sure that it is redundant and that its health check asks `/readyz` over TLS.",
            ),
            Self::HoldTooLong => (
                "hold-too-long",
                Warning,
                "Clients are held longer than they wait: Kubernetes' clients give up a TLS handshake after 10 s.",
                "Set `spec.balancing.hold` below 10s.",
            ),
            Self::NoCa => (
                "no-ca",
                Warning,
                "Without a CA the certificates of the API servers are not verified: whoever answers at such an address \
                 counts as a healthy API server.",
                "Set `spec.apiServer.caFile`, usually /etc/kubernetes/pki/ca.crt.",
            ),
            Self::NoEffectYet => (
                "no-effect-yet",
                Info,
                "The setting is understood, but this version does not act on it.",
                "Nothing; or leave it out.",
            ),
            Self::NotServedYet => (
                "not-served-yet",
                Error,
                "The description asks for something that `bowline run` of this version cannot do, and refuses to start with.",
                "Choose another mode, or leave it out.",
            ),
            Self::PortClash => (
                "port-clash",
                Error,
                "A listener needs an address and port that something else on the node has.",
                "Use another port for one of the two, or bind the other to a single address.",
            ),
            Self::SingleApiServer => (
                "single-api-server",
                Warning,
                "There is one API server. Nothing can keep it reachable while it is down.",
                "Give two more nodes the role `control-plane`.",
            ),
            Self::Spof => (
                "spof",
                Warning,
                "A single failure cuts off all clients of one side until it is repaired.",
                "See the message: it depends on the mode.",
            ),
            Self::VirtualIpUnused => (
                "virtual-ip-unused",
                Warning,
                "A virtual IP is described, but neither side's access uses it.",
                "Set `mode: virtual-ip` for a side, name it under `virtualIPs`, or remove it.",
            ),
        };
        About { name, severity, meaning, remedy }
    }
}

/// The page that explains every code, in Markdown.
pub fn findings_markdown() -> String {
    let mut page = String::from(
        "# Findings\n\n\
         What `bowline check` can find in a description that is valid. `--deny CODE` makes one fatal (exit code 1).\n",
    );
    for code in Code::ALL {
        let About { name, severity, meaning, remedy } = code.about();
        let severity = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {name}\n\n*{severity}.* {meaning}\n\n**Remedy:** {remedy}\n");
    }
    page
}
