//! One router in the advert thread: its machine, its way to the wire, and what it has asked of the keeper.

mod discards;
mod failing;
mod judge;
mod link;

use crate::cell::{Answer, Cell, Faults, Order, Outcome, Wish};
use crate::shared::{Known, now};
use crate::teller::Said;
use bowline_sansio::{Instant, Machine};
use bowline_sys::announce::{Announcer, Envelope, Frame};
use bowline_sys::vrrp_socket::{ROOM, VrrpSocket};
use bowline_vrrp::timers::replaced_after;
use bowline_vrrp::{
    Advert, Config, Discard, Event, Family, Fault, Input, Inquiry, Loss, Output, Reason, State, Status,
    Tenure, Transmission, VirtualRouter,
};
use discards::Discards;
use failing::Failing;
use judge::judge;
use std::cell::Cell as Flag;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

/// Packets taken from one socket in one round: many times what a link with many routers has between two rounds, and little enough
/// that adverts are on time while somebody floods the link. What is left ends the next wait at once.
const PACKETS_MAX: usize = 64;

/// The same where the next thing is to take over, or to find that others have: what came in time must be read before, wherever it
/// lies. A socket's buffer holds no more.
const PACKETS_BEFORE_TAKEOVER_MAX: usize = 4096;

/// Who has heard of a hardware address is deaf to the next one for a second (`net.ipv4.neigh.*.locktime`), and may have missed
/// the first.
const TELL_AGAIN_AFTER: Duration = Duration::from_millis(1_100);

/// How a router reaches its link. Made by whoever may allocate.
#[derive(Debug)]
pub(crate) struct Wiring {
    pub(crate) interface: u32,
    pub(crate) socket: VrrpSocket,
    pub(crate) announcer: Announcer,
    /// Of adverts, where they do not come from the interface's own Ethernet address.
    pub(crate) envelope: Option<Envelope>,
    /// One for each address.
    pub(crate) frames: Box<[Frame]>,
}

/// What all lanes have in common in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round<'a> {
    pub(crate) now: Instant,
    /// How much later this round began than it should have.
    pub(crate) late: Duration,
    /// Whether clients would be served.
    pub(crate) alive: bool,
    /// Whether they would be served better elsewhere.
    pub(crate) starved: bool,
    pub(crate) said: &'a SyncSender<Said>,
    /// Set when there is something for the keeper.
    pub(crate) ordered: &'a Flag<bool>,
    /// Set when there is something for the sink.
    pub(crate) spoke: &'a Flag<bool>,
}

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) id: u32,
    pub(crate) cell: Arc<Cell>,
    machine: VirtualRouter,
    /// What it was, or, of one that leaves, what it is going to be, where nodes with that and nodes with this do not understand each
    /// other: the number has changed, or what adverts look like.
    alias: Option<Box<Config>>,
    wiring: Wiring,
    order: Order,
    /// The last order of each kind that was not answered yet, or that stands.
    acquire: Option<(u32, Tenure)>,
    release: Option<(u32, Tenure)>,
    delivered: Option<Answer>,
    /// The machine knows the addresses to be there.
    held: bool,
    /// The machine knows of these.
    faults: Faults,
    can_serve: bool,
    /// What the machine has asked last and has no answer to.
    inquiry: Option<Inquiry>,
    leaves: bool,
    /// Nothing may be sent: this thread stood still, and what the machine knows is old.
    muted: bool,
    stalled: bool,
    /// It has, and its group does not know it yet.
    took_over: bool,
    failing: Option<Failing>,
    /// When its link came back, while that still counts as down.
    link_up_at: Option<Instant>,
    /// The addresses are at another hardware address since a moment ago.
    tell_again_at: Option<Instant>,
    discards: Discards,
    published: Status,
}

impl Lane {
    pub(crate) fn new(
        known: Known,
        config: Config,
        alias: Option<Box<Config>>,
        wiring: Wiring,
        now: Instant,
    ) -> Self {
        let machine = VirtualRouter::new(config, now);
        let published = machine.status();
        Self {
            id: known.id,
            cell: known.cell,
            machine,
            alias,
            wiring,
            order: Order::FIRST,
            acquire: None,
            release: None,
            delivered: None,
            held: false,
            faults: Faults::default(),
            can_serve: false,
            inquiry: None,
            leaves: false,
            muted: false,
            stalled: false,
            took_over: false,
            failing: None,
            link_up_at: None,
            tell_again_at: None,
            discards: Discards::default(),
            published,
        }
    }

