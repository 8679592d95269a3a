//! Adverts that cannot be sent: when that is a fault, and when it is over.

use super::{Lane, Round};
use bowline_sansio::Instant;
use bowline_vrrp::timers::replaced_after;
use bowline_vrrp::{Fault, State};
use std::time::Duration;

/// Adverts that cannot be sent for so long, though never fewer than three, are a fault.
const CANNOT_SEND_AFTER: Duration = Duration::from_secs(1);

/// A router that could not send tries again after this.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Since when nothing could be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failing {
    since: Instant,
    /// A fault, which is taken back then to try again.
    until: Option<Instant>,
}

impl Failing {
    /// The first that could not be sent.
    pub(super) const fn begins(now: Instant) -> Self {
        Self { since: now, until: None }
    }
}

impl Lane {
    /// A fault when nothing could be sent for long, and its end when it is time to try again, or when there is another socket.
    pub(super) fn try_sending_again(&mut self, round: Round<'_>) {
        // Only who is Active sends again and again. The farewell of one whose link went down is lost, and says nothing of what
        // can be sent when the link is back.
        let is_active = self.machine.status().state == State::Active;
        self.failing = self.failing.filter(|failing| is_active || failing.until.is_some());
        let long = CANNOT_SEND_AFTER.max(replaced_after(self.machine.config().interval()));
        match self.failing {
            None => self.set_fault(Fault::CannotSend, false, round),
            Some(Failing { since, until: None }) if round.now.since(since) >= long => {
                self.failing = Some(Failing { since, until: Some(round.now + SEND_AGAIN_AFTER) });
                self.set_fault(Fault::CannotSend, true, round);
            }
            Some(Failing { until: Some(until), .. }) if until <= round.now => {
                self.failing = None;
                self.set_fault(Fault::CannotSend, false, round);
            }
            Some(Failing { .. }) => {}
        }
    }
}
