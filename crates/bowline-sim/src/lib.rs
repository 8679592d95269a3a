//! A deterministic simulator of virtual routers, with the kernels, links and clients round them.
//!
//! Holds no clock, socket, file, thread or lock, and no collection whose order depends on anything but its contents: a seed
//! is the whole of what a run depends on. Routers are made by the constructor that the daemon uses, and driven as
//! `bowline-sansio` says.
//!
//! A run has two phases: faults under the eyes of the checkers (safety), then health, in which everything has to come right
//! within bounds that are computed from the configuration (liveness). What must hold is in `check`, one file each; each of
//! them has been seen to catch a planted [`Bug`].
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::wildcard_enum_match_arm))]

mod bounds;
mod bug;
mod check;
mod clock;
mod event;
mod fault;
mod foreign;
mod network;
mod options;
mod run;
mod state;
mod trace;
mod world;

pub use bounds::Bounds;
pub use bug::Bug;
pub use fault::Kind;
pub use options::{Options, ROUTERS_MAX};
pub use run::{Failure, Report, replay, run, run_options};
pub use state::Stats;
pub use world::Violation;
