//! What is known of each peer whose adverts were accepted, so that it is said once.

use crate::config::{ChecksumForm, PEERS_MAX};
use crate::message::Event;
use crate::receive::Advert;
use core::net::IpAddr;
use std::collections::BTreeMap;

/// Changes of what a peer's checksum covers that are told; a peer that does both in turn is not told of for ever.
const CHANGES_MAX: u8 = 3;

#[derive(Clone, Copy, Debug)]
struct Neighbour {
    checksum: Option<ChecksumForm>,
    told: u8,
    differs_told: bool,
}

/// All of them, [`PEERS_MAX`] at most: beyond that, nothing is told of a newcomer.
#[derive(Clone, Debug, Default)]
pub(super) struct Neighbours(BTreeMap<IpAddr, Neighbour>);

impl Neighbours {
    /// What is new about the sender of `advert`.
    pub(super) fn note(&mut self, advert: &Advert) -> [Option<Event>; 2] {
        let Advert { source: peer, checksum, .. } = *advert;
        if self.0.len() >= PEERS_MAX && !self.0.contains_key(&peer) {
            return [None; 2];
        }
        let unknown = Neighbour { checksum, told: 0, differs_told: false };
        let neighbour = self.0.entry(peer).or_insert(unknown);
        let is_new = neighbour.told == 0 || neighbour.checksum != checksum;
        let heard = is_new && neighbour.told < CHANGES_MAX;
        let differs = !advert.same_addresses && !neighbour.differs_told;
        neighbour.checksum = checksum;
        neighbour.told = neighbour.told.saturating_add(u8::from(heard));
        neighbour.differs_told |= differs;
        [
            heard.then_some(Event::PeerHeard { peer, checksum }),
            differs.then_some(Event::AddressesDiffer { peer }),
        ]
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
