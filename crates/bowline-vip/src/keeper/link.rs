//! What the kernel tells about a router's interface and the addresses on it.

use super::hands::Hands;
use super::kept::Kept;
use super::neighbours::Neighbours;
use crate::event::Event;
use crate::shared::{Shared, now};
use bowline_sansio::Instant;
use bowline_sys::announce::{Announcer, Listener};
use bowline_sys::rtnetlink::{Address, Interfaces, Lease, Link, VirtualMac};
use bowline_vrrp::{Fault, Loss};
use std::cell::OnceCell;
use std::io;
use std::sync::Arc;

/// What a change was to a router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// It does not concern it.
    Nothing,
    /// It has another fault than before, or one less.
    News,
    /// Only a look at everything tells.
    Doubt,
}

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
        self.interface_fails = false;
        self.link_is(link);
        if is_another {
            let (router, interface) = (Arc::clone(&self.cell.name), link.name.clone());
            hands.voice.event(Event::InterfaceBack { router, interface });
        }
    }

    /// Told once, until it can be used again.
    pub(crate) fn interface_failed(&mut self, hands: &Hands, error: &io::Error) {
        if std::mem::replace(&mut self.interface_fails, true) {
            return;
        }
        let router = Arc::clone(&self.cell.name);
        hands.voice.event(Event::InterfaceFailed { router, error: error.to_string() });
    }

    pub(crate) fn link_is(&self, link: &Link) -> Seen {
        self.link_runs(link.up && link.running)
    }

    pub(crate) fn link_is_gone(&self) -> Seen {
        self.link_runs(false)
    }

    fn link_runs(&self, runs: bool) -> Seen {
        if self.set_fault(Fault::LinkDown, !runs) { Seen::News } else { Seen::Nothing }
    }

    pub(super) fn set_fault(&self, fault: Fault, there: bool) -> bool {
        let before = self.cell.faults();
        let faults = before.with(fault, there);
        self.cell.set_faults(faults);
        faults != before
    }

    /// What an address that has come, is different, or is gone means for it.
    pub(crate) fn address_has_changed(&mut self, address: &Address, is_there: bool, hands: &Hands) -> Seen {
        self.tell_foreign(address, is_there, hands);
        let config = self.cell.config();
        let is_source =
            address.address == config.settings().source && address.interface == self.cell.interface();
        let is_it = |lease: &Lease| lease.address == address.address && lease.interface == address.interface;
        let is_ours = || self.held.iter().any(|(lease, _)| is_it(lease));
        // One that is gone may be there with another prefix still; or it is what we did ourselves a while ago, and undid.
        if !is_there {
            let is_doubtful = is_source || (self.whole && is_ours());
            return if is_doubtful { Seen::Doubt } else { Seen::Nothing };
        }
        let is_news = is_source && self.set_fault(Fault::NoSource, !address.is_usable());
        if is_news { Seen::News } else { Seen::Nothing }
    }

    /// Somebody else has given this host one of the addresses: told once, until it is gone. It answers for it beside the holder,
    /// and goes on when this router lets go.
    fn tell_foreign(&mut self, address: &Address, is_there: bool, hands: &Hands) {
        let ip = address.address;
        if !is_there {
            self.foreign.retain(|known| *known != ip);
            return;
        }
        let is_one_of_its = self.cell.config().settings().addresses.contains(ip);
        if is_one_of_its && !address.is_ours() && !self.foreign.contains(&ip) {
            self.foreign.push(ip);
            let router = Arc::clone(&self.cell.name);
            hands.voice.event(Event::Foreign { router, address: ip });
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
        let changed = self.set_fault(Fault::NoSource, !interfaces.can_send_from(interface, source));
        let has = |lease: &Lease| {
            interfaces.having(lease.address).any(|found| found.interface == lease.interface)
                && interfaces.by_index(lease.interface).is_some_and(|link| link.up || !self.sits_on(link))
        };
        if self.whole && !self.held.iter().all(|(lease, _)| has(lease)) {
            let loss = if now() >= self.until { Loss::Expired } else { Loss::Removed };
            self.lost(loss, hands, shared);
            return true;
        }
        changed
    }

    /// Ends to listen to them; what was listened and asked by.
    pub(crate) fn take_neighbours(&mut self) -> Option<(Listener, Announcer)> {
        self.neighbours.take().map(Neighbours::into_sockets)
    }

    /// Begins to listen to those on the link who speak of its addresses, whom nobody listens to.
    pub(crate) fn listen_to_neighbours(
        &mut self,
        add: impl FnOnce(&Listener) -> io::Result<()>,
    ) -> io::Result<()> {
        // Without Ethernet nobody claims an address.
        let Some(mac) = self.mac else { return Ok(()) };
        // Who speaks from the virtual router's own is this host, or another one of its group, whose adverts tell which.
        let mut own = vec![mac];
        own.extend(self.cell.virtual_link.map(VirtualMac::mac));
        let (interface, config) = (self.cell.interface(), self.cell.config());
        let neighbours = Neighbours::open(interface, mac, own, self.former, &config, now())?;
        add(neighbours.listener())?;
        self.neighbours = Some(neighbours);
        Ok(())
    }

    pub(crate) fn meet_neighbours(&mut self, hands: &Hands, shared: &Shared, now: Instant) {
        let is_wanted = self.done.wish == crate::cell::Wish::Hold;
        let Some(neighbours) = &mut self.neighbours else { return };
        // Looked for once: a stranger can claim by a new address each time.
        let links = OnceCell::new();
        let is_ours = |mac| {
            let links = links.get_or_init(|| hands.rtnetlink.links().unwrap_or_default());
            links.iter().any(|link| link.mac == Some(mac))
        };
        if neighbours.meet(&self.cell, is_wanted, is_ours, now) {
            shared.adverts_waker.wake();
        }
    }
}
