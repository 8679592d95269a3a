//! How late this machine is: what tells a slow machine from a slow program.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use bowline_sys::netns::{LinkState, Namespace};

/// Between two looks.
const STEP: Duration = Duration::from_millis(5);
/// Shorter delays are not kept.
const WORTH_KEEPING: Duration = Duration::from_millis(1);
/// Delays kept: an hour of nothing but delays.
const KEPT_MAX: usize = 1_000_000;

#[derive(Debug, Default)]
struct Seen {
    delays: Mutex<Vec<(Instant, Duration)>>,
    stop: AtomicBool,
}

/// Looks, as long as it lives, how late threads run and how long the kernel keeps those waiting who change a link or an address:
/// there is one lock for that in the whole machine, and a namespace that ends holds it.
#[derive(Debug)]
pub struct Gauge {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

impl Gauge {
    /// Starts looking.
    ///
    /// # Errors
    /// Without the privilege to make a namespace, or when no thread can be had.
    pub fn start() -> anyhow::Result<Self> {
        let namespace = Namespace::create().context("making a network namespace")?;
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let look = move || {
            while !shared.stop.load(Ordering::Relaxed) {
                let due = Instant::now() + STEP;
                std::thread::sleep(STEP);
                // Changes nothing, and waits for its turn like any change.
                drop(namespace.set_link("lo", LinkState::Up));
                let delay = due.elapsed();
                let mut delays = shared.delays.lock().unwrap_or_else(PoisonError::into_inner);
                if delay > WORTH_KEEPING && delays.len() < KEPT_MAX {
                    delays.push((due, delay));
                }
            }
        };
        let thread = std::thread::Builder::new().name("gauge".to_owned()).spawn(look)?;
        Ok(Self { seen, thread: Some(thread) })
    }

    /// The longest delay that ended after `moment`.
    pub fn worst_since(&self, moment: Instant) -> Duration {
        let delays = self.seen.delays.lock().unwrap_or_else(PoisonError::into_inner);
        let since = delays.iter().filter(|(due, delay)| *due + *delay >= moment);
        since.map(|(_, delay)| *delay).max().unwrap_or_default()
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the gauge has been printed; nothing hangs on it any more.
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_seen_from_the_moment_at_which_it_was() {
        let Ok(gauge) = Gauge::start() else {
            return println!("skipped: making a network namespace needs root");
        };
        let start = Instant::now();
        let delays = [(start, 30), (start + Duration::from_secs(1), 20)];
        let delays =
            delays.map(|(due, millis)| (due, Duration::from_secs(3600) + Duration::from_millis(millis)));
        gauge.seen.delays.lock().expect("no panic").extend(delays);
        assert_eq!(gauge.worst_since(start), delays[0].1);
        assert_eq!(gauge.worst_since(start + delays[0].1 + STEP), delays[1].1);
    }
}
