//! One TLS connection, one request after the other: what a proxy adds to each answer.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::tls::{self, ClientTls, Progress, REQUEST};
use super::{ANSWER_MAX, Answers};

/// Requests before the first one that counts: handshake, caches, congestion window.
const WARM_UP: u32 = 100;

/// Asks for `time`, once at least, each request after the answer to the one before.
///
/// # Errors
/// When the connection cannot be made or ends: there is one only, and what it gave until then says nothing.
pub fn ask(to: SocketAddr, time: Duration, settings: &ClientTls) -> anyhow::Result<Answers> {
    let mut stream = TcpStream::connect(to).with_context(|| format!("connect to {to}"))?;
    stream.set_nodelay(true).context("set TCP_NODELAY")?;
    stream.set_read_timeout(Some(ANSWER_MAX)).context("set a timeout")?;
    let mut session = settings.session()?;
    let mut one = || -> anyhow::Result<Duration> {
        let start = Instant::now();
        session.writer().write_all(REQUEST).context("encrypt a request")?;
        tls::send(|to| session.write_tls(to), &mut stream).context("send a request")?;
        while tls::advance(&mut session, &mut stream).context("wait for an answer")? == Progress::Waiting {}
        Ok(start.elapsed())
    };
    for _ in 0..WARM_UP {
        one()?;
    }
    let mut took = Vec::new();
    let start = Instant::now();
    loop {
        took.push(one()?);
        if start.elapsed() >= time {
            break;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    took.sort_unstable();
    let micros = |part: usize| {
        let at = took.get((took.len() - 1) * part / 100);
        at.map_or(0.0, |duration| duration.as_secs_f64() * 1e6)
    };
    Ok(Answers { requests: took.len() as u64, p50_micros: micros(50), p99_micros: micros(99), seconds })
}
