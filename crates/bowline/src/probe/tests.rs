//! Probes against real servers in this process: stand-in API servers, and bare sockets where a server would be too polite.

use super::*;
use bowline_lab::certs::{Authority, Identity, Validity};
use bowline_lab::fleet::Scratch;
use bowline_lab::standin::{Command, Options, Standin};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::thread;
use tokio::runtime::Runtime;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Short where a time-out is what is tested, for the sake of the tests' time.
const SHORT: Timeouts =
    Timeouts { answer: Duration::from_millis(100), handshake: Duration::from_millis(300) };

/// So long that a busy machine does not turn an answer into a time-out.
const LONG: Timeouts = Timeouts { answer: Duration::from_secs(10), handshake: Duration::from_secs(10) };

/// One authority, its files, and a runtime that keeps the probers' connections.
struct Bench {
    runtime: Runtime,
    authority: Authority,
    scratch: Scratch,
}

impl Bench {
    fn new() -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            authority: Authority::new("test").expect("an authority"),
            scratch: Scratch::new("probe").expect("a directory"),
        }
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.scratch.path().join(name);
        // Replaced as a whole, as a careful administrator does it.
        let new = path.with_extension("new");
        fs::write(&new, content).expect("write a file");
        fs::rename(&new, &path).expect("put a file in its place");
        path
    }

    /// Credentials with the authority's own bundle.
    fn credentials(&self) -> Credentials {
        let ca = Some(self.file("ca.pem", &self.authority.pem()));
        Credentials::load(Files { ca, ..Files::default() }).expect("credentials")
    }

    fn server(&self) -> Standin {
        self.server_with(&self.identity(&[LOCALHOST], Validity::Current))
    }

    fn identity(&self, addresses: &[IpAddr], validity: Validity) -> Identity {
        self.authority.server("api", addresses, &["api.test"], validity).expect("a certificate")
    }

    fn server_with(&self, identity: &Identity) -> Standin {
        Standin::start(Options {
            name: "cp1".into(),
            listen: (LOCALHOST, 0).into(),
            identity: identity.clone(),
            grace: Duration::from_secs(1),
        })
        .expect("a stand-in")
    }

    fn probe(&self, prober: &mut Prober, credentials: &Credentials, timeouts: Timeouts) -> ProbeResult {
        let (material, _) = credentials.current();
        self.runtime.block_on(prober.probe(&material, timeouts, false))
    }

    /// What one probe of a new prober says about `address`, with the right bundle.
    fn probe_once(&self, address: SocketAddr, timeouts: Timeouts) -> ProbeResult {
        self.probe(&mut Prober::new(address), &self.credentials(), timeouts)
    }
}

fn failure(result: ProbeResult) -> ProbeFailure {
    match result {
        ProbeResult::Failed(failure) => failure,
        ProbeResult::Answered { .. } => panic!("the probe succeeded: {result:?}"),
    }
}

fn certificate(result: ProbeResult) -> Certificate {
    match result {
        ProbeResult::Answered { certificate, .. } => certificate,
        ProbeResult::Failed(failure) => panic!("the probe failed: {failure:?}"),
    }
}

/// A peer that does `serve` with each connection, for as long as the test's process runs.
fn peer(serve: impl Fn(std::net::TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((LOCALHOST, 0)).expect("a listener");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || listener.incoming().flatten().for_each(serve));
    address
}

#[test]
fn the_first_probe_connects_and_the_second_uses_the_same_connection() {
    let bench = Bench::new();
    let (server, credentials) = (bench.server(), bench.credentials());
    let mut prober = Prober::new(server.address());
    let first = bench.probe(&mut prober, &credentials, LONG);
    let ProbeResult::Answered { readyz, livez, certificate, connect } = first else { panic!("{first:?}") };
    assert_eq!((readyz, livez, certificate), (Status::Ok, None, Certificate::Verified));
    assert!(connect.is_some_and(|took| took < Duration::from_secs(10)));
    let second = bench.probe(&mut prober, &credentials, LONG);
    assert!(matches!(second, ProbeResult::Answered { connect: None, .. }), "{second:?}");
}

