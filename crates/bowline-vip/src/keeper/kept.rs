//! The addresses of one router, and the interface they are on.

use super::hands::Hands;
use super::neighbours::Neighbours;
use super::seat::Seat;
use super::turn::Turn;
use crate::cell::{Answer, Cell, Order, Outcome, Wish};
use crate::event::Event;
use crate::guard::Will;
use crate::shared::{Known, Shared, now};
use bowline_sansio::Instant;
use bowline_sys::mac::Mac;
use bowline_sys::rtnetlink::{Before, Held, HoldError, Lease, Link, Renewal};
use bowline_vrrp::timers::replaced_after;
use bowline_vrrp::{Config, Fault, Loss, Vrid, adverts};
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
    /// The number it had before, where that has changed.
    pub(super) former: Option<Vrid>,
    /// The last order that was done.
    pub(super) done: Order,
    /// A link of its own, while it has one.
    pub(super) seat: Option<Seat>,
    /// How the interface was before it got one.
    pub(super) before: Option<Before>,
    pub(super) held: Vec<(Lease, Held)>,
    /// All of them are there, as far as we know.
    pub(super) whole: bool,
    /// When the lease ends unless it is renewed.
    pub(super) until: Instant,
    renew_at: Instant,
    /// One was lost: whoever was connected does not know it yet.
    reset_due: bool,
    /// And it is one of IPv6, which speaks on although it is gone.
    speaks_on: bool,
    /// Those that nobody is let in on: they were let go of, or lost.
    shut: Vec<IpAddr>,
    /// The kernel did not remove something; to be tried again then.
    remove_at: Option<Instant>,
    /// An order to hold that may not be done yet; to be looked at again then.
    hold_at: Option<Instant>,
    pub(super) neighbours: Option<Neighbours>,
    /// Those that somebody else has given this host, which was told.
    pub(super) foreign: Vec<IpAddr>,
    /// It was told that the interface cannot be used.
    pub(super) interface_fails: bool,
}

impl Kept {
    pub(crate) fn new(known: Known, link: &Link, former: Option<Vrid>) -> Self {
        Self {
            id: known.id,
            cell: known.cell,
            interface_name: link.name.as_str().into(),
            mac: link.mac,
            former,
            done: Order::FIRST,
            seat: None,
            before: None,
            held: Vec::new(),
            whole: false,
            until: Instant::ORIGIN,
            renew_at: Instant::ORIGIN,
            reset_due: false,
            speaks_on: false,
            shut: Vec::new(),
            remove_at: None,
            hold_at: None,
            neighbours: None,
            foreign: Vec::new(),
            interface_fails: false,
        }
    }

    /// When it wants to be looked at.
    pub(crate) fn due(&self) -> Instant {
        let renewal = self.whole.then(|| self.renew_at.min(self.until));
        let neighbours = self.neighbours.as_ref().map(Neighbours::due);
        let told = self.speaks_on.then_some(Instant::ORIGIN);
        super::earliest([renewal, told, self.remove_at, self.hold_at, neighbours])
            .unwrap_or(Instant::from_nanos(u64::MAX))
    }

    /// Does everything that is to be done for it, except for what others on the link are asked.
    pub(crate) fn take_turn(&mut self, mut turn: Turn<'_>) {
        self.renew_if_due(now(), turn.hands, turn.shared);
        if std::mem::take(&mut self.speaks_on) {
            let is_v6 = |(lease, _): &(Lease, Held)| lease.address.is_ipv6().then_some(lease.address);
            let addresses: Vec<_> = self.held.iter().filter_map(is_v6).collect();
            self.reset(&mut turn, &addresses);
        }
        self.readmit(&turn);
        if self.obey(&mut turn) {
            turn.shared.adverts_waker.wake();
        }
    }

