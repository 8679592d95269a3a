//! Which process listens on a port.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Owner {
    /// Its process id.
    pub pid: u32,
    /// Its short name (`/proc/PID/comm`, at most 15 bytes).
    pub program: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.program, self.pid)
    }
}

/// Whose listening TCP socket keeps `address` from being bound: one on the same port and the same address or a wildcard.
///
/// Looks in the network namespace of the calling thread. `None` when there is none any more, or when this user may not look into the process (another user's, without
/// `CAP_SYS_PTRACE`).
pub fn of_listener(address: SocketAddr) -> Option<Owner> {
    let tables = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
    let inodes: Vec<u64> = tables
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .flat_map(|table| {
            table.lines().filter_map(listening).filter(|l| l.conflicts(address)).collect::<Vec<_>>()
        })
        .map(|listening| listening.inode)
        .collect();
    if inodes.is_empty() {
        return None;
    }
    processes().find(|pid| holds(*pid, &inodes)).map(|pid| Owner { pid, program: program(pid) })
}

/// One listening socket of `/proc/net/tcp` or `tcp6`.
#[derive(PartialEq, Eq, Debug)]
struct Listening {
    address: SocketAddr,
    inode: u64,
}

impl Listening {
    fn conflicts(&self, wanted: SocketAddr) -> bool {
        let (theirs, ours) = (self.address.ip().to_canonical(), wanted.ip().to_canonical());
        self.address.port() == wanted.port()
            && (theirs == ours || theirs.is_unspecified() || ours.is_unspecified())
    }
}

/// The state of a listening socket in those tables (`TCP_LISTEN`, include/net/tcp_states.h).
const LISTEN: &str = "0A";

/// Parses a line of the tables (proc_pid_net(5)): `sl local_address rem_address st ... inode`; `None` for other lines.
fn listening(line: &str) -> Option<Listening> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    // After the local address: remote address, state, queues, timers, retransmits, uid, timeout, inode.
    if fields.nth(1)? != LISTEN {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let (address, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Listening { address: SocketAddr::new(parse_address(address)?, port), inode })
}

/// Addresses are printed as 32-bit words in the host's byte order, in hexadecimal.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut bytes = [0; 16];
            bytes.iter_mut().zip(words.iter().flatten()).for_each(|(to, from)| *to = *from);
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether one of the process's descriptors is one of these sockets.
fn holds(pid: u32, inodes: &[u64]) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|target| {
        let inode = target.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']'));
        inode.and_then(|inode| inode.parse().ok()).is_some_and(|inode: u64| inodes.contains(&inode))
    })
}

fn program(pid: u32) -> String {
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if comm.trim().is_empty() { "unknown program".into() } else { comm.trim().into() }
}

#[cfg(test)]
mod tests;
