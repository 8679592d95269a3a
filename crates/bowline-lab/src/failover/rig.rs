//! Balancers on the ground, faults of their holder, and the way back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::{BALANCERS, Fault, Ground, Observation, PATIENCE, POLL, System, Watch};
use crate::gauge::Gauge;
use crate::lan::{Cut, Lan};
use crate::outage::Client;
use crate::peer::Running;
use crate::standin::Standin;
use crate::wire::Tap;

/// A fault is watched for so long at least: until the lease of an address that nobody renews is over...
const WATCHED_MIN: Duration = Duration::from_secs(1);
/// ... and until one that returns would have taken the address.
const WATCHED_MIN_OF_RETURN: Duration = Duration::from_secs(2);
/// Hand-overs until the first balancer has the address again: one for each of the others, and some in which it was not there yet.
const HAND_OVERS_MAX: usize = 6;

/// The whole rig.
#[derive(Debug)]
pub struct Rig<'a> {
    system: &'a dyn System,
    /// What was last, and is not made good yet.
    done: Option<Fault>,
    // Before the ground: programs end before their hosts do.
    balancers: [Option<Box<dyn Running>>; 3],
    tap: Tap,
    gauge: Gauge,
    ground: Ground,
}

impl<'a> Rig<'a> {
    /// Makes the ground, starts balancers, and waits until the first of them has the address.
    ///
    /// # Errors
    /// When something does not come up.
    pub fn start(system: &'a dyn System) -> anyhow::Result<Self> {
        let ground = Ground::new()?;
        let (tap, gauge) = (Tap::start(ground.lan())?, Gauge::start()?);
        let mut rig = Self { system, done: None, balancers: [const { None }; 3], tap, gauge, ground };
        for place in 0..BALANCERS.len() {
            rig.balance(place)?;
            // The first one is to be first.
            rig.ground.wait_holder(BALANCERS[0])?;
        }
        Ok(rig)
    }

    fn balance(&mut self, place: usize) -> anyhow::Result<()> {
        // Two on one host would be in each other's way.
        self.balancers[place] = None;
        let host = self.ground.lan().host(BALANCERS[place]);
        let started = self.system.start(place, host, self.ground.site());
        self.balancers[place] = Some(started.with_context(|| format!("starting {}", BALANCERS[place]))?);
        Ok(())
    }

    /// The segment.
    pub fn lan(&self) -> &Lan {
        self.ground.lan()
    }

    /// The API servers, for faults of their own.
    pub fn servers(&self) -> &[Standin] {
        self.ground.servers()
    }

    /// Starts a client before the virtual IP, lets `fault` happen to the holder after `phase`, and watches for `observed`.
    ///
    /// # Errors
    /// When the client is not served before the fault, or the fault cannot be made.
    pub fn observe(
        mut self,
        fault: Fault,
        phase: Duration,
        observed: Duration,
    ) -> anyhow::Result<Observation> {
        self.watch(fault, phase, |_, _, began| {
            std::thread::sleep(observed.saturating_sub(began.elapsed()));
        })
    }

    /// The same until it is known what the fault has done, for `limit` at most; and once more, and once more: before each fault
    /// everything is as at first, but for a return, which follows a stop, and a healing, which follows the loss of adverts.
    ///
    /// # Errors
    /// When things do not become as they were, the client is not served before the fault, or the fault cannot be made. The rig is of
    /// no use any more then.
    pub fn observe_settling(
        &mut self,
        fault: Fault,
        phase: Duration,
        limit: Duration,
    ) -> anyhow::Result<Observation> {
        match (self.done, fault) {
            (Some(Fault::Stop), Fault::Return) | (Some(Fault::OneWay), Fault::Heal) => {}
            _ => self.restore()?,
        }
        self.done = Some(fault);
        // What was captured before is of no interest any more, and would fill the memory.
        self.tap = Tap::start(self.ground.lan())?;
        let least = match fault {
            Fault::Return => WATCHED_MIN_OF_RETURN,
            Fault::LinkCut
            | Fault::Stop
            | Fault::Kill
            | Fault::Freeze
            | Fault::OneWay
            | Fault::Heal
            | Fault::Unreachable
            | Fault::Wedged
            | Fault::Starved => WATCHED_MIN,
        };
        self.watch(fault, phase, |client, watch, began| {
            let is_over =
                || began.elapsed() >= least && has_come(fault, &watch.last()) && client.has_settled(began);
            while began.elapsed() < limit && !is_over() {
                std::thread::sleep(POLL);
            }
        })
    }

    fn watch(
        &mut self,
        fault: Fault,
        phase: Duration,
        until: impl FnOnce(&Client, &Watch, Instant),
    ) -> anyhow::Result<Observation> {
        self.prepare(fault)?;
        let client = self.ground.client()?;
        let watch = Watch::start(self.ground.lan(), self.ground.client_host(), super::VIP)?;
        std::thread::sleep(phase);
        let mark = self.tap.mark();
        let began = Instant::now();
        self.inject(fault)?;
        let complete = Instant::now();
        until(&client, &watch, began);
        let run = client.finish()?;
        let stall = self.gauge.worst_since(began);
        let holders = watch.finish(&self.tap, mark, began);
        Ok(Observation { report: run.report(began, complete), holders, stall })
    }