    /// Does what was ordered since the last time; whether there is an answer.
    fn obey(&mut self, turn: &mut Turn<'_>) -> bool {
        let now = now();
        let order = self.cell.order();
        let waits = self.remove_at.is_some_and(|at| at > now);
        if waits || (order.number == self.done.number && self.remove_at.is_none()) {
            return false;
        }
        turn.let_others_in();
        let let_go = order.let_go != self.done.let_go || self.remove_at.is_some();
        if let_go {
            if !self.let_go(turn) {
                return false;
            }
            self.done.let_go = order.let_go;
            // Who comes from now on is let in where the address is, and as soon as it is here again.
            self.readmit(turn);
        }
        self.hold_at = None;
        let may_hold =
            || self.shut.is_empty() && Self::may_hold(turn.hands, turn.shared, &self.cell.config());
        if order.wish == Wish::Hold && !may_hold() {
            self.hold_at = Some(now + LOOK_AGAIN);
            return false;
        }
        let was_here = !self.held.is_empty();
        let outcome = match order.wish {
            Wish::Hold => self.hold(turn),
            Wish::LetGo | Wish::Nothing => Outcome::Released,
        };
        self.done = order;
        self.cell.set_answer(Answer { number: order.number, outcome });
        if outcome == Outcome::Held && !was_here {
            turn.shared.adverts_waker.wake();
            turn.end_dials(&self.cell.name, self.addresses().as_slice());
        }
        true
    }

    /// Whether an address may be had now: the advert thread lives, and clients are served.
    fn may_hold(hands: &Hands, shared: &Shared, config: &Config) -> bool {
        let patience = replaced_after(config.interval()).max(BEAT_MIN);
        now().since(shared.beat()) <= patience && hands.serving.alive()
    }

    /// Lets clients in again wherever they were shut out; tried again until it is done.
    fn readmit(&mut self, turn: &Turn<'_>) {
        if !self.shut.is_empty() && turn.hands.serving.readmit(&self.shut) {
            self.shut.clear();
        }
        if self.set_fault(Fault::NotServing, !self.shut.is_empty()) {
            turn.shared.adverts_waker.wake();
        }
    }

    fn addresses(&self) -> bowline_vrrp::Addresses {
        self.cell.config().settings().addresses.clone()
    }

    fn hold(&mut self, turn: &mut Turn<'_>) -> Outcome {
        let config = self.cell.config();
        self.drop_others(turn, &config);
        self.remember_interface(turn);
        // Before the first address is there: killed in between, it would stay for a whole lease.
        turn.guard.arm(self.id, &self.will(&config));
        let Some(seat) = self.take_seat(turn, &config) else { return Outcome::NotHeld };
        let begun = now();
        let was_whole = std::mem::take(&mut self.whole);
        let mut was_gone = false;
        for &address in config.settings().addresses.as_slice() {
            turn.let_others_in();
            let lease = lease(seat, &config, address);
            match turn.hands.rtnetlink.hold(&lease) {
                Ok(held) => {
                    // Another one than before: it was gone in between.
                    let is_it = |other: &Lease, before| other.interface == lease.interface && before == held;
                    let mut before = self.held.iter().filter(|(other, _)| other.address == address);
                    was_gone |= before.any(|(other, before)| !is_it(other, *before));
                    self.held.retain(|(other, _)| other.address != address);
                    self.held.push((lease, held));
                }
                Err(error) => {
                    self.tell_not_held(turn.hands, address, error);
                    return Outcome::NotHeld;
                }
            }
        }
        // We were kept waiting for so long that the advert thread has noticed first, or by the kernel itself.
        if was_whole && (was_gone || begun >= self.until) {
            let loss = if now() >= self.until { Loss::Expired } else { Loss::Removed };
            self.note_loss(loss, turn.hands);
        }
        self.whole = true;
        self.leased_from(begun, &config);
        if self.reset_due {
            // They are told only now, because nothing could be sent from an address that was not here.
            self.reset_due = false;
            self.reset(turn, config.settings().addresses.as_slice());
            self.readmit(turn);
        }
        Outcome::Held
    }

    fn tell_not_held(&self, hands: &Hands, address: IpAddr, error: HoldError) {
        let router = Arc::clone(&self.cell.name);
        hands.voice.event(match error {
            HoldError::Foreign(_) => Event::Foreign { router, address },
            HoldError::Kernel(error) => Event::HoldFailed { router, address, error: error.to_string() },
        });
    }

    fn leased_from(&mut self, begun: Instant, config: &Config) {
        let lease = config.settings().lease;
        self.until = begun + lease.saturating_sub(KERNEL_FUZZ);
        self.renew_at = begun + lease / RENEWALS_EACH;
        self.cell.set_leased_until(Some(self.until));
    }