#[test]
fn a_fresh_probe_connects_anew() {
    let bench = Bench::new();
    let (server, credentials) = (bench.server(), bench.credentials());
    let mut prober = Prober::new(server.address());
    bench.probe(&mut prober, &credentials, LONG);
    let (material, _) = credentials.current();
    let fresh = bench.runtime.block_on(prober.probe(&material, LONG, true));
    assert!(matches!(fresh, ProbeResult::Answered { connect: Some(_), .. }), "{fresh:?}");
}

#[test]
fn statuses_are_told_apart_and_livez_is_asked_when_readyz_fails() {
    let bench = Bench::new();
    let (server, credentials) = (bench.server(), bench.credentials());
    let mut prober = Prober::new(server.address());
    let cases = [
        (Command::NotReady, Command::Ready, Status::Failing(500), Some(Status::Ok)),
        (Command::LivezFail, Command::LivezOk, Status::Failing(500), Some(Status::Failing(500))),
        (Command::Unauthorized, Command::Authorized, Status::Unauthorized, None),
        (Command::Overloaded, Command::Normal, Status::TooManyRequests, None),
    ];
    for (fault, repair, expected_readyz, expected_livez) in cases {
        server.command(fault).expect("the fault");
        let result = bench.probe(&mut prober, &credentials, LONG);
        let ProbeResult::Answered { readyz, livez, .. } = result else { panic!("{fault}: {result:?}") };
        assert_eq!((readyz, livez), (expected_readyz, expected_livez), "{fault}");
        server.command(repair).expect("the repair");
    }
}

#[test]
fn a_bad_certificate_has_its_reason_and_the_probe_goes_on() {
    let bench = Bench::new();
    let elsewhere = [IpAddr::from([192, 0, 2, 1])];
    let expired = bench.server_with(&bench.identity(&[LOCALHOST], Validity::Expired));
    let future = bench.server_with(&bench.identity(&[LOCALHOST], Validity::Future));
    let misnamed = bench.server_with(&bench.identity(&elsewhere, Validity::Current));
    let foreign = Authority::new("foreign").expect("an authority");
    let identity = foreign.server("api", &[LOCALHOST], &[], Validity::Current).expect("a certificate");
    let foreign = bench.server_with(&identity);
    let rejected = |why: &str| Certificate::Rejected(why.into());
    assert_eq!(certificate(bench.probe_once(expired.address(), LONG)), rejected("certificate expired"));
    assert_eq!(certificate(bench.probe_once(future.address(), LONG)), rejected("certificate not valid yet"));
    assert_eq!(certificate(bench.probe_once(misnamed.address(), LONG)), Certificate::NameMismatch);
    assert_eq!(
        certificate(bench.probe_once(foreign.address(), LONG)),
        rejected("certificate not signed by the CA in caFile")
    );
}

#[test]
fn without_a_bundle_the_certificate_is_unverified() {
    let bench = Bench::new();
    let server = bench.server();
    let credentials = Credentials::load(Files::default()).expect("no credentials are fine");
    let result = bench.probe(&mut Prober::new(server.address()), &credentials, LONG);
    assert_eq!(certificate(result), Certificate::Unverified);
}

#[test]
fn a_replaced_bundle_judges_the_open_connection_anew() {
    let bench = Bench::new();
    let (server, credentials) = (bench.server(), bench.credentials());
    let mut prober = Prober::new(server.address());
    assert_eq!(certificate(bench.probe(&mut prober, &credentials, LONG)), Certificate::Verified);
    let other = Authority::new("other").expect("an authority");
    bench.file("ca.pem", &other.pem());
    let second = bench.probe(&mut prober, &credentials, LONG);
    assert!(matches!(second, ProbeResult::Answered { connect: None, .. }), "{second:?}");
    assert_eq!(
        certificate(second),
        Certificate::Rejected("certificate not signed by the CA in caFile".into())
    );
}

