//! Who else on the link says that it has one of the addresses (RFC 5227, RFC 4862): asked now and then, heard at any time. It never
//! delays a takeover.

use crate::cell::Cell;
use bowline_sansio::Instant;
use bowline_sys::announce::{Announcer, Claim, ClaimKind, Frame, Listener};
use bowline_sys::mac::Mac;
use bowline_vrrp::{Config, Family, Fault, Peers, Transport, Vrid};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// Between two questions about an address: a host that has it wrongly is found within that time, and costs a frame.
const ASK_EVERY: Duration = Duration::from_secs(10);

/// How long a stranger's claim waits until the planned peers have had time to say that it is one of them.
const PEERS_ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Peers that send to this host alone are told so often where it is when it comes, and for so long: what stands between may pass
/// nothing on yet when the link is already up.
const INTRODUCED_EVERY: Duration = Duration::from_millis(100);
const INTRODUCED_FOR: Duration = Duration::from_secs(1);

/// A planned peer's claim is a mistake when it outlasts the lease by more than half a second: what is heard then is asked for this
/// much after that.
const OUTLASTING_BY: Duration = Duration::from_millis(550);

/// A planned peer that was not heard for so long had let go: what it claims then may be its own for another moment. As the virtual
/// router's rules have it.
const LET_GO_AFTER: Duration = Duration::from_secs(12);

/// Claimants remembered; of any further nothing is told until some are forgotten.
const CLAIMANTS_MAX: usize = 64;

/// A claimant that was not heard for so long, not even when it was asked, is forgotten.
const FORGOTTEN_AFTER: Duration = ASK_EVERY.saturating_mul(3);

/// Claims read in one round.
const CLAIMS_MAX: usize = 64;

/// A listener's filter has room for so many addresses.
const LISTENED_MAX: usize = 255;

/// Who claims an address.
#[derive(Clone, Copy, Debug)]
enum Claimant {
    /// This host: with two interfaces on one link, the kernel answers on both.
    Ourselves,
    Other {
        since: Instant,
        heard: Instant,
        /// What it claimed first, until it is known whether it may.
        unknown: Option<usize>,
        /// When it was told of last as a planned peer that has what is wanted here.
        told: Option<Instant>,
    },
}

/// Those on the link of one router.
#[derive(Debug)]
pub(super) struct Neighbours {
    listener: Listener,
    announcer: Announcer,
    /// From these this host itself speaks.
    own: Vec<Mac>,
    addresses: Vec<IpAddr>,
    /// None when everybody is one.
    planned: Option<Vec<IpAddr>>,
    /// Questions about our addresses.
    questions: Vec<Frame>,
    /// Questions about the planned peers' own.
    introductions: Vec<Frame>,
    macs: BTreeMap<IpAddr, Mac>,
    /// The virtual router's own, by its number now and before: whoever speaks from one is a planned peer, too.
    virtual_macs: Vec<Mac>,
    /// Who has claimed an address: this host by another interface, or another one, first and last heard then.
    claimants: BTreeMap<Mac, Claimant>,
    /// What is asked arrives.
    is_heard: bool,
    /// Peers send to this host alone.
    is_unicast: bool,
    /// The next introduction of those that follow the first one, and the end of them.
    introduce: Option<(Instant, Instant)>,
    ask_at: Instant,
    /// When a planned peer that claims an address, or had it before, has had the time to let go of it.
    ask_again_at: Option<Instant>,
    /// Whether the addresses were wanted here when it was looked last.
    is_tenure: bool,
    outlasting: Duration,
}