    /// What must have happened before the fault.
    fn prepare(&mut self, fault: Fault) -> anyhow::Result<()> {
        match fault {
            Fault::LinkCut
            | Fault::Stop
            | Fault::Kill
            | Fault::Freeze
            | Fault::OneWay
            | Fault::Unreachable
            | Fault::Wedged
            | Fault::Starved => Ok(()),
            Fault::Heal => {
                let mark = self.tap.mark();
                self.lan().cut(BALANCERS[0], Cut::AdvertsFrom)?;
                let second = self.tap.wait(mark, PATIENCE, |captured| {
                    captured.host != BALANCERS[0] && captured.frame.advert().is_some()
                });
                second.context("nobody took over from a holder that was not heard")?;
                Ok(())
            }
            Fault::Return => {
                // It may have been asked to stop before.
                if let Some(first) = self.balancers[0].as_mut()
                    && first.alive()
                {
                    first.stop()?;
                }
                self.balancers[0] = None;
                self.ground.wait_holder(BALANCERS[1])
            }
        }
    }

    fn inject(&mut self, fault: Fault) -> anyhow::Result<()> {
        if fault == Fault::Return {
            return self.balance(0);
        }
        let first = self.balancers[0].as_mut().context("the first balancer does not run")?;
        let lan = self.ground.lan();
        match fault {
            Fault::LinkCut => lan.cut(BALANCERS[0], Cut::Carrier),
            Fault::Stop => first.ask_to_stop(),
            Fault::Kill => first.kill(),
            Fault::Freeze => first.freeze(true),
            Fault::OneWay => lan.cut(BALANCERS[0], Cut::AdvertsFrom),
            Fault::Heal => lan.mend(BALANCERS[0]),
            Fault::Unreachable => lan.part(BALANCERS[0], &self.ground.server_addresses()),
            Fault::Wedged => first.wedge(true),
            Fault::Starved => first.starve(true),
            Fault::Return => Ok(()),
        }
    }

    /// Makes the last fault good, and brings the address back to the first balancer.
    fn restore(&mut self) -> anyhow::Result<()> {
        let Some(done) = self.done.take() else { return Ok(()) };
        match done {
            Fault::LinkCut | Fault::OneWay | Fault::Heal | Fault::Unreachable => {
                self.lan().mend(BALANCERS[0])?;
            }
            Fault::Stop | Fault::Kill => self.balance(0)?,
            Fault::Return => {}
            Fault::Freeze => self.first()?.freeze(false)?,
            Fault::Wedged => self.first()?.wedge(false)?,
            Fault::Starved => self.first()?.starve(false)?,
        }
        for _ in 0..HAND_OVERS_MAX {
            self.wait_ready().with_context(|| format!("after {done}"))?;
            if self.system.preempts() {
                return self.ground.wait_holder(BALANCERS[0]);
            }
            // One that was not heard for a while has not let go yet.
            let several = self.ground.wait_holders(PATIENCE, |holders| holders.len() == 1)?;
            ensure!(several.is_none(), "the address is on {several:?} after {done}");
            let holder = self.ground.holders()?.pop_first().unwrap_or_default();
            match BALANCERS.iter().position(|name| *name == holder) {
                Some(0) => return Ok(()),
                Some(place) => self.hand_over(place)?,
                None => {}
            }
        }
        bail!("the address did not come back to {} after {done}", BALANCERS[0])
    }

    /// Stops the holder in order, and starts it again when another one has the address.
    fn hand_over(&mut self, place: usize) -> anyhow::Result<()> {
        let holder = self.balancers[place].as_mut().context("the holder does not run")?;
        holder.stop()?;
        let nobody = self.ground.wait_holders(PATIENCE, |holders| !holders.is_empty())?;
        ensure!(nobody.is_none(), "nobody took the address from {}", BALANCERS[place]);
        self.balance(place)
    }

    fn first(&mut self) -> anyhow::Result<&mut Box<dyn Running>> {
        self.balancers[0].as_mut().context("the first balancer does not run")
    }

    /// Waits until every balancer could take over.
    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for (balancer, name) in self.balancers.iter_mut().zip(BALANCERS) {
            let balancer = balancer.as_mut().with_context(|| format!("{name} does not run"))?;
            // One that was frozen or starved a moment ago may not answer yet.
            while !balancer.is_ready().unwrap_or(false) {
                ensure!(
                    Instant::now() < deadline,
                    "{name} is not ready after {PATIENCE:?}: {}",
                    balancer.log()
                );
                std::thread::sleep(POLL);
            }
        }
        Ok(())
    }
}

/// Whether the holders are those that the fault leaves in the end.
fn has_come(fault: Fault, holders: &BTreeSet<String>) -> bool {
    match fault {
        Fault::LinkCut
        | Fault::Stop
        | Fault::Kill
        | Fault::Freeze
        | Fault::Unreachable
        | Fault::Wedged
        | Fault::Starved => holders.len() == 1 && !holders.contains(BALANCERS[0]),
        // Each side of the segment has one.
        Fault::OneWay => holders.len() > 1,
        Fault::Heal | Fault::Return => holders.len() == 1,
    }
}
