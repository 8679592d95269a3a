//! Asks one endpoint how it is, over a connection that is kept open.
//!
//! TCP, TLS, `/readyz` and `/livez` are read off that one connection. A prober only asks and tells: when to ask and what an
//! answer means is the pool's to decide.

mod credentials;
mod http;
#[cfg(test)]
mod tests;

pub use credentials::{Credentials, FileProblem, Files, Material, Refresh};

use bowline_pool::{Certificate, ProbeFailure, ProbeResult, Stage, Status};
use http::Connection;
use rustls::pki_types::{CertificateDer, ServerName};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

const READY: &str = "/readyz";
const LIVE: &str = "/livez";

/// A connect that is silent is tried again so often: four times within the default time for an answer.
const DIAL_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// A time-out noticed so late says more of this host than of the peer.
const OWN_LAG_MAX: Duration = Duration::from_millis(50);

/// How long a probe waits for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// For an answer on a connection that was open already, and for a TCP connection.
    pub answer: Duration,
    /// For connection, handshake and answer together.
    pub handshake: Duration,
}

/// Probes one endpoint.
pub struct Prober {
    address: SocketAddr,
    kept: Option<Kept>,
}

/// The open connection and what the server showed on it.
struct Kept {
    connection: Connection,
    chain: Vec<CertificateDer<'static>>,
    /// By which `certificate` was judged.
    material: Arc<Material>,
    certificate: Certificate,
}

impl Prober {
    /// A prober of the endpoint at `address`; connects with the first probe.
    pub const fn new(address: SocketAddr) -> Self {
        Self { address, kept: None }
    }

    /// Asks once, over a new connection if it has to be `fresh`. Takes at most two handshakes' times and one
    /// answer's, and mostly one of either.
    pub async fn probe(&mut self, material: &Arc<Material>, timeouts: Timeouts, fresh: bool) -> ProbeResult {
        if fresh {
            self.kept = None;
        }
        match self.ask(material, timeouts).await {
            Ok(result) => result,
            Err(failure) => ProbeResult::Failed(failure),
        }
    }

    async fn ask(
        &mut self,
        material: &Arc<Material>,
        timeouts: Timeouts,
    ) -> Result<ProbeResult, ProbeFailure> {
        if let Some(mut kept) = self.kept.take().filter(|kept| kept.serves(material)) {
            // An answer that is overdue since the last probe gets the time of one more, because a frozen server would not
            // finish a new handshake either; after that only a new connection can tell.
            let waited_before = kept.connection.is_waiting();
            kept.judge_again(material, self.address);
            match kept.connection.ask(READY, material, timeouts.answer).await {
                Ok(ready) => return Ok(self.answered(kept, ready, None, timeouts).await),
                // Closed between two probes, which says nothing about the endpoint: asked again on a new connection.
                Err(failure) if was_closed(&failure) => {}
                Err(failure) => {
                    if !waited_before {
                        self.kept = Some(kept);
                    }
                    return Err(failure);
                }
            }
        }
        let deadline = Instant::now() + timeouts.handshake;
        let (mut kept, connect) = connect(self.address, material, timeouts, deadline).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let ready = kept.connection.ask(READY, material, left).await?;
        Ok(self.answered(kept, ready, Some(connect), timeouts).await)
    }

    /// Asks `/livez` where `/readyz` failed, and keeps the connection.
    async fn answered(
        &mut self,
        mut kept: Kept,
        readyz: Status,
        connect: Option<Duration>,
        timeouts: Timeouts,
    ) -> ProbeResult {
        let livez = match readyz {
            Status::Ok | Status::Unauthorized | Status::TooManyRequests => None,
            Status::Failing(_) => ask_live(self.address, &mut kept, timeouts).await,
        };
        let certificate = kept.certificate.clone();
        if !kept.connection.is_closed() && !kept.connection.is_waiting() {
            self.kept = Some(kept);
        }
        ProbeResult::Answered { readyz, livez, certificate, connect }
    }
}

impl Kept {
    /// Whether another question can be asked over it as the one we are now.
    fn serves(&self, material: &Material) -> bool {
        !self.connection.is_closed() && self.material.identity() == material.identity()
    }

    /// Holds the chain that was shown against a CA bundle that was read anew.
    fn judge_again(&mut self, material: &Arc<Material>, address: SocketAddr) {
        if !Arc::ptr_eq(&self.material, material) {
            self.certificate = material.judge(&self.chain, &ServerName::from(address.ip()));
            self.material = Arc::clone(material);
        }
    }
}

