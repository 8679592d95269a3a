//! Endpoints of a pool: their health, who gets the next connection, and how a held client is dialled.
//!
//! Pure: no clock, socket, file, lock, log or thread; time is an argument, randomness a seed, effects are values. Depends on
//! `bowline-sansio` and `std` alone. The one shared mutable thing is the atomic count of open connections of each endpoint.
//!
//! * [`Pool`], one per pool on a daemon thread, weighs evidence into grades, schedules probes, and publishes an immutable
//!   [`Snapshot`] whenever something a dial looks at has changed.
//! * [`Dial`], one per client being held, driven by the proxy worker, picks endpoints from a snapshot one after another until
//!   one is connected or the time is up.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::wildcard_enum_match_arm
    )
)]

mod dial;
mod evidence;
mod message;
mod pool;
mod reason;
mod snapshot;
mod spec;

pub use dial::{Attempt, Departure, Dial, DialInput, DialOutput, GiveUp, MAX_RACING, Ticket};
pub use evidence::{Certificate, Evidence, ProbeFailure, ProbeResult, Stage, Status, TEXT_MAX};
pub use message::{Event, Input, InquiryId, Output};
pub use pool::{ENDPOINTS_MAX, INQUIRIES_MAX, PROBES_IN_FLIGHT_MAX, Pool};
pub use reason::Reason;
pub use snapshot::{ConnectionCount, ConnectionLease, Endpoint, Grade, Snapshot};
pub use spec::{EndpointId, EndpointSpec, Policy, PoolSpec, Timers};
