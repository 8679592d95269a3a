//! What a virtual router waits for.

use bowline_sansio::TimerKey;

/// One deadline each; a change of state cancels them all.
#[derive(Clone, Copy, Debug)]
pub(super) enum Timer {
    /// Backup: Active_Down_Timer.
    ActiveDown,
    /// Backup: the holder has not been able to serve for long enough.
    TakeOver,
    /// Active: Adver_Timer.
    Advert,
    /// Active: the next announcement.
    Announce,
    /// Active: the kernel has had its time for the addresses.
    Acquire,
    /// Active: a lost address may be put back again.
    PutBack,
    /// Active: the addresses are offered again.
    Offer,
    /// HandingOver: no successor in time.
    HandOver,
    /// Fault: the addresses may be tried again.
    Retry,
}

pub(super) const TIMERS: usize = Timer::ALL.len();

impl Timer {
    pub(super) const ALL: [Self; 9] = [
        Self::ActiveDown,
        Self::TakeOver,
        Self::Advert,
        Self::Announce,
        Self::Acquire,
        Self::PutBack,
        Self::Offer,
        Self::HandOver,
        Self::Retry,
    ];
}

impl TimerKey for Timer {
    fn index(self) -> usize {
        self as usize
    }
}
