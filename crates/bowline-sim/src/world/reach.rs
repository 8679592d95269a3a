//! Who reaches an API server, who has found out, and what fresh evidence shows.
//!
//! What is so and what a node believes are two things: each finds out a while later, and two nodes at different times. One that has
//! just lost everything looks again at once, and so finds out soon when that is over.

use super::{Outcome, World};
use crate::bug::Bug;
use crate::event::{Event, Seat};
use crate::options::SOON;
use bowline_vrrp::Input;
use bowline_vrrp::{Inquiry, WhenAllBad};
use core::time::Duration;

/// A probe that is answered at all is answered within this.
const ANSWER: Duration = Duration::from_millis(2);

/// From the answer of one probe to the next one that an inquiry wants, and how often it wants one.
const PAUSE: Duration = Duration::from_millis(100);
const ROUNDS: u32 = 2;

/// And it looks often for so long.
const OFTEN: Duration = Duration::from_millis(400);

/// In so many cases a node believes in trouble that was over a moment before.
const LATE_BELIEF: u64 = 4;

impl World {
    /// From now on it is so; the node finds out later.
    pub(super) fn set_reaches(&mut self, node: usize, reaches: bool) {
        if self.state.nodes[node].reaches == reaches {
            return;
        }
        self.state.note_differences();
        let now = self.state.now;
        let it = &mut self.state.nodes[node];
        (it.reaches, it.reaches_since) = (reaches, now);
        it.changes += 1;
        let (changes, fell) = (it.changes, now.since(it.can_serve_since));
        let soon = reaches && !it.can_serve && fell < OFTEN;
        let most = if soon { SOON } else { self.state.options.lag() };
        let at = now + self.state.draw(most);
        self.state
            .trace
            .line(now, format_args!("node {node} reaches {}", if reaches { "some" } else { "none" }));
        self.state.queue.push(at, Event::FindsOut { node, changes, reaches });
    }

    pub(super) fn finds_out(&mut self, node: usize, changes: u64, reaches: bool) -> Outcome {
        let now = self.state.now;
        let it = &self.state.nodes[node];
        let present = it.changes;
        let is_over = !reaches && it.reaches && present == changes + 1 && now.since(it.reaches_since) < SOON;
        let is_late = is_over && self.state.prng.below(LATE_BELIEF) == 0;
        if present != changes && !is_late {
            return Ok(());
        }
        // Where it makes routers give up or come back, what had to be right by now is held to it.
        let options = &self.state.options;
        if self.state.nodes[node].can_serve != reaches
            && !(options.bands && options.when_all_bad == WhenAllBad::Keep)
        {
            self.disturb()?;
        }
        if is_late {
            let at = now + self.state.draw(SOON);
            self.state.queue.push(at, Event::FindsOut { node, changes: present, reaches: true });
        }
        self.set_can_serve(node, reaches)
    }

    /// A router wants to know whether its node can serve, as it is from now on.
    pub(super) fn inquire(&mut self, seat: Seat, inquiry: Inquiry) {
        let changes = self.state.nodes[seat.node].changes;
        let left = if self.has(Bug::EvidenceFromBefore) { 0 } else { ROUNDS };
        let at = self.state.now + self.state.draw(ANSWER);
        self.state.queue.push(at, Event::Evidence { seat, inquiry, changes, left });
    }

    /// A probe has ended that an inquiry wanted; good if nothing has changed since the question.
    pub(super) fn evidence(&mut self, seat: Seat, inquiry: Inquiry, changes: u64, left: u32) -> Outcome {
        let event = Event::Evidence { seat, inquiry, changes, left };
        if self.can_happen(seat, event).is_none() {
            return Ok(());
        }
        let it = &self.state.nodes[seat.node];
        match left {
            0 => self.step(seat.node, seat.vip, Input::Confirmed(inquiry)),
            _ if it.changes != changes || !it.reaches => Ok(()),
            1 => self.step(seat.node, seat.vip, Input::Confirmed(inquiry)),
            _ => {
                let at = self.state.now + PAUSE + self.state.draw(ANSWER);
                self.state.queue.push(at, Event::Evidence { seat, inquiry, changes, left: left - 1 });
                Ok(())
            }
        }
    }
}
