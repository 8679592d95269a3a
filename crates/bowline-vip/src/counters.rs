//! What is counted, by whoever does it, for anybody to read.

use bowline_vrrp::{Discard, State};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that grows.
#[derive(Default, Debug)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn raise_to(&self, at_least: u64) {
        self.0.fetch_max(at_least, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of one router.
#[derive(Default, Debug)]
pub(crate) struct Counters {
    pub(crate) adverts_sent: Count,
    pub(crate) adverts_withheld: Count,
    pub(crate) send_failures: Count,
    pub(crate) adverts_received: Count,
    pub(crate) discarded: [Count; Discard::ALL.len()],
    pub(crate) transitions: [Count; State::ALL.len()],
    pub(crate) announcements: Count,
    pub(crate) renewals: Count,
    pub(crate) renewals_failed: Count,
    pub(crate) renewal_nanos: Count,
    pub(crate) renewal_nanos_max: Count,
    pub(crate) leases_lost: Count,
    pub(crate) duplicates: Count,
    pub(crate) stalls: Count,
    pub(crate) events_dropped: Count,
}

impl Counters {
    pub(crate) fn discard(&self, why: Discard) {
        if let Some(count) = place(&Discard::ALL, why).and_then(|at| self.discarded.get(at)) {
            count.one();
        }
    }

    pub(crate) fn transition(&self, to: State) {
        if let Some(count) = place(&State::ALL, to).and_then(|at| self.transitions.get(at)) {
            count.one();
        }
    }

    pub(crate) fn renewed(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.renewals.one();
        self.renewal_nanos.add(nanos);
        self.renewal_nanos_max.raise_to(nanos);
    }

    pub(crate) fn read(&self) -> Tally {
        let pairs =
            |all: &[Discard]| all.iter().copied().zip(self.discarded.iter().map(Count::get)).collect();
        let states = State::ALL.iter().copied().zip(self.transitions.iter().map(Count::get)).collect();
        Tally {
            adverts_sent: self.adverts_sent.get(),
            adverts_withheld: self.adverts_withheld.get(),
            send_failures: self.send_failures.get(),
            adverts_received: self.adverts_received.get(),
            discarded: pairs(&Discard::ALL),
            transitions: states,
            announcements: self.announcements.get(),
            renewals: self.renewals.get(),
            renewals_failed: self.renewals_failed.get(),
            renewal_time: Duration::from_nanos(self.renewal_nanos.get()),
            renewal_longest: Duration::from_nanos(self.renewal_nanos_max.get()),
            leases_lost: self.leases_lost.get(),
            duplicates: self.duplicates.get(),
            stalls: self.stalls.get(),
            events_dropped: self.events_dropped.get(),
        }
    }
}

fn place<T: PartialEq>(all: &[T], one: T) -> Option<usize> {
    all.iter().position(|other| *other == one)
}

/// What one router has counted since it was started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Adverts sent; over unicast, one to each peer.
    pub adverts_sent: u64,
    /// Adverts not sent because the proxy did not answer.
    pub adverts_withheld: u64,
    /// Adverts the kernel did not take.
    pub send_failures: u64,
    /// Adverts that passed every check.
    pub adverts_received: u64,
    /// Packets discarded, by reason.
    pub discarded: Vec<(Discard, u64)>,
    /// Transitions, by the state they led to.
    pub transitions: Vec<(State, u64)>,
    /// Gratuitous ARP requests and unsolicited neighbour advertisements sent.
    pub announcements: u64,
    /// Renewals of a lease of all addresses.
    pub renewals: u64,
    /// Renewals the kernel did not do.
    pub renewals_failed: u64,
    /// How long all renewals took together.
    pub renewal_time: Duration,
    /// How long the longest took.
    pub renewal_longest: Duration,
    /// How often an address was gone without our doing.
    pub leases_lost: u64,
    /// Other hosts that were heard to answer for an address, each time.
    pub duplicates: u64,
    /// How often the loop stood still for longer than the others wait.
    pub stalls: u64,
    /// Events the reader was too slow for.
    pub events_dropped: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_read() {
        let counters = Counters::default();
        counters.discard(Discard::IntervalZero);
        counters.discard(Discard::IntervalZero);
        counters.transition(State::Active);
        counters.renewed(Duration::from_millis(3));
        counters.renewed(Duration::from_millis(2));
        let tally = counters.read();
        let discarded: Vec<_> = tally.discarded.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(discarded, [&(Discard::IntervalZero, 2)]);
        assert!(tally.transitions.contains(&(State::Active, 1)));
        assert_eq!((tally.renewals, tally.renewal_time), (2, Duration::from_millis(5)));
        assert_eq!(tally.renewal_longest, Duration::from_millis(3));
    }
}
