//! What the advert thread and the keeper tell each other about one router: a few numbers, so that neither ever waits for the other
//! and neither can be flooded. Each says what it wants or knows *now*; what was said before and not read is no longer of interest.

use crate::counters::Counters;
use bowline_sansio::Instant;
use bowline_sys::rtnetlink::VirtualMac;
use bowline_vrrp::{Config, Conflict, Fault, Inquiry, Status};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the advert thread wants of the keeper.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wish {
    /// Nothing yet.
    Nothing,
    /// To have the addresses until further notice.
    Hold,
    /// To be rid of them.
    LetGo,
}

/// A wish, and its place among all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Order {
    pub(crate) number: u32,
    /// How often it was wished to let go until now: a keeper that comes too late to see that wish still sees that there was one.
    pub(crate) let_go: u32,
    pub(crate) wish: Wish,
}

impl Order {
    pub(crate) const FIRST: Self = Self { number: 0, let_go: 0, wish: Wish::Nothing };

    /// Layout: 32 bits the number, 30 bits how often it was let go, 2 bits the wish.
    const fn to_bits(self) -> u64 {
        let wish = match self.wish {
            Wish::Nothing => 0,
            Wish::Hold => 1,
            Wish::LetGo => 2,
        };
        (self.number as u64) << 32 | ((self.let_go & (u32::MAX >> 2)) as u64) << 2 | wish
    }

    const fn from_bits(bits: u64) -> Self {
        let wish = match bits & 3 {
            1 => Wish::Hold,
            2 => Wish::LetGo,
            _ => Wish::Nothing,
        };
        Self { number: (bits >> 32) as u32, let_go: (bits as u32) >> 2, wish }
    }

    /// The one after it.
    pub(crate) const fn then(self, wish: Wish) -> Self {
        let more = match wish {
            Wish::LetGo => 1,
            Wish::Nothing | Wish::Hold => 0,
        };
        Self { number: self.number.wrapping_add(1), let_go: (self.let_go + more) & (u32::MAX >> 2), wish }
    }
}

/// What became of an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The addresses are in the kernel.
    Held,
    /// They are not, though they should be.
    NotHeld,
    /// They are not, as they should.
    Released,
    /// They were held, and then somebody removed one.
    Removed,
    /// They were held, and then the lease ran out.
    Expired,
}

/// The keeper's last word on the order of this number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) number: u32,
    pub(crate) outcome: Outcome,
}

impl Answer {
    /// Layout: 32 bits the number, then the outcome, from 1 so that zero is no answer.
    const fn to_bits(self) -> u64 {
        let outcome = match self.outcome {
            Outcome::Held => 1,
            Outcome::NotHeld => 2,
            Outcome::Released => 3,
            Outcome::Removed => 4,
            Outcome::Expired => 5,
        };
        (self.number as u64) << 32 | outcome
    }

    const fn from_bits(bits: u64) -> Option<Self> {
        let outcome = match bits & 7 {
            1 => Outcome::Held,
            2 => Outcome::NotHeld,
            3 => Outcome::Released,
            4 => Outcome::Removed,
            5 => Outcome::Expired,
            _ => return None,
        };
        Some(Self { number: (bits >> 32) as u32, outcome })
    }
}

/// Faults that somebody else than the machine found.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Faults(u32);

impl Faults {
    /// Those that the keeper finds. The advert thread finds the others itself.
    pub(crate) const KEEPERS: [Fault; 2] = [Fault::LinkDown, Fault::NoSource];

    pub(crate) const fn with(self, fault: Fault, there: bool) -> Self {
        if there { Self(self.0 | Self::bit(fault)) } else { Self(self.0 & !Self::bit(fault)) }
    }

    pub(crate) const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(crate) const fn has(self, fault: Fault) -> bool {
        self.0 & Self::bit(fault) != 0
    }

    const fn bit(fault: Fault) -> u32 {
        match fault {
            Fault::LinkDown => 1,
            Fault::NoSource => 2,
            Fault::NotServing => 4,
            Fault::CannotSend => 8,
            Fault::NotHeld => 16,
            Fault::CannotServe => 32,
            Fault::Group => 64,
        }
    }
}

