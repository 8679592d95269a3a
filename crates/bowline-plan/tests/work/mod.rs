//! Whether something takes time in proportion to its input, however fast or busy the machine is: the processor time of this
//! thread at two sizes is compared, and nothing is compared with a clock on the wall.

use std::fs;
use std::time::Duration;

/// How much larger the larger input is. What is linear takes 8 times as long for it, what is quadratic 64 times.
pub(crate) const GROWTH: usize = 8;
/// What passes for linear.
const LIMIT: u32 = 24;
/// Caches, allocations and the clock's own steps blur what is shorter.
const BLUR: Duration = Duration::from_millis(10);
/// Something else may have had the processor's caches; it will not every time.
const ATTEMPTS: usize = 3;

/// Processor time that this thread has used.
fn used() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

fn of(run: &mut dyn FnMut(usize), size: usize) -> Duration {
    let before = used();
    run(size);
    used() - before
}

/// Runs `run` with `small` and with `GROWTH` times as much.
#[track_caller]
pub(crate) fn assert_linear(what: &str, small: usize, run: &mut dyn FnMut(usize)) {
    let mut seen = Vec::new();
    for _ in 0..ATTEMPTS {
        let (few, many) = (of(run, small), of(run, small * GROWTH));
        if many < (few + BLUR) * LIMIT {
            return;
        }
        seen.push((few, many));
    }
    panic!("{what}: {small} take and {GROWTH} times as much takes {seen:?}");
}
