//! The daemon and the command line of bowline.
//!
//! This crate connects: sockets, files, signals, clocks and people on one side, the machines of `bowline-pool`, the planner of
//! `bowline-plan` and the workers of `bowline-proxy` on the other. It may contain no decision about a connection, an endpoint
//! or a plan.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod admin;
pub mod certs;
pub mod cli;
pub mod client;
pub mod daemon;
pub mod demo;
pub mod documents;
pub mod events;
pub mod failover;
pub mod failure;
mod handshake;
pub mod logs;
pub mod metrics;
pub mod output;
pub mod probe;
pub mod replace;
pub mod view;
