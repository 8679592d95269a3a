//! VRRP, versions 2 (RFC 3768) and 3 (RFC 9568), IPv4 and IPv6: adverts as bytes, every check on those that come, and a virtual
//! router as a pure machine.
//!
//! Pure: no clock, socket, file, lock, log or thread; time is an argument, effects are values. Depends on `bowline-sansio` and
//! `std` alone. It neither counts nor logs: every [`Discard`] and every [`Event`] is handed to the shell.
//!
//! # What the shell does
//!
//! * [`Config::new`] makes a [`Config`] of [`Settings`]; [`VirtualRouter::new`] a machine of it, in [`State::Initialize`].
//!   [`Input::CanServe`] and [`Input::Start`] set it going.
//! * Each packet of IP protocol 112 goes through [`receive`] with the configuration of the router [`peek_vrid`] names, and as
//!   [`Input::Received`] into the machine, or is counted as [`Discard`]. Packets that wait come before a due timeout.
//! * Outputs are done in their order. [`Output::Send`] is for a thread that waits for nothing; [`Output::Acquire`] and
//!   [`Output::Release`] are for another one, in their order, each answered.
//! * [`Output::Inquire`] asks for fresh evidence of being able to serve, and may stay without an answer.
//! * [`VirtualRouter::status`] is for people; [`adverts`] with priority 0 for a guard that outlives the process.
//!
//! # Where this departs from RFC 9568
//!
//! * Accept_Mode is always true: clients talk to the addresses. Adverts carry interface addresses, not the virtual MAC's.
//! * Priorities may say who can serve ([`Settings::bands`]), and a Backup that can takes over from an Active router that cannot:
//!   as soon as evidence from after that router's fall shows that it can, else when that has lasted.
//! * A Backup waits [`timers::RANK_WAIT`] more for each place in the planned order.
//! * A leaving router serves until its successor is heard ([`State::HandingOver`]).
//! * Priority 0 counts only from the router that is heard as Active: a guard's farewell for a dead process must not make anybody
//!   race a successor that is there already, nor shorten the first wait of a router that has heard nobody yet.
//! * An Active router that stood still becomes Backup without a word ([`Input::Stalled`]).
//! * An Active router that gives way to a higher one sends one advert more, of priority 1: the other hears that there were two,
//!   and announces the addresses again. After a partition it may not have heard any.
//! * An Active router that hears another one leave announces the addresses again, as it does after a lower advert: the other one
//!   was Active too.
//! * A router that hands over takes nobody of the last resort for its successor: such an advert is of one that gives way, or that
//!   can serve as little.
//! * An owner listens to other owners (section 7.1 has it discard everything), so that two end up as one.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::wildcard_enum_match_arm
    )
)]

mod checksum;
mod config;
mod interval;
mod message;
mod packet;
mod receive;
mod router;
pub mod timers;

pub use checksum::PROTOCOL;
pub use config::{
    ADDRESSES_MAX, Addresses, BAND, CAN_SERVE_MIN, ChecksumForm, Config, ConfigError, Family, PEERS_MAX,
    Password, Peers, Priority, Protocol, Settings, Transport, Vrid, WhenAllBad,
};
pub use interval::{Centiseconds, Seconds};
pub use message::{
    Conflict, Event, Fault, Input, Inquiry, Loss, Output, Reason, State, Tenure, Transmission,
};
pub use packet::{Malformed, Packet, PacketInterval, Repr, peek_vrid};
pub use receive::{Advert, Discard, Received, receive};
pub use router::{Heard, LAST_RESORT, Status, VirtualRouter, adverts};
