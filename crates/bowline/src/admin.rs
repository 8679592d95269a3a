//! The admin listener: metrics, status and health of the daemon, on loopback or a unix socket.

use crate::events::Observer;
use crate::view::View;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bowline_plan::AdminListen;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};

/// OpenMetrics text, as its specification names it.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Admin connections at a time: a few scrapers and people. More wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 32;

/// How long a client may take to ask, the first time and again.
const REQUEST_WAIT: Duration = Duration::from_secs(30);

/// The bytes of a request's head that are read; the least that hyper offers.
const HEAD_MAX: usize = 8 << 10;

/// How long nothing is accepted after an accept failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the daemon is asked how it is.
pub type Asks = mpsc::Sender<oneshot::Sender<View>>;

/// The admin listener cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("admin listener {listen}: {message}")]
pub struct AdminBindError {
    /// Where it was to listen.
    listen: String,
    /// What went wrong, naming the owner of a port that is taken.
    message: String,
    source: io::Error,
}

/// A bound admin listener that nobody serves yet.
#[derive(Debug)]
pub struct Bound {
    listen: AdminListen,
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A served admin listener; it ends, and its unix socket goes, when this is dropped.
#[derive(Debug)]
pub struct Admin {
    listen: AdminListen,
    task: JoinHandle<()>,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.task.abort();
        match &self.listen {
            AdminListen::Tcp(_) => {}
            AdminListen::Unix(path) => {
                // Gone already is as good.
                let _gone = fs::remove_file(path);
            }
        }
    }
}

impl Admin {
    /// Where it listens.
    pub const fn listen(&self) -> &AdminListen {
        &self.listen
    }
}

/// Opens the admin listener.
///
/// # Errors
///
/// The address is taken or cannot be used.
pub fn bind(listen: &AdminListen) -> Result<Bound, AdminBindError> {
    let socket = match listen {
        AdminListen::Tcp(address) => bind_tcp(*address).map(Socket::Tcp),
        AdminListen::Unix(path) => bind_unix(Path::new(path)).map(Socket::Unix),
    };
    socket.map(|socket| Bound { listen: listen.clone(), socket }).map_err(|source| AdminBindError {
        listen: listen.to_string(),
        message: describe(listen, &source),
        source,
    })
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Binds the socket at `path`, in the place of one that a daemon left behind when it was killed.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    if is_socket
        && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    {
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn describe(listen: &AdminListen, error: &io::Error) -> String {
    let owner = match listen {
        AdminListen::Tcp(address) if error.kind() == io::ErrorKind::AddrInUse => {
            bowline_sys::owner::of_listener(*address).map(|owner| owner.to_string())
        }
        AdminListen::Tcp(_) | AdminListen::Unix(_) => None,
    };
    match owner {
        Some(owner) => format!("taken by {owner}; stop it, or give another with admin.listen or --admin"),
        None => format!("{error}; give another with admin.listen or --admin"),
    }
}

impl Bound {
    /// Serves requests from within a runtime.
    ///
    /// # Errors
    ///
    /// The runtime cannot take the socket.
    pub fn serve(self, observer: Arc<Observer>, asks: Asks) -> io::Result<Admin> {
        let router = router(observer, asks);
        let listener = match self.socket {
            Socket::Tcp(listener) => Listener::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Socket::Unix(listener) => Listener::Unix(tokio::net::UnixListener::from_std(listener)?),
        };
        Ok(Admin { listen: self.listen, task: tokio::spawn(serve(listener, router)) })
    }
}

enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

/// Whoever asks, over whatever kind of socket.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(listener) => Ok(Box::new(listener.accept().await?.0)),
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
        }
    }
}

/// Serves until the task is aborted, which ends its connections too.
async fn serve(listener: Listener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok(stream) => {
                    connections.spawn(converse(stream, router.clone()));
                }
                // For want of descriptors, mostly; the workers say so in the log.
                Err(_error) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: Box<dyn Stream>, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_WAIT)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // How a connection to the admin listener ends is of no interest.
    let _ended = connection.await;
}

#[derive(Clone)]
struct Context {
    observer: Arc<Observer>,
    asks: Asks,
}

fn router(observer: Arc<Observer>, asks: Asks) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(Context { observer, asks })
}

/// The daemon is on its way out and answers nothing any more.
struct Gone;

impl IntoResponse for Gone {
    fn into_response(self) -> Response {
        (StatusCode::SERVICE_UNAVAILABLE, "the daemon is stopping\n").into_response()
    }
}

impl Context {
    async fn view(&self) -> Result<View, Gone> {
        let (reply, view) = oneshot::channel();
        self.asks.send(reply).await.map_err(|_| Gone)?;
        view.await.map_err(|_| Gone)
    }
}

async fn metrics(State(context): State<Context>) -> Result<Response, Gone> {
    let view = context.view().await?;
    let text = context.observer.metrics().encode(&view);
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

async fn status(State(context): State<Context>) -> Result<Response, Gone> {
    Ok(axum::Json(context.view().await?.status()).into_response())
}

async fn readyz(State(context): State<Context>) -> Result<Response, Gone> {
    let reasons = context.view().await?.unready();
    if reasons.is_empty() {
        return Ok("ok\n".into_response());
    }
    Ok((StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n").into_response())
}

/// An admin address that cannot be one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseAdminError(String);

impl fmt::Display for ParseAdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseAdminError {}

/// Reads an admin address as the command line has it: `127.0.0.1:9643`, `[::1]:9643` or `unix:/run/bowline.sock`.
///
/// # Errors
///
/// It is none of these, or an address that others can reach.
pub fn parse_listen(text: &str) -> Result<AdminListen, ParseAdminError> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        if !path.is_absolute() {
            return Err(ParseAdminError(
                "a unix socket needs an absolute path: unix:/run/bowline.sock".into(),
            ));
        }
        return Ok(AdminListen::Unix(path.display().to_string()));
    }
    let address: SocketAddr = text
        .parse()
        .map_err(|_| ParseAdminError("give ADDRESS:PORT, as in 127.0.0.1:9643, or unix:/PATH".into()))?;
    if !address.ip().is_loopback() {
        return Err(ParseAdminError(format!(
            "{} is not a loopback address; the admin listener has no access control, give 127.0.0.1 or [::1]",
            address.ip()
        )));
    }
    Ok(AdminListen::Tcp(address))
}

#[cfg(test)]
mod tests;