const CONFLICT_PLACE_SHIFT: u32 = 48;
const CONFLICT_PLACE: u64 = 0xff;
const CONFLICT_PLANNED: u64 = 1 << 62;
const CONFLICT_THERE: u64 = 1 << 63;

/// One router, as both threads and the handle see it.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) name: Arc<str>,
    pub(crate) group: Option<Arc<str>>,
    /// Whose link the addresses are on; `None` when they are on the interface.
    pub(crate) virtual_link: Option<VirtualMac>,
    /// What is in force for the keeper; it reads it when it gets an order.
    config: Mutex<Arc<Config>>,
    order: AtomicU64,
    answer: AtomicU64,
    faults: AtomicU32,
    can_serve: AtomicBool,
    /// The last question of the router that was answered with yes, by its number; zero before there is one.
    confirmed: AtomicU64,
    leaves: AtomicBool,
    /// Until when the kernel keeps the addresses, in nanoseconds on the monotonic clock; zero while they are not held.
    leased_until: AtomicU64,
    /// The interface's number in the kernel.
    interface: AtomicU32,
    status: Mutex<Status>,
    /// Another host that answers for an address: 48 bits its hardware address, 8 bits the address's place, 2 flags.
    conflict: AtomicU64,
    over: AtomicBool,
    pub(crate) counters: Counters,
}

