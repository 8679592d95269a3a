//! The fleet as its users have it: processes, signals, and nothing left behind.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use bowline_lab::fleet::{Cut, Fault, Fleet, Settings};
use bowline_lab::outage::{Client, Settings as ClientSettings};
use bowline_sys::netns::Namespace;

const LIMIT: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_millis(300);

fn settings(cut: Cut) -> Settings {
    Settings {
        binary: env!("CARGO_BIN_EXE_bowline-stand-in").into(),
        arguments: Vec::new(),
        cut,
        servers: 3,
        grace: Duration::from_millis(300),
    }
}

fn connect(address: SocketAddr) -> Result<(), ErrorKind> {
    TcpStream::connect_timeout(&address, SILENCE).map(drop).map_err(|error| error.kind())
}

fn addresses(fleet: &Fleet) -> Vec<SocketAddr> {
    fleet.endpoints().map(|(_, address)| address).collect()
}

/// Whether a whole request to `address` is answered; a busy machine may take long.
fn answers(fleet: &Fleet, address: SocketAddr) -> bool {
    answers_within(fleet, address, LIMIT)
}

fn answers_within(fleet: &Fleet, address: SocketAddr, limit: Duration) -> bool {
    let mut settings = ClientSettings::new(address, fleet.authority().to_owned());
    (settings.talking, settings.silent) = (0, 1);
    Client::start(settings).expect("client").wait_warm(limit)
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::yield_now();
    }
}

#[test]
fn every_fault_happens_and_is_taken_back() {
    let mut fleet = Fleet::start(&settings(Cut::Queue)).expect("fleet");
    let addresses = addresses(&fleet);
    for fault in Fault::ALL {
        for address in &addresses {
            assert!(answers(&fleet, *address), "{address} before {fault}");
        }
        fleet.inject(fault, 1).expect("inject");
        let faulty = addresses[1];
        match fault {
            Fault::Killed | Fault::AllDown => {
                assert_eq!(connect(faulty), Err(ErrorKind::ConnectionRefused), "{fault}")
            }
            Fault::GracefulStop => {
                eventually("the end of the listener", || {
                    connect(faulty) == Err(ErrorKind::ConnectionRefused)
                });
            }
            Fault::Unreachable => assert_eq!(connect(faulty), Err(ErrorKind::TimedOut), "{fault}"),
            Fault::Frozen => {
                assert_eq!(connect(faulty), Ok(()), "{fault}");
                assert!(!answers_within(&fleet, faulty, Duration::from_secs(2)), "{fault}");
            }
            Fault::NotReady => assert!(answers(&fleet, faulty), "{fault}"),
        }
        let others = if fault == Fault::AllDown { Err(ErrorKind::ConnectionRefused) } else { Ok(()) };
        assert_eq!(connect(addresses[0]), others, "{fault} and the first server");
        fleet.undo(fault, 1).expect("undo");
    }
}

#[test]
fn a_server_without_its_link_is_silent() {
    // A thread of its own: it stays in its namespace until it ends.
    let tested = std::thread::spawn(|| {
        match Namespace::create().and_then(|namespace| namespace.enter()) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return println!("skipped: making a network namespace needs root");
            }
            Err(error) => panic!("making a namespace: {error}"),
        }
        let mut fleet = Fleet::start(&settings(Cut::Link)).expect("fleet");
        let faulty = addresses(&fleet)[2];
        assert!(answers(&fleet, faulty), "before");
        fleet.inject(Fault::Unreachable, 2).expect("inject");
        assert_eq!(connect(faulty), Err(ErrorKind::TimedOut));
        fleet.undo(Fault::Unreachable, 2).expect("undo");
        assert!(answers(&fleet, faulty), "after");
        fleet.inject(Fault::Killed, 2).expect("inject");
        assert_eq!(connect(faulty), Err(ErrorKind::ConnectionRefused), "the namespace outlives its server");
        fleet.undo(Fault::Killed, 2).expect("undo");
        assert!(answers(&fleet, faulty), "after the restart");
    });
    tested.join().expect("the test");
}

#[test]
fn nothing_is_left_when_the_fleet_is_dropped_even_frozen() {
    let mut fleet = Fleet::start(&settings(Cut::Queue)).expect("fleet");
    fleet.inject(Fault::Frozen, 0).expect("inject");
    let processes: Vec<u32> = (0..3).map(|index| fleet.process(index).expect("running")).collect();
    let directory = fleet.ca_file().parent().expect("directory").to_owned();
    assert!(directory.is_dir());
    drop(fleet);
    for process in processes {
        assert!(!Path::new(&format!("/proc/{process}")).exists(), "process {process} is left");
    }
    assert!(!directory.exists(), "{} is left", directory.display());
}

#[test]
fn servers_end_with_the_thread_that_started_them() {
    let (processes, leaked) = std::thread::spawn(|| {
        let fleet = Fleet::start(&settings(Cut::Queue)).expect("fleet");
        let processes: Vec<u32> = (0..3).map(|index| fleet.process(index).expect("running")).collect();
        // Not dropped in this thread, as after an abort.
        (processes, fleet)
    })
    .join()
    .expect("starter");
    for process in processes {
        // Dead, though its parent has not asked about it yet.
        let status = format!("/proc/{process}/status");
        eventually("its end", || {
            std::fs::read_to_string(&status).is_ok_and(|status| status.contains("State:\tZ"))
        });
    }
    drop(leaked);
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let mut settings = settings(Cut::Queue);
    settings.arguments = vec!["--no-such-option".to_owned(), "x".to_owned()];
    let error = Fleet::start(&settings).expect_err("no fleet");
    assert!(format!("{error:#}").contains("unknown option --no-such-option"), "{error:#}");
}