#[test]
fn a_bundle_that_becomes_garbage_is_refused_once_and_the_old_one_stays() {
    let bench = Bench::new();
    let (server, credentials) = (bench.server(), bench.credentials());
    bench.file("ca.pem", "garbage");
    let (material, refresh) = credentials.current();
    assert!(matches!(&refresh, Refresh::Failed(problems) if problems.len() == 1), "{refresh:?}");
    assert!(matches!(credentials.current().1, Refresh::Unchanged), "said once");
    let result = bench.runtime.block_on(Prober::new(server.address()).probe(&material, LONG, false));
    assert_eq!(certificate(result), Certificate::Verified);
    bench.file("ca.pem", &bench.authority.pem());
    assert!(matches!(credentials.current().1, Refresh::Changed));
}

#[test]
fn a_closed_port_is_refused() {
    let bench = Bench::new();
    let address = TcpListener::bind((LOCALHOST, 0)).and_then(|gone| gone.local_addr()).expect("a free port");
    assert_eq!(failure(bench.probe_once(address, LONG)), ProbeFailure::Refused);
}

#[test]
fn a_server_that_closes_or_hangs_is_told_by_its_stage() {
    let bench = Bench::new();
    assert_eq!(
        failure(bench.probe_once(peer(drop), LONG)),
        ProbeFailure::Closed(Stage::Handshake),
        "accepts and closes"
    );
    let held = std::sync::Mutex::new(Vec::new());
    let silent = peer(move |stream| held.lock().expect("held streams").push(stream));
    assert_eq!(
        failure(bench.probe_once(silent, SHORT)),
        ProbeFailure::TimedOut(Stage::Handshake),
        "accepts and says nothing"
    );
}

/// The time for an answer is enough for a connect, and a handshake has its own.
#[test]
fn a_connect_that_stays_silent_is_given_up_before_a_handshake_would_be() {
    let bench = Bench::new();
    let server = bench.server();
    server.command(Command::FillQueue).expect("a full queue");
    let timeouts = Timeouts { answer: Duration::from_millis(200), ..LONG };
    let failed = failure(bench.probe_once(server.address(), timeouts));
    assert_eq!(failed, ProbeFailure::TimedOut(Stage::Connect));
    server.command(Command::DrainQueue).expect("a queue with room");
    server.command(Command::Hang).expect("a server that says nothing");
    let timeouts = Timeouts { answer: LONG.answer, handshake: Duration::from_millis(200) };
    let failed = failure(bench.probe_once(server.address(), timeouts));
    assert_eq!(failed, ProbeFailure::TimedOut(Stage::Handshake));
}

/// The kernel would try again after a second, which is too late here.
#[test]
fn a_connect_is_tried_again_before_the_kernel_does_it() {
    /// One is enough, on a machine that has the time for it.
    const ATTEMPTS: usize = 5;
    let bench = Bench::new();
    let server = bench.server();
    let timeouts = Timeouts { answer: Duration::from_millis(900), ..LONG };
    let connects = |_| {
        server.command(Command::FillQueue).expect("a full queue");
        let (probing, is_probing) = std::sync::mpsc::channel();
        let server = &server;
        let result = thread::scope(|scope| {
            scope.spawn(move || {
                is_probing.recv().expect("a probe");
                thread::sleep(Duration::from_millis(100));
                server.command(Command::DrainQueue).expect("a queue with room");
            });
            probing.send(()).expect("somebody who listens");
            bench.probe_once(server.address(), timeouts)
        });
        matches!(result, ProbeResult::Answered { .. })
    };
    assert!((0..ATTEMPTS).any(connects), "no connect came through after the first SYN");
}

#[test]
fn garbage_is_told_from_tls_and_http() {
    let bench = Bench::new();
    let server = bench.server();
    server.command(Command::Garbage).expect("garbage");
    assert!(matches!(failure(bench.probe_once(server.address(), LONG)), ProbeFailure::NotTls(_)));
    server.command(Command::GarbageHttp).expect("garbage over TLS");
    assert!(matches!(failure(bench.probe_once(server.address(), LONG)), ProbeFailure::NotHttp(_)));
}

