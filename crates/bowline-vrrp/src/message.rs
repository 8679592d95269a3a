//! What goes into a virtual router and what comes out.

use crate::config::{ChecksumForm, Config};
use crate::receive::Advert;
use core::net::IpAddr;
use core::num::NonZeroU64;
use core::time::Duration;
use std::sync::Arc;

/// One uninterrupted time of being Active. It is named in every order about the addresses and in every answer, so that an
/// answer that comes late is not taken for one about the present time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Tenure(NonZeroU64);

impl Tenure {
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its number, growing from 1.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

/// One question whether clients would be served here. It is named in the answer, so that one that comes late is not taken for
/// one about the present trouble.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Inquiry(NonZeroU64);

impl Inquiry {
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its number, growing from 1.
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

/// What can happen to a virtual router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    /// Take part. Ignored unless in [`State::Initialize`].
    Start,
    /// What [`receive`](crate::receive) made of a packet. All that wait are handed in before a due [`Input::Timeout`].
    Received(Advert),
    /// Whether clients would be served here; no until said otherwise, so say it before [`Input::Start`] when it is known.
    CanServe(bool),
    /// Answer to [`Output::Inquire`], if it can be given: clients would be served here, as evidence shows that was sought after
    /// the question.
    Confirmed(Inquiry),
    /// This router cannot take part; may come before [`Input::Start`]. Several may stand at once.
    Fault(Fault),
    /// That fault is over. The router takes part again when none stands.
    Recovered(Fault),
    /// Answer to [`Output::Acquire`]: every address is in the kernel, and connections to them are accepted.
    Held(Tenure),
    /// Answer to [`Output::Acquire`]: an address is not in the kernel. What is there of the others stays until
    /// [`Output::Release`], which follows.
    NotHeld(Tenure),
    /// An address is gone and this router did not remove it; all connections to it have been reset.
    Lost(Tenure, Loss),
    /// Answer to [`Output::Release`]: none of the addresses is in the kernel.
    Released(Tenure),
    /// The shell's loop stood still for longer than the lease or three intervals; what was received meanwhile has been handed
    /// in. The machine also finds out by itself from the times of its inputs.
    Stalled,
    /// Another host answers for an address (ARP reply or neighbour advertisement).
    Conflict(Conflict),
    /// A virtual router of the same group took over on this host: a Backup does so too. (What makes one of a group give up makes
    /// all: the shell hands [`Fault::Group`] to the others.)
    TakeOver,
    /// Stop for good: from Active after a hand-over. [`State::Initialize`] is its end, and [`Input::Released`] that of the
    /// addresses.
    Leave,
    /// Go on with this configuration, Active if Active. One of another [`Vrid`](crate::Vrid) or family is refused with
    /// [`Event::ReconfigureRefused`]: that is another virtual router.
    Reconfigure(Box<Config>),
    /// The moment of `poll_timeout` has come.
    Timeout,
}

/// Why a router cannot take part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// The interface is down or gone.
    LinkDown,
    /// The interface has no address to send from.
    NoSource,
    /// The proxy does not answer, or listens no longer.
    NotServing,
    /// Adverts cannot be sent.
    CannotSend,
    /// Another virtual router of the same group has a fault.
    Group,
    /// The kernel did not take an address, or did not answer in time. Found by the machine itself, over after a while.
    NotHeld,
    /// It cannot serve, and [`WhenAllBad::Release`](crate::WhenAllBad::Release) is configured. Found by the machine itself,
    /// over with [`Input::CanServe`].
    CannotServe,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::LinkDown,
        Self::NoSource,
        Self::NotServing,
        Self::CannotSend,
        Self::Group,
        Self::NotHeld,
        Self::CannotServe,
    ];

    /// Whether the machine finds it, and its end, by itself; as an input it is ignored.
    pub const fn is_own_finding(self) -> bool {
        match self {
            Self::NotHeld | Self::CannotServe => true,
            Self::LinkDown | Self::NoSource | Self::NotServing | Self::CannotSend | Self::Group => false,
        }
    }

    /// In status, metrics and log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LinkDown => "link-down",
            Self::NoSource => "no-source",
            Self::NotServing => "not-serving",
            Self::CannotSend => "cannot-send",
            Self::Group => "group",
            Self::NotHeld => "not-held",
            Self::CannotServe => "cannot-serve",
        }
    }
}

/// How an address went.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Loss {
    /// Somebody removed it.
    Removed,
    /// Its lease ran out.
    Expired,
}

/// Another host that answers for an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Conflict {
    /// The virtual one.
    pub address: IpAddr,
    /// Of the host that answers.
    pub hardware: [u8; 6],
    /// Whether that hardware address is known to be a planned peer's, which may still be giving the address up.
    pub planned_peer: bool,
}

/// What a virtual router wants done, in this order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send an advert. If that cannot be done for long, answer with [`Fault::CannotSend`].
    Send(Transmission),
    /// Hold every address of the configuration in force, and none that only an earlier one had, until [`Output::Release`];
    /// answer with [`Input::Held`] or [`Input::NotHeld`]. Comes again with the same tenure when an address was lost or the
    /// configuration changed.
    Acquire(Tenure),
    /// In one uninterrupted step: stop accepting on the addresses, reset every connection to them (those not accepted yet,
    /// too), remove the addresses. Answer with [`Input::Released`]. Also when not all were held yet.
    Release(Tenure, Reason),
    /// Tell the neighbours who has the addresses: a gratuitous ARP request or an unsolicited neighbour advertisement for
    /// each, now (RFC 9568 section 6.4.2, 8.2.2, erratum 7949).
    Announce(Tenure),
    /// The holder has just said that it cannot serve, and this router could: find out anew whether clients would be served
    /// here, and answer with [`Input::Confirmed`] if so. What was known or on its way before is no evidence: the trouble may be
    /// everybody's. Without an answer this router waits for [`Settings::stability`](crate::Settings::stability).
    Inquire(Inquiry),
    /// For log, metrics and status.
    Event(Event),
}

