//! What workers and probes say about an endpoint.

use crate::reason::Reason;
use core::fmt;
use core::time::Duration;

/// The longest text kept from a peer or the system, in bytes: enough for one line, and a peer can't fill our memory with it.
pub const TEXT_MAX: usize = 200;

/// What a proxy worker saw.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Evidence {
    /// A connection attempt was refused (RST).
    Refused,
    /// ICMP errors, EHOSTUNREACH, ENETUNREACH.
    Unreachable,
    /// A connection attempt stayed silent past its stagger.
    ConnectTimeout,
    /// Client bytes were sent and nothing came back within [`Timers::first_flight`](crate::Timers::first_flight).
    UnansweredFlight,
    /// Closed or reset by the endpoint before any byte came back although client bytes were sent.
    ClosedUnanswered,
    /// Bytes came from an endpoint that the snapshot calls dead or draining: worth a probe.
    Answered,
}

impl Evidence {
    /// Every kind, for tables.
    pub const ALL: [Self; 6] = [
        Self::Refused,
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::UnansweredFlight,
        Self::ClosedUnanswered,
        Self::Answered,
    ];
}

/// How a probe ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProbeResult {
    /// The endpoint spoke HTTP.
    Answered {
        /// What `/readyz` answered.
        readyz: Status,
        /// What `/livez` answered; asked only when `/readyz` is [`Status::Failing`].
        livez: Option<Status>,
        /// What the certificate of this connection is worth.
        certificate: Certificate,
        /// How long the TCP connect took, when this probe connected anew.
        connect: Option<Duration>,
    },
    /// It did not come that far.
    Failed(ProbeFailure),
}

/// An HTTP status as far as health is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Status {
    /// 2xx.
    Ok,
    /// 401 and 403.
    Unauthorized,
    /// 429.
    TooManyRequests,
    /// Anything else.
    Failing(u16),
}

impl From<u16> for Status {
    fn from(status: u16) -> Self {
        match status {
            200..=299 => Self::Ok,
            401 | 403 => Self::Unauthorized,
            429 => Self::TooManyRequests,
            failing => Self::Failing(failing),
        }
    }
}

/// What a certificate is worth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Certificate {
    /// The chain and the name are good.
    Verified,
    /// No CA bundle was given.
    Unverified,
    /// The chain is good, the name is not.
    NameMismatch,
    /// The chain does not verify: expired, unknown issuer...
    Rejected(String),
}

/// Why a probe brought no HTTP status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProbeFailure {
    /// The connection was refused.
    Refused,
    /// ICMP errors, EHOSTUNREACH, ENETUNREACH.
    Unreachable,
    /// Nothing came in time.
    TimedOut(Stage),
    /// Closed or reset.
    Closed(Stage),
    /// Not TLS, as the text says.
    NotTls(String),
    /// Not HTTP, as the text says.
    NotHttp(String),
    /// A failure on our side (no file descriptor, no port): no evidence against the endpoint.
    Local(String),
}

/// How far a probe had come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// TCP connect.
    Connect,
    /// TLS handshake.
    Handshake,
    /// HTTP request.
    Request,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Handshake => "handshake",
            Self::Request => "request",
        })
    }
}

/// A probe's result, judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// New connections are welcome.
    Good(Usable, Reason),
    /// It lives and asks for no new connections.
    NotReady(Reason),
    /// It does not do its work.
    Bad(Reason),
    /// We could not ask.
    Local(String),
}

/// The two grades that take new connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Usable {
    Ready,
    Alive,
}

impl ProbeResult {
    /// What the result says.
    pub(crate) fn judge(self) -> Verdict {
        match self {
            Self::Answered { readyz, livez, certificate, connect: _ } => {
                judge_answer(readyz, livez, certificate)
            }
            Self::Failed(failure) => match failure {
                ProbeFailure::Refused => Verdict::Bad(Reason::Refused),
                ProbeFailure::Unreachable => Verdict::Bad(Reason::Unreachable),
                ProbeFailure::TimedOut(stage) => Verdict::Bad(Reason::TimedOut(stage)),
                ProbeFailure::Closed(stage) => Verdict::Bad(Reason::Closed(stage)),
                ProbeFailure::NotTls(why) => Verdict::Bad(Reason::NotTls(bounded(why))),
                ProbeFailure::NotHttp(why) => Verdict::Bad(Reason::NotHttp(bounded(why))),
                ProbeFailure::Local(why) => Verdict::Local(bounded(why)),
            },
        }
    }

    /// How long the connect took, when the probe made one.
    pub(crate) const fn connect(&self) -> Option<Duration> {
        match self {
            Self::Answered { connect, .. } => *connect,
            Self::Failed(_) => None,
        }
    }
}

/// An endpoint that speaks HTTP is at least alive.
fn judge_answer(readyz: Status, livez: Option<Status>, certificate: Certificate) -> Verdict {
    match readyz {
        Status::Ok => match certificate {
            Certificate::Verified => Verdict::Good(Usable::Ready, Reason::Ok),
            Certificate::Unverified => Verdict::Good(Usable::Ready, Reason::CertificateUnverified),
            Certificate::NameMismatch => Verdict::Good(Usable::Ready, Reason::NameMismatch),
            Certificate::Rejected(why) => judge_rejected(why),
        },
        Status::Unauthorized => judge_alive(Reason::Unauthorized, certificate),
        Status::TooManyRequests => judge_alive(Reason::TooManyRequests, certificate),
        Status::Failing(readyz) => match livez {
            // Without an answer about `/livez` the endpoint still answered about `/readyz`: it lives.
            None | Some(Status::Ok | Status::Unauthorized | Status::TooManyRequests) => {
                Verdict::NotReady(Reason::NotReady(readyz))
            }
            Some(Status::Failing(livez)) => Verdict::Bad(Reason::NotLive { readyz, livez }),
        },
    }
}

/// A certificate that does not verify is said before `reason`, because it takes a person to mend.
fn judge_alive(reason: Reason, certificate: Certificate) -> Verdict {
    match certificate {
        Certificate::Verified | Certificate::Unverified | Certificate::NameMismatch => {
            Verdict::Good(Usable::Alive, reason)
        }
        Certificate::Rejected(why) => judge_rejected(why),
    }
}

fn judge_rejected(why: String) -> Verdict {
    Verdict::Good(Usable::Alive, Reason::CertificateRejected(bounded(why)))
}

/// `text`, cut to [`TEXT_MAX`] bytes at a character's boundary.
fn bounded(mut text: String) -> String {
    if text.len() > TEXT_MAX {
        let end = (0..=TEXT_MAX).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}

#[cfg(test)]
mod tests;
