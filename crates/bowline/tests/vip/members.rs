//! Balancers that join the group of a virtual IP and leave it, by reload and by stop, while clients come: none of them is turned away.

use super::{metric, outage, skip, wait_for};
use bowline_lab::failover::{Daemons, Ground, Site, System};
use bowline_lab::gauge::Gauge;
use bowline_lab::lan::Lan;
use bowline_lab::outage::Report;
use bowline_lab::peer::{Daemon, Running};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Counted by each router anew.
const RECEIVED: &str = "bowline_vrrp_adverts_received_total";
/// Three intervals are what a Backup waits for in silence.
const ADVERTS_UNTIL_SURE: f64 = 5.0;

/// Three hosts of which some have a balancer, and a client.
struct Group {
    system: Daemons,
    // Before the ground: they end before their hosts do.
    daemons: BTreeMap<&'static str, Daemon>,
    ground: Ground,
}

impl Group {
    /// These are there from the beginning, and the first of them has the address.
    fn new(names: &[&'static str]) -> Option<Self> {
        let system = outage::system();
        if let Some(reason) = Lan::missing().or_else(|| system.missing()) {
            skip(&reason);
            return None;
        }
        let ground = Ground::new().expect("three hosts and three servers");
        let mut group = Self { system, daemons: BTreeMap::new(), ground };
        for name in names {
            group.start(name, names);
            group.ground.wait_holder(names[0]).expect("a holder");
        }
        Some(group)
    }

    fn description(&self, members: &[&str]) -> String {
        let site = self.ground.site();
        let balancers = site.balancers.iter().filter(|(name, _)| members.contains(&name.as_str()));
        self.system.description(&Site { balancers: balancers.cloned().collect(), ..site.clone() })
    }

    /// Starts the balancer of this host, which knows of these members.
    fn start(&mut self, name: &'static str, members: &[&str]) {
        let (description, ca) = (self.description(members), self.ground.site().authority.clone());
        let host = self.ground.lan().host(name);
        let files = [("ca.crt", ca.as_str())];
        let daemon = self.system.bowline.start_with(host, &description, &files).expect("a balancer");
        self.daemons.insert(name, daemon);
        self.wait_ready(name);
    }

    fn wait_ready(&mut self, name: &str) {
        let daemon = self.daemons.get_mut(name).expect("it runs");
        wait_for(name, || daemon.is_ready().expect("ask for the status").then_some(()));
    }

    /// Gives all these another description, and waits until it is in force.
    fn reload(&mut self, names: &[&str], members: &[&str]) {
        let description = self.description(members);
        for name in names {
            let daemon = &self.daemons[name];
            let generation = || daemon.status().expect("ask for the status")["generation"].as_u64();
            let before = generation();
            daemon.describe(&description).expect("write a description");
            wait_for("another plan in force", || (generation() > before).then_some(()));
            self.wait_ready(name);
        }
    }

    /// Stops a balancer in order.
    fn stop(&mut self, name: &str) {
        let mut daemon = self.daemons.remove(name).expect("it runs");
        daemon.stop().expect("its end");
    }

    /// Until a balancer that was changed has heard a holder for so long that it would have taken over from silence, or is one itself.
    fn wait_settled(&self, name: &str) {
        let daemon = &self.daemons[name];
        let heard = || metric(daemon, RECEIVED, "") >= ADVERTS_UNTIL_SURE;
        wait_for("what becomes of it", || (state(daemon) == "active" || heard()).then_some(()));
        wait_for("one Active router", || {
            let active = self.daemons.values().filter(|daemon| state(daemon) == "active").count();
            (active == 1 && self.holders().len() == 1).then_some(())
        });
    }

    fn holders(&self) -> BTreeSet<String> {
        self.ground.holders().expect("look at the hosts")
    }

    fn holder(&self) -> String {
        wait_for("one holder", || Some(self.holders()).filter(|holders| holders.len() == 1)?.pop_first())
    }
}

fn state(daemon: &Daemon) -> String {
    let status = daemon.virtual_ip("api").expect("ask for the status");
    status["state"].as_str().expect("a state").to_owned()
}

/// Tells a story to a client of the group, until the machine has time for it; what the client saw.
fn with_client(names: &[&'static str], story: impl Fn(&mut Group)) -> Option<(Report, String)> {
    for _ in 0..outage::ATTEMPTS {
        let mut group = Group::new(names)?;
        let client = group.ground.client().expect("a client that is served");
        let gauge = Gauge::start().expect("a gauge");
        let began = Instant::now();
        story(&mut group);
        let told = Instant::now();
        wait_for("everybody is served", || client.has_settled(told).then_some(()));
        let report = client.finish().expect("what a client saw").report(began, began);
        let stall = gauge.worst_since(began);
        println!("{}, stall {stall:?}", serde_json::to_string(&report).expect("print the figures"));
        // Those that came after the story are not the ones that it could harm.
        assert!(report.figures.requests > 25, "{report:?}");
        if outage::is_sound(&report, stall) {
            return Some((report, group.holder()));
        }
    }
    skip("the machine is too busy for a sound observation");
    None
}

#[test]
fn a_balancer_that_joins_and_leaves_again_costs_nothing() {
    let (two, three) = (["lb1", "lb2"], ["lb1", "lb2", "lb3"]);
    let seen = with_client(&two, |group| {
        group.start("lb3", &three);
        group.reload(&two, &three);
        group.stop("lb3");
        group.reload(&two, &two);
    });
    let Some((report, holder)) = seen else { return };
    assert_eq!((report.figures.failed, report.talking.kept, report.silent.kept), (0, 10, 10), "{report:?}");
    assert_eq!(holder, "lb1");
}

#[test]
fn a_holder_that_leaves_the_group_hands_over_and_one_that_is_alone_keeps_the_address() {
    let rest = ["lb2", "lb3"];
    let seen = with_client(&["lb1", "lb2", "lb3"], |group| {
        group.stop("lb1");
        assert_eq!(group.holder(), "lb2");
        group.reload(&rest, &rest);
        group.stop("lb2");
        group.reload(&["lb3"], &["lb3"]);
        // And back.
        group.start("lb1", &["lb1", "lb3"]);
        group.reload(&["lb3"], &["lb1", "lb3"]);
    });
    let Some((report, holder)) = seen else { return };
    assert_eq!((report.talking.hung, report.silent.hung), (0, 0), "{report:?}");
    assert_eq!((report.talking.redialled_hung, report.silent.redialled_hung), (0, 0), "{report:?}");
    // What the former holder was in the middle of ends with its other connections, and nobody else has to come twice.
    let is_cut = |why: &String| why.starts_with("reset");
    assert!(report.figures.failures.keys().all(is_cut), "{report:?}");
    assert_eq!(holder, "lb3");
}

#[test]
fn a_vrid_that_one_balancer_gets_after_the_other_makes_no_second_holder() {
    let all = ["lb1", "lb2", "lb3"];
    // The holder last, as is advised, and first.
    for (order, moves_once) in [(["lb3", "lb2", "lb1"], true), (all, false)] {
        let seen = with_client(&all, |group| {
            group.system.more = ", vrid: 77".to_owned();
            for name in order {
                group.reload(&[name], &all);
                group.wait_settled(name);
            }
        });
        let Some((report, holder)) = seen else { return };
        assert_eq!((report.talking.hung, report.silent.hung), (0, 0), "{report:?}");
        assert_eq!((report.talking.redialled_hung, report.silent.redialled_hung), (0, 0), "{report:?}");
        assert!(report.figures.failures.keys().all(|why| why.starts_with("reset")), "{report:?}");
        assert!(!moves_once || holder == "lb2", "{holder}");
    }
}
