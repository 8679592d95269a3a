//! Lines about virtual IPs: what an operator reads after an address has moved, and asks why.

use bowline_vip::Event;
use bowline_vrrp::{ChecksumForm, Event as RouterEvent, State};
use std::time::Duration;
use tracing::{error, info, warn};

pub(super) fn write(event: &Event) {
    match event {
        Event::Router { router, age, event } => write_router(router, *age, event),
        Event::Discarded { router, why, source, before } => {
            warn!(%router, why = why.as_str(), %source, before, "packets were discarded");
        }
        Event::Leftover { router, address } => {
            info!(%router, %address, "the address was here at the start; its lease ends by itself");
        }
        Event::Foreign { router, address } => {
            error!(%router, %address, "the address is on this host by somebody else's doing; remove it, or there are two holders");
        }
        Event::VirtualLinkFailed { router, error } => {
            error!(%router, %error, "the interface with the virtual MAC cannot be made");
        }
        Event::VirtualLinkStays { router, link, error } => {
            warn!(%router, %link, %error, "the interface with the virtual MAC is not removed; without an address it answers nobody");
        }
        Event::VirtualLinkLeftover { link } => {
            info!(%link, "the interface with a virtual MAC that a killed process had left is removed");
        }
        Event::HoldFailed { router, address, error } => {
            error!(%router, %address, %error, "the kernel does not take the address");
        }
        Event::RemovalFailed { router, address, error } => {
            error!(%router, %address, %error, "the kernel does not remove the address; its lease ends by itself");
        }
        Event::LeaseLost { router, loss } => {
            warn!(%router, ?loss, "an address was gone without our doing");
        }
        Event::ConnectionsEnded { router, count } => {
            info!(%router, count, "connections of other processes to the address were ended with it");
        }
        Event::ConnectionsStay { router, error } => {
            warn!(%router, %error, "connections of other processes to the address cannot be ended; silent clients will wait");
        }
        Event::CannotEndConnections { error } => {
            warn!(%error, "when an address goes, clients of other processes on it (an API server beside this one) will wait for \
                   nothing; load the module or run a kernel that can");
        }
        Event::LookFailed { error } => {
            warn!(%error, "the interfaces of this host cannot be listed; tried again until they can");
        }
        Event::GuardLost { error } => {
            warn!(%error, "no guard for now; were the daemon killed, the addresses would go with their lease");
        }
        Event::Renumbered { router, before, vrid } => {
            warn!(%router, before, vrid, "the VRID has changed; nodes with the former one are given way to, since they do not hear \
                   this one: give them the new description, too, the holder last");
        }
        Event::SpeaksAnew { router } => {
            warn!(%router, "the version, the password or the interval has changed; nodes with the former description are given way \
                   to, since they do not understand this one: give them the new one, too, the holder last");
        }
        Event::InterfaceBack { router, interface } => info!(%router, %interface, "the interface is back"),
        Event::InterfaceFailed { router, error } => error!(%router, %error, "the interface cannot be used"),
        Event::Starved { starved: true } => {
            warn!(
                "clients wait for a CPU: another node that can serve takes the addresses; give this process more of it"
            );
        }
        Event::Starved { starved: false } => info!("clients have not waited for a CPU for some time"),
        Event::Punctuality { not_real_time, not_locked } => match (not_real_time, not_locked) {
            (None, None) => info!("adverts are sent in real time, from locked memory"),
            (not_real_time, not_locked) => {
                warn!(
                    not_real_time = not_real_time.as_deref(),
                    not_locked = not_locked.as_deref(),
                    "adverts may be late on a busy host; CAP_SYS_NICE and CAP_IPC_LOCK prevent it"
                );
            }
        },
    }
}

fn write_router(router: &str, age: Duration, event: &RouterEvent) {
    match event {
        RouterEvent::Transition { from, to, reason } => {
            let is_fault = *to == State::Fault;
            let (from, to, reason) = (from.as_str(), to.as_str(), reason.as_str());
            match is_fault {
                true => warn!(%router, from, to, reason, ?age, "the virtual router cannot take part"),
                false => info!(%router, from, to, reason, ?age, "the virtual router has changed its state"),
            }
        }
        RouterEvent::PriorityChanged { from, to } => info!(%router, from, to, "the priority has changed"),
        RouterEvent::HolderChanged { holder: Some(holder) } => {
            info!(%router, %holder, "another router is heard as the holder");
        }
        RouterEvent::HolderChanged { holder: None } => {
            info!(%router, "no other router is heard as the holder now")
        }
        RouterEvent::PeerHeard { peer, checksum } => {
            let checksum = checksum.map(covered);
            info!(%router, %peer, checksum, "a peer is heard");
        }
        RouterEvent::AddressesDiffer { peer } => {
            warn!(%router, %peer, "the peer lists other addresses; give all routers the same");
        }
        RouterEvent::TwoOwners { peer } => {
            error!(%router, %peer, "two routers say that they own the address; give one a priority below 255");
        }
        RouterEvent::OtherActive { peer, priority } => {
            warn!(%router, %peer, priority, "another router is active as well; this one stays");
        }
        RouterEvent::HolderFell { holder } => {
            info!(%router, %holder, ?age, "the holder cannot serve; the endpoints are probed to see whether this node can");
        }
        RouterEvent::Confirmed { after } => {
            info!(%router, ?after, ?age, "this node can serve, as probes sent after the holder's fall show");
        }
        RouterEvent::Held { after } => info!(%router, ?after, "the addresses are here"),
        RouterEvent::NotHeld => error!(%router, "the kernel did not take the addresses"),
        RouterEvent::AddressLost { loss } => warn!(%router, ?loss, "an address was lost and is put back"),
        RouterEvent::SuccessorHeard { peer, after } => {
            info!(%router, %peer, ?after, "the successor is there")
        }
        RouterEvent::DuplicateAddress(conflict) => {
            error!(
                %router,
                address = %conflict.address,
                hardware = %hardware(conflict.hardware),
                "another host answers for the address; find it and take the address from it"
            );
        }
        RouterEvent::Stalled { gap } => {
            warn!(%router, ?gap, "the loop stood still; others may have taken over")
        }
        RouterEvent::ReconfigureRefused => {
            error!(%router, "a configuration of another virtual router was handed in")
        }
    }
}

/// What the peer's checksum covers, in the words of docs/vrrp.md.
fn covered(checksum: ChecksumForm) -> &'static str {
    match checksum {
        ChecksumForm::PseudoHeader => "pseudo-header",
        ChecksumForm::MessageOnly => "message-only",
    }
}

fn hardware(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}
