//! What happened, as a digest of everything and, when asked for, as lines.

use bowline_sansio::Instant;
use core::fmt::Arguments;

/// Lines kept of one run: the last ones.
const LINES_MAX: usize = 4_000;

/// The digest is FNV-1a's, over words (Fowler, Noll and Vo).
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

#[derive(Debug)]
pub(crate) struct Trace {
    digest: u64,
    lines: Option<std::collections::VecDeque<String>>,
}

impl Trace {
    pub(crate) fn new(wanted: bool) -> Self {
        Self { digest: OFFSET, lines: wanted.then(std::collections::VecDeque::new) }
    }

    /// Adds to the digest.
    pub(crate) const fn note(&mut self, word: u64) {
        self.digest = (self.digest ^ word).wrapping_mul(PRIME);
    }

    /// Adds a line, if lines are wanted.
    pub(crate) fn line(&mut self, now: Instant, text: Arguments<'_>) {
        if let Some(lines) = &mut self.lines {
            if lines.len() >= LINES_MAX {
                lines.pop_front();
            }
            let micros = now.as_nanos() / 1_000;
            lines.push_back(format!("{:>5}.{:06} {text}", micros / 1_000_000, micros % 1_000_000));
        }
    }

    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.map(Vec::from).unwrap_or_default()
    }
}
