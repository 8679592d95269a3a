//! How many file descriptors this process may have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;

/// The descriptors this process may have open now (the soft limit of `RLIMIT_NOFILE`); `u64::MAX` when unlimited.
pub fn descriptors() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Raises the soft limit of descriptors to the hard one, which needs no privilege, and returns it.
///
/// # Errors
/// When the kernel refuses, which a seccomp profile can cause.
pub fn raise_descriptors() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// Lowers the soft limit of descriptors to `to`; what is open stays open.
///
/// # Errors
/// When `to` lies above the hard limit.
pub fn lower_descriptors(to: u64) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(to), maximum: limit.maximum })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let hard = raise_descriptors().expect("an unprivileged process may raise its soft limit");
        assert_eq!(descriptors(), hard);
    }
}