/// An advert on its way: what follows the IP header, checksum and all.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmission {
    /// The group, or a peer.
    pub destination: IpAddr,
    /// From the first byte of the message.
    pub bytes: Arc<[u8]>,
}

/// Where a virtual router stands (RFC 9568 section 6.4), with two states more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    /// Takes no part.
    Initialize,
    /// Watches the Active router.
    Backup,
    /// Has the addresses, or is about to.
    Active,
    /// Has said that it leaves, and serves until a successor is heard.
    HandingOver,
    /// Cannot take part.
    Fault,
}

impl State {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Initialize, Self::Backup, Self::Active, Self::HandingOver, Self::Fault];

    /// In status, metrics and log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initialize => "initialize",
            Self::Backup => "backup",
            Self::Active => "active",
            Self::HandingOver => "handing-over",
            Self::Fault => "fault",
        }
    }
}

/// Why a virtual router is in its state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// Not started yet.
    NotStarted,
    /// Started, and waits for what there is to hear.
    Started,
    /// Started as the address owner.
    Owner,
    /// Nobody was heard for the Active_Down_Interval.
    NobodyHeard,
    /// The holder said that it leaves.
    HolderLeft,
    /// The holder cannot serve, and this router can.
    HolderCannotServe,
    /// The holder has less priority, and preemption is configured.
    Preempting,
    /// Another virtual router of the same group took over.
    Group,
    /// A router of higher priority is Active.
    HigherHeard,
    /// A router of the same priority and a higher address is Active.
    EqualHeard,
    /// The successor was heard.
    SuccessorHeard,
    /// No successor was heard in time.
    NoSuccessor,
    /// An address was lost during the hand-over.
    AddressLost,
    /// It stood still for so long that others may have taken over.
    Stalled,
    /// It cannot serve, and lets others.
    CannotServe,
    /// It can serve again.
    CanServe,
    /// It cannot take part.
    Fault(Fault),
    /// It can take part again.
    Recovered,
    /// It was told to stop.
    Leaving,
}

impl Reason {
    /// In status, metrics and log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "not-started",
            Self::Started => "started",
            Self::Owner => "owner",
            Self::NobodyHeard => "nobody-heard",
            Self::HolderLeft => "holder-left",
            Self::HolderCannotServe => "holder-cannot-serve",
            Self::Preempting => "preempting",
            Self::Group => "group",
            Self::HigherHeard => "higher-heard",
            Self::EqualHeard => "equal-heard",
            Self::SuccessorHeard => "successor-heard",
            Self::NoSuccessor => "no-successor",
            Self::AddressLost => "address-lost",
            Self::Stalled => "stalled",
            Self::CannotServe => "cannot-serve",
            Self::CanServe => "can-serve",
            Self::Fault(fault) => fault.as_str(),
            Self::Recovered => "recovered",
            Self::Leaving => "leaving",
        }
    }
}

/// What happened in a virtual router, for log, metrics and status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It is in another state.
    Transition {
        /// Until now.
        from: State,
        /// From now on.
        to: State,
        /// Why.
        reason: Reason,
    },
    /// It advertises another priority from now on.
    PriorityChanged {
        /// Until now.
        from: u8,
        /// From now on.
        to: u8,
    },
    /// Another router is heard as the Active one than before.
    HolderChanged {
        /// Where its adverts come from; `None` when it is silent, or left.
        holder: Option<IpAddr>,
    },
    /// The first advert of a peer, or the first after it changed what its checksum covers.
    PeerHeard {
        /// Where it comes from.
        peer: IpAddr,
        /// With version 3 over IPv4.
        checksum: Option<ChecksumForm>,
    },
    /// A peer's list of addresses differs from ours, though it has some of them; said once for each peer.
    AddressesDiffer {
        /// Whose.
        peer: IpAddr,
    },
    /// Another router says that it owns the addresses, as this one does. From now on this one counts as 254.
    TwoOwners {
        /// The other.
        peer: IpAddr,
    },
    /// Another router is Active as well, the first time in a while; this one stays.
    OtherActive {
        /// The other.
        peer: IpAddr,
        /// Its priority.
        priority: u8,
    },
    /// The holder said that it cannot serve any more, and this router could: whether it still can is asked.
    HolderFell {
        /// Where its adverts come from.
        holder: IpAddr,
    },
    /// It can: clients would be served here, and not at the holder.
    Confirmed {
        /// Since the holder fell.
        after: Duration,
    },
    /// The addresses are in the kernel.
    Held {
        /// Since they were asked for.
        after: Duration,
    },
    /// The kernel did not take the addresses, or said nothing in time.
    NotHeld,
    /// An address was lost while Active, and is put back.
    AddressLost {
        /// How.
        loss: Loss,
    },
    /// The first advert of the successor in a hand-over.
    SuccessorHeard {
        /// Who.
        peer: IpAddr,
        /// Since the hand-over began.
        after: Duration,
    },
    /// Another host answers for an address, and either it is no planned peer or it has done so for longer than the lease and
    /// half a second; said once.
    DuplicateAddress(Conflict),
    /// It stood still.
    Stalled {
        /// For how long it was late, at least.
        gap: Duration,
    },
    /// A configuration of another virtual router was handed in.
    ReconfigureRefused,
}
