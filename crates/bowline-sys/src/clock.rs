//! The monotonic clock.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Nanoseconds of `CLOCK_MONOTONIC`: never goes back, stands still while the machine is suspended, means the same in every
/// process of this boot.
pub fn monotonic_nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Linux counts from boot, so that neither part is ever negative.
    now.tv_sec.unsigned_abs().saturating_mul(1_000_000_000).saturating_add(now.tv_nsec.unsigned_abs())
}

/// For how long the calling thread has run so far (`CLOCK_THREAD_CPUTIME_ID`).
pub fn thread_ran() -> Duration {
    let ran = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(ran.tv_sec.unsigned_abs(), u32::try_from(ran.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_runs_while_it_works_and_not_while_it_waits() {
        let before = thread_ran();
        while thread_ran() < before + Duration::from_millis(5) {
            std::hint::spin_loop();
        }
        let before = thread_ran();
        let start = std::time::Instant::now();
        std::thread::spawn(|| std::thread::sleep(Duration::from_millis(50))).join().unwrap();
        assert!(thread_ran() - before < start.elapsed() / 2);
    }

    #[test]
    fn it_runs_beside_the_standard_clock() {
        let ours = monotonic_nanos();
        let standard = std::time::Instant::now();
        while standard.elapsed().as_millis() < 2 {
            std::hint::spin_loop();
        }
        assert!(monotonic_nanos() - ours >= 2_000_000);
    }
}