impl Neighbours {
    /// Asks from `asker`. `former` is the number that the router had before, and has still at some of the peers.
    pub(super) fn open(
        interface: u32,
        asker: Mac,
        own: Vec<Mac>,
        former: Option<Vrid>,
        config: &Config,
        now: Instant,
    ) -> io::Result<Self> {
        let settings = config.settings();
        let addresses = settings.addresses.as_slice().to_vec();
        let planned = match (&settings.peers, &settings.transport) {
            (Peers::Planned(peers), Transport::Multicast | Transport::Unicast(_)) => Some(peers.to_vec()),
            (Peers::Any, Transport::Unicast(peers)) => Some(peers.to_vec()),
            (Peers::Any, Transport::Multicast) => None,
        };
        let mut listened = addresses.clone();
        listened.extend(planned.iter().flatten().filter(|peer| !addresses.contains(peer)));
        listened.truncate(LISTENED_MAX);
        let probe = |address: &IpAddr| Frame::probe(*address, asker);
        // Where adverts go to the peers themselves, the holder's wait at its host until that knows where this one is. It has
        // looked for it in vain while this one was away, and looks again once a second: this one would take over meanwhile.
        let introduction = |peer: &IpAddr| match &settings.transport {
            Transport::Multicast => probe(peer),
            Transport::Unicast(_) => Frame::solicitation(*peer, asker, settings.source),
        };
        let vrids = [Some(settings.vrid), former].into_iter().flatten().map(Vrid::get);
        let virtual_macs = vrids.map(match config.family() {
            Family::V4 => Mac::of_ipv4_router,
            Family::V6 => Mac::of_ipv6_router,
        });
        Ok(Self {
            listener: Listener::open(interface, &listened)?,
            announcer: Announcer::open(interface)?,
            own,
            questions: addresses.iter().map(probe).collect(),
            introductions: planned.iter().flatten().map(introduction).collect(),
            addresses,
            planned,
            macs: BTreeMap::new(),
            virtual_macs: virtual_macs.collect(),
            claimants: BTreeMap::new(),
            is_heard: false,
            is_unicast: matches!(settings.transport, Transport::Unicast(_)),
            introduce: None,
            ask_at: now,
            ask_again_at: None,
            is_tenure: false,
            outlasting: settings.lease.saturating_add(OUTLASTING_BY),
        })
    }

    pub(super) const fn listener(&self) -> &Listener {
        &self.listener
    }

    pub(super) fn into_sockets(self) -> (Listener, Announcer) {
        (self.listener, self.announcer)
    }

    pub(super) fn due(&self) -> Instant {
        let introduce = self.introduce.map(|(at, _)| at);
        super::earliest([self.ask_again_at, introduce]).map_or(self.ask_at, |at| at.min(self.ask_at))
    }

    /// Hears and asks; whether there is something to be told. While the addresses are not wanted here, a planned peer that has
    /// them is as it should be.
    pub(super) fn meet(
        &mut self,
        cell: &Cell,
        is_wanted: bool,
        is_ours: impl Fn(Mac) -> bool,
        now: Instant,
    ) -> bool {
        match (self.is_tenure, is_wanted) {
            // Whoever had them has let go by then.
            (false, true) => self.ask_again_at = Some(now + self.outlasting),
            (true, false) => self.end_tenure(),
            (true, true) | (false, false) => {}
        }
        self.is_tenure = is_wanted;
        let mut is_news = false;
        for _ in 0..CLAIMS_MAX {
            // An interface that goes down says so once, and to the keeper by other ways.
            let Ok(Some(claim)) = self.listener.next_claim() else { break };
            if let Some((place, planned)) = self.judge(claim, &is_ours, now)
                && (is_wanted || !planned)
            {
                cell.set_conflict(place, claim.mac.0, planned);
                if planned {
                    self.ask_whether_it_stays(claim.mac, now);
                }
                is_news = true;
            }
        }
        let faults = cell.faults();
        let is_heard = !faults.has(Fault::LinkDown) && !faults.has(Fault::NoSource);
        let was_heard = std::mem::replace(&mut self.is_heard, is_heard);
        let is_back = is_heard && !was_heard;
        if self.ask_at <= now
            && let Some((place, mac)) = self.stranger(now)
        {
            cell.set_conflict(place, mac.0, false);
            is_news = true;
        }
        if self.ask_at <= now || is_back {
            self.ask_at = now + ASK_EVERY;
            self.forget(now);
            self.ask(&self.questions);
            self.ask(&self.introductions);
        }
        if is_back && self.is_unicast {
            self.introduce = Some((now + INTRODUCED_EVERY, now + INTRODUCED_FOR));
        }
        if let Some((_, end)) = self.introduce.take_if(|(at, _)| *at <= now) {
            self.ask(&self.introductions);
            self.introduce = Some((now + INTRODUCED_EVERY, end)).filter(|(next, end)| next <= end);
        }
        if self.ask_again_at.is_some_and(|at| at <= now) {
            self.ask_again_at = None;
            self.ask(&self.questions);
        }
        is_news
    }