    pub(crate) const fn socket(&self) -> &VrrpSocket {
        &self.wiring.socket
    }

    /// What tells its packets from those of other routers: interface, family and number.
    pub(crate) fn key(&self) -> (u32, Family, u8) {
        let config = self.machine.config();
        (self.wiring.interface, config.family(), config.settings().vrid.get())
    }

    /// Takes part from now on.
    pub(crate) fn start(&mut self, faults: Faults, round: Round<'_>) {
        self.hear_shell(faults, round);
        self.handle(Input::Start, round);
    }

    /// Goes on as `config` says, and gives back the sockets it had.
    pub(crate) fn reconfigure(
        &mut self,
        config: Box<Config>,
        alias: Option<Box<Config>>,
        wiring: Wiring,
        round: Round<'_>,
    ) -> Wiring {
        if let Some(alias) = alias {
            self.go_by(alias);
        }
        let before = std::mem::replace(&mut self.wiring, wiring);
        self.handle(Input::Reconfigure(config), round);
        before
    }

    /// From now on adverts to that one count, too.
    pub(crate) fn go_by(&mut self, alias: Box<Config>) {
        self.alias = Some(alias);
    }

    /// Goes on with these sockets, and gives back those it had. If it is the same interface, it has another hardware address.
    pub(crate) fn rewire(&mut self, wiring: Wiring, round: Round<'_>) -> Wiring {
        self.failing = None;
        let before = std::mem::replace(&mut self.wiring, wiring);
        if self.held && before.interface == self.wiring.interface {
            self.announce();
            self.tell_again_at = Some(round.now + TELL_AGAIN_AFTER);
        }
        before
    }

    /// The sockets of one that is over.
    pub(crate) fn into_wiring(self) -> Wiring {
        self.wiring
    }

