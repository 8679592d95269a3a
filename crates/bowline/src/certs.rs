//! X.509 certificates: issued with the names the plan asks for, read, and held against the plan.
//!
//! What is read comes from files and servers of others: every reader is bounded, and nothing in it can end the program.

mod check;
mod facts;
mod fetch;
mod issue;
mod read;
mod store;
mod trust;

pub use check::{CODES, CertsCheck, CertsFinding, Wanted, check};
pub use facts::{CertificateFacts, CertsInspect, InspectedCertificate};
pub use fetch::{FetchError, Server, fetch};
pub use issue::{Authority, IssueError, Issued, KeyType, Leaf};
pub use read::{ReadError, certificates, certificates_in, private_key};
pub use store::{NewFile, StoreError, write_new};

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// Now, in seconds since 1970; a clock before that is no clock.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
