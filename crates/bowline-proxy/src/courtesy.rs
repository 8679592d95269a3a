//! When a worker that moves much gives way to whoever else wants its CPU.
//!
//! Several bulky directions fill the queues of their clients faster than clients on the same CPU empty them: by the time a client
//! reads, its bytes have left the processor's cache. A worker that gives way after each move has them read while they are hot. It
//! costs whoever is not bulky the time that the others run, and beside a process that never rests the worker's own share; so
//! that it is done only while nobody else is served here, and while what is given comes back soon.

use bowline_sansio::Instant;
use std::time::Duration;

/// Nobody is given way to for so long after somebody was served who is not bulky: who asks again finds the worker as quick as ever.
const OTHERS_FOR: Duration = Duration::from_millis(100);

/// Times that are looked at together: one of them may last as long as all the clients and endpoints of a round need.
const TIMES: u32 = 32;

/// What the worker gives away in so many times at most. Clients and endpoints that keep up need a tenth of a millisecond for what
/// one move brings; another process that wants all it can get takes whole milliseconds.
const GIVEN_MAX: Duration = Duration::from_millis(10);

/// For how long nobody is given way to then: it costs one part in a hundred to find out again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
pub(crate) struct Courtesy {
    from: Instant,
    times: u32,
    given: Duration,
}

impl Courtesy {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { from: now, times: 0, given: Duration::ZERO }
    }

    /// Somebody who is not bulky was served.
    pub(crate) fn served_others(&mut self, now: Instant) {
        self.from = self.from.max(now + OTHERS_FOR);
    }

    /// Whether to give way after a move.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.from
    }

    /// The worker gave way, and went on after `took`.
    pub(crate) fn gave_way(&mut self, took: Duration, now: Instant) {
        self.times += 1;
        self.given += took;
        let too_much = self.given > GIVEN_MAX;
        if too_much {
            self.from = self.from.max(now + PAUSE);
        }
        if too_much || self.times == TIMES {
            self.times = 0;
            self.given = Duration::ZERO;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn it_goes_on_while_what_is_given_comes_back_soon() {
        let mut courtesy = Courtesy::new(at(0));
        for millis in 0..10_000 {
            assert!(courtesy.is_due(at(millis)));
            courtesy.gave_way(Duration::from_micros(if millis % 32 == 0 { 9_000 } else { 30 }), at(millis));
        }
    }

    #[test]
    fn beside_a_process_that_never_rests_it_pauses() {
        let mut courtesy = Courtesy::new(at(0));
        let (mut given, took) = (0, Duration::from_millis(4));
        for millis in (0..10_000).filter(|millis| millis % 5 == 0) {
            if courtesy.is_due(at(millis)) {
                courtesy.gave_way(took, at(millis));
                given += 1;
            }
        }
        assert_eq!(given, 30, "three times in each second, 12 ms of it");
    }

    #[test]
    fn while_others_are_served_nobody_is_given_way_to() {
        let mut courtesy = Courtesy::new(at(0));
        courtesy.served_others(at(50));
        assert_eq!([50, 149, 150].map(|millis| courtesy.is_due(at(millis))), [false, false, true]);
        // It shortens no pause.
        courtesy.gave_way(Duration::from_millis(11), at(200));
        courtesy.served_others(at(300));
        assert_eq!([400, 1_199, 1_200].map(|millis| courtesy.is_due(at(millis))), [false, false, true]);
    }
}
