//! The snapshots a worker dials from.

use crate::config::PoolId;
use bowline_pool::{EndpointId, Grade, Snapshot, Ticket, Timers};
use bowline_sansio::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Least time between two reports that a doubted endpoint answers: one is worth a probe, more tell nothing new.
const ANSWERS_TOLD_EVERY: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Pools {
    known: BTreeMap<PoolId, Entry>,
    /// Those whose endpoints are told who the client is.
    introduced: BTreeSet<PoolId>,
}

#[derive(Debug)]
struct Entry {
    snapshot: Arc<Snapshot>,
    turn: u64,
    /// Clients of this pool that are held now.
    held: u32,
    /// Endpoints that get no new connections; mostly none.
    doubted: Vec<Doubted>,
}

#[derive(Debug)]
struct Doubted {
    endpoint: EndpointId,
    told: Option<Instant>,
}

impl Pools {
    pub(super) const fn new() -> Self {
        Self { known: BTreeMap::new(), introduced: BTreeSet::new() }
    }

    pub(super) fn set(&mut self, pool: PoolId, snapshot: Arc<Snapshot>) {
        let known = self.known.remove(&pool);
        let (turn, held) = known.as_ref().map_or((0, 0), |known| (known.turn, known.held));
        let doubted = snapshot.endpoints.iter().filter(|endpoint| match endpoint.grade {
            Grade::Draining | Grade::Dead => true,
            Grade::Ready | Grade::Alive => false,
        });
        let told_before = |endpoint| {
            let known = known.as_ref()?;
            known.doubted.iter().find(|doubted| doubted.endpoint == endpoint)?.told
        };
        let doubted = doubted
            .map(|endpoint| Doubted { endpoint: endpoint.id, told: told_before(endpoint.id) })
            .collect();
        self.known.insert(pool, Entry { snapshot, turn, held, doubted });
    }

    pub(super) fn introduce(&mut self, pool: PoolId, on: bool) {
        if on {
            self.introduced.insert(pool)
        } else {
            self.introduced.remove(&pool)
        };
    }

    /// Whether endpoints of `pool` are told who the client is.
    pub(super) fn introduces(&self, pool: PoolId) -> bool {
        self.introduced.contains(&pool)
    }

    pub(super) fn remove(&mut self, pool: PoolId) {
        self.introduced.remove(&pool);
        self.known.remove(&pool);
    }

    /// Lets a client be dialled: from which snapshot, and with which ticket. `None` when the pool is not known.
    pub(super) fn admit(&mut self, pool: PoolId, seed: u64) -> Option<(Arc<Snapshot>, Ticket)> {
        let entry = self.known.get_mut(&pool)?;
        let ticket = Ticket { turn: entry.turn, seed, crowd: entry.held };
        entry.turn = entry.turn.wrapping_add(1);
        entry.held += 1;
        Some((Arc::clone(&entry.snapshot), ticket))
    }

    /// Whether an endpoint beside `endpoint` takes new connections.
    pub(super) fn has_other(&self, pool: PoolId, endpoint: EndpointId) -> bool {
        self.known.get(&pool).is_some_and(|entry| {
            entry.snapshot.endpoints.iter().any(|other| {
                other.id != endpoint
                    && match other.grade {
                        Grade::Ready | Grade::Alive => true,
                        Grade::Draining | Grade::Dead => false,
                    }
            })
        })
    }

    /// A client is held no more.
    pub(super) fn released(&mut self, pool: PoolId) {
        if let Some(entry) = self.known.get_mut(&pool) {
            // A pool that was removed and set anew has forgotten the clients it held before.
            entry.held = entry.held.saturating_sub(1);
        }
    }

    /// How long a first flight may stay unanswered.
    pub(super) fn first_flight(&self, pool: PoolId) -> Duration {
        // Of a pool that was removed nobody listens to evidence any more.
        self.known
            .get(&pool)
            .map_or(Timers::default().first_flight, |entry| entry.snapshot.timers.first_flight)
    }

    /// Whether bytes from `endpoint` are worth telling its pool.
    pub(super) fn is_news(&mut self, pool: PoolId, endpoint: EndpointId, now: Instant) -> bool {
        let Some(entry) = self.known.get_mut(&pool) else { return false };
        let Some(doubted) = entry.doubted.iter_mut().find(|doubted| doubted.endpoint == endpoint) else {
            return false;
        };
        let due = doubted.told.is_none_or(|told| now.since(told) >= ANSWERS_TOLD_EVERY);
        if due {
            doubted.told = Some(now);
        }
        due
    }
}
