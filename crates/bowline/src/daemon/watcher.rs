//! Tells when the description may have changed, and when a signal has come.

use bowline_sys::epoll::{Epoll, Events, Interest};
use bowline_sys::watch::FileWatch;
use std::io;
use std::path::Path;
use tokio::sync::mpsc;

/// Watches `file` from a thread of its own, which sleeps in the kernel until its folder changes; each `()` is a change.
///
/// A thread, because the runtime offers no safe way to wait for a foreign descriptor. It ends with the first change after
/// the receiver is gone, or with the process.
///
/// # Errors
///
/// The folder cannot be watched.
pub(super) fn watch(file: &Path) -> io::Result<mpsc::Receiver<()>> {
    let watch = FileWatch::new(file)?;
    let epoll = Epoll::new()?;
    epoll.add(&watch, 0, Interest::READABLE)?;
    // One waiting change is as good as many.
    let (sender, receiver) = mpsc::channel(1);
    std::thread::Builder::new().name("bowline-watch".into()).spawn(move || {
        let mut events = Events::with_capacity(1);
        while epoll.wait(&mut events, None).is_ok() {
            match watch.changed() {
                Ok(false) => {}
                Ok(true) => match sender.try_send(()) {
                    Ok(()) | Err(mpsc::error::TrySendError::Full(())) => {}
                    Err(mpsc::error::TrySendError::Closed(())) => return,
                },
                Err(_unreadable) => return,
            }
        }
    })?;
    Ok(receiver)
}
