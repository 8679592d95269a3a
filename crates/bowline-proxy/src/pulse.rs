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

/// How much a worker runs is accounted for over this time at least.
const ACCOUNT: Duration = Duration::from_millis(200);

/// A worker that runs less than this, in thousandths of a CPU, and lets itself be waited for is kept from running.
const SMALL: u64 = 100;

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
    share: Share,
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
            share: Share::new(now),
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

    /// Called by the worker after it has taken note of a wake-up, in a turn that began at `now`: a ping that comes later brings another
    /// one. It has `ran` for so long so far.
    pub(crate) fn answer(&self, now: Instant, ran: Duration) {
        self.share.update(now, ran);
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

    /// Since when a ping is unanswered.
    fn unanswered_since(&self) -> Option<Instant> {
        (!self.has_answered()).then(|| Instant::from_nanos(self.asked_at.load(Ordering::Acquire)))
    }

    /// For how long its present turn lasts by now, or a ping is unanswered.
    fn silent_for(&self, now: Instant) -> Duration {
        let since = self.works_since().into_iter().chain(self.unanswered_since()).min();
        since.map_or(Duration::ZERO, |since| now.since(since))
    }

    /// The same of one that gets less than a tenth of a CPU: that waits because it may not run, and not because it has much to do.
    fn starves_for(&self, now: Instant) -> Duration {
        if self.share.is_small(now) { self.silent_for(now) } else { Duration::ZERO }
    }

    /// Whether that is so long that it is stuck, which the thread that watches may not have seen yet.
    pub(crate) fn is_silent(&self, now: Instant) -> bool {
        self.silent_for(now) >= STUCK_AFTER
    }

    /// Whether it is stuck, and how often it was.
    pub(crate) fn is_stuck(&self) -> (bool, u64) {
        (self.stuck.load(Ordering::Relaxed), self.times_stuck.load(Ordering::Relaxed))
    }
}

/// How much a worker ran, by its own account. One thread writes, and what others read may be of different moments.
#[derive(Debug)]
struct Share {
    /// When the present account began, and how long it had run by then, in nanoseconds.
    since: AtomicU64,
    ran: AtomicU64,
    /// Of the account before, in thousandths of a CPU.
    thousandths: AtomicU64,
}

impl Share {
    const fn new(now: u64) -> Self {
        Self { since: AtomicU64::new(now), ran: AtomicU64::new(0), thousandths: AtomicU64::new(0) }
    }

    fn update(&self, now: Instant, ran: Duration) {
        let since = Instant::from_nanos(self.since.load(Ordering::Relaxed));
        let elapsed = now.since(since);
        if elapsed < ACCOUNT {
            return;
        }
        let ran = u64::try_from(ran.as_nanos()).unwrap_or(u64::MAX);
        let more = u128::from(ran.saturating_sub(self.ran.load(Ordering::Relaxed)));
        let thousandths = u64::try_from(more * 1_000 / elapsed.as_nanos().max(1)).unwrap_or(u64::MAX);
        self.thousandths.store(thousandths, Ordering::Relaxed);
        self.ran.store(ran, Ordering::Relaxed);
        self.since.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// Less than a tenth, or it has not said so for long.
    fn is_small(&self, now: Instant) -> bool {
        let since = Instant::from_nanos(self.since.load(Ordering::Relaxed));
        self.thousandths.load(Ordering::Relaxed) < SMALL || now.since(since) >= ACCOUNT * 2
    }
}

/// Shows whether a proxy's workers live; costs a few reads of memory, and outlives the proxy.
#[derive(Clone, Debug)]
pub struct Liveness(pub(crate) Vec<Pinged>);

/// A worker, and how to wake it.
#[derive(Clone, Debug)]
pub(crate) struct Pinged {
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Pinged {
    fn ask(&self, now: Instant) {
        self.pulse.ask(now);
        self.mailbox.waker().wake();
    }
}

impl Liveness {
    /// How long the longest turn of all workers lasts by now: microseconds while all is well, ever more when one hangs or has
    /// ended. A worker that the kernel does not let run is found by ping alone, see [`Liveness::stuck`].
    pub fn longest_turn(&self) -> Duration {
        let now = Instant::from_nanos(clock::monotonic_nanos());
        self.0
            .iter()
            .filter_map(|worker| worker.pulse.works_since())
            .map(|since| now.since(since))
            .max()
            .unwrap_or_default()
    }

    /// Pings each worker through its own epoll instance, but for those that owe the answer to an earlier ping: to be called by one
    /// thread that is on time. Takes no lock and no memory.
    pub fn ask(&self) {
        let now = Instant::from_nanos(clock::monotonic_nanos());
        self.0.iter().filter(|worker| worker.pulse.has_answered()).for_each(|worker| worker.ask(now));
    }

    /// For how long the worker that has been silent longest owes an answer ([`Liveness::ask`]), or has been in one turn; zero when all of
    /// them rest and have answered. Takes no lock and no memory.
    pub fn silent_for(&self) -> Duration {
        let now = Instant::from_nanos(clock::monotonic_nanos());
        self.0.iter().map(|worker| worker.pulse.silent_for(now)).max().unwrap_or_default()
    }

