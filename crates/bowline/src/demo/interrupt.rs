//! Ctrl-C and SIGTERM end a demonstration in its own order: what it started, then its files.

use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

/// Somebody asked for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("interrupted; everything that was started has been ended")]
pub(super) struct Interrupted;

/// Waits that a signal ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt {
    asked: Arc<(Mutex<bool>, Condvar)>,
}

impl Interrupt {
    /// Takes the signals over, for the rest of the process.
    pub(super) fn install() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let asked = Arc::clone(&interrupt.asked);
        let (ready, is_ready) = mpsc::sync_channel(1);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let listening = listen(&asked, &ready);
            drop(ready.send(listening));
        })?;
        is_ready.recv().context("the thread for signals ended")?.context("taking signals")?;
        Ok(interrupt)
    }

    /// Waits for `duration`, or until a signal came.
    pub(super) fn wait(&self, duration: Duration) -> Result<(), Interrupted> {
        let (asked, changed) = &*self.asked;
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(asked, duration, |asked| !*asked);
        let (asked, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *asked { Err(Interrupted) } else { Ok(()) }
    }

    /// Waits until `moment`, or until a signal came.
    pub(super) fn wait_until(&self, moment: Instant) -> Result<(), Interrupted> {
        self.wait(moment.saturating_duration_since(Instant::now()))
    }

    fn ask(asked: &(Mutex<bool>, Condvar)) {
        *asked.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        asked.1.notify_all();
    }
}

/// Waits for the first signal.
fn listen(
    asked: &(Mutex<bool>, Condvar),
    ready: &mpsc::SyncSender<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        ready.send(Ok(()))?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        Interrupt::ask(asked);
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_time_or_with_the_signal() {
        let interrupt = Interrupt::default();
        assert_eq!(interrupt.wait(Duration::from_millis(1)), Ok(()));
        let asked = Arc::clone(&interrupt.asked);
        let asking = std::thread::spawn(move || Interrupt::ask(&asked));
        assert_eq!(interrupt.wait(Duration::from_secs(600)), Err(Interrupted));
        asking.join().expect("asking");
        assert_eq!(
            interrupt.wait(Duration::from_secs(600)),
            Err(Interrupted),
            "once asked is asked for good"
        );
    }
}
