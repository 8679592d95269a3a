//! What the addresses of a router are on: its interface, or, with an Ethernet address of its own, a link that is there only while they
//! are. So a Backup answers nothing and takes in nothing that is sent to that Ethernet address (RFC 9568 6.4.2).

use super::kept::Kept;
use super::turn::Turn;
use crate::event::Event;
use bowline_sys::rtnetlink::{Link, VirtualMac};
use bowline_sys::vrrp_socket::{Family, Membership, VrrpSocket};
use bowline_vrrp::Config;
use std::io;
use std::sync::Arc;

/// A link of a router's own.
#[derive(Debug)]
pub(super) struct Seat {
    of: VirtualMac,
    index: u32,
    /// Holds the memberships in the groups in which the addresses are looked for; none in IPv4, and where it cannot be had: then
    /// the kernel joins them itself, later.
    _groups: Option<VrrpSocket>,
}

impl Seat {
    fn new(of: VirtualMac, link: &Link, config: &Config) -> Self {
        let groups = match of.family {
            Family::V4 => None,
            Family::V6 => expect_solicitations(link, config).ok(),
        };
        Self { of, index: link.index, _groups: groups }
    }
}

fn expect_solicitations(link: &Link, config: &Config) -> io::Result<VrrpSocket> {
    let socket = VrrpSocket::open(link, Family::V6, Membership::None)?;
    socket.stop_receiving()?;
    socket.expect_solicitations(config.settings().addresses.as_slice())?;
    Ok(socket)
}

impl Kept {
    /// How the interface is before there is a link of its own on it, which anybody can remove together with what it tells.
    pub(super) fn remember_interface(&mut self, turn: &mut Turn<'_>) {
        let Some(of) = self.cell.virtual_link else { return };
        let interface = self.cell.interface();
        if self.before.is_none_or(|before| before.parent() != interface) {
            // Who cannot see it cannot make a link on it, which is told.
            self.before = turn.hands.rtnetlink.before_virtual_link(interface, of).ok().flatten();
            turn.let_others_in();
        }
    }

    /// The number of what the addresses can be added to now; it is told when there is nothing.
    pub(super) fn take_seat(&mut self, turn: &mut Turn<'_>, config: &Config) -> Option<u32> {
        let Some(of) = self.cell.virtual_link else { return Some(self.cell.interface()) };
        let taken = turn.hands.rtnetlink.hold_virtual_link(self.cell.interface(), of, self.before);
        turn.let_others_in();
        match taken {
            Ok(link) => {
                self.seat = Some(Seat::new(of, &link, config));
                Some(link.index)
            }
            Err(error) => {
                let (router, error) = (Arc::clone(&self.cell.name), error.to_string());
                turn.hands.voice.event(Event::VirtualLinkFailed { router, error });
                None
            }
        }
    }

    /// When no address is needed any more.
    pub(super) fn leave_seat(&mut self, turn: &mut Turn<'_>) {
        let before = self.before.take();
        let Some(Seat { of, .. }) = self.seat.take() else { return };
        let removed = turn.hands.rtnetlink.remove_virtual_link(of, before);
        turn.let_others_in();
        if let Err(error) = removed {
            let (router, error) = (Arc::clone(&self.cell.name), error.to_string());
            turn.hands.voice.event(Event::VirtualLinkStays { router, link: of.link_name(), error });
        }
    }

    /// Whether its addresses are on this link of its own.
    pub(crate) fn sits_on(&self, link: &Link) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.index == link.index)
    }
}
