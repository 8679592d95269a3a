//! The real binary before real servers, with real clients: what a person would try by hand, and the figures that README promises.
//!
//! Every process that a test starts ends with it; all traffic stays on loopback addresses or in namespaces of the test's own. A
//! test whose peer is not installed, or that would need root, says so and does nothing else.
#![forbid(unsafe_code)]

mod clients;
mod endpoints;
mod etcd;
mod footprint;
mod haproxy;
mod harness;
mod kernel;
mod kubernetes;
mod lifecycle;
mod outage;
mod slow;
