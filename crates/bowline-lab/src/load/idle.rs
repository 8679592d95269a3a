//! Connections that are established and silent: what a proxy keeps in memory for them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, bail};
use serde::Serialize;

use super::{ANSWER_MAX, ECHO};

/// Connections that had a byte each way.
#[derive(Debug, Serialize)]
pub struct Idle {
    /// How many there are.
    connections: usize,
    #[serde(skip)]
    streams: Vec<TcpStream>,
}

impl Idle {
    /// Opens `connections`, one after the other, with one byte there and back on each.
    ///
    /// # Errors
    /// When one of them cannot be opened or has no byte back.
    pub fn open(to: SocketAddr, connections: usize) -> anyhow::Result<Idle> {
        let mut streams = Vec::with_capacity(connections);
        for number in 1..=connections {
            let stream = echoed(to).with_context(|| format!("connection {number} to {to}"))?;
            streams.push(stream);
        }
        Ok(Idle { connections, streams })
    }

    /// Keeps them until standard input ends.
    ///
    /// # Errors
    /// When one has been closed meanwhile: it was not idle then, but gone.
    pub fn hold(self) -> anyhow::Result<()> {
        std::io::stdin().read_to_end(&mut Vec::new()).context("wait for the end of standard input")?;
        for stream in &self.streams {
            stream.set_nonblocking(true).context("make a connection non-blocking")?;
            if stream.peek(&mut [0]).is_ok() {
                bail!("a connection has ended while it was to be idle");
            }
        }
        Ok(())
    }
}

fn echoed(to: SocketAddr) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(to).context("connect")?;
    stream.set_read_timeout(Some(ANSWER_MAX)).context("set a timeout")?;
    stream.write_all(&[ECHO]).context("send a byte")?;
    let mut answer = [0];
    stream.read_exact(&mut answer).context("wait for the byte")?;
    if answer != [ECHO] {
        bail!("another byte came back");
    }
    Ok(stream)
}