#[test]
fn an_overdue_answer_gets_one_more_probe_before_a_new_connection_is_tried() {
    let bench = Bench::new();
    let (server, credentials) = (bench.server(), bench.credentials());
    let mut prober = Prober::new(server.address());
    bench.probe(&mut prober, &credentials, LONG);
    server.command(Command::Hang).expect("hang");
    let stages = [Stage::Request, Stage::Request, Stage::Handshake];
    for stage in stages {
        assert_eq!(failure(bench.probe(&mut prober, &credentials, SHORT)), ProbeFailure::TimedOut(stage));
    }
    server.command(Command::Normal).expect("normal");
    let result = bench.probe(&mut prober, &credentials, LONG);
    assert!(matches!(result, ProbeResult::Answered { readyz: Status::Ok, .. }), "{result:?}");
}

#[test]
fn a_connection_that_the_server_closed_in_between_is_no_evidence() {
    let bench = Bench::new();
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec();
    let address = tls_peer(&bench.identity(&[LOCALHOST], Validity::Current), answer, After::Close);
    let (credentials, mut prober) = (bench.credentials(), Prober::new(address));
    for _ in 0..3 {
        let result = bench.probe(&mut prober, &credentials, LONG);
        assert!(matches!(result, ProbeResult::Answered { connect: Some(_), .. }), "{result:?}");
    }
}

#[test]
fn an_answer_that_waited_for_a_stalled_host_is_no_time_out() {
    let bench = Bench::new();
    let (server, credentials) = (bench.server(), bench.credentials());
    let mut prober = Prober::new(server.address());
    bench.probe(&mut prober, &credentials, LONG);
    for fault in [Command::Ready, Command::NotReady] {
        server.command(fault).expect("a command");
        let (material, _) = credentials.current();
        let result = bench.runtime.block_on(async {
            let stall = async {
                // Lets the question out, and then nothing run on this thread for three times the time-out.
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                }
                thread::sleep(3 * SHORT.answer);
            };
            tokio::join!(prober.probe(&material, SHORT, false), stall).0
        });
        assert!(matches!(result, ProbeResult::Answered { connect: None, .. }), "{fault}: {result:?}");
    }
}

/// What a peer does after its answer.
#[derive(Clone, Copy, PartialEq)]
enum After {
    Close,
    WaitForClose,
}

/// Shakes hands with `identity` and writes `answer` to whoever asks, once on each connection.
fn tls_peer(identity: &Identity, answer: Vec<u8>, after: After) -> SocketAddr {
    let (chain, key) = pair(identity);
    let config = server_builder().with_no_client_auth().with_single_cert(chain, key).expect("a server");
    tls_peer_with(config, after, move |_request| answer.clone())
}

fn pair(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("a certificate");
    (vec![certificate], PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).expect("a key"))
}

fn server_builder() -> rustls::ConfigBuilder<rustls::ServerConfig, rustls::WantsVerifier> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider);
    builder.with_safe_default_protocol_versions().expect("versions")
}

fn tls_peer_with(
    config: rustls::ServerConfig,
    after: After,
    answer: impl Fn(&str) -> Vec<u8> + Send + 'static,
) -> SocketAddr {
    let config = Arc::new(config);
    peer(move |mut stream| {
        let Ok(mut session) = rustls::ServerConnection::new(Arc::clone(&config)) else { return };
        let mut tls = rustls::Stream::new(&mut session, &mut stream);
        let mut request = [0u8; 1024];
        let Ok(length) = tls.read(&mut request) else { return };
        // The prober hangs up when it has read enough, so that this may fail.
        let _told = tls.write_all(&answer(&String::from_utf8_lossy(&request[..length])));
        while after == After::WaitForClose && tls.read(&mut request).is_ok_and(|length| length > 0) {}
    })
}

