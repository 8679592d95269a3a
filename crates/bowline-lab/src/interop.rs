//! Two virtual routers of different make in one group, through all that befalls such a pair; judged by what they sent, by who has the
//! address, and by what they themselves counted as wrong.
//!
//! A [`Duel`] does one thing after the other and says what it saw; each step fails with the words of what was wrong.

mod dialect;

pub use dialect::Dialect;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::gauge::Gauge;
use crate::lan::{Cut, Host, Lan};
use crate::peer::{Running, Setup, Subject};
use crate::wire::{Advert, Captured, Mac, Mark, Tap};

/// Hosts of the two routers, in the order of their addresses, and of who looks on.
const NAMES: [&str; 3] = ["low", "high", "client"];
/// Anything that happens at all happens within this after it is due.
const GRACE: Duration = Duration::from_secs(5);
/// A takeover may be this much late, on a machine that is never later than a few milliseconds.
const LATE: Duration = Duration::from_millis(150);
/// ... and this much early.
const EARLY: Duration = Duration::from_millis(20);
const POLL: Duration = Duration::from_millis(5);
/// A story that went another way says nothing when the machine was later than this.
const STALL_MAX: Duration = Duration::from_millis(15);
/// Repetitions of a story until it was undisturbed often enough.
const ATTEMPTS: usize = 6;
/// It went another way when it did so often, undisturbed: a stall of one program alone cannot be seen from outside.
const UNDISTURBED: usize = 2;

/// One of the two.
#[derive(Debug)]
struct Router<'a> {
    subject: &'a dyn Subject,
    setup: Setup,
    running: Option<Box<dyn Running>>,
    /// What it counted as wrong while it ran earlier.
    complaints: Vec<(String, u64)>,
}

/// Two routers on a segment.
#[derive(Debug)]
pub struct Duel<'a> {
    // Before the segment: programs end before their hosts do.
    routers: [Router<'a>; 2],
    tap: Tap,
    lan: Lan,
    gauge: Gauge,
    began: Instant,
}

impl<'a> Duel<'a> {
    /// A segment for two routers, at the lower and at the higher address, which are still to be started.
    ///
    /// # Errors
    /// Without privileges.
    pub fn new(
        dialect: Dialect,
        subjects: [&'a dyn Subject; 2],
        priorities: [u8; 2],
        preempt: bool,
    ) -> anyhow::Result<Self> {
        let lan = Lan::new(&NAMES)?;
        let tap = Tap::start(&lan)?;
        let router = |place: usize| Router {
            subject: subjects[place],
            setup: dialect.setup(place, priorities, preempt),
            running: None,
            complaints: Vec::new(),
        };
        let routers = [router(0), router(1)];
        Ok(Self { routers, tap, lan, gauge: Gauge::start()?, began: Instant::now() })
    }

    /// The segment.
    pub fn lan(&self) -> &Lan {
        &self.lan
    }

    /// Everything that was sent.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }

    /// The longest delay of the machine so far: figures of a machine that stalls say nothing.
    pub fn stall(&self) -> Duration {
        self.gauge.worst_since(self.began)
    }

    /// The running router at this place.
    ///
    /// # Errors
    /// When it was not started.
    pub fn running(&mut self, place: usize) -> anyhow::Result<&mut (dyn Running + 'static)> {
        Ok(self.routers[place].running.as_mut().context("it is not running")?.as_mut())
    }

    /// Starts the router at this place.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(&mut self, place: usize) -> anyhow::Result<()> {
        let router = &mut self.routers[place];
        if let Some(what) = router.subject.lacks(&router.setup) {
            anyhow::bail!("{}: {what}", router.subject.name());
        }
        router.running = Some(router.subject.start(self.lan.host(NAMES[place]), &router.setup)?);
        Ok(())
    }

    /// Starts the router at this place, which nothing keeps from becoming Active, and waits until it is.
    ///
    /// # Errors
    /// When it does not become Active.
    pub fn start_first(&mut self, place: usize) -> anyhow::Result<()> {
        self.start(place)?;
        self.wait_holder(place, "it was alone")
    }

