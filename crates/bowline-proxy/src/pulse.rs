//! Whether the workers answer: each one is pinged through its own epoll instance, by a thread that does nothing else.
//!
//! ```text
//!   watch:   ask ─▶ wake ............ answered? ─▶ ask again
//!   worker:          epoll ─▶ answer          └─ no, and asked two rounds ago ─▶ stuck, until it answers
//! ```

use crate::mailbox::Mailbox;
use crate::report::{Event, Report, Sink};
use bowline_sansio::Instant;
use bowline_sys::clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

/// Between two pings of a worker that answers: eleven wake-ups a second, each of some microseconds.
pub const PING_EVERY: Duration = Duration::from_millis(90);

/// A ping that is unanswered for so long says that the worker is stuck. With the time until it is asked it makes 270 ms from the
/// moment it stopped.
pub const STUCK_AFTER: Duration = Duration::from_millis(180);

/// What a worker and the thread that watches it share.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// The last ping, and the last one that was answered, by number.
    asked: AtomicU64,
    answered: AtomicU64,
    /// When that was, on the monotonic clock.
    answered_at: AtomicU64,
    stuck: AtomicBool,
    times_stuck: AtomicU64,
}

impl Pulse {
    /// Of a worker that starts now.
    pub(crate) fn new() -> Self {
        Self {
            asked: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            answered_at: AtomicU64::new(clock::monotonic_nanos()),
            stuck: AtomicBool::new(false),
            times_stuck: AtomicU64::new(0),
        }
    }

    /// Called by the worker after it has taken note of a wake-up: a ping that comes later brings another one.
    pub(crate) fn answer(&self, now: Instant) {
        self.answered_at.store(now.as_nanos(), Ordering::Relaxed);
        self.answered.store(self.asked.load(Ordering::Acquire), Ordering::Release);
    }

    fn ask(&self) {
        self.asked.fetch_add(1, Ordering::Release);
    }

    fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire) == self.asked.load(Ordering::Relaxed)
    }

    /// Whether it is stuck, and how often it was.
    pub(crate) fn is_stuck(&self) -> (bool, u64) {
        (self.stuck.load(Ordering::Relaxed), self.times_stuck.load(Ordering::Relaxed))
    }
}

/// Shows whether a proxy's workers answer; costs a few reads of memory, and outlives the proxy.
#[derive(Clone, Debug)]
pub struct Liveness(pub(crate) Vec<Arc<Pulse>>);

impl Liveness {
    /// How long ago the one that has been silent the longest has answered: about [`PING_EVERY`] at most while all is well, and
    /// more when the pings have stopped for whatever reason.
    pub fn oldest_answer(&self) -> Duration {
        let now = Instant::from_nanos(clock::monotonic_nanos());
        let ages = self
            .0
            .iter()
            .map(|pulse| now.since(Instant::from_nanos(pulse.answered_at.load(Ordering::Relaxed))));
        ages.max().unwrap_or_default()
    }

    /// The numbers of the workers that are stuck, in ascending order.
    pub fn stuck(&self) -> Vec<usize> {
        let stuck = self.0.iter().enumerate().filter(|(_, pulse)| pulse.is_stuck().0);
        stuck.map(|(worker, _)| worker).collect()
    }
}

/// One worker, as it is watched.
pub(crate) struct Watched {
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) mailbox: Arc<Mailbox>,
    asked_at: Instant,
}

impl Watched {
    pub(crate) fn new(pulse: Arc<Pulse>, mailbox: Arc<Mailbox>) -> Self {
        Self { pulse, mailbox, asked_at: Instant::from_nanos(clock::monotonic_nanos()) }
    }

    fn ask(&mut self, now: Instant) {
        self.asked_at = now;
        self.pulse.ask();
        self.mailbox.waker().wake();
    }

    /// Asks again, or judges; what is to be told.
    fn look(&mut self, worker: usize, now: Instant, late: bool) -> Option<Event> {
        let silent = now.since(self.asked_at);
        let (was_stuck, _) = self.pulse.is_stuck();
        if self.pulse.has_answered() {
            self.pulse.stuck.store(false, Ordering::Relaxed);
            self.ask(now);
            return was_stuck.then_some(Event::WorkerBack { worker, silent });
        }
        if late && !was_stuck {
            // This thread was held up, and so may have been the worker's.
            self.asked_at = now;
            return None;
        }
        if was_stuck || silent < STUCK_AFTER {
            return None;
        }
        self.pulse.stuck.store(true, Ordering::Relaxed);
        self.pulse.times_stuck.fetch_add(1, Ordering::Relaxed);
        Some(Event::WorkerStuck { worker, silent })
    }
}

/// Watches until the other end of `ended` is dropped.
pub(crate) fn watch(mut workers: Vec<Watched>, sink: &dyn Sink, ended: &Receiver<()>) {
    let mut last = Instant::from_nanos(clock::monotonic_nanos());
    while ended.recv_timeout(PING_EVERY) == Err(RecvTimeoutError::Timeout) {
        let now = Instant::from_nanos(clock::monotonic_nanos());
        let late = now.since(last) > PING_EVERY * 2;
        last = now;
        for (number, worker) in workers.iter_mut().enumerate() {
            if let Some(event) = worker.look(number, now, late) {
                // Without room for it the metrics still say so.
                let _ = sink.report(Report::Event(event));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_judged_once_and_not_by_a_judge_who_slept() {
        let pulse = Arc::new(Pulse::new());
        let mut watched = Watched::new(Arc::clone(&pulse), Arc::new(Mailbox::new().unwrap()));
        let at = |millis| Instant::from_millis(millis);
        watched.asked_at = at(0);
        assert_eq!(watched.look(3, at(90), false), None, "asked");
        assert_eq!(watched.look(3, at(180), false), None, "not long enough");
        assert_eq!(watched.look(3, at(400), true), None, "held up itself");
        assert_eq!(watched.look(3, at(490), false), None);
        let silent = STUCK_AFTER;
        assert_eq!(watched.look(3, at(580), false), Some(Event::WorkerStuck { worker: 3, silent }));
        assert_eq!(watched.look(3, at(670), false), None, "said already");
        assert_eq!(watched.look(3, at(2_000), true), None);
        assert_eq!(pulse.is_stuck(), (true, 1));
        assert_eq!(Liveness(vec![Arc::new(Pulse::new()), Arc::clone(&pulse)]).stuck(), [1]);
        pulse.answer(at(2_010));
        let silent = Duration::from_millis(1_690);
        assert_eq!(watched.look(3, at(2_090), false), Some(Event::WorkerBack { worker: 3, silent }));
        assert_eq!((watched.look(3, at(2_180), false), pulse.is_stuck()), (None, (false, 1)));
    }
}
