//! What the log calls an error has a cause: nobody is called for what goes by itself.

use super::violation;
use crate::state::State;
use crate::world::Outcome;
use bowline_vrrp::Event;
use bowline_vrrp::timers::ACQUIRE_MAX;

pub(super) fn judge(state: &State, node: usize, vip: usize, event: Event) -> Outcome {
    let has_cause = match event {
        Event::Transition { .. }
        | Event::PriorityChanged { .. }
        | Event::HolderChanged { .. }
        | Event::PeerHeard { .. }
        | Event::AddressesDiffer { .. }
        | Event::OtherActive { .. }
        | Event::HolderFell { .. }
        | Event::Confirmed { .. }
        | Event::Held { .. }
        | Event::AddressLost { .. }
        | Event::SuccessorHeard { .. }
        | Event::Stalled { .. } => true,
        // Never planned, and forged by nobody here.
        Event::TwoOwners { .. } | Event::ReconfigureRefused => false,
        Event::NotHeld => may_be_refused(state, node),
        Event::DuplicateAddress(_) => has_lasted(state, vip),
    };
    if has_cause {
        return Ok(());
    }
    violation("errors", format!("node {node} says of vip {vip}, and it is not so: {event:?}"))
}

/// Whether the kernel of `node` refuses now and then, or was late not long ago, or the process was.
fn may_be_refused(state: &State, node: usize) -> bool {
    let it = &state.nodes[node];
    let late = it.slow || it.slow_until.max(it.busy_until).max(it.since) + ACQUIRE_MAX >= state.now;
    state.options.refusals > 0 || late
}

/// Whether two have had or claimed the addresses for as long as one that gives them up may keep them. (Who says so waits half a
/// second more, which is enough for clocks and packets.)
fn has_lasted(state: &State, vip: usize) -> bool {
    let last = if state.was_contested[vip] { state.now } else { state.contested[vip] };
    last.since(state.contest_began[vip]) >= state.options.lease
}
