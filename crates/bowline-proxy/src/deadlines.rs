//! When which connection wants to be looked at.

use crate::slab::Key;
use bowline_sansio::Instant;
use std::collections::BTreeSet;

/// One deadline for each connection at most.
#[derive(Debug)]
pub(crate) struct Deadlines(BTreeSet<(Instant, Key)>);

impl Deadlines {
    pub(crate) const fn new() -> Self {
        Self(BTreeSet::new())
    }

    /// Moves the deadline of `key` from `current` to `next`; the caller keeps `current` with the connection.
    pub(crate) fn set(&mut self, key: Key, current: &mut Option<Instant>, next: Option<Instant>) {
        if *current == next {
            return;
        }
        if let Some(old) = *current {
            self.0.remove(&(old, key));
        }
        if let Some(new) = next {
            self.0.insert((new, key));
        }
        *current = next;
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.first().map(|(deadline, _)| *deadline)
    }

    /// Takes one whose deadline has come; the caller forgets the deadline it keeps.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Key> {
        self.0.first().filter(|(deadline, _)| *deadline <= now)?;
        self.0.pop_first().map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_only_when_due() {
        let (mut deadlines, mut a, mut b) = (Deadlines::new(), None, None);
        let (key_a, key_b) = (Key::new(1, 0), Key::new(2, 0));
        deadlines.set(key_a, &mut a, Some(Instant::from_millis(20)));
        deadlines.set(key_b, &mut b, Some(Instant::from_millis(10)));
        assert_eq!((deadlines.next(), deadlines.take_due(Instant::from_millis(9))), (b, None));
        assert_eq!(deadlines.take_due(Instant::from_millis(10)), Some(key_b));
        deadlines.set(key_a, &mut a, Some(Instant::from_millis(5)));
        assert_eq!((a, deadlines.next()), (Some(Instant::from_millis(5)), a));
        deadlines.set(key_a, &mut a, None);
        assert_eq!(deadlines.next(), None);
    }
}