    /// Addresses that an earlier configuration had.
    fn drop_others(&mut self, turn: &mut Turn<'_>, config: &Config) {
        let stays = |address| config.settings().addresses.contains(address);
        let (stay, go): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.held).into_iter().partition(|(lease, _)| stays(lease.address));
        self.held = stay;
        let addresses: Vec<_> = go.iter().map(|(lease, _)| lease.address).collect();
        if addresses.is_empty() {
            return;
        }
        self.reset(turn, &addresses);
        for (lease, _) in &go {
            self.remove(turn, lease);
        }
        // Another router may have them from now on.
        self.readmit(turn);
    }

    fn will(&self, config: &Config) -> Will {
        let farewells = adverts(config, 0).into_iter();
        Will {
            interface: self.cell.interface(),
            virtual_link: self.cell.virtual_link,
            before: self.before,
            source: config.settings().source,
            adverts: farewells.map(|advert| (advert.destination, advert.bytes.to_vec())).collect(),
            addresses: config.settings().addresses.as_slice().to_vec(),
        }
    }

    fn reset(&mut self, turn: &mut Turn<'_>, addresses: &[IpAddr]) {
        self.shut.extend(
            addresses.iter().filter(|address| !self.shut.contains(address)).copied().collect::<Vec<_>>(),
        );
        turn.evict(&self.cell.name, addresses);
    }

    /// One uninterrupted step: nobody gets in, everybody who is in is told, the addresses go. Whether it is done.
    fn let_go(&mut self, turn: &mut Turn<'_>) -> bool {
        let addresses: Vec<_> = self.held.iter().map(|(lease, _)| lease.address).collect();
        let was_here = !addresses.is_empty();
        if was_here && self.remove_at.is_none() {
            self.reset(turn, &addresses);
        }
        self.cell.set_leased_until(None);
        self.whole = false;
        let held = std::mem::take(&mut self.held);
        self.held = held.into_iter().filter(|(lease, _)| !self.remove(turn, lease)).collect();
        let now = now();
        if !self.held.is_empty() && now < self.until {
            self.remove_at = Some(now + REMOVE_AGAIN);
            return false;
        }
        if was_here {
            // Those that came to be in between.
            turn.end_connections(&self.cell.name, &addresses);
        }
        self.held.clear();
        self.leave_seat(turn);
        self.remove_at = None;
        (self.reset_due, self.speaks_on) = (false, false);
        turn.guard.disarm(self.id);
        true
    }

    /// Whether it is gone; it is told once when it is not.
    fn remove(&self, turn: &mut Turn<'_>, lease: &Lease) -> bool {
        turn.let_others_in();
        let hands = turn.hands;
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
    pub(crate) fn give_up(&mut self, mut turn: Turn<'_>) {
        if !self.let_go(&mut turn) {
            // What is not removed now goes with its own link, or ends with its lease.
            self.leave_seat(&mut turn);
        }
        turn.guard.disarm(self.id);
    }

    /// Renews when it is time, and when that is right: the advert thread lives, clients are served, and nobody has said since that
    /// the addresses are to go.
    pub(super) fn renew_if_due(&mut self, now: Instant, hands: &Hands, shared: &Shared) {
        if self.whole && now >= self.renew_at && self.cell.order().let_go == self.done.let_go {
            self.renew(hands, shared);
        }
    }

    fn renew(&mut self, hands: &Hands, shared: &Shared) {
        // Others may have waited for the kernel before this one.
        let begun = now();
        // A renewal would bring back what is gone, to where others may have it by now.
        if begun >= self.until {
            return self.lost(Loss::Expired, hands, shared);
        }
        let config = self.cell.config();
        if !Self::may_hold(hands, shared, &config) {
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
        // IPv6 goes on speaking from an address that is gone: those are told in this router's next turn, which is soon. IPv4 does
        // not: there they are told when it is back.
        self.speaks_on = self.held.iter().any(|(lease, _)| lease.address.is_ipv6());
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

fn lease(interface: u32, config: &Config, address: IpAddr) -> Lease {
    // Whole seconds are all the kernel counts, and more than was asked for is less than one more.
    let lease = config.settings().lease;
    let seconds = lease.as_secs() + u64::from(lease.subsec_nanos() > 0);
    let seconds = u32::try_from(seconds).ok().and_then(NonZeroU32::new);
    Lease { interface, address, valid: seconds.unwrap_or(NonZeroU32::MIN) }
}
