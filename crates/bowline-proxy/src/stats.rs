//! Counters: written by one worker each, read by anybody.

use crate::config::ListenerId;
use crate::report::EndReason;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a proxy has done and is doing, over all workers.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// By listener, also those that are closed by now.
    pub listeners: BTreeMap<ListenerId, ListenerStats>,
    /// How often a worker stopped accepting, for want of descriptors, memory or room below the connection limit.
    pub accept_pauses: u64,
    /// Workers that do not accept at this moment.
    pub accept_paused: u64,
    /// Reports the sink had no room for.
    pub reports_dropped: u64,
    /// Events beyond the rate at which they are told.
    pub events_suppressed: u64,
    /// Established connections that lost a race and wait for the next client of their endpoint.
    pub parked: u64,
    /// Clients that each worker has, by its number.
    pub by_worker: Vec<u64>,
    /// Bytes kept for peers that do not take them.
    pub unsent: u64,
    /// Pipes that exist, each of two descriptors.
    pub pipes: u64,
    /// Workers that do not answer.
    pub workers_stuck: u64,
    /// How often a worker was found not to answer.
    pub worker_stalls: u64,
    /// Sources that are told apart.
    pub sources: u64,
    /// Clients that were let in without being counted for their source, because there were too many sources.
    pub clients_uncounted: u64,
}

/// What came in through one listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListenerStats {
    /// Clients accepted.
    pub accepted: u64,
    /// Clients held at this moment, while an endpoint is dialled.
    pub held: u64,
    /// Connections being relayed at this moment.
    pub open: u64,
    /// Clients moved to another endpoint because the first one said nothing.
    pub redialled: u64,
    /// Bytes taken from clients.
    pub bytes_up: u64,
    /// Bytes taken from endpoints.
    pub bytes_down: u64,
    ended: [u64; EndReason::ALL.len()],
}

impl Default for ListenerStats {
    fn default() -> Self {
        Self {
            accepted: 0,
            held: 0,
            open: 0,
            redialled: 0,
            bytes_up: 0,
            bytes_down: 0,
            ended: [0; EndReason::ALL.len()],
        }
    }
}

impl ListenerStats {
    /// How many connections ended for `reason`.
    pub fn ended(&self, reason: EndReason) -> u64 {
        self.ended.get(reason.index()).copied().unwrap_or(0)
    }
}

/// A number that one thread writes and any thread reads: no read-modify-write instruction, and so no locked bus.
#[derive(Default, Debug)]
struct Count(AtomicU64);

impl Count {
    fn add(&self, more: u64) {
        self.0.store(self.get().wrapping_add(more), Ordering::Relaxed);
    }

    fn subtract(&self, fewer: u64) {
        self.0.store(self.get().wrapping_sub(fewer), Ordering::Relaxed);
    }

    fn set(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What happens to a connection, as far as it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    Accepted,
    /// An endpoint was won.
    Opened,
    /// It said nothing, and another one is dialled.
    Redialled,
    Moved {
        up: u64,
        down: u64,
    },
    Ended {
        reason: EndReason,
        was_open: bool,
    },
}

/// The counters of one listener in one worker, alone on their cache lines.
#[derive(Default, Debug)]
#[repr(align(64))]
pub(crate) struct ListenerCounters {
    accepted: Count,
    held: Count,
    open: Count,
    redialled: Count,
    bytes_up: Count,
    bytes_down: Count,
    ended: [Count; EndReason::ALL.len()],
}

impl ListenerCounters {
    pub(crate) fn count(&self, moment: Moment) {
        match moment {
            Moment::Accepted => {
                self.accepted.add(1);
                self.held.add(1);
            }
            Moment::Opened => {
                self.held.subtract(1);
                self.open.add(1);
            }
            Moment::Redialled => {
                self.open.subtract(1);
                self.held.add(1);
                self.redialled.add(1);
            }
            Moment::Moved { up, down } => {
                self.bytes_up.add(up);
                self.bytes_down.add(down);
            }
            Moment::Ended { reason, was_open } => {
                if was_open { &self.open } else { &self.held }.subtract(1);
                if let Some(ended) = self.ended.get(reason.index()) {
                    ended.add(1);
                }
            }
        }
    }

    pub(crate) fn add_to(&self, stats: &mut ListenerStats) {
        stats.accepted += self.accepted.get();
        stats.held += self.held.get();
        stats.open += self.open.get();
        stats.redialled += self.redialled.get();
        stats.bytes_up += self.bytes_up.get();
        stats.bytes_down += self.bytes_down.get();
        for (sum, count) in stats.ended.iter_mut().zip(&self.ended) {
            *sum += count.get();
        }
    }
}

/// What happens to a worker, as far as it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum WorkerMoment {
    AcceptPaused,
    AcceptResumed,
    ReportDropped,
    EventSuppressed,
    /// So many connections are parked now.
    Parking(usize),
    /// Clients, bytes that are kept for them, and pipes that exist now.
    Holding {
        clients: usize,
        unsent: usize,
        pipes: usize,
    },
}

/// The counters of one worker.
#[derive(Default, Debug)]
#[repr(align(64))]
pub(crate) struct WorkerCounters {
    accept_pauses: Count,
    accept_paused: Count,
    reports_dropped: Count,
    events_suppressed: Count,
    parked: Count,
    clients: Count,
    unsent: Count,
    pipes: Count,
}

impl WorkerCounters {
    pub(crate) fn count(&self, moment: WorkerMoment) {
        match moment {
            WorkerMoment::AcceptPaused => {
                self.accept_pauses.add(1);
                self.accept_paused.add(1);
            }
            WorkerMoment::AcceptResumed => self.accept_paused.subtract(1),
            WorkerMoment::ReportDropped => self.reports_dropped.add(1),
            WorkerMoment::EventSuppressed => self.events_suppressed.add(1),
            WorkerMoment::Parking(now) => self.parked.set(now as u64),
            WorkerMoment::Holding { clients, unsent, pipes } => {
                self.clients.set(clients as u64);
                self.unsent.set(unsent as u64);
                self.pipes.set(pipes as u64);
            }
        }
    }

    pub(crate) fn add_to(&self, stats: &mut Stats) {
        stats.accept_pauses += self.accept_pauses.get();
        stats.accept_paused += self.accept_paused.get();
        stats.reports_dropped += self.reports_dropped.get();
        stats.events_suppressed += self.events_suppressed.get();
        stats.parked += self.parked.get();
        stats.by_worker.push(self.clients.get());
        stats.unsent += self.unsent.get();
        stats.pipes += self.pipes.get();
    }
}