    /// Demands that the router at `place` goes on advertising alone, and holding alone, for the Active_Down_Interval of the other.
    ///
    /// # Errors
    /// When the other one says or does anything.
    pub fn stays(&self, place: usize) -> anyhow::Result<()> {
        let mark = self.tap.mark();
        let setup = &self.routers[1 - place].setup;
        std::thread::sleep(setup.down_interval(setup.interval) + self.routers[place].setup.interval);
        let others = self.adverts(mark, 1 - place).len();
        ensure!(others == 0, "{} sent {others} adverts under {}", self.name(1 - place), self.name(place));
        ensure!(!self.adverts(mark, place).is_empty(), "{} fell silent", self.name(place));
        self.speaks_as_virtual(mark, place)?;
        self.wait_holder(place, "nothing happened")
    }

    /// Demands that whatever the router at `place` has said since `mark` to everybody, of itself and its addresses, came from its
    /// virtual Ethernet address, where it has one.
    fn speaks_as_virtual(&self, mark: Mark, place: usize) -> anyhow::Result<()> {
        let setup = &self.routers[place].setup;
        let mac = Mac::of_router(setup.is_v6(), setup.vrid);
        let claims = |captured: &Captured, address: IpAddr| {
            captured.host == NAMES[place] && captured.frame.claims(address).is_some()
        };
        let said = self.tap.select(mark, |captured| {
            (setup.unicast.is_empty() && self.advert_of(captured, place).is_some())
                || setup.addresses.iter().any(|address| claims(captured, *address))
        });
        let other = said.iter().find(|captured| setup.virtual_mac && captured.frame.source != mac);
        ensure!(other.is_none(), "{} spoke from another Ethernet address: {other:?}", self.name(place));
        Ok(())
    }

    /// The router at `place`, which holds the address, leaves as planned; the other one takes over in its Skew_Time.
    ///
    /// # Errors
    /// When it leaves in any other way, or the other one is not in time.
    pub fn leaves(&mut self, place: usize) -> anyhow::Result<Duration> {
        let mark = self.tap.mark();
        self.collect(place)?;
        self.running(place)?.ask_to_stop()?;
        let goodbye = self
            .tap
            .wait(mark, GRACE, |captured| {
                self.advert_of(captured, place).is_some_and(|one| one.priority == 0)
            })
            .with_context(|| format!("{} left without priority 0", self.name(place)))?;
        let successor = 1 - place;
        let setup = &self.routers[successor].setup;
        let due = goodbye.at + setup.skew(self.routers[place].setup.interval);
        let took = self.takeover(mark, successor, due)?;
        self.running(place)?.wait_end()?;
        self.routers[place].running = None;
        self.wait_holder(successor, "the other one left")?;
        Ok(took)
    }

    /// The host of the router at `place`, which holds the address, is cut off; the other one takes over in its Active_Down_Interval.
    ///
    /// # Errors
    /// When the other one is not in time.
    pub fn dies(&mut self, place: usize, cut: Cut) -> anyhow::Result<Duration> {
        let mark = self.tap.mark();
        let last = self
            .tap
            .wait(mark, GRACE, |captured| self.advert_of(captured, place).is_some())
            .with_context(|| format!("{} does not advertise", self.name(place)))?;
        self.lan.cut(NAMES[place], cut)?;
        let mark = self.tap.mark();
        let successor = 1 - place;
        let setup = &self.routers[successor].setup;
        self.takeover(mark, successor, last.at + setup.down_interval(self.routers[place].setup.interval))
    }

    /// The cut is over and both were Active: the router at `winner` keeps the address, and announces it again if it heard of the other one; the other one
    /// yields.
    ///
    /// # Errors
    /// When that does not happen.
    pub fn heals(&mut self, cut: usize, winner: usize) -> anyhow::Result<()> {
        let mark = self.tap.mark();
        self.lan.mend(NAMES[cut])?;
        self.wait_holder(winner, "the partition healed")?;
        // Only who hears a lower advert knows that there was something to repair.
        let heard = !self.adverts(mark, 1 - winner).is_empty();
        let asserts = heard && !self.differs(winner, "master_keeps_against_lower_and_asserts");
        let addresses = if asserts { self.routers[winner].setup.addresses.clone() } else { Vec::new() };
        for address in addresses {
            let announced = self.tap.wait(mark, GRACE, |captured| {
                captured.host == NAMES[winner] && captured.frame.announces(address)
            });
            ensure!(announced.is_some(), "{} did not announce {address} again", self.name(winner));
        }
        // The other one may have been about to advertise when it heard of the winner.
        std::thread::sleep(self.routers[winner].setup.interval * 2);
        self.stays(winner)
    }

