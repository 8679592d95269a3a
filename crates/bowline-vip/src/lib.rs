//! Virtual IPs on a real host: the threads and the guard round the machines of [`bowline_vrrp`]. It decides nothing, and has no
//! async runtime, no configuration file, no log.
//!
//! * [`VirtualIps`] is the handle. It is told which [`Router`]s there are and which of them can serve, and shows how they stand.
//! * The *advert thread* has the machines and the raw sockets. It is on time: real-time where that is allowed, and it never asks
//!   the kernel for anything that waits for the lock on network configuration.
//! * The *keeper* has the addresses. Each is a lease that the kernel ends by itself; it is renewed while the advert thread lives
//!   and [`Serving`] says that clients are served.
//! * A third thread calls the [`Sink`]: whoever writes a log may have to wait. A fourth one closes sockets, for which the kernel keeps it
//!   waiting. A fifth one brings the advert thread to another CPU when it is late.
//! * The *guard* ([`watch_over`]) is a child that sends priority 0 and removes the addresses when the process is killed.
//!
//! To let go of an address is one uninterrupted step: stop accepting, reset everybody, remove it.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod adverts;
mod cell;
mod closer;
mod counters;
mod event;
mod guard;
mod keeper;
mod lane;
mod liveness;
mod relief;
mod router;
mod shared;
mod silence;
mod teller;
#[cfg(test)]
mod testing;
mod virtual_ips;
mod wiring;

pub use counters::Tally;
pub use event::{Event, Serving, Sink};
pub use guard::{GuardCommand, watch_over};
pub use router::{Router, StartError, Status, lease_for};
pub use virtual_ips::VirtualIps;
