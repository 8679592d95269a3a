//! Clients that are slow, rude or too many.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::endpoints::before;
use crate::harness::{Cluster, Daemon, Endpoint, Fleet, PATIENCE, Scratch, Tls, output, wait_for};

/// More than all buffers between an endpoint and its client can hold.
const BULK: u64 = 1 << 30;

/// What the daemon's memory may grow by while it holds back an endpoint's bytes.
const GROWTH_MAX_KIB: u64 = 8 * 1024;

fn connect(daemon: &Daemon) -> TcpStream {
    let stream = TcpStream::connect(daemon.address()).expect("connect");
    stream.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
    stream
}

/// One byte there and back.
fn ping(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"x")?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    assert_eq!(&answer, b"x");
    Ok(())
}

#[test]
fn bulk_to_a_client_that_does_not_read_is_bounded_and_not_cut() {
    let scratch = Scratch::new("bulk");
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let (daemon, _api) = before(&scratch, "", move |mut stream| {
        // A byte that is never read would turn the end of the connection into a reset.
        if stream.read_exact(&mut [0]).is_err() {
            return;
        }
        let chunk = vec![7; 1 << 20];
        while counter.load(Ordering::Relaxed) < BULK && stream.write_all(&chunk).is_ok() {
            counter.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        }
    });
    let before = daemon.process.usage();
    let mut client = connect(&daemon);
    client.write_all(b"x").expect("ask for the bytes");
    // The endpoint is stuck when it has got rid of nothing for a while.
    let (mut last, mut since) = (0, Instant::now());
    wait_for("the endpoint being held back", PATIENCE, || {
        let now = sent.load(Ordering::Relaxed);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        (now > 0 && since.elapsed() > Duration::from_secs(1)).then_some(())
    });
    assert!(last < BULK, "all of it went into buffers");
    let held = daemon.process.usage();
    assert!(held.rss_kib < before.rss_kib + GROWTH_MAX_KIB, "{before:?} {held:?}");
    // Stuck means idle: nobody spins over bytes that cannot go anywhere.
    let cpu = held.cpu;
    std::thread::sleep(Duration::from_secs(1));
    assert!(daemon.process.usage().cpu - cpu < Duration::from_millis(100), "it spins");
    let mut total = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match client.read(&mut buffer).expect("the bytes that were held back") {
            0 => break,
            length => total += length as u64,
        }
    }
    assert_eq!(total, BULK);
    let after = daemon.process.usage();
    assert!(after.rss_kib < before.rss_kib + GROWTH_MAX_KIB, "{before:?} {after:?}");
}

#[test]
fn half_closed_connections_go_on_in_the_other_direction() {
    let scratch = Scratch::new("half");
    let (daemon, _api) = before(&scratch, "", |mut stream| {
        let mut all = Vec::new();
        // The answer begins when the question has ended.
        if stream.read_to_end(&mut all).is_ok() {
            all.reverse();
            // The client may have gone meanwhile; then the test has failed already.
            let _ = stream.write_all(&all);
        }
    });
    let question: Vec<u8> = (0..100_000u32).map(|number| b'a' + (number % 26) as u8).collect();
    let mut client = connect(&daemon);
    client.write_all(&question).expect("send the question");
    client.shutdown(Shutdown::Write).expect("end the question");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("read the answer");
    answer.reverse();
    assert!(answer == question, "{} of {} bytes came back", answer.len(), question.len());
}

#[test]
fn a_reset_is_passed_on_and_an_idle_client_is_kept() {
    let scratch = Scratch::new("reset");
    let resets = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&resets);
    let (daemon, _api) = before(&scratch, "", move |mut stream| {
        let mut byte = [0];
        loop {
            match stream.read(&mut byte) {
                Ok(0) => break,
                Ok(_) if stream.write_all(&byte).is_ok() => {}
                Ok(_) | Err(_) => {
                    counter.fetch_add(1, Ordering::Relaxed);
                    break;
                }
            }
        }
    });
    daemon.wait_connections(0);
    let mut idle = connect(&daemon);
    ping(&mut idle).expect("an echo");
    let nothing = connect(&daemon);
    let mut rude = connect(&daemon);
    ping(&mut rude).expect("an echo");
    // Closing with a byte unread resets the connection.
    rude.write_all(b"y").expect("ask for a byte that is not read");
    wait_for("the byte being there", PATIENCE, || rude.peek(&mut [0]).ok().filter(|length| *length == 1));
    drop(rude);
    wait_for("the endpoint seeing the reset", PATIENCE, || {
        (resets.load(Ordering::Relaxed) == 1).then_some(())
    });
    daemon.wait_connections(2);
    ping(&mut idle).expect("an echo after a pause");
    drop(nothing);
    drop(idle);
    daemon.wait_connections(0);
    assert_eq!(resets.load(Ordering::Relaxed), 1, "the others were closed, not reset");
}

