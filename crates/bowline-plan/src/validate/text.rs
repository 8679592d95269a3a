//! Reads the texts of a description, and says of one that cannot be read what was probably meant.

use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU16;
use core::str::FromStr;
use core::time::Duration;

use super::Unreadable;
use crate::cluster::{AdminListen, Cidr, Front, Host, masked};
use crate::source::excerpt;

/// RFC 1035 section 2.3.4, in its usual notation without the final dot.
const NAME_LENGTH: usize = 253;
const LABEL_LENGTH: usize = 63;
/// IFNAMSIZ without the terminating zero.
const INTERFACE_LENGTH: usize = 15;

fn unreadable<T>(message: impl Into<String>, remedy: impl Into<String>) -> Result<T, Unreadable> {
    Err(Unreadable { message: message.into(), remedy: remedy.into() })
}

/// Any address, wildcards too.
pub(super) fn address(text: &str) -> Result<IpAddr, Unreadable> {
    if let Ok(address) = IpAddr::from_str(text) {
        return match address {
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) => {
                    unreadable(format!("{text} is an IPv4 address in IPv6 clothing"), format!("write {v4}"))
                }
                None => Ok(address),
            },
            IpAddr::V4(_) => Ok(address),
        };
    }
    let shown = excerpt(text);
    if let Some((_, rest)) = text.split_once("://") {
        return unreadable(
            format!("{shown} is a URL, not an address"),
            format!("write {}", excerpt(rest.trim_end_matches('/'))),
        );
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return unreadable(format!("{shown} is in brackets"), format!("write {}", excerpt(inner)));
    }
    if let Some((address, _)) = text.split_once('/') {
        return unreadable(
            format!("{shown} is a range, not an address"),
            format!("write {}", excerpt(address)),
        );
    }
    if let Ok(socket) = SocketAddr::from_str(text) {
        return unreadable(
            format!("{shown} has a port"),
            format!("write {}; ports have their own field", socket.ip()),
        );
    }
    if let Some((address, _)) = text.split_once('%') {
        return unreadable(format!("{shown} names a link"), format!("write {}", excerpt(address)));
    }
    unreadable(format!("{shown} is not an IP address"), "write one such as 10.0.0.11 or fd00::11")
}

/// An address that a single machine can have, and others can reach.
pub(super) fn unicast_address(text: &str) -> Result<IpAddr, Unreadable> {
    let address = address(text)?;
    let is_link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if is_link_local {
        return unreadable(format!("{text} is valid on one link alone"), "give an address others can reach");
    }
    match unassignable(address) {
        Some(why) => unreadable(format!("{text} {why}"), "give the machine's own address"),
        None => Ok(address),
    }
}

/// An address that can move between machines; one of IPv6 may be valid on its link alone. Loopback is refused here and not among
/// machines' own: a whole cluster may be tried out on one machine, but there nothing moves.
pub(super) fn virtual_address(text: &str) -> Result<IpAddr, Unreadable> {
    let address = address(text)?;
    let loopback = address.is_loopback().then_some("leads everybody to their own machine");
    match unassignable(address).or(loopback) {
        Some(why) => unreadable(format!("{text} {why}"), "give a free address of the nodes' subnet"),
        None => Ok(address),
    }
}

