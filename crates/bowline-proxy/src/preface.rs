//! What is sent to an endpoint before the client's first byte: who the client is, by the PROXY protocol, version 2
//! (<https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>, section 2.2).

use std::net::{IpAddr, SocketAddr};

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Version 2, command PROXY: the connection is relayed for somebody else.
const VERSION_AND_COMMAND: u8 = 0x21;

const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The header for a connection from `client` to `local`, which are of one family.
pub(crate) fn header(client: SocketAddr, local: SocketAddr) -> Vec<u8> {
    let (family, addresses) = match (client.ip(), local.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (TCP_OVER_IPV4, [from.octets(), to.octets()].concat()),
        (from, to) => (TCP_OVER_IPV6, [as_ipv6(from), as_ipv6(to)].concat()),
    };
    let ports = [client.port().to_be_bytes(), local.port().to_be_bytes()].concat();
    let length = (addresses.len() + ports.len()) as u16;
    [&SIGNATURE[..], &[VERSION_AND_COMMAND, family], &length.to_be_bytes(), &addresses, &ports].concat()
}

fn as_ipv6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_header_is_as_the_specification_has_it() {
        let header = |from: &str, to: &str| super::header(from.parse().unwrap(), to.parse().unwrap());
        let four = [
            0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, // signature
            0x21, 0x11, 0x00, 0x0c, // version 2, TCP over IPv4, 12 bytes follow
            10, 1, 2, 3, 192, 0, 2, 7, 0x04, 0xd2, 0x19, 0x2b,
        ];
        assert_eq!(header("10.1.2.3:1234", "192.0.2.7:6443"), four);
        let six = header("[2001:db8::1]:1234", "[2001:db8::2]:6443");
        assert_eq!((six.len(), &six[12..16]), (16 + 36, &[0x21, 0x21, 0x00, 0x24][..]));
        assert_eq!((six[31], six[47], &six[48..]), (1, 2, &[0x04, 0xd2, 0x19, 0x2b][..]));
    }
}
