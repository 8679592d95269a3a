//! From the description file to the plan that every node follows, and the steps from one plan to the next.
//!
//! Pure: no clock, socket, file, lock, log or thread. Bytes go in, plans come out; whether a file that the description
//! names exists, and which addresses a machine has, are answers the caller gives.
//!
//! ```text
//! bytes -load-> Cluster -plan-> Plan -lint-> findings
//!                                 |
//!                                 +-diff(old, new)-> steps
//! ```
//!
//! A description is what somebody wrote, with everything optional that has a default. A [`Cluster`] is what it means:
//! typed, complete, consistent. A [`Plan`] is what follows from it, node by node, and leaves no choice to run time.
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

mod cluster;
mod description;
mod endpoints;
mod failover;
mod find;
pub mod import;
mod lint;
mod load;
mod plan;
mod planner;
mod problem;
pub mod render;
mod schema;
mod source;
mod step;
mod validate;

pub use cluster::{
    Access, AdminListen, ApiServer, Balancing, Cidr, Cluster, ConnectTime, Etcd, FileReference, Front, Host,
    Ingress, KeepAlive, Kubernetes, Limits, Mode, Node, NodeRole, Peers, Track, VirtualIp, VrrpVersion,
    WhenAllBad,
};
pub use endpoints::{Class, Client, Loser, Rule, endpoints};
pub use failover::{Detection, RANK_WAIT};
pub use find::{FindNodeError, Matched, find_node};
pub use import::to_yaml;
pub use lint::{
    ApiServerLoad, Finding, Lost, Severity, Spof, api_server_load, finding_codes, findings_markdown, lint,
    ports_in_use, spof, unserved,
};
pub use load::{SIZE_LIMIT, load};
pub use plan::{
    API_SERVERS, Authentication, BALANCERS, ETCD, HostsLine, INGRESS, Listener, NodePlan, OWN_API_SERVER,
    Plan, Policy, PoolEndpoint, PoolPlan, Probe, ProbeTarget, Role, RouterPeer, Sans, VirtualRouter,
};
pub use planner::{advertised_sans, node_sans, plan};
pub use problem::Problem;
pub use schema::json_schema;
pub use step::{Step, diff};
