//! A worker that does not answer is seen, and said.

mod common;

use bowline_proxy::{Event, Report, STUCK_AFTER, Sink};
use common::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Holds up the worker that reports the end of a connection, for as long as it is told to.
#[derive(Default)]
struct Obstacle {
    there: AtomicBool,
    met: Mutex<Option<Instant>>,
    told: Mutex<Vec<(Instant, Event)>>,
}

impl Sink for Obstacle {
    fn report(&self, report: Report) -> bool {
        let now = Instant::now();
        match report {
            Report::Event(event @ (Event::WorkerStuck { .. } | Event::WorkerBack { .. })) => {
                self.told.lock().unwrap().push((now, event));
            }
            Report::Event(Event::Ended { .. }) => {
                self.met.lock().unwrap().get_or_insert(now);
                wait_until("the obstacle goes away", || !self.there.load(Ordering::Relaxed));
            }
            Report::Event(Event::AcceptPaused { .. } | Event::AcceptResumed { .. })
            | Report::Evidence { .. } => {}
        }
        true
    }
}

#[test]
fn a_worker_that_is_stuck_is_seen_at_once_and_so_is_its_return() {
    let obstacle = Arc::new(Obstacle::default());
    let proxy = bowline_proxy::Proxy::start(config(2, 100), Arc::clone(&obstacle) as Arc<dyn Sink>).unwrap();
    let liveness = proxy.liveness();
    wait_until("both rest", || liveness.longest_turn() == Duration::ZERO);
    assert_eq!(proxy.stats().workers_stuck, 0);

    // There is no pool, so that the first client is reset, which is reported.
    obstacle.there.store(true, Ordering::Relaxed);
    let address = proxy.open(LISTENER, any_port(), POOL).unwrap();
    let _client = connect(address);
    wait_until("it is seen", || proxy.stats().workers_stuck == 1);
    let seen = Instant::now();
    let met = obstacle.met.lock().unwrap().unwrap();
    assert!(seen - met >= STUCK_AFTER, "{:?}", seen - met);
    // On a busy machine whoever judges is held up too, and then says nothing rather than something wrong.
    let stuck = liveness.stuck();
    assert_eq!(stuck.len(), 1);
    assert!(liveness.longest_turn() >= STUCK_AFTER);
    assert_eq!(proxy.stats().worker_stalls, 1);
    println!("seen after {:?}", seen - met);

    obstacle.there.store(false, Ordering::Relaxed);
    wait_until("it is back", || proxy.stats().workers_stuck == 0);
    wait_until("both were told", || obstacle.told.lock().unwrap().len() == 2);
    let told = obstacle.told.lock().unwrap();
    assert!(matches!(&told[0].1, Event::WorkerStuck { worker, .. } if *worker == stuck[0]), "{told:?}");
    assert!(matches!(&told[1].1, Event::WorkerBack { worker, .. } if *worker == stuck[0]), "{told:?}");
}

#[test]
fn a_proxy_that_was_stopped_answers_no_more() {
    let bench = Bench::new(1, 10);
    let liveness = bench.proxy.liveness();
    wait_until("it rests", || liveness.longest_turn() == Duration::ZERO);
    bench.proxy.stop();
    wait_until("it is told from one that rests", || liveness.longest_turn() > STUCK_AFTER);
}

#[test]
fn workers_answer_whoever_asks_them_and_a_stuck_one_does_not() {
    let obstacle = Arc::new(Obstacle::default());
    let proxy = bowline_proxy::Proxy::start(config(2, 100), Arc::clone(&obstacle) as Arc<dyn Sink>).unwrap();
    let liveness = proxy.liveness();
    for _ in 0..100 {
        liveness.ask();
        wait_until("all have answered", || liveness.silent_for() == Duration::ZERO);
    }
    obstacle.there.store(true, Ordering::Relaxed);
    let address = proxy.open(LISTENER, any_port(), POOL).unwrap();
    let _client = connect(address);
    wait_until("it is met", || obstacle.met.lock().unwrap().is_some());
    liveness.ask();
    wait_until("it is seen", || liveness.silent_for() > Duration::from_millis(300));
    obstacle.there.store(false, Ordering::Relaxed);
    wait_until("it answers again", || liveness.silent_for() == Duration::ZERO);
}
