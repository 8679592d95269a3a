//! Which endpoint is dialled next.

use crate::snapshot::{Endpoint, Grade, Snapshot};
use crate::spec::{EndpointId, Policy};
use bowline_sansio::Prng;

/// Endpoints of a lower tier are tried before those of a higher one, whatever the policy: those that take new connections,
/// those that would rather not, and those that look dead, because looks may deceive.
pub(super) const fn tier(grade: Grade) -> u8 {
    match grade {
        Grade::Ready | Grade::Alive => 0,
        Grade::Draining => 1,
        Grade::Dead => 2,
    }
}

/// The place of the next endpoint among those that `may` be taken, and its tier.
pub(super) fn pick(
    snapshot: &Snapshot,
    may: impl Fn(EndpointId) -> bool,
    turn: u64,
    prng: &mut Prng,
) -> Option<(usize, u8)> {
    let open = || (0..).zip(&snapshot.endpoints).filter(|(_, endpoint)| may(endpoint.id));
    let best = open().map(|(_, endpoint)| tier(endpoint.grade)).min()?;
    let open = || open().filter(|(_, endpoint)| tier(endpoint.grade) == best);
    let at = match snapshot.policy {
        Policy::Preferred | Policy::Sticky => open().next().map(|(at, _)| at),
        Policy::RoundRobin => {
            // The turn goes around the whole tier, so that a place taken before does not shift the others' turns.
            let ring = || snapshot.endpoints.iter().filter(|endpoint| tier(endpoint.grade) == best);
            let len = u64::try_from(ring().count()).unwrap_or(u64::MAX);
            let skip = usize::try_from(turn.checked_rem(len)?).unwrap_or(0);
            let next = ring().skip(skip).chain(ring().take(skip)).find(|endpoint| may(endpoint.id))?.id;
            open().find(|(_, endpoint)| endpoint.id == next).map(|(at, _)| at)
        }
        Policy::LeastConnections => least(open(), prng),
        Policy::RandomOfTwo => {
            let count = open().count();
            let first = prng.index(count);
            // The second among the others: every pair is as likely as any other.
            let second = prng.index(count.saturating_sub(1));
            let second = if second >= first { second.saturating_add(1) } else { second };
            least(
                (0..).zip(open()).filter(|&(nth, _)| nth == first || nth == second).map(|(_, one)| one),
                prng,
            )
        }
    };
    at.map(|at| (at, best))
}

/// The one with the fewest open connections, drawn evenly among equals.
fn least<'a>(open: impl Iterator<Item = (usize, &'a Endpoint)>, prng: &mut Prng) -> Option<usize> {
    let mut least: Option<(u32, usize)> = None;
    let mut equals = 0u64;
    for (at, endpoint) in open {
        let count = endpoint.connections.get();
        if least.is_none_or(|(fewest, _)| count < fewest) {
            equals = 1;
            least = Some((count, at));
        } else if least.is_some_and(|(fewest, _)| count == fewest) {
            equals = equals.saturating_add(1);
            if prng.below(equals) == 0 {
                least = Some((count, at));
            }
        }
    }
    least.map(|(_, at)| at)
}

#[cfg(test)]
mod tests;
