//! Why an endpoint has its grade.

use crate::evidence::Stage;
use core::fmt;

/// Why an endpoint has its grade; `Display` gives the words for status and logs, [`Reason::as_str`] the label for metrics.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// No probe has ended yet.
    NotProbed,
    /// `/readyz` succeeds and the certificate is good.
    Ok,
    /// `/readyz` succeeds; no CA bundle was given to hold the certificate against.
    CertificateUnverified,
    /// `/readyz` succeeds; the certificate chain is good but does not name the address or host asked for.
    NameMismatch,
    /// The certificate chain does not verify, for the reason given.
    CertificateRejected(String),
    /// `/readyz` answers 401 or 403: it works, and wants credentials.
    Unauthorized,
    /// `/readyz` answers 429: it works, and has too much to do.
    TooManyRequests,
    /// `/readyz` fails with this status while `/livez` does not.
    NotReady(u16),
    /// `/readyz` and `/livez` both fail.
    NotLive {
        /// The status of `/readyz`.
        readyz: u16,
        /// The status of `/livez`.
        livez: u16,
    },
    /// Connections are refused.
    Refused,
    /// The network says that there is no way.
    Unreachable,
    /// A probe was not answered in time.
    TimedOut(Stage),
    /// A probe's connection was closed on it.
    Closed(Stage),
    /// A probe's handshake was answered by something that is not TLS.
    NotTls(String),
    /// A probe's request was answered by something that is not HTTP.
    NotHttp(String),
    /// Clients' connection attempts stay silent.
    ConnectTimeout,
    /// Clients' first bytes stay unanswered.
    UnansweredFlight,
    /// Clients' connections are closed before a byte came back.
    ClosedUnanswered,
}

impl Reason {
    /// The reason's word in metrics and JSON; stable.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotProbed => "not-probed",
            Self::Ok => "ok",
            Self::CertificateUnverified => "certificate-unverified",
            Self::NameMismatch => "certificate-name-mismatch",
            Self::CertificateRejected(_) => "certificate-rejected",
            Self::Unauthorized => "unauthorized",
            Self::TooManyRequests => "too-many-requests",
            Self::NotReady(_) => "not-ready",
            Self::NotLive { .. } => "not-live",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut(_) => "probe-timed-out",
            Self::Closed(_) => "probe-closed",
            Self::NotTls(_) => "not-tls",
            Self::NotHttp(_) => "not-http",
            Self::ConnectTimeout => "connect-timeout",
            Self::UnansweredFlight => "unanswered-flight",
            Self::ClosedUnanswered => "closed-unanswered",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotProbed => f.write_str("not probed yet"),
            Self::Ok => f.write_str("/readyz is ok"),
            Self::CertificateUnverified => {
                f.write_str("/readyz is ok; certificate not verified, no CA is given")
            }
            Self::NameMismatch => f.write_str("/readyz is ok; the certificate names other hosts"),
            Self::CertificateRejected(why) => write!(f, "certificate rejected: {why}"),
            Self::Unauthorized => f.write_str("/readyz wants credentials (401 or 403)"),
            Self::TooManyRequests => f.write_str("/readyz answers 429, too many requests"),
            Self::NotReady(status) => write!(f, "/readyz fails with {status}, /livez does not"),
            Self::NotLive { readyz, livez } => write!(f, "/readyz fails with {readyz}, /livez with {livez}"),
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("host or network unreachable"),
            Self::TimedOut(stage) => write!(f, "probe timed out at {stage}"),
            Self::Closed(stage) => write!(f, "probe's connection closed at {stage}"),
            Self::NotTls(why) => write!(f, "does not speak TLS: {why}"),
            Self::NotHttp(why) => write!(f, "does not speak HTTP: {why}"),
            Self::ConnectTimeout => f.write_str("clients' connection attempts stay silent"),
            Self::UnansweredFlight => f.write_str("clients' first bytes stay unanswered"),
            Self::ClosedUnanswered => f.write_str("clients' connections are closed before a byte came back"),
        }
    }
}
