//! One thread of another process held still while the others run on (ptrace(2)): what a thread that hangs looks like from outside.
//!
//! A tool of tests and demonstrations. Allowed for one's own descendants, and with `CAP_SYS_PTRACE` for every process.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_long};
use std::io;
use std::ptr::null_mut;
use std::sync::mpsc;
use std::thread::JoinHandle;

use rustix::process::{Pid, WaitOptions, waitpid};

/// Requests of linux/ptrace.h.
const PTRACE_DETACH: c_int = 17;
const PTRACE_SEIZE: c_int = 0x4206;
const PTRACE_INTERRUPT: c_int = 0x4207;

unsafe extern "C" {
    // Of either C library: a request, a process number and two pointers.
    fn ptrace(request: c_int, ...) -> c_long;
}

/// A thread that stands still until this is dropped.
#[derive(Debug)]
pub struct HeldThread {
    /// Its end is the sign to let go.
    held: Option<mpsc::Sender<()>>,
    /// Only the thread that took hold can let go.
    holder: Option<JoinHandle<()>>,
}

impl HeldThread {
    /// Stops the thread of this number, as `/proc/PID/task` shows it; there when it has stopped.
    ///
    /// # Errors
    /// `ESRCH` when there is none, `EPERM` when it may not be held, or is held by another already.
    pub fn hold(thread: u32) -> io::Result<Self> {
        let number = i32::try_from(thread).ok().and_then(Pid::from_raw);
        let number = number.ok_or(io::ErrorKind::InvalidInput)?;
        let (held, released) = mpsc::channel::<()>();
        let (say, said) = mpsc::channel();
        let hold = move || {
            let stopped = stop(number);
            let is_stopped = stopped.is_ok();
            if say.send(stopped).is_ok() && is_stopped {
                // Nothing is ever sent: it ends with the sender.
                let _over = released.recv();
                // It fails when the thread was killed meanwhile, and then there is nothing to let go of.
                let _killed = request(PTRACE_DETACH, number);
            }
        };
        let holder = std::thread::Builder::new().name("holder".to_owned()).spawn(hold)?;
        let stopped = said.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        let this = Self { held: Some(held), holder: Some(holder) };
        stopped.map(|()| this)
    }
}

impl Drop for HeldThread {
    fn drop(&mut self) {
        self.held = None;
        if let Some(holder) = self.holder.take() {
            // It runs on when this returns; a panic of the holder, whose end lets go as well, has been printed.
            drop(holder.join());
        }
    }
}

fn stop(thread: Pid) -> io::Result<()> {
    request(PTRACE_SEIZE, thread)?;
    request(PTRACE_INTERRUPT, thread)?;
    match waitpid(Some(thread), WaitOptions::empty())? {
        Some((_, status)) if status.stopped() => Ok(()),
        // It ended at that very moment.
        Some(_) | None => Err(rustix::io::Errno::SRCH.into()),
    }
}

fn request(request: c_int, thread: Pid) -> io::Result<()> {
    let nothing = null_mut::<u8>();
    // SAFETY: none of the three requests reads or writes this process's memory; they take no address and no data but 0.
    match unsafe { ptrace(request, thread.as_raw_nonzero().get(), nothing, nothing) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    fn state(process: u32) -> Option<char> {
        let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        text.rsplit_once(')')?.1.trim_start().chars().next()
    }

    #[test]
    fn a_thread_stands_still_while_it_is_held_and_goes_on_afterwards() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let held = HeldThread::hold(child.id()).unwrap();
        input.write_all(b"x").unwrap();
        assert_eq!(state(child.id()), Some('t'), "stopped by a tracer");
        assert!(HeldThread::hold(child.id()).is_err(), "held twice");
        drop(held);
        let mut byte = [0];
        output.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
        // One that is killed while it is held does not keep anybody waiting.
        let held = HeldThread::hold(child.id()).unwrap();
        child.kill().unwrap();
        drop(held);
        child.wait().unwrap();
    }

    #[test]
    fn a_thread_that_is_not_there_is_said_to_be_so() {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert!(HeldThread::hold(child.id()).is_err());
        assert!(HeldThread::hold(u32::MAX).is_err());
    }
}
