//! Who held the address: by what kernels have, by who answers for it, by who sends as it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::Serialize;

use super::BALANCERS;
use crate::lan::{Host, LINK, Lan};
use crate::wire::{Captured, Injector, Mac, Mark, Tap, question};

/// Between two looks, each of which asks everybody and looks into every kernel.
const STEP: Duration = Duration::from_millis(20);
/// An answer belongs to the question before it when it comes within this.
const ANSWER: Duration = Duration::from_millis(20);

/// Who held the address after a fault; moments in milliseconds since it began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Holders {
    /// The last moment at which more than one kernel had it.
    pub last_two_addresses_ms: Option<u64>,
    /// The last moment at which more than one host answered for it.
    pub last_two_answers_ms: Option<u64>,
    /// The last packet that the former holder sent with the address as its source, when the address had moved.
    pub last_packet_of_former_ms: Option<u64>,
    /// The first moment at which another host announced itself as the holder.
    pub announced_ms: Option<u64>,
    /// Hosts that had it in the end.
    pub in_the_end: BTreeSet<String>,
    /// Times that a host which did not have it got it.
    pub moves: u32,
}

/// Who had the address at a moment.
type Look = (Instant, BTreeSet<String>);

/// Looks at the hosts until it is told to end.
#[derive(Debug)]
pub struct Watch {
    stop: Arc<AtomicBool>,
    last: Arc<Mutex<BTreeSet<String>>>,
    thread: Option<JoinHandle<Vec<Look>>>,
}

impl Watch {
    /// Starts looking at the balancer hosts of `lan`, and asking for `address` on behalf of `asker`.
    ///
    /// # Errors
    /// Without privileges.
    pub fn start(lan: &Lan, asker: &Host, address: Ipv4Addr) -> anyhow::Result<Self> {
        let injector = Injector::open(asker.namespace(), LINK).context("opening an injector")?;
        let asked = question(asker.address().into(), asker.mac(), address.into());
        let mut tables = Vec::new();
        for name in BALANCERS {
            let path = "/proc/thread-self/net/fib_trie";
            let file = lan.host(name).namespace().inside(|| std::fs::File::open(path))?;
            tables.push((name.to_owned(), OwnedFd::from(file.context("opening a routing table")?)));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let last = Arc::default();
        let shown: Arc<Mutex<BTreeSet<String>>> = Arc::clone(&last);
        let look = move || {
            let mut seen = Vec::new();
            while !ended.load(Ordering::Relaxed) {
                let due = Instant::now() + STEP;
                // A link that is down answers nothing, which is what is to be seen.
                drop(injector.send(&asked));
                let has = |table: &OwnedFd| crate::lan::has_v4(&read_again(table), address);
                let holders = tables.iter().filter(|(_, table)| has(table)).map(|(name, _)| name.clone());
                let holders: BTreeSet<String> = holders.collect();
                shown.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&holders);
                seen.push((Instant::now(), holders));
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            seen
        };
        let thread = std::thread::Builder::new().name("holders".to_owned()).spawn(look)?;
        Ok(Self { stop, last, thread: Some(thread) })
    }

    /// Who had it at the last look.
    pub fn last(&self) -> BTreeSet<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends looking; what was seen since `began`, of which `mark` is the place in the capture.
    pub fn finish(mut self, tap: &Tap, mark: Mark, began: Instant) -> Holders {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let seen: Vec<_> = seen.into_iter().filter(|(at, _)| *at >= began).collect();
        let mut holders = by_address(&seen, began);
        let address = super::VIP.into();
        let answers = tap.select(mark, |captured| {
            captured.frame.claims(address).is_some() && captured.frame.destination != Mac::BROADCAST
        });
        holders.last_two_answers_ms = last_two_answers(&answers).map(|at| millis(at, began));
        let moved = tap.select(mark, |captured| captured.frame.announces(address));
        let successor =
            moved.iter().find(|captured| captured.host != BALANCERS[0]).map(|captured| captured.at);
        holders.announced_ms = successor.map(|at| millis(at, began));
        let sent = tap.select(mark, |captured| {
            captured.host == BALANCERS[0] && captured.frame.ip_source() == Some(address)
        });
        let late = sent.iter().rfind(|captured| successor.is_some_and(|moved| captured.at > moved));
        holders.last_packet_of_former_ms = late.map(|captured| millis(captured.at, began));
        holders
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// The whole file once more, from its beginning.
fn read_again(table: &OwnedFd) -> String {
    const CHUNK: usize = 16 * 1024;
    let (mut text, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    while let Ok(length @ 1..) = rustix::io::pread(table.as_fd(), &mut chunk[..], text.len() as u64) {
        text.extend_from_slice(chunk.get(..length).unwrap_or_default());
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn by_address(seen: &[Look], began: Instant) -> Holders {
    let two = seen.iter().rfind(|(_, holders)| holders.len() > 1);
    let gained: usize = seen.windows(2).map(|pair| pair[1].1.difference(&pair[0].1).count()).sum();
    Holders {
        last_two_addresses_ms: two.map(|(at, _)| millis(*at, began)),
        last_two_answers_ms: None,
        last_packet_of_former_ms: None,
        announced_ms: None,
        in_the_end: seen.last().map(|(_, holders)| holders.clone()).unwrap_or_default(),
        moves: u32::try_from(gained).unwrap_or(u32::MAX),
    }
}

/// The last moment at which a second hardware address answered right after the first.
fn last_two_answers(answers: &[Captured]) -> Option<Instant> {
    let mut last: BTreeMap<&str, Instant> = BTreeMap::new();
    let mut two = None;
    for answer in answers {
        let other =
            last.iter().any(|(host, at)| *host != answer.host && answer.at.duration_since(*at) < ANSWER);
        if other {
            two = Some(answer.at);
        }
        last.insert(&answer.host, answer.at);
    }
    two
}

fn millis(at: Instant, since: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
