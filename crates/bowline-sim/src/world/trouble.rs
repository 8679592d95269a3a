//! Faults: which comes next, whom it hits, how it begins and how it ends.

use super::{Outcome, World};
use crate::bounds::NOTICE;
use crate::check::Seen;
use crate::event::Event;
use crate::fault::{Kind, Trouble};
use crate::options::{chance, up_to};
use crate::state::{Host, Process};
use bowline_vrrp::{Config, Fault, Input, Loss, Priority, Settings, State as RouterState, adverts};
use core::time::Duration;

/// So soon is a process started again, at least: its guard has done its part by then.
const RESTART_MIN: Duration = Duration::from_millis(200);

impl World {
    /// Plans the next fault: some while later.
    pub(super) fn plan_fault(&mut self) {
        let bounds = &self.state.bounds;
        let gap = match self.state.prng.below(16) {
            0..9 => bounds.interval_min / 2,
            9..13 => bounds.detection / 2,
            13..15 => bounds.detection,
            _ => bounds.settled() + bounds.interval_min,
        };
        let at = self.state.now + gap + self.state.draw(gap);
        self.state.queue.push(at, Event::NextFault);
    }

    pub(super) fn next_fault(&mut self) -> Outcome {
        if self.faults_left == 0 {
            return Ok(());
        }
        self.faults_left -= 1;
        let Some(trouble) = self.choose() else {
            self.plan_fault();
            return Ok(());
        };
        self.disturb()?;
        self.state.stats.faults += 1;
        self.state
            .trace
            .line(self.state.now, format_args!("-- {:?} of node {} begins", trouble.kind, trouble.node));
        if trouble.kind.occupies() {
            self.state.nodes[trouble.node].occupied = true;
        }
        self.begin_trouble(trouble)?;
        self.troubles.push(trouble);
        let lasts = self.duration(trouble.kind);
        self.state.queue.push(self.state.now + lasts, Event::End(trouble));
        if self.state.options.overlap {
            self.plan_fault();
        }
        Ok(())
    }

    /// A kind, and a node that is fit for it: mostly one that holds something.
    fn choose(&mut self) -> Option<Trouble> {
        let state = &mut self.state;
        let prng = &mut state.prng;
        let kind = *state.options.kinds.get(prng.index(state.options.kinds.len()))?;
        let vip = prng.index(state.options.virtual_ips);
        let (holder, any) = (!chance(prng, 4), prng.index(state.options.routers));
        let other = prng.index(state.options.routers);
        let node = state.owners(vip).next().filter(|_| holder).unwrap_or(any);
        let it = &state.nodes[node];
        let fit = match kind {
            Kind::Spoof | Kind::AllUnable => true,
            Kind::OneWay => other != node,
            Kind::Remove => {
                state.router(node, vip).address.is_some() && it.runs() && !state.options.is_foreign(node)
            }
            Kind::Reconfigure => it.runs(),
            Kind::Crash
            | Kind::CrashUnguarded
            | Kind::PowerOff
            | Kind::Leave
            | Kind::Hang
            | Kind::Freeze
            | Kind::Suspend
            | Kind::Isolate
            | Kind::Mute
            | Kind::Deafen
            | Kind::Unable
            | Kind::Wedge
            | Kind::LinkDown
            | Kind::SlowKernel => !it.occupied && it.runs() && !it.leaving,
        };
        fit.then_some(Trouble { kind, node, other, vip })
    }

    /// Short ones end before anybody has noticed, long ones when everything has settled.
    fn duration(&mut self, kind: Kind) -> Duration {
        let bounds = &self.state.bounds;
        let most = match self.state.prng.below(16) {
            0..2 => bounds.interval_min * 3,
            2 => bounds.lease,
            3..14 => bounds.detection + bounds.interval_min,
            14 => bounds.settled(),
            _ => bounds.settled() + bounds.service,
        };
        let least = match kind {
            Kind::Crash | Kind::CrashUnguarded | Kind::PowerOff | Kind::Leave => RESTART_MIN,
            Kind::Remove | Kind::Reconfigure | Kind::Spoof => return Duration::ZERO,
            Kind::Hang
            | Kind::Freeze
            | Kind::Suspend
            | Kind::Isolate
            | Kind::Mute
            | Kind::Deafen
            | Kind::OneWay
            | Kind::Unable
            | Kind::AllUnable
            | Kind::Wedge
            | Kind::LinkDown
            | Kind::SlowKernel => Duration::ZERO,
        };
        (most * 3 / 4 + up_to(&mut self.state.prng, most / 4)).max(least)
    }

