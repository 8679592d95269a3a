//! What is going to happen, in order.

use crate::fault::Trouble;
use bowline_sansio::Instant;
use bowline_vrrp::{Fault, Inquiry, Loss, Tenure};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// One virtual router on one node, while the node's process lives: what is meant for an earlier life is dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seat {
    pub(crate) node: usize,
    pub(crate) vip: usize,
    pub(crate) life: u32,
}

/// What the address keeper was asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    Acquire(Tenure),
    Renew(Tenure),
    Release(Tenure),
}

/// Something that happens at a moment.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// A router may want its timeout.
    Wake(Seat),
    /// A packet arrives.
    Packet { from: usize, to: usize, bytes: Arc<[u8]> },
    /// An announcement arrives at a client.
    Learned { client: usize, vip: usize, from: usize },
    /// An announcement arrives at a node.
    Overheard { node: usize, vip: usize, from: usize },
    /// The kernel has answered.
    Done(Seat, Operation),
    /// The lease is to be renewed.
    RenewalDue(Seat, Tenure),
    /// The lease may be over.
    LeaseOver { node: usize, vip: usize },
    /// The process learns that an address is gone.
    Noticed(Seat, Tenure, Loss),
    /// The process learns of a fault, or that it is over.
    Told { node: usize, life: u32, fault: Fault, stands: bool },
    /// A node finds out whether it reaches an API server, as it was after so many changes.
    FindsOut { node: usize, changes: u64, reaches: bool },
    /// A probe has ended that a router's question wanted, so many of which are left with it; the question came after so many changes.
    Evidence { seat: Seat, inquiry: Inquiry, changes: u64, left: u32 },
    /// The guard sees that its process has ended.
    Guard { node: usize, life: u32 },
    /// The next fault.
    NextFault,
    /// A fault ends.
    End(Trouble),
}

/// When, in which order, and where the event is kept: small, because it is moved about a lot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Entry {
    at: Instant,
    sequence: u64,
    place: usize,
}

/// Everything that is going to happen, ordered by time and, at one time, by when it was decided.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// The earliest first.
    heap: BinaryHeap<Reverse<Entry>>,
    events: Vec<Option<Event>>,
    /// Places that are empty.
    free: Vec<usize>,
    sequence: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        let place = match self.free.pop() {
            Some(place) => {
                self.events[place] = Some(event);
                place
            }
            None => {
                self.events.push(Some(event));
                self.events.len() - 1
            }
        };
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, place }));
    }

    pub(crate) fn pop_until(&mut self, end: Instant) -> Option<(Instant, Event)> {
        if self.heap.peek()?.0.at > end {
            return None;
        }
        let Reverse(Entry { at, place, .. }) = self.heap.pop()?;
        self.free.push(place);
        self.events[place].take().map(|event| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earliest_first_and_then_in_order() {
        let mut queue = Queue::default();
        for (at, node) in [(5, 0), (3, 1), (5, 2), (3, 3)] {
            queue.push(Instant::from_millis(at), Event::LeaseOver { node, vip: 0 });
        }
        let mut order = Vec::new();
        while let Some((_, event)) = queue.pop_until(Instant::from_millis(5)) {
            if let Event::LeaseOver { node, .. } = event {
                order.push(node);
            }
        }
        assert_eq!(order, [1, 3, 0, 2]);
    }

    #[test]
    fn what_is_later_than_the_end_stays() {
        let mut queue = Queue::default();
        queue.push(Instant::from_millis(2), Event::NextFault);
        assert!(queue.pop_until(Instant::from_millis(1)).is_none());
        assert!(queue.pop_until(Instant::from_millis(2)).is_some());
    }
}
