//! What the handle asks of a worker.

use crate::config::{ListenerId, PoolId};
use crate::stats::ListenerCounters;
use bowline_pool::Snapshot;
use bowline_sys::epoll::Waker;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};

/// What a worker is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    SetPool {
        pool: PoolId,
        snapshot: Arc<Snapshot>,
    },
    RemovePool {
        pool: PoolId,
    },
    /// Whether its endpoints are told who the client is.
    Introduce {
        pool: PoolId,
        on: bool,
    },
    Open {
        listener: ListenerId,
        address: SocketAddr,
        socket: Arc<OwnedFd>,
        pool: PoolId,
        counters: Arc<ListenerCounters>,
    },
    Retarget {
        listener: ListenerId,
        pool: PoolId,
    },
    /// Take the clients that wait in the accept queue, then close; `done` is dropped afterwards.
    Close {
        listener: ListenerId,
        done: SyncSender<()>,
    },
    /// Close the listeners on these addresses and reset the connections that came in through them; `done` is dropped afterwards,
    /// where somebody waits for it.
    Evict {
        addresses: Arc<[IpAddr]>,
        done: Option<SyncSender<()>>,
    },
    /// Reset every connection and end.
    Stop,
}

/// Commands on their way to a worker.
///
/// Bounded by what the plan holds, not by how often it changes: a newer snapshot takes the place of one of the same pool that
/// the worker has not read yet, and the other commands come from reloads.
#[derive(Debug)]
pub(crate) struct Mailbox {
    commands: Mutex<Vec<Command>>,
    waker: Waker,
}

impl Mailbox {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { commands: Mutex::new(Vec::new()), waker: Waker::new()? })
    }

    pub(crate) fn post(&self, command: Command) {
        {
            // A panic while the lock was held has at worst left a command out.
            let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
            if let Command::SetPool { pool, .. } = &command {
                let stale = |earlier: &Command| matches!(earlier, Command::SetPool { pool: other, .. } if other == pool);
                commands.retain(|earlier| !stale(earlier));
            }
            commands.push(command);
        }
        self.waker.wake();
    }

    /// Everything posted since the last time, oldest first.
    pub(crate) fn take(&self) -> Vec<Command> {
        self.waker.clear();
        std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) const fn waker(&self) -> &Waker {
        &self.waker
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_pool::{Policy, Timers};

    #[test]
    fn a_newer_snapshot_takes_the_place_of_an_unread_one() {
        let mailbox = Mailbox::new().unwrap();
        let post = |pool, version| {
            let snapshot = Snapshot {
                version,
                policy: Policy::Sticky,
                timers: Timers::default(),
                endpoints: Vec::new(),
            };
            mailbox.post(Command::SetPool { pool: PoolId(pool), snapshot: Arc::new(snapshot) });
        };
        post(1, 1);
        post(2, 1);
        mailbox.post(Command::Retarget { listener: ListenerId(1), pool: PoolId(2) });
        (2..100).for_each(|version| post(1, version));
        let commands = mailbox.take();
        assert_eq!(commands.len(), 3);
        assert!(
            matches!(&commands[2], Command::SetPool { pool: PoolId(1), snapshot } if snapshot.version == 99)
        );
        assert!(mailbox.take().is_empty());
    }
}