    /// The same among those that get less than a tenth of a CPU: they are not late because they have so much to do. Takes no lock and no
    /// memory.
    pub fn starves_for(&self) -> Duration {
        let now = Instant::from_nanos(clock::monotonic_nanos());
        self.0.iter().map(|worker| worker.pulse.starves_for(now)).max().unwrap_or_default()
    }

    /// The numbers of the workers that are stuck, in ascending order.
    pub fn stuck(&self) -> Vec<usize> {
        let stuck = self.0.iter().enumerate().filter(|(_, one)| one.pulse.is_stuck().0);
        stuck.map(|(worker, _)| worker).collect()
    }
}

/// One worker, as it is watched.
pub(crate) struct Watched {
    worker: Pinged,
    /// What happened before is not held against it: nobody could judge then.
    judged_from: Instant,
    /// Since when it was silent when it was last found stuck.
    stuck_since: Instant,
}

impl Watched {
    pub(crate) fn new(worker: Pinged) -> Self {
        let now = Instant::from_nanos(clock::monotonic_nanos());
        Self { worker, judged_from: now, stuck_since: now }
    }

    /// Whether it waits in the kernel and owes no answer.
    fn rests(&self) -> bool {
        self.worker.pulse.works_since().is_none() && self.worker.pulse.has_answered()
    }

