use super::*;
use rustix::mm::munlockall;
use rustix::process::{Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

/// `policy` and `rt_priority` of proc_pid_stat(5).
fn schedule() -> (u32, u32) {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // The first field behind the name is the third of all.
    let field = |number: usize| fields[number - 3].parse().unwrap();
    (field(41), field(40))
}

/// Runs `action` on a thread of its own without `capability`.
fn without(capability: CapabilitySet, action: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(capability);
            set_capabilities(None, sets).unwrap();
            action();
        });
    });
}

fn locked() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_thread_is_real_time_and_what_it_starts_is_not() {
    let thread = std::thread::spawn(|| {
        if let Err(error) = be_real_time() {
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
            println!("skipped: real-time scheduling is refused here");
            return;
        }
        assert_eq!(schedule(), (2, 1));
        assert_eq!(std::thread::spawn(schedule).join().unwrap(), (0, 0));
    });
    thread.join().unwrap();
    assert_eq!(schedule().0, 0, "this thread is as it was");
}

#[test]
fn a_refusal_of_real_time_is_told_and_changes_nothing() {
    without(CapabilitySet::SYS_NICE, || {
        setrlimit(Resource::Rtprio, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
        assert_eq!(be_real_time().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(schedule(), (0, 0));
    });
}

#[test]
fn memory_is_locked_where_that_is_allowed_and_nowhere_else() {
    if has(Capability::IpcLock).unwrap() {
        lock_memory().unwrap();
        assert!(locked() > 0);
        // Locked or not, what is allocated later can be had.
        assert_eq!(
            vec![1_u8; 64 << 20].iter().step_by(4096).map(|byte| u64::from(*byte)).sum::<u64>(),
            16384
        );
        munlockall().unwrap();
    } else {
        println!("skipped: locking memory needs CAP_IPC_LOCK");
    }
    without(CapabilitySet::IPC_LOCK, || {
        setrlimit(Resource::Memlock, Rlimit { current: Some(8 << 20), maximum: Some(8 << 20) }).unwrap();
        assert_eq!(lock_memory().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(locked(), 0);
    });
}
