//! What the daemon tells its guard: lines of text, so that one half of a line is never taken for another one.

use bowline_sys::rtnetlink::{Before, VirtualMac};
use std::fmt;
use std::net::IpAddr;

/// What is to be done for one router when the daemon is gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Will {
    /// Where: the kernel's number of the interface.
    pub(crate) interface: u32,
    /// Whose link is to be removed, with the addresses on it; none when they are on the interface.
    pub(crate) virtual_link: Option<VirtualMac>,
    /// How the interface was before that.
    pub(crate) before: Option<Before>,
    /// Where the adverts come from.
    pub(crate) source: IpAddr,
    /// Adverts of priority 0, ready to be sent, each with its destination.
    pub(crate) adverts: Vec<(IpAddr, Vec<u8>)>,
    /// What is to be removed.
    pub(crate) addresses: Vec<IpAddr>,
}

impl Will {
    /// Whether every advert is for the group, and none for single peers.
    pub(crate) fn is_multicast(&self) -> bool {
        self.adverts.iter().all(|(destination, _)| destination.is_multicast())
    }
}

/// Stands before the name of a link of the router's own.
const LINK: &str = "@";
/// Stands before how the interface was.
const BEFORE: &str = "~";

/// One line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Word {
    /// The daemon's number as a process; said first.
    Daemon { pid: u32 },
    /// The daemon holds the addresses of this router from now on.
    Armed { router: u32, will: Will },
    /// It holds them no more.
    Disarmed { router: u32 },
    /// It ends, and has let go of everything.
    Farewell,
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon { pid } => write!(f, "daemon {pid}"),
            Self::Armed { router, will } => {
                write!(f, "armed {router} {} {}", will.interface, will.source)?;
                if let Some(of) = will.virtual_link {
                    write!(f, " {LINK}{}", of.link_name())?;
                }
                if let Some(before) = will.before {
                    write!(f, " {BEFORE}{before}")?;
                }
                for (destination, bytes) in &will.adverts {
                    write!(f, " {destination}=")?;
                    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                }
                will.addresses.iter().try_for_each(|address| write!(f, " {address}"))
            }
            Self::Disarmed { router } => write!(f, "disarmed {router}"),
            Self::Farewell => f.write_str("farewell"),
        }
    }
}

impl Word {
    /// What a line says; `None` when it is none of ours.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let word = match words.next()? {
            "daemon" => Self::Daemon { pid: words.next()?.parse().ok()? },
            "armed" => {
                let router = words.next()?.parse().ok()?;
                let (interface, source) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                let (adverts, addresses) = (Vec::new(), Vec::new());
                let (virtual_link, before) = (None, None);
                let mut will = Will { interface, virtual_link, before, source, adverts, addresses };
                for word in words.by_ref() {
                    if let Some(name) = word.strip_prefix(LINK) {
                        will.virtual_link = Some(VirtualMac::of_link_name(name)?);
                        continue;
                    }
                    if let Some(before) = word.strip_prefix(BEFORE) {
                        will.before = Some(Before::parse(before)?);
                        continue;
                    }
                    match word.split_once('=') {
                        Some((destination, bytes)) => {
                            will.adverts.push((destination.parse().ok()?, from_hex(bytes)?));
                        }
                        None => will.addresses.push(word.parse().ok()?),
                    }
                }
                Self::Armed { router, will }
            }
            "disarmed" => Self::Disarmed { router: words.next()?.parse().ok()? },
            "farewell" => Self::Farewell,
            _ => return None,
        };
        words.next().is_none().then_some(word)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let will = Will {
            interface: 7,
            virtual_link: None,
            before: None,
            source: "fe80::1".parse().unwrap(),
            adverts: vec![
                ("ff02::12".parse().unwrap(), vec![0x31, 0, 0xff]),
                ("fe80::2".parse().unwrap(), vec![]),
            ],
            addresses: vec!["fe80::9".parse().unwrap(), "2001:db8::9".parse().unwrap()],
        };
        let daemon = Word::Daemon { pid: 77 };
        let on_its_own = Will { virtual_link: VirtualMac::of_link_name("bl-51-6"), ..will.clone() };
        assert!(on_its_own.virtual_link.is_some());
        let remembers = Will { before: Before::parse("7/0/1"), ..on_its_own.clone() };
        assert!(remembers.before.is_some());
        let armed = |will| Word::Armed { router: 3, will };
        let wills = [will, on_its_own, remembers].map(armed);
        for word in wills.into_iter().chain([daemon, Word::Disarmed { router: 3 }, Word::Farewell]) {
            assert_eq!(Word::parse(&word.to_string()), Some(word));
        }
    }

    #[test]
    fn nothing_else_is() {
        let wrong = [
            "",
            "armed",
            "armed 1",
            "armed 1 2",
            "armed x 2 10.0.0.1",
            "armed 1 2 10.0.0.1 10.0.0.2=3",
            "armed 1 2 10.0.0.1 10.0.0.2=é0",
            "armed 1 2 10.0.0.1 nothing",
            "armed 1 2 10.0.0.1 @eth0",
            "armed 1 2 10.0.0.1 ~2/0",
            "disarmed",
            "disarmed -1",
            "disarmed 1 2",
            "farewell 1",
            "farewel",
        ];
        for line in wrong {
            assert_eq!(Word::parse(line), None, "{line}");
        }
    }
}
