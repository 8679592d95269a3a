//! The subject on its segment, with a host of a lower and one of a higher address to send from.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::{HIGHER, LOWER, Verdict};
use crate::lan::{Host, LINK, Lan};
use crate::peer::{Other, Running, Setup, Subject};
use crate::wire::{Advert, Captured, Forge, Injector, Mac, Mark, Tap, question};

/// The host with the lower address, the subject's, the one with the higher address.
const NAMES: [&str; 3] = ["low", "subject", "high"];
/// Who asks for an address gets the answer within this on a segment of one machine.
const ANSWER_LIMIT: Duration = Duration::from_millis(200);
/// Anything that happens at all happens within this after it is due.
pub(super) const GRACE: Duration = Duration::from_secs(5);
/// A takeover may be this much early: adverts are stamped on their way.
pub(super) const EARLY: Duration = Duration::from_millis(20);
/// ... and this much late.
pub(super) const LATE: Duration = Duration::from_millis(100);

/// From which side an advert comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// From an address below the subject's.
    Low,
    /// From one above.
    High,
}

/// The subject does not know what the check is about.
#[derive(Debug)]
pub(super) struct Lacks(pub(super) String);

impl fmt::Display for Lacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Lacks {}

/// A subject with everything that a check needs round it.
#[derive(Debug)]
pub struct Stand<'a> {
    subject: &'a dyn Subject,
    /// May be changed before the subject is started.
    pub(super) setup: Setup,
    // Before the segment: the subject ends before its host does.
    running: Option<Box<dyn Running>>,
    segment: Option<Segment>,
}

#[derive(Debug)]
struct Segment {
    low: Injector,
    high: Injector,
    tap: Tap,
    lan: Lan,
}

impl<'a> Stand<'a> {
    /// A stand whose segment is made, and whose subject is started, by the check.
    pub fn new(subject: &'a dyn Subject, mut setup: Setup) -> Self {
        let other = |(index, priority): (u8, u8)| Other {
            name: NAMES[usize::from(index)].to_owned(),
            addresses: Lan::planned_addresses(index).to_vec(),
            priority,
        };
        setup.others = [(2, HIGHER), (0, LOWER)].map(other).to_vec();
        Self { subject, setup, running: None, segment: None }
    }

    /// What the subject has printed.
    pub fn log(&self) -> String {
        self.running.as_ref().map(|running| running.log()).unwrap_or_default()
    }

    /// Makes the segment and starts the subject; the moment just before its start.
    pub(super) fn start(&mut self) -> anyhow::Result<Instant> {
        if let Some(what) = self.subject.lacks(&self.setup) {
            return Err(Lacks(what).into());
        }
        let lan = Lan::new(&NAMES)?;
        let tap = Tap::start(&lan)?;
        let open =
            |name: &str| Injector::open(lan.host(name).namespace(), LINK).context("opening an injector");
        let (low, high) = (open(NAMES[0])?, open(NAMES[2])?);
        let before = Instant::now();
        self.running = Some(self.subject.start(lan.host(NAMES[1]), &self.setup)?);
        self.segment = Some(Segment { low, high, tap, lan });
        Ok(before)
    }

    fn segment(&self) -> &Segment {
        self.segment.as_ref().expect("a check starts its subject first")
    }

    pub(super) fn running(&mut self) -> &mut dyn Running {
        self.running.as_mut().expect("a check starts its subject first").as_mut()
    }

    /// The running subject's host.
    pub(super) fn host(&self) -> &Host {
        self.segment().lan.host(NAMES[1])
    }

    /// The host that sends from this side.
    pub(super) fn sender(&self, side: Side) -> &Host {
        self.segment().lan.host(match side {
            Side::Low => NAMES[0],
            Side::High => NAMES[2],
        })
    }

