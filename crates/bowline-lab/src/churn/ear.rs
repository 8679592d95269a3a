//! When a host sends its adverts, by its kernel's own stamps.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use bowline_sys::packet::{Direction, PacketSocket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;

use crate::lan::{Host, LINK};
use crate::wire::Frame;

/// How often it looks whether it shall end.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Longer than any header that is read.
const SNAP: usize = 2048;
/// Adverts kept: a day of them every 10 ms.
const KEPT_MAX: usize = 10_000_000;

/// How regular they were.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Heard {
    pub adverts: usize,
    /// Shares of the intervals between them that differ from the period by no more than a tenth of it.
    pub within_tenth: f64,
    /// The largest difference.
    pub worst_ms: f64,
    pub longest_ms: f64,
}

impl Heard {
    pub(super) fn of(moments: &[Instant], period: Duration) -> Self {
        let intervals: Vec<Duration> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let good = intervals.iter().filter(|interval| interval.abs_diff(period) <= period / 10).count();
        let millis = |duration: Option<Duration>| duration.unwrap_or_default().as_secs_f64() * 1e3;
        Self {
            adverts: moments.len(),
            within_tenth: good as f64 / intervals.len().max(1) as f64,
            worst_ms: millis(intervals.iter().map(|interval| interval.abs_diff(period)).max()),
            longest_ms: millis(intervals.iter().max().copied()),
        }
    }
}

/// Listens until it is told to end.
#[derive(Debug)]
pub(super) struct Ear {
    stop: Arc<AtomicBool>,
    moments: Arc<Mutex<Vec<Instant>>>,
    thread: Option<JoinHandle<()>>,
}

impl Ear {
    /// Starts listening to what `host` says.
    pub(super) fn start(host: &Host) -> anyhow::Result<Self> {
        let socket = host.namespace().inside(|| PacketSocket::open(LINK))?.context("opening an ear")?;
        // Of what clients get only headers would matter, and each would take the room of a whole frame.
        socket.only_groups().context("listening to groups alone")?;
        let sender = host.address();
        let (stop, moments) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::default()));
        let (ended, heard) = (Arc::clone(&stop), Arc::clone(&moments));
        let listen = move || {
            while !ended.load(Ordering::Relaxed) {
                let mut polled = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)];
                // An interrupted poll is one without result: reading finds out what there is.
                let _ = poll(&mut polled, Some(&LOOK));
                hear(&socket, sender, &heard);
            }
        };
        let thread = std::thread::Builder::new().name("ear".to_owned()).spawn(listen)?;
        Ok(Self { stop, moments, thread: Some(thread) })
    }

    /// Ends listening; how regular adverts were since `began`.
    pub(super) fn finish(mut self, began: Instant, period: Duration) -> Heard {
        self.end();
        let moments = self.moments.lock().unwrap_or_else(PoisonError::into_inner);
        let since: Vec<Instant> = moments.iter().filter(|at| **at >= began).copied().collect();
        Heard::of(&since, period)
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed, and nobody is heard then.
            drop(thread.join());
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.end();
    }
}

fn hear(socket: &PacketSocket, sender: Ipv4Addr, heard: &Mutex<Vec<Instant>>) {
    let mut buffer = [0; SNAP];
    while let Ok(Some(received)) = socket.receive(&mut buffer) {
        let now = Instant::now();
        let frame = Frame::read(buffer.get(..received.length).unwrap_or(&buffer));
        let Some(frame) = frame.filter(|_| received.direction == Direction::Outgoing) else { continue };
        if frame.advert().is_some() && frame.ip_source() == Some(sender.into()) {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            if heard.len() < KEPT_MAX {
                // When the kernel sent it, not when this thread had its turn.
                heard.push(now.checked_sub(received.age).unwrap_or(now));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_compared_with_their_period() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let moments = [0, 100, 191, 299, 410].map(|at| start + ms(at));
        let heard = Heard::of(&moments, ms(100));
        assert_eq!((heard.adverts, heard.worst_ms, heard.longest_ms), (5, 11.0, 111.0));
        assert!((heard.within_tenth - 0.75).abs() < 1e-9, "{heard:?}");
        assert_eq!(Heard::of(&[], ms(100)).adverts, 0);
    }
}