    fn begin_trouble(&mut self, trouble: Trouble) -> Outcome {
        let Trouble { kind, node, other, vip } = trouble;
        match kind {
            Kind::Crash => self.crash(node, true),
            Kind::CrashUnguarded => self.crash(node, false),
            Kind::PowerOff => self.power_off(node),
            Kind::Leave => self.leave(node),
            Kind::Hang => self.halt(node, false),
            Kind::Freeze | Kind::Suspend => self.halt(node, true),
            Kind::Isolate | Kind::Mute | Kind::Deafen | Kind::OneWay => self.cut(trouble, other, true),
            Kind::Unable => {
                self.set_reaches(node, false);
                Ok(())
            }
            Kind::AllUnable => {
                self.set_all_reach(false);
                Ok(())
            }
            Kind::Wedge => {
                self.state.nodes[node].wedged = true;
                self.tell_all(node, Fault::NotServing, true, Duration::ZERO);
                Ok(())
            }
            Kind::LinkDown => {
                self.state.nodes[node].link_down = true;
                self.tell_all(node, Fault::LinkDown, true, NOTICE);
                self.see(Seen::Changed)
            }
            Kind::SlowKernel => {
                self.state.nodes[node].slow = true;
                self.state.restless += 1;
                Ok(())
            }
            Kind::Remove => {
                // Put back by the machine: an owner that is away for a moment.
                self.lose(node, vip, Loss::Removed)
            }
            Kind::Reconfigure => self.reconfigure(node, vip),
            Kind::Spoof => self.spoof(trouble),
        }
    }

    pub(super) fn end_trouble(&mut self, trouble: Trouble) -> Outcome {
        let Some(place) = self.troubles.iter().position(|&standing| standing == trouble) else {
            return Ok(());
        };
        let Trouble { kind, node, other, .. } = trouble;
        // A process that hands over is not started again before it has ended.
        if kind == Kind::Leave && self.state.nodes[node].process == Process::Running {
            self.state.queue.push(self.state.now + RESTART_MIN, Event::End(trouble));
            return Ok(());
        }
        let busy = self.state.nodes[node].busy_until;
        if kind == Kind::SlowKernel && busy > self.state.now {
            // What has piled up comes first.
            self.state.nodes[node].slow = false;
            self.state.queue.push(busy, Event::End(trouble));
            return Ok(());
        }
        self.troubles.swap_remove(place);
        let lasting = !matches!(kind, Kind::Remove | Kind::Reconfigure | Kind::Spoof);
        if lasting {
            self.disturb()?;
            self.state.trace.line(self.state.now, format_args!("-- {kind:?} of node {node} ends"));
        }
        if kind.occupies() {
            self.state.nodes[node].occupied = false;
        }
        match kind {
            Kind::Crash | Kind::CrashUnguarded | Kind::PowerOff | Kind::Leave => self.start(node)?,
            Kind::Hang | Kind::Freeze => self.resume(node, false)?,
            Kind::Suspend => self.resume(node, true)?,
            Kind::Isolate | Kind::Mute | Kind::Deafen | Kind::OneWay => self.cut(trouble, other, false)?,
            Kind::Unable => {
                let all = self.troubles.iter().any(|trouble| trouble.kind == Kind::AllUnable);
                self.set_reaches(node, !all);
            }
            Kind::AllUnable => self.set_all_reach(true),
            Kind::Wedge => {
                self.state.nodes[node].wedged = false;
                self.tell_all(node, Fault::NotServing, false, Duration::ZERO);
            }
            Kind::LinkDown => {
                self.state.nodes[node].link_down = false;
                self.tell_all(node, Fault::LinkDown, false, NOTICE);
                self.see(Seen::Changed)?;
            }
            Kind::SlowKernel => {
                let it = &mut self.state.nodes[node];
                (it.slow, it.slow_until) = (false, self.state.now);
                self.state.restless -= 1;
            }
            Kind::Remove | Kind::Reconfigure | Kind::Spoof => {}
        }
        if !self.state.options.overlap {
            self.plan_fault();
        }
        Ok(())
    }

    /// Nothing is wrong any more.
    pub(super) fn heal(&mut self) -> Outcome {
        self.disturb()?;
        self.state.trace.line(self.state.now, format_args!("== everything is healed"));
        self.faults_left = 0;
        self.state.network.lose_nothing(self.state.now);
        for trouble in self.troubles.clone() {
            self.end_trouble(trouble)?;
        }
        self.see(Seen::Changed)
    }

    fn leave(&mut self, node: usize) -> Outcome {
        self.see(Seen::Leaving { node })?;
        self.state.nodes[node].leaving = true;
        for vip in 0..self.state.options.virtual_ips {
            self.step(node, vip, Input::Leave)?;
            self.foreign(node, vip, |foreign, _| foreign.give_up())?;
        }
        if self.state.options.is_foreign(node) {
            self.end_process(node);
        }
        self.see(Seen::Changed)
    }

