//! What the daemon costs while nothing happens, and how soon it is there.

use std::time::{Duration, Instant};

use crate::harness::{Cluster, Daemon, Fleet, Scratch};

/// Long enough to tell a few wake-ups a second from a loop.
const OBSERVED: Duration = Duration::from_secs(4);

/// README promises 0.1 % for a release build. An unoptimised one that also shares its machine gets this.
const CPU_MAX: f64 = 0.01;

/// README promises 20 MB for a release build, whose code is a third of an unoptimised one's.
const RSS_MAX_KIB: u64 = 40 * 1024;

/// README promises 50 ms for a release build on an idle machine.
const LISTENING_MAX: Duration = Duration::from_millis(1_000);

#[test]
fn idle_daemon_costs_next_to_nothing() {
    let scratch = Scratch::alone("idle");
    let fleet = Fleet::start(&scratch, 3);
    let daemon = Daemon::start(&scratch, Cluster::balancer(&fleet));
    daemon.wait_graded("ready", 3);
    let (before, started) = (daemon.process.usage(), Instant::now());
    std::thread::sleep(OBSERVED);
    let after = daemon.process.usage();
    let share = (after.cpu - before.cpu).as_secs_f64() / started.elapsed().as_secs_f64();
    eprintln!(
        "idle: {:.3} % CPU, {} KiB, listening after {:?}",
        share * 100.0,
        after.rss_kib,
        daemon.listening_after
    );
    assert!(share < CPU_MAX, "{share}");
    assert!(after.rss_kib < RSS_MAX_KIB, "{after:?}");
    assert!(daemon.listening_after < LISTENING_MAX, "{:?}", daemon.listening_after);
}
