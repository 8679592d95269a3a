//! Long connections: watches that talk or only listen, and what became of them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::client::TlsStream;

use super::figures::{millis, optional_millis};
use super::request::{self, Failure, Stage, status};
use super::{Prepared, Record};

/// Between two bytes of a talking connection.
const TALK_INTERVAL: Duration = Duration::from_millis(100);
/// What a talking connection says, a byte at a time: a pipelined request whose last header never ends.
const TALK: &[u8] = b"GET /version HTTP/1.1\r\nx-talk: ";
/// A watch gets an event every 100 ms; one that got nothing for ten of them hangs.
const HUNG_AFTER: Duration = Duration::from_secs(1);
/// One that got something within this is being served: three events late.
const SERVED_WITHIN: Duration = Duration::from_millis(300);
/// A connection that ends is dialled again after this...
const REDIAL: Duration = Duration::from_millis(1);
/// ... and after twice as long each time it fails, up to this: twenty clients at full speed would be a load of their own.
const REDIAL_MAX: Duration = Duration::from_millis(100);
/// Kubernetes clients give up a handshake after 10 s.
const OPEN_LIMIT: Duration = Duration::from_secs(10);
/// Lives kept per slot: the first, which is judged, and the newest. Those between are counted.
const FIRST_AND_LAST: usize = 2;
/// The end of a chunked body.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The server ended the watch as HTTP ends it.
    Clean,
    /// In the middle.
    Broken(Failure),
}

/// One connection from its first received byte on; times since the epoch of the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Life {
    pub opened: Duration,
    pub last_received: Duration,
    pub ended: Option<(Duration, End)>,
}

/// One long connection with its successors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slot {
    /// The first life, and the newest one if it was dialled again.
    pub lives: Vec<Life>,
    /// Dials that did not become a connection.
    pub failed_dials: u32,
}

/// What became of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Open and receiving.
    Kept,
    /// The server ended it as HTTP ends an answer; when, since the fault.
    Ended(Duration),
    /// RST or FIN in the middle; when, since the fault.
    Broken(Duration),
    /// Open, and nothing was received for a second or more.
    Hung,
}

impl Life {
    /// Its fate in an observation that ended at `end`, of a fault at `fault`.
    pub fn fate(&self, fault: Duration, end: Duration) -> Fate {
        match &self.ended {
            Some((at, End::Clean)) => Fate::Ended(at.saturating_sub(fault)),
            Some((at, End::Broken(_))) => Fate::Broken(at.saturating_sub(fault)),
            None if end.saturating_sub(self.last_received) > HUNG_AFTER => Fate::Hung,
            None => Fate::Kept,
        }
    }
}

/// The fates of the connections of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fates {
    pub kept: u32,
    pub ended: u32,
    pub broken: u32,
    pub hung: u32,
    /// Never open, or gone before the fault: the set-up was not sound.
    pub absent: u32,
    /// The last to break, since the fault.
    #[serde(rename = "lastBrokenMs", serialize_with = "optional_millis")]
    pub last_broken: Option<Duration>,
    /// Of those that ended or broke: receiving again at the end.
    pub redialled: u32,
    /// ... connected again and hanging, or not connected again.
    pub redialled_hung: u32,
    /// The longest time from the end of a connection to the first byte of its (newest) successor.
    #[serde(rename = "redialMs", serialize_with = "millis")]
    pub redial: Duration,
}

impl Fates {
    /// Judges `slots` for a fault at `fault` in an observation that ended at `end`.
    pub fn of(slots: &[Slot], fault: Duration, end: Duration) -> Self {
        let mut fates = Self::default();
        for slot in slots {
            let Some(first) = slot.lives.first() else {
                fates.absent += 1;
                continue;
            };
            if first.opened > fault || first.ended.as_ref().is_some_and(|(at, _)| *at < fault) {
                fates.absent += 1;
                continue;
            }
            match first.fate(fault, end) {
                Fate::Kept => fates.kept += 1,
                Fate::Hung => fates.hung += 1,
                Fate::Ended(_) => {
                    fates.ended += 1;
                    fates.judge_successor(slot, fault, end);
                }
                Fate::Broken(at) => {
                    fates.broken += 1;
                    fates.last_broken = fates.last_broken.max(Some(at));
                    fates.judge_successor(slot, fault, end);
                }
            }
        }
        fates
    }

    fn judge_successor(&mut self, slot: &Slot, fault: Duration, end: Duration) {
        let ended = slot.lives.first().and_then(|life| life.ended.as_ref()).map_or(end, |(at, _)| *at);
        let successor = slot.lives.get(1);
        match successor.map(|life| life.fate(fault, end)) {
            Some(Fate::Kept) => self.redialled += 1,
            // Without a successor yet, one that ended just now is still dialling; one that ended a while ago hangs.
            None if end.saturating_sub(ended) <= HUNG_AFTER => {}
            None | Some(Fate::Hung | Fate::Ended(_) | Fate::Broken(_)) => self.redialled_hung += 1,
        }
        let back = successor.map_or(end, |life| life.opened);
        self.redial = self.redial.max(back.saturating_sub(ended));
    }
}

