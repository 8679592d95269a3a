//! What the kernel knows of a TCP connection: `TCP_INFO` of tcp(7).
//!
//! Neither the standard library nor the crates we use offer it, so that this module calls `getsockopt` itself.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// `IPPROTO_TCP` and `TCP_INFO` of linux/in.h and linux/tcp.h.
const LEVEL: c_int = 6;
const TCP_INFO: c_int = 11;

/// Where `tcpi_rtt`, a `u32` of microseconds, stands in `struct tcp_info` of linux/tcp.h: after 8 bytes and 15 words. Fields
/// are only ever added behind those that are there.
const ROUND_TRIP: usize = 8 + 15 * 4;

/// The part of the structure that is asked for.
const LENGTH: usize = ROUND_TRIP + 4;

unsafe extern "C" {
    fn getsockopt(socket: c_int, level: c_int, name: c_int, value: *mut c_void, length: *mut u32) -> c_int;
}

/// The kernel's smoothed round-trip time of a connection; right after the connect that of its SYN.
///
/// # Errors
/// When `socket` is no TCP connection, or the kernel has measured nothing yet.
pub fn round_trip(socket: impl AsFd) -> io::Result<Duration> {
    let mut info = [0u8; LENGTH];
    let mut length = LENGTH as u32;
    // SAFETY: both pointers are to live, writable values, `length` is the size of what `value` points to, and the kernel
    // writes at most that much; the descriptor is open for as long as `socket` is borrowed.
    let result = unsafe {
        getsockopt(socket.as_fd().as_raw_fd(), LEVEL, TCP_INFO, info.as_mut_ptr().cast(), &mut length)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let micros = info.last_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
    if length as usize != LENGTH || micros == 0 {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "no round-trip time is known"));
    }
    Ok(Duration::from_micros(micros.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

    #[test]
    fn a_loopback_connection_has_a_short_round_trip() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let round_trip = round_trip(&stream).unwrap();
        assert!(round_trip > Duration::ZERO && round_trip < Duration::from_millis(500), "{round_trip:?}");
    }

    #[test]
    fn what_is_no_connection_has_none() {
        assert!(round_trip(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).is_err());
        assert!(round_trip(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()).is_err());
    }
}
