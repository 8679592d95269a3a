use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Runtime;

use super::*;
use crate::certs::{Authority, Validity};

/// Far more than any step of these tests takes: reached, it is a failure.
const LIMIT: Duration = Duration::from_secs(10);
/// Long enough for an answer that is on its way to arrive, when the claim is that none is.
const SILENCE: Duration = Duration::from_millis(300);
const WATCH: &str = "/api/v1/pods?watch=1";

struct Lab {
    authority: Authority,
    standin: Standin,
    runtime: Runtime,
}

impl Lab {
    fn new() -> Self {
        let authority = Authority::new("test CA").expect("authority");
        let ip = Ipv4Addr::LOCALHOST.into();
        let identity = authority.server("cp1", &[ip], &["localhost"], Validity::Current).expect("identity");
        let options = Options {
            name: "cp1".to_owned(),
            listen: (ip, 0).into(),
            identity,
            grace: Duration::from_millis(500),
        };
        let standin = Standin::start(options).expect("stand-in");
        Self { authority, standin, runtime: runtime().expect("runtime") }
    }

    /// Sends one request on a connection of its own; the answer's body is still to be read.
    async fn send(
        &self,
        alpn: &str,
        method: &str,
        path: &str,
        body: &str,
    ) -> anyhow::Result<Response<Incoming>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let tcp = tokio::net::TcpStream::connect(self.standin.address()).await?;
        let name = ServerName::try_from("127.0.0.1")?;
        let tls = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        assert_eq!(tls.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()));
        let request = Request::builder()
            .method(method)
            .uri(format!("https://127.0.0.1{path}"))
            .header("host", "127.0.0.1")
            .body(Full::new(bytes::Bytes::from(body.to_owned())))?;
        let io = TokioIo::new(tls);
        if alpn == "h2" {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            Ok(sender.send_request(request).await?)
        } else {
            let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
            tokio::spawn(connection);
            Ok(sender.send_request(request).await?)
        }
    }

    fn ask(&self, alpn: &str, method: &str, path: &str, body: &str) -> anyhow::Result<(u16, String)> {
        self.runtime.block_on(async {
            tokio::time::timeout(LIMIT, async {
                let response = self.send(alpn, method, path, body).await?;
                assert_eq!(response.headers()["server"], "cp1");
                let code = response.status().as_u16();
                let body = response.into_body().collect().await?.to_bytes();
                Ok((code, String::from_utf8(body.to_vec())?))
            })
            .await?
        })
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.ask("http/1.1", "GET", path, "").expect("an answer")
    }

    fn command(&self, command: Command) {
        self.standin.command(command).expect("command");
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect_timeout(&self.standin.address(), LIMIT).expect("connecting")
    }
}

#[test]
fn every_command_has_a_word() {
    for (word, command) in Command::ALL {
        assert_eq!(word.parse::<Command>().expect("a word of ALL"), command);
        assert_eq!(command.to_string(), word);
    }
    assert!("no such word".parse::<Command>().is_err());
}

#[test]
fn it_answers_over_both_versions_of_http_and_says_who_it_is() {
    let lab = Lab::new();
    for alpn in ["http/1.1", "h2"] {
        let (code, body) = lab.ask(alpn, "GET", "/version", "").expect("version");
        assert_eq!(code, 200);
        assert!(body.contains("v1.32.0+cp1"), "{body}");
        assert_eq!(lab.ask(alpn, "GET", "/readyz", "").expect("readyz"), (200, "ok".to_owned()));
        assert_eq!(lab.ask(alpn, "GET", "/nothing", "").expect("nothing").0, 404);
    }
}

#[test]
fn health_follows_the_commands() {
    let lab = Lab::new();
    let health = || (lab.get("/readyz").0, lab.get("/livez").0);
    assert_eq!(health(), (200, 200));
    lab.command(Command::NotReady);
    assert_eq!(health(), (500, 200));
    lab.command(Command::Ready);
    lab.command(Command::LivezFail);
    assert_eq!(health(), (500, 500));
    lab.command(Command::LivezOk);
    lab.command(Command::Unauthorized);
    assert_eq!(health(), (401, 401));
    lab.command(Command::Authorized);
    lab.command(Command::Overloaded);
    assert_eq!(health(), (429, 429));
    lab.command(Command::Normal);
    assert_eq!(health(), (200, 200));
}

#[test]
fn a_watch_sends_events_and_a_silent_one_none() {
    let lab = Lab::new();
    lab.runtime.block_on(async {
        for alpn in ["http/1.1", "h2"] {
            let mut body = lab.send(alpn, "GET", WATCH, "").await.expect("watch").into_body();
            for number in 1..=3 {
                let frame = tokio::time::timeout(LIMIT, body.frame())
                    .await
                    .expect("in time")
                    .expect("open")
                    .expect("read");
                let event: serde_json::Value =
                    serde_json::from_slice(frame.data_ref().expect("data")).expect("JSON");
                assert_eq!(event["object"]["metadata"]["resourceVersion"], number.to_string());
            }
        }
        let mut silent =
            lab.send("http/1.1", "GET", &format!("{WATCH}&events=0"), "").await.expect("watch").into_body();
        assert!(
            tokio::time::timeout(SILENCE, silent.frame()).await.is_err(),
            "a silent watch said something"
        );
    });
}