#[test]
fn clients_that_begin_a_handshake_and_stop_take_no_server_out() {
    let scratch = Scratch::new("stalled");
    let fleet = Fleet::start(&scratch, 3);
    let ca = fleet.authority.pem();
    let daemon = Daemon::start(&scratch, Cluster::balancer(&fleet));
    daemon.wait_graded("ready", 3);
    let stalled: Vec<TcpStream> = (0..30)
        .map(|_| {
            let mut stream = connect(&daemon);
            stream.write_all(b"\x16\x03\x01").expect("begin a handshake");
            stream
        })
        .collect();
    // Well past the time after which an unanswered first flight is evidence.
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        assert_eq!(daemon.graded("dead"), Vec::<String>::new());
        let mut client = Tls::connect(daemon.address(), &ca).expect("connect");
        assert_eq!(client.get("/version").expect("an answer").0, 200);
    }
    assert!(
        daemon.metric("bowline_endpoint_suspicions_total", "") >= 1.0,
        "silence after a first flight is suspicious"
    );
    drop(stalled);
}

#[test]
fn busy_descriptors_pause_accepting_without_a_busy_loop_and_it_goes_on() {
    const CLIENTS: usize = 40;
    let scratch = Scratch::alone("descriptors");
    let (mut daemon, _api) = before(&scratch, "", Endpoint::echo);
    daemon.wait_connections(0);
    // Taken away while it runs, so that its own limit on connections, made from what it had at its start, does not help: enough for
    // some of the clients.
    let open =
        std::fs::read_dir(format!("/proc/{}/fd", daemon.process.pid())).expect("list descriptors").count();
    let limit = format!("--nofile={0}:{0}", open + CLIENTS);
    output(Command::new("prlimit").args(["--pid", &daemon.process.pid().to_string(), &limit]));
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(&daemon)).collect();
    let said = daemon.wait_logged(&["no new connections are accepted"]);
    eprintln!("descriptors: {said}");
    // The kernel accepts on the daemon's behalf; who is served has an echo.
    let served = clients
        .iter_mut()
        .filter_map(|client| {
            client.set_read_timeout(Some(Duration::from_millis(100))).expect("set a timeout");
            ping(client).ok()
        })
        .count();
    assert!(served > 0 && served < CLIENTS, "{served} of {CLIENTS} are served");
    let (before, started) = (daemon.process.usage(), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let share = (daemon.process.usage().cpu - before.cpu).as_secs_f64() / started.elapsed().as_secs_f64();
    eprintln!("descriptors: {served} of {CLIENTS} served, {:.1} % CPU while paused", share * 100.0);
    assert!(share < 0.2, "it spins: {share}");
    daemon.process.must_run();
    drop(clients);
    let mut client = wait_for("an echo on a new connection", PATIENCE, || {
        let mut client = connect(&daemon);
        client.set_read_timeout(Some(Duration::from_secs(1))).expect("set a timeout");
        ping(&mut client).ok().map(|()| client)
    });
    ping(&mut client).expect("a second echo");
    assert!(daemon.metric("bowline_accept_pauses_total", "") >= 1.0);
}

#[test]
fn the_connection_limit_holds_new_clients_back_until_there_is_room() {
    let scratch = Scratch::new("limit");
    let (daemon, _api) = before(&scratch, "connections: 4", Endpoint::echo);
    let mut first: Vec<TcpStream> = (0..4).map(|_| connect(&daemon)).collect();
    for client in &mut first {
        wait_for("an echo within the limit", PATIENCE, || ping(client).ok());
    }
    let mut fifth = connect(&daemon);
    fifth.set_read_timeout(Some(Duration::from_millis(300))).expect("set a timeout");
    fifth.write_all(b"x").expect("send into the kernel's queue");
    let waited = fifth.read(&mut [0]).expect_err("it has to wait");
    assert_eq!(waited.kind(), ErrorKind::WouldBlock, "{waited}");
    first.pop();
    fifth.set_read_timeout(Some(PATIENCE)).expect("set a timeout");
    let mut answer = [0];
    fifth.read_exact(&mut answer).expect("an echo when there is room");
    assert_eq!(&answer, b"x");
}
