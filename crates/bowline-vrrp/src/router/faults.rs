//! The faults that stand.

use crate::message::Fault;

/// A set of [`Fault`]s.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Faults(u8);

const fn bit(fault: Fault) -> u8 {
    1 << fault as u8
}

impl Faults {
    pub(super) const fn insert(&mut self, fault: Fault) {
        self.0 |= bit(fault);
    }

    pub(super) const fn remove(&mut self, fault: Fault) {
        self.0 &= !bit(fault);
    }

    pub(super) const fn contains(self, fault: Fault) -> bool {
        self.0 & bit(fault) != 0
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The gravest.
    pub(super) fn first(self) -> Option<Fault> {
        Fault::ALL.into_iter().find(|&fault| self.contains(fault))
    }
}