/// Whether a connection that received nothing for `silence` is certainly served, or certainly hangs.
pub(super) fn is_decided(silence: Duration) -> bool {
    silence <= SERVED_WITHIN || silence > HUNG_AFTER
}

/// A slot that is being kept open.
pub(super) struct Open {
    slot: Rc<RefCell<Slot>>,
    task: JoinHandle<()>,
}

impl Open {
    /// Ends the connection and hands out what was seen of it.
    pub(super) fn close(self) -> Slot {
        self.task.abort();
        self.slot.borrow().clone()
    }
}

/// Opens a long connection and opens it again whenever it ends.
pub(super) fn open(prepared: Rc<Prepared>, record: Rc<Record>, talks: bool, number: usize) -> Open {
    let slot = Rc::new(RefCell::new(Slot::default()));
    let kept = Kept { record, slot: Rc::clone(&slot), talks, number };
    let task = tokio::task::spawn_local(kept.keep(prepared));
    Open { slot, task }
}

/// What the task that keeps a slot open knows of it.
struct Kept {
    record: Rc<Record>,
    slot: Rc<RefCell<Slot>>,
    talks: bool,
    number: usize,
}

impl Kept {
    async fn keep(self, prepared: Rc<Prepared>) {
        let mut pause = REDIAL;
        loop {
            match tokio::time::timeout(OPEN_LIMIT, dial(&prepared)).await {
                Ok(Ok((connection, received))) => {
                    pause = REDIAL;
                    let now = self.record.since_epoch();
                    let life = Life { opened: now, last_received: now, ended: None };
                    {
                        let mut slot = self.slot.borrow_mut();
                        slot.lives.truncate(FIRST_AND_LAST - 1);
                        slot.lives.push(life);
                    }
                    self.record.warm(|warmth| warmth.long_open += 1);
                    self.heard();
                    let end = self.live(connection, received).await;
                    self.record.warm(|warmth| warmth.long_open -= 1);
                    if let Some(life) = self.slot.borrow_mut().lives.last_mut() {
                        life.ended = Some((self.record.since_epoch(), end));
                    }
                }
                Ok(Err(_)) | Err(_) => {
                    self.slot.borrow_mut().failed_dials += 1;
                    pause = (pause * 2).min(REDIAL_MAX);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Something was received just now.
    fn heard(&self) {
        if let Some(life) = self.slot.borrow_mut().lives.last_mut() {
            life.last_received = self.record.since_epoch();
        }
        self.record.warm(|warmth| {
            warmth.long_heard.insert(self.number, Instant::now());
        });
    }

    /// Reads, and talks, until the connection ends.
    async fn live(&self, mut connection: TlsStream<TcpStream>, mut tail: Tail) -> End {
        let mut buffer = [0; 4096];
        let mut ticks = tokio::time::interval(TALK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut words = TALK.iter().chain(std::iter::repeat(&b'a'));
        loop {
            let received = tokio::select! {
                received = connection.read(&mut buffer) => received,
                _ = ticks.tick(), if self.talks => {
                    let byte = words.next().map_or(b'a', |byte| *byte);
                    let said = connection.write_all(&[byte]).await;
                    match said.and(connection.flush().await) {
                        Ok(()) => continue,
                        Err(error) => Err(error),
                    }
                }
            };
            match received {
                Ok(0) => return End::Broken(Failure::Closed(Stage::Answer)),
                Ok(count) => tail.push(buffer.get(..count).unwrap_or_default()),
                Err(error) => return End::Broken(Failure::of(&error, Stage::Answer)),
            }
            if tail.is_last_chunk() {
                return End::Clean;
            }
            self.heard();
        }
    }
}

/// Connects and asks for the watch; there with its first bytes.
async fn dial(prepared: &Prepared) -> Result<(TlsStream<TcpStream>, Tail), Failure> {
    let stage = Cell::new(Stage::Connect);
    let mut tls = request::connect(prepared, &stage).await?;
    let failed = |error: std::io::Error| Failure::of(&error, Stage::Answer);
    tls.write_all(prepared.watch_request.as_bytes()).await.map_err(failed)?;
    tls.flush().await.map_err(failed)?;
    let mut first = Vec::with_capacity(1024);
    if tls.read_buf(&mut first).await.map_err(failed)? == 0 {
        return Err(Failure::Closed(Stage::Answer));
    }
    let head = String::from_utf8_lossy(&first);
    match status(head.lines().next().unwrap_or_default()) {
        Some(200) => {
            let mut tail = Tail::default();
            tail.push(&first);
            Ok((tls, tail))
        }
        Some(code) => Err(Failure::Status(code)),
        None => Err(Failure::NotHttp),
    }
}

/// The last bytes of a stream.
#[derive(Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        let excess = self.0.len().saturating_sub(LAST_CHUNK.len());
        self.0.drain(..excess);
    }

    fn is_last_chunk(&self) -> bool {
        self.0 == LAST_CHUNK
    }
}

#[cfg(test)]
mod tests;