/// A TCP connection. It is one exchange with the peer's kernel, as an answer on an open connection is one with its server, and
/// has the same time. The kernel repeats a lost SYN after a second, which tells neither that the way is cut nor that it is open
/// again: so the first of a few attempts counts.
async fn dial(address: SocketAddr, within: Duration, deadline: Instant) -> Result<TcpStream, ProbeFailure> {
    let mut attempts = JoinSet::new();
    let mut until = deadline.min(Instant::now() + within);
    loop {
        attempts.spawn(TcpStream::connect(address));
        let next = until.min(Instant::now() + DIAL_AGAIN_AFTER);
        if let Ok(Some(first)) = timeout_at(next, attempts.join_next()).await {
            let connected = first.unwrap_or_else(|lost| Err(io::Error::other(lost)));
            return connected.map_err(|error| connect_failure(&error));
        }
        // A time-out that is noticed late shows that this host stood still: what arrives has the time of one more.
        if next.elapsed() > OWN_LAG_MAX {
            until = deadline.min(Instant::now() + within);
        }
        if Instant::now() >= until {
            return Err(ProbeFailure::TimedOut(Stage::Connect));
        }
    }
}

/// Whether a new connection might tell more.
const fn was_closed(failure: &ProbeFailure) -> bool {
    match failure {
        ProbeFailure::Closed(_) => true,
        ProbeFailure::Refused
        | ProbeFailure::Unreachable
        | ProbeFailure::TimedOut(_)
        | ProbeFailure::NotTls(_)
        | ProbeFailure::NotHttp(_)
        | ProbeFailure::Local(_) => false,
    }
}

/// Asks `/livez`, on a new connection where the server closed the one that `/readyz` was asked over; none when there is no
/// answer within the handshake's time in all.
async fn ask_live(address: SocketAddr, kept: &mut Kept, timeouts: Timeouts) -> Option<Status> {
    let material = Arc::clone(&kept.material);
    let deadline = Instant::now() + timeouts.handshake;
    let asked = async {
        if !kept.connection.is_closed() {
            match kept.connection.ask(LIVE, &material, timeouts.answer).await {
                Err(failure) if was_closed(&failure) => {}
                answer => return answer,
            }
        }
        (*kept, _) = connect(address, &material, timeouts, deadline).await?;
        kept.connection.ask(LIVE, &material, timeouts.answer).await
    };
    timeout_at(deadline, asked).await.ok()?.ok()
}

/// Connects and shakes hands until `deadline`; also returns how long the TCP connection took.
async fn connect(
    address: SocketAddr,
    material: &Arc<Material>,
    timeouts: Timeouts,
    deadline: Instant,
) -> Result<(Kept, Duration), ProbeFailure> {
    let start = Instant::now();
    let stream = dial(address, timeouts.answer, deadline).await?;
    // The kernel's own measure, because ours has the time in it for which other tasks kept this thread busy, and a handshake
    // can do so for tens of milliseconds.
    let took = bowline_sys::tcp_info::round_trip(&stream).unwrap_or_else(|_| start.elapsed());
    stream.set_nodelay(true).map_err(|error| ProbeFailure::Local(error.to_string()))?;
    let name = ServerName::from(address.ip());
    let stream = timeout_at(deadline, TlsConnector::from(material.tls()).connect(name.clone(), stream))
        .await
        .map_err(|_elapsed| ProbeFailure::TimedOut(Stage::Handshake))?
        .map_err(|error| handshake_failure(&error))?;
    let chain: Vec<_> = stream
        .get_ref()
        .1
        .peer_certificates()
        .unwrap_or_default()
        .iter()
        .map(|c| c.clone().into_owned())
        .collect();
    let certificate = material.judge(&chain, &name);
    let connection = Connection::start(stream, address).await?;
    Ok((Kept { connection, chain, material: Arc::clone(material), certificate }, took))
}

/// What the kernel's answer to a connect says; errors of this host are no evidence against the endpoint.
fn connect_failure(error: &io::Error) -> ProbeFailure {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => ProbeFailure::Refused,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => ProbeFailure::Unreachable,
        ErrorKind::TimedOut => ProbeFailure::TimedOut(Stage::Connect),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => ProbeFailure::Closed(Stage::Connect),
        _ => ProbeFailure::Local(error.to_string()),
    }
}

/// Whether a handshake failed because the peer closed, or because what it said is not TLS that we can speak.
fn handshake_failure(error: &io::Error) -> ProbeFailure {
    match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
        Some(tls) => ProbeFailure::NotTls(tls.to_string()),
        None => ProbeFailure::Closed(Stage::Handshake),
    }
}
