//! How many clients there are, over all workers.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts clients and keeps them below a limit.
#[derive(Debug)]
pub(crate) struct Occupancy {
    present: AtomicUsize,
    limit: usize,
}

impl Occupancy {
    pub(crate) const fn new(limit: usize) -> Self {
        Self { present: AtomicUsize::new(0), limit }
    }

    /// Counts one more, unless the limit is reached; to be followed by [`Occupancy::leave`].
    pub(crate) fn enter(&self) -> bool {
        // In one order with the watching thread's look before a long rest.
        let room = self.present.fetch_add(1, Ordering::SeqCst) < self.limit;
        if !room {
            self.leave();
        }
        room
    }

    pub(crate) fn leave(&self) {
        self.present.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn present(&self) -> usize {
        self.present.load(Ordering::SeqCst)
    }

    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_enters_beyond_the_limit() {
        let occupancy = Occupancy::new(2);
        assert!(occupancy.enter() && occupancy.enter());
        assert!(!occupancy.enter());
        assert_eq!(occupancy.present(), 2);
        occupancy.leave();
        assert!(occupancy.enter());
    }
}
