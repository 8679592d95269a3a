//! Seeing that a file was replaced or written.

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The link through which a Kubernetes volume swaps all its files at once.
const VOLUME_LINK: &[u8] = b"..data";

/// Room for at least one event with the longest file name (inotify(7)), and for bursts of short ones.
const EVENTS_SIZE: usize = 4096;

/// Watches one file through its directory, so that it may be replaced, removed and made anew.
///
/// Only finished writes, renames and new names count: reading the file is no event. A file behind a symbolic link is seen to
/// change only when the link itself, or a Kubernetes volume's `..data`, is replaced.
#[derive(Debug)]
pub struct FileWatch {
    inotify: OwnedFd,
    name: OsString,
}

impl FileWatch {
    /// Watches `file`, which need not exist; its directory must.
    ///
    /// # Errors
    /// When `file` names no file, its directory cannot be read, or the user's inotify instances are exhausted.
    pub fn new(file: &Path) -> io::Result<Self> {
        let name =
            file.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))?;
        let directory = match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let changes =
            WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::ONLYDIR;
        inotify::add_watch(&inotify, directory, changes)?;
        Ok(Self { inotify, name: name.to_owned() })
    }

    /// Takes what has happened since the last call, without waiting: whether the file may have changed. Poll the descriptor
    /// for reading to know when to call; compare contents to know whether it did change.
    ///
    /// # Errors
    /// None that a correct program meets.
    pub fn changed(&self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); EVENTS_SIZE];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut changed = false;
        loop {
            match events.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_bytes());
                    let ours =
                        name.is_some_and(|name| OsStr::from_bytes(name) == self.name || name == VOLUME_LINK);
                    // When the kernel's queue has overflowed, anything may have changed.
                    changed |= ours || event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                }
                Err(Errno::AGAIN) => return Ok(changed),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for FileWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl AsRawFd for FileWatch {
    fn as_raw_fd(&self) -> RawFd {
        self.inotify.as_raw_fd()
    }
}

#[cfg(test)]
mod tests;
