//! What is going to happen, in order.

use crate::fault::Trouble;
use bowline_sansio::Instant;
use bowline_vrrp::{Fault, Loss, Tenure};
use std::cmp::Ordering;
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
    /// The guard sees that its process has ended.
    Guard { node: usize, life: u32 },
    /// The next fault.
    NextFault,
    /// A fault ends.
    End(Trouble),
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    sequence: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The heap gives the greatest first: the earliest is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.sequence).cmp(&(self.at, self.sequence))
    }
}

/// Everything that is going to happen, ordered by time and, at one time, by when it was decided.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Entry>,
    sequence: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Instant, event: Event) {
        self.sequence += 1;
        self.heap.push(Entry { at, sequence: self.sequence, event });
    }

    pub(crate) fn pop_until(&mut self, end: Instant) -> Option<(Instant, Event)> {
        if self.heap.peek()?.at > end {
            return None;
        }
        self.heap.pop().map(|entry| (entry.at, entry.event))
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