    /// Reads what came, before any timer is judged. After a standstill the machine hears it, but says nothing, and
    /// is told of the standstill then.
    pub(crate) fn hear_link(
        &mut self,
        buffer: &mut [u8; ROOM],
        others: impl Fn(u8) -> bool,
        round: Round<'_>,
    ) {
        self.muted = round.late > self.patience();
        self.stalled = false;
        let takes_over =
            self.machine.status().state == State::Backup && self.due().is_some_and(|due| due <= round.now);
        let max = if self.muted || takes_over { PACKETS_BEFORE_TAKEOVER_MAX } else { PACKETS_MAX };
        for _ in 0..max {
            match self.wiring.socket.receive(buffer) {
                Ok(packet) => match judge(self.machine.config(), self.alias.as_deref(), &packet) {
                    Ok(advert) => self.heard(advert, round),
                    // For another router of this host.
                    Err(Discard::OtherVrid) if packet.message.get(1).is_some_and(|vrid| others(*vrid)) => {}
                    Err(why) => self.discarded(why, packet.source, round),
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Told once: the keeper hears of it from the kernel, too.
                Err(_) => {}
            }
        }
        if self.muted {
            self.cell.counters.stalls.one();
            if !self.stalled {
                self.handle(Input::Stalled, round);
            }
            self.muted = false;
        }
    }

    /// How late a round may be until others may have taken over, or the kernel may have dropped the addresses.
    fn patience(&self) -> Duration {
        let config = self.machine.config();
        replaced_after(config.interval()).min(config.settings().lease)
    }

    fn heard(&mut self, advert: Advert, round: Round<'_>) {
        self.cell.counters.adverts_received.one();
        // Somebody has taken over because we are silent: to wait any longer would make two holders.
        if !round.alive && advert.priority > 0 && self.machine.status().state == State::Active {
            self.set_fault(Fault::NotServing, true, round);
        }
        self.handle(Input::Received(advert), round);
    }

    /// Whether something is wrong that is not another one's of its group.
    pub(crate) fn has_fault_of_its_own(&self) -> bool {
        let found_outside = !self.faults.with(Fault::Group, false).is_none();
        let found_inside = match self.machine.status().fault {
            Some(Fault::NotHeld) => true,
            Some(
                Fault::LinkDown
                | Fault::NoSource
                | Fault::NotServing
                | Fault::CannotSend
                | Fault::Group
                | Fault::CannotServe,
            )
            | None => false,
        };
        found_outside || found_inside
    }

    /// Whether it has become Active of its own accord, once.
    pub(crate) const fn took_over(&mut self) -> bool {
        std::mem::replace(&mut self.took_over, false)
    }

    /// Becomes Active because another one of its group has.
    pub(crate) fn take_over(&mut self, round: Round<'_>) {
        self.handle(Input::TakeOver, round);
    }

    /// What keeper and handle have said since the last time. `faults` are those of the whole group.
    pub(crate) fn hear_shell(&mut self, faults: Faults, round: Round<'_>) {
        let can_serve = self.cell.can_serve() && !round.starved;
        if can_serve != self.can_serve {
            self.can_serve = can_serve;
            self.handle(Input::CanServe(can_serve), round);
        }
        let confirmed = |inquiry: &Inquiry| inquiry.get() == self.cell.confirmed() && !round.starved;
        if let Some(inquiry) = self.inquiry.filter(confirmed) {
            self.inquiry = None;
            self.handle(Input::Confirmed(inquiry), round);
        }
        let faults = self.settled(faults, round.now);
        for fault in Faults::KEEPERS {
            self.set_fault(fault, faults.has(fault), round);
        }
        self.set_fault(Fault::Group, faults.has(Fault::Group), round);
        // Once given up it stays so until somebody serves, however it came to it.
        let given_up = self.faults.has(Fault::NotServing) && !round.alive;
        self.set_fault(Fault::NotServing, faults.has(Fault::NotServing) || given_up, round);
        self.try_sending_again(round);
        self.hear_keeper(round);
        let addresses = self.machine.config().settings().addresses.clone();
        if let Some(conflict) = self.cell.take_conflict(addresses.as_slice()) {
            self.cell.counters.duplicates.one();
            self.handle(Input::Conflict(conflict), round);
        }
        if self.cell.leaves() && !self.leaves {
            self.leaves = true;
            self.handle(Input::Leave, round);
        }
    }

    fn set_fault(&mut self, fault: Fault, there: bool, round: Round<'_>) {
        if self.faults.has(fault) != there {
            self.faults = self.faults.with(fault, there);
            self.handle(if there { Input::Fault(fault) } else { Input::Recovered(fault) }, round);
        }
    }

    fn hear_keeper(&mut self, round: Round<'_>) {
        if let Some(answer) = self.cell.answer().filter(|answer| self.delivered != Some(*answer)) {
            self.answered(answer, round);
        }
        // The keeper may be kept waiting by the kernel, and the lease ends all the same.
        if self.held && self.cell.leased_until().is_some_and(|until| until <= round.now) {
            self.lost(Loss::Expired, round);
        }
    }

    fn answered(&mut self, answer: Answer, round: Round<'_>) {
        let before = self.delivered.replace(answer);
        // One order has taken the place of an earlier one, which was done with it.
        if let Some((number, tenure)) = self.release
            && answer.number.wrapping_sub(number) < u32::MAX / 2
        {
            self.release = None;
            self.held = false;
            self.handle(Input::Released(tenure), round);
        }
        let Some((number, tenure)) = self.acquire else { return };
        if answer.number != number {
            return;
        }
        match answer.outcome {
            Outcome::Released => {}
            Outcome::NotHeld => self.handle(Input::NotHeld(tenure), round),
            Outcome::Held => {
                self.held = true;
                self.handle(Input::Held(tenure), round);
            }
            Outcome::Removed | Outcome::Expired => {
                if before != Some(Answer { number, outcome: Outcome::Held }) {
                    self.held = true;
                    self.handle(Input::Held(tenure), round);
                }
                let loss = if answer.outcome == Outcome::Removed { Loss::Removed } else { Loss::Expired };
                self.lost(loss, round);
            }
        }
    }

    fn lost(&mut self, loss: Loss, round: Round<'_>) {
        if let Some((_, tenure)) = self.acquire.filter(|_| self.held) {
            self.held = false;
            self.handle(Input::Lost(tenure, loss), round);
        }
    }

    /// Fires what is due.
    pub(crate) fn fire(&mut self, round: Round<'_>) {
        if self.machine.poll_timeout().is_some_and(|due| due <= round.now) {
            self.handle(Input::Timeout, round);
        }
        if self.tell_again_at.take_if(|at| *at <= round.now).is_some() && self.held {
            self.announce();
        }
    }

    /// When it wants to be fired.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    /// Whether it has left, and the addresses with it.
    pub(crate) fn is_over(&self) -> bool {
        let released = match self.order.wish {
            Wish::Nothing => true,
            Wish::Hold => false,
            Wish::LetGo => self.release.is_none(),
        };
        self.leaves && released && self.machine.status().state == State::Initialize
    }

    /// Shows how it stands.
    pub(crate) fn publish(&mut self) {
        let status = self.machine.status();
        if status != self.published && self.cell.try_publish(status) {
            self.published = status;
        }
    }

    fn handle(&mut self, input: Input, round: Round<'_>) {
        self.machine.handle(input, round.now);
        while let Some(output) = self.machine.poll_output() {
            match output {
                Output::Send(advert) => self.send(&advert, round),
                Output::Announce(_) => self.announce(),
                Output::Acquire(tenure) => {
                    self.order = self.order.then(Wish::Hold);
                    self.acquire = Some((self.order.number, tenure));
                    self.cell.set_order(self.order);
                    round.ordered.set(true);
                }
                Output::Release(tenure, _) => {
                    self.order = self.order.then(Wish::LetGo);
                    self.release = Some((self.order.number, tenure));
                    self.acquire = None;
                    self.held = false;
                    self.cell.set_order(self.order);
                    round.ordered.set(true);
                }
                Output::Inquire(inquiry) => {
                    self.inquiry = Some(inquiry);
                    self.say(Said::Inquires(Arc::clone(&self.cell), inquiry), round);
                }
                Output::Event(event) => self.tell(event, round),
            }
        }
    }

    fn send(&mut self, advert: &Transmission, round: Round<'_>) {
        let counters = &self.cell.counters;
        let leaves = advert.bytes.get(PRIORITY) == Some(&0);
        // Stopped in the middle of a round: the next one begins with what came in meanwhile.
        let stopped = now().since(round.now) > self.patience();
        if self.muted || stopped || !(round.alive || leaves) {
            return counters.adverts_withheld.one();
        }
        let source = self.machine.config().settings().source;
        let Wiring { socket, announcer, envelope, .. } = &self.wiring;
        let sent = match envelope {
            Some(envelope) => announcer.send_advert(envelope, &advert.bytes),
            None => socket.send(source, advert.destination, &advert.bytes),
        };
        if sent.is_ok() {
            counters.adverts_sent.one();
            self.failing = None;
            return;
        }
        counters.send_failures.one();
        self.failing.get_or_insert(Failing::begins(round.now));
    }

    fn announce(&mut self) {
        if self.muted {
            return;
        }
        for frame in &self.wiring.frames {
            // One that is lost is repeated.
            if self.wiring.announcer.send(frame).is_ok() {
                self.cell.counters.announcements.one();
            }
        }
    }

    fn tell(&mut self, event: Event, round: Round<'_>) {
        match event {
            Event::Transition { to, reason, .. } => {
                self.cell.counters.transition(to);
                self.took_over |= to == State::Active && reason != Reason::Group;
            }
            Event::Stalled { .. } => self.stalled = true,
            Event::PriorityChanged { .. }
            | Event::HolderChanged { .. }
            | Event::PeerHeard { .. }
            | Event::AddressesDiffer { .. }
            | Event::TwoOwners { .. }
            | Event::OtherActive { .. }
            | Event::HolderFell { .. }
            | Event::Confirmed { .. }
            | Event::Held { .. }
            | Event::NotHeld
            | Event::AddressLost { .. }
            | Event::SuccessorHeard { .. }
            | Event::DuplicateAddress(_)
            | Event::ReconfigureRefused => {}
        }
        self.say(Said::ByMachine(Arc::clone(&self.cell), round.now, event), round);
    }

    fn say(&self, said: Said, round: Round<'_>) {
        match round.said.try_send(said) {
            Ok(()) => round.spoke.set(true),
            Err(_) => self.cell.counters.events_dropped.one(),
        }
    }

    fn discarded(&mut self, why: Discard, source: IpAddr, round: Round<'_>) {
        self.cell.counters.discard(why);
        if let Some(before) = self.discards.note(why, round.now) {
            self.say(Said::Discarded(Arc::clone(&self.cell), why, source, before), round);
        }
    }
}

/// Where an advert says its sender's priority (RFC 9568 section 5.2).
const PRIORITY: usize = 2;

#[cfg(test)]
mod tests;
