//! One deadline a purpose.

use crate::Instant;

/// The purposes a machine keeps timers for: an enum whose variants number `0..N`.
pub trait TimerKey: Copy {
    /// The variant's place in the table, below the table's `N`.
    fn index(self) -> usize;
}

/// A fixed table of deadlines, one for each variant of `K`; the machine's next timeout is the earliest.
///
/// Small and linear on purpose: a machine has a handful of timers.
#[derive(Clone, Debug)]
pub struct TimerTable<K, const N: usize> {
    deadlines: [Option<Instant>; N],
    key: core::marker::PhantomData<K>,
}

impl<K: TimerKey, const N: usize> TimerTable<K, N> {
    /// A table with nothing armed.
    pub const fn new() -> Self {
        Self { deadlines: [None; N], key: core::marker::PhantomData }
    }

    /// Arms `timer` for `deadline`, replacing what it was armed for.
    pub fn arm(&mut self, timer: K, deadline: Instant) {
        debug_assert!(timer.index() < N, "a timer outside its table");
        if let Some(slot) = self.deadlines.get_mut(timer.index()) {
            *slot = Some(deadline);
        }
    }

    /// Disarms `timer`.
    pub fn cancel(&mut self, timer: K) {
        if let Some(slot) = self.deadlines.get_mut(timer.index()) {
            *slot = None;
        }
    }

    /// What `timer` is armed for.
    pub fn deadline(&self, timer: K) -> Option<Instant> {
        self.deadlines.get(timer.index()).copied().flatten()
    }

    /// Disarms `timer` and says so when it was due at `now`.
    pub fn take_due(&mut self, timer: K, now: Instant) -> bool {
        let due = self.deadline(timer).is_some_and(|deadline| deadline <= now);
        if due {
            self.cancel(timer);
        }
        due
    }

    /// The earliest deadline of all.
    pub fn next(&self) -> Option<Instant> {
        self.deadlines.iter().copied().flatten().min()
    }
}

impl<K: TimerKey, const N: usize> Default for TimerTable<K, N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    enum Timer {
        Probe,
        Hold,
    }

    impl TimerKey for Timer {
        fn index(self) -> usize {
            self as usize
        }
    }

    #[test]
    fn the_earliest_is_next_and_due_timers_are_taken_once() {
        let mut table = TimerTable::<Timer, 2>::new();
        assert_eq!(table.next(), None);
        table.arm(Timer::Probe, Instant::from_millis(20));
        table.arm(Timer::Hold, Instant::from_millis(10));
        assert_eq!(table.next(), Some(Instant::from_millis(10)));
        assert!(!table.take_due(Timer::Probe, Instant::from_millis(19)));
        assert!(table.take_due(Timer::Hold, Instant::from_millis(10)));
        assert!(!table.take_due(Timer::Hold, Instant::from_millis(10)));
        table.cancel(Timer::Probe);
        assert_eq!(table.next(), None);
    }
}
