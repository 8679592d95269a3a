//! The monotonic clock.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`: never goes back, stands still while the machine is suspended, means the same in every
/// process of this boot.
pub fn monotonic_nanos() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // Linux counts from boot, so that neither part is ever negative.
    now.tv_sec.unsigned_abs().saturating_mul(1_000_000_000).saturating_add(now.tv_nsec.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

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
