//! What a machine wants done, in order.

use std::collections::VecDeque;

/// A bounded queue of outputs.
///
/// A shell drains it after every call, so that it grows only within one `handle`; a machine that fills it has a bug, and the
/// bound keeps that bug from eating the host's memory: what does not fit is dropped and counted.
#[derive(Clone, Debug)]
pub struct Outbox<T> {
    queue: VecDeque<T>,
    limit: usize,
    dropped: u64,
}

impl<T> Outbox<T> {
    /// An empty outbox that holds at most `limit` outputs.
    pub const fn new(limit: usize) -> Self {
        Self { queue: VecDeque::new(), limit, dropped: 0 }
    }

    /// Queues `output`; drops and counts it when the box is full.
    pub fn push(&mut self, output: T) {
        debug_assert!(self.queue.len() < self.limit, "an outbox of {} overflows", self.limit);
        if self.queue.len() < self.limit {
            self.queue.push_back(output);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// The oldest output.
    pub fn pop(&mut self) -> Option<T> {
        self.queue.pop_front()
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many outputs did not fit, ever.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_come_in_order() {
        let mut outbox = Outbox::new(2);
        outbox.push('a');
        outbox.push('b');
        assert_eq!((outbox.pop(), outbox.pop(), outbox.pop()), (Some('a'), Some('b'), None));
        assert!(outbox.is_empty());
    }

    #[test]
    #[should_panic(expected = "overflows")]
    fn overflow_is_a_bug_where_assertions_are_on() {
        let mut outbox = Outbox::new(1);
        outbox.push(1);
        outbox.push(2);
    }
}
