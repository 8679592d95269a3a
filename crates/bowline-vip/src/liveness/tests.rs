use super::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// The thread that judges and a worker, which answers when it may run. Times are in milliseconds.
struct World {
    liveness: Liveness,
    now: u64,
    /// When the worker was asked, while it owes the answer.
    asked: Option<u64>,
    questions: usize,
}

impl World {
    fn new() -> Self {
        Self { liveness: Liveness::new(at(5_000)), now: 5_000, asked: None, questions: 0 }
    }

    /// Goes on until `until`, or until `ends`; the worker runs when `runs` says so, and the thread itself begins each round `late`.
    fn go(
        &mut self,
        until: u64,
        runs: impl Fn(u64) -> bool,
        late: impl Fn(u64) -> u64,
        ends: impl Fn(&Liveness) -> bool,
    ) {
        let mut due = self.now;
        while self.now < until && !ends(&self.liveness) {
            let began = due + late(due);
            self.asked = self.asked.filter(|asked| !(*asked..=began).any(&runs));
            self.now = began;
            let silent = ms(self.asked.map_or(0, |asked| began - asked));
            if self.liveness.look(silent, silent, ms(began - due), at(began)) {
                self.questions += usize::from(self.asked.is_none());
                self.asked.get_or_insert(began);
            }
            due = (self.liveness.due(at(began)).as_nanos() / 1_000_000).min(began + 100);
            assert!(due > began, "a round at once, and again");
        }
    }

    fn until_starved(&mut self, runs: impl Fn(u64) -> bool, late: impl Fn(u64) -> u64) -> u64 {
        let start = self.now;
        self.go(start + 2_000, runs, late, Liveness::is_starved);
        assert!(self.liveness.is_starved(), "it does not see it");
        self.now - start
    }
}

const fn on_time(_due: u64) -> u64 {
    0
}

#[test]
fn workers_that_answer_are_asked_now_and_then_and_are_all_right() {
    let mut world = World::new();
    world.go(15_000, |_| true, on_time, |liveness| liveness.is_starved() || liveness.is_dead());
    assert!(world.now >= 15_000 && world.liveness.is_alive());
    assert!((120..=145).contains(&world.questions), "{}", world.questions);
}

#[test]
fn a_worker_that_hangs_makes_it_dead_within_half_a_second_and_nothing_before() {
    for phase in 0..100 {
        let mut world = World::new();
        world.go(6_000, |_| true, on_time, |_| false);
        let hangs = world.now + phase;
        let runs = |now| now < hangs;
        world.go(hangs + 2_000, runs, on_time, |liveness| !liveness.is_alive());
        assert!((300..=390).contains(&(world.now - hangs)), "{phase}: {}", world.now - hangs);
        world.go(hangs + 2_000, runs, on_time, Liveness::is_dead);
        assert!((400..=490).contains(&(world.now - hangs)), "{phase}: {}", world.now - hangs);
        assert!(!world.liveness.is_starved(), "it was a single time");
    }
}

#[test]
fn a_worker_that_runs_for_a_hundredth_of_each_period_is_starved_and_not_dead() {
    for phase in 0..100 {
        for period in [80, 90, 110, 140, 150] {
            let after = World::new().until_starved(|now| now % period == phase % period, on_time);
            assert!(after <= 700, "{phase} of {period}: {after}");
        }
        let mut world = World::new();
        let after = world.until_starved(|now| now % 100 == phase, on_time);
        assert!(after <= 600, "{phase}: {after}");
        let end = world.now + 3_000;
        world.go(end, |now| now % 100 == phase, on_time, Liveness::is_dead);
        assert!(world.now >= end && world.liveness.is_alive(), "{phase}: it answers");
    }
}

#[test]
fn one_that_waits_for_its_turn_among_others_is_not() {
    let mut world = World::new();
    world.go(15_000, |now| now % 28 == 0, on_time, Liveness::is_starved);
    assert!(!world.liveness.is_starved());
    // Nor is one that was held up once, and not long enough to be dead.
    let held_up = |now: u64| !(15_100..15_490).contains(&now);
    world.go(18_000, held_up, on_time, |liveness| liveness.is_starved() || liveness.is_dead());
    assert!(world.now >= 18_000);
}

#[test]
fn it_is_over_ten_seconds_later() {
    let mut world = World::new();
    world.until_starved(|now| now % 100 == 0, on_time);
    world.go(100_000, |_| true, on_time, |liveness| !liveness.is_starved());
    // The last second is looked back on.
    assert!((15_000..17_000).contains(&world.now), "{}", world.now);
}

#[test]
fn a_host_that_stood_still_once_is_neither_starved_nor_dead() {
    for stood in [40, 100, 500, 2_000, 30_000] {
        let mut world = World::new();
        world.go(6_000, |_| true, on_time, |_| false);
        let from = world.now;
        let until = from + stood;
        let late = |due: u64| until.saturating_sub(due.max(from)).min(stood);
        world.go(until + 3_000, |now| !(from..until).contains(&now), late, |_| false);
        assert!(!world.liveness.is_starved() && !world.liveness.is_dead(), "{stood}");
    }
}

#[test]
fn without_the_right_to_be_on_time_the_thread_itself_tells() {
    let late = |due: u64| (100 - due % 100) % 100;
    let after = World::new().until_starved(|now| now % 100 == 0, late);
    assert!(after <= 800, "{after}");
}