    /// The address at which the host on this side will be reached, known before there is a segment.
    pub(super) fn planned_address(&self, side: Side) -> IpAddr {
        let index = if side == Side::Low { 0 } else { 2 };
        Lan::planned_addresses(index)[usize::from(self.setup.is_v6())]
    }

    pub(super) fn tap(&self) -> &Tap {
        &self.segment().tap
    }

    /// A right advert of the subject's virtual router from that side.
    pub(super) fn forge(&self, side: Side, priority: u8) -> Forge {
        let (host, setup) = (self.sender(side), &self.setup);
        let is_unicast = !setup.unicast.is_empty();
        let source = if is_unicast { host.reached(setup.is_v6()) } else { host.source(setup.is_v6()) };
        let mut forge = Forge::new(setup.version, setup.vrid, priority, source, host.mac(), &setup.addresses);
        forge.interval = setup.interval_field();
        if let Some(password) = &setup.password {
            forge = forge.with_password(password);
        }
        if is_unicast {
            forge.destination = self.host().reached(setup.is_v6());
            forge.ethernet_destination = Some(self.host().mac());
        }
        forge
    }

    /// A better router's advert.
    pub(super) fn better(&self) -> Forge {
        self.forge(Side::High, HIGHER)
    }

    /// Sends an advert now; when the wire saw it.
    pub(super) fn send(&self, forge: &Forge) -> anyhow::Result<Instant> {
        self.send_frame(forge, &forge.frame())
    }

    fn send_frame(&self, forge: &Forge, frame: &[u8]) -> anyhow::Result<Instant> {
        let segment = self.segment();
        let mark = segment.tap.mark();
        let low = segment.lan.host(NAMES[0]);
        let (name, injector) = if forge.ethernet_source == low.mac() {
            (NAMES[0], &segment.low)
        } else {
            (NAMES[2], &segment.high)
        };
        injector.send(frame).context("sending a frame")?;
        let seen = segment.tap.wait(mark, GRACE, |captured| captured.host == name);
        Ok(seen.context("the wire did not see a frame that was sent")?.at)
    }

    /// Sends bytes from the high side without waiting for them to be seen.
    pub(super) fn pour(&self, frame: &[u8]) -> anyhow::Result<()> {
        self.segment().high.send(frame).context("sending a frame")
    }

    /// Sends `forge` every `interval`, the first one now, until `adverts` are sent; when the last one was.
    pub(super) fn lead(&self, forge: &Forge, interval: Duration, adverts: u32) -> anyhow::Result<Instant> {
        let mut last = self.send(forge)?;
        let first = last;
        for number in 1..adverts {
            let due = first + interval * number;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            last = self.send(forge)?;
        }
        Ok(last)
    }

    /// As many adverts as `time` takes, at least one.
    pub(super) fn adverts_in(&self, time: Duration) -> u32 {
        u32::try_from(time.as_millis() / self.setup.interval.as_millis()).unwrap_or(u32::MAX) + 1
    }

    /// Starts the subject and holds it in Backup by a better router; when that sent its last advert.
    pub(super) fn backup(&mut self) -> anyhow::Result<Instant> {
        /// One that it may miss while it starts, and two that hold it.
        const ADVERTS: u32 = 3;
        self.start()?;
        let mark = self.tap().mark();
        let last = self.lead(&self.better(), self.setup.interval, ADVERTS)?;
        ensure!(self.adverts(mark).is_empty(), "it advertised under a better router right after its start");
        Ok(last)
    }

    /// Starts the subject and waits until it is Active and has its addresses.
    pub(super) fn active(&mut self) -> anyhow::Result<()> {
        self.start()?;
        self.wait_active(Mark::default())?;
        Ok(())
    }

    /// Waits for the subject's first advert since `mark`, and its addresses.
    pub(super) fn wait_active(&self, mark: Mark) -> anyhow::Result<Captured> {
        let limit = self.down_interval() + GRACE;
        let first = self.advert_until(mark, Instant::now() + limit).context("it never became Active")?;
        self.eventually("its addresses", || self.has_all())?;
        Ok(first)
    }

