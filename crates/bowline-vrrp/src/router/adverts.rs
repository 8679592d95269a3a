//! Adverts ready to be sent: nothing is built, and nothing allocated, when one is due.

use super::LAST_RESORT;
use crate::config::{Config, Transport};
use crate::message::Transmission;
use crate::packet::Repr;

/// The adverts of one round with `priority`, one for each destination (with unicast, the checksum of version 3 covers it).
/// With priority 0 they are the farewell, which a guard sends for a process that cannot.
pub fn adverts(config: &Config, priority: u8) -> Vec<Transmission> {
    let settings = config.settings();
    let repr = Repr {
        vrid: settings.vrid,
        priority,
        addresses: settings.addresses.clone(),
        protocol: settings.protocol,
    };
    let transmission =
        |destination| Transmission { destination, bytes: repr.emit(settings.source, destination).into() };
    match &settings.transport {
        Transport::Multicast => vec![transmission(config.family().group())],
        Transport::Unicast(peers) => peers.iter().copied().map(transmission).collect(),
    }
}

/// Every kind of round.
#[derive(Clone, Debug)]
pub(super) struct Adverts {
    priority: u8,
    present: Vec<Transmission>,
    parting: Vec<Transmission>,
    farewell: Vec<Transmission>,
}

impl Adverts {
    pub(super) fn new(config: &Config, priority: u8) -> Self {
        Self {
            priority,
            present: adverts(config, priority),
            parting: adverts(config, LAST_RESORT),
            farewell: adverts(config, 0),
        }
    }

    /// What the present ones say.
    pub(super) const fn priority(&self) -> u8 {
        self.priority
    }

    pub(super) fn present(&self) -> impl Iterator<Item = Transmission> {
        self.present.iter().cloned()
    }

    /// Of one that gives way.
    pub(super) fn parting(&self) -> impl Iterator<Item = Transmission> {
        self.parting.iter().cloned()
    }

    pub(super) fn farewell(&self) -> impl Iterator<Item = Transmission> {
        self.farewell.iter().cloned()
    }
}
