//! The thread that helps the advert thread out when that is late.
//!
//! The kernel wakes a real-time thread on the CPU where it was, and has it wait there while the kernel itself is at work and does not
//! give way: for tens of milliseconds when a namespace with its links is torn down, though other CPUs are idle. An ordinary thread is
//! woken on an idle one, and can bring the other there. While the advert thread is on time this one is never woken.

use crate::shared::{Shared, now};
use bowline_sansio::Instant;
use bowline_sys::alarm::Alarm;
use bowline_sys::sched::{self, Thread};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A round that begins so much too late is helped: many times what it takes to wake a thread, and a tenth of the shortest interval.
const LATE_AFTER: Duration = Duration::from_millis(1);

/// What both threads share.
#[derive(Debug)]
pub(crate) struct Relief {
    alarm: Alarm,
    /// Who is helped.
    thread: OnceLock<Thread>,
    /// When it is late, in nanoseconds; [`WORKING`] while it does not wait.
    late_at: AtomicU64,
}

/// It is late then: the clock takes 584 years to come there.
const WORKING: u64 = u64::MAX;

impl Relief {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { alarm: Alarm::new()?, thread: OnceLock::new(), late_at: AtomicU64::new(WORKING) })
    }

    /// The calling thread is the one that is helped.
    pub(crate) fn begin(&self) {
        // There is one, and it begins once.
        let _ = self.thread.set(Thread::current());
    }

    /// It is going to wait, until `due` at most.
    pub(crate) fn waits(&self, due: Instant) {
        let late_at = (due + LATE_AFTER).as_nanos();
        self.late_at.store(late_at, Ordering::Release);
        self.alarm.set(late_at);
    }

    /// It has come back.
    pub(crate) fn works(&self) {
        self.late_at.store(WORKING, Ordering::Release);
    }

    /// There will be nobody to be helped.
    pub(crate) fn end(&self) {
        self.alarm.set(0);
    }

    /// The thread, if it should have come back by `now`.
    fn late(&self, now: Instant) -> Option<Thread> {
        self.thread.get().copied().filter(|_| self.late_at.load(Ordering::Acquire) <= now.as_nanos())
    }
}

/// Until the advert thread has ended.
pub(crate) fn run(shared: &Arc<Shared>) {
    // Without the right to it, it takes its turn like all others.
    let _ = sched::be_first();
    while shared.relief.alarm.wait().is_ok() && !shared.have_adverts_ended() {
        if let Some(thread) = shared.relief.late(now()) {
            // One that may not run here comes when it comes.
            let _ = thread.bring_here();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_late_when_it_should_have_come_back_and_has_not() {
        let relief = Relief::new().unwrap();
        let due = Instant::from_millis(1_000);
        let late = |millis| relief.late(Instant::from_millis(millis)).is_some();
        relief.waits(due);
        assert!(!late(5_000), "nobody has begun");
        relief.begin();
        assert!(!late(1_000) && late(1_001) && late(5_000));
        relief.works();
        assert!(!late(5_000));
    }

    #[test]
    fn it_ends_with_the_advert_thread() {
        let (shared, _retired) = Shared::new().unwrap();
        let shared = Arc::new(shared);
        shared.relief.begin();
        shared.relief.waits(Instant::from_nanos(u64::MAX / 2));
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::spawn(move || run(&of_thread));
        // It helps, and goes on.
        shared.relief.waits(now());
        shared.adverts_end();
        thread.join().unwrap();
    }
}
