//! One HTTP/1.1 connection to an API server, and questions over it.

use super::credentials::Material;
use bowline_pool::{ProbeFailure, Stage, Status};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use std::error::Error as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// The bytes of an answer's body that are read: `/readyz` says `ok`, or one line for each failed check. What is longer is
/// answered all the same, and the connection is closed instead of read to its end.
const BODY_MAX: usize = 4 << 10;

/// The bytes of an answer's head that are read; the least that hyper offers.
const HEAD_MAX: usize = 8 << 10;

/// The headers of an answer that are taken; a kube-apiserver sends eight.
const HEADERS_MAX: usize = 64;

/// How often the connection's task may run after a time-out until an answer that has arrived must have come through: once for
/// the head and once for the body, and one more.
const TURNS: usize = 3;

/// What came of one question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) status: Status,
    /// Whether the connection can take another question.
    reusable: bool,
}

/// A question that is on its way.
type Pending = Pin<Box<dyn Future<Output = Result<Answer, ProbeFailure>> + Send>>;

/// An open connection; closed when dropped.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    host: String,
    /// The answer that did not come in time; HTTP/1.1 has to wait for it before the next question.
    pending: Option<Pending>,
    /// An answer was not read to its end, or the exchange failed.
    spent: bool,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.pending = None;
        self.driver.abort();
    }
}

impl Connection {
    /// Speaks HTTP/1.1 over `stream`, which leads to `address`.
    pub(super) async fn start<S>(stream: S, address: SocketAddr) -> Result<Self, ProbeFailure>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failure(&error))?;
        // What ends the connection ends its questions too, which say why.
        let driver = tokio::spawn(async move {
            let _ended = connection.await;
        });
        Ok(Self { sender, host: address.to_string(), pending: None, spent: false, driver })
    }

    /// Whether no question can be asked over it any more.
    pub(super) fn is_closed(&self) -> bool {
        self.spent || self.sender.is_closed()
    }

    /// Whether an earlier question is still without its answer.
    pub(super) fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    /// Asks for `path`, or waits on for the answer that is overdue, at most for `wait`.
    ///
    /// # Errors
    ///
    /// `TimedOut(Request)`, after which the question stays asked; `Closed(Request)`; `NotHttp`.
    pub(super) async fn ask(
        &mut self,
        path: &'static str,
        material: &Material,
        wait: Duration,
    ) -> Result<Status, ProbeFailure> {
        let mut question = match self.pending.take() {
            Some(overdue) => overdue,
            None => self.send(path, material)?,
        };
        match wait_for(&mut question, wait).await {
            None => {
                self.pending = Some(question);
                Err(ProbeFailure::TimedOut(Stage::Request))
            }
            Some(Err(failure)) => {
                self.spent = true;
                Err(failure)
            }
            Some(Ok(answer)) => {
                self.spent = !answer.reusable;
                Ok(answer.status)
            }
        }
    }

    fn send(&mut self, path: &'static str, material: &Material) -> Result<Pending, ProbeFailure> {
        let mut request = Request::get(path)
            .header(header::HOST, &self.host)
            .header(header::USER_AGENT, concat!("bowline/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = material.authorization() {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(Empty::new()).map_err(|error| ProbeFailure::Local(error.to_string()))?;
        let response = self.sender.send_request(request);
        Ok(Box::pin(async move {
            let response = response.await.map_err(|error| failure(&error))?;
            let status = Status::from(response.status().as_u16());
            let reusable = read_bounded(response.into_body()).await?;
            Ok(Answer { status, reusable })
        }))
    }
}

/// The answer, if it comes within `wait` or is there already when we look.
///
/// Where this thread was kept from running, time-out and answer are found at the same moment, and the answer has yet to pass
/// through the connection's own task: silence is only what is still silence after that.
async fn wait_for(question: &mut Pending, wait: Duration) -> Option<Result<Answer, ProbeFailure>> {
    if let Ok(answer) = timeout(wait, &mut *question).await {
        return Some(answer);
    }
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
        if let Ok(answer) = timeout(Duration::ZERO, &mut *question).await {
            return Some(answer);
        }
    }
    None
}

/// Reads the body; false when it is too long for another question to be asked after it.
async fn read_bounded(mut body: Incoming) -> Result<bool, ProbeFailure> {
    let mut length = 0usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failure(&error))?;
        length = length.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if length > BODY_MAX {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What an error of the connection says about the endpoint.
fn failure(error: &hyper::Error) -> ProbeFailure {
    if let Some(tls) = tls_cause(error) {
        return ProbeFailure::NotTls(tls);
    }
    if error.is_parse() || error.is_parse_too_large() {
        return ProbeFailure::NotHttp(error.to_string());
    }
    ProbeFailure::Closed(Stage::Request)
}

/// The TLS error below `error`: an alert after the handshake, or bytes that are not TLS any more.
fn tls_cause(error: &hyper::Error) -> Option<String> {
    let cause = error.source()?.downcast_ref::<std::io::Error>()?;
    Some(cause.get_ref()?.downcast_ref::<rustls::Error>()?.to_string())
}