    fn cut(&mut self, trouble: Trouble, other: usize, on: bool) -> Outcome {
        let now = self.state.now;
        let Trouble { kind, node, .. } = trouble;
        for station in (0..self.state.network.stations()).filter(|&station| station != node) {
            let (out, back) = match kind {
                Kind::Isolate => (true, true),
                Kind::Mute => (true, false),
                Kind::Deafen => (false, true),
                Kind::OneWay => (station == other, false),
                Kind::Crash
                | Kind::CrashUnguarded
                | Kind::PowerOff
                | Kind::Leave
                | Kind::Hang
                | Kind::Freeze
                | Kind::Suspend
                | Kind::Unable
                | Kind::AllUnable
                | Kind::Wedge
                | Kind::LinkDown
                | Kind::SlowKernel
                | Kind::Remove
                | Kind::Reconfigure
                | Kind::Spoof => (false, false),
            };
            if out {
                self.state.network.cut(node, station, on, now);
            }
            if back {
                self.state.network.cut(station, node, on, now);
            }
        }
        self.see(Seen::Changed)
    }

    fn set_all_reach(&mut self, reach: bool) {
        for node in 0..self.state.options.routers {
            // Who is out of sorts for a reason of its own stays so.
            let own =
                self.troubles.iter().any(|trouble| trouble.kind == Kind::Unable && trouble.node == node);
            let all = self.troubles.iter().any(|trouble| trouble.kind == Kind::AllUnable);
            self.set_reaches(node, reach && !own && !all);
        }
    }

    /// Another interval, one address more, or a little less priority; Active if Active.
    fn reconfigure(&mut self, node: usize, vip: usize) -> Outcome {
        let options = &self.state.options;
        let mut settings: Settings = self.state.router(node, vip).config.settings().clone();
        let problem = |error| super::Violation { checker: "world", message: format!("{error}") };
        match self.state.prng.below(3) {
            0 => {
                let own = settings.protocol.interval() == options.interval;
                let interval = if own { options.other_interval } else { options.interval };
                settings.protocol = options.protocol(interval).map_err(problem)?;
            }
            1 => {
                let more = settings.addresses.count() == 1;
                settings.addresses = options.addresses(vip, more).map_err(problem)?;
            }
            _ => {
                let priority = settings.priority.get();
                let other =
                    if priority.is_multiple_of(2) { priority - 1 } else { priority.saturating_add(1) };
                settings.priority = Priority::new(other).unwrap_or(settings.priority);
            }
        }
        let config = Config::new(settings).map_err(problem)?;
        let now = self.state.now;
        let router = self.state.router_mut(node, vip);
        (router.config, router.configured) = (config.clone(), now);
        self.step(node, vip, Input::Reconfigure(Box::new(config)))
    }

    /// Adverts that no router of the group has sent, and that must move nothing: with interval 0, or a farewell of one that
    /// holds nothing, or nonsense.
    fn spoof(&mut self, trouble: Trouble) -> Outcome {
        let Trouble { node, vip, .. } = trouble;
        let held = self.state.router(node, vip).wanted.is_some();
        let quiet = self.state.nodes[node].host == Host::Up
            && self.state.router(node, vip).state() == Some(RouterState::Backup);
        // A router of another make believes every farewell, and has no answer to one.
        let choice = self.state.prng.below(3);
        let priority = if choice == 0 { 255 } else { 0 };
        if choice == 1 && (held || !quiet || self.state.options.foreign > 0) {
            return Ok(());
        }
        for transmission in adverts(&self.state.router(node, vip).config, priority) {
            let mut bytes = transmission.bytes.to_vec();
            match choice {
                0 => zero_interval(&mut bytes),
                1 => {}
                _ => {
                    let place = self.state.prng.index(bytes.len());
                    bytes[place] ^= 1 << self.state.prng.below(8);
                }
            }
            let to = self.station(transmission.destination);
            let bytes: std::sync::Arc<[u8]> = bytes.into();
            for to in
                (0..self.state.options.routers).filter(|&one| one != node && to.is_none_or(|to| to == one))
            {
                self.state
                    .queue
                    .push(self.state.now + NOTICE, Event::Packet { from: node, to, bytes: bytes.clone() });
            }
        }
        Ok(())
    }
}

/// An interval of zero with a checksum that is right all the same (RFC 1624: what one word loses the checksum gains).
fn zero_interval(bytes: &mut [u8]) {
    let word = |bytes: &[u8], at: usize| u32::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    let old = word(bytes, 4);
    let kept = if bytes[0] >> 4 == 2 { old & 0xff00 } else { old & 0xf000 };
    let mut sum = (!word(bytes, 6) & 0xffff) + (!old & 0xffff) + kept;
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    bytes[4..6].copy_from_slice(&u16::try_from(kept).unwrap_or(0).to_be_bytes());
    bytes[6..8].copy_from_slice(&(!u16::try_from(sum).unwrap_or(0)).to_be_bytes());
}
