//! A moment that one thread sets and another one waits for (`timerfd_create(2)`).

use rustix::io::{Errno, read};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Goes off once, at the moment that was set last. To put it off costs one call into the kernel and wakes nobody.
#[derive(Debug)]
pub struct Alarm(OwnedFd);

impl Alarm {
    /// One that is not set.
    ///
    /// # Errors
    /// When descriptors are exhausted.
    pub fn new() -> io::Result<Self> {
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?))
    }

    /// Goes off at `nanos` of [`clock::monotonic_nanos`](crate::clock::monotonic_nanos), at once when that is over; and not any more at
    /// the moment that was set before.
    pub fn set(&self, nanos: u64) {
        // Zero would mean never.
        let nanos = nanos.max(1);
        let part = |part: u64| i64::try_from(part).unwrap_or(i64::MAX);
        let value =
            Timespec { tv_sec: part(nanos / NANOS_PER_SECOND), tv_nsec: part(nanos % NANOS_PER_SECOND) };
        let once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let at = Itimerspec { it_interval: once, it_value: value };
        // It fails only when a descriptor, a pointer or a moment is wrong, none of which can be.
        let _ = timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &at);
    }

    /// Returns when it has gone off since it was set last.
    ///
    /// # Errors
    /// None that the kernel documents, but whoever waits in a loop must be able to end.
    pub fn wait(&self) -> io::Result<()> {
        let mut times = [0; size_of::<u64>()];
        loop {
            match read(&self.0, &mut times) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic_nanos;

    const MILLISECOND: u64 = 1_000_000;

    #[test]
    fn it_goes_off_at_the_moment_that_was_set_last() {
        let alarm = Alarm::new().unwrap();
        let start = monotonic_nanos();
        alarm.set(start + 3_600 * NANOS_PER_SECOND);
        alarm.set(start + 20 * MILLISECOND);
        alarm.wait().unwrap();
        assert!(monotonic_nanos() >= start + 20 * MILLISECOND);
        alarm.set(0);
        alarm.wait().unwrap();
    }

    #[test]
    fn it_is_set_while_another_thread_waits() {
        let alarm = Alarm::new().unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| alarm.wait());
            alarm.set(monotonic_nanos() + MILLISECOND);
            waits.join().unwrap().unwrap();
        });
    }
}