    /// Waits until the router at `place`, and nobody else, has the addresses, and answers for them.
    ///
    /// # Errors
    /// When that does not come.
    pub fn wait_holder(&self, place: usize, when: &str) -> anyhow::Result<()> {
        let setup = &self.routers[place].setup;
        let deadline = Instant::now() + setup.down_interval(setup.interval) + GRACE;
        loop {
            let mut right = true;
            for address in &setup.addresses {
                let holders = self.lan.holders(*address)?;
                let foreign =
                    holders.contains(NAMES[1 - place]) && !self.differs(1 - place, "backup_stays_quiet");
                right &= holders.contains(NAMES[place]) && !foreign;
            }
            if right {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{when}, but {} is not the only one with the address: {:?}",
                self.name(place),
                self.lan.holders(setup.addresses[0])?
            );
            std::thread::sleep(POLL);
        }
    }

    /// Demands that neither ever counted anything as wrong.
    ///
    /// # Errors
    /// With what was counted.
    pub fn without_complaints(&mut self) -> anyhow::Result<()> {
        for place in [0, 1] {
            if self.routers[place].running.is_some() {
                self.collect(place)?;
            }
            let complaints = &self.routers[place].complaints;
            ensure!(complaints.is_empty(), "{} complains: {complaints:?}", self.name(place));
        }
        Ok(())
    }

    /// The adverts of the router at `place` since `mark`.
    pub fn adverts(&self, mark: Mark, place: usize) -> Vec<(Instant, Advert)> {
        let captured = self.tap.select(mark, |captured| self.advert_of(captured, place).is_some());
        captured.iter().filter_map(|one| Some((one.at, one.frame.advert()?))).collect()
    }

    fn collect(&mut self, place: usize) -> anyhow::Result<()> {
        let router = &mut self.routers[place];
        let fresh = router.running.as_mut().context("it is not running")?.complaints()?;
        router.complaints.extend(fresh);
        Ok(())
    }

    fn advert_of(&self, captured: &Captured, place: usize) -> Option<Advert> {
        if captured.host == NAMES[place] { captured.frame.advert() } else { None }
    }

    /// The host at this place.
    pub fn host(&self, place: usize) -> &Host {
        self.lan.host(NAMES[place])
    }

    /// Whether the router at `place` is known to fail a conformance check.
    fn differs(&self, place: usize, check: &str) -> bool {
        self.routers[place].subject.deviations().iter().any(|(name, _)| *name == check)
    }

    fn name(&self, place: usize) -> String {
        format!("{} ({})", self.routers[place].subject.name(), NAMES[place])
    }

    /// How far after `due` the router at `place` advertised.
    fn takeover(&self, mark: Mark, place: usize, due: Instant) -> anyhow::Result<Duration> {
        let router = &self.routers[place];
        let latest = due + router.subject.patience(&router.setup) + LATE;
        let wanted =
            |captured: &Captured| self.advert_of(captured, place).is_some_and(|one| one.priority != 0);
        let first = self.tap.wait_until(mark, latest + GRACE, wanted);
        let first = first.with_context(|| format!("{} did not take over", self.name(place)))?;
        let (early, late) =
            (due.saturating_duration_since(first.at), first.at.saturating_duration_since(due));
        ensure!(early <= EARLY, "{} took over {early:?} early", self.name(place));
        ensure!(first.at <= latest, "{} took over {late:?} late", self.name(place));
        Ok(late)
    }
}

/// How a story went.
#[derive(Debug)]
pub enum Told {
    AsItShould,
    /// It went another way, more than once; the first step that did, the last time.
    Otherwise(anyhow::Error),
    /// It went another way, but the machine stalled meanwhile; what was seen the last time.
    Disturbed(anyhow::Error),
}