#[test]
fn a_graceful_stop_refuses_at_once_and_ends_watches_cleanly_after_the_grace_time() {
    let lab = Lab::new();
    let mut watch = lab.runtime.block_on(lab.send("http/1.1", "GET", WATCH, "")).expect("watch").into_body();
    lab.command(Command::Stop);
    let stopped = Instant::now();
    loop {
        match TcpStream::connect_timeout(&lab.standin.address(), LIMIT) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => break,
            other => assert!(stopped.elapsed() < LIMIT, "the listener is still there: {other:?}"),
        }
    }
    let events = lab.runtime.block_on(async {
        let mut events = 0;
        while let Some(frame) = tokio::time::timeout(LIMIT, watch.frame()).await.expect("the watch ends") {
            frame.expect("a clean end");
            events += 1;
        }
        events
    });
    assert!(stopped.elapsed() >= Duration::from_millis(450), "ended after {:?}", stopped.elapsed());
    assert!(events >= 3, "only {events} events after the stop");
}

#[test]
fn a_lease_is_put_only_over_the_version_that_was_read() {
    let lab = Lab::new();
    let path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-1";
    let put = |body: &str| lab.ask("http/1.1", "PUT", path, body).expect("answer");
    assert_eq!(lab.get(path).0, 404);
    let (code, created) = put(r#"{"metadata":{"name":"node-1"}}"#);
    assert_eq!(code, 200);
    assert!(created.contains(r#""resourceVersion":"1""#), "{created}");
    assert_eq!(put(&created).0, 200);
    assert_eq!(put(&created).0, 409, "the version that was read is gone");
    assert!(lab.get(path).1.contains(r#""resourceVersion":"2""#));
    assert_eq!(put("[1]").0, 400);
    assert_eq!(put(r#"{"metadata":3}"#).0, 400);
    assert_eq!(put(&"x".repeat(100_000)).0, 413);
}

#[test]
fn a_hanging_server_accepts_and_says_nothing() {
    let lab = Lab::new();
    lab.command(Command::Hang);
    let mut connection = lab.connect();
    connection.set_read_timeout(Some(SILENCE)).expect("timeout");
    connection.write_all(b"\x16\x03\x01").expect("writing");
    let error = connection.read(&mut [0; 16]).expect_err("silence");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    lab.command(Command::Normal);
    assert_eq!(lab.get("/readyz").0, 200);
}

#[test]
fn garbage_is_neither_tls_nor_http() {
    let lab = Lab::new();
    let open = lab.runtime.block_on(lab.send("http/1.1", "GET", WATCH, "")).expect("watch");
    lab.command(Command::Garbage);
    let mut answer = Vec::new();
    let mut connection = lab.connect();
    connection.set_read_timeout(Some(LIMIT)).expect("timeout");
    // The server closes with our bytes unread if we send any, which would end this in a reset.
    connection.read_to_end(&mut answer).expect("reading");
    assert!(answer.starts_with(b"\x00\xff"), "{answer:?}");
    let ended = lab.runtime.block_on(async { tokio::time::timeout(LIMIT, open.into_body().collect()).await });
    assert!(ended.expect("the open watch ends").is_err(), "a watch that is cut is not complete");
    lab.command(Command::GarbageHttp);
    assert!(lab.ask("http/1.1", "GET", "/readyz", "").is_err());
    lab.command(Command::Normal);
    assert_eq!(lab.get("/readyz").0, 200);
}

#[test]
fn a_full_queue_answers_no_syn() {
    let lab = Lab::new();
    assert_eq!(lab.get("/readyz").0, 200);
    lab.command(Command::FillQueue);
    lab.command(Command::FillQueue);
    for _ in 0..3 {
        let error = TcpStream::connect_timeout(&lab.standin.address(), SILENCE).expect_err("silence");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
    lab.command(Command::DrainQueue);
    assert_eq!(lab.get("/readyz").0, 200);
}

#[test]
fn a_full_queue_does_not_lose_the_clients_that_were_in_it() {
    let lab = Lab::new();
    let waiting: Vec<TcpStream> = (0..20).map(|_| lab.connect()).collect();
    lab.command(Command::FillQueue);
    for mut client in waiting {
        client.set_read_timeout(Some(LIMIT)).expect("timeout");
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").expect("writing");
        // Not TLS, so the server's answer is an alert (or the end): either says that it was served.
        let mut answer = [0; 1];
        let read = client.read(&mut answer);
        assert!(
            !read.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
            "left in the dark: {read:?}"
        );
    }
}

#[test]
fn curl_and_openssl_agree() {
    let lab = Lab::new();
    let directory = std::env::temp_dir().join(format!("bowline-stand-in-test-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("directory");
    let ca = directory.join("ca.crt");
    std::fs::write(&ca, lab.authority.pem()).expect("CA file");
    let address = lab.standin.address();
    for options in [["--http1.1", "--tlsv1.3"], ["--http2", "--tlsv1.3"], ["--http1.1", "--tls-max=1.2"]] {
        let url = format!("https://{address}/version");
        let output = std::process::Command::new("curl")
            .args(["--silent", "--show-error", "--fail", "--max-time", "10", "--cacert"])
            .arg(&ca)
            .args(options[1].split('='))
            .args([options[0], &url])
            .stdin(Stdio::null())
            .output();
        let Ok(output) = output else {
            println!("skipped: curl is not installed");
            break;
        };
        assert!(output.status.success(), "curl {options:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("v1.32.0+cp1"));
    }
    let openssl = std::process::Command::new("openssl")
        .args([
            "s_client",
            "-brief",
            "-verify_return_error",
            "-verify_ip",
            "127.0.0.1",
            "-alpn",
            "h2",
            "-CAfile",
        ])
        .arg(&ca)
        .args(["-connect", &address.to_string()])
        .stdin(Stdio::null())
        .output();
    match openssl {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && said.contains("Verification: OK"), "openssl: {said}");
        }
        Err(_) => println!("skipped: openssl is not installed"),
    }
    std::fs::remove_dir_all(&directory).expect("removing the directory");
}
