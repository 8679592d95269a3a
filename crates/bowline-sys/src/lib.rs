//! Linux as bowline needs it: sockets, frames, addresses, pipes, epoll, clocks, limits, file watching, processes
//! and namespaces.
//!
//! Thin, synchronous wrappers over system calls; no decision, no policy, no async runtime. The only crate of the workspace in
//! which `unsafe` is allowed: each use stands in a module that says so, beside the reason why it is sound.
#![warn(missing_docs)]

pub mod alarm;
pub mod announce;
pub mod capability;
pub mod child;
pub mod clock;
pub mod epoll;
pub mod hold;
pub mod host;
pub mod limits;
pub mod mac;
mod netlink;
pub mod netns;
pub mod owner;
pub mod packet;
pub mod pipe;
pub mod rtnetlink;
pub mod sched;
pub mod sock_diag;
pub mod tcp;
pub mod tcp_info;
pub mod vrrp_socket;
pub mod watch;

#[cfg(test)]
mod testing;
