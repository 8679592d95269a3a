//! The contract of every pure machine: time, timers, outputs and randomness as values.
//!
//! This crate may contain no clock, socket, file, thread, lock or log, and depends on nothing but `std`.
//!
//! # The contract
//!
//! A *machine* holds decisions and nothing else. Whoever drives it (the daemon, a worker thread, a simulator) is its *shell*.
//!
//! 1. The shell calls `handle(input, now)`; `now` never goes back.
//! 2. Then it drains [`Machine::poll_output`] to `None`.
//! 3. Then it reads [`Machine::poll_timeout`] once and keeps one sleep for it.
//! 4. After a timeout was handled at `t`, the next one is later than `t`.
//! 5. A spurious timeout changes nothing.
//! 6. An output that can fail is answered by an input.
//! 7. The same construction and the same inputs give the same outputs, bit for bit.
//!
//! [`contract::Checked`] asserts rules 1 to 4 around any machine, for tests and simulators.
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

pub mod contract;
mod outbox;
mod prng;
mod time;
mod timer;

pub use contract::Machine;
pub use outbox::Outbox;
pub use prng::Prng;
pub use time::Instant;
pub use timer::{TimerKey, TimerTable};
