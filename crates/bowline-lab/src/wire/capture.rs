//! Everything that hosts of a segment sent, in the order in which it was sent.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use bowline_sys::packet::{Direction, PacketSocket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Content, Frame};
use crate::lan::Lan;

/// Frames kept; later ones are counted, and whoever reads the capture is told. Half an hour of an outage client.
const FRAMES_MAX: usize = 2_000_000;
/// Unread frames the kernel keeps for each port, so that a busy machine loses none.
const BUFFER: usize = 8 << 20;
/// Longer than any header that is read; of TCP nothing but the header matters.
const SNAP: usize = 2048;
/// What is kept of the body of packets that are not VRRP.
const BODY_KEPT: usize = 20;
/// How often the reader looks whether it shall end.
const LOOK: Duration = Duration::from_millis(50);

/// A frame, who sent it and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// When the kernel saw it.
    pub at: Instant,
    /// The host at whose port it entered the segment.
    pub host: String,
    pub frame: Frame,
}

/// A place in a capture, its beginning by default.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(usize);

#[derive(Debug, Default)]
struct Tape {
    frames: Mutex<(Vec<Captured>, usize)>,
    grown: Condvar,
    stop: AtomicBool,
}

impl Tape {
    fn frames(&self) -> MutexGuard<'_, (Vec<Captured>, usize)> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running capture of what enters a segment at its ports: also what a cut then takes away. Ends when dropped.
#[derive(Debug)]
pub struct Tap {
    tape: Arc<Tape>,
    thread: Option<JoinHandle<()>>,
}

impl Tap {
    /// Starts capturing.
    ///
    /// # Errors
    /// Without privileges.
    pub fn start(lan: &Lan) -> anyhow::Result<Self> {
        let mut ports = Vec::new();
        for host in lan.hosts() {
            let name = host.name().to_owned();
            let socket = lan.hub().inside(|| PacketSocket::open(&name))?;
            let socket = socket.with_context(|| format!("listening at the port of {name}"))?;
            socket.set_receive_buffer(BUFFER).context("making room for frames")?;
            ports.push((name, socket));
        }
        let tape = Arc::new(Tape::default());
        let shared = Arc::clone(&tape);
        let thread =
            std::thread::Builder::new().name("tap".to_owned()).spawn(move || record(&ports, &shared))?;
        Ok(Self { tape, thread: Some(thread) })
    }

    /// Here.
    pub fn mark(&self) -> Mark {
        Mark(self.tape.frames().0.len())
    }

    /// Everything since `mark`, so far.
    ///
    /// # Panics
    /// When the capture is full: what is missing could be what matters.
    pub fn since(&self, mark: Mark) -> Vec<Captured> {
        self.select(mark, |_| true)
    }

    /// What `wanted` takes of everything since `mark`, so far.
    ///
    /// # Panics
    /// When the capture is full.
    pub fn select(&self, mark: Mark, wanted: impl Fn(&Captured) -> bool) -> Vec<Captured> {
        let frames = self.tape.frames();
        assert_eq!(frames.1, 0, "the capture is full, {} frames are missing", frames.1);
        frames.0.iter().skip(mark.0).filter(|captured| wanted(captured)).cloned().collect()
    }

    /// The first frame since `mark` that `wanted` takes, waiting for it until `deadline`.
    ///
    /// # Panics
    /// When the capture is full.
    pub fn wait_until(
        &self,
        mark: Mark,
        deadline: Instant,
        wanted: impl Fn(&Captured) -> bool,
    ) -> Option<Captured> {
        let mut seen = mark.0;
        let mut frames = self.tape.frames();
        loop {
            assert_eq!(frames.1, 0, "the capture is full, {} frames are missing", frames.1);
            if let Some(found) = frames.0.iter().skip(seen).find(|captured| wanted(captured)) {
                return Some(found.clone());
            }
            seen = frames.0.len();
            let left = deadline.checked_duration_since(Instant::now())?;
            frames = self.tape.grown.wait_timeout(frames, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The same for at most `limit` from now on.
    pub fn wait(&self, mark: Mark, limit: Duration, wanted: impl Fn(&Captured) -> bool) -> Option<Captured> {
        self.wait_until(mark, Instant::now() + limit, wanted)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.tape.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the reader has been printed; whoever waited for frames has failed by then.
            drop(thread.join());
        }
    }
}

fn record(ports: &[(String, PacketSocket)], tape: &Tape) {
    let look = Timespec { tv_sec: 0, tv_nsec: i64::try_from(LOOK.as_nanos()).unwrap_or(1) };
    let mut buffer = vec![0; SNAP];
    while !tape.stop.load(Ordering::Relaxed) {
        let mut polled: Vec<PollFd<'_>> =
            ports.iter().map(|(_, socket)| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)).collect();
        // An interrupted poll is a poll without result: reading finds out what there is.
        let _ = poll(&mut polled, Some(&look));
        let mut fresh = Vec::new();
        for (name, socket) in ports {
            drain(name, socket, &mut buffer, &mut fresh);
        }
        if fresh.is_empty() {
            continue;
        }
        // Ports are read one after the other; what happened first shall stand first.
        fresh.sort_by_key(|captured| captured.at);
        let mut frames = tape.frames();
        let room = FRAMES_MAX.saturating_sub(frames.0.len());
        frames.1 += fresh.len().saturating_sub(room);
        fresh.truncate(room);
        frames.0.append(&mut fresh);
        drop(frames);
        tape.grown.notify_all();
    }
}

fn drain(name: &str, socket: &PacketSocket, buffer: &mut [u8], fresh: &mut Vec<Captured>) {
    loop {
        match socket.receive(buffer) {
            Ok(Some(received)) => {
                let at = Instant::now();
                let bytes = buffer.get(..received.length).unwrap_or(buffer);
                if received.direction == Direction::Incoming
                    && let Some(frame) = read(bytes)
                {
                    let at = at.checked_sub(received.age).unwrap_or(at);
                    fresh.push(Captured { at, host: name.to_owned(), frame });
                }
            }
            // An error tells that the port went down, which was somebody's wish; the next call goes on.
            Ok(None) | Err(_) => return,
        }
    }
}

fn read(bytes: &[u8]) -> Option<Frame> {
    // Offloaded segments are longer than what is kept of a frame: their headers are read all the same.
    let mut frame = Frame::read(bytes)?;
    if let Content::Ip(packet) = &mut frame.content {
        packet.body.truncate(BODY_KEPT);
    }
    Some(frame)
}
