//! What this process may do beyond an ordinary one: capabilities(7).

use std::fmt;
use std::io;

use rustix::thread::{CapabilitySet, capabilities};

/// The capabilities that any part of bowline asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Capability {
    /// Addresses, links, the end of others' sockets.
    NetAdmin,
    /// Raw sockets and whole frames.
    NetRaw,
    /// Ports below 1024.
    NetBindService,
    /// Memory that stays in RAM.
    IpcLock,
    /// Real-time scheduling.
    SysNice,
    /// Limits above the hard ones.
    SysResource,
    /// BPF programs.
    Bpf,
}

impl Capability {
    /// Its name, as in capabilities(7), container manifests and systemd units: `CAP_NET_ADMIN`.
    pub fn name(self) -> &'static str {
        match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
            Self::NetBindService => "CAP_NET_BIND_SERVICE",
            Self::IpcLock => "CAP_IPC_LOCK",
            Self::SysNice => "CAP_SYS_NICE",
            Self::SysResource => "CAP_SYS_RESOURCE",
            Self::Bpf => "CAP_BPF",
        }
    }

    fn set(self) -> CapabilitySet {
        match self {
            Self::NetAdmin => CapabilitySet::NET_ADMIN,
            Self::NetRaw => CapabilitySet::NET_RAW,
            Self::NetBindService => CapabilitySet::NET_BIND_SERVICE,
            Self::IpcLock => CapabilitySet::IPC_LOCK,
            Self::SysNice => CapabilitySet::SYS_NICE,
            Self::SysResource => CapabilitySet::SYS_RESOURCE,
            Self::Bpf => CapabilitySet::BPF,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether the calling thread has it now (its effective set). In a user namespace it may hold for that namespace only.
///
/// # Errors
/// When a seccomp profile forbids to ask.
pub fn has(capability: Capability) -> io::Result<bool> {
    Ok(capabilities(None)?.effective.contains(capability.set()))
}

/// Those of `wanted` that the calling thread does not have.
///
/// # Errors
/// As [`has`].
pub fn missing(wanted: &[Capability]) -> io::Result<Vec<Capability>> {
    let effective = capabilities(None)?.effective;
    Ok(wanted.iter().copied().filter(|capability| !effective.contains(capability.set())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_the_same() {
        // `CapEff` of proc_pid_status(5), a bit for each of linux/capability.h.
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        let effective = u64::from_str_radix(line.trim(), 16).unwrap();
        for (capability, bit) in [
            (Capability::NetBindService, 10),
            (Capability::NetAdmin, 12),
            (Capability::NetRaw, 13),
            (Capability::IpcLock, 14),
            (Capability::SysNice, 23),
            (Capability::SysResource, 24),
            (Capability::Bpf, 39),
        ] {
            assert_eq!(has(capability).unwrap(), effective & (1 << bit) != 0, "{capability}");
            assert_eq!(missing(&[capability]).unwrap().is_empty(), has(capability).unwrap(), "{capability}");
        }
    }
}
