//! Packets that are not for it, or not right: discarded, counted by their reason, and without any effect.

use super::{among_its_own, metric, possible, state, wait_for};
use bowline_lab::conformance::{HIGHER, Variant};
use bowline_lab::lan::{Host, LINK, Lan};
use bowline_lab::peer::{Daemon, Other, Running, Setup};
use bowline_lab::wire::{Forge, Injector, Sum};
use std::net::Ipv4Addr;

const DISCARDED: &str = "bowline_vrrp_discarded_total";
const NAMES: [&str; 3] = ["subject", "planned", "stranger"];

/// What is wrong with an advert, and the reason that is counted.
type Defect = (&'static str, fn(&mut Forge));

/// A daemon in Backup under a planned router that exists only as its adverts.
struct Backup {
    // Before the segment: it ends before its host does.
    daemon: Daemon,
    planned: Injector,
    stranger: Injector,
    setup: Setup,
    lan: Lan,
}

impl Backup {
    fn start(variant: Variant) -> Self {
        let lan = Lan::new(&NAMES).expect("a segment");
        let mut setup = variant.setup();
        setup.others = vec![Other {
            name: NAMES[1].to_owned(),
            addresses: Lan::planned_addresses(1).to_vec(),
            priority: HIGHER,
        }];
        if variant.is_v2() {
            setup.password = Some("sesame".to_owned());
        }
        let subject = among_its_own();
        let host = lan.host(NAMES[0]);
        let daemon = subject.start_with(host, &subject.description(host, &setup), &[]).expect("a daemon");
        let open = |name: &str| Injector::open(lan.host(name).namespace(), LINK).expect("an injector");
        let (planned, stranger) = (open(NAMES[1]), open(NAMES[2]));
        let backup = Self { daemon, planned, stranger, setup, lan };
        backup.hold();
        wait_for("a Backup", || (state(&backup.daemon) == "backup").then_some(()));
        backup
    }

    fn host(&self, name: &str) -> &Host {
        self.lan.host(name)
    }

    /// A right advert of the planned router.
    fn right(&self) -> Forge {
        let host = self.host(NAMES[1]);
        let setup = &self.setup;
        let source = host.source(setup.is_v6());
        let mut forge = Forge::new(setup.version, setup.vrid, HIGHER, source, host.mac(), &setup.addresses);
        forge.interval = setup.interval_field();
        match &setup.password {
            Some(password) => forge.with_password(password),
            None => forge,
        }
    }

    /// Says that the planned router is there.
    fn hold(&self) {
        self.planned.send(&self.right().frame()).expect("send an advert");
    }

    fn counted(&self, reason: &str) -> f64 {
        metric(&self.daemon, DISCARDED, &format!("reason=\"{reason}\""))
    }

    /// Sends an advert with this defect until it is counted, which one is; nothing else may come of it.
    fn refuses(&self, injector: &Injector, reason: &str, defect: impl Fn(&mut Forge)) {
        let before = self.counted(reason);
        let mut forge = self.right();
        defect(&mut forge);
        injector.send(&forge.frame()).expect("send an advert");
        wait_for(&format!("a count of {reason}, {:?}", self.daemon.metrics(DISCARDED)), || {
            self.hold();
            (self.counted(reason) > before).then_some(())
        });
    }
}

const OF_EVERY_VERSION: [Defect; 10] = [
    ("hop-limit", |forge| forge.hop_limit = 254),
    ("version", |forge| forge.version = if forge.version == 2 { 3 } else { 2 }),
    ("version", |forge| forge.version = 0),
    ("type", |forge| forge.kind = 2),
    ("checksum", |forge| forge.sum = Some(Sum::Flipped(0x0101))),
    ("checksum", |forge| forge.sum = Some(Sum::Value(0))),
    ("truncated", |forge| forge.keep = Some(8)),
    ("truncated", |forge| forge.count = Some(200)),
    ("trailing-bytes", |forge| forge.tail = vec![0; 4]),
    ("no-addresses", |forge| forge.addresses.clear()),
];

#[test]
fn defects_of_version_3_are_counted_by_their_reason() {
    if !possible(&[&among_its_own()]) {
        return;
    }
    let mut backup = Backup::start(Variant::V3);
    for (reason, defect) in OF_EVERY_VERSION {
        backup.refuses(&backup.planned, reason, defect);
    }
    backup.refuses(&backup.planned, "interval-zero", |forge| forge.interval = 0);
    let stranger = backup.host(NAMES[2]).address();
    backup.refuses(&backup.stranger, "unplanned-peer", |forge| forge.source = stranger.into());
    backup.refuses(&backup.planned, "destination", |forge| {
        forge.destination = Ipv4Addr::new(224, 0, 0, 1).into()
    });
    assert!(backup.daemon.alive());
    backup.hold();
    wait_for("the Backup that it was", || {
        backup.hold();
        (state(&backup.daemon) == "backup").then_some(())
    });
}

#[test]
fn defects_of_version_2_are_counted_by_their_reason() {
    if !possible(&[&among_its_own()]) {
        return;
    }
    let backup = Backup::start(Variant::V2);
    for (reason, defect) in OF_EVERY_VERSION {
        backup.refuses(&backup.planned, reason, defect);
    }
    backup.refuses(&backup.planned, "interval-differs", |forge| forge.interval = 3);
    backup.refuses(&backup.planned, "authentication-type", |forge| forge.fifth_byte = 7);
    backup.refuses(&backup.planned, "authentication-type", |forge| forge.fifth_byte = 0);
    backup.refuses(&backup.planned, "password", |forge| *forge = forge.clone().with_password("simsim"));
    assert_eq!(state(&backup.daemon), "backup");
}

#[test]
fn defects_over_ipv6_are_counted_by_their_reason() {
    if !possible(&[&among_its_own()]) {
        return;
    }
    let backup = Backup::start(Variant::V3Ipv6);
    for (reason, defect) in OF_EVERY_VERSION {
        backup.refuses(&backup.planned, reason, defect);
    }
}