/// What a pair goes through; the first of two subjects is the one at the lower address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// The better one starts, is joined, leaves, returns, is cut off, comes back. `usize`: the place of the better one.
    Life { better: usize },
    /// Equal priorities: a partition makes both Active, then it heals and the higher address wins. `cut`: who is cut off.
    Equals { cut: usize },
    /// Without preemption the better one returns and nothing moves.
    Polite { better: usize },
}

impl Story {
    pub const ALL: [Self; 6] = [
        Self::Life { better: 0 },
        Self::Life { better: 1 },
        Self::Equals { cut: 0 },
        Self::Equals { cut: 1 },
        Self::Polite { better: 0 },
        Self::Polite { better: 1 },
    ];

    /// Tells the story until it goes as it should, or went another way more than once on a machine that did not stall.
    pub fn tell(self, dialect: Dialect, subjects: [&dyn Subject; 2]) -> Told {
        let (mut undisturbed, mut attempts) = (0, 0);
        loop {
            let mut stall = Duration::ZERO;
            let Err(error) = self.tell_once(dialect, subjects, &mut stall) else { return Told::AsItShould };
            attempts += 1;
            undisturbed += usize::from(stall <= STALL_MAX);
            if undisturbed >= UNDISTURBED {
                return Told::Otherwise(error);
            }
            if attempts >= ATTEMPTS {
                return Told::Disturbed(error);
            }
        }
    }

    /// Tells the story of these two once; `stall` is set to the longest delay of the machine meanwhile.
    ///
    /// # Errors
    /// At the first step that goes another way.
    pub fn tell_once(
        self,
        dialect: Dialect,
        subjects: [&dyn Subject; 2],
        stall: &mut Duration,
    ) -> anyhow::Result<()> {
        let (priorities, preempt) = match self {
            Self::Life { better: 0 } | Self::Polite { better: 0 } => ([200, 150], self.preempts()),
            Self::Life { .. } | Self::Polite { .. } => ([150, 200], self.preempts()),
            Self::Equals { .. } => ([150, 150], true),
        };
        let mut duel = Duel::new(dialect, subjects, priorities, preempt)?;
        let told = match self {
            Self::Life { better } => life(&mut duel, better),
            Self::Equals { cut } => equals(&mut duel, cut),
            Self::Polite { better } => polite(&mut duel, better),
        };
        let told = told.and_then(|()| duel.without_complaints());
        *stall = duel.stall();
        told.with_context(|| format!("the machine stalled for {stall:?} at most"))
    }

    fn preempts(self) -> bool {
        matches!(self, Self::Life { .. })
    }
}

fn life(duel: &mut Duel<'_>, better: usize) -> anyhow::Result<()> {
    let worse = 1 - better;
    duel.start_first(better)?;
    duel.start(worse)?;
    duel.stays(better).context("the better one is Active")?;
    duel.leaves(better).context("the better one leaves")?;
    duel.stays(worse).context("the worse one is Active")?;
    duel.start(better)?;
    duel.wait_holder(better, "the better one returned")?;
    duel.stays(better).context("the better one is Active again")?;
    duel.dies(better, Cut::Silent).context("the better one is cut off")?;
    duel.heals(better, better).context("the better one is back")
}

fn equals(duel: &mut Duel<'_>, cut: usize) -> anyhow::Result<()> {
    /// The place with the higher address.
    const WINNER: usize = 1;
    duel.start_first(cut)?;
    duel.start(1 - cut)?;
    duel.stays(cut).context("the first one is Active")?;
    duel.dies(cut, Cut::Adverts).context("its adverts are lost")?;
    duel.heals(cut, WINNER).context("the higher address wins")
}

fn polite(duel: &mut Duel<'_>, better: usize) -> anyhow::Result<()> {
    let worse = 1 - better;
    duel.start_first(better)?;
    duel.start(worse)?;
    duel.stays(better).context("the better one is Active")?;
    duel.leaves(better).context("the better one leaves")?;
    duel.start(better)?;
    duel.stays(worse).context("the better one is back, and nothing moves")
}
