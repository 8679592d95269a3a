//! One new connection, one request: as cheap as it can be, since a hundred of them a second run beside what they measure.

use std::cell::Cell;
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Prepared;

/// An answer to `/version` is a few hundred bytes; one that is longer than this is not one.
const ANSWER_MAX: usize = 64 * 1024;

/// How far a connection had got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    Connect,
    Handshake,
    Answer,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// Not done within the time limit.
    TimedOut(Stage),
    Refused,
    /// No route, or the host does not answer on its link.
    Unreachable,
    Reset(Stage),
    /// Ended before the answer was whole.
    Closed(Stage),
    Tls(String),
    /// Answered, but not with 200.
    Status(u16),
    NotHttp,
    /// Our own side: no descriptor, no port.
    Local(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut(Stage::Connect) => f.write_str("connecting timed out"),
            Self::TimedOut(Stage::Handshake) => f.write_str("the handshake timed out"),
            Self::TimedOut(Stage::Answer) => f.write_str("the answer timed out"),
            Self::Refused => f.write_str("refused"),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Reset(Stage::Connect) => f.write_str("reset while connecting"),
            Self::Reset(Stage::Handshake) => f.write_str("reset in the handshake"),
            Self::Reset(Stage::Answer) => f.write_str("reset before the answer"),
            Self::Closed(Stage::Connect) => f.write_str("closed while connecting"),
            Self::Closed(Stage::Handshake) => f.write_str("closed in the handshake"),
            Self::Closed(Stage::Answer) => f.write_str("closed before the answer"),
            Self::Tls(reason) => write!(f, "TLS: {reason}"),
            Self::Status(code) => write!(f, "status {code}"),
            Self::NotHttp => f.write_str("the answer is not HTTP"),
            Self::Local(reason) => write!(f, "here: {reason}"),
        }
    }
}

impl Failure {
    pub(super) fn of(error: &std::io::Error, stage: Stage) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Self::Unreachable,
            ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
                Self::Reset(stage)
            }
            ErrorKind::UnexpectedEof => Self::Closed(stage),
            ErrorKind::TimedOut => Self::TimedOut(stage),
            ErrorKind::InvalidData => Self::Tls(error.to_string()),
            _ => Self::Local(error.to_string()),
        }
    }
}

/// Connects, with TLS; `stage` says how far it got when the caller's patience ends.
pub(super) async fn connect(
    prepared: &Prepared,
    stage: &Cell<Stage>,
) -> Result<TlsStream<TcpStream>, Failure> {
    stage.set(Stage::Connect);
    let tcp = TcpStream::connect(prepared.settings.address)
        .await
        .map_err(|error| Failure::of(&error, Stage::Connect))?;
    tcp.set_nodelay(true).map_err(|error| Failure::of(&error, Stage::Connect))?;
    stage.set(Stage::Handshake);
    let connector = TlsConnector::from(prepared.tls.clone());
    let tls = connector.connect(prepared.name.clone(), tcp).await;
    let tls = tls.map_err(|error| Failure::of(&error, Stage::Handshake))?;
    stage.set(Stage::Answer);
    Ok(tls)
}

/// Asks once. The good answer is the server's name (empty when it does not say) and the connection, still open.
pub(super) async fn ask(prepared: &Prepared) -> Result<(String, TlsStream<TcpStream>), Failure> {
    let stage = Cell::new(Stage::Connect);
    let asking = async {
        let mut tls = connect(prepared, &stage).await?;
        let failed = |error: std::io::Error| Failure::of(&error, Stage::Answer);
        tls.write_all(prepared.request.as_bytes()).await.map_err(failed)?;
        tls.flush().await.map_err(failed)?;
        let mut answer = Vec::with_capacity(1024);
        loop {
            if let Some(server) = whole(&answer)? {
                return Ok((server, tls));
            }
            if answer.len() > ANSWER_MAX {
                return Err(Failure::NotHttp);
            }
            if tls.read_buf(&mut answer).await.map_err(failed)? == 0 {
                return Err(Failure::Closed(Stage::Answer));
            }
        }
    };
    let outcome = tokio::time::timeout(prepared.settings.timeout, asking).await;
    outcome.unwrap_or_else(|_| Err(Failure::TimedOut(stage.get())))
}

/// Ends a connection as a polite client does: says so, and waits for the other side's end.
pub(super) async fn close(mut connection: TlsStream<TcpStream>, limit: Duration) {
    let mut rest = [0; 256];
    let closing = async {
        connection.shutdown().await?;
        while connection.read(&mut rest).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    // The request is judged by then: an end that is not polite is no failure.
    drop(tokio::time::timeout(limit, closing).await);
}

/// The server's name when `answer` is a whole response with status 200, none while it is incomplete.
fn whole(answer: &[u8]) -> Result<Option<String>, Failure> {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let Some(head_end) = answer.windows(END_OF_HEAD.len()).position(|window| window == END_OF_HEAD) else {
        return Ok(None);
    };
    let head =
        std::str::from_utf8(answer.get(..head_end).unwrap_or_default()).map_err(|_| Failure::NotHttp)?;
    let mut lines = head.split("\r\n");
    let code = status(lines.next().unwrap_or_default()).ok_or(Failure::NotHttp)?;
    if code != 200 {
        return Err(Failure::Status(code));
    }
    let (mut length, mut server) = (0, String::new());
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse::<usize>().map_err(|_| Failure::NotHttp)?;
        } else if name.eq_ignore_ascii_case("server") {
            server = value.trim().to_owned();
        }
    }
    let has_body = answer.len() >= head_end + END_OF_HEAD.len() + length;
    Ok(has_body.then_some(server))
}

/// The code of a status line.
pub(super) fn status(line: &str) -> Option<u16> {
    let (version, rest) = line.split_once(' ')?;
    version.starts_with("HTTP/1.").then_some(())?;
    rest.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nServer: cp1\r\nContent-Length: 4\r\n\r\nbody";

    #[test]
    fn an_answer_is_whole_with_its_last_byte_and_not_before() {
        for length in 0..ANSWER.len() {
            assert_eq!(whole(&ANSWER[..length]), Ok(None), "{length} bytes");
        }
        assert_eq!(whole(ANSWER), Ok(Some("cp1".to_owned())));
    }

    #[test]
    fn other_answers_fail() {
        assert_eq!(whole(b"HTTP/1.1 503 Busy\r\n\r\n"), Err(Failure::Status(503)));
        assert_eq!(whole(b"SSH-2.0 hello\r\n\r\n"), Err(Failure::NotHttp));
        assert_eq!(whole(b"HTTP/1.1 2\r\n\r\n"), Err(Failure::NotHttp));
        assert_eq!(whole(b"\xff\r\n\r\n"), Err(Failure::NotHttp));
        assert_eq!(whole(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n"), Err(Failure::NotHttp));
    }
}
