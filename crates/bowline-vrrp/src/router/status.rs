//! What is seen of a virtual router.

use super::{Holding, VirtualRouter};
use crate::message::{Fault, Reason, State, Tenure};
use bowline_sansio::Instant;
use core::net::IpAddr;

/// What is seen of a virtual router from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// Where it stands.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// Since when.
    pub since: Instant,
    /// Who has the addresses as far as this router knows: its own source address while it is Active.
    pub holder: Option<IpAddr>,
    /// The Active router heard last, also when it is silent by now.
    pub heard: Option<Heard>,
    /// What it advertises, or would.
    pub priority: u8,
    /// What it was told last.
    pub can_serve: bool,
    /// The gravest fault that stands.
    pub fault: Option<Fault>,
    /// Whether the kernel has said that it has all the addresses.
    pub held: bool,
    /// Whether the kernel has said that it has none of them, or was never told to take them.
    pub released: bool,
    /// The present tenure, or the last one.
    pub tenure: Option<Tenure>,
}

/// An Active router as it was heard last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard {
    /// Where its adverts come from.
    pub source: IpAddr,
    /// What they say.
    pub priority: u8,
    /// When the last one came.
    pub at: Instant,
}

impl VirtualRouter {
    /// What is seen from outside.
    pub fn status(&self) -> Status {
        let holder = match self.state {
            State::Active | State::HandingOver => Some(self.config.settings().source),
            State::Backup | State::Fault => self.holder.map(|holder| holder.source),
            State::Initialize => None,
        };
        Status {
            state: self.state,
            reason: self.reason,
            since: self.since,
            holder,
            heard: self.heard,
            priority: self.adverts.priority(),
            can_serve: self.can_serve,
            fault: self.faults.first(),
            held: self.holding == Holding::Held,
            released: self.holding == Holding::None,
            tenure: self.tenure,
        }
    }
}
