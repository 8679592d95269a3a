//! A holder that cannot serve any more, as a Backup sees it that could (no RFC has this).
//!
//! ```text
//!   the holder falls ---> asked ---> confirmed ---> taken over, in the planned order
//!                           |                         ^
//!                           +--- stability is over ---+
//! ```
//!
//! Whether the trouble is the holder's alone shows only what is found out after it: whoever answers for that is asked, and what
//! it answers is believed. Without an answer the difference has to last for longer than two routers can differ about one trouble.

use super::{LAST_RESORT, VirtualRouter};
use crate::message::{Event, Inquiry, Output};
use crate::receive::Advert;
use bowline_sansio::Instant;
use core::net::IpAddr;

/// The holder's fall, and what was asked because of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fall {
    of: IpAddr,
    at: Instant,
    inquiry: Inquiry,
    /// When the answer came that this router can serve.
    pub(super) confirmed: Option<Instant>,
}

impl VirtualRouter {
    /// Whether `advert` is the first with which the holder, that could serve before, says that it cannot. Without bands no
    /// priority says so, and the least of all is also what a router says that gives way to another.
    pub(super) fn is_fall(&self, advert: &Advert) -> bool {
        let could = self
            .holder
            .is_some_and(|holder| holder.source == advert.source && !self.says_unable(holder.priority));
        let says_so = self.says_unable(advert.priority) && advert.priority > LAST_RESORT;
        could && says_so && self.config.settings().bands
    }

    /// The holder has fallen. A router that could not serve itself not long ago does not ask: of one that comes and goes, fresh
    /// evidence says nothing about the next moment.
    pub(super) fn inquire(&mut self, holder: IpAddr, now: Instant) {
        let stability = self.config.settings().stability;
        let is_well = self.recovered.is_none_or(|recovered| now.since(recovered) >= stability);
        if !self.can_serve || !is_well {
            return;
        }
        let inquiry = self.inquiry.map_or(Inquiry::FIRST, Inquiry::next);
        self.inquiry = Some(inquiry);
        self.fall = Some(Fall { of: holder, at: now, inquiry, confirmed: None });
        // First: what is only told may take its time.
        self.outbox.push(Output::Inquire(inquiry));
        self.event(Event::HolderFell { holder });
    }

    /// Clients would be served here; the first answer counts.
    pub(super) fn confirmed(&mut self, inquiry: Inquiry, now: Instant) {
        let fall = self.fall.filter(|fall| fall.inquiry == inquiry && fall.confirmed.is_none());
        let Some(fall) = fall else { return };
        self.fall = Some(Fall { confirmed: Some(now), ..fall });
        self.event(Event::Confirmed { after: now.since(fall.at) });
        self.plan_take_over(now);
    }

    /// The fall that still stands: the same holder has been unable ever since, and this router able.
    pub(super) fn standing_fall(&self) -> Option<Fall> {
        let holder = self.holder.filter(|_| self.can_serve)?;
        self.fall.filter(|fall| fall.of == holder.source && holder.unable_since == Some(fall.at))
    }
}