    /// Once for each time that a planned peer claims what is wanted here: whether that outlasts the lease is found out by the one
    /// answer that follows, and not by the next round's.
    fn ask_whether_it_stays(&mut self, mac: Mac, now: Instant) {
        let Some(Claimant::Other { told, .. }) = self.claimants.get_mut(&mac) else { return };
        let goes_on = told.is_some_and(|told| now.since(told) <= LET_GO_AFTER);
        *told = Some(now);
        if !goes_on {
            let at = now + self.outlasting;
            self.ask_again_at = Some(self.ask_again_at.map_or(at, |earlier| earlier.max(at)));
        }
    }

    /// What planned peers have while the addresses are not wanted here is theirs.
    fn end_tenure(&mut self) {
        self.ask_again_at = None;
        for claimant in self.claimants.values_mut() {
            match claimant {
                Claimant::Ourselves => {}
                Claimant::Other { told, .. } => *told = None,
            }
        }
    }

    /// Which address it has that is ours, and whether it is a planned peer.
    fn judge(&mut self, claim: Claim, is_ours: impl Fn(Mac) -> bool, now: Instant) -> Option<(usize, bool)> {
        if self.own.contains(&claim.mac) || claim.kind == ClaimKind::Wants {
            return None;
        }
        let Some(place) = self.addresses.iter().position(|address| *address == claim.address) else {
            self.macs.insert(claim.address, claim.mac);
            return None;
        };
        let is_full = self.claimants.len() >= CLAIMANTS_MAX;
        let since = match self.claimants.get_mut(&claim.mac) {
            Some(Claimant::Ourselves) => return None,
            Some(Claimant::Other { since, heard, .. }) => {
                *heard = now;
                *since
            }
            None if is_full => return None,
            None if is_ours(claim.mac) => {
                self.claimants.insert(claim.mac, Claimant::Ourselves);
                return None;
            }
            None => {
                self.claimants.insert(
                    claim.mac,
                    Claimant::Other { since: now, heard: now, unknown: Some(place), told: None },
                );
                self.ask(&self.introductions);
                self.ask_at = self.ask_at.min(now + PEERS_ANSWER_WITHIN);
                now
            }
        };
        if self.is_planned(claim.mac) {
            return Some((place, true));
        }
        (now.since(since) >= PEERS_ANSWER_WITHIN).then_some((place, false))
    }

    fn is_planned(&self, mac: Mac) -> bool {
        self.planned.is_none() || self.macs.values().chain(&self.virtual_macs).any(|planned| *planned == mac)
    }

    /// One that has claimed an address when the planned peers have had time to say that it is one of them, and none has; once. It need
    /// not claim it again: clients go on to send to it.
    fn stranger(&mut self, now: Instant) -> Option<(usize, Mac)> {
        let mut found = None;
        let mut claimants = std::mem::take(&mut self.claimants);
        for (mac, claimant) in &mut claimants {
            let Claimant::Other { since, unknown, .. } = claimant else { continue };
            if now.since(*since) >= PEERS_ANSWER_WITHIN
                && let Some(place) = unknown.take()
                && !self.is_planned(*mac)
            {
                found = Some((place, *mac));
            }
        }
        self.claimants = claimants;
        found
    }

    /// Anybody on the link can claim by as many hardware addresses as it likes; one that goes on is found after it has ended.
    fn forget(&mut self, now: Instant) {
        self.claimants.retain(|_, claimant| match claimant {
            Claimant::Ourselves => true,
            Claimant::Other { heard, .. } => now.since(*heard) < FORGOTTEN_AFTER,
        });
    }

    fn ask(&self, frames: &[Frame]) {
        for frame in frames {
            // What cannot be sent now is asked again.
            let _ = self.announcer.send(frame);
        }
    }
}

#[cfg(test)]
mod tests;
