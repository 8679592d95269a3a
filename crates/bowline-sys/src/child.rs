//! Children that do not outlive their parent, or see it end.
#![allow(unsafe_code)]

use rustix::process::{PidfdFlags, Signal, getppid, pidfd_open, set_parent_process_death_signal};
use std::ffi::c_int;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Makes the child that `command` starts be killed when the *thread* that starts it ends, by whatever cause.
///
/// The thread, not the process, is what the kernel watches (prctl(2), `PR_SET_PDEATHSIG`): start such children from a thread
/// that lives as long as they shall.
pub fn end_with_parent(command: &mut Command) -> &mut Command {
    let parent = rustix::process::getpid();
    let prepare = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have ended before the line above; then no signal will ever come.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::Error::from(io::ErrorKind::BrokenPipe)) }
    };
    // SAFETY: between fork and exec only async-signal-safe calls may be made; these are two plain system calls, and making
    // an `io::Error` from a kind does not allocate.
    unsafe { command.pre_exec(prepare) }
}

/// A descriptor that becomes readable (for epoll and poll) when the process that started the calling one ends, by whatever cause:
/// a pidfd, which no later process is ever mistaken for (pidfd_open(2)).
///
/// `parent` is the number of the one that is meant, which it told its child: when it ended before the call, another has taken its place.
///
/// # Errors
/// `NotFound` when that process is not the parent (any more); `ENOSYS` before Linux 5.3.
pub fn watch_parent(parent: u32) -> io::Result<OwnedFd> {
    let found = getppid().filter(|found| u32::try_from(found.as_raw_nonzero().get()) == Ok(parent));
    let descriptor = pidfd_open(found.ok_or(io::ErrorKind::NotFound)?, PidfdFlags::empty())?;
    // Only now it is sure whose descriptor it is: while it is our parent, its number is not used again.
    if getppid() == found { Ok(descriptor) } else { Err(io::ErrorKind::NotFound.into()) }
}

unsafe extern "C" {
    // A handler is a function or one of a few numbers, of the size of a pointer.
    fn signal(signal: c_int, handler: usize) -> usize;
}

/// `SIG_IGN` of asm-generic/signal-defs.h.
const IGNORE: usize = 1;

/// Makes this process ignore what a terminal or a service manager sends to a whole group of processes to end it. Only `SIGKILL`, and
/// its own will, end it from then on.
pub fn ignore_requests_to_end() {
    for which in [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM] {
        // SAFETY: no handler is installed; both numbers are of the kernel's own, and the call fails for no others.
        unsafe { signal(which.as_raw(), IGNORE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoll::{Epoll, Events, Interest};
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn the_parent_is_watched_and_nobody_else_is() {
        let parent = std::os::unix::process::parent_id();
        let watched = watch_parent(parent).unwrap();
        let epoll = Epoll::new().unwrap();
        epoll.add(&watched, 0, Interest::READABLE).unwrap();
        let mut events = Events::with_capacity(1);
        epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty(), "it lives");
        assert_eq!(watch_parent(std::process::id()).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(watch_parent(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_child_ends_when_the_thread_that_started_it_ends() {
        let (sender, receiver) = mpsc::channel();
        let starter = std::thread::spawn(move || {
            let mut command = Command::new("cat");
            command.stdin(Stdio::piped()).stdout(Stdio::null());
            sender.send(end_with_parent(&mut command).spawn().unwrap()).unwrap();
        });
        let mut child = receiver.recv().unwrap();
        // Its standard input stays open: nothing but the signal ends it.
        let input = child.stdin.take();
        starter.join().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
        drop(input);
    }
}