impl Cell {
    pub(crate) fn new(
        name: Arc<str>,
        group: Option<Arc<str>>,
        virtual_link: Option<VirtualMac>,
        config: Config,
        interface: u32,
        status: Status,
    ) -> Self {
        Self {
            name,
            group,
            virtual_link,
            config: Mutex::new(Arc::new(config)),
            order: AtomicU64::new(Order::FIRST.to_bits()),
            answer: AtomicU64::new(0),
            faults: AtomicU32::new(0),
            can_serve: AtomicBool::new(false),
            confirmed: AtomicU64::new(0),
            leaves: AtomicBool::new(false),
            leased_until: AtomicU64::new(0),
            interface: AtomicU32::new(interface),
            status: Mutex::new(status),
            conflict: AtomicU64::new(0),
            over: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    /// What the router shall be like. Not for the advert thread, which must not wait.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_config(&self, config: Config) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    pub(crate) fn order(&self) -> Order {
        Order::from_bits(self.order.load(Ordering::Acquire))
    }

    pub(crate) fn set_order(&self, order: Order) {
        self.order.store(order.to_bits(), Ordering::Release);
    }

    pub(crate) fn answer(&self) -> Option<Answer> {
        Answer::from_bits(self.answer.load(Ordering::Acquire))
    }

    pub(crate) fn set_answer(&self, answer: Answer) {
        self.answer.store(answer.to_bits(), Ordering::Release);
    }

    pub(crate) fn faults(&self) -> Faults {
        Faults(self.faults.load(Ordering::Acquire))
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.faults.store(faults.0, Ordering::Release);
    }

    pub(crate) fn can_serve(&self) -> bool {
        self.can_serve.load(Ordering::Acquire)
    }

    pub(crate) fn set_can_serve(&self, can: bool) {
        self.can_serve.store(can, Ordering::Release);
    }

    pub(crate) fn confirmed(&self) -> u64 {
        self.confirmed.load(Ordering::Acquire)
    }

    pub(crate) fn confirm(&self, inquiry: Inquiry) {
        self.confirmed.store(inquiry.get(), Ordering::Release);
    }

    pub(crate) fn leaves(&self) -> bool {
        self.leaves.load(Ordering::Acquire)
    }

    pub(crate) fn leave(&self) {
        self.leaves.store(true, Ordering::Release);
    }

    pub(crate) fn leased_until(&self) -> Option<Instant> {
        match self.leased_until.load(Ordering::Acquire) {
            0 => None,
            nanos => Some(Instant::from_nanos(nanos)),
        }
    }

    pub(crate) fn set_leased_until(&self, until: Option<Instant>) {
        self.leased_until.store(until.map_or(0, Instant::as_nanos), Ordering::Release);
    }

    pub(crate) fn interface(&self) -> u32 {
        self.interface.load(Ordering::Acquire)
    }

    pub(crate) fn set_interface(&self, index: u32) {
        self.interface.store(index, Ordering::Release);
    }

    /// The last one published.
    pub(crate) fn status(&self) -> Status {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes a status unless somebody reads the old one just now; whether it did. Never waits.
    pub(crate) fn try_publish(&self, status: Status) -> bool {
        let Ok(mut slot) = self.status.try_lock() else { return false };
        *slot = status;
        true
    }

    /// Tells of another host that answers for the address at this place of the list. An earlier one that was not read is
    /// forgotten: it will answer again.
    pub(crate) fn set_conflict(&self, place: usize, hardware: [u8; 6], planned_peer: bool) {
        let [a, b, c, d, e, f] = hardware;
        let mac = u64::from_be_bytes([0, 0, a, b, c, d, e, f]);
        let place = (place as u64 & CONFLICT_PLACE) << CONFLICT_PLACE_SHIFT;
        let planned = if planned_peer { CONFLICT_PLANNED } else { 0 };
        self.conflict.store(CONFLICT_THERE | planned | place | mac, Ordering::Release);
    }

    /// The conflict that was told of last, once.
    pub(crate) fn take_conflict(&self, addresses: &[IpAddr]) -> Option<Conflict> {
        if self.conflict.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let bits = self.conflict.swap(0, Ordering::AcqRel);
        let [_, _, hardware @ ..] = bits.to_be_bytes();
        let place = (bits >> CONFLICT_PLACE_SHIFT & CONFLICT_PLACE) as usize;
        let address = addresses.get(place).filter(|_| bits & CONFLICT_THERE != 0)?;
        Some(Conflict { address: *address, hardware, planned_peer: bits & CONFLICT_PLANNED != 0 })
    }

    /// Nothing is left to be done for this router.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_answers_survive_their_bits() {
        let mut order = Order::FIRST;
        for wish in [Wish::Hold, Wish::LetGo, Wish::Hold, Wish::Hold, Wish::LetGo, Wish::Nothing] {
            order = order.then(wish);
            assert_eq!(Order::from_bits(order.to_bits()), order);
        }
        assert_eq!((order.number, order.let_go), (6, 2));
        let last = Order { number: u32::MAX, let_go: u32::MAX >> 2, wish: Wish::Hold };
        assert_eq!(Order::from_bits(last.to_bits()), last);
        assert_eq!(last.then(Wish::LetGo), Order { number: 0, let_go: 0, wish: Wish::LetGo });
        let outcomes =
            [Outcome::Held, Outcome::NotHeld, Outcome::Released, Outcome::Removed, Outcome::Expired];
        for outcome in outcomes {
            let answer = Answer { number: u32::MAX - 1, outcome };
            assert_eq!(Answer::from_bits(answer.to_bits()), Some(answer));
        }
        assert_eq!(Answer::from_bits(0), None);
    }

    #[test]
    fn a_conflict_is_told_once() {
        let addresses = ["10.0.0.9".parse().unwrap(), "10.0.0.10".parse().unwrap()];
        let config = crate::testing::config(&["10.0.0.9"], "10.0.0.1");
        let status = bowline_vrrp::VirtualRouter::new(config.clone(), Instant::ORIGIN).status();
        let cell = Cell::new("a".into(), None, None, config, 1, status);
        assert_eq!(cell.take_conflict(&addresses), None);
        for planned_peer in [false, true] {
            let hardware = [0xff, 1, 2, 3, 4, 0xfe];
            cell.set_conflict(1, hardware, planned_peer);
            let conflict = Conflict { address: addresses[1], hardware, planned_peer };
            assert_eq!(cell.take_conflict(&addresses), Some(conflict));
            assert_eq!(cell.take_conflict(&addresses), None);
        }
        cell.set_conflict(1, [0; 6], false);
        assert_eq!(cell.take_conflict(&addresses[..1]), None, "the list has changed meanwhile");
    }

    #[test]
    fn every_fault_has_its_own_bit() {
        for fault in Fault::ALL {
            let one = Faults::default().with(fault, true);
            assert_eq!(Fault::ALL.iter().filter(|other| one.has(**other)).count(), 1);
            assert_eq!(one.with(fault, false), Faults::default());
        }
    }
}
