//! What happens, and the two things a virtual router needs of its host: somebody who serves, and somebody who listens.

use crate::liveness::ALIVE_WITHIN;
use bowline_vrrp::{Discard, Inquiry, Loss};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Who serves clients on the addresses.
pub trait Serving: Send + Sync + 'static {
    /// Asks every worker for an answer but those that owe one. Called often, by a thread that must be on time: cheap, and without a
    /// lock; so are the next two.
    fn ask(&self);

    /// For how long the worker that has been silent longest owes an answer; zero when none does.
    fn silent_for(&self) -> Duration;

    /// The same among those that are kept from running, and not late because they have much to do.
    fn starves_for(&self) -> Duration;

    /// Whether clients that come now would be served.
    fn alive(&self) -> bool {
        self.silent_for() <= ALIVE_WITHIN
    }

    /// Stops accepting on `addresses` and resets every connection to them, those that wait to be accepted too. Returns when that
    /// is done, or cannot be done soon: a quarter of a second at most.
    fn evict(&self, addresses: &[IpAddr]);

    /// Accepts on `addresses` again, whether or not they are here; those that are accepted on already stay as they are. Whether
    /// all are. Until then their router takes no part, and it is asked again.
    fn readmit(&self, addresses: &[IpAddr]) -> bool;
}

/// Takes events, on a thread that nobody waits for.
pub trait Sink: Send + Sync + 'static {
    /// Takes one.
    fn event(&self, event: Event);

    /// A router wants to know whether clients would be served here, as evidence shows that is sought from now on. Returns at once;
    /// yes is said by [`VirtualIps::confirm`](crate::VirtualIps::confirm), and no by saying nothing.
    fn inquire(&self, router: &Arc<str>, inquiry: Inquiry);
}

/// Something happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// In the machine of a router.
    Router {
        /// Its name.
        router: Arc<str>,
        /// How long ago.
        age: Duration,
        /// What.
        event: bowline_vrrp::Event,
    },
    /// Packets were discarded; told once a second at most, and ever less often while it goes on for the same reason. All of them
    /// are counted ([`crate::Tally::discarded`]).
    Discarded {
        /// The router's name.
        router: Arc<str>,
        /// Why the last one was.
        why: Discard,
        /// Where it came from.
        source: IpAddr,
        /// How many were discarded since the last time this was told.
        before: u64,
    },
    /// An address was there at the start, from a process of ours that ended; its lease ends by itself.
    Leftover {
        /// The router's name.
        router: Arc<str>,
        /// Which.
        address: IpAddr,
    },
    /// An address is on this host by somebody else's doing: as long as it is, there are two holders.
    Foreign {
        /// The router's name.
        router: Arc<str>,
        /// Which.
        address: IpAddr,
    },
    /// The link with the router's own Ethernet address is not there, so that the addresses cannot be.
    VirtualLinkFailed {
        /// The router's name.
        router: Arc<str>,
        /// What is wrong.
        error: String,
    },
    /// The link with the router's own Ethernet address stays, without an address and thus silent.
    VirtualLinkStays {
        /// The router's name.
        router: Arc<str>,
        /// Which.
        link: String,
        /// Why.
        error: String,
    },
    /// A link of a process of ours that was killed was there at the start, and is removed.
    VirtualLinkLeftover {
        /// Which.
        link: String,
    },
    /// The kernel did not take an address.
    HoldFailed {
        /// The router's name.
        router: Arc<str>,
        /// Which.
        address: IpAddr,
        /// What it said.
        error: String,
    },
    /// The kernel does not remove an address, which stays until its lease ends.
    RemovalFailed {
        /// The router's name.
        router: Arc<str>,
        /// Which.
        address: IpAddr,
        /// What it said.
        error: String,
    },
    /// An address was gone without our doing.
    LeaseLost {
        /// The router's name.
        router: Arc<str>,
        /// How.
        loss: Loss,
    },
    /// Connections of other processes to the addresses were ended because these came or went.
    ConnectionsEnded {
        /// The router's name.
        router: Arc<str>,
        /// How many.
        count: usize,
    },
    /// Connections of other processes to the addresses cannot be ended: clients without anything to send will wait for nothing.
    ConnectionsStay {
        /// The router's name.
        router: Arc<str>,
        /// Why.
        error: String,
    },
    /// This kernel does not end connections of other processes, as of an API server that listens on all addresses, or of workers that
    /// hang: their clients are not told when an address goes. Told once, at the start.
    CannotEndConnections {
        /// Why.
        error: String,
    },
    /// The host's interfaces cannot be looked at, which is necessary after changes that were missed; tried again until they can.
    LookFailed {
        /// What the kernel said.
        error: String,
    },
    /// The guard is not there for now; should the daemon be killed, the lease ends by itself.
    GuardLost {
        /// Why.
        error: String,
    },
    /// A router has another number than before. Others that still have the former one are heard and given way to, but do not hear it.
    Renumbered {
        /// The router's name.
        router: Arc<str>,
        /// Its number until now.
        before: u8,
        /// From now on.
        vrid: u8,
    },
    /// A router's adverts are of another kind than before. Others that still send the former kind are heard and given way to, but do not
    /// understand it.
    SpeaksAnew {
        /// Its name.
        router: Arc<str>,
    },
    /// The interface of a router was made anew.
    InterfaceBack {
        /// The router's name.
        router: Arc<str>,
        /// The interface's.
        interface: String,
    },
    /// The interface of a router cannot be used.
    InterfaceFailed {
        /// The router's name.
        router: Arc<str>,
        /// Why.
        error: String,
    },
    /// Whether the workers answer so late, or late so often, that clients would be served better on another host: they get too little of
    /// the CPU. Until that has been over for ten seconds no router of this host can serve.
    Starved {
        /// They do.
        starved: bool,
    },
    /// How punctual the adverts are going to be.
    Punctuality {
        /// Why the thread is scheduled like any other; none when it is not.
        not_real_time: Option<String>,
        /// Why its memory may be taken away for a while; none when it may not.
        not_locked: Option<String>,
    },
}
