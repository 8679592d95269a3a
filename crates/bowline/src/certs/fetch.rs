//! Asks a server for the chain it shows.

use crate::handshake::{Shown, client_config};
use rustls::Error as TlsError;
use rustls::pki_types::{CertificateDer, ServerName};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// A server answers within milliseconds; one that does not for so long is not well.
const PATIENCE: Duration = Duration::from_secs(5);

/// The port of a URL that names none.
const HTTPS_PORT: u16 = 443;

/// A name has a handful of addresses; more are not tried.
const ADDRESSES_MAX: usize = 8;

/// Where a certificate is served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// A DNS name or an address, without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

/// Why a server showed no certificate.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The name leads nowhere.
    #[error("{server}: the name cannot be resolved: {source}")]
    Resolve {
        /// Which server.
        server: String,
        /// Why.
        source: io::Error,
    },
    /// No address of it takes a connection.
    #[error("{server}: cannot be reached: {source}")]
    Connect {
        /// Which server.
        server: String,
        /// Why, for the last address.
        source: io::Error,
    },
    /// Connection or handshake took too long.
    #[error("{server}: has not answered for {seconds} s", seconds = PATIENCE.as_secs())]
    TimedOut {
        /// Which server.
        server: String,
    },
    /// What answered did not show a certificate.
    #[error("{server}: does not speak TLS: {source}")]
    NotTls {
        /// Which server.
        server: String,
        /// Why.
        source: io::Error,
    },
}

impl Server {
    /// What `url` names.
    ///
    /// # Errors
    ///
    /// It is no URL that begins with `https://` and names a server; the text says why and what to do.
    pub fn parse(url: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("{url}: {what}; write it as https://HOST:PORT");
        let uri: hyper::Uri = url.parse().map_err(|error| wrong(&format!("is no URL: {error}")))?;
        if uri.scheme_str() != Some("https") {
            return Err(wrong("only https has certificates"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("names no server"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("a user has no place in it"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
        ServerName::try_from(host).map_err(|_| wrong("names no server"))?;
        let behind = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        let port = match (behind, authority.port_u16()) {
            ("", _) => HTTPS_PORT,
            (_, Some(port)) if port != 0 => port,
            (_, Some(_) | None) => return Err(wrong("has no usable port")),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.parse::<IpAddr>() {
            Ok(address) => write!(f, "https://{}", SocketAddr::new(address, self.port)),
            Err(_) => write!(f, "https://{}:{}", self.host, self.port),
        }
    }
}

/// The chain that `server` shows, its own certificate first. Nothing is trusted by it: the chain is for the caller to judge.
///
/// # Errors
///
/// The server cannot be reached, or shows no certificate.
pub fn fetch(server: &Server) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let local = |source| FetchError::Connect { server: server.to_string(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(local)?;
    let result = runtime.block_on(ask(server));
    // A resolver that hangs is not waited for.
    runtime.shutdown_background();
    result
}

async fn ask(server: &Server) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let timed_out = || FetchError::TimedOut { server: server.to_string() };
    let stream = timeout(PATIENCE, connect(server)).await.map_err(|_elapsed| timed_out())??;
    let not_tls = |source| FetchError::NotTls { server: server.to_string(), source };
    let shown = Arc::new(Shown::keeping(Arc::new(rustls::crypto::aws_lc_rs::default_provider())));
    let config = client_config(Arc::clone(&shown), None, &["h2", "http/1.1"])
        .map_err(|error| not_tls(io::Error::other(error)))?;
    let name = ServerName::try_from(server.host.clone())
        .map_err(|error| not_tls(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let shaken = timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await;
    let chain = shown.take();
    match shaken {
        Ok(Ok(_)) if chain.is_empty() => Err(not_tls(io::Error::other("it shows no certificate"))),
        Ok(Ok(_)) => Ok(chain),
        // A server that wants a client's certificate may end the handshake, but has shown its own by then.
        Ok(Err(source)) if !chain.is_empty() && is_ended_by_peer(&source) => Ok(chain),
        Ok(Err(source)) => Err(not_tls(source)),
        Err(_elapsed) => Err(timed_out()),
    }
}

/// Whether the server broke the handshake off, rather than that we could not accept it.
fn is_ended_by_peer(error: &io::Error) -> bool {
    let ours = error.get_ref().and_then(|cause| cause.downcast_ref::<TlsError>());
    ours.is_none_or(|error| matches!(error, TlsError::AlertReceived(_)))
}

async fn connect(server: &Server) -> Result<TcpStream, FetchError> {
    let addresses = lookup_host((server.host.as_str(), server.port))
        .await
        .map_err(|source| FetchError::Resolve { server: server.to_string(), source })?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses.take(ADDRESSES_MAX) {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(FetchError::Connect { server: server.to_string(), source: last })
}
