//! What keepalived 2.2.7 put on the wire, captured between two ends of a veth pair: what follows the IP header.

use bowline_vrrp::{Addresses, Centiseconds, ChecksumForm, Password, Protocol, Seconds, Vrid};
use bowline_vrrp::{Family, Repr};
use std::net::IpAddr;

pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) source: IpAddr,
    pub(crate) family: Family,
    pub(crate) bytes: Vec<u8>,
    pub(crate) says: Repr,
}

const V3: Protocol = match Centiseconds::new(20) {
    Some(interval) => Protocol::V3 { interval, checksum: ChecksumForm::PseudoHeader },
    None => unreachable!(),
};

fn sample(name: &'static str, hex: &str, priority: u8, addresses: &[&str], protocol: Protocol) -> Sample {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    let bytes = digits.chunks_exact(2).map(byte).collect();
    let addresses = Addresses::new(addresses.iter().map(|text| text.parse().unwrap()).collect()).unwrap();
    let family = addresses.family();
    let source = match family {
        Family::V4 => "10.0.0.1",
        Family::V6 => "fe80::ff:fe00:a",
    };
    let says = Repr { vrid: Vrid::new(51).unwrap(), priority, addresses, protocol };
    Sample { name, source: source.parse().unwrap(), family, bytes, says }
}

pub(crate) fn samples() -> Vec<Sample> {
    let one = &["10.0.0.100"];
    let two = &["10.0.0.100", "10.0.0.101"];
    let six = &["fe80::100", "fd00::100"];
    let v2 = Protocol::V2 { interval: Seconds::DEFAULT, password: None };
    let pass = Protocol::V2 { interval: Seconds::DEFAULT, password: Some(Password::new(b"secret").unwrap()) };
    vec![
        sample("v2", "2133 6401 0001 7066 0a00 0064 0000 0000 0000 0000", 100, one, v2),
        sample("v2-pass", "2133 6401 0101 331a 0a00 0064 7365 6372 6574 0000", 100, one, pass),
        sample("v3", "3133 6402 0014 6b59 0a00 0064 0a00 0065", 100, two, V3),
        sample("v3-farewell", "3133 0002 0014 cf59 0a00 0064 0a00 0065", 0, two, V3),
        sample(
            "v3-ipv6",
            "3133 6402 0014 6ffc fe80 0000 0000 0000 0000 0000 0000 0100 fd00 0000 0000 0000 0000 0000 0000 0100",
            100,
            six,
            V3,
        ),
        sample(
            "v3-ipv6-farewell",
            "3133 0002 0014 d3fc fe80 0000 0000 0000 0000 0000 0000 0100 fd00 0000 0000 0000 0000 0000 0000 0100",
            0,
            six,
            V3,
        ),
    ]
}
