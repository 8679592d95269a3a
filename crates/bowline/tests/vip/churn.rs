//! A holder on a busy machine keeps its address. How regular its adverts are there, only a machine without other work can show: the
//! example `churn` of the lab prints it.

use super::{among_its_own, possible};
use bowline_lab::churn::{Burden, Ground};
use std::time::Duration;

/// A dozen renewals.
const SHORT: Duration = Duration::from_secs(4);
const LONG: Duration = Duration::from_secs(60);

fn watch(burden: Burden, lasts: Duration) {
    let subject = among_its_own();
    if !possible(&[&subject]) {
        return;
    }
    let ground = Ground::new(subject.binary).expect("two balancers, a server and clients");
    let seen = ground.watch(burden, lasts).expect("an observation");
    println!("{seen:?}");
    assert!(!burden.links || seen.links > 100, "{seen:?}");
    assert!(!burden.clients || (seen.megabytes_per_second > 1.0 && seen.workers.len() > 1), "{seen:?}");
    // It moves from a holder whose workers do not answer, and from no other.
    assert!(seen.leases_lost == 0 && (seen.moves == 0 || seen.withheld > 0), "{seen:?}");
    assert!(seen.renewals > 0 && seen.heard.adverts > 10, "{seen:?}");
}

#[test]
fn no_lease_is_lost_while_links_come_and_go_and_all_workers_relay() {
    watch(Burden { links: true, clients: true, real_time: true }, SHORT);
}

#[test]
#[ignore = "takes minutes; the worst of these is in every run"]
fn no_lease_is_lost_under_any_burden() {
    for (links, clients) in [(true, false), (false, true), (true, true)] {
        for real_time in [true, false] {
            watch(Burden { links, clients, real_time }, LONG);
        }
    }
}