    /// The longest that it may wait by right for a dead router of its own interval.
    pub(super) fn down_interval(&self) -> Duration {
        self.setup.down_interval(self.setup.interval) + self.patience()
    }

    /// What it waits longer than its timers say, by design.
    pub(super) fn patience(&self) -> Duration {
        self.subject.patience(&self.setup)
    }

    /// The subject's first advert since `mark` with a priority other than 0.
    pub(super) fn advert_until(&self, mark: Mark, deadline: Instant) -> Option<Captured> {
        self.tap().wait_until(mark, deadline, |captured| {
            self.is_own(captured) && own_advert(captured).is_some_and(|advert| advert.priority != 0)
        })
    }

    /// All adverts of the subject since `mark`, those of priority 0 as well.
    pub(super) fn adverts(&self, mark: Mark) -> Vec<(Instant, Advert)> {
        let own = self.tap().select(mark, |captured| self.is_own(captured));
        own.iter().filter_map(|captured| Some((captured.at, own_advert(captured)?))).collect()
    }

    /// Whether the subject sent it.
    pub(super) fn is_own(&self, captured: &Captured) -> bool {
        captured.host == NAMES[1]
    }

    /// Whether the subject's host has every address of the virtual router.
    pub(super) fn has_all(&self) -> bool {
        self.setup.addresses.iter().all(|address| self.host().has(*address).unwrap_or(false))
    }

    /// ... or any.
    pub(super) fn has_any(&self) -> bool {
        self.setup.addresses.iter().any(|address| self.host().has(*address).unwrap_or(false))
    }

    /// Waits for a condition.
    pub(super) fn eventually(&self, what: &str, condition: impl Fn() -> bool) -> anyhow::Result<()> {
        self.eventually_by(Instant::now() + GRACE, what, condition)
    }

    /// Waits for a condition until `deadline`.
    pub(super) fn eventually_by(
        &self,
        deadline: Instant,
        what: &str,
        condition: impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        const POLL: Duration = Duration::from_millis(2);
        while !condition() {
            ensure!(Instant::now() < deadline, "waited in vain for {what}");
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits for the takeover that is due at `due`; what is wrong with it, or how far off it was.
    pub(super) fn takeover(&self, mark: Mark, due: Instant) -> Verdict {
        let latest = due + self.patience() + LATE;
        let Some(first) = self.advert_until(mark, latest + GRACE) else {
            return Verdict::Failed("it did not take over".to_owned());
        };
        let late = first.at.saturating_duration_since(due);
        let early = due.saturating_duration_since(first.at);
        let offset = if late.is_zero() { format!("{early:?} early") } else { format!("{late:?} late") };
        Verdict::of(early <= EARLY && first.at <= latest, format!("took over {offset}"))
    }

    /// Asks who has `address`; the hardware addresses that the subject's host answers with.
    pub(super) fn answers(&self, address: IpAddr) -> anyhow::Result<BTreeSet<Mac>> {
        let segment = self.segment();
        let asker = segment.lan.host(NAMES[2]);
        let source = match address {
            IpAddr::V4(_) => asker.address().into(),
            IpAddr::V6(_) => asker.link_local().into(),
        };
        let mark = segment.tap.mark();
        segment.high.send(&question(source, asker.mac(), address)).context("asking for an address")?;
        let is_answer = |captured: &Captured| {
            self.is_own(captured)
                && captured.frame.claims(address).is_some()
                && captured.frame.destination == asker.mac()
        };
        segment.tap.wait(mark, ANSWER_LIMIT, is_answer);
        let answers = segment.tap.select(mark, is_answer);
        Ok(answers.iter().filter_map(|captured| captured.frame.claims(address)).collect())
    }
}

fn own_advert(captured: &Captured) -> Option<Advert> {
    captured.frame.advert()
}
