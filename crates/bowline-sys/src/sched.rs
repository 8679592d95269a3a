//! What lets a thread be on time: a real-time schedule and memory that is not taken away. Both are asked for, and may be refused.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;

use rustix::mm::{MlockAllFlags, mlock, mlockall};
use rustix::process::{Resource, getrlimit, setpriority_process};
use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};

use crate::capability::{Capability, has};

/// `SCHED_RR` and `SCHED_RESET_ON_FORK` of linux/sched.h. With the second what the thread starts is scheduled as usual again.
const SCHED_RR: c_int = 2;
const SCHED_RESET_ON_FORK: c_int = 0x4000_0000;

/// Above every thread that is not real-time, and below the kernel's own (interrupt threads have 50).
const PRIORITY: c_int = 1;

/// The smallest value of setpriority(2), of whom the CPU is given first.
const NICE_MIN: i32 = -20;

/// `struct sched_param`, and the room that musl's has behind it.
#[repr(C)]
struct Parameters {
    priority: c_int,
    reserved: [c_int; 15],
}

unsafe extern "C" {
    // `pthread_t` is a number or a pointer, of the size of either.
    fn pthread_self() -> usize;
    // And not `sched_setscheduler`, which musl refuses.
    fn pthread_setschedparam(thread: usize, policy: c_int, parameters: *const Parameters) -> c_int;
}

/// Puts the calling thread before all that are not real-time (`SCHED_RR`, lowest priority). Threads and processes that it starts
/// are scheduled as usual. A thread that never sleeps then starves a whole core.
///
/// # Errors
/// `EPERM` without `CAP_SYS_NICE` or an `RLIMIT_RTPRIO`, or in a control group without real-time budget.
pub fn be_real_time() -> io::Result<()> {
    let parameters = Parameters { priority: PRIORITY, reserved: [0; 15] };
    // SAFETY: the thread is the calling one, and the pointer is to a live structure that is at least as long as either C library's.
    let error = unsafe { pthread_setschedparam(pthread_self(), SCHED_RR | SCHED_RESET_ON_FORK, &parameters) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

/// Puts the calling thread before all others that are not real-time (`nice` -20).
///
/// # Errors
/// `EACCES` without `CAP_SYS_NICE` or an `RLIMIT_NICE`.
pub fn be_first() -> io::Result<()> {
    Ok(setpriority_process(Some(gettid()), NICE_MIN)?)
}

/// One thread of this process, for the others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Thread(Pid);

impl Thread {
    /// The calling one.
    pub fn current() -> Self {
        Self(gettid())
    }

    /// Brings it to the CPU that the caller runs on, where it runs at once if it has the right of way; afterwards it may run wherever
    /// it might before. For one that waits to run on a CPU that the kernel itself keeps busy (`sched_setaffinity(2)`).
    ///
    /// # Errors
    /// When the thread has ended, or the CPU is not one of those it may run on. It may run then wherever it might before.
    pub fn bring_here(self) -> io::Result<()> {
        let before = sched_getaffinity(Some(self.0))?;
        let here = sched_getcpu();
        if !before.is_set(here) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut only_here = CpuSet::new();
        only_here.set(here);
        let brought = sched_setaffinity(Some(self.0), &only_here);
        sched_setaffinity(Some(self.0), &before)?;
        Ok(brought?)
    }
}

/// Keeps in RAM what this process has now: all of its code, which is read from disk here and not when it is needed, and of its
/// heap and the stacks of its threads what has been used, and what will be ([`use_stack`]). What is mapped later is not locked, so that
/// no allocation fails for it. Call it when everything is set up.
///
/// Stacks that are locked whole would be resident whole: two megabytes for each thread, of which some kilobytes are used.
///
/// # Errors
/// `EPERM` without `CAP_IPC_LOCK` while `RLIMIT_MEMLOCK` has an end: the kernel would count all mapped memory against it, and with it
/// every allocation could fail. `ENOMEM`, `EAGAIN` when some memory cannot be had.
pub fn lock_memory() -> io::Result<()> {
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    if !unlimited && !has(Capability::IpcLock)? {
        return Err(rustix::io::Errno::PERM.into());
    }
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::ONFAULT)?;
    // Only a page that was never used is missing from then on, which the kernel makes of nothing. Code it would have to read.
    let mut outcome = Ok(());
    for (start, end) in code(&std::fs::read_to_string("/proc/self/maps")?) {
        // SAFETY: locking changes nothing but where pages are, and that they stay. A range that is not mapped any more is an error.
        let locked =
            unsafe { mlock(std::ptr::with_exposed_provenance_mut(start), end.saturating_sub(start)) };
        outcome = outcome.and(locked);
    }
    Ok(outcome?)
}

/// Where files are mapped that nobody writes to: proc_pid_maps(5).
fn code(maps: &str) -> impl Iterator<Item = (usize, usize)> {
    maps.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (range, permissions) = (fields.next()?, fields.next()?);
        let is_file = fields.nth(2)? != "0";
        let (start, end) = range.split_once('-')?;
        let range = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        (is_file && matches!(permissions, "r-xp" | "r--p")).then_some(range)
    })
}

/// What a thread that must be on time may need of its stack: some kilobytes, and many times that without optimisation.
const STACK_USED: usize = 256 * 1024;

/// Has the calling thread use as much of its stack as it ever will, so that it never waits for more.
pub fn use_stack() {
    std::hint::black_box([0_u8; STACK_USED]);
}

#[cfg(test)]
mod tests;
