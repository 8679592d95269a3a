//! Whether the workers live: a thread that does nothing else looks at each of them, and pings it through its own epoll instance.
//!
//! ```text
//!   worker:  rests in the kernel ─▶ works since T ─▶ rests ...      a turn that lasts too long: stuck
//!   watch:   wakes it now and then ─▶ answered? ─▶ wakes it again   rests, and does not wake up: stuck too
//! ```
//!
//! Looking costs two reads of memory, so it is done often; a ping wakes a thread, so it is rare: code that hangs is seen by the
//! turn that lasts, and only a worker that the kernel does not let run needs a ping to be told from one that has nothing to do.

use crate::mailbox::Mailbox;
use crate::occupancy::Occupancy;
use crate::report::{Event, Report, Sink};
use bowline_sansio::Instant;
use bowline_sys::clock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

/// Between two looks at the workers while they serve somebody.
pub const LOOK_EVERY: Duration = Duration::from_millis(90);

/// Between two pings of a worker that answers, and between two looks while nobody is served: an idle host is not woken for it,
/// and the first client wakes the thread that looks.
pub const PING_EVERY: Duration = Duration::from_secs(1);

/// A turn, or an unanswered ping, of this age says that the worker is stuck. With the time until it is looked at it makes 270 ms
/// from the moment it stopped.
pub const STUCK_AFTER: Duration = Duration::from_millis(180);

/// What a worker and the thread that watches it share.
#[derive(Debug)]
pub(crate) struct Pulse {
    /// When the worker's present turn began, in nanoseconds on the monotonic clock; [`RESTING`] while it waits in the kernel.
    turn: AtomicU64,
    /// The last ping, and the last one that was answered, by number.
    asked: AtomicU64,
    answered: AtomicU64,
    /// When the last ping was sent, in nanoseconds.
    asked_at: AtomicU64,
    /// When the last ping was answered, in nanoseconds.
    answered_at: AtomicU64,
    stuck: AtomicBool,
    times_stuck: AtomicU64,
}

/// No turn began then: the clock takes 584 years to come there.
const RESTING: u64 = u64::MAX;

impl Pulse {
    /// Of a worker that starts now.
    pub(crate) fn new() -> Self {
        let now = clock::monotonic_nanos();
        Self {
            turn: AtomicU64::new(now),
            asked: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            asked_at: AtomicU64::new(now),
            answered_at: AtomicU64::new(now),
            stuck: AtomicBool::new(false),
            times_stuck: AtomicU64::new(0),
        }
    }

    /// The worker goes to wait in the kernel.
    pub(crate) fn rest(&self) {
        self.turn.store(RESTING, Ordering::Release);
    }

    /// The worker has come back from there; one that ends never rests again.
    pub(crate) fn work(&self, now: Instant) {
        self.turn.store(now.as_nanos(), Ordering::Release);
    }

    /// Called by the worker after it has taken note of a wake-up, in a turn that began at `now`: a ping that comes later brings
    /// another one.
    pub(crate) fn answer(&self, now: Instant) {
        self.answered_at.store(now.as_nanos(), Ordering::Release);
        self.answered.store(self.asked.load(Ordering::Acquire), Ordering::Release);
    }

    fn ask(&self, now: Instant) {
        self.asked_at.store(now.as_nanos(), Ordering::Release);
        self.asked.fetch_add(1, Ordering::Release);
    }

    fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire) == self.asked.load(Ordering::Relaxed)
    }

    /// Since when the present turn lasts; none while the worker rests.
    fn works_since(&self) -> Option<Instant> {
        let turn = self.turn.load(Ordering::Acquire);
        (turn != RESTING).then_some(Instant::from_nanos(turn))
    }

    /// Whether its present turn or an unanswered ping is so old by now that it is stuck, which the thread that watches may not have
    /// seen yet.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        let asked_at = || Instant::from_nanos(self.asked_at.load(Ordering::Acquire));
        let unanswered = (!self.has_answered()).then(asked_at);
        let since = self.works_since().into_iter().chain(unanswered).min();
        since.is_some_and(|since| now.since(since) >= STUCK_AFTER)
    }

    /// Whether it is stuck, and how often it was.
    pub(crate) fn is_stuck(&self) -> (bool, u64) {
        (self.stuck.load(Ordering::Relaxed), self.times_stuck.load(Ordering::Relaxed))
    }
}

/// Shows whether a proxy's workers live; costs a few reads of memory, and outlives the proxy.
#[derive(Clone, Debug)]
pub struct Liveness(pub(crate) Vec<Arc<Pulse>>);

impl Liveness {
    /// How long the longest turn of all workers lasts by now: microseconds while all is well, ever more when one hangs or has
    /// ended. A worker that the kernel does not let run is found by ping alone, see [`Liveness::stuck`].
    pub fn longest_turn(&self) -> Duration {
        let now = Instant::from_nanos(clock::monotonic_nanos());
        self.0
            .iter()
            .filter_map(|pulse| pulse.works_since())
            .map(|since| now.since(since))
            .max()
            .unwrap_or_default()
    }

