//! The Active router that is heard.

use crate::receive::Advert;
use crate::timers::replaced_after;
use bowline_sansio::Instant;
use core::net::IpAddr;
use core::time::Duration;

/// The router heard as Active, and for how long it has been what it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Holder {
    pub(super) source: IpAddr,
    pub(super) priority: u8,
    pub(super) heard: Instant,
    /// Since when it has had less priority than this router, if it has.
    pub(super) lower_since: Option<Instant>,
    /// Since when it has said that it cannot serve, if it does.
    pub(super) unable_since: Option<Instant>,
}

/// How the sender of an advert compares with this router.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// It has less priority.
    pub(super) lower: bool,
    /// It says that it cannot serve.
    pub(super) unable: bool,
}

impl Holder {
    /// Whether an advert from `source` speaks of the present holder: it does unless another one, that is heard and goes before
    /// it, is. While two are Active, the one that will stay counts.
    pub(super) fn is_spoken_of(
        present: Option<Self>,
        advert: &Advert,
        interval: Duration,
        now: Instant,
    ) -> bool {
        present.is_none_or(|present| {
            present.source == advert.source
                || (advert.priority, advert.source) > (present.priority, present.source)
                || !present.is_heard(interval, now)
        })
    }

    /// Whether so few of its adverts are missing that it may be there.
    pub(super) fn is_heard(&self, interval: Duration, now: Instant) -> bool {
        now.since(self.heard) <= replaced_after(interval)
    }

    /// The holder after `advert`.
    pub(super) fn after(present: Option<Self>, advert: &Advert, standing: Standing, now: Instant) -> Self {
        let before = present.filter(|present| present.source == advert.source);
        let since = |is: bool, before: Option<Instant>| is.then(|| before.unwrap_or(now));
        Self {
            source: advert.source,
            priority: advert.priority,
            heard: now,
            lower_since: since(standing.lower, before.and_then(|before| before.lower_since)),
            unable_since: since(standing.unable, before.and_then(|before| before.unable_since)),
        }
    }
}
