//! The stand-in's listener and its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use socket2::{Domain, SockRef, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::answer::{self, Lease};
use super::queue::{BACKLOG, FullQueue, accept_all};
use super::{Command, Options, Order};

/// A client that has not finished its handshake by then is let go, as by a kube-apiserver.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// A new connection without a request by then is ended by a graceful stop (the 5 s of Go's `http.Server.Shutdown`).
const FIRST_REQUEST_LIMIT: Duration = Duration::from_secs(5);
/// When the process is out of descriptors accepting again at once would only spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// After the grace time watches end by themselves; connections that do not are cut after this.
const LINGER: Duration = Duration::from_secs(1);
/// Neither TLS nor HTTP.
const GARBAGE: &[u8] = b"\x00\xffthis is not what you asked for\r\n\r\n\x00\x01\x02\x03";

/// How connections are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Answering,
    Silent,
    Garbage,
    GarbageHttp,
}

/// What the commands have made of the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mode {
    pub(super) ready: bool,
    pub(super) live: bool,
    pub(super) authorized: bool,
    pub(super) overloaded: bool,
    pub(super) manner: Manner,
    pub(super) stopping: bool,
}

/// What every connection of the server shares.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) grace: Duration,
    pub(super) mode: watch::Receiver<Mode>,
    pub(super) leases: std::sync::Mutex<std::collections::BTreeMap<String, Lease>>,
}

/// A bound server.
pub(super) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    acceptor: TlsAcceptor,
    mode: watch::Sender<Mode>,
    shared: Arc<Shared>,
    connections: JoinSet<()>,
}