    /// For how long the worker that has been silent longest has answered no ping through its own epoll instance, or been in one
    /// turn. To say anything below [`PING_EVERY`], the workers have to be watched closely ([`crate::Proxy::watch_closely`]). Takes
    /// no lock and no memory.
    pub fn silent_for(&self) -> Duration {
        let now = Instant::from_nanos(clock::monotonic_nanos());
        let silent = |pulse: &Arc<Pulse>| {
            let answered = Instant::from_nanos(pulse.answered_at.load(Ordering::Acquire));
            let turn = pulse.works_since().map_or(Duration::ZERO, |since| now.since(since));
            now.since(answered).max(turn)
        };
        self.0.iter().map(silent).max().unwrap_or_default()
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
    /// Since when it was silent when it was last found stuck.
    stuck_since: Instant,
}

impl Watched {
    pub(crate) fn new(pulse: Arc<Pulse>, mailbox: Arc<Mailbox>) -> Self {
        let now = Instant::from_nanos(clock::monotonic_nanos());
        Self { pulse, mailbox, asked_at: now, stuck_since: now }
    }

    fn ask(&mut self, now: Instant) {
        self.asked_at = now;
        self.pulse.ask(now);
        self.mailbox.waker().wake();
    }

    /// Whether it waits in the kernel and owes no answer.
    fn rests(&self) -> bool {
        self.pulse.works_since().is_none() && self.pulse.has_answered()
    }

    /// Judges, and asks again when it is time; what is to be told.
    fn look(&mut self, worker: usize, now: Instant, late: bool, ping_every: Duration) -> Option<Event> {
        let (was_stuck, _) = self.pulse.is_stuck();
        let unanswered = (!self.pulse.has_answered()).then_some(self.asked_at);
        let silent_since = self.pulse.works_since().into_iter().chain(unanswered).min();
        let silent = silent_since.map_or(Duration::ZERO, |since| now.since(since));
        if late && !was_stuck {
            // This thread was held up, and so may have been the worker's.
            self.asked_at = now;
        } else if silent >= STUCK_AFTER && !was_stuck {
            self.pulse.stuck.store(true, Ordering::Relaxed);
            self.pulse.times_stuck.fetch_add(1, Ordering::Relaxed);
            self.stuck_since = silent_since.unwrap_or(now);
            return Some(Event::WorkerStuck { worker, silent });
        } else if silent < STUCK_AFTER && was_stuck {
            self.pulse.stuck.store(false, Ordering::Relaxed);
            return Some(Event::WorkerBack { worker, silent: now.since(self.stuck_since) });
        }
        if unanswered.is_none() && now.since(self.asked_at) >= ping_every {
            self.ask(now);
        }
        None
    }
}

/// The pauses of the thread that watches: long ones while nobody is served, which the first client cuts short.
#[derive(Debug)]
pub(crate) struct Rest {
    is_long: AtomicBool,
    is_over: AtomicBool,
    /// No rest is long, and each look is a ping.
    is_close: AtomicBool,
    /// Who rests.
    thread: OnceLock<Thread>,
}

impl Rest {
    pub(crate) const fn new() -> Self {
        Self {
            is_long: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            is_close: AtomicBool::new(false),
            thread: OnceLock::new(),
        }
    }

    /// Whether each look is a ping from now on, and there is one every [`LOOK_EVERY`].
    pub(crate) fn watch_closely(&self, closely: bool) {
        self.is_close.store(closely, Ordering::SeqCst);
        self.wake();
    }

    fn ping_every(&self) -> Duration {
        // A look that comes a little early must not put a ping off to the next one.
        if self.is_close.load(Ordering::Relaxed) { LOOK_EVERY / 2 } else { PING_EVERY }
    }

    /// A client has come: called after it is counted. Costs a look at memory, but for the first client after a time without any.
    pub(crate) fn disturb(&self) {
        if self.is_long.load(Ordering::SeqCst) && self.is_long.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }

