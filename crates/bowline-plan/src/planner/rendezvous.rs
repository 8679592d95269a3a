//! Which server each client prefers, so that all have the same to do.
//!
//! Rendezvous hashing: each pair of client and server has a score that only their names decide, and a client prefers the
//! servers in the order of their scores. A server that goes changes nothing for those that did not prefer it. Left alone,
//! chance makes the shares uneven, so they are bounded (compare Mirrokni, Thorup, Zadimoghaddam: Consistent Hashing with
//! Bounded Loads, 2016): a server whose share is full is passed over. First choices and second choices are bounded each;
//! and the second choices of those with the same first are spread, so that its death is borne by all others.

/// For each client the indices of all servers, best first.
///
/// Over all clients, the servers' numbers of first choices differ by at most one, and so do those of second choices.
/// Names of clients have to differ, and so have those of servers; their order does not matter.
pub(super) fn orders(clients: &[&str], servers: &[&str]) -> Vec<Vec<usize>> {
    let seeds: Vec<u64> = servers.iter().map(|server| hash(server)).collect();
    let mut orders: Vec<Vec<usize>> = clients.iter().map(|client| by_score(hash(client), &seeds)).collect();
    // Whoever comes first finds every share open. The order of hashes rather than of names: a node added to the
    // description then changes little for the others.
    let mut turns: Vec<usize> = (0..clients.len()).collect();
    turns.sort_by_key(|turn| clients.get(*turn).map(|client| (hash(client), *client)));
    choose_first(&mut orders, &turns, servers.len());
    if servers.len() > 2 {
        choose_second(&mut orders, &turns, servers.len());
    }
    orders
}

fn by_score(client: u64, servers: &[u64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..servers.len()).collect();
    order.sort_by_key(|index| {
        let seed = servers.get(*index).copied().unwrap_or_default();
        (core::cmp::Reverse(mix(client ^ seed.rotate_left(32))), *index)
    });
    order
}

fn choose_first(orders: &mut [Vec<usize>], turns: &[usize], servers: usize) {
    let mut shares = Shares::new(turns.len(), servers);
    for turn in turns {
        let Some(order) = orders.get_mut(*turn) else { continue };
        if let Some(rank) = order.iter().position(|server| shares.is_open(*server)) {
            if let Some(server) = order.get(rank) {
                shares.take(*server);
            }
            move_to(order, rank, 0);
        }
    }
}

/// With two servers the second choices follow from the first; this is for three and more.
fn choose_second(orders: &mut [Vec<usize>], turns: &[usize], servers: usize) {
    let mut shares = Shares::new(turns.len(), servers);
    // The shares of the others in what each first choice leaves behind.
    let mut heirs: Vec<Shares> = (0..servers)
        .map(|server| {
            let count = orders.iter().filter(|order| order.first() == Some(&server)).count();
            Shares::new(count, servers.saturating_sub(1))
        })
        .collect();
    for heirs in &mut heirs {
        heirs.taken.push(0);
    }
    let mut done: Vec<usize> = Vec::with_capacity(turns.len());
    let mut looked = vec![0; servers];
    for turn in turns {
        let Some(order) = orders.get(*turn) else { continue };
        let first = order.first().copied().unwrap_or_default();
        let others = || order.iter().enumerate().skip(1).filter(|(_, server)| shares.is_open(**server));
        let spread =
            |(_, server): &(usize, &usize)| heirs.get(first).is_some_and(|heirs| heirs.is_open(**server));
        let best = others().find(spread).or_else(|| others().next());
        let rank = best.map(|(rank, _)| rank);
        match rank {
            Some(rank) => take_second(orders, *turn, rank, &mut shares, &mut heirs),
            None => exchange(orders, *turn, &done, &mut looked, &mut shares),
        }
        done.push(*turn);
    }
}

fn take_second(
    orders: &mut [Vec<usize>],
    turn: usize,
    rank: usize,
    shares: &mut Shares,
    heirs: &mut [Shares],
) {
    let Some(order) = orders.get_mut(turn) else { return };
    if let (Some(first), Some(second)) = (order.first(), order.get(rank)) {
        shares.take(*second);
        if let Some(heirs) = heirs.get_mut(*first) {
            heirs.take(*second);
        }
    }
    move_to(order, rank, 1);
}

/// The last open share may be that of the client's own first choice. Then somebody who was there before, and for whom
/// that server is neither first nor second, takes it and hands over its own second choice.
///
/// `looked` is how many of `done` are known to be of no use to each server; without it the search is quadratic.
fn exchange(
    orders: &mut [Vec<usize>],
    turn: usize,
    done: &[usize],
    looked: &mut [usize],
    shares: &mut Shares,
) {
    let Some(first) = orders.get(turn).and_then(|order| order.first().copied()) else { return };
    let is_free = |other: &usize| {
        let order = orders.get(*other).map(Vec::as_slice).unwrap_or_default();
        matches!(order, [a, b, ..] if *a != first && *b != first)
    };
    let search = |from: usize| {
        let rest = done.get(from..).unwrap_or_default();
        rest.iter().position(is_free).map(|index| index.saturating_add(from))
    };
    let from = looked.get(first).copied().unwrap_or_default();
    // Another exchange may have made an earlier one useful again.
    let Some(found) = search(from).or_else(|| search(0)) else { return };
    if let Some(looked) = looked.get_mut(first) {
        *looked = found;
    }
    let Some(other) = done.get(found).copied() else { return };
    let Some(second) = orders.get(other).and_then(|order| order.get(1).copied()) else { return };
    for (client, server) in [(other, first), (turn, second)] {
        if let Some(order) = orders.get_mut(client)
            && let Some(rank) = order.iter().position(|candidate| *candidate == server)
        {
            move_to(order, rank, 1);
        }
    }
    shares.take(first);
}

fn move_to(order: &mut Vec<usize>, from: usize, to: usize) {
    if from < order.len() {
        let server = order.remove(from);
        order.insert(to, server);
    }
}

/// How much each server has been given of a number of clients, so that no two differ by more than one in the end.
struct Shares {
    taken: Vec<usize>,
    /// What everybody gets.
    fair: usize,
    /// How many get one more.
    more: usize,
}

impl Shares {
    fn new(clients: usize, servers: usize) -> Self {
        Self {
            taken: vec![0; servers],
            fair: clients.checked_div(servers).unwrap_or(0),
            more: clients.checked_rem(servers).unwrap_or(0),
        }
    }

    fn is_open(&self, server: usize) -> bool {
        let taken = self.taken.get(server).copied().unwrap_or(usize::MAX);
        taken < self.fair || (taken == self.fair && self.more > 0)
    }

    fn take(&mut self, server: usize) {
        if let Some(taken) = self.taken.get_mut(server) {
            if *taken >= self.fair {
                self.more = self.more.saturating_sub(1);
            }
            *taken = taken.saturating_add(1);
        }
    }
}

/// FNV-1a, 64 bits. Every version of the program on every machine has to come to the same plan, which the standard
/// library's hashes do not promise.
fn hash(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(name.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// Spreads every bit over all others (the finalizer of SplitMix64).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests;
