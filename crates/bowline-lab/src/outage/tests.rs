use std::net::Ipv4Addr;

use super::*;
use crate::certs::{Authority, Validity};
use crate::standin::{Command, Options, Standin};

const LIMIT: Duration = Duration::from_secs(20);
/// A watch hangs after a second of silence.
const HANG_SEEN: Duration = Duration::from_millis(1300);

fn lab() -> (Standin, Settings) {
    let authority = Authority::new("test CA").expect("authority");
    let ip = Ipv4Addr::LOCALHOST.into();
    let identity = authority.server("cp1", &[ip], &[], Validity::Current).expect("identity");
    let grace = Duration::from_millis(300);
    let standin = Standin::start(Options { name: "cp1".to_owned(), listen: (ip, 0).into(), identity, grace });
    let standin = standin.expect("stand-in");
    let settings = Settings::new(standin.address(), authority.pem());
    (standin, settings)
}

/// Lets the observation go on: here the time that passes is what is tested.
fn observe(client: &Client, duration: Duration) {
    std::thread::sleep(duration);
    assert!(
        !client.thread.as_ref().is_some_and(JoinHandle::is_finished),
        "the client runs until it is told to end"
    );
}

#[test]
fn a_server_that_is_well_shows_no_outage() {
    let (_standin, settings) = lab();
    let client = Client::start(settings).expect("client");
    assert!(client.wait_warm(LIMIT), "not warm");
    let moment = Instant::now();
    observe(&client, Duration::from_millis(1200));
    let report = client.finish().expect("run").report(moment, moment);
    assert_eq!(report.figures.failed, 0, "{report:?}");
    assert!(report.figures.requests >= 100, "{report:?}");
    assert_eq!(report.figures.servers.keys().collect::<Vec<_>>(), ["cp1"]);
    assert_eq!((report.talking.kept, report.silent.kept), (10, 10), "{report:?}");
}

#[test]
fn a_server_that_hangs_is_an_outage_and_its_watches_hang() {
    let (standin, mut settings) = lab();
    (settings.talking, settings.silent) = (2, 3);
    let client = Client::start(settings).expect("client");
    assert!(client.wait_warm(LIMIT), "not warm");
    standin.command(Command::Hang).expect("hang");
    let fault = Instant::now();
    observe(&client, HANG_SEEN);
    let report = client.finish().expect("run").report(fault, fault);
    assert_eq!(report.figures.requests, report.figures.failed, "{report:?}");
    assert_eq!(report.figures.failures.keys().collect::<Vec<_>>(), ["the handshake timed out"]);
    assert!(report.figures.outage >= Duration::from_secs(1), "{report:?}");
    assert!(report.figures.hard_outage >= Duration::from_secs(1), "{report:?}");
    assert_eq!((report.talking.hung, report.silent.hung), (2, 3), "{report:?}");
}

#[test]
fn a_graceful_stop_ends_watches_and_refuses_requests() {
    let (standin, mut settings) = lab();
    (settings.talking, settings.silent) = (2, 3);
    let client = Client::start(settings).expect("client");
    assert!(client.wait_warm(LIMIT), "not warm");
    standin.command(Command::Stop).expect("stop");
    let fault = Instant::now();
    observe(&client, Duration::from_millis(800));
    let report = client.finish().expect("run").report(fault, fault);
    assert_eq!(report.figures.failures.keys().collect::<Vec<_>>(), ["refused"], "{report:?}");
    assert_eq!((report.talking.ended, report.silent.ended), (2, 3), "{report:?}");
    assert_eq!((report.talking.broken, report.silent.broken), (0, 0), "{report:?}");
}

#[test]
fn a_wrong_authority_is_said_so() {
    let (_standin, mut settings) = lab();
    settings.authority = Authority::new("foreign CA").expect("authority").pem();
    (settings.talking, settings.silent) = (0, 1);
    let client = Client::start(settings).expect("client");
    assert!(!client.wait_warm(Duration::from_millis(200)));
    let run = client.finish().expect("run");
    let report = run.report(run.epoch, run.epoch);
    assert_eq!(report.figures.requests, report.figures.failed);
    assert!(report.figures.failures.keys().all(|failure| failure.contains("UnknownIssuer")), "{report:?}");
    assert_eq!(report.silent.absent, 1);
}

#[test]
fn the_first_answer_after_a_moment_is_found_whenever_it_was_asked() {
    let epoch = Instant::now();
    let ms = Duration::from_millis;
    let sample = |start, took| Sample { start: ms(start), took: ms(took), outcome: Ok("cp1".to_owned()) };
    let samples = vec![sample(0, 5), sample(10, 500), sample(200, 200)];
    let run =
        Run { epoch, end: ms(1000), samples, talking: vec![], silent: vec![], lags: vec![Duration::ZERO; 3] };
    assert_eq!(run.first_answer_after(epoch + ms(100)), Some(ms(300)));
    assert_eq!(run.first_answer_after(epoch + ms(450)), Some(ms(60)));
    assert_eq!(run.first_answer_after(epoch + ms(600)), None);
}