    /// There is nothing to watch any more.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Rests until it is time for the next look, and says how long at most that is; `None` when there is nothing to watch any
    /// more. `all_rest`: no worker was in a turn when it was looked at.
    fn until_next(&self, occupancy: &Occupancy, all_rest: bool) -> Option<Duration> {
        let mut pause = LOOK_EVERY;
        if all_rest && occupancy.present() == 0 && !self.is_close.load(Ordering::SeqCst) {
            self.is_long.store(true, Ordering::SeqCst);
            // One who came between the two lines before saw no long rest, and is seen here.
            if occupancy.present() == 0 {
                pause = PING_EVERY;
            }
        }
        if !self.is_over.load(Ordering::SeqCst) {
            std::thread::park_timeout(pause);
        }
        self.is_long.store(false, Ordering::SeqCst);
        (!self.is_over.load(Ordering::SeqCst)).then_some(pause)
    }
}

/// Watches until the end of `rest`.
pub(crate) fn watch(mut workers: Vec<Watched>, occupancy: &Occupancy, sink: &dyn Sink, rest: &Rest) {
    // Nobody else sets it.
    let _ = rest.thread.set(std::thread::current());
    let mut last = Instant::from_nanos(clock::monotonic_nanos());
    let mut all_rest = true;
    while let Some(pause) = rest.until_next(occupancy, all_rest) {
        let now = Instant::from_nanos(clock::monotonic_nanos());
        let late = now.since(last) > pause + LOOK_EVERY;
        last = now;
        for (number, worker) in workers.iter_mut().enumerate() {
            if let Some(event) = worker.look(number, now, late, rest.ping_every()) {
                // Without room for it the metrics still say so.
                let _ = sink.report(Report::Event(event));
            }
        }
        all_rest = workers.iter().all(Watched::rests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn look(watched: &mut Watched, worker: usize, now: Instant, late: bool) -> Option<Event> {
        watched.look(worker, now, late, PING_EVERY)
    }

    fn watched(pulse: &Arc<Pulse>) -> Watched {
        let mut watched = Watched::new(Arc::clone(pulse), Arc::new(Mailbox::new().unwrap()));
        watched.asked_at = at(0);
        watched
    }

    #[test]
    fn a_turn_that_lasts_is_judged_once_and_not_by_a_judge_who_slept() {
        let pulse = Arc::new(Pulse::new());
        let mut watched = watched(&pulse);
        pulse.work(at(10));
        assert_eq!(look(&mut watched, 3, at(90), false), None, "it works");
        assert_eq!(look(&mut watched, 3, at(400), true), None, "held up itself");
        assert_eq!(pulse.asked.load(Ordering::Relaxed), 0, "no ping is needed for this");
        let silent = Duration::from_millis(480);
        assert_eq!(look(&mut watched, 3, at(490), false), Some(Event::WorkerStuck { worker: 3, silent }));
        assert_eq!(look(&mut watched, 3, at(580), false), None, "said already");
        assert_eq!((look(&mut watched, 3, at(2_000), true), pulse.is_stuck()), (None, (true, 1)));
        assert_eq!(Liveness(vec![Arc::new(Pulse::new()), Arc::clone(&pulse)]).stuck(), [1]);
        pulse.work(at(2_010));
        pulse.answer(at(0));
        let silent = Duration::from_millis(2_080);
        assert_eq!(look(&mut watched, 3, at(2_090), false), Some(Event::WorkerBack { worker: 3, silent }));
        assert_eq!((look(&mut watched, 3, at(2_180), false), pulse.is_stuck()), (None, (false, 1)));
    }

    #[test]
    fn a_worker_that_rests_is_pinged_now_and_then_and_must_answer() {
        let pulse = Arc::new(Pulse::new());
        let mut watched = watched(&pulse);
        pulse.rest();
        for number in 1..=11 {
            assert_eq!(look(&mut watched, 0, at(number * 90), false), None);
        }
        assert_eq!(pulse.asked.load(Ordering::Relaxed), 0, "less than a second has gone by");
        assert_eq!((look(&mut watched, 0, at(1_080), false), pulse.has_answered()), (None, false));
        pulse.answer(at(0));
        assert_eq!(look(&mut watched, 0, at(1_170), false), None);
        assert_eq!((look(&mut watched, 0, at(2_090), false), pulse.has_answered()), (None, false));
        assert_eq!(look(&mut watched, 0, at(2_180), false), None, "not long enough");
        let silent = STUCK_AFTER;
        assert_eq!(look(&mut watched, 0, at(2_270), false), Some(Event::WorkerStuck { worker: 0, silent }));
    }

    #[test]
    fn a_worker_has_answered_in_time_unless_its_answer_or_its_turn_is_too_old() {
        const HOUR: Duration = Duration::from_secs(3_600);
        let now = Instant::from_nanos(clock::monotonic_nanos());
        let long_ago = Instant::from_nanos(now.as_nanos().saturating_sub(2_000_000_000));
        let within = Duration::from_secs(1);
        let (well, late, stuck) = (Arc::new(Pulse::new()), Arc::new(Pulse::new()), Arc::new(Pulse::new()));
        well.rest();
        late.answer(long_ago);
        late.rest();
        stuck.work(long_ago);
        let all = |pulses: &[&Arc<Pulse>]| Liveness(pulses.iter().map(|pulse| Arc::clone(pulse)).collect());
        assert!(all(&[&well]).silent_for() <= HOUR);
        assert!(
            all(&[&well, &late]).silent_for() > within,
            "nobody has asked it for too long, or it did not answer"
        );
        assert!(all(&[&well, &stuck]).silent_for() > within, "it is in a turn that lasts");
        assert!(all(&[&well, &late, &stuck]).silent_for() <= HOUR);
    }
}
