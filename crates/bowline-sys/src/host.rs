//! What this machine is called, and which addresses are its own.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// The port of the datagram socket that asks for a route; nothing is ever sent to it (RFC 863, discard).
const DISCARD_PORT: u16 = 9;

/// The host name (`uname -n`), as the kernel has it: possibly short, possibly fully qualified.
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether `address` belongs to this machine (in this network namespace).
///
/// Asks the routing table without sending anything: from an own address the kernel would answer with that very address.
///
/// # Errors
/// When no datagram socket can be made, for want of descriptors or of the address family.
pub fn is_own(address: IpAddr) -> io::Result<bool> {
    if address.is_unspecified() || address.is_multicast() {
        return Ok(false);
    }
    let any: IpAddr = match address {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    // No route to it: then it is not ours.
    if socket.connect(SocketAddr::new(address, DISCARD_PORT)).is_err() {
        return Ok(false);
    }
    Ok(socket.local_addr()?.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_ours_and_a_documentation_address_is_not() {
        assert!(is_own("127.0.0.1".parse().unwrap()).unwrap());
        assert!(!is_own("192.0.2.1".parse().unwrap()).unwrap());
        assert!(!is_own("0.0.0.0".parse().unwrap()).unwrap());
        assert!(!is_own("224.0.0.18".parse().unwrap()).unwrap());
    }

    #[test]
    fn the_name_is_the_kernels() {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(name(), kernel.trim_end());
    }
}
