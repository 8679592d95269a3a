//! The addresses of one router, and the interface they are on.

use super::hands::Hands;
use super::neighbours::Neighbours;
use crate::cell::{Answer, Cell, Order, Outcome, Wish};
use crate::event::Event;
use crate::guard::Will;
use crate::shared::{Known, Shared, now};
use bowline_sansio::Instant;
use bowline_sys::mac::Mac;
use bowline_sys::rtnetlink::{Held, HoldError, Lease, Link, Renewal};
use bowline_vrrp::timers::replaced_after;
use bowline_vrrp::{Config, Loss, adverts};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// A lease is renewed so many times before it ends.
const RENEWALS_EACH: u32 = 3;

/// Attempts to renew that the kernel did not do: so many fit between two.
const ATTEMPTS_EACH: u32 = 10;

/// While nobody may renew: soon, because it may be over any moment.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Between two attempts to remove what the kernel did not.
const REMOVE_AGAIN: Duration = Duration::from_millis(50);

/// The kernel may end a lease so much before its time (`ADDRCONF_TIMER_FUZZ_MINUS`).
const KERNEL_FUZZ: Duration = Duration::from_millis(20);

/// The advert thread goes round so often at least, whatever its interval.
const BEAT_MIN: Duration = crate::adverts::ROUND_EVERY.saturating_mul(2);

/// One router, as the keeper has it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) id: u32,
    pub(crate) cell: Arc<Cell>,
    pub(super) interface_name: Arc<str>,
    pub(super) mac: Option<Mac>,
    /// The last order that was done.
    pub(super) done: Order,
    pub(super) held: Vec<(Lease, Held)>,
    /// All of them are there, as far as we know.
    pub(super) whole: bool,
    /// When the lease ends unless it is renewed.
    pub(super) until: Instant,
    renew_at: Instant,
    /// One was lost: whoever was connected does not know it yet.
    reset_due: bool,
    /// Those that nobody is let in on: they were let go of, or lost.
    shut: Vec<IpAddr>,
    /// The kernel did not remove something; to be tried again then.
    remove_at: Option<Instant>,
    /// An order to hold that may not be done yet; to be looked at again then.
    hold_at: Option<Instant>,
    pub(super) neighbours: Option<Neighbours>,
}

impl Kept {
    pub(crate) fn new(known: Known, link: &Link) -> Self {
        Self {
            id: known.id,
            cell: known.cell,
            interface_name: link.name.as_str().into(),
            mac: link.mac,
            done: Order::FIRST,
            held: Vec::new(),
            whole: false,
            until: Instant::ORIGIN,
            renew_at: Instant::ORIGIN,
            reset_due: false,
            shut: Vec::new(),
            remove_at: None,
            hold_at: None,
            neighbours: None,
        }
    }

    /// When it wants to be looked at.
    pub(crate) fn due(&self) -> Instant {
        let renewal = self.whole.then(|| self.renew_at.min(self.until));
        let neighbours = self.neighbours.as_ref().map(Neighbours::due);
        super::earliest([renewal, self.remove_at, self.hold_at, neighbours])
            .unwrap_or(Instant::from_nanos(u64::MAX))
    }

    /// Does what was ordered since the last time; whether there is an answer.
    pub(crate) fn obey(&mut self, hands: &mut Hands, shared: &Shared, now: Instant) -> bool {
        let order = self.cell.order();
        let waits = self.remove_at.is_some_and(|at| at > now);
        if waits || (order.number == self.done.number && self.remove_at.is_none()) {
            return false;
        }
        let let_go = order.let_go != self.done.let_go || self.remove_at.is_some();
        if let_go {
            if !self.let_go(hands, now) {
                return false;
            }
            self.done.let_go = order.let_go;
            // Who comes from now on is let in where the address is, and as soon as it is here again.
            self.readmit(hands);
        }
        self.hold_at = None;
        if order.wish == Wish::Hold && !Self::may_hold(hands, shared, &self.cell.config(), now) {
            self.hold_at = Some(now + LOOK_AGAIN);
            return false;
        }
        let was_here = !self.held.is_empty();
        let outcome = match order.wish {
            Wish::Hold => self.hold(hands),
            Wish::LetGo | Wish::Nothing => Outcome::Released,
        };
        self.done = order;
        self.cell.set_answer(Answer { number: order.number, outcome });
        if outcome == Outcome::Held && !was_here {
            shared.adverts_waker.wake();
            hands.end_dials(&self.cell.name, self.addresses().as_slice());
        }
        true
    }

