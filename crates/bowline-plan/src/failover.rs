//! How long clients can suffer from a failure at most, by the timers: what `check` prints, and what a daemon exports.

use core::time::Duration;

use crate::cluster::KeepAlive;
use crate::plan::Probe;

/// What each place in the planned order of a virtual IP's nodes adds to their wait, as the virtual routers have it.
pub const RANK_WAIT: Duration = Duration::from_millis(20);

/// Good probes that show a node after a holder's fall that it could serve in its place.
const ROUNDS: u32 = 2;

/// The timers that decide how soon a failure is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Detection {
    /// Between two probes of an endpoint whose grade is settled.
    pub interval: Duration,
    /// Between two probes while the grade is changing.
    pub fast_interval: Duration,
    /// For an answer to a probe.
    pub timeout: Duration,
    /// Bad evidence in a row that takes an endpoint out.
    pub fall: u32,
    /// The most silence before the next endpoint is dialled beside the silent one.
    pub stagger_max: Duration,
}

impl Detection {
    /// Probes that follow each other until an endpoint is out; the first comes at its interval's end at the latest.
    fn pauses(&self) -> Duration {
        let confirm = self.fast_interval.saturating_mul(self.fall.saturating_sub(1));
        self.interval.saturating_add(confirm)
    }

    /// A new connection to an endpoint whose port refuses: the next one is dialled at once.
    pub fn killed(&self) -> Duration {
        Duration::ZERO
    }

    /// A new connection to an endpoint that is gone: the next one is dialled beside it.
    pub fn unreachable(&self) -> Duration {
        self.stagger_max
    }

    /// New connections to an endpoint that takes them and says nothing: until the probes have found out, if no client's
    /// first flight has before.
    pub fn frozen(&self) -> Duration {
        self.pauses().saturating_add(self.timeout.saturating_mul(self.fall))
    }

    /// By how much two nodes can differ in when they find out about one and the same failure.
    pub fn difference(&self) -> Duration {
        self.interval.saturating_add(self.timeout.saturating_mul(self.fall))
    }

    /// Until a virtual IP has left a holder that reaches none of its endpoints for one of so many `others`, adverts being so
    /// far apart: the holder has found out and says so at once, another one has shown anew that it reaches one, and has waited
    /// for Skew_Time (less than an interval, RFC 9568 section 6.1) and for its place in the order.
    pub fn moved(&self, adverts: Duration, others: usize) -> Duration {
        let shown =
            self.timeout.saturating_mul(ROUNDS).saturating_add(self.fast_interval.saturating_mul(ROUNDS - 1));
        let places = u32::try_from(others.saturating_sub(1)).unwrap_or(u32::MAX);
        let order = adverts.saturating_add(RANK_WAIT.saturating_mul(places));
        self.frozen().saturating_add(shown).saturating_add(order)
    }

    /// New connections to an endpoint that works and should be left alone: until the probes have found out.
    pub fn not_ready(&self) -> Duration {
        self.pauses()
    }
}

impl From<&Probe> for Detection {
    fn from(probe: &Probe) -> Self {
        Self {
            interval: probe.interval,
            fast_interval: probe.fast_interval,
            timeout: probe.timeout,
            fall: probe.fall,
            stagger_max: probe.stagger_max,
        }
    }
}

impl KeepAlive {
    /// Until a connection to a peer that has vanished is ended.
    pub fn gives_up_after(&self) -> Duration {
        self.idle.saturating_add(self.interval.saturating_mul(self.probes.get()))
    }
}
