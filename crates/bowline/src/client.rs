//! Asks a daemon over its admin listener.

use bowline_plan::AdminListen;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

/// A daemon answers within milliseconds; one that does not for so long is not well.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ten thousand endpoints are 3 MB; more than this is no status.
const BODY_MAX: usize = 16 << 20;

/// Why a daemon could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens, or the socket cannot be used.
    #[error("no daemon answers at {admin}: {source}; start it with `bowline run`, or give --admin ADDR")]
    Connect {
        /// Where.
        admin: String,
        /// Why.
        source: io::Error,
    },
    /// It took the connection and did not answer in time.
    #[error("the daemon at {admin} has not answered for {seconds} s", seconds = PATIENCE.as_secs())]
    TimedOut {
        /// Where.
        admin: String,
    },
    /// What answered is not a daemon, or one that is going away.
    #[error("{admin} does not answer like bowline: {message}; give the daemon's address with --admin ADDR")]
    Answer {
        /// Where.
        admin: String,
        /// What is wrong with the answer.
        message: String,
    },
}

/// The body of the daemon's answer to `GET path`.
///
/// # Errors
///
/// The daemon cannot be reached, or does not answer with success.
pub fn get(admin: &AdminListen, path: &'static str) -> Result<Bytes, AskError> {
    let connect = |source| AskError::Connect { admin: admin.to_string(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(connect)?;
    runtime.block_on(async {
        timeout(PATIENCE, async {
            match admin {
                AdminListen::Tcp(address) => {
                    ask(TcpStream::connect(address).await.map_err(connect)?, admin, path).await
                }
                AdminListen::Unix(socket) => {
                    ask(UnixStream::connect(socket).await.map_err(connect)?, admin, path).await
                }
            }
        })
        .await
        .unwrap_or_else(|_elapsed| Err(AskError::TimedOut { admin: admin.to_string() }))
    })
}

async fn ask<S>(stream: S, admin: &AdminListen, path: &'static str) -> Result<Bytes, AskError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let wrong = |message: String| AskError::Answer { admin: admin.to_string(), message };
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| wrong(error.to_string()))?;
    let driver = tokio::spawn(connection);
    let request = Request::get(path)
        .header(hyper::header::HOST, "localhost")
        .body(Empty::<Bytes>::new())
        .map_err(|error| wrong(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(|error| wrong(error.to_string()))?;
    let status = response.status();
    if !status.is_success() {
        return Err(wrong(format!("{path} is answered with {status}")));
    }
    let body = Limited::new(response.into_body(), BODY_MAX)
        .collect()
        .await
        .map_err(|error| wrong(error.to_string()))?;
    driver.abort();
    Ok(body.to_bytes())
}