    /// Whether an address may be had now: the advert thread lives, and clients are served.
    fn may_hold(hands: &Hands, shared: &Shared, config: &Config, now: Instant) -> bool {
        let patience = replaced_after(config.interval()).max(BEAT_MIN);
        now.since(shared.beat()) <= patience && hands.serving.alive()
    }

    /// Lets clients in again wherever they were shut out; tried again until it is done.
    pub(crate) fn readmit(&mut self, hands: &Hands) {
        if !self.shut.is_empty() && hands.serving.readmit(&self.shut) {
            self.shut.clear();
        }
    }

    fn addresses(&self) -> bowline_vrrp::Addresses {
        self.cell.config().settings().addresses.clone()
    }

    fn hold(&mut self, hands: &mut Hands) -> Outcome {
        let config = self.cell.config();
        self.drop_others(hands, &config);
        // Before the first address is there: killed in between, it would stay for a whole lease.
        hands.guard.arm(self.id, &self.will(&config));
        let begun = now();
        if self.whole && begun >= self.until {
            // We were kept waiting for so long that the advert thread has noticed first.
            self.note_loss(Loss::Expired, hands);
        }
        self.whole = false;
        for &address in config.settings().addresses.as_slice() {
            let lease = self.lease(&config, address);
            match hands.rtnetlink.hold(&lease) {
                Ok(held) => {
                    self.held.retain(|(other, _)| other.address != address);
                    self.held.push((lease, held));
                }
                Err(error) => {
                    let router = Arc::clone(&self.cell.name);
                    hands.voice.event(match error {
                        HoldError::Foreign(_) => Event::Foreign { router, address },
                        HoldError::Kernel(error) => {
                            Event::HoldFailed { router, address, error: error.to_string() }
                        }
                    });
                    return Outcome::NotHeld;
                }
            }
        }
        self.whole = true;
        self.leased_from(begun, &config);
        if self.reset_due {
            // They are told only now, because nothing could be sent from an address that was not here.
            self.reset_due = false;
            self.reset(hands, config.settings().addresses.as_slice());
            self.readmit(hands);
        }
        Outcome::Held
    }

    fn leased_from(&mut self, begun: Instant, config: &Config) {
        let lease = config.settings().lease;
        self.until = begun + lease.saturating_sub(KERNEL_FUZZ);
        self.renew_at = begun + lease / RENEWALS_EACH;
        self.cell.set_leased_until(Some(self.until));
    }

