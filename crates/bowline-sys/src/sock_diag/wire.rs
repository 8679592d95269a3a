//! Requests and answers of sock_diag. Ports and addresses are in network byte order, all else in the host's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Connection, Filter, Side};
use crate::netlink::{Encoder, u8_at};

pub(super) const SOCK_DIAG_BY_FAMILY: u16 = 20;
pub(super) const SOCK_DESTROY: u16 = 21;

pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;

/// `TCP_LISTEN`, `TCP_TIME_WAIT` and `TCP_CLOSE` left out of all twelve: what has a peer that can be reset.
const STATES: u32 = 0xfff & !(1 << 10 | 1 << 6 | 1 << 7);

/// The filter, as a program of conditions.
const INET_DIAG_REQ_BYTECODE: u16 = 1;
const BC_JUMP: u8 = 1;
const BC_SOURCE: u8 = 7;
const BC_DESTINATION: u8 = 8;
/// `struct inet_diag_bc_op`: code, where to go on if it holds, and where if not, both in bytes from here.
const OPERATION: usize = 4;
/// `struct inet_diag_hostcond`: family, prefix length, padding, port (-1 is any), address.
const CONDITION: usize = 8;
/// Beyond the end, and not at it: refused.
const REFUSE: usize = 4;

/// As many addresses as fit behind the 16 bits of a jump.
const ADDRESSES_MAX: usize = 1024;

/// `struct inet_diag_sockid`: ports, addresses, interface, cookie.
const ID: usize = 48;
const COOKIE: usize = 8;
/// Where it stands in `struct inet_diag_msg`: after family, state, timer and retransmissions.
const ID_IN_ANSWER: usize = 4;

/// What the kernel knows a socket by. The cookie is never used again: another connection with the same addresses is not taken for it.
#[derive(Clone, Debug)]
pub(super) struct Id {
    family: u8,
    bytes: [u8; ID],
}

impl Id {
    /// That of a socket without ports, addresses and cookie (`INET_DIAG_NOCOOKIE`, all ones).
    pub(super) fn none() -> Self {
        let mut bytes = [0; ID];
        bytes[ID - COOKIE..].fill(0xff);
        Self { family: AF_INET, bytes }
    }
}

/// The filter for the sockets of one family; `None` when none of that family can be meant.
pub(super) fn conditions(filter: &Filter<'_>, family: u8) -> io::Result<Option<Vec<u8>>> {
    let code = match filter.side {
        Side::Local => BC_SOURCE,
        Side::Remote => BC_DESTINATION,
    };
    // IPv6 sockets may have IPv4 addresses, mapped ones, which the kernel compares with plain ones itself.
    let meant = |address: &&IpAddr| address.is_ipv4() || family == AF_INET6;
    let addresses: Vec<_> = filter.addresses.iter().filter(meant).collect();
    if addresses.is_empty() {
        return Ok(None);
    }
    if addresses.len() > ADDRESSES_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // Built from the end: each address that matches jumps over what is behind it, to the very end, which accepts.
    let mut program: Vec<u8> = Vec::new();
    for address in addresses.iter().rev() {
        let condition = condition(address, filter.port);
        let length = OPERATION + condition.len();
        let behind = program.len();
        let mut step = Vec::with_capacity(length + OPERATION + behind);
        // The last one refuses if it does not hold; the others go on behind their jump.
        let unless = if behind == 0 { length + REFUSE } else { length + OPERATION };
        step.extend_from_slice(&operation(code, length, unless)?);
        step.extend_from_slice(&condition);
        if behind > 0 {
            step.extend_from_slice(&operation(BC_JUMP, OPERATION, OPERATION + behind)?);
        }
        step.append(&mut program);
        program = step;
    }
    Ok(Some(program))
}

fn operation(code: u8, yes: usize, no: usize) -> io::Result<[u8; OPERATION]> {
    let too_far = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let [a, b] = u16::try_from(no).map_err(too_far)?.to_ne_bytes();
    Ok([code, u8::try_from(yes).map_err(too_far)?, a, b])
}

fn condition(address: &IpAddr, port: Option<u16>) -> Vec<u8> {
    let mut condition = Vec::with_capacity(CONDITION + 16);
    let (family, prefix) = if address.is_ipv4() { (AF_INET, 32) } else { (AF_INET6, 128) };
    condition.extend_from_slice(&[family, prefix, 0, 0]);
    condition.extend_from_slice(&port.map_or(-1, i32::from).to_ne_bytes());
    match address {
        IpAddr::V4(address) => condition.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => condition.extend_from_slice(&address.octets()),
    }
    condition
}

/// `struct inet_diag_req_v2`: family, protocol, extensions, padding, states, and a socket, here none.
pub(super) fn list(family: u8, conditions: &[u8]) -> Encoder {
    let mut request = header(family, STATES);
    request.structure(&[0; ID]);
    request.attribute(INET_DIAG_REQ_BYTECODE, conditions);
    request
}

/// The same for one socket.
pub(super) fn one(id: &Id) -> Encoder {
    let mut request = header(id.family, u32::MAX);
    request.structure(&id.bytes);
    request
}

fn header(family: u8, states: u32) -> Encoder {
    let mut request = Encoder::default();
    request.structure(&[family, IPPROTO_TCP, 0, 0]);
    request.structure(&states.to_ne_bytes());
    request
}

/// Reads `struct inet_diag_msg`.
pub(super) fn connection(body: &[u8]) -> Option<Connection> {
    let family = u8_at(body, 0)?;
    let bytes: [u8; ID] = *body.get(ID_IN_ANSWER..)?.first_chunk()?;
    let end = |port: usize, address: usize| {
        let port = u16::from_be_bytes(*bytes.get(port..)?.first_chunk()?);
        Some(SocketAddr::new(ip(family, bytes.get(address..)?)?, port))
    };
    Some(Connection { local: end(0, 4)?, remote: end(2, 20)?, id: Id { family, bytes } })
}

/// An IPv4 address on an IPv6 socket is told as what it is.
fn ip(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => Some(Ipv4Addr::from(*bytes.first_chunk::<4>()?).into()),
        AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(*bytes.first_chunk::<16>()?)).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