impl Server {
    /// Binds; to be called inside a runtime.
    pub(super) fn bind(options: Options) -> anyhow::Result<Self> {
        let acceptor = TlsAcceptor::from(Arc::new(tls(&options)?));
        let listener = listen(options.listen)
            .with_context(|| format!("{}: listening on {}", options.name, options.listen))?;
        let address = listener.local_addr()?;
        let mode = watch::Sender::new(Mode {
            ready: true,
            live: true,
            authorized: true,
            overloaded: false,
            manner: Manner::Answering,
            stopping: false,
        });
        let shared = Arc::new(Shared {
            name: options.name,
            grace: options.grace,
            mode: mode.subscribe(),
            leases: std::sync::Mutex::default(),
        });
        Ok(Self { listener, address, acceptor, mode, shared, connections: JoinSet::new() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop, or until nobody can give orders any more.
    pub(super) async fn serve(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut full: Option<FullQueue> = None;
        loop {
            tokio::select! {
                order = orders.recv() => {
                    let Some(Order { command, done }) = order else { return };
                    let result = self.obey(command, &mut full);
                    // Whoever gave the order may have stopped listening; the order stands.
                    drop(done.send(result.map_err(|error| error.to_string())));
                    if command == Command::Stop {
                        return self.stop(orders).await;
                    }
                }
                accepted = self.listener.accept(), if full.is_none() => match accepted {
                    Ok((client, _)) => self.take(client),
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    fn obey(&mut self, command: Command, full: &mut Option<FullQueue>) -> std::io::Result<()> {
        let mode = &self.mode;
        let manner = |manner| mode.send_modify(|mode| mode.manner = manner);
        match command {
            Command::NotReady => mode.send_modify(|mode| mode.ready = false),
            Command::Ready => mode.send_modify(|mode| mode.ready = true),
            Command::LivezFail => mode.send_modify(|mode| mode.live = false),
            Command::LivezOk => mode.send_modify(|mode| mode.live = true),
            Command::Unauthorized => mode.send_modify(|mode| mode.authorized = false),
            Command::Authorized => mode.send_modify(|mode| mode.authorized = true),
            Command::Overloaded => mode.send_modify(|mode| mode.overloaded = true),
            Command::Hang => manner(Manner::Silent),
            Command::Garbage => manner(Manner::Garbage),
            Command::GarbageHttp => manner(Manner::GarbageHttp),
            Command::Normal => mode.send_modify(|mode| {
                mode.overloaded = false;
                mode.manner = Manner::Answering;
            }),
            Command::FillQueue if full.is_none() => {
                let mut waiting = Vec::new();
                *full = Some(FullQueue::fill(&self.listener, |client| waiting.push(client))?);
                self.take_all(waiting)?;
            }
            Command::DrainQueue => {
                if let Some(full) = full.take() {
                    full.drain(&self.listener)?;
                }
            }
            Command::Stop => {
                mode.send_modify(|mode| mode.stopping = true);
                // Whom the kernel has connected by now would be reset with the listener; Go's accept loop has an own thread, and never
                // leaves anybody waiting there.
                let mut waiting = Vec::new();
                accept_all(&SockRef::from(&self.listener), &mut |client| waiting.push(client))?;
                self.take_all(waiting)?;
            }
            Command::FillQueue => {}
        }
        Ok(())
    }

    fn take_all(&mut self, clients: Vec<std::net::TcpStream>) -> std::io::Result<()> {
        for client in clients {
            self.take(TcpStream::from_std(client)?);
        }
        Ok(())
    }

    fn take(&mut self, client: TcpStream) {
        self.connections.spawn(connection(client, self.acceptor.clone(), Arc::clone(&self.shared)));
    }

    /// The rest of a graceful stop: no listener, watches end after the grace time, then nothing is left.
    async fn stop(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        drop(self.listener);
        let ended = async { while self.connections.join_next().await.is_some() {} };
        let abandoned = async { while orders.recv().await.is_some() {} };
        tokio::select! {
            () = ended => {}
            () = abandoned => {}
            () = tokio::time::sleep(self.shared.grace + LINGER) => {}
        }
    }
}

fn tls(options: &Options) -> anyhow::Result<ServerConfig> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(options.identity.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .with_context(|| format!("{}: reading the certificate", options.name))?;
    let key = PrivateKeyDer::from_pem_slice(options.identity.key.as_bytes())
        .with_context(|| format!("{}: reading the private key", options.name))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .with_context(|| format!("{}: using certificate and key", options.name))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // The outage client opens a hundred connections a second and resumes none: tickets would be made for the bin.
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

async fn connection(mut client: TcpStream, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    // Answers are small and wanted at once; a connection that refuses the option is about to end anyway.
    drop(client.set_nodelay(true));
    let mut mode = shared.mode.clone();
    let manner = mode.borrow_and_update().manner;
    match manner {
        Manner::Answering | Manner::GarbageHttp => {}
        Manner::Silent => return keep_silent(client, mode).await,
        Manner::Garbage => return rant(&mut client).await,
    }
    let Ok(Ok(mut tls)) = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(client)).await else {
        return;
    };
    if manner == Manner::GarbageHttp {
        return rant(&mut tls).await;
    }
    let is_http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let stopping = mode.clone();
    let io = TokioIo::new(tls);
    let speaking = async move {
        let (asked, is_asked) = watch::channel(false);
        let service = service_fn(move |request| {
            asked.send_replace(true);
            answer::answer(Arc::clone(&shared), request)
        });
        if is_http2 {
            let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(io, service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = told_to_stop(stopping, is_asked) => connection.as_mut().graceful_shutdown(),
            }
            drop(connection.await);
        } else {
            let connection = http1::Builder::new().serve_connection(io, service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => return,
                () = told_to_stop(stopping, is_asked) => connection.as_mut().graceful_shutdown(),
            }
            drop(connection.await);
        }
    };
    let cut = async {
        // A server that is gone tells nobody: then the connection's own end is the only one left to wait for.
        if mode.wait_for(|mode| matches!(mode.manner, Manner::Garbage | Manner::GarbageHttp)).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = speaking => {}
        () = cut => {}
    }
}

/// When the connection is to be ended: once the server is stopping, but like Go's `http.Server.Shutdown` not before a client that has
/// just connected got to ask its first question.
async fn told_to_stop(mut mode: watch::Receiver<Mode>, mut is_asked: watch::Receiver<bool>) {
    if mode.wait_for(|mode| mode.stopping).await.is_err() {
        std::future::pending::<()>().await;
    }
    // Too late, or no connection any more to ask on: the end is due either way.
    drop(tokio::time::timeout(FIRST_REQUEST_LIMIT, is_asked.wait_for(|is_asked| *is_asked)).await);
}

/// Reads and never answers, until the client goes or the server speaks again (then the connection ends: its handshake is long lost).
async fn keep_silent(mut client: TcpStream, mut mode: watch::Receiver<Mode>) {
    let mut buffer = [0; 4096];
    let read_on = async { while client.read(&mut buffer).await.is_ok_and(|count| count > 0) {} };
    tokio::select! {
        () = read_on => {}
        _ = mode.wait_for(|mode| mode.manner != Manner::Silent) => {}
    }
}

async fn rant(stream: &mut (impl tokio::io::AsyncWrite + Unpin)) {
    // The client may close on the first bytes; what it thinks of them is its own test.
    if stream.write_all(GARBAGE).await.is_ok() {
        drop(stream.shutdown().await);
    }
}
