//! What the kernel tells about a router's interface and the addresses on it.

use super::hands::Hands;
use super::kept::Kept;
use super::neighbours::Neighbours;
use crate::event::Event;
use crate::shared::{Shared, now};
use bowline_sansio::Instant;
use bowline_sys::announce::Listener;
use bowline_sys::rtnetlink::{Address, Interfaces, Link};
use bowline_vrrp::{Fault, Loss};
use std::io;
use std::sync::Arc;

impl Kept {
    /// Whether it is the interface of this router, or one that has taken its place.
    pub(crate) fn is_its_link(&self, link: &Link) -> bool {
        link.index == self.cell.interface() || link.name == *self.interface_name
    }

    /// Whether it is another one than sockets and frames were made for.
    pub(crate) fn needs_wiring(&self, link: &Link) -> bool {
        link.index != self.cell.interface() || link.mac != self.mac
    }

    /// Sockets and frames were made for this one.
    pub(crate) fn is_rewired(&mut self, link: &Link, hands: &Hands) {
        let is_another = link.index != self.cell.interface();
        self.cell.set_interface(link.index);
        self.mac = link.mac;
        self.link_is(link);
        if is_another {
            let (router, interface) = (Arc::clone(&self.cell.name), link.name.clone());
            hands.voice.event(Event::InterfaceBack { router, interface });
        }
    }

    pub(crate) fn interface_failed(&self, hands: &Hands, error: &io::Error) {
        let router = Arc::clone(&self.cell.name);
        hands.voice.event(Event::InterfaceFailed { router, error: error.to_string() });
    }

    /// Whether that is news.
    pub(crate) fn link_is(&self, link: &Link) -> bool {
        self.set_fault(Fault::LinkDown, !(link.up && link.running))
    }

    pub(crate) fn link_is_gone(&self) -> bool {
        self.set_fault(Fault::LinkDown, true)
    }

    fn set_fault(&self, fault: Fault, there: bool) -> bool {
        let before = self.cell.faults();
        let faults = before.with(fault, there);
        self.cell.set_faults(faults);
        faults != before
    }

    fn is_its_source(&self, address: &Address) -> bool {
        address.interface == self.cell.interface() && address.address == self.cell.config().settings().source
    }

    /// An address has come, or is different.
    pub(crate) fn address_is(&self, address: &Address) -> bool {
        self.is_its_source(address) && self.set_fault(Fault::NoSource, address.flags.is_tentative())
    }

    pub(crate) fn address_is_gone(&mut self, address: &Address, hands: &Hands, shared: &Shared) -> bool {
        if self.is_its_source(address) {
            return self.set_fault(Fault::NoSource, true);
        }
        let is_ours = |kept: &Self| kept.held.iter().any(|(lease, _)| lease.address == address.address);
        if !self.whole || address.interface != self.cell.interface() || !is_ours(self) {
            return false;
        }
        // It may be what we did ourselves a while ago, and undid.
        match hands.rtnetlink.interfaces() {
            Ok(interfaces) => self.look_at_addresses(&interfaces, hands, shared),
            Err(_) => false,
        }
    }

    /// Whether something has changed.
    pub(crate) fn look_at_addresses(
        &mut self,
        interfaces: &Interfaces,
        hands: &Hands,
        shared: &Shared,
    ) -> bool {
        let interface = self.cell.interface();
        let source = self.cell.config().settings().source;
        let has = |address| interfaces.having(address).any(|found| found.interface == interface);
        let changed = self.set_fault(Fault::NoSource, !has(source));
        if self.whole && !self.held.iter().all(|(lease, _)| has(lease.address)) {
            let loss = if now() >= self.until { Loss::Expired } else { Loss::Removed };
            self.lost(loss, hands, shared);
            return true;
        }
        changed
    }

    /// Begins to listen to those on the link who speak of its addresses.
    pub(crate) fn listen_to_neighbours(
        &mut self,
        add: impl FnOnce(&Listener) -> io::Result<()>,
    ) -> io::Result<()> {
        self.neighbours = None;
        // Without Ethernet nobody claims an address.
        let Some(mac) = self.mac else { return Ok(()) };
        let neighbours = Neighbours::open(self.cell.interface(), mac, &self.cell.config(), now())?;
        add(neighbours.listener())?;
        self.neighbours = Some(neighbours);
        Ok(())
    }

    pub(crate) fn meet_neighbours(&mut self, hands: &Hands, shared: &Shared, now: Instant) {
        let is_wanted = self.done.wish == crate::cell::Wish::Hold;
        let Some(neighbours) = &mut self.neighbours else { return };
        let is_ours = |mac| {
            let links = hands.rtnetlink.links().unwrap_or_default();
            links.iter().any(|link| link.mac == Some(mac))
        };
        if neighbours.meet(&self.cell, is_wanted, is_ours, now) {
            shared.adverts_waker.wake();
        }
    }
}
