//! What the demonstration is doing: one line that changes on a terminal, a line for each step elsewhere. On standard error, so that
//! standard output is the table or the document alone.

use std::io::{IsTerminal, Write};

/// Back to the first column, and clear the line.
const REWRITE: &str = "\r\x1b[K";

/// The display.
#[derive(Debug)]
pub(super) struct Progress {
    is_terminal: bool,
    /// `[2/6] `, or nothing before the first fault.
    step: String,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), step: String::new() }
    }

    /// From now on lines are about this fault of so many.
    pub(super) fn begin(&mut self, number: usize, of: usize) {
        self.step = format!("[{number}/{of}] ");
    }

    /// Says a thing that stays.
    pub(super) fn say(&mut self, text: &str) {
        let start = if self.is_terminal { REWRITE } else { "" };
        self.write(&format!("{start}{}{text}\n", self.step));
    }

    /// Shows a thing that the next one overwrites; nothing where it would fill a file.
    pub(super) fn show(&mut self, text: &str) {
        if self.is_terminal {
            self.write(&format!("{REWRITE}{}{text}", self.step));
        }
    }

    /// Takes away what was shown last.
    pub(super) fn clear(&mut self) {
        if self.is_terminal {
            self.write(REWRITE);
        }
    }

    fn write(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        // A demonstration whose display nobody reads goes on for its figures.
        let _unread = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }
}