#[test]
fn a_client_certificate_and_a_token_are_shown() {
    let bench = Bench::new();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(bench.authority.pem().as_bytes()).expect("a CA"))
        .expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let (chain, key) = pair(&bench.identity(&[LOCALHOST], Validity::Current));
    let config = server_builder()
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(chain, key)
        .expect("a server");
    let address = tls_peer_with(config, After::Close, |request| {
        let is_known = request.to_ascii_lowercase().contains("\r\nauthorization: bearer secret\r\n");
        let status = if is_known { "200 OK" } else { "403 Forbidden" };
        format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").into_bytes()
    });
    let client = bench.authority.client("bowline", Validity::Current).expect("a certificate");
    let without_token = Files {
        client_certificate: Some(bench.file("client.pem", &client.certificate)),
        client_key: Some(bench.file("client.key", &client.key)),
        ..Files::default()
    };
    let with_token = Files { token: Some(bench.file("token", "secret\n")), ..without_token.clone() };
    for (files, expected) in [(without_token, Status::Unauthorized), (with_token, Status::Ok)] {
        let credentials = Credentials::load(files).expect("credentials");
        let result = bench.probe(&mut Prober::new(address), &credentials, LONG);
        let ProbeResult::Answered { readyz, .. } = result else { panic!("{result:?}") };
        assert_eq!(readyz, expected);
    }
    let nobody = Credentials::load(Files::default()).expect("no credentials are fine");
    let refused = failure(bench.probe(&mut Prober::new(address), &nobody, LONG));
    assert!(matches!(refused, ProbeFailure::NotTls(_) | ProbeFailure::Closed(_)), "{refused:?}");
}

#[test]
fn a_body_without_end_is_answered_by_its_status_and_not_read_on() {
    let bench = Bench::new();
    let mut answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n".to_vec();
    answer.resize(64 << 10, b'x');
    let address = tls_peer(&bench.identity(&[LOCALHOST], Validity::Current), answer, After::WaitForClose);
    let credentials = bench.credentials();
    let mut prober = Prober::new(address);
    for _ in 0..2 {
        let result = bench.probe(&mut prober, &credentials, LONG);
        assert!(
            matches!(result, ProbeResult::Answered { readyz: Status::Ok, connect: Some(_), .. }),
            "{result:?}"
        );
    }
}

#[test]
fn a_head_without_end_is_not_http() {
    let bench = Bench::new();
    let mut answer = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    answer.resize(64 << 10, b'x');
    let address = tls_peer(&bench.identity(&[LOCALHOST], Validity::Current), answer, After::WaitForClose);
    assert!(matches!(failure(bench.probe_once(address, LONG)), ProbeFailure::NotHttp(_)));
}

#[test]
fn wrong_files_are_all_told_at_once() {
    let bench = Bench::new();
    let files = Files {
        ca: Some(bench.file("ca.pem", "no PEM at all")),
        client_certificate: Some(bench.scratch.path().join("missing.pem")),
        client_key: Some(bench.file("client.key", &bench.authority.pem())),
        token: Some(bench.file("token", "\n")),
    };
    let problems = Credentials::load(files).expect_err("four wrong files");
    let folder = format!("{}/", bench.scratch.path().display());
    let told: Vec<_> =
        problems.iter().map(|problem| (problem.field, problem.message.replace(&folder, ""))).collect();
    let expected = [
        ("caFile", "ca.pem holds no certificate"),
        ("clientCertFile", "cannot read missing.pem: No such file or directory (os error 2)"),
        ("clientKeyFile", "client.key holds no private key: no items found"),
        ("tokenFile", "token holds no bearer token"),
    ];
    assert_eq!(told, expected.map(|(field, message)| (field, message.to_owned())));
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let bench = Bench::new();
    let (one, other) = (
        bench.authority.client("one", Validity::Current).expect("a certificate"),
        bench.authority.client("other", Validity::Current).expect("a certificate"),
    );
    let files = Files {
        client_certificate: Some(bench.file("client.pem", &one.certificate)),
        client_key: Some(bench.file("client.key", &other.key)),
        ..Files::default()
    };
    let problems = Credentials::load(files).expect_err("a wrong key");
    assert_eq!(problems.iter().map(|problem| problem.field).collect::<Vec<_>>(), ["clientKeyFile"]);
}
