//! An address as a lease: it ends by itself unless it is renewed, so that a daemon that was killed, frozen or paused loses it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;

use rustix::io::Errno;

use super::wire::{self, Subject};
use super::{Address, Rtnetlink, Scope};
use crate::netlink::{Encoder, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL, NLM_F_REPLACE};

/// The mark that our addresses carry (`IFA_PROTO`): VRRP's protocol number, which no other program that marks its own uses.
pub const OUR_MARK: u8 = 112;

/// An address that an interface shall have for a while.
///
/// IPv4 as /32 of scope host: deprecation alone does not keep an IPv4 address from being chosen as a source. IPv6 as /128 without
/// a route, without asking for duplicates (our own detection does not delay a takeover), and deprecated from the start, which
/// keeps it from being chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The interface's [`super::Link::index`].
    pub interface: u32,
    /// The address.
    pub address: IpAddr,
    /// For how many seconds from now; the kernel counts whole ones.
    pub valid: NonZeroU32,
}

/// The kernel has the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// [`Address::created`]: by it a renewal knows whether the address was there all the time.
    created: u32,
}

/// What a renewal found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Renewal {
    /// It was there without a break.
    Kept,
    /// It was gone, removed or expired, and is there again by this renewal: connections may have been lost meanwhile.
    Recreated(Held),
}

/// What a removal found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removal {
    /// It was there.
    Removed,
    /// It was not: never added, expired, removed by another, or gone with its interface.
    WasGone,
}

/// Why an address is not held.
#[derive(Debug)]
pub enum HoldError {
    /// The interface has it already, and not from us: making a lease of it would take it from its owner.
    Foreign(Box<Address>),
    /// `EPERM` without `CAP_NET_ADMIN`, `ENODEV` without the interface, `EACCES` or `EINVAL` where IPv6 is off.
    Kernel(io::Error),
}

impl fmt::Display for HoldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(found) => {
                write!(
                    f,
                    "{}/{} is on the interface already, and not added by us",
                    found.address, found.prefix
                )
            }
            Self::Kernel(_) => write!(f, "the kernel does not add the address"),
        }
    }
}

impl std::error::Error for HoldError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Foreign(_) => None,
            Self::Kernel(source) => Some(source),
        }
    }
}

impl From<io::Error> for HoldError {
    fn from(source: io::Error) -> Self {
        Self::Kernel(source)
    }
}

impl Address {
    /// Whether it is a lease of ours, or of a process of ours that ended: by the mark, and where the kernel shows none by all
    /// that makes a lease.
    pub fn is_ours(&self) -> bool {
        let is_lease = self.valid.is_some()
            && self.flags.is_deprecated()
            && match self.address {
                IpAddr::V4(_) => self.prefix == 32 && self.scope == Scope::Host,
                IpAddr::V6(_) => {
                    self.prefix == 128 && self.flags.is_unasked() && self.flags.is_without_route()
                }
            };
        is_lease && self.proto.is_none_or(|mark| mark == OUR_MARK)
    }
}

impl Rtnetlink {
    /// Adds the address. One that is there already and is ours ([`Address::is_ours`]) is renewed.
    ///
    /// # Errors
    /// See [`HoldError`].
    pub fn hold(&self, lease: &Lease) -> Result<Held, HoldError> {
        match self.assert(lease, NLM_F_CREATE | NLM_F_EXCL) {
            Ok(held) => return Ok(held),
            Err(error) if Errno::from_io_error(&error) == Some(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        match self.find(lease)? {
            Some(found) if !found.is_ours() => Err(HoldError::Foreign(Box::new(found))),
            // It is ours, or has just gone.
            Some(_) | None => Ok(self.assert(lease, NLM_F_CREATE | NLM_F_REPLACE)?),
        }
    }

    /// Lets the address live for another [`Lease::valid`] from now. One that was gone is there again, which the result tells:
    /// the kernel has no renewal that does not add.
    ///
    /// # Errors
    /// `ENODEV` when the interface is gone, `EPERM` without `CAP_NET_ADMIN`.
    pub fn renew(&self, lease: &Lease, held: &Held) -> io::Result<Renewal> {
        let now = self.assert(lease, NLM_F_REPLACE)?;
        Ok(if now == *held { Renewal::Kept } else { Renewal::Recreated(now) })
    }

    /// Removes the address.
    ///
    /// # Errors
    /// `EPERM` without `CAP_NET_ADMIN`.
    pub fn remove(&self, lease: &Lease) -> io::Result<Removal> {
        match self.netlink.ask(wire::RTM_DELADDR, 0, &lease.subject().encode()) {
            Ok(()) => Ok(Removal::Removed),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::ADDRNOTAVAIL | Errno::NODEV) => Ok(Removal::WasGone),
                _ => Err(error),
            },
        }
    }

    /// Adds or renews, and reads when the address was added.
    fn assert(&self, lease: &Lease, flags: u16) -> io::Result<Held> {
        let mut found = None;
        self.netlink.ask_and_hear(wire::RTM_NEWADDR, flags | NLM_F_ECHO, &lease.encode(), |message| {
            found = wire::address(message.body);
        })?;
        // IPv6 echoes nothing, but has a request for a single address, which waits for no lock.
        if found.is_none() && lease.address.is_ipv6() {
            self.netlink.ask_and_hear(wire::RTM_GETADDR, 0, &lease.subject().encode(), |message| {
                found = wire::address(message.body);
            })?;
        }
        let found = found.ok_or_else(|| io::Error::from(Errno::ADDRNOTAVAIL))?;
        Ok(Held { created: found.created })
    }

    fn find(&self, lease: &Lease) -> io::Result<Option<Address>> {
        let is_it = |found: &Address| {
            found.interface == lease.interface
                && found.address == lease.address
                // IPv4 can have one address with several prefixes, of which the /32 is meant.
                && (found.address.is_ipv6() || found.prefix == lease.subject().prefix)
        };
        Ok(self.addresses()?.into_iter().find(is_it))
    }
}

impl Lease {
    /// The request that adds or renews it.
    pub(super) fn encode(&self) -> Encoder {
        let mut request = self.subject().encode();
        wire::finite(&mut request, self.valid.get(), OUR_MARK);
        request
    }

    fn subject(&self) -> Subject {
        let (prefix, scope, flags) = match self.address {
            IpAddr::V4(_) => (32, Scope::Host, 0),
            IpAddr::V6(_) => (128, Scope::Global, wire::IFA_F_NODAD | wire::IFA_F_NOPREFIXROUTE),
        };
        Subject { interface: self.interface, address: self.address, prefix, flags, scope }
    }
}

#[cfg(test)]
mod tests;
