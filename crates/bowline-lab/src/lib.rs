//! What demo, tests and benchmarks fail in turn, and what measures the failure: certificates, a stand-in API server, a fleet of
//! them with faults, and the outage client; for virtual IPs a segment of namespaces ([`lan`]) with a tap on its wire ([`wire`]), the
//! programs that hold addresses there ([`peer`]), what each of them must do ([`conformance`]), how two of different make get on
//! ([`interop`]), and what clients see when the holder fails ([`failover`]), and whether it keeps its address on a busy machine ([`churn`]). Knows nothing of the balancer: no crate of the daemon
//! is a dependency, so the same measurement can be aimed at any other balancer.
#![forbid(unsafe_code)]

pub mod certs;
pub mod churn;
pub mod conformance;
pub mod failover;
pub mod fleet;
pub mod gauge;
pub mod interop;
pub mod lan;
pub mod load;
pub mod outage;
pub mod peer;
pub mod standin;
pub mod wire;
