//! What goes into a pool and what comes out.

use crate::evidence::{Evidence, ProbeResult};
use crate::reason::Reason;
use crate::snapshot::{Grade, Snapshot};
use crate::spec::{EndpointId, PoolSpec};
use core::net::SocketAddr;
use std::sync::Arc;

/// A question whether clients would be served, named in its answer; given by the shell, each once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct InquiryId(pub u64);

/// What can happen to a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// The pool shall be this from now on: an endpoint whose name and address are unchanged keeps its id, its state and its
    /// connection count. A spec equal to the present one changes nothing.
    Reconcile(PoolSpec),
    /// The answer to an [`Output::Probe`]: exactly one to each, also when the endpoint is gone by then (ignored).
    Probed {
        /// Who was probed.
        endpoint: EndpointId,
        /// How it ended.
        result: ProbeResult,
    },
    /// A proxy worker saw something; ignored when the endpoint is gone.
    Reported {
        /// About whom.
        endpoint: EndpointId,
        /// What was seen.
        evidence: Evidence,
    },
    /// Would clients that come from now on be served? The endpoints that take new connections are probed at once for it, twice if
    /// that is well, within their budget; what was known or on its way before is no evidence. Answered by
    /// [`Output::Inquired`].
    Inquire(InquiryId),
    /// The moment of `poll_timeout` has come. The shell handles what it has in hand (answers, reports) before this.
    Timeout,
}

/// What a pool wants done.
#[derive(Clone, Debug)]
pub enum Output {
    /// Probe this endpoint, with the time-outs of [`Timers`](crate::Timers), and answer with [`Input::Probed`]; never while a
    /// probe of the same endpoint is unanswered.
    Probe {
        /// Who.
        endpoint: EndpointId,
        /// The node's name.
        name: Arc<str>,
        /// Where it listens.
        address: SocketAddr,
        /// Connect anew even if a connection is open (the new one is then the one to keep): somebody could not connect, and
        /// an answer on an old connection does not disprove that. [`ProbeResult::Answered::connect`] must then be given,
        /// otherwise the pool keeps its suspicion.
        fresh: bool,
    },
    /// The endpoint was removed: close its probe connection. A probe in flight may still be answered.
    Forget {
        /// Who.
        endpoint: EndpointId,
    },
    /// The answer to an [`Input::Inquire`], exactly one to each: whether probes that were sent after it show that clients would be
    /// served.
    Inquired {
        /// To which.
        inquiry: InquiryId,
        /// What it is; no as well when more is asked at once than can be ([`INQUIRIES_MAX`](crate::INQUIRIES_MAX)).
        served: bool,
    },
    /// What every dial shall read from now on.
    Publish(Arc<Snapshot>),
    /// For log, metrics and status.
    Event(Event),
}

/// What happened in a pool, for log, metrics and status; their number is bounded by reconciliations and probes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A new endpoint.
    EndpointAdded {
        /// Its identity.
        endpoint: EndpointId,
        /// The node's name.
        name: Arc<str>,
        /// Where it listens.
        address: SocketAddr,
    },
    /// An endpoint is no longer wanted.
    EndpointRemoved {
        /// Its identity.
        endpoint: EndpointId,
        /// The node's name.
        name: Arc<str>,
        /// Where it listens.
        address: SocketAddr,
    },
    /// The grade changed.
    GradeChanged {
        /// Whose.
        endpoint: EndpointId,
        /// The node's name.
        name: Arc<str>,
        /// Where it listens.
        address: SocketAddr,
        /// Until now.
        from: Grade,
        /// From now on.
        to: Grade,
        /// Why.
        reason: Reason,
        /// How many pieces of evidence in a row led here.
        evidence: u32,
    },
    /// The grade is the same for another reason.
    ReasonChanged {
        /// Whose.
        endpoint: EndpointId,
        /// The node's name.
        name: Arc<str>,
        /// Where it listens.
        address: SocketAddr,
        /// The unchanged grade.
        grade: Grade,
        /// The new reason.
        reason: Reason,
    },
    /// The first bad evidence against an endpoint that is not dead.
    Suspected {
        /// Against whom.
        endpoint: EndpointId,
        /// The node's name.
        name: Arc<str>,
        /// Where it listens.
        address: SocketAddr,
        /// What was seen.
        reason: Reason,
    },
    /// A suspicion was not confirmed.
    Cleared {
        /// Of whom.
        endpoint: EndpointId,
        /// The node's name.
        name: Arc<str>,
        /// Where it listens.
        address: SocketAddr,
    },
    /// A probe could not be made because of a failure on this host; the first in a row.
    ProbeFailedLocally {
        /// Of whom.
        endpoint: EndpointId,
        /// The node's name.
        name: Arc<str>,
        /// Where it listens.
        address: SocketAddr,
        /// What failed.
        why: String,
    },
    /// A probe was never answered by the shell (a bug of ours); it counts as timed out.
    ProbeLost {
        /// Of whom.
        endpoint: EndpointId,
        /// The node's name.
        name: Arc<str>,
        /// Where it listens.
        address: SocketAddr,
    },
    /// No endpoint takes new connections: all are tried from now on, draining ones first.
    FailOpen,
    /// An endpoint takes new connections again.
    FailOpenEnded,
    /// More endpoints were asked for than a pool can hold ([`ENDPOINTS_MAX`](crate::ENDPOINTS_MAX)), or the same one twice;
    /// so many were left out.
    EndpointsLeftOut {
        /// How many.
        count: usize,
    },
}