/// Why no machine can have the address on a link.
fn unassignable(address: IpAddr) -> Option<&'static str> {
    if address.is_unspecified() {
        return Some("stands for no address, or for any");
    }
    if address.is_multicast() {
        return Some("is a multicast group");
    }
    match address {
        IpAddr::V4(v4) if v4.is_broadcast() => Some("is everybody on a link"),
        // RFC 1122 section 3.2.1.3.
        IpAddr::V4(v4) if v4.octets().starts_with(&[0]) => Some("is in 0.0.0.0/8, which no machine can have"),
        // RFC 1112 section 4: class E.
        IpAddr::V4(v4) if v4.octets() >= [240, 0, 0, 0] => Some("is in 240.0.0.0/4, which is reserved"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// A DNS name in lower case, as Kubernetes wants its nodes named (RFC 1123 section 2.1).
pub(super) fn dns_name(text: &str) -> Result<String, Unreadable> {
    let shown = excerpt(text);
    if text.is_empty() {
        return unreadable("an empty name", "give a name");
    }
    if text.len() > NAME_LENGTH {
        return unreadable(
            format!("{shown} has {} characters", text.len()),
            format!("at most {NAME_LENGTH} are possible"),
        );
    }
    if IpAddr::from_str(text).is_ok() {
        return unreadable(format!("{shown} is an address, not a name"), "give a DNS name");
    }
    if text.split('.').all(is_label) {
        return Ok(text.to_owned());
    }
    let lower = text.to_ascii_lowercase();
    let lower = lower.trim_end_matches('.');
    if lower.split('.').all(is_label) {
        return unreadable(
            format!("{shown} is not in lower case, or ends with a dot"),
            format!("write {lower}"),
        );
    }
    let remedy = "use a-z, 0-9 and -, in parts of at most 63 characters with dots between them";
    unreadable(format!("{shown} is not a DNS name"), remedy)
}

fn is_label(label: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !label.is_empty()
        && label.len() <= LABEL_LENGTH
        && label.bytes().all(is_inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// An address or a DNS name.
pub(super) fn host(text: &str) -> Result<Host, Unreadable> {
    // What has only digits and dots, or a colon or a slash, was meant to be an address.
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') || text.contains([':', '/', '[']) {
        return unicast_address(text).map(Host::Address);
    }
    dns_name(text).map(Host::Name)
}

/// An address or a DNS name, perhaps with a port behind it; an IPv6 address with a port is in brackets.
pub(super) fn front(text: &str, port: NonZeroU16) -> Result<Front, Unreadable> {
    if text.contains("://") {
        return host(text).map(|host| Front { host, port });
    }
    let has_port = |rest: &str| rest.strip_prefix(':').is_some_and(|port| !port.is_empty());
    let split = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, rest)) if has_port(rest) => Some((inner, rest.get(1..).unwrap_or_default())),
        Some(_) => None,
        // More than one colon is an IPv6 address and no port.
        None => text.split_once(':').filter(|(_, rest)| !rest.contains(':')),
    };
    let Some((inner, given)) = split else { return host(text).map(|host| Front { host, port }) };
    match given.parse::<NonZeroU16>() {
        Ok(port) => host(inner).map(|host| Front { host, port }),
        Err(_) => unreadable(
            format!("{} has no port behind its colon", excerpt(text)),
            "write one such as 192.0.2.10:443 or \"[fd00::10]:443\"",
        ),
    }
}

/// What a certificate may hold: an address, a DNS name, or one with `*` as its first part.
pub(super) fn subject_name(text: &str) -> Result<String, Unreadable> {
    match text.strip_prefix("*.") {
        Some(rest) => dns_name(rest).map(|rest| format!("*.{rest}")),
        None => host(text).map(|host| host.to_string()),
    }
}

/// A whole number with a unit.
pub(super) fn duration(text: &str) -> Result<Duration, Unreadable> {
    const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shown = excerpt(text);
    if !number.is_empty() && unit.is_empty() {
        return unreadable(format!("{shown} has no unit"), format!("write {shown}s or {shown}ms"));
    }
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    // Nine digits of hours are 114,000 years, and fit.
    let number = number.parse::<u32>().ok().map(u64::from);
    match (number, factor) {
        (Some(number), Some(factor)) => Ok(Duration::from_millis(number.saturating_mul(factor))),
        (Some(_) | None, Some(_) | None) => unreadable(
            format!("{shown} is not a duration"),
            "write a whole number and ms, s, m or h, such as 100ms or 30s",
        ),
    }
}

/// A range, with nothing behind its prefix.
pub(super) fn cidr(text: &str) -> Result<Cidr, Unreadable> {
    let parsed = text.split_once('/').and_then(|(network, prefix)| {
        let network = IpAddr::from_str(network).ok()?;
        let prefix = prefix.parse::<u8>().ok()?;
        (prefix <= if network.is_ipv4() { 32 } else { 128 }).then_some(Cidr { network, prefix })
    });
    match parsed {
        None => {
            unreadable(format!("{} is not an address range", excerpt(text)), "write one such as 10.96.0.0/12")
        }
        Some(cidr) if masked(cidr.network, cidr.prefix) != cidr.network => {
            let network = masked(cidr.network, cidr.prefix);
            unreadable(
                format!("{text} is an address within a range"),
                format!("write {network}/{}", cidr.prefix),
            )
        }
        Some(cidr) => Ok(cidr),
    }
}

/// `1.32`, also as `v1.32` or with a patch number.
pub(super) fn version(text: &str) -> Result<(u16, u16), Unreadable> {
    let mut parts = text.strip_prefix('v').unwrap_or(text).splitn(3, '.');
    let mut next = || parts.next().and_then(|part| part.parse::<u16>().ok());
    match (next(), next()) {
        (Some(major), Some(minor)) => Ok((major, minor)),
        (Some(_) | None, Some(_) | None) => unreadable(
            format!("{} is not a version of Kubernetes", excerpt(text)),
            "write one such as \"1.32\"",
        ),
    }
}

/// A network link's name.
pub(super) fn interface(text: &str) -> Result<String, Unreadable> {
    let is_fine = |c: char| c.is_ascii_graphic() && c != '/' && c != ':';
    // As the kernel's dev_valid_name.
    let is_reserved = matches!(text, "." | "..");
    if text.is_empty() || text.len() > INTERFACE_LENGTH || is_reserved || !text.chars().all(is_fine) {
        return unreadable(
            format!("{} is not the name of a network interface", excerpt(text)),
            "write one such as eth0",
        );
    }
    if text == "lo" {
        return unreadable("lo leads to its own machine alone", "name the link that the nodes share");
    }
    Ok(text.to_owned())
}

/// Where metrics and status are served. They say much about a cluster, so only to this machine.
pub(super) fn admin_listen(text: &str) -> Result<AdminListen, Unreadable> {
    if let Some(path) = text.strip_prefix("unix:") {
        if path.starts_with('/') && !path.contains('\0') {
            return Ok(AdminListen::Unix(path.to_owned()));
        }
        return unreadable(
            format!("{} has no absolute path", excerpt(text)),
            "write one such as unix:/run/bowline.sock",
        );
    }
    match SocketAddr::from_str(text) {
        Ok(address) if address.ip().is_loopback() => Ok(AdminListen::Tcp(address)),
        Ok(_) => unreadable(
            format!("{text} can be reached from other machines"),
            "listen on a loopback address such as 127.0.0.1:9643, or on unix: and a path",
        ),
        Err(_) => unreadable(
            format!("{} is not an address and port", excerpt(text)),
            "write one such as 127.0.0.1:9643 or \"[::1]:9643\"",
        ),
    }
}

/// A duration as one writes it: the largest unit that leaves a whole number.
pub(super) struct Shown(pub(super) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.0.as_millis();
        if milliseconds == 0 {
            return f.write_str("0s");
        }
        let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
        match units.into_iter().find(|(_, factor)| milliseconds.is_multiple_of(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", milliseconds / factor),
            None => write!(f, "{milliseconds}ms"),
        }
    }
}

#[cfg(test)]
mod tests;
