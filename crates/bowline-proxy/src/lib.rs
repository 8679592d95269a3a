//! The data path: worker threads that accept clients, dial endpoints for them and relay bytes both ways.
//!
//! No decision about endpoints lies here: a [`bowline_pool::Dial`] says whom to connect to, and a pool's published snapshot is
//! the only thing known about health. No async runtime, no lock on the path of a byte, no log: what happened goes out through
//! [`Sink`] and [`Proxy::stats`].
//!
//! * [`Proxy`] is the handle: it starts the workers and gives them listeners and snapshots.
//! * A worker (one thread, one epoll instance) owns its connections alone. Every worker has its own socket on every listening
//!   address (`SO_REUSEPORT`), so that the kernel spreads clients over them.
//! * A connection is *held* while its endpoint is dialled, then *open* while bytes are relayed; it holds no buffer unless a
//!   peer refuses bytes.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod admission;
mod config;
mod courtesy;
mod deadlines;
mod first_flight;
mod mailbox;
mod network;
mod occupancy;
mod parked;
mod preface;
mod proxy;
mod pulse;
mod rate;
mod relay;
mod report;
mod slab;
mod stats;
mod token;
mod worker;

pub use bowline_sys::tcp::{KeepAlive, Shortage};
pub use config::{Config, ListenerId, PoolId, SourceLimits};
pub use network::Network;
pub use proxy::{BindError, Eviction, Proxy, StartError};
pub use pulse::{LOOK_EVERY, Liveness, PING_EVERY, STUCK_AFTER};
pub use report::{EndReason, Event, Pause, Report, Sink};
pub use stats::{ListenerStats, Stats};