    /// Judges, and asks again when it is time; what is to be told.
    fn look(&mut self, number: usize, now: Instant, late: bool) -> Option<Event> {
        let pulse = &self.worker.pulse;
        let (was_stuck, _) = pulse.is_stuck();
        let unanswered = pulse.unanswered_since().map(|asked| asked.max(self.judged_from));
        let silent_since = pulse.works_since().into_iter().chain(unanswered).min();
        let silent = silent_since.map_or(Duration::ZERO, |since| now.since(since));
        if late && !was_stuck {
            // This thread was held up, and so may have been the worker's.
            self.judged_from = now;
        } else if silent >= STUCK_AFTER && !was_stuck {
            pulse.stuck.store(true, Ordering::Relaxed);
            pulse.times_stuck.fetch_add(1, Ordering::Relaxed);
            self.stuck_since = silent_since.unwrap_or(now);
            return Some(Event::WorkerStuck { worker: number, silent });
        } else if silent < STUCK_AFTER && was_stuck {
            pulse.stuck.store(false, Ordering::Relaxed);
            return Some(Event::WorkerBack { worker: number, silent: now.since(self.stuck_since) });
        }
        let asked_at = Instant::from_nanos(pulse.asked_at.load(Ordering::Acquire));
        if unanswered.is_none() && now.since(asked_at) >= PING_EVERY {
            self.worker.ask(now);
        }
        None
    }
}

/// The pauses of the thread that watches: long ones while nobody is served, which the first client cuts short.
#[derive(Debug)]
pub(crate) struct Rest {
    is_long: AtomicBool,
    is_over: AtomicBool,
    /// Who rests.
    thread: OnceLock<Thread>,
}

impl Rest {
    pub(crate) const fn new() -> Self {
        Self { is_long: AtomicBool::new(false), is_over: AtomicBool::new(false), thread: OnceLock::new() }
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
        if all_rest && occupancy.present() == 0 {
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
            if let Some(event) = worker.look(number, now, late) {
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

    fn pinged(pulse: &Arc<Pulse>) -> Pinged {
        Pinged { pulse: Arc::clone(pulse), mailbox: Arc::new(Mailbox::new().unwrap()) }
    }

    fn all(pulses: &[&Arc<Pulse>]) -> Liveness {
        Liveness(pulses.iter().map(|pulse| pinged(pulse)).collect())
    }

    fn watched(pulse: &Arc<Pulse>) -> Watched {
        pulse.asked_at.store(0, Ordering::Relaxed);
        let mut watched = Watched::new(pinged(pulse));
        watched.judged_from = at(0);
        watched
    }

    #[test]
    fn a_turn_that_lasts_is_judged_once_and_not_by_a_judge_who_slept() {
        let pulse = Arc::new(Pulse::new());
        let mut watched = watched(&pulse);
        pulse.work(at(10));
        assert_eq!(watched.look(3, at(90), false), None, "it works");
        assert_eq!(watched.look(3, at(400), true), None, "held up itself");
        assert_eq!(pulse.asked.load(Ordering::Relaxed), 0, "no ping is needed for this");
        let silent = Duration::from_millis(480);
        assert_eq!(watched.look(3, at(490), false), Some(Event::WorkerStuck { worker: 3, silent }));
        assert_eq!(watched.look(3, at(580), false), None, "said already");
        assert_eq!((watched.look(3, at(2_000), true), pulse.is_stuck()), (None, (true, 1)));
        assert_eq!(all(&[&Arc::new(Pulse::new()), &pulse]).stuck(), [1]);
        pulse.work(at(2_010));
        pulse.answer(at(0), Duration::ZERO);
        let silent = Duration::from_millis(2_080);
        assert_eq!(watched.look(3, at(2_090), false), Some(Event::WorkerBack { worker: 3, silent }));
        assert_eq!((watched.look(3, at(2_180), false), pulse.is_stuck()), (None, (false, 1)));
    }

    #[test]
    fn a_worker_that_rests_is_pinged_now_and_then_and_must_answer() {
        let pulse = Arc::new(Pulse::new());
        let mut watched = watched(&pulse);
        pulse.rest();
        for number in 1..=11 {
            assert_eq!(watched.look(0, at(number * 90), false), None);
        }
        assert_eq!(pulse.asked.load(Ordering::Relaxed), 0, "less than a second has gone by");
        assert_eq!((watched.look(0, at(1_080), false), pulse.has_answered()), (None, false));
        pulse.answer(at(0), Duration::ZERO);
        assert_eq!(watched.look(0, at(1_170), false), None);
        assert_eq!((watched.look(0, at(2_090), false), pulse.has_answered()), (None, false));
        assert_eq!(watched.look(0, at(2_180), false), None, "not long enough");
        let silent = STUCK_AFTER;
        assert_eq!(watched.look(0, at(2_270), false), Some(Event::WorkerStuck { worker: 0, silent }));
    }

    #[test]
    fn a_ping_of_somebody_else_counts_like_its_own() {
        let pulse = Arc::new(Pulse::new());
        let mut watched = watched(&pulse);
        pulse.rest();
        pulse.ask(at(500));
        assert_eq!(watched.look(0, at(590), true), None, "held up itself");
        assert_eq!(watched.look(0, at(700), false), None, "it could judge from 590 on");
        let silent = STUCK_AFTER;
        assert_eq!(watched.look(0, at(770), false), Some(Event::WorkerStuck { worker: 0, silent }));
        pulse.answer(at(0), Duration::ZERO);
        watched.look(0, at(860), false).expect("it is back");
        assert_eq!(watched.look(0, at(1_490), false), None);
        assert!(pulse.has_answered(), "the last ping is not a second old");
        assert_eq!((watched.look(0, at(1_500), false), pulse.has_answered()), (None, false));
    }

    #[test]
    fn a_worker_is_silent_from_the_ping_it_owes_an_answer_to_or_from_the_turn_it_is_in() {
        let (rests, works) = (Arc::new(Pulse::new()), Arc::new(Pulse::new()));
        rests.rest();
        assert_eq!(all(&[&rests]).silent_for(), Duration::ZERO);
        rests.ask(at(1_000));
        rests.ask(at(1_030));
        assert_eq!(rests.silent_for(at(1_100)), Duration::from_millis(70));
        works.work(at(1_010));
        assert_eq!(works.silent_for(at(1_100)), Duration::from_millis(90));
        works.ask(at(1_005));
        assert_eq!(works.silent_for(at(1_100)), Duration::from_millis(95));
        assert!(all(&[&rests, &works]).silent_for() > Duration::from_millis(95), "by the real clock");
        for pulse in [&rests, &works] {
            pulse.answer(at(0), Duration::ZERO);
            pulse.rest();
        }
        assert_eq!(all(&[&rests, &works]).silent_for(), Duration::ZERO);
    }

    #[test]
    fn one_that_owes_an_answer_is_not_asked_again() {
        let (rests, owes) = (Arc::new(Pulse::new()), Arc::new(Pulse::new()));
        owes.ask(at(1));
        all(&[&rests, &owes]).ask();
        let asked = |pulse: &Pulse| pulse.asked.load(Ordering::Relaxed);
        assert_eq!((asked(&rests), asked(&owes)), (1, 1));
        assert_eq!(owes.asked_at.load(Ordering::Relaxed), at(1).as_nanos());
    }

    #[test]
    fn one_that_runs_much_does_not_starve() {
        let ms = Duration::from_millis;
        let pulse = Pulse::new();
        pulse.rest();
        pulse.share.since.store(0, Ordering::Relaxed);
        pulse.answer(at(500), ms(100));
        pulse.ask(at(510));
        assert_eq!(
            (pulse.starves_for(at(600)), pulse.silent_for(at(600))),
            (ms(0), ms(90)),
            "a fifth of a CPU"
        );
        pulse.answer(at(650), ms(101));
        assert!(!pulse.share.is_small(at(650)), "it has no new account yet");
        pulse.ask(at(660));
        pulse.answer(at(700), ms(101));
        pulse.ask(at(710));
        assert_eq!(pulse.starves_for(at(790)), ms(80), "it has run for a millisecond in 200");
        pulse.answer(at(900), ms(200));
        pulse.ask(at(910));
        assert_eq!(pulse.starves_for(at(990)), ms(0));
        assert_eq!(pulse.starves_for(at(1_300)), ms(390), "and since then nobody has heard of it");
    }
}
