//! What the end-to-end tests share: a folder and a turn on the machine for each test, processes that end with their test,
//! and waiting for conditions instead of time.

mod api;
mod client;
mod daemon;
mod endpoint;
mod process;

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) use api::{Api, Fleet};
pub(crate) use client::{Tls, http_get};
pub(crate) use daemon::{Cluster, Daemon};
pub(crate) use endpoint::Endpoint;
pub(crate) use process::{Process, output, signal};

/// Long enough for anything that works, on a machine that is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The file in which a run of all tests gathers why some could not do their work here.
const SKIPS: &str = "BOWLINE_TEST_SKIPS";

/// A test's own folder, removed at its end, and its turn on the machine.
pub(crate) struct Scratch {
    path: PathBuf,
    /// Locked as long as the test runs.
    _turn: File,
}

impl Scratch {
    /// Beside other tests.
    pub(crate) fn new(name: &str) -> Scratch {
        let turn = turn();
        turn.lock_shared().expect("wait for a turn beside other tests");
        Scratch::make(name, turn)
    }

    /// Alone, for tests that measure: no other end-to-end test runs meanwhile.
    pub(crate) fn alone(name: &str) -> Scratch {
        let turn = turn();
        turn.lock().expect("wait for a turn alone");
        Scratch::make(name, turn)
    }

    fn make(name: &str, turn: File) -> Scratch {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("make the test's folder");
        Scratch { path, _turn: turn }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the test's files stay in {}", self.path.display());
        } else {
            // A leftover folder in the target directory harms nobody.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn turn() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("turn");
    OpenOptions::new().create(true).append(true).open(path).expect("open the file that gives turns")
}

/// Runs on a thread of its own, which may enter a namespace and ends in it: the test's thread may be used for another test.
pub(crate) fn apart<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(body).join())
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Says why the test cannot do its work here.
pub(crate) fn skip(reason: &str) {
    eprintln!("SKIPPED: {reason}");
    if let Some(path) = std::env::var_os(SKIPS) {
        let mut file =
            OpenOptions::new().create(true).append(true).open(path).expect("open the list of skipped tests");
        writeln!(file, "{}: {reason}", std::thread::current().name().unwrap_or("a test"))
            .expect("note a skipped test");
    }
}

/// Whether `program` is installed.
pub(crate) fn installed(program: &str) -> bool {
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .any(|folder| folder.join(program).is_file())
}

/// Whether this process may do what only root may.
pub(crate) fn root() -> bool {
    output(Command::new("id").arg("-u")).trim() == "0"
}

/// Asks again and again until there is an answer; fails the test with `what` when there is none within `limit`.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A port that is free on all `addresses` now. Another test may be given the same one before it is used: whoever starts servers
/// tries again then.
pub(crate) fn free_port(addresses: &[IpAddr]) -> u16 {
    for _ in 0..100 {
        let first = TcpListener::bind(SocketAddr::new(addresses[0], 0)).expect("find a free port");
        let port = first.local_addr().expect("ask for a bound address").port();
        let rest: Vec<_> =
            addresses[1..].iter().map(|one| TcpListener::bind(SocketAddr::new(*one, port))).collect();
        if rest.iter().all(Result::is_ok) {
            return port;
        }
    }
    panic!("no port is free on all of {addresses:?}");
}

/// A loopback address, of the whole range that Linux has.
pub(crate) fn loopback(third: u8, last: u8) -> IpAddr {
    IpAddr::from([127, 0, third, last])
}
