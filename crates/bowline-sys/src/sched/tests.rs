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

/// In kilobytes, a line of a file of proc(5).
fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn status(name: &str) -> u64 {
    kilobytes(&std::fs::read_to_string("/proc/self/status").unwrap(), name)
}

fn locked() -> u64 {
    status("VmLck:")
}

/// How much of what is mapped at `start` is in RAM, in kilobytes.
fn resident(start: usize) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let at = maps.lines().position(|line| line.starts_with(&format!("{start:x}-"))).unwrap();
    kilobytes(&maps.lines().skip(at).collect::<Vec<_>>().join("\n"), "Rss:")
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
fn a_thread_that_waits_for_a_cpu_is_brought_to_one_that_gives_way() {
    let all = sched_getaffinity(None).unwrap();
    let cpus: Vec<_> = (0..CpuSet::MAX_CPU).filter(|cpu| all.is_set(*cpu)).collect();
    let [here, there, ..] = cpus[..] else { return println!("skipped: there is one CPU") };
    let only = |cpu| {
        let mut set = CpuSet::new();
        set.set(cpu);
        set
    };
    let (tell, told) = std::sync::mpsc::channel();
    let (end, over) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        sched_setaffinity(None, &only(there)).unwrap();
        sched_setaffinity(None, &all).unwrap();
        tell.send(Thread::current()).unwrap();
        over.recv().unwrap_err();
        sched_getcpu()
    });
    let sleeper = told.recv().unwrap();
    sched_setaffinity(None, &only(here)).unwrap();
    sleeper.bring_here().unwrap();
    let after = sched_getaffinity(Some(sleeper.0)).unwrap();
    assert!(cpus.iter().all(|cpu| after.is_set(*cpu)), "it may run where it might before");
    drop(end);
    thread.join().unwrap();
    assert!(sleeper.bring_here().is_err(), "it has ended");

    let confined = std::thread::spawn(move || {
        sched_setaffinity(None, &only(there)).unwrap();
        Thread::current().bring_here().unwrap();
        std::thread::scope(|scope| {
            let this = Thread::current();
            let other = scope.spawn(move || {
                sched_setaffinity(None, &only(here)).unwrap();
                this.bring_here().map_err(|error| error.kind())
            });
            assert_eq!(other.join().unwrap(), Err(io::ErrorKind::PermissionDenied));
        });
        let mine = sched_getaffinity(None).unwrap();
        assert!(mine.is_set(there) && !mine.is_set(here), "it was told not to run elsewhere");
    });
    confined.join().unwrap();
}

#[test]
fn a_thread_that_is_first_is_alone_so() {
    let nice = || {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        stat.rsplit(')').next().unwrap().split_whitespace().nth(16).unwrap().parse::<i32>().unwrap()
    };
    let before = nice();
    let thread = std::thread::spawn(move || match be_first() {
        Ok(()) => assert_eq!(nice(), NICE_MIN),
        Err(error) => assert_eq!((error.kind(), nice()), (io::ErrorKind::PermissionDenied, before)),
    });
    thread.join().unwrap();
    assert_eq!(nice(), before);
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
        // A thread that uses next to nothing of what it may.
        const STACK: usize = 256 << 20;
        let (end, over) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().stack_size(STACK);
        let thread = thread.spawn(move || over.recv().is_err()).unwrap();
        // And code that was never run.
        const CODE: usize = 1 << 20;
        let program = std::fs::File::open("/proc/self/exe").unwrap();
        let protection = rustix::mm::ProtFlags::READ;
        // SAFETY: a new mapping, which nobody reads or writes, at a place that the kernel chooses.
        let code = unsafe {
            let private = rustix::mm::MapFlags::PRIVATE;
            rustix::mm::mmap(std::ptr::null_mut(), CODE, protection, private, &program, 0).unwrap()
        };
        assert_eq!(resident(code.expose_provenance()), 0);
        let before = status("VmRSS:");
        lock_memory().unwrap();
        assert!(locked() > STACK as u64 / 1024);
        let more = status("VmRSS:") - before;
        assert!(more < STACK as u64 / 1024 / 2, "{more} kB have become resident");
        assert_eq!(resident(code.expose_provenance()), CODE as u64 / 1024, "it would be read from disk");
        drop(end);
        thread.join().unwrap();
        // Locked or not, what is allocated later can be had.
        assert_eq!(
            vec![1_u8; 64 << 20].iter().step_by(4096).map(|byte| u64::from(*byte)).sum::<u64>(),
            16384
        );
        munlockall().unwrap();
        // SAFETY: it is the mapping of above, whole, and nobody has a reference into it.
        unsafe { rustix::mm::munmap(code, CODE) }.unwrap();
    } else {
        println!("skipped: locking memory needs CAP_IPC_LOCK");
    }
    without(CapabilitySet::IPC_LOCK, || {
        setrlimit(Resource::Memlock, Rlimit { current: Some(8 << 20), maximum: Some(8 << 20) }).unwrap();
        assert_eq!(lock_memory().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(locked(), 0);
    });
}

#[test]
fn what_is_code_is_found_among_what_is_mapped() {
    let maps = "55d000-55e000 r--p 00000000 fe:01 1234 /usr/bin/bowline\n\
                55e000-55f800 r-xp 00001000 fe:01 1234 /usr/bin/bowline\n\
                55f800-560000 rw-p 00003000 fe:01 1234 /usr/bin/bowline\n\
                7f0000-7f1000 ---p 00000000 00:00 0\n\
                7f1000-7f2000 rw-p 00000000 00:00 0 [stack]\n\
                7f2000-7f3000 r-xp 00000000 00:00 0 [vdso]\n\
                nonsense\n";
    assert_eq!(code(maps).collect::<Vec<_>>(), [(0x55d000, 0x55e000), (0x55e000, 0x55f800)]);
}