    /// Addresses that an earlier configuration had.
    fn drop_others(&mut self, hands: &Hands, config: &Config) {
        let stays = |address| config.settings().addresses.contains(address);
        let (stay, go): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.held).into_iter().partition(|(lease, _)| stays(lease.address));
        self.held = stay;
        let addresses: Vec<_> = go.iter().map(|(lease, _)| lease.address).collect();
        if addresses.is_empty() {
            return;
        }
        self.reset(hands, &addresses);
        for (lease, _) in &go {
            self.remove(hands, lease);
        }
        // Another router may have them from now on.
        self.readmit(hands);
    }

    fn lease(&self, config: &Config, address: IpAddr) -> Lease {
        // Whole seconds are all the kernel counts, and more than was asked for is less than one more.
        let lease = config.settings().lease;
        let seconds = lease.as_secs() + u64::from(lease.subsec_nanos() > 0);
        let seconds = u32::try_from(seconds).ok().and_then(NonZeroU32::new);
        Lease { interface: self.cell.interface(), address, valid: seconds.unwrap_or(NonZeroU32::MIN) }
    }

    fn will(&self, config: &Config) -> Will {
        let farewells = adverts(config, 0).into_iter();
        Will {
            interface: self.cell.interface(),
            source: config.settings().source,
            adverts: farewells.map(|advert| (advert.destination, advert.bytes.to_vec())).collect(),
            addresses: config.settings().addresses.as_slice().to_vec(),
        }
    }

    fn reset(&mut self, hands: &Hands, addresses: &[IpAddr]) {
        self.shut.extend(
            addresses.iter().filter(|address| !self.shut.contains(address)).copied().collect::<Vec<_>>(),
        );
        hands.serving.evict(addresses);
        hands.end_connections(&self.cell.name, addresses);
    }

    /// One uninterrupted step: nobody gets in, everybody who is in is told, the addresses go. Whether it is done.
    fn let_go(&mut self, hands: &mut Hands, now: Instant) -> bool {
        let addresses: Vec<_> = self.held.iter().map(|(lease, _)| lease.address).collect();
        let was_here = !addresses.is_empty();
        if was_here && self.remove_at.is_none() {
            self.reset(hands, &addresses);
        }
        self.cell.set_leased_until(None);
        self.whole = false;
        let held = std::mem::take(&mut self.held);
        self.held = held.into_iter().filter(|(lease, _)| !self.remove(hands, lease)).collect();
        if !self.held.is_empty() && now < self.until {
            self.remove_at = Some(now + REMOVE_AGAIN);
            return false;
        }
        if was_here {
            // Those that came to be in between.
            hands.end_connections(&self.cell.name, &addresses);
        }
        self.held.clear();
        self.remove_at = None;
        self.reset_due = false;
        hands.guard.disarm(self.id);
        true
    }

    /// Whether it is gone; it is told once when it is not.
    fn remove(&self, hands: &Hands, lease: &Lease) -> bool {
        match hands.rtnetlink.remove(lease) {
            Ok(_) => true,
            Err(_) if self.remove_at.is_some() => false,
            Err(error) => {
                let router = Arc::clone(&self.cell.name);
                let error = error.to_string();
                hands.voice.event(Event::RemovalFailed { router, address: lease.address, error });
                false
            }
        }
    }

    /// At the end, whatever was ordered.
    pub(crate) fn give_up(&mut self, hands: &mut Hands, now: Instant) {
        // What is not removed now ends with its lease.
        let _ = self.let_go(hands, now);
        hands.guard.disarm(self.id);
    }

    /// Renews when it is time, and when that is right: the advert thread lives, and clients are served.
    pub(crate) fn renew(&mut self, hands: &Hands, shared: &Shared) {
        let begun = now();
        if !self.whole || begun < self.renew_at {
            return;
        }
        // A renewal would bring back what is gone, to where others may have it by now.
        if begun >= self.until {
            return self.lost(Loss::Expired, hands, shared);
        }
        let config = self.cell.config();
        if !Self::may_hold(hands, shared, &config, begun) {
            self.renew_at = begun + LOOK_AGAIN;
            return;
        }
        let (mut failed, mut was_gone) = (false, false);
        for (lease, held) in &mut self.held {
            match hands.rtnetlink.renew(lease, held) {
                Ok(Renewal::Kept) => {}
                Ok(Renewal::Recreated(again)) => (*held, was_gone) = (again, true),
                Err(_) => failed = true,
            }
        }
        let counters = &self.cell.counters;
        if was_gone {
            let loss = if now() >= self.until { Loss::Expired } else { Loss::Removed };
            self.lost(loss, hands, shared);
        } else if failed {
            counters.renewals_failed.one();
            self.renew_at = begun + config.settings().lease / (RENEWALS_EACH * ATTEMPTS_EACH);
        } else {
            counters.renewed(now().since(begun));
            self.leased_from(begun, &config);
        }
    }

    pub(super) fn lost(&mut self, loss: Loss, hands: &Hands, shared: &Shared) {
        self.note_loss(loss, hands);
        self.whole = false;
        self.cell.set_leased_until(None);
        // IPv6 goes on speaking from an address that is gone. IPv4 does not: there they are told when it is back.
        let v6: Vec<_> = self.held.iter().map(|(lease, _)| lease.address).filter(IpAddr::is_ipv6).collect();
        if !v6.is_empty() {
            self.reset(hands, &v6);
            self.readmit(hands);
        }
        let outcome = match loss {
            Loss::Removed => Outcome::Removed,
            Loss::Expired => Outcome::Expired,
        };
        self.cell.set_answer(Answer { number: self.done.number, outcome });
        shared.adverts_waker.wake();
    }

    fn note_loss(&mut self, loss: Loss, hands: &Hands) {
        self.reset_due = true;
        self.cell.counters.leases_lost.one();
        hands.voice.event(Event::LeaseLost { router: Arc::clone(&self.cell.name), loss });
    }
}
