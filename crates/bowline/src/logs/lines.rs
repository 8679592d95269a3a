//! Log lines on their way to standard error, without ever making whoever logs wait.
//!
//! A pipe that nobody reads, or a terminal that is stopped, would otherwise stop the thread that probes and reloads.

use super::LogFormat;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;
use tracing_subscriber::fmt::MakeWriter;

/// Lines that wait to be written: a reload with a problem in every node of a large cluster. What does not fit is dropped, and
/// their number is written as soon as there is room.
const LINES_MAX: usize = 1_024;

/// How long the end of the program waits for lines to be written.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// Takes lines, one `write` each.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Entry {
    Line(Vec<u8>),
    /// Everything before it has been written when this is dropped.
    Flush {
        _done: SyncSender<()>,
    },
}

/// Waits, when it is dropped, until the lines before it are written.
#[derive(Debug)]
pub struct Flush(Option<Lines>);

impl Flush {
    pub(super) const fn new(lines: Option<Lines>) -> Self {
        Self(lines)
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let Some(lines) = &self.0 else { return };
        let (sender, done) = sync_channel(0);
        // When the queue is full nobody reads, and nobody will.
        if lines.queue.try_send(Entry::Flush { _done: sender }).is_ok() {
            // Either way it is over: all is written, or the time is up.
            let _over = done.recv_timeout(FLUSH_WAIT);
        }
    }
}

impl Lines {
    /// Starts the thread that writes to `output`.
    ///
    /// # Errors
    ///
    /// No thread can be had.
    pub(super) fn start(output: impl Write + Send + 'static, format: LogFormat) -> io::Result<Self> {
        let (queue, entries) = sync_channel(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let lines = Self { queue, dropped: Arc::clone(&dropped) };
        thread::Builder::new()
            .name("bowline-log".into())
            .spawn(move || write(output, &entries, &dropped, format))?;
        Ok(lines)
    }
}

fn write(mut output: impl Write, entries: &Receiver<Entry>, dropped: &AtomicU64, format: LogFormat) {
    for entry in entries {
        // Whoever read the log may have gone; the daemon has better things to do than to end with it.
        match entry {
            Entry::Line(line) => {
                let _unread = output.write_all(&line);
            }
            Entry::Flush { .. } => {
                let _unread = output.flush();
            }
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let _unread = match format {
                LogFormat::Text => writeln!(output, "WARN log lines dropped, nobody read them count={lost}"),
                LogFormat::Json => writeln!(
                    output,
                    r#"{{"level":"WARN","message":"log lines dropped, nobody read them","count":{lost}}}"#
                ),
            };
        }
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Entry::Line(bytes.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests;
